//! Which system calls there are (seccomp). The lists are data, each entry with its reason.
//!
//! `policy/seccomp-allow.json` is the zygote's: what it, its children and their tools call, and what only an attacker
//! calls. It is long, so it is installed once. `policy/seccomp-deny.json` is short and for each child: what zygotes and
//! children need before a tool's code runs, and tools do not. `policy/seccomp-server.json` is for programs of others (MCP
//! servers), of which nobody knows what they call: what they are refused, at every level and, where they share the machine
//! with others, `beside` these. An entry with `only` is for one architecture, one with
//! `spare` for a call that well-behaved tools may make and Debian's Python on this machine does not.

use std::collections::HashMap;

use seccompiler::{BpfProgram, TargetArch};
use serde_json::{Map, Value};

use super::ablation;

const ALLOW: &str = include_str!("../../policy/seccomp-allow.json");
const DENY: &str = include_str!("../../policy/seccomp-deny.json");
const SERVER: &str = include_str!("../../policy/seccomp-server.json");

/// The compiled lists, in the order in which they are installed: the last has the last word on how a call fails.
#[derive(Debug)]
pub(super) struct Filters {
    zygote: Vec<BpfProgram>,
    child: Vec<BpfProgram>,
}

impl Filters {
    pub(super) fn compile() -> Result<Self, String> {
        let arch = std::env::consts::ARCH;
        Ok(Self {
            zygote: compile(ALLOW, arch)?,
            child: compile(DENY, arch)?,
        })
    }

    /// For the zygote and all its children, for good.
    pub(super) fn apply_to_zygote(&self) -> Result<(), String> {
        apply(&self.zygote)
    }

    /// For a child, for good: the last that it does before a tool's code.
    pub(super) fn apply_to_child(&self) -> Result<(), String> {
        apply(&self.child)
    }
}

/// For a program of somebody else's, for good. `beside`: there are other processes that it can see.
pub(super) fn confine_program(beside: bool) -> Result<(), String> {
    let arch = std::env::consts::ARCH;
    let mut lists: Map<String, Value> =
        serde_json::from_str(SERVER).map_err(|no| no.to_string())?;
    if !beside {
        lists.remove("beside");
    }
    if arch == "x86_64" {
        apply(&[no_x32()])?;
    }
    apply(&compile(&Value::Object(lists).to_string(), arch)?)
}

/// x86-64 kernels may have all calls a second time, by numbers from 2^30 on, which a list of refused calls would miss.
fn no_x32() -> BpfProgram {
    let step = |code: u32, jf, k| seccompiler::sock_filter {
        code: code as u16,
        jt: 0,
        jf,
        k,
    };
    vec![
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        step(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 1, 1 << 30),
        step(
            libc::BPF_RET | libc::BPF_K,
            0,
            libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32,
        ),
        step(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW),
    ]
}

fn apply(programs: &[BpfProgram]) -> Result<(), String> {
    if ablation::off("seccomp") {
        return Ok(());
    }
    programs
        .iter()
        .try_for_each(|program| seccompiler::apply_filter(program).map_err(|no| no.to_string()))
}

/// The lists of a file, each a program.
fn compile(policy: &str, arch: &str) -> Result<Vec<BpfProgram>, String> {
    let target: TargetArch = arch
        .try_into()
        .map_err(|_| format!("no system call table for {arch}"))?;
    let policy: Map<String, Value> = serde_json::from_str(policy).map_err(|no| no.to_string())?;
    let mut programs = Vec::new();
    for (name, mut list) in policy {
        if let Some(entries) = list.get_mut("filter").and_then(Value::as_array_mut) {
            entries.retain_mut(|entry| {
                let Some(entry) = entry.as_object_mut() else {
                    return false;
                };
                entry.remove("spare");
                entry.remove("only").is_none_or(|only| only == arch)
            });
        }
        let one = Value::Object(Map::from_iter([(name.clone(), list)])).to_string();
        let mut compiled: HashMap<String, BpfProgram> =
            seccompiler::compile_from_json(one.as_bytes(), target).map_err(|no| no.to_string())?;
        programs.extend(compiled.remove(&name));
    }
    Ok(programs)
}

pub(super) fn available() -> bool {
    let mode = libc::c_ulong::from(libc::SECCOMP_MODE_FILTER);
    // SAFETY: a null filter is never read beyond its address; a kernel with filters answers EFAULT.
    let answer = unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, std::ptr::null::<u8>(), 0, 0) };
    answer == -1 && std::io::Error::last_os_error().raw_os_error() == Some(libc::EFAULT)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::PathBuf, process::Command};

    use super::*;

    const BOTH: [&str; 2] = ["x86_64", "aarch64"];

    fn entries() -> Vec<Value> {
        let lists = [ALLOW, DENY, SERVER]
            .map(|text| serde_json::from_str::<Map<String, Value>>(text).unwrap());
        let lists = lists.iter().flat_map(Map::values);
        lists
            .flat_map(|list| list["filter"].as_array().unwrap().clone())
            .collect()
    }

    /// The calls that a list names on an architecture.
    fn names(arch: &str) -> BTreeSet<String> {
        let there = |entry: &Value| entry.get("only").is_none_or(|only| only == arch);
        let entries = entries();
        let there = entries.iter().filter(|entry| there(entry));
        there
            .map(|entry| entry["syscall"].as_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn every_entry_has_a_reason_and_no_two_are_the_same() {
        for list in [ALLOW, DENY, SERVER] {
            let mut seen = BTreeSet::new();
            let lists: Map<String, Value> = serde_json::from_str(list).unwrap();
            for (name, list) in lists {
                for entry in list["filter"].as_array().unwrap() {
                    let reason = entry["comment"].as_str().unwrap();
                    assert!(reason.len() > 8, "{name}: {entry}");
                    let of_args = format!("{:?}", entry.get("args"));
                    let key = format!("{name} {} {of_args}", entry["syscall"]);
                    assert!(seen.insert(key), "twice in {name}: {entry}");
                }
            }
        }
    }

    /// No call is on two lists of the zygote: one of them would be without effect.
    #[test]
    fn what_is_killed_is_not_allowed() {
        let lists: Map<String, Value> = serde_json::from_str(ALLOW).unwrap();
        let of = |name: &str| -> BTreeSet<String> {
            let list = lists[name]["filter"].as_array().unwrap();
            list.iter()
                .map(|entry| entry["syscall"].to_string())
                .collect()
        };
        for (a, b) in [("kill", "allow"), ("kill", "absent"), ("allow", "absent")] {
            assert!(of(a).is_disjoint(&of(b)), "{a} and {b}");
        }
    }

    /// The number that a call has in a compiled list of it alone.
    fn number(name: &str, arch: &str) -> u32 {
        let list = serde_json::json!({"one": {
            "mismatch_action": "allow", "match_action": "trap", "filter": [{"syscall": name}]
        }});
        let [program] =
            <[BpfProgram; 1]>::try_from(compile(&list.to_string(), arch).unwrap()).unwrap();
        // The number is compared with right after it was loaded from the beginning of the call's data.
        let at = program
            .iter()
            .position(|step| step.code == 0x20 && step.k == 0)
            .unwrap();
        program[at + 1].k
    }

    /// The numbers that the source of a crate has.
    fn of_crate(name: &str, file: &str, before: &str, between: &str) -> HashMap<String, u32> {
        let cargo = std::env::var("CARGO").unwrap_or("cargo".to_owned());
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        let output = Command::new(cargo)
            .args([
                "metadata",
                "--format-version",
                "1",
                "--offline",
                // Of other platforms a build has fetched no crates.
                "--filter-platform",
                &format!("{}-unknown-linux-gnu", std::env::consts::ARCH),
                "--manifest-path",
                manifest,
            ])
            .output()
            .unwrap();
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        let packages = told["packages"].as_array().unwrap();
        let found = packages.iter().find(|package| {
            package["name"] == name && package["version"].as_str().unwrap().starts_with("0.")
        });
        let manifest = PathBuf::from(found.unwrap()["manifest_path"].as_str().unwrap());
        let text = std::fs::read_to_string(manifest.with_file_name("src").join(file)).unwrap();
        text.lines()
            .filter_map(|line| line.trim().strip_prefix(before)?.split_once(between))
            .filter_map(|(name, number)| {
                Some((name.to_owned(), number.trim_end_matches(';').parse().ok()?))
            })
            .collect()
    }

    fn of_libc(file: &str) -> HashMap<String, u32> {
        let file = format!("unix/linux_like/linux/gnu/b64/{file}");
        of_crate("libc", &file, "pub const SYS_", ": c_long = ")
    }

    /// As the kernel's own headers have them: libc lacks a few.
    fn of_kernel(arch: &str) -> HashMap<String, u32> {
        let file = format!("{arch}/general.rs");
        of_crate("linux-raw-sys", &file, "pub const __NR_", ": u32 = ")
    }

    #[test]
    fn each_name_has_the_libc_crates_number_on_both_architectures() {
        for (arch, file) in [
            ("x86_64", "x86_64/not_x32.rs"),
            ("aarch64", "aarch64/mod.rs"),
        ] {
            let (libc, kernel) = (of_libc(file), of_kernel(arch));
            let names = names(arch);
            let known = names.iter().filter(|name| libc.contains_key(*name));
            assert!(
                known.count() + 5 > names.len(),
                "libc has nearly all on {arch}"
            );
            for name in names {
                let number = Some(&number(&name, arch));
                assert_eq!(kernel.get(&name), number, "{name} on {arch}");
                let of_libc = libc.get(&name);
                assert!(of_libc.is_none() || of_libc == number, "{name} on {arch}");
            }
        }
    }

    /// A call that both have, but is listed for one only, would be forgotten on the other.
    #[test]
    fn what_is_for_one_architecture_is_not_there_on_the_other() {
        let numbers = of_kernel("aarch64");
        for name in names("x86_64").difference(&names("aarch64")) {
            assert!(!numbers.contains_key(name), "{name}");
        }
    }

    #[test]
    fn the_lists_compile_on_both_architectures() {
        for arch in BOTH {
            assert_eq!(compile(ALLOW, arch).unwrap().len(), 3);
            assert_eq!(compile(DENY, arch).unwrap().len(), 2);
            assert_eq!(compile(SERVER, arch).unwrap().len(), 3);
        }
        assert!(compile(ALLOW, "mips").unwrap_err().contains("mips"));
    }
}
