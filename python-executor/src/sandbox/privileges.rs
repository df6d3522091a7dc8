//! No new privileges, no capabilities, nothing of this process for others to read.

use std::io;

use rustix::{
    process::{DumpableBehavior, set_dumpable_behavior},
    thread::{
        CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set,
        remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
    },
};

use super::ablation;

/// For good, for this process and whatever it could start. `all`: it has all that there are, of a new user namespace.
pub(super) fn drop_all(all: bool) -> io::Result<()> {
    gain_nothing()?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    if all {
        empty_bounds()?;
    }
    keep(CapabilitySet::empty())
}

/// For good, for a program that takes this one's place.
pub(super) fn drop_before_exec() -> io::Result<()> {
    gain_nothing()?;
    if capabilities(None)?
        .effective
        .contains(CapabilitySet::SETPCAP)
    {
        empty_bounds()?;
    }
    clear_ambient_capability_set()?;
    keep(CapabilitySet::empty())
}

/// For a zygote: what it needs to give each child its own mounts and processes, and no more; nothing, if they have none.
pub(super) fn keep_for_forking(needed: bool) -> io::Result<()> {
    gain_nothing()?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    if capabilities(None)?
        .effective
        .contains(CapabilitySet::SETPCAP)
    {
        empty_bounds()?;
    }
    clear_ambient_capability_set()?;
    keep(if needed {
        CapabilitySet::SYS_ADMIN
    } else {
        CapabilitySet::empty()
    })
}

/// Takes a capability, and is needless without one: who has none, and no new privileges, gains none.
fn empty_bounds() -> io::Result<()> {
    if ablation::off("capabilities") {
        return Ok(());
    }
    for capability in CapabilitySet::all().iter() {
        match remove_capability_from_bounding_set(capability) {
            // The kernel does not know it.
            Ok(()) | Err(rustix::io::Errno::INVAL) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn gain_nothing() -> io::Result<()> {
    if ablation::off("no new privileges") {
        return Ok(());
    }
    Ok(set_no_new_privs(true)?)
}

fn keep(set: CapabilitySet) -> io::Result<()> {
    if ablation::off("capabilities") {
        return Ok(());
    }
    let sets = CapabilitySets {
        effective: set,
        permitted: set,
        inheritable: CapabilitySet::empty(),
    };
    Ok(set_capabilities(None, sets)?)
}
