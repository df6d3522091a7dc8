use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{Call, Cgroups, Kernel, Usage, own_group, write};
use crate::{policy::Policy, sandbox::Limits};

/// The files that the kernel puts into a new group with the two controllers.
const FILES: [(&str, &str); 9] = [
    ("cgroup.procs", ""),
    ("cgroup.kill", ""),
    ("memory.max", "max\n"),
    ("memory.swap.max", "max\n"),
    ("memory.oom.group", "0\n"),
    ("memory.peak", "0\n"),
    (
        "memory.events",
        "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n",
    ),
    ("pids.max", "max\n"),
    ("cgroup.subtree_control", ""),
];

const FAKE: Kernel = Kernel {
    make: |path| {
        fs::create_dir(path)?;
        FILES
            .iter()
            .try_for_each(|(file, text)| fs::write(path.join(file), text))
    },
    // As the kernel does: a group with processes stays, whatever files it has.
    remove: |path| {
        let killed = fs::read_to_string(path.join("cgroup.kill"))? == "1";
        if !killed && !fs::read_to_string(path.join("cgroup.procs"))?.is_empty() {
            return Err(io::Error::from_raw_os_error(libc::EBUSY));
        }
        fs::remove_dir_all(path)
    },
};

fn delegated(controllers: &str) -> tempfile::TempDir {
    let room = tempfile::tempdir().unwrap();
    fs::write(room.path().join("cgroup.controllers"), controllers).unwrap();
    fs::write(room.path().join("cgroup.subtree_control"), "").unwrap();
    fs::write(room.path().join("cgroup.procs"), "").unwrap();
    room
}

fn taken(room: &tempfile::TempDir) -> Cgroups {
    Cgroups::take(room.path(), 77, FAKE).unwrap()
}

fn text(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap()
}

/// The groups in a directory.
fn groups(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn limits() -> Limits {
    Limits::of(&Policy {
        memory_mib: 100,
        scratch_mib: 10,
        ..Policy::default()
    })
}

#[test]
fn the_supervisor_moves_into_a_leaf_before_controllers_are_handed_on() {
    let room = delegated("cpu memory pids\n");
    let cgroups = taken(&room);
    let leaf = room.path().join("callspan-77-supervisor");
    assert_eq!(text(leaf.join("cgroup.procs")), "77");
    assert_eq!(
        text(room.path().join("cgroup.subtree_control")),
        "+memory +pids"
    );
    fs::write(leaf.join("cgroup.procs"), "").unwrap();
    drop(cgroups);
    assert_eq!(groups(room.path()), [""; 0]);
    // Overwritten from the front, as in a file; the kernel takes each as a command.
    assert!(text(room.path().join("cgroup.subtree_control")).starts_with("-memory -pids"));
    assert_eq!(text(room.path().join("cgroup.procs")), "0");
}

#[test]
fn a_call_has_the_limits_of_its_policy() {
    let room = delegated("memory pids");
    let cgroups = taken(&room);
    let call = cgroups.create(5, &limits()).unwrap();
    call.add(4321).unwrap();
    let at = room.path().join("callspan-77-5");
    for (file, wanted) in [
        ("memory.max", "115343360"),
        ("memory.swap.max", "0"),
        ("memory.oom.group", "1"),
        ("pids.max", "32"),
        ("cgroup.procs", "4321"),
        ("cgroup.kill", ""),
    ] {
        // What the kernel's file said before is longer in places: a write does not shorten it here.
        assert!(
            text(at.join(file)).starts_with(wanted),
            "{file}: {:?}",
            text(at.join(file))
        );
    }
}

#[test]
fn at_its_end_all_is_killed_counted_and_removed() {
    let room = delegated("memory pids");
    let cgroups = taken(&room);
    let call = cgroups.create(5, &limits()).unwrap();
    let at = room.path().join("callspan-77-5");
    fs::write(at.join("memory.peak"), "123456\n").unwrap();
    fs::write(
        at.join("memory.events"),
        "max 9\noom 1\noom_kill 2\noom_group_kill 0\n",
    )
    .unwrap();
    call.add(4321).unwrap();
    let wanted = Usage {
        peak_memory: Some(123_456),
        out_of_memory: true,
    };
    assert_eq!(call.usage(), wanted);
    drop(call);
    assert_eq!(groups(room.path()), ["callspan-77-supervisor"]);
}

#[test]
fn an_older_kernel_tells_less_and_limits_the_same() {
    let older = Kernel {
        make: |path| {
            (FAKE.make)(path)?;
            fs::remove_file(path.join("memory.peak"))?;
            fs::remove_file(path.join("memory.swap.max"))
        },
        remove: |path| fs::remove_dir_all(path),
    };
    let room = delegated("memory pids");
    let cgroups = Cgroups::take(room.path(), 77, older).unwrap();
    let call = cgroups.create(5, &limits()).unwrap();
    assert_eq!(call.usage(), Usage::default());
    drop(call);
    assert_eq!(groups(room.path()), ["callspan-77-supervisor"]);
}

#[tokio::test]
async fn a_group_whose_processes_are_slow_to_go_is_tried_again() {
    let room = delegated("memory pids");
    let cgroups = taken(&room);
    let call = cgroups.create(5, &limits()).unwrap();
    call.add(4321).unwrap();
    let at = room.path().join("callspan-77-5");
    // A kernel that cannot kill by the group: it is busy until the process is gone.
    fs::remove_file(at.join("cgroup.kill")).unwrap();
    fs::create_dir(at.join("cgroup.kill")).unwrap();
    let busy = Call {
        dir: at.clone(),
        kernel: Kernel {
            remove: |path| match fs::read_to_string(path.join("cgroup.procs"))?.as_str() {
                "" => fs::remove_dir_all(path),
                _ => Err(io::Error::from_raw_os_error(libc::EBUSY)),
            },
            ..FAKE
        },
    };
    let going = at.join("cgroup.procs");
    drop(busy);
    tokio::time::sleep(super::PAUSE * 3).await;
    assert!(at.exists());
    fs::write(going, "").unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
    while at.exists() {
        assert!(std::time::Instant::now() < deadline);
        tokio::time::sleep(super::PAUSE).await;
    }
    drop(call);
}

#[test]
fn a_call_that_is_dropped_is_killed_and_gone() {
    let room = delegated("memory pids");
    let cgroups = taken(&room);
    let call = cgroups.create(5, &limits()).unwrap();
    call.add(4321).unwrap();
    drop(call);
    assert_eq!(groups(room.path()), ["callspan-77-supervisor"]);
}

#[test]
fn a_limit_that_cannot_be_set_makes_no_call() {
    let lacking = Kernel {
        make: |path| {
            (FAKE.make)(path)?;
            // The supervisor's leaf needs no limits.
            match fs::remove_file(path.join("pids.max")) {
                _ if path.ends_with("callspan-77-supervisor") => Ok(()),
                done => done,
            }
        },
        ..FAKE
    };
    let room = delegated("memory pids");
    let cgroups = Cgroups::take(room.path(), 77, lacking).unwrap();
    assert!(cgroups.create(5, &limits()).is_err());
    assert_eq!(groups(room.path()), ["callspan-77-supervisor"]);
}

#[test]
fn what_is_not_delegated_is_told_with_a_cure_and_left_as_it_was() {
    let room = delegated("cpu memory");
    let why = Cgroups::take(room.path(), 77, FAKE).unwrap_err();
    assert!(
        why.why
            .starts_with("the pids controller is not delegated to "),
        "{why:?}"
    );
    assert!(why.cure.contains("Delegate=yes"), "{why:?}");
    let none = Cgroups::find(Some(&room.path().join("none"))).unwrap_err();
    assert!(none.why.contains("is no group of cgroup v2"), "{none:?}");
    // It cannot hand on: the supervisor goes back.
    let room = delegated("memory pids");
    fs::remove_file(room.path().join("cgroup.subtree_control")).unwrap();
    let gone = Kernel {
        remove: |path| fs::remove_dir_all(path),
        ..FAKE
    };
    let why = Cgroups::take(room.path(), 77, gone).unwrap_err();
    assert!(why.why.contains("hands no controllers on"), "{why:?}");
    assert_eq!(groups(room.path()), [""; 0]);
    assert_eq!(text(room.path().join("cgroup.procs")), "0");
}

#[test]
fn what_killed_executors_left_is_swept_and_nothing_else() {
    let room = delegated("memory pids");
    // No process has a number as high as the first; the second is this one's.
    let [dead, alive] = [
        "callspan-999999999-4".to_owned(),
        format!("callspan-{}-4", std::process::id()),
    ];
    for name in [
        dead.as_str(),
        alive.as_str(),
        "another",
        "callspan-999999999-busy",
    ] {
        (FAKE.make)(&room.path().join(name)).unwrap();
    }
    write(
        &room.path().join("callspan-999999999-busy"),
        "cgroup.procs",
        &1,
    )
    .unwrap();
    let _cgroups = taken(&room);
    let mut left = vec![
        "another".to_owned(),
        alive,
        "callspan-77-supervisor".into(),
        "callspan-999999999-busy".into(),
    ];
    left.sort();
    assert_eq!(groups(room.path()), left);
}

#[test]
fn the_own_group_is_found_where_it_is_mounted() {
    let mounts = |root: &str, at: &str| {
        format!(
            "22 1 0:20 / /proc rw - proc proc rw\n30 22 0:26 {root} {at} rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
        )
    };
    let found = |cgroup: &str, mounts: &str| own_group(cgroup, mounts).map_err(|why| why.why);
    let scope = "/user.slice/run.scope";
    let at = "/sys/fs/cgroup";
    for (cgroup, table, wanted) in [
        (
            format!("0::{scope}\n"),
            mounts("/", at),
            format!("{at}{scope}"),
        ),
        (
            format!("4:memory:/x\n0::{scope}\n"),
            mounts("/", "/sys/fs/cgroup/unified"),
            format!("/sys/fs/cgroup/unified{scope}"),
        ),
        ("0::/\n".to_owned(), mounts("/", at), at.to_owned()),
        (
            format!("0::{scope}\n"),
            mounts("/user.slice", at),
            format!("{at}/run.scope"),
        ),
    ] {
        assert_eq!(found(&cgroup, &table), Ok(PathBuf::from(wanted)));
    }
    let no = |cgroup: &str, table: &str| found(cgroup, table).unwrap_err();
    assert_eq!(
        no("4:memory:/x\n", &mounts("/", at)),
        "there is no cgroup v2 here"
    );
    assert_eq!(
        no("0::/\n", "22 1 0:20 / /proc rw - proc proc rw\n"),
        "cgroup v2 is not mounted"
    );
    assert!(no("0::/a\n", &mounts("/b", at)).contains("is not in what is mounted"));
}
