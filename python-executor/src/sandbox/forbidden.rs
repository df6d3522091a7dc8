//! Why there are no namespaces: mostly because an administrator or a distribution forbids them, by a switch that is
//! named with its cure.

use std::{io, path::Path};

use super::unavailable::{Lack, Unavailable};

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
