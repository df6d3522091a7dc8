//! A program of somebody else's (an MCP server) in a jail of its own: it sees the system, itself and what its policy
//! grants, writes to its scratch directory, and has no network. Other than a tool it may start processes. The process that
//! is to become it confines itself and is then replaced; another stays behind and watches over it.

use std::path::PathBuf;
#[cfg(zygotes)]
use std::{
    io::{self, Read as _},
    os::{fd::AsFd as _, unix::process::CommandExt as _},
    path::Path,
    process::Command,
};

#[cfg(zygotes)]
use rustix::{
    fs::Mode,
    process::{Pid, Signal, set_parent_process_death_signal, setsid, umask},
    system::sethostname,
};
use serde::{Deserialize, Serialize};

use super::{Grant, Level, Limits};
#[cfg(zygotes)]
use super::{
    inside::BOX,
    jail::{HOSTNAME, NULL},
    landlock,
    namespaces::{Identity, separate},
    nanny, privileges, room,
    root::{self, DEVICES, SETTINGS, SYSTEM},
    seccomp,
};

/// All paths are the host's, absolute, and mean the same inside.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Program {
    pub(crate) level: Level,
    pub(crate) command: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
    /// Where it starts; else in its scratch directory.
    pub(crate) directory: Option<PathBuf>,
    /// Full: an empty directory, which the new root is mounted on for a moment; it is removed. Else its scratch directory.
    pub(crate) scratch: PathBuf,
    /// The program's own files, which can also be executed.
    pub(crate) own: Vec<PathBuf>,
    pub(crate) grants: Vec<Grant>,
    pub(crate) limits: Limits,
    /// How many processes it may have, threads included.
    pub(crate) processes: u64,
}

#[cfg(zygotes)]
impl Program {
    /// What our input begins with: a line of JSON. The rest of it is the program's.
    pub(crate) fn read() -> io::Result<Self> {
        let mut line = Vec::new();
        let mut byte = [0];
        let mut input = std::fs::File::from(rustix::io::dup(io::stdin().as_fd())?);
        while input.read(&mut byte)? == 1 && byte != *b"\n" {
            line.extend(byte);
        }
        Ok(serde_json::from_slice(&line)?)
    }

    /// Becomes the program; returns only why that cannot be. The calling process has one thread.
    pub(crate) fn run(&self) -> String {
        match self.prepare() {
            Err(why) => why,
            Ok(mut command) => format!("{}: {}", self.command.display(), command.exec()),
        }
    }

    fn prepare(&self) -> Result<Command, String> {
        let (scratch, counted) = if self.level == Level::Full {
            (self.wall_off()?, true)
        } else {
            set_apart().map_err(|no| no.to_string())?;
            (self.scratch.clone(), false)
        };
        let directory = self.directory.as_ref().unwrap_or(&scratch);
        std::env::set_current_dir(directory)
            .map_err(|no| format!("{}: {no}", directory.display()))?;
        self.limits
            .apply_to_program(counted.then_some(self.processes))
            .map_err(|no| format!("resource limits: {no}"))?;
        if self.level != Level::None {
            privileges::drop_before_exec().map_err(|no| format!("privileges: {no}"))?;
            self.landlock(&scratch)
                .map_err(|no| format!("Landlock: {no}"))?;
            seccomp::confine_program(!counted).map_err(|no| format!("seccomp: {no}"))?;
        }
        let mut command = Command::new(&self.command);
        command
            .args(&self.arguments)
            .env_clear()
            .env("HOME", &scratch)
            .env("TMPDIR", &scratch)
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        Ok(command)
    }

    /// Namespaces and a private root. Gives its scratch directory there.
    fn wall_off(&self) -> Result<PathBuf, String> {
        // It fails only where there is a session already.
        let _ = setsid();
        let identity = separate().map_err(|lacks| lacks.why())?;
        leave_a_nanny(Some(identity)).map_err(|no| format!("fork: {no}"))?;
        self.settle(identity)
            .map_err(|(step, no)| format!("{step}: {no}"))
    }

    fn settle(&self, identity: Identity) -> Result<PathBuf, root::Failed> {
        let step = |name: &str| {
            let name = name.to_owned();
            move |error: io::Error| (name, error)
        };
        umask(Mode::from_raw_mode(0o022));
        sethostname(HOSTNAME).map_err(|no| step("sethostname")(no.into()))?;
        let pieces = root::gather_for_program(&self.own, &self.grants)?;
        root::change(&self.scratch, identity.id)?;
        identity.assume().map_err(step("changing the user"))?;
        // Not before: a change of user clears it.
        set_parent_process_death_signal(Some(Signal::KILL))
            .map_err(|no| step("prctl")(no.into()))?;
        let staged = pieces.assemble()?;
        let scratch = Path::new(BOX).join("scratch");
        room::scratch(&scratch, self.limits.scratch).map_err(step("the scratch directory"))?;
        room::grants(&self.grants, &staged).map_err(step("mounting what is granted"))?;
        Ok(scratch)
    }

    fn landlock(&self, scratch: &Path) -> Result<(), Box<dyn std::error::Error>> {
        let system = SYSTEM.iter().map(|name| Path::new("/").join(name));
        let system = system.chain([PathBuf::from("/nix/store")]);
        let executable: Vec<PathBuf> = system.chain(self.own.iter().cloned()).collect();
        let settings = SETTINGS.iter().chain(&DEVICES);
        let readable: Vec<PathBuf> = settings.map(PathBuf::from).collect();
        // The rule is on what holds a full jail's, for one on a mount point itself is not seen.
        let scratch = if self.level == Level::Full {
            Path::new(BOX)
        } else {
            scratch
        };
        let rules = landlock::rules_with(&executable, &readable, &[scratch, NULL.as_ref()])?;
        landlock::restrict(landlock::grant(rules, &self.grants)?)
    }
}

/// Without namespaces: a nanny all the same.
#[cfg(zygotes)]
fn set_apart() -> io::Result<()> {
    leave_a_nanny(None)?;
    let _ = setsid();
    Ok(set_parent_process_death_signal(Some(Signal::KILL))?)
}

/// Goes on as a child of this process, which stays behind until our input is closed.
#[cfg(zygotes)]
fn leave_a_nanny(identity: Option<Identity>) -> io::Result<()> {
    // SAFETY: this process has one thread, so that its copy finds no lock held.
    match unsafe { libc::fork() } {
        0 => Ok(()),
        pid => match Pid::from_raw(pid) {
            Some(server) if pid > 0 => nanny::watch(server, io::stdin().as_fd(), identity),
            _ => Err(io::Error::last_os_error()),
        },
    }
}
