//! Whoever is root may read what the jail, as another user, may not. That is told at the start, not by each call.

use std::{fs, path::Path};

use rustix::{
    fs::{Access, AtFlags, CWD, accessat},
    io::Errno,
};

/// A path of the host's that the jail's user cannot read.
#[derive(Debug)]
pub(crate) struct Unreadable {
    pub(crate) what: String,
    pub(crate) fix: String,
}

/// Looks through everything below `inside`, which the host knows as `host`.
pub(super) fn check(inside: &Path, host: &Path) -> Result<(), Unreadable> {
    let mut left = vec![inside.to_owned()];
    while let Some(path) = left.pop() {
        let kind = path.symlink_metadata();
        let is_directory = kind.as_ref().is_ok_and(fs::Metadata::is_dir);
        let wanted = if is_directory {
            Access::READ_OK | Access::EXEC_OK
        } else {
            Access::READ_OK
        };
        match accessat(CWD, &path, wanted, AtFlags::empty()) {
            // A link to nowhere is nobody's to read.
            Ok(()) | Err(Errno::NOENT | Errno::LOOP) => {}
            Err(error) => {
                let name = host.join(path.strip_prefix(inside).unwrap_or(&path));
                return Err(Unreadable {
                    what: format!(
                        "started as root, tools run as nobody, who cannot read {}: {error}",
                        name.display()
                    ),
                    fix: format!(
                        "chmod -R a+rX {}, start as another user, or say --isolation reduced",
                        host.display()
                    ),
                });
            }
        }
        if is_directory {
            let entries = fs::read_dir(&path).into_iter().flatten().flatten();
            left.extend(entries.map(|entry| entry.path()));
        }
    }
    Ok(())
}
