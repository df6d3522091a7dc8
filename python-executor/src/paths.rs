//! Where things are: the .venv, the callspan package and the tools, in a checkout and in an installation.

use std::path::{Path, PathBuf};

/// What a search looks for: a flag's or variable's value first, then places beside the program.
pub(crate) fn find(given: Option<PathBuf>, beside: &[&str], marker: &str) -> Option<PathBuf> {
    if given.is_some() {
        return given;
    }
    let program = std::env::current_exe().ok()?;
    let here = std::env::current_dir().ok();
    // bin/ of a checkout or an installation; target/debug/ when cargo runs it; at last the working directory.
    let above = program.ancestors().skip(1).take(4).map(Path::to_owned);
    above
        .chain(here)
        .flat_map(|dir| {
            beside
                .iter()
                .map(move |place| dir.join(place))
                .collect::<Vec<_>>()
        })
        .find(|path| path.join(marker).exists())
}

pub(crate) fn venv(given: Option<PathBuf>) -> Option<PathBuf> {
    find(given, &[".venv", "lib/callspan/venv"], "pyvenv.cfg")
}

pub(crate) fn package(given: Option<PathBuf>) -> Option<PathBuf> {
    find(
        given,
        &["python-executor/python", "lib/callspan/python"],
        "callspan/runtime.py",
    )
}

pub(crate) fn tools(given: Option<PathBuf>) -> Option<PathBuf> {
    find(
        given,
        &["python-executor/tools", "share/callspan/tools"],
        "",
    )
}

/// Where the venv's interpreter lives, with its standard library, if that is not where the system's libraries are.
pub(crate) fn readable(venv: &Path) -> Vec<PathBuf> {
    let python = venv.join("bin/python").canonicalize();
    let prefix = python
        .ok()
        .and_then(|python| python.ancestors().nth(2).map(Path::to_owned));
    let elsewhere = |prefix: &PathBuf| prefix.parent().is_some() && !prefix.starts_with("/usr");
    prefix.into_iter().filter(elsewhere).collect()
}
