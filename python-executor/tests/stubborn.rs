//! Tools and snippets that do all they can to outlast their limits, and clients that leave at the worst moment: time is
//! up when it is up, and what was taken comes back.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside of the tests' own functions"
)]

mod common;

use std::time::{Duration, Instant};

use common::{Executor, call, descendants, end_of, ended, error_of};
use ipc::{
    Status,
    client::{Call, Client},
    proto::{Code, Health, Meta, RunCode, ToolResult, frame::Body},
};

/// `ask_and_leave` keeps the channel open and reads no more of it, while the answer is longer than the kernel holds.
const TOOLS: &str = r#"
import os, threading, time

# Loading it takes longer than a call may, once it was described.
if os.path.exists("late"):
    time.sleep(1000)

@tool(approval="auto")
def long() -> str:
    """A long text, after a while."""
    time.sleep(0.5)
    return "x" * 900_000

@tool(approval="auto")
def echo(text: str) -> str:
    """Echo."""
    return text

@tool(approval="auto")
def rest() -> None:
    """Sleep."""
    time.sleep(1000)

@tool(approval="auto")
def flood_notes() -> str:
    """Log for ever, from inside and past the logger."""
    from callspan import channel
    while True:
        channel.current.notify("log", '{"level":"info","message":""}')

@tool(approval="auto")
def flood_output() -> str:
    """Print for ever."""
    def write():
        while True:
            os.write(1, b"x" * 65536)
    threading.stack_size(1 << 20)
    for _ in range(3):
        threading.Thread(target=write, daemon=True).start()
    time.sleep(1000)
"#;

const ASK_AND_LEAVE: &str = r#"
import os, threading, time
from callspan import channel
kept = os.dup(3)
threading.Thread(target=lambda: channel.current.ask("tool", '{"name":"long","arguments":{}}'), daemon=True).start()
time.sleep(0.2)
os.dup2(os.open("/dev/null", os.O_RDONLY), 3)
time.sleep(1000)
"#;

async fn start(arguments: &[&str]) -> Executor {
    Executor::start_by(TOOLS, |command| {
        let policy = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/all_auto.toml");
        command.args(["--policy", policy]).args(arguments);
    })
    .await
}

async fn run(client: &Client, code: RunCode) -> Result<ToolResult, Status> {
    let call = client.call(Body::RunCode(code), Meta::default()).await;
    ended(&mut call.unwrap()).await
}

fn snippet(code: &str, session: &str) -> RunCode {
    RunCode {
        code: code.to_owned(),
        session: session.to_owned(),
        ..RunCode::default()
    }
}

async fn within<T>(seconds: u64, what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(seconds), what)
        .await
        .unwrap_or_else(|_| panic!("it takes for ever"))
}

async fn health(executor: &Executor, key: &str) -> String {
    let client = executor.client().await;
    let body = Body::Health(Health::default());
    let mut call = client.call(body, Meta::default()).await.unwrap();
    match call.next().await.unwrap().unwrap() {
        Body::HealthReport(report) => report.details[key].clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_child_that_does_not_read_its_answer_has_no_longer_than_another() {
    let executor = start(&["--wall-ms", "1500"]).await;
    let client = executor.client().await;
    let result = within(8, run(&client, snippet(ASK_AND_LEAVE, ""))).await;
    assert_eq!(result.unwrap().outcome, "timeout");
    let idle = async {
        while health(&executor, "running").await != "0" {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within(2, idle).await;
}

#[tokio::test]
async fn a_child_that_does_not_read_its_work_has_no_longer_than_another() {
    let marker = tempfile::NamedTempFile::new().unwrap();
    let path = marker.path().to_str().unwrap();
    let tools = TOOLS.replace(
        "os.path.exists(\"late\")",
        &format!("os.path.getsize({path:?})"),
    );
    let policy = format!("[default]\nread = [{path:?}]\n");
    let policy_file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(policy_file.path(), policy).unwrap();
    let executor = Executor::start_by(&tools, |command| {
        command.args(["--spares", "0", "--wall-ms", "1500", "--policy"]);
        command.arg(policy_file.path());
    })
    .await;
    assert_eq!(executor.call("echo", r#"{"text":"x"}"#).await.outcome, "ok");
    std::fs::write(marker.path(), "now").unwrap();
    let arguments = format!(r#"{{"text":"{}"}}"#, "x".repeat(1_000_000));
    let result = within(8, executor.call("echo", &arguments)).await;
    assert_eq!(result.outcome, "timeout", "{}", error_of(&result));
}

#[tokio::test]
async fn floods_end_when_their_time_is_up() {
    let executor = start(&["--wall-ms", "1000"]).await;
    for tool in ["flood_notes", "flood_output"] {
        let client = executor.client().await;
        let mut calls = calls(&client, tool, "{}", 4).await;
        let since = Instant::now();
        for call in &mut calls {
            let result = within(10, end_of(call)).await;
            assert_eq!(result.outcome, "timeout", "{tool}: {}", error_of(&result));
        }
        assert!(
            since.elapsed() < Duration::from_secs(4),
            "{tool}: {:?}",
            since.elapsed()
        );
    }
}

async fn calls(client: &Client, tool: &str, arguments: &str, number: usize) -> Vec<Call> {
    let mut calls = Vec::new();
    for _ in 0..number {
        let call = client.call(call(tool, arguments), Meta::default()).await;
        calls.push(call.unwrap());
    }
    calls
}

#[tokio::test]
async fn many_calls_at_once_find_one_new_zygote_in_the_place_of_a_lost_one() {
    let executor = start(&["--spares", "0", "--max-calls", "64"]).await;
    executor.call("echo", r#"{"text":"x"}"#).await;
    let [zygote] = executor.zygotes().try_into().unwrap();
    let pid = rustix::process::Pid::from_raw(zygote).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    common::gone(zygote).await;
    let client = executor.client().await;
    for call in &mut calls(&client, "echo", r#"{"text":"x"}"#, 16).await {
        assert_eq!(end_of(call).await.outcome, "ok");
    }
    assert_eq!(executor.zygotes().len(), 1);
}

#[tokio::test]
async fn hundreds_of_calls_at_once_are_no_stuck_zygote() {
    let executor = start(&["--max-calls", "1024", "--queue", "1024"]).await;
    executor.call("echo", r#"{"text":"x"}"#).await;
    let before = executor.zygotes();
    let client = executor.client().await;
    let more = executor.client().await;
    let mut calls = [
        calls(&client, "echo", r#"{"text":"x"}"#, 200).await,
        calls(&more, "echo", r#"{"text":"x"}"#, 200).await,
    ]
    .into_iter()
    .flatten()
    .collect::<Vec<_>>();
    for call in &mut calls {
        let result = within(60, end_of(call)).await;
        assert_eq!(result.outcome, "ok", "{}", error_of(&result));
    }
    assert_eq!(executor.zygotes(), before);
}

#[tokio::test]
async fn a_session_outlives_a_snippet_that_found_no_place() {
    let executor = start(&["--max-calls", "1", "--queue", "0"]).await;
    let client = executor.client().await;
    let begun = run(&client, snippet("x = 7", "new")).await.unwrap();
    let sleep = Body::RunCode(snippet(
        "import time\nprint(1, flush=True)\ntime.sleep(1)",
        "",
    ));
    let mut busy = client.call(sleep, Meta::default()).await.unwrap();
    assert!(matches!(
        busy.next().await.unwrap().unwrap(),
        Body::Delta(_)
    ));
    let refused = run(&client, snippet("x", &begun.session))
        .await
        .unwrap_err();
    assert_eq!(refused.code, Code::ResourceExhausted);
    end_of(&mut busy).await;
    let deadline = Instant::now() + Duration::from_secs(10);
    while health(&executor, "running").await != "0" {
        assert!(Instant::now() < deadline);
    }
    let result = run(&client, snippet("x", &begun.session)).await.unwrap();
    assert_eq!(result.result, "7", "{result:?}");
}

#[tokio::test]
async fn a_session_rests_between_its_snippets() {
    let executor = start(&["--spares", "0"]).await;
    let client = executor.client().await;
    let spin = "import threading\nn = 0\ndef spin():\n    global n\n    while True:\n        n += 1\n\
                threading.Thread(target=spin, daemon=True).start()";
    let begun = run(&client, snippet(spin, "new")).await.unwrap();
    let first = run(&client, snippet("n", &begun.session)).await.unwrap();
    let used = || -> u64 {
        let stat = |pid| std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let ticks = |stat: String| -> u64 {
            let rest = stat.rsplit(')').next().unwrap().to_owned();
            rest.split_whitespace()
                .nth(11)
                .map_or(0, |ticks| ticks.parse().unwrap())
        };
        let all = descendants(executor.process.id());
        all.into_iter().map(|pid| ticks(stat(pid))).sum()
    };
    let before = used();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(used() <= before + 10, "{before} {}", used());
    let more = run(&client, snippet("n", &begun.session)).await.unwrap();
    assert!(more.result.parse::<u64>().unwrap() >= first.result.parse().unwrap());
}

#[tokio::test]
async fn calls_of_an_old_version_make_no_spares_of_it() {
    let tools = "import time\n@tool\ndef rest() -> int:\n    \"\"\"Rest.\"\"\"\n    time.sleep(2)\n    return 1\n";
    let executor = Executor::start(tools).await;
    let client = executor.client().await;
    let mut calls = calls(&client, "rest", "{}", 2).await;
    let path = executor.room.path().join("tools/tools.py");
    std::fs::write(
        path,
        format!(
            "from callspan import tool\n{}",
            tools.replace("Rest.", "New.")
        ),
    )
    .unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while executor.list().await.tools[0].description != "New." {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for call in &mut calls {
        assert_eq!(end_of(call).await.outcome, "ok");
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(health(&executor, "spares").await, "4");
}

#[tokio::test]
async fn connections_do_not_take_the_descriptors_that_calls_need() {
    let executor = Executor::start_by(TOOLS, |command| {
        use std::os::unix::process::CommandExt as _;
        // SAFETY: the call takes a pointer to a local, and is safe between fork and exec.
        unsafe {
            command.pre_exec(|| {
                let few = libc::rlimit {
                    rlim_cur: 128,
                    rlim_max: 4096,
                };
                libc::setrlimit(libc::RLIMIT_NOFILE, &raw const few);
                Ok(())
            });
        }
    })
    .await;
    let idle: Vec<_> = (0..200)
        .map(|_| std::os::unix::net::UnixStream::connect(&executor.socket).unwrap())
        .collect();
    let result = within(10, executor.call("echo", r#"{"text":"x"}"#)).await;
    assert_eq!(result.outcome, "ok");
    drop(idle);
}

#[tokio::test]
async fn no_schema_holds_the_executor_up() {
    let forged = |parameters: &str| {
        format!(
            "from callspan import runtime\nruntime.json.dumps = lambda *a, **k: \
             '[{{\"name\":\"loop\",\"parameters\":{parameters}}}]'\n"
        )
    };
    let defined = |number: usize, of: &dyn Fn(usize) -> String| -> String {
        let each = (0..number).map(|n| format!(r#""d{n}":{},"#, of(n + 1)));
        let each: String = each.collect();
        format!(r##"{{"type":"object","$ref":"#/$defs/d0","$defs":{{{each}"d{number}":{{}}}}}}"##)
    };
    let to = |n: usize| format!(r##"{{"$ref":"#/$defs/d{n}"}}"##);
    let chain = |links: usize| {
        let last = r##"{"properties":{"a":{"$ref":"#/$defs/d0"}}}"##;
        let schema = defined(links, &to);
        schema.replace(
            &format!(r#""d{links}":{{}}"#),
            &format!(r#""d{links}":{last}"#),
        )
    };
    for (is_usable, parameters) in [
        (
            true,
            r##"{"type":"object","allOf":[{"$ref":"#"}]}"##.to_owned(),
        ),
        (
            false,
            defined(40, &|n| format!(r#"{{"allOf":[{0},{0}]}}"#, to(n))),
        ),
        (false, defined(1500, &to)),
        // A chain of parts for each level of the arguments.
        (true, chain(60)),
    ] {
        let files = [
            ("loop.py", forged(&parameters)),
            ("tools.py", TOOLS.to_owned()),
        ];
        let files: Vec<_> = files.iter().map(|(n, text)| (*n, text.as_str())).collect();
        let executor = Executor::start_with(&files, &[]).await;
        executor.call("echo", r#"{"text":"x"}"#).await;
        assert_eq!(executor.list().await.problems.is_empty(), is_usable);
        let deep = format!("{}{{}}{}", r#"{"a":"#.repeat(120), "}".repeat(120));
        let asked = executor.try_call("loop", &deep, Meta::default());
        let _ = within(10, asked).await;
        assert_eq!(executor.call("echo", r#"{"text":"x"}"#).await.outcome, "ok");
    }
}

/// Whatever is under way may end for four seconds, as clients are promised, and then there is nothing left.
#[tokio::test]
async fn told_to_stop_it_ends_soon_and_leaves_nothing() {
    for isolation in ["full", "reduced"] {
        let temporary = tempfile::tempdir().unwrap();
        let mut executor = Executor::start_by(TOOLS, |command| {
            command.args(["--isolation", isolation, "--wall-ms", "60000"]);
            let policy = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/all_auto.toml");
            command.args(["--policy", policy]);
            command.env("TMPDIR", temporary.path());
        })
        .await;
        let client = executor.client().await;
        run(&client, snippet("x = 1", "new")).await.unwrap();
        let calls_another = snippet("rest()", "");
        let sleeps = snippet(
            "import time\nopen('kept', 'w').write('x')\ntime.sleep(100)",
            "new",
        );
        let mut under_way = calls(&client, "rest", "{}", 2).await;
        for code in [calls_another, sleeps] {
            let call = client.call(Body::RunCode(code), Meta::default()).await;
            under_way.push(call.unwrap());
        }
        let deadline = Instant::now() + Duration::from_secs(20);
        while health(&executor, "running").await != "4" {
            assert!(Instant::now() < deadline, "{isolation}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let all = descendants(executor.process.id());
        let pid = rustix::process::Pid::from_raw(executor.process.id() as i32).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let since = Instant::now();
        while executor.process.try_wait().unwrap().is_none() {
            assert!(since.elapsed() < Duration::from_secs(7), "{isolation}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for pid in all {
            common::gone(pid).await;
        }
        let left: Vec<_> = temporary.path().read_dir().unwrap().collect();
        assert!(left.is_empty(), "{isolation}: {left:?}");
    }
}
