//! Why a level cannot be had on this machine, and what its administrator can do about it.

use std::{fmt, io, path::Path};

use serde::{Deserialize, Serialize};

/// One mechanism that is not to be had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lack {
    pub(crate) mechanism: String,
    pub(crate) why: String,
    pub(crate) cure: String,
}

impl Lack {
    pub(super) fn new(mechanism: &str, why: impl fmt::Display, cure: impl Into<String>) -> Self {
        Self {
            mechanism: mechanism.to_owned(),
            why: why.to_string(),
            cure: cure.into(),
        }
    }
}

/// What a level lacks here; never empty.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Unavailable(pub(crate) Vec<Lack>);

impl Unavailable {
    pub(super) fn of(lack: Lack) -> Self {
        Self(vec![lack])
    }

    pub(crate) fn why(&self) -> String {
        let words: Vec<String> = self
            .0
            .iter()
            .map(|lack| format!("{}: {}", lack.mechanism, lack.why))
            .collect();
        words.join("; ")
    }

    pub(crate) fn cure(&self) -> String {
        let cures: Vec<&str> = self.0.iter().map(|lack| lack.cure.as_str()).collect();
        cures.join("; ")
    }
}

/// The switches by which an administrator or a distribution forbids user namespaces, as far as they are set.
fn forbidden() -> Option<(String, String)> {
    [
        ("user.max_user_namespaces", "0", "10000"),
        ("kernel.unprivileged_userns_clone", "0", "1"),
        ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
    ]
    .iter()
    .find_map(|(name, bad, good)| {
        let file = Path::new("/proc/sys").join(name.replace('.', "/"));
        let value = std::fs::read_to_string(file).ok()?;
        (value.trim() == *bad).then(|| {
            (
                format!("sysctl {name} is {bad}"),
                format!("as root: sysctl -w {name}={good}"),
            )
        })
    })
}

/// Why the namespaces could not be made or used.
pub(super) fn namespaces(step: &str, error: &io::Error) -> Unavailable {
    let (why, cure) = match forbidden() {
        Some((why, cure)) => (format!("{step}: {error} ({why})"), cure),
        None => (
            format!("{step}: {error}"),
            "in a container, allow unshare and mount (docker run --security-opt seccomp=unconfined --security-opt \
             apparmor=unconfined); else use a kernel of 5.13 or newer with user namespaces"
                .to_owned(),
        ),
    };
    Unavailable::of(Lack::new("namespaces", why, cure))
}
