//! What of the file system, the network and other processes a child can reach (Landlock).

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd,
    Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope,
};

/// The newest rules that are asked for; an older kernel enforces what it knows of them, but at least the first version.
const NEWEST: ABI = ABI::V6;

/// The kernel's version of Landlock; 0 or less: none.
pub(super) fn version() -> i64 {
    const VERSION_ONLY: u32 = 1;
    let no_rules = std::ptr::null::<u8>();
    // SAFETY: with this flag the call reads no memory and only answers a number.
    unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            no_rules,
            0usize,
            VERSION_ONLY,
        )
    }
}

/// Confines the calling process: `readable` can be read, `scratch` written too, nothing executed, no TCP.
pub(super) fn apply(
    readable: &[PathBuf],
    scratch: &Path,
) -> Result<(), Box<dyn std::error::Error>> {
    let read: BitFlags<AccessFs> = AccessFs::ReadFile | AccessFs::ReadDir;
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(ABI::V1))?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?;
    for path in readable {
        // What does not exist cannot be read either.
        if let Ok(at) = PathFd::new(path) {
            let allowed = if path.is_dir() {
                read
            } else {
                AccessFs::ReadFile.into()
            };
            rules = rules.add_rule(PathBeneath::new(at, allowed))?;
        }
    }
    let write = AccessFs::from_all(NEWEST)
        & !(AccessFs::Execute | AccessFs::MakeSock | AccessFs::MakeBlock | AccessFs::MakeChar);
    let scratch = PathFd::new(scratch)?;
    let status = rules
        .add_rule(PathBeneath::new(scratch, write))?
        .restrict_self()?;
    if status.ruleset == RulesetStatus::NotEnforced {
        return Err("the kernel enforces no rule".into());
    }
    Ok(())
}
