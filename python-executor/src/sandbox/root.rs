//! The root directory of the jail: a small file system in memory with the system's libraries, Python, our package and
//! the tools, each read-only and under a name that says nothing of the host.

use std::{
    fs, io,
    os::fd::{AsFd, OwnedFd},
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{CWD, Mode, OFlags, openat},
    mount::{MountPropagationFlags, UnmountFlags, mount_change, unmount},
    process::{chdir, fchdir, pivot_root},
};

use super::{
    ablation,
    inside::{BOX, Inside},
    mounts::{
        DEVICE, READ_ONLY, Reach, WRITABLE, attach, attach_at, copy, copy_of, memory, restrict,
    },
    plan::{Grant, Plan},
};

/// Where granted paths wait for the children that may have them.
pub(super) const STAGE: &str = "/stage";
/// Names in the root that are the jail's own.
const OURS: [&str; 6] = ["venv", "callspan", "tools", "box", "stage", "proc"];
/// Of the system, as far as a host has it.
pub(super) const SYSTEM: [&str; 7] = ["usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32"];
/// Public files of /etc: where libraries are, what time it is, whose certificates are believed.
pub(super) const SETTINGS: [&str; 7] = [
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/pki/tls/certs",
    "/etc/pki/ca-trust/extracted",
    "/etc/ca-certificates/extracted",
];
pub(super) const DEVICES: [&str; 3] = ["/dev/null", "/dev/zero", "/dev/urandom"];

/// What could not be done, and why.
pub(super) type Failed = (String, io::Error);

/// Something for the new root.
enum Piece {
    /// A copy of a mount of the host's.
    Tree {
        at: PathBuf,
        tree: OwnedFd,
        directory: bool,
    },
    Link {
        at: PathBuf,
        to: PathBuf,
    },
    File {
        at: PathBuf,
        text: String,
    },
}

/// A granted path, ready to be mounted by a child.
#[derive(Debug)]
pub(super) struct Staged {
    pub(super) grant: Grant,
    pub(super) at: PathBuf,
    pub(super) directory: bool,
    /// The directory of the root below which the child first has to make room.
    pub(super) below: Option<PathBuf>,
}

/// The pieces, taken from the host while the caller's rights still count.
pub(super) struct Pieces {
    all: Vec<Piece>,
    grants: Vec<(Grant, OwnedFd, bool)>,
    /// First names that all children see.
    common: Vec<PathBuf>,
}

fn while_<E: Into<io::Error>>(what: impl Into<String>) -> impl FnOnce(E) -> Failed {
    let what = what.into();
    |error| (what, error.into())
}

/// Takes copies of all that the plan names.
pub(super) fn gather(plan: &Plan, inside: &Inside) -> Result<Pieces, Failed> {
    let mut gathered = Gathered::system()?;
    gathered.venv(&plan.venv, &inside.venv)?;
    if ablation::off("private root") {
        gathered.tree(Path::new("/tmp"), Path::new("/tmp"), WRITABLE)?;
    }
    gathered.tree(&plan.package, &inside.package, READ_ONLY)?;
    gathered.tree(&plan.tools, &inside.tools, READ_ONLY)?;
    gathered.with(&plan.readable, &plan.granted)
}

/// Takes copies of what a program of somebody else's is to see beside the system.
pub(super) fn gather_for_program(
    readable: &[PathBuf],
    granted: &[Grant],
) -> Result<Pieces, Failed> {
    Gathered::system()?.with(readable, granted)
}

struct Gathered(Vec<Piece>);

impl Gathered {
    /// What all see of the machine.
    fn system() -> Result<Self, Failed> {
        // Nothing that is mounted here is to be seen outside, nor the other way round.
        let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        mount_change("/", private).map_err(while_("making mounts private"))?;
        let mut gathered = Self(Vec::new());
        for name in SYSTEM {
            gathered.like_the_host(&Path::new("/").join(name))?;
        }
        for path in SETTINGS.iter().chain(&["/nix/store"]) {
            gathered.like_the_host(Path::new(path))?;
        }
        for path in DEVICES {
            gathered.tree(Path::new(path), Path::new(path), DEVICE)?;
        }
        Ok(gathered)
    }

    fn with(mut self, readable: &[PathBuf], granted: &[Grant]) -> Result<Pieces, Failed> {
        let mut readable: Vec<&PathBuf> = readable.iter().collect();
        readable.sort();
        for path in readable {
            if !self.has(path) {
                own_name(path).map_err(while_(path.display().to_string()))?;
                self.tree(path, path, READ_ONLY)?;
            }
        }
        let mut granted = granted.to_vec();
        granted.sort();
        let grants = granted.iter().filter_map(stage);
        Ok(Pieces {
            grants: grants.collect::<Result<_, _>>()?,
            common: (self.0.iter())
                .filter_map(|piece| own_name(piece.at()).ok())
                .collect(),
            all: self.0,
        })
    }

    /// Whether this path is already to be seen.
    fn has(&self, path: &Path) -> bool {
        self.0
            .iter()
            .any(|piece| matches!(piece, Piece::Tree { at, .. } if path.starts_with(at)))
    }

    fn tree(&mut self, host: &Path, at: &Path, attributes: u64) -> Result<(), Failed> {
        let doing = || format!("mounting {}", host.display());
        let directory = fs::metadata(host).map_err(while_(doing()))?.is_dir();
        let tree = copy(host).map_err(while_(doing()))?;
        restrict(&tree, attributes, Reach::All).map_err(while_(doing()))?;
        self.0.push(Piece::Tree {
            at: at.to_owned(),
            tree,
            directory,
        });
        Ok(())
    }

    /// A symbolic link as a symbolic link, anything else as itself, what is not there not at all.
    fn like_the_host(&mut self, path: &Path) -> Result<(), Failed> {
        self.like(path, path)
    }

    fn like(&mut self, host: &Path, at: &Path) -> Result<(), Failed> {
        match fs::symlink_metadata(host) {
            Err(_) => Ok(()),
            Ok(kind) if kind.is_symlink() => {
                let to = fs::read_link(host).map_err(while_(host.display().to_string()))?;
                self.0.push(Piece::Link {
                    at: at.to_owned(),
                    to,
                });
                Ok(())
            }
            Ok(_) => self.tree(host, at, READ_ONLY),
        }
    }

    /// Its packages, without its scripts and what its settings tell of where it was made.
    fn venv(&mut self, host: &Path, at: &Path) -> Result<(), Failed> {
        let failed = || host.display().to_string();
        for entry in fs::read_dir(host).map_err(while_(failed()))? {
            let name = entry.map_err(while_(failed()))?.file_name();
            if name != "bin" && name != "pyvenv.cfg" {
                self.like(&host.join(&name), &at.join(&name))?;
            }
        }
        let settings = host.join("pyvenv.cfg");
        let text = fs::read_to_string(&settings).map_err(while_(settings.display().to_string()))?;
        let told = [
            "home",
            "include-system-site-packages",
            "version",
            "version_info",
        ];
        let text = text.lines().filter(|line| {
            let key = line.split_once('=').map(|(key, _)| key.trim());
            key.is_some_and(|key| told.contains(&key))
        });
        self.0.push(Piece::File {
            at: at.join("pyvenv.cfg"),
            text: text.flat_map(|line| [line, "\n"]).collect(),
        });
        let python = host.join("bin/python");
        let to = python
            .canonicalize()
            .map_err(while_(python.display().to_string()))?;
        self.0.push(Piece::Link {
            at: at.join("bin/python"),
            to,
        });
        Ok(())
    }
}

/// The first name of a path that keeps its name inside.
fn own_name(path: &Path) -> io::Result<PathBuf> {
    let mut parts = path.components();
    match (parts.next(), parts.next()) {
        (Some(Component::RootDir), Some(Component::Normal(name)))
            if !OURS.iter().any(|ours| name == *ours) =>
        {
            Ok(Path::new("/").join(name))
        }
        _ => Err(io::Error::other(
            "it cannot be used in the sandbox, where its first name means something else",
        )),
    }
}

/// What is not there, or a symbolic link, is not staged.
fn stage(grant: &Grant) -> Option<Result<(Grant, OwnedFd, bool), Failed>> {
    let at = grant.open().ok()?;
    let mounted = || -> io::Result<_> {
        own_name(&grant.path)?;
        let kind = rustix::fs::fstat(&at)?.st_mode;
        let tree = copy_of(at.as_fd())?;
        let attributes = if grant.writable { WRITABLE } else { READ_ONLY };
        restrict(&tree, attributes | libc::MOUNT_ATTR_NOEXEC, Reach::All)?;
        let directory = rustix::fs::FileType::from_raw_mode(kind).is_dir();
        Ok((grant.clone(), tree, directory))
    };
    Some(mounted().map_err(while_(format!("granting {}", grant.path.display()))))
}

/// Makes an empty file system in memory the root, and leaves the old one behind. The directory that it was mounted on
/// is removed.
pub(super) fn change(scratch: &Path, owner: u32) -> Result<(), Failed> {
    let owner = owner.to_string();
    let options = [
        ("mode", "0755"),
        ("size", "1m"),
        ("nr_inodes", "4096"),
        ("uid", &owner),
        ("gid", &owner),
    ];
    let empty = memory(&options, WRITABLE).map_err(while_("making a file system in memory"))?;
    let parent = scratch.parent().unwrap_or(Path::new("/"));
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let parent =
        openat(CWD, parent, flags, Mode::empty()).map_err(while_(parent.display().to_string()))?;
    let place = openat(CWD, scratch, flags, Mode::empty())
        .map_err(while_(scratch.display().to_string()))?;
    attach_at(&empty, &place).map_err(while_(format!("mounting on {}", scratch.display())))?;
    fchdir(&empty).map_err(while_("entering the new root"))?;
    pivot_root(".", ".").map_err(while_("changing the root"))?;
    // The old root now lies over the new one, at the same place.
    unmount(".", UnmountFlags::DETACH).map_err(while_("leaving the old root"))?;
    chdir("/").map_err(while_("entering the new root"))?;
    let name = scratch.file_name().unwrap_or_default();
    let removed = rustix::fs::unlinkat(&parent, name, rustix::fs::AtFlags::REMOVEDIR);
    removed.map_err(while_(format!("removing {}", scratch.display())))
}

impl Pieces {
    /// Puts the pieces into the root, which can then not be changed any more.
    pub(super) fn assemble(self) -> Result<Vec<Staged>, Failed> {
        for piece in self.all {
            let at = piece.at().display().to_string();
            piece.place().map_err(while_(at))?;
        }
        fs::create_dir_all(Path::new(BOX).join("scratch")).map_err(while_(BOX))?;
        let mut staged = Vec::new();
        for (i, (grant, tree, directory)) in self.grants.into_iter().enumerate() {
            let at = Path::new(STAGE).join(i.to_string());
            let stage = || -> io::Result<Option<PathBuf>> {
                mount_point(&at, directory)?;
                attach(&tree, &at)?;
                place_for(&grant.path, directory, &self.common)
            };
            let below = stage().map_err(while_(format!("granting {}", grant.path.display())))?;
            staged.push(Staged {
                grant,
                at,
                directory,
                below,
            });
        }
        let root = openat(CWD, "/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
            .map_err(while_("the new root"))?;
        restrict(root, READ_ONLY | libc::MOUNT_ATTR_NOEXEC, Reach::This)
            .map_err(while_("making the root read-only"))?;
        Ok(staged)
    }
}

impl Piece {
    fn at(&self) -> &Path {
        let (Self::Tree { at, .. } | Self::Link { at, .. } | Self::File { at, .. }) = self;
        at
    }

    fn place(&self) -> io::Result<()> {
        match self {
            Self::Tree {
                at,
                tree,
                directory,
            } => {
                mount_point(at, *directory)?;
                attach(tree, at)
            }
            Self::Link { at, to } => {
                parents(at)?;
                std::os::unix::fs::symlink(to, at)
            }
            Self::File { at, text } => {
                parents(at)?;
                fs::write(at, text)
            }
        }
    }
}

fn parents(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)
}

/// Something empty to mount on.
pub(super) fn mount_point(at: &Path, directory: bool) -> io::Result<()> {
    if directory {
        return fs::create_dir_all(at);
    }
    parents(at)?;
    if at.exists() {
        return Ok(());
    }
    fs::File::create(at).map(drop)
}

/// Room for a granted path: the whole of it where all see its first name anyway; else only its first name, so that no
/// child sees what others are granted, and makes the rest of its own below.
fn place_for(path: &Path, directory: bool, common: &[PathBuf]) -> io::Result<Option<PathBuf>> {
    let first = own_name(path)?;
    if first == path || common.contains(&first) {
        return mount_point(path, directory).map(|()| None);
    }
    fs::create_dir_all(&first)?;
    Ok(Some(first))
}
