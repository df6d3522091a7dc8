//! What of the file system, the network and other processes a child can reach (Landlock).

use std::{
    os::fd::AsFd,
    path::{Path, PathBuf},
};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd,
    Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetStatus, Scope,
};

use rustix::fs::{FileType, fstat};

use super::{ablation, plan::Grant};

/// The newest rules that are asked for; an older kernel enforces what it knows of them, but at least the first version.
const NEWEST: ABI = ABI::V6;

type Failed = Box<dyn std::error::Error>;

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

/// `readable` can be read, `writable` written too, nothing executed, no TCP.
pub(super) fn rules(readable: &[PathBuf], writable: &[&Path]) -> Result<RulesetCreated, Failed> {
    rules_with(&[], readable, writable)
}

/// The same for a program that starts others: these, which can be read as well.
pub(super) fn rules_with(
    executable: &[PathBuf],
    readable: &[PathBuf],
    writable: &[&Path],
) -> Result<RulesetCreated, Failed> {
    let rules = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(ABI::V1))?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?;
    let of = |paths: &'_ [PathBuf], access| {
        let paths: Vec<_> = paths.iter().map(|path| (path.clone(), access)).collect();
        paths
    };
    let writable = writable.iter().map(|path| ((*path).to_owned(), write()));
    of(executable, read() | AccessFs::Execute)
        .into_iter()
        .chain(of(readable, read()))
        .chain(writable)
        .try_fold(rules, |rules, (path, access)| {
            // What does not exist can neither be read nor written.
            match PathFd::new(path) {
                Ok(at) => allow(rules, at, access),
                Err(_) => Ok(rules),
            }
        })
}

/// The same with what a call is granted beyond.
pub(super) fn grant(rules: RulesetCreated, grants: &[Grant]) -> Result<RulesetCreated, Failed> {
    grants
        .iter()
        .try_fold(rules, |rules, grant| match grant.open() {
            Ok(at) => allow(rules, at, if grant.writable { write() } else { read() }),
            Err(_) => Ok(rules),
        })
}

fn read() -> BitFlags<AccessFs> {
    AccessFs::ReadFile | AccessFs::ReadDir
}

fn write() -> BitFlags<AccessFs> {
    AccessFs::from_all(NEWEST)
        & !(AccessFs::Execute | AccessFs::MakeSock | AccessFs::MakeBlock | AccessFs::MakeChar)
}

fn allow(
    rules: RulesetCreated,
    at: impl AsFd,
    mut access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, Failed> {
    if !FileType::from_raw_mode(fstat(&at)?.st_mode).is_dir() {
        access &= AccessFs::from_file(NEWEST);
    }
    Ok(rules.add_rule(PathBeneath::new(at, access))?)
}

/// Confines the calling process, for good.
pub(super) fn restrict(rules: RulesetCreated) -> Result<(), Failed> {
    if ablation::off("Landlock") {
        return Ok(());
    }
    if rules.restrict_self()?.ruleset == RulesetStatus::NotEnforced {
        return Err("the kernel enforces no rule".into());
    }
    Ok(())
}
