//! What a child of a full jail has for itself: a directory in memory to write to, and the paths that its policy grants,
//! all of it gone with the child.

use std::{io, path::Path};

use rustix::{
    fs::{CWD, Mode, OFlags, openat},
    mount::{MountFlags, UnmountFlags, mount, unmount},
};

use super::{
    ablation,
    mounts::{READ_ONLY, Reach, WRITABLE, attach, copy, memory, restrict},
    plan::Grant,
    root::{Staged, mount_point},
};

/// Files and directories that a call may make.
const MAX_FILES: u32 = 4096;

/// Mounts the calls' own scratch directory, of so many bytes.
pub(super) fn scratch(at: &Path, bytes: u64) -> io::Result<()> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let (flags, options) = if ablation::off("scratch file system") {
        (MountFlags::empty(), "mode=0700\0".to_owned())
    } else {
        let options = format!("mode=0700,size={bytes},nr_inodes={MAX_FILES}\0");
        (flags, options)
    };
    let options =
        std::ffi::CStr::from_bytes_with_nul(options.as_bytes()).map_err(io::Error::other)?;
    Ok(mount("tmpfs", at, "tmpfs", flags, options)?)
}

/// Mounts what is granted onto its own paths, and leaves what is granted to others.
pub(super) fn grants(granted: &[Grant], staged: &[Staged]) -> io::Result<()> {
    // What was not there cannot be mounted: a tool that opens it is told that there is no such file.
    let mine: Vec<&Staged> = staged
        .iter()
        .filter(|staged| granted.contains(&staged.grant))
        .collect();
    let mut made: Vec<&Path> = Vec::new();
    for below in mine.iter().filter_map(|staged| staged.below.as_deref()) {
        if !made.contains(&below) && !mine.iter().any(|staged| staged.grant.path == below) {
            attach(
                memory(&[("mode", "0755"), ("size", "1m")], WRITABLE)?,
                below,
            )?;
            made.push(below);
        }
    }
    // Those above come before those within them.
    for staged in mine {
        if staged.below.is_some() {
            mount_point(&staged.grant.path, staged.directory)?;
        }
        attach(copy(&staged.at)?, &staged.grant.path)?;
    }
    for below in made {
        let at = openat(CWD, below, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        restrict(at, READ_ONLY, Reach::This)?;
    }
    staged
        .iter()
        .try_for_each(|staged| Ok(unmount(&staged.at, UnmountFlags::DETACH)?))
}
