//! From what was asked for to what is started: which files are the server's own, and what it is given.

use std::{
    env, io,
    path::{Path, PathBuf},
};

use super::Spec;
use crate::{
    paths,
    policy::ServerPolicy,
    sandbox::{Level, Limits, Program, grants},
};

/// Those of a person are in nobody's directory.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";
/// More than a tool's: it may have its own logs, pipes and children.
const OPEN_FILES: u64 = 256;

/// `scratch`: see [`Program::scratch`].
pub(super) fn program(
    spec: &Spec,
    policy: &ServerPolicy,
    level: Level,
    scratch: PathBuf,
) -> Result<Program, String> {
    let here = match &spec.directory {
        Some(directory) => directory.clone(),
        None => env::current_dir().map_err(|error| error.to_string())?,
    };
    let (command, mut own) = found(&spec.command, &here)
        .map_err(|error| format!("the command {}: {error}", spec.command))?;
    let argument = |argument: &String| match file(argument, &here) {
        Some(path) => {
            let text = path.to_string_lossy().into_owned();
            own.push(path);
            text
        }
        None => argument.clone(),
    };
    let arguments = spec.arguments.iter().map(argument).collect();
    let named = policy.policy.environment.iter();
    let named = named.filter_map(|name| Some((name.clone(), env::var(name).ok()?)));
    let given = spec.environment.clone().into_iter();
    let always = [("PATH", PATH), ("LANG", "C.UTF-8")];
    let always = always.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Ok(Program {
        level,
        command,
        arguments,
        environment: always.into_iter().chain(named).chain(given).collect(),
        directory: spec.directory.clone(),
        scratch,
        own,
        grants: grants(&policy.policy),
        limits: Limits {
            open_files: OPEN_FILES,
            ..Limits::of(&policy.policy)
        },
        processes: policy.processes,
    })
}

/// The program, and what is its own: its file, or all of its virtual environment with the Python that this was made of.
fn found(command: &str, here: &Path) -> io::Result<(PathBuf, Vec<PathBuf>)> {
    let path = if command.contains('/') {
        here.join(command)
    } else {
        let path = env::var_os("PATH").unwrap_or_default();
        let places = env::split_paths(&path).chain(env::split_paths(PATH));
        let mut files = places.map(|place| place.join(command));
        files
            .find(|file| file.is_file())
            .ok_or_else(|| io::Error::other("it is nowhere in PATH"))?
    };
    let directory = path.parent().unwrap_or(here).canonicalize()?;
    let name = path.file_name().unwrap_or_default();
    let above = directory
        .parent()
        .filter(|above| above.join("pyvenv.cfg").exists());
    if let Some(venv) = above {
        let own = [vec![venv.to_owned()], paths::readable(venv)].concat();
        return Ok((directory.join(name), own));
    }
    let file = path.canonicalize()?;
    Ok((file.clone(), vec![file]))
}

/// The file that an argument names, such as a script's.
fn file(argument: &str, here: &Path) -> Option<PathBuf> {
    if argument.starts_with('-') || !argument.contains(['/', '.']) {
        return None;
    }
    let path = here.join(argument).canonicalize().ok()?;
    path.is_file().then_some(path)
}
