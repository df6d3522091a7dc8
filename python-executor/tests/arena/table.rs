//! The table of the attacks: `attacks/table.toml`. Each has what stops it, and what must be seen of it.

use std::collections::BTreeMap;

use serde::Deserialize;

/// What only the full level has.
const FULL_ONLY: [&str; 12] = [
    "ordinary user",
    "user namespace",
    "mount namespace",
    "net namespace",
    "ipc namespace",
    "uts namespace",
    "cgroup namespace",
    "pid namespace",
    "private root",
    "scratch file system",
    "thread limit",
    "neutral names",
];

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attack {
    #[serde(skip)]
    pub name: String,
    #[serde(skip)]
    pub room: String,
    /// Every mechanism that would stop it alone.
    pub by: Vec<String>,
    /// Parts of what may be seen, between ` | `.
    seen: String,
    /// The same for the reduced level, where it differs.
    reduced: Option<String>,
    /// A snippet; without one the attack is a tool.
    pub code: Option<String>,
}

impl Attack {
    /// What stops it at this level; nothing: the level does not stop it.
    pub fn stopped_by(&self, level: &str) -> Vec<&str> {
        self.by
            .iter()
            .map(String::as_str)
            .filter(|by| level == "full" || !FULL_ONLY.contains(by))
            .collect()
    }

    /// Whether this is what must be seen of it.
    pub fn is_as_told(&self, level: &str, seen: &str) -> bool {
        let told = match &self.reduced {
            Some(reduced) if level == "reduced" => reduced,
            _ => &self.seen,
        };
        !seen.contains("escaped")
            && !seen.contains(super::planted::SECRET)
            && told.split(" | ").any(|part| seen.contains(part))
    }
}

pub fn table() -> Vec<Attack> {
    let text = std::fs::read_to_string(super::attacks().join("table.toml")).unwrap();
    let rooms: BTreeMap<String, BTreeMap<String, Attack>> = toml::from_str(&text).unwrap();
    rooms
        .into_iter()
        .flat_map(|(room, attacks)| {
            attacks.into_iter().map(move |(name, attack)| Attack {
                name,
                room: room.clone(),
                ..attack
            })
        })
        .collect()
}

/// The numbers of the system calls that attacks make by number.
pub fn calls() -> BTreeMap<&'static str, libc::c_long> {
    macro_rules! numbers {
        ($($name:ident)*) => {
            [$((stringify!($name).trim_start_matches("SYS_"), libc::$name)),*]
        };
    }
    #[allow(unused_mut, reason = "only some architectures have more")]
    let mut calls = BTreeMap::from(numbers!(
        SYS_openat2 SYS_name_to_handle_at SYS_open_by_handle_at SYS_socket SYS_connect SYS_socketpair SYS_sendto
        SYS_clone SYS_clone3 SYS_execveat SYS_pidfd_open SYS_pidfd_send_signal SYS_pidfd_getfd SYS_tkill
        SYS_rt_sigqueueinfo SYS_ptrace SYS_process_vm_readv SYS_process_vm_writev SYS_kcmp SYS_migrate_pages
        SYS_unshare SYS_setns SYS_mount SYS_fsopen SYS_open_tree SYS_mount_setattr SYS_umount2 SYS_chroot
        SYS_pivot_root SYS_bpf SYS_io_uring_setup SYS_userfaultfd SYS_perf_event_open SYS_syslog SYS_keyctl
        SYS_add_key SYS_request_key SYS_init_module SYS_kexec_load SYS_reboot SYS_swapon SYS_personality
        SYS_shmget SYS_mq_open SYS_semget SYS_inotify_init1 SYS_fanotify_init SYS_capset SYS_capget
        SYS_landlock_create_ruleset SYS_landlock_add_rule SYS_landlock_restrict_self SYS_memfd_secret SYS_mlockall
    ));
    #[cfg(target_arch = "x86_64")]
    {
        calls.insert("vfork", libc::SYS_vfork);
        // The kernel's second table of calls, for 32-bit pointers, begins at this bit.
        calls.insert("x32_getpid", 0x4000_0000 + libc::SYS_getpid);
    }
    calls
}
