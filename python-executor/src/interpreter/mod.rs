//! `CPython`: the only room that touches pyo3.
//!
//! The interpreter is that of the .venv, isolated from the environment and the working directory. Everything here
//! runs in the zygote or in a child, never in the supervisor.

mod bridge;
mod run;

use std::{
    ffi::{CString, NulError},
    os::unix::ffi::OsStrExt,
    path::Path,
};

use pyo3::{ffi, prelude::*, types::PyList};

pub(crate) use bridge::Bridge;
pub(crate) use run::{warm, work};

/// The version of Python that this program was built with.
const BUILT_WITH: &str = env!("CALLSPAN_PYTHON");

/// Why there is no interpreter, and what to do.
#[derive(Debug)]
pub(crate) struct NoInterpreter {
    pub(crate) what: String,
    pub(crate) fix: String,
}

fn no(what: impl Into<String>, fix: impl Into<String>) -> NoInterpreter {
    NoInterpreter {
        what: what.into(),
        fix: fix.into(),
    }
}

/// Starts Python, and imports our package and what else is wanted; gives its version.
pub(crate) fn start(
    venv: &Path,
    package: &Path,
    preload: &[String],
) -> Result<String, NoInterpreter> {
    check_venv(venv)?;
    initialize(&venv.join("bin/python"))?;
    Python::attach(|py| {
        let version = py.version_info();
        let version = format!("{}.{}", version.major, version.minor);
        if version != BUILT_WITH {
            let what =
                format!("libpython is {version}, but this program was built with {BUILT_WITH}");
            return Err(no(what, "rebuild: make build"));
        }
        prepare(py, package).map_err(|error| {
            no(
                format!(
                    "cannot import the callspan package from {}: {error}",
                    package.display()
                ),
                "make the .venv anew: rm -r .venv && make setup",
            )
        })?;
        for module in preload {
            py.import(module.as_str()).map_err(|error| {
                no(
                    format!("cannot preload {module}: {error}"),
                    format!(
                        "install it into the .venv, or leave it out of --preload: .venv/bin/pip install {module}"
                    ),
                )
            })?;
        }
        freeze(py).map_err(|error| no(format!("the collector: {error}"), "rebuild: make build"))?;
        Ok(version)
    })
}

/// A venv of another version gives no error, just no packages: so its own word is checked before.
fn check_venv(venv: &Path) -> Result<(), NoInterpreter> {
    let file = venv.join("pyvenv.cfg");
    let fix = "make the .venv anew: rm -r .venv && make setup";
    let text = std::fs::read_to_string(&file)
        .map_err(|error| no(format!("{}: {error}", file.display()), fix))?;
    let version = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .find_map(|(key, value)| {
            (key.trim() == "version" || key.trim() == "version_info")
                .then(|| value.trim().to_owned())
        });
    match version {
        Some(version)
            if version == BUILT_WITH || version.starts_with(&format!("{BUILT_WITH}.")) =>
        {
            Ok(())
        }
        Some(version) => Err(no(
            format!(
                "{} is for Python {version}, but this program was built with {BUILT_WITH}",
                venv.display()
            ),
            fix,
        )),
        None => Err(no(format!("{} names no version", file.display()), fix)),
    }
}

fn initialize(python: &Path) -> Result<(), NoInterpreter> {
    let nul = |error: NulError| no(error.to_string(), "choose another path for the .venv");
    let program = CString::new(python.as_os_str().as_bytes()).map_err(nul)?;
    // SAFETY: both structures are initialised by Python before they are read, used as its documentation says, and no
    // other thread is running.
    let failed = unsafe {
        let mut before: ffi::PyPreConfig = std::mem::zeroed();
        ffi::PyPreConfig_InitIsolatedConfig(&raw mut before);
        before.utf8_mode = 1;
        let status = ffi::Py_PreInitialize(&raw const before);
        if ffi::PyStatus_Exception(status) != 0 {
            true
        } else {
            let mut config: ffi::PyConfig = std::mem::zeroed();
            ffi::PyConfig_InitIsolatedConfig(&raw mut config);
            config.buffered_stdio = 0;
            config.write_bytecode = 0;
            config.install_signal_handlers = 0;
            let name = ffi::PyConfig_SetBytesString(
                &raw mut config,
                &raw mut config.program_name,
                program.as_ptr(),
            );
            let path = ffi::PyConfig_SetBytesString(
                &raw mut config,
                &raw mut config.executable,
                program.as_ptr(),
            );
            let failed = ffi::PyStatus_Exception(name) != 0
                || ffi::PyStatus_Exception(path) != 0
                || ffi::PyStatus_Exception(ffi::Py_InitializeFromConfig(&raw const config)) != 0;
            ffi::PyConfig_Clear(&raw mut config);
            if !failed {
                ffi::PyEval_SaveThread();
            }
            failed
        }
    };
    if failed {
        return Err(no(
            "Python does not start",
            "make the .venv anew: rm -r .venv && make setup",
        ));
    }
    Ok(())
}

fn prepare(py: Python<'_>, package: &Path) -> PyResult<()> {
    let path = py.import("sys")?.getattr("path")?.cast_into::<PyList>()?;
    path.insert(0, package.as_os_str())?;
    py.import("callspan.prime")?.call_method0("prime")?;
    run::rehearse(py)
}

/// What is here now is shared by all children: their collector need not touch it.
fn freeze(py: Python<'_>) -> PyResult<()> {
    let gc = py.import("gc")?;
    gc.call_method0("collect")?;
    gc.call_method0("freeze")?;
    Ok(())
}

/// Forks. In the child the interpreter is usable; gives 0 there, and the child's id in the parent.
///
/// Python is not told: what it does after a fork mends what other threads of the parent held. This process has no other
/// thread and its interpreter is at rest, so that the copy is as good as the original, and mending it would cost the child
/// more than the fork: a third of all the memory that it has to copy. What must not be alike is made new by `reseed`.
#[cfg(zygotes)]
pub(crate) fn fork() -> std::io::Result<libc::pid_t> {
    // SAFETY: this process has one thread, and nothing of the interpreter is in use.
    match unsafe { libc::fork() } {
        -1 => Err(std::io::Error::last_os_error()),
        pid => Ok(pid),
    }
}
