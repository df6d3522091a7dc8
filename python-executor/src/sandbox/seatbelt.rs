//! The Seatbelt profile of a worker, for systems without zygotes. The rules are data (`policy/seatbelt.sb`); this puts
//! the paths beside them. It was never run on macOS, and says so wherever it is named.

use std::{
    ffi::OsString,
    fmt::Write as _,
    io,
    path::{Path, PathBuf},
};

use super::{Confinement, Isolation, Plan};

/// What confines a command and then becomes it.
const PROGRAM: &str = "/usr/bin/sandbox-exec";
/// Names what stands in for it where there is none: in a program for tests only, which such children are tried with.
#[cfg(feature = "worker")]
const STAND_IN: &str = "CALLSPAN_SANDBOX_EXEC";

pub(crate) fn program() -> PathBuf {
    #[cfg(feature = "worker")]
    if let Some(stand_in) = std::env::var_os(STAND_IN) {
        return stand_in.into();
    }
    PROGRAM.into()
}

const RULES: &str = include_str!("../../policy/seatbelt.sb");

/// Why tools cannot be confined as asked, and what to do; nothing if they may be.
pub(crate) fn refusal(asked: Isolation) -> Option<(String, String)> {
    if matches!(asked, Isolation::SeatbeltUnverified | Isolation::None) {
        return None;
    }
    Some((
        "tools cannot be confined here; missing: namespaces, Landlock, seccomp, which only Linux has".to_owned(),
        "run python-executor on Linux, a virtual machine will do; or say --isolation seatbelt-unverified: a Seatbelt \
         profile that exists and has never been run; or, if you trust every tool, --isolation none"
            .to_owned(),
    ))
}

/// A profile's text, and the paths that it speaks of by name.
#[derive(Debug)]
pub(crate) struct Profile {
    text: String,
    paths: Vec<(String, PathBuf)>,
}

impl Profile {
    /// For one worker. Seatbelt judges paths without symbolic links, so that what is always needed is looked up; what is
    /// granted is not, and a link in it leads to nothing.
    pub(crate) fn of(plan: &Plan, program: &Path, confinement: &Confinement) -> io::Result<Self> {
        let mut profile = Self {
            text: RULES.to_owned(),
            paths: Vec::new(),
        };
        for (name, path) in [
            ("PROGRAM", program),
            ("VENV", &plan.venv),
            ("PACKAGE", &plan.package),
            ("TOOLS", &plan.tools),
            ("SCRATCH", &confinement.scratch),
        ] {
            profile.paths.push((name.to_owned(), path.canonicalize()?));
        }
        // The interpreter's own library has compiled modules.
        for path in &plan.readable {
            profile.add("file-read* file-map-executable", path.canonicalize()?);
        }
        for grant in &confinement.grants {
            let may = if grant.writable {
                "file-read* file-write*"
            } else {
                "file-read*"
            };
            profile.add(may, grant.path.clone());
        }
        Ok(profile)
    }

    fn add(&mut self, may: &str, path: PathBuf) {
        let name = format!("PATH{}", self.paths.len());
        // A string can always be written to.
        let _ = write!(
            self.text,
            "(allow {may} (subpath (param \"{name}\")))\n(allow file-read-metadata (path-ancestors (param \"{name}\")))\n"
        );
        self.paths.push((name, path));
    }

    /// What `sandbox-exec` is told before the command.
    pub(crate) fn arguments(&self) -> Vec<OsString> {
        let mut arguments = vec!["-p".into(), self.text.clone().into()];
        for (name, path) in &self.paths {
            let mut told = OsString::from(format!("{name}="));
            told.push(path);
            arguments.extend(["-D".into(), told]);
        }
        arguments
    }
}
