//! Which system calls a child is refused (seccomp). The lists are data, each entry with its reason:
//! `policy/seccomp-deny.json`.

use std::collections::HashMap;

use seccompiler::{BpfProgram, TargetArch};

const POLICY: &str = include_str!("../../policy/seccomp-deny.json");

/// The compiled lists.
#[derive(Debug)]
pub(crate) struct Filters(Vec<BpfProgram>);

impl Filters {
    pub(crate) fn compile() -> Result<Self, String> {
        let arch = std::env::consts::ARCH;
        let target: TargetArch = arch
            .try_into()
            .map_err(|_| format!("no system call table for {arch}"))?;
        let mut policy: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(POLICY).map_err(|error| error.to_string())?;
        // Lists of one architecture name calls that others do not have.
        policy.retain(|name, _| {
            name.split_once("refuse_")
                .is_none_or(|(_, only)| only == arch)
        });
        let json = serde_json::Value::Object(policy).to_string();
        let programs: HashMap<String, BpfProgram> =
            seccompiler::compile_from_json(json.as_bytes(), target)
                .map_err(|error| error.to_string())?;
        Ok(Self(programs.into_values().collect()))
    }

    /// For the calling process, for good.
    pub(super) fn apply(&self) -> Result<(), String> {
        // seccomp itself stays allowed, so the order does not matter.
        self.0.iter().try_for_each(|program| {
            seccompiler::apply_filter(program).map_err(|error| error.to_string())
        })
    }
}

pub(super) fn available() -> bool {
    let mode = libc::c_ulong::from(libc::SECCOMP_MODE_FILTER);
    // SAFETY: a null filter is never read beyond its address; a kernel with filters answers EFAULT.
    let answer = unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, std::ptr::null::<u8>(), 0, 0) };
    answer == -1 && std::io::Error::last_os_error().raw_os_error() == Some(libc::EFAULT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_a_reason_and_the_lists_compile() {
        let policy: HashMap<String, serde_json::Value> = serde_json::from_str(POLICY).unwrap();
        for (name, list) in &policy {
            for entry in list["filter"].as_array().unwrap() {
                assert!(
                    entry["comment"]
                        .as_str()
                        .is_some_and(|reason| reason.len() > 8),
                    "{name}: {entry}"
                );
            }
        }
        assert!(Filters::compile().unwrap().0.len() >= 3);
    }
}
