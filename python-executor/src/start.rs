//! What is done before the first request: the paths and limits are found, the zygotes started, the tools described.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use ipc::{
    listen::{Listener, default_socket},
    program::{Failure, shutdown_on_signals},
};
use tokio::sync::watch;

use crate::{
    catalogue::{self, Catalogue},
    cli::Serve,
    executor::Executor,
    mcp, mount, paths,
    places::Places,
    policy::{Declared, Deployment, Policy, effective},
    profile::Profile,
    reload,
    sandbox::{self, Cgroups, Level, Plan, grants},
    service::{self, Tooling},
    sessions::Sessions,
    spares::Spares,
    supervisor::Supervisor,
};

/// A session that was not used for so long is ended.
const SESSION_IDLE: Duration = Duration::from_mins(10);
/// How long what cannot be stopped is waited for at the end.
const ENDING: Duration = Duration::from_millis(200);
/// A session may use the processor time of so many snippets; the time of each is bounded by the clock.
const SNIPPETS: u64 = 100;

/// Serves until it is told to stop.
pub(crate) fn serve(args: &Serve) -> Result<(), Failure> {
    let runtime = runtime()?;
    // Before anything is made that would be left behind.
    let shutdown = {
        let _inside = runtime.enter();
        shutdown_on_signals().map_err(|error| Failure::new(error, ""))?
    };
    let specs = mount::specs(&args.mcp_server, args.mcp_config.as_ref())?;
    if cfg!(not(zygotes)) && !specs.is_empty() {
        return Err(Failure::new(
            "MCP servers are mounted on Linux only",
            "leave out --mcp-server and --mcp-config",
        ));
    }
    let (executor, tools) = prepare(args)?;
    raise_open_files();
    let executor = Arc::new(executor);
    let protection = &executor.supervisor.protection;
    let isolation = format!("{}{}", protection.level.name(), protection.told());
    let served = runtime.block_on(async {
        // Who comes while the tools are read waits.
        let door = Door::open(args)?;
        let loaded = tokio::select! {
            loaded = Catalogue::load(&executor, &tools, None) => loaded,
            () = shutdown.cancelled() => return Ok(()),
        };
        let catalogue = loaded
            .map_err(|error| {
                Failure::usage(
                    format!("{}: {error}", tools.display()),
                    "give another --tools DIR",
                )
            })?
            .unwrap_or_default();
        for problem in &catalogue.problems {
            let (file, message) = (&problem.file, &problem.message);
            say(&format!("{file} is not used: {message}"));
        }
        for note in &catalogue.notes {
            say(note);
        }
        say(&format!(
            "{} tools of {} on {door}, isolation {isolation}",
            catalogue.tools().len(),
            tools.display(),
        ));
        catalogue::prepare(&executor, &catalogue);
        let servers = mount::servers(&executor, specs);
        let service = Arc::new(Tooling {
            executor,
            catalogue: watch::Sender::new(Arc::new(catalogue)),
            places: Places::new(args.max_calls.into(), args.queue.into()),
            sessions: Sessions::new(args.sessions.into(), SESSION_IDLE),
            servers,
        });
        let servers = tokio::select! {
            servers = mount::start(&service) => servers,
            () = shutdown.cancelled() => return Ok(()),
        };
        let watching = tokio::spawn(reload::watch(service.clone(), tools));
        let tidying = tokio::spawn(end_idle_sessions(service.clone()));
        let served = match door {
            Door::Socket(_, listener) => {
                ipc::server::serve(listener, service::info(), service, shutdown).await
            }
            Door::Stdio => {
                mcp::on_stdio(service, &shutdown).await;
                Ok(())
            }
        };
        watching.abort();
        tidying.abort();
        servers.end().await;
        served.map_err(|error| Failure::new(error, ""))
    });
    // A thread that looks up a name for a tool may do so for long.
    runtime.shutdown_timeout(ENDING);
    served
}

/// Where clients come from.
enum Door {
    Socket(PathBuf, Listener),
    /// The process that started this one speaks MCP.
    Stdio,
}

impl Door {
    fn open(args: &Serve) -> Result<Self, Failure> {
        if args.mcp {
            return Ok(Self::Stdio);
        }
        let socket = match &args.socket {
            Some(path) => path.clone(),
            None => default_socket("executor")
                .map_err(|error| Failure::usage(error, "give --socket PATH"))?,
        };
        let listener = Listener::bind(&socket).map_err(|error| {
            Failure::new(error, "choose another --socket, or stop what is using it")
        })?;
        ipc::listen::all_taken().map_err(|error| {
            Failure::new(error, "give --socket the path that the socket unit has")
        })?;
        Ok(Self::Socket(socket, listener))
    }
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path, _) => path.display().fmt(f),
            Self::Stdio => f.write_str("standard input and output (MCP)"),
        }
    }
}

async fn end_idle_sessions(service: Arc<Tooling>) {
    loop {
        tokio::time::sleep(SESSION_IDLE / 10).await;
        service.sessions.end_idle();
    }
}

/// Each connection and each child takes some descriptors; what a process may have by custom is made for programs that
/// wait by select. Children have a limit of their own.
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let all = Rlimit {
        // macOS takes a number only, and this one at most.
        current: maximum.or(Some(10_240)),
        maximum,
    };
    // Without it there is room for fewer, and who is one too many is told.
    let _ = setrlimit(Resource::Nofile, all);
}

/// Everything but the socket: the executor, and the directory of its tools.
pub(crate) fn prepare(args: &Serve) -> Result<(Executor, PathBuf), Failure> {
    if let Some((what, fix)) = sandbox::refusal(args.isolation) {
        return Err(Failure::new(what, fix));
    }
    let deployment = deployment(args)?;
    let tools = tools(args.tools.clone())?;
    Ok((executor(args, &tools, deployment)?, tools))
}

pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("cannot start: {error}"), ""))
}

fn executor(
    args: &Serve,
    tools: &std::path::Path,
    deployment: Deployment,
) -> Result<Executor, Failure> {
    let venv = paths::venv(args.venv.clone()).ok_or_else(|| {
        Failure::usage(
            "no virtual environment was found",
            "make it by: make setup, or give --venv DIR",
        )
    })?;
    let venv =
        std::path::absolute(&venv).map_err(|error| Failure::usage(error, "give --venv DIR"))?;
    let package = paths::package(args.package.clone()).ok_or_else(|| {
        Failure::usage(
            "the callspan Python package was not found",
            "set CALLSPAN_PYTHONPATH to its directory",
        )
    })?;
    let temporary = std::env::temp_dir();
    // By a name with no link in it, as some confinement goes by.
    let scratch = temporary
        .canonicalize()
        .and_then(|parent| {
            tempfile::Builder::new()
                .prefix("callspan-scratch-")
                .tempdir_in(parent)
        })
        .map_err(|error| {
            Failure::usage(
                format!(
                    "no scratch directory can be made in {}: {error}",
                    temporary.display()
                ),
                "set TMPDIR to a directory that can be written to",
            )
        })?;
    // Reading a file's tools is nobody's call: it runs under what holds for all of them.
    let (base, _) = effective(&deployment, Some(""), &Declared::default());
    let (code, _) = effective(&deployment, None, &Declared::default());
    let plan = Plan {
        level: Level::None,
        readable: paths::readable(&venv),
        venv,
        package,
        tools: tools.to_owned(),
        preload: args.preload.clone(),
        granted: [grants(&base), grants(&code)].concat(),
        scratch: scratch.path().to_owned(),
    };
    let groups = match Cgroups::find(args.cgroup.as_deref()) {
        Err(lack) if args.cgroup.is_some() => return Err(Failure::usage(lack.why, lack.cure)),
        groups => groups,
    };
    let supervisor = Supervisor::start(plan, args.isolation, args.zygotes.into(), groups)
        .map_err(|no| Failure::usage(no.what, no.fix))?;
    let session = Policy {
        cpu_s: code.cpu_s.saturating_mul(SNIPPETS),
        ..code.clone()
    };
    Ok(Executor {
        snippet: Profile::new(None, code),
        session: Profile::new(None, session),
        deployment,
        base,
        scratch: (supervisor.protection.level != Level::Full).then_some(scratch),
        supervisor,
        spares: Spares::new(args.spares.into(), args.max_spares.into()),
    })
}

/// What is allowed here: by the policy file, and by flags.
fn deployment(args: &Serve) -> Result<Deployment, Failure> {
    let mut deployment = match &args.policy {
        Some(path) => Deployment::load(path)
            .map_err(|error| Failure::usage(error, "correct the policy file"))?,
        None => Deployment::default(),
    };
    deployment.grant_declared |= args.grant_declared;
    deployment.wall_ms = args.wall_ms;
    deployment.cpu_s = args.cpu_s;
    Ok(deployment)
}

fn tools(given: Option<PathBuf>) -> Result<PathBuf, Failure> {
    let fix = "give --tools DIR, a directory of Python files";
    let tools =
        paths::tools(given).ok_or_else(|| Failure::usage("no tools directory was found", fix))?;
    tools
        .canonicalize()
        .ok()
        .filter(|path| path.is_dir())
        .ok_or_else(|| {
            let what = if tools.exists() {
                format!("{} is not a directory", tools.display())
            } else {
                format!("the tools directory {} does not exist", tools.display())
            };
            Failure::usage(what, fix)
        })
}

/// A line for the person who started this program; nobody need read it.
pub(crate) fn say(line: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "python-executor: {line}");
}
