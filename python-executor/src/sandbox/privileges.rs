//! No new privileges, no capabilities, nothing of this process for others to read.

use std::io;

/// For good, for this process and whatever it could start.
pub(super) fn drop_all() -> io::Result<()> {
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1)?;
    prctl(libc::PR_SET_DUMPABLE, 0)?;
    // Version 3 of the header, this process, and two empty words for each of the three sets.
    let header: [u32; 2] = [0x2008_0522, 0];
    let none = [0u32; 6];
    // SAFETY: both pointers are to locals of the sizes that version 3 of capset reads.
    if unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

fn prctl(option: libc::c_int, value: libc::c_ulong) -> io::Result<()> {
    // SAFETY: these options take numbers only.
    if unsafe { libc::prctl(option, value, 0, 0, 0) } == 0 {
        return Ok(());
    }
    Err(io::Error::last_os_error())
}
