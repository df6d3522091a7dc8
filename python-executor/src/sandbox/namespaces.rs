//! The namespaces of a jail, and who its processes are in them.
//!
//! In a user namespace an ordinary user may make all the others. Outside of it the processes are the caller, or nobody
//! in particular where the caller is root; inside a zygote is uid 1000, and a child, whose own user namespace has no names
//! for users, is nobody (65534).

use std::{
    fs,
    io::{self, Read, Write},
    os::fd::OwnedFd,
};

use rustix::{
    pipe::{PipeFlags, pipe_with},
    process::{Gid, Pid, Uid, WaitOptions, getegid, geteuid, getpid, waitpid},
    thread::{
        UnshareFlags, capabilities, set_capabilities, set_keep_capabilities, set_thread_groups,
        set_thread_res_gid, set_thread_res_uid, unshare_unsafe,
    },
};

use super::{ablation, forbidden::namespaces as unavailable, unavailable::Unavailable};

/// The user and group that the processes have inside.
const INSIDE: u32 = 1000;
/// The user and group that they have outside when the caller is root: by custom, one that owns nothing.
const NOBODY: u32 = 65534;

/// Who the processes of the jail are to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Identity {
    /// User and group, as seen where the processes are.
    pub(super) id: u32,
    /// The caller is root, so that there are privileges to put down.
    root: bool,
}

/// Puts the calling process, which must have one thread, into namespaces of its own; and its next child, which is the
/// first process of its process namespace.
pub(super) fn separate() -> Result<Identity, Unavailable> {
    let root = geteuid().is_root() && maps_nobody();
    let mut others = UnshareFlags::NEWNS | UnshareFlags::NEWCGROUP;
    for (name, flag) in [
        ("net namespace", UnshareFlags::NEWNET),
        ("ipc namespace", UnshareFlags::NEWIPC),
        ("uts namespace", UnshareFlags::NEWUTS),
        ("pid namespace", UnshareFlags::NEWPID),
    ] {
        others.set(flag, !ablation::off(name));
    }
    let mapper = Mapper::start(root).map_err(|error| unavailable("a helper process", &error))?;
    // SAFETY: no descriptor table is unshared that another thread could use: there is none.
    match unsafe { unshare_unsafe(UnshareFlags::NEWUSER | others) } {
        Ok(()) => {
            mapper
                .finish(true)
                .map_err(|error| unavailable("writing the user namespace's maps", &error))?;
            Ok(Identity { id: INSIDE, root })
        }
        Err(no_user_namespace) if root => {
            mapper
                .finish(false)
                .map_err(|error| unavailable("a helper process", &error))?;
            // SAFETY: as above.
            unsafe { unshare_unsafe(others) }
                .map_err(|_| unavailable("unshare", &no_user_namespace.into()))?;
            Ok(Identity { id: NOBODY, root })
        }
        Err(error) => Err(unavailable("unshare", &error.into())),
    }
}

impl Identity {
    /// Makes the calling process what it is to be. Its capabilities, which count in its namespaces, stay.
    pub(super) fn assume(self) -> io::Result<()> {
        if self.root {
            set_thread_groups(&[])?;
        }
        let (uid, gid) = (Uid::from_raw(self.id), Gid::from_raw(self.id));
        set_keep_capabilities(true)?;
        set_thread_res_gid(gid, gid, gid)?;
        set_thread_res_uid(uid, uid, uid)?;
        set_keep_capabilities(false)?;
        let mut sets = capabilities(None)?;
        sets.effective = sets.permitted;
        Ok(set_capabilities(None, sets)?)
    }

    /// Whether files that the caller can read may be unreadable for the jail.
    pub(super) fn is_another_user(self) -> bool {
        self.root
    }
}

/// Puts the calling process, a child with one thread, into a user namespace of its own, so that the kernel counts its
/// threads apart from those of other children. Whoever it is outside it stays; what it may do in there is dropped later.
pub(super) fn count_apart() -> io::Result<()> {
    // SAFETY: no descriptor table is unshared.
    Ok(unsafe { unshare_unsafe(UnshareFlags::NEWUSER) }?)
}

/// Whether a child will be able to: found out by one that ends at once.
pub(super) fn can_count_apart() -> io::Result<bool> {
    // SAFETY: this process has one thread, so that its copy finds no lock held.
    match unsafe { libc::fork() } {
        0 => {
            let status = i32::from(count_apart().is_err());
            // SAFETY: ends the process at once, with nothing of its parent's flushed or undone.
            unsafe { libc::_exit(status) }
        }
        pid => {
            let process = Pid::from_raw(pid).filter(|_| pid > 0);
            let process = process.ok_or_else(io::Error::last_os_error)?;
            let ended = waitpid(Some(process), WaitOptions::empty())?;
            Ok(ended.and_then(|(_, status)| status.exit_status()) == Some(0))
        }
    }
}

/// Whether there is a user 65534 where the caller is: in a container of a single user there is none.
fn maps_nobody() -> bool {
    ["/proc/self/uid_map", "/proc/self/gid_map"].iter().all(|file| {
        let text = fs::read_to_string(file).unwrap_or_default();
        text.lines().any(|line| {
            let mut words = line.split_whitespace().map(str::parse);
            matches!(
                (words.next(), words.nth(1)),
                (Some(Ok(first)), Some(Ok(count))) if (first..first + count).contains(&u64::from(NOBODY))
            )
        })
    })
}

/// A process that stays outside of the user namespace and writes its maps, which takes privileges of outside when they
/// name another user than the caller.
struct Mapper {
    process: Pid,
    go: OwnedFd,
}

impl Mapper {
    fn start(root: bool) -> io::Result<Self> {
        let target = getpid();
        let (wait, go) = pipe_with(PipeFlags::CLOEXEC)?;
        // SAFETY: this process has one thread, so that its copy finds no lock held.
        match unsafe { libc::fork() } {
            0 => {
                drop(go);
                let status = match write_maps(wait, target, root) {
                    Ok(()) => 0,
                    Err(error) => error.raw_os_error().unwrap_or(libc::EIO),
                };
                // SAFETY: ends the process at once, with nothing of its parent's flushed or undone.
                unsafe { libc::_exit(status) }
            }
            pid => match Pid::from_raw(pid) {
                Some(process) if pid > 0 => Ok(Self { process, go }),
                _ => Err(io::Error::last_os_error()),
            },
        }
    }

    /// Has the maps of the calling process written, or not, and sees the helper end.
    fn finish(self, write: bool) -> io::Result<()> {
        let mut go = fs::File::from(self.go);
        if write {
            go.write_all(b"!")?;
        }
        drop(go);
        let ended = waitpid(Some(self.process), WaitOptions::empty())?;
        match ended.and_then(|(_, status)| status.exit_status()) {
            Some(0) => Ok(()),
            error => Err(io::Error::from_raw_os_error(error.unwrap_or(libc::EIO))),
        }
    }
}

fn write_maps(wait: OwnedFd, target: Pid, root: bool) -> io::Result<()> {
    let mut word = [0];
    if fs::File::from(wait).read(&mut word)? == 0 {
        return Ok(());
    }
    let of = |file: &str| format!("/proc/{}/{file}", target.as_raw_nonzero());
    let outside = if root {
        (NOBODY, NOBODY)
    } else {
        // The kernel's condition for letting an ordinary user map his group.
        fs::write(of("setgroups"), "deny")?;
        (geteuid().as_raw(), getegid().as_raw())
    };
    fs::write(of("uid_map"), format!("{INSIDE} {} 1", outside.0))?;
    fs::write(of("gid_map"), format!("{INSIDE} {} 1", outside.1))
}
