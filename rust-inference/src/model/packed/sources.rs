//! The files that a model is loaded from: whether they are the ones that something was made of, and where to keep what
//! is made of them.

use std::{
    env,
    fs::{self, File},
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use memmap2::{Mmap, UncheckedAdvice};
use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_64;

use super::file::{CHUNK, hashes};
use crate::kernels::{Threads, Weights};

/// Bytes at the start of a file that are compared at each start: a checkpoint's table of tensors, a whole config.json.
const START: u64 = 64 << 10;

/// How much of a file is in memory while all of it is hashed: a whole number of what is hashed at a time.
const WINDOW: usize = 64 * CHUNK;

/// What a file is known by without being read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    name: String,
    size: u64,
    inode: u64,
    /// Seconds and nanoseconds. The change of the inode is noted by the system, and cannot be set to another time.
    modified: (i64, i64),
    changed: (i64, i64),
    /// A hash of the first bytes.
    start: u64,
}

/// All files that decide what a model is.
#[derive(Clone, Debug)]
pub struct Sources {
    files: Vec<PathBuf>,
    /// The model's directory, or the directory of its one file.
    dir: PathBuf,
    /// What tells it from other models in the same directory; may be empty.
    stem: String,
}

impl Sources {
    pub(in crate::model) fn new(dir: &Path, stem: &str, files: Vec<PathBuf>) -> Self {
        Self {
            files,
            dir: dir.to_owned(),
            stem: stem.to_owned(),
        }
    }

    /// Where a packed file may be: beside the model, or where the user's caches are.
    pub(super) fn places(&self, weights: Weights) -> Vec<PathBuf> {
        let weights = format!("{weights:?}").to_lowercase();
        let stem = if self.stem.is_empty() {
            "callspan".to_owned()
        } else {
            format!("{}.callspan", self.stem)
        };
        let beside = self.dir.join(format!("{stem}-{weights}.packed"));
        let full = self.dir.canonicalize().unwrap_or_else(|_| self.dir.clone());
        let hash = XxHash3_64::oneshot(full.as_os_str().as_encoded_bytes());
        let name = format!("{stem}-{weights}-{hash:016x}.packed");
        let elsewhere = caches().map(|dir| dir.join("callspan").join(name));
        [beside].into_iter().chain(elsewhere).collect()
    }

    pub(super) fn identities(&self) -> io::Result<Vec<Identity>> {
        self.files.iter().map(|path| identity(path)).collect()
    }

    /// A hash of all that the files hold; 0 if one cannot be read.
    pub(super) fn content(&self, threads: &Threads) -> u64 {
        let mut all = Vec::new();
        for path in &self.files {
            // SAFETY: the map is only read, here; a file that somebody truncates in this moment can end this process, as
            // it could end any program that maps files.
            let map = File::open(path).and_then(|file| unsafe { Mmap::map(&file) });
            let Ok(map) = map else {
                return 0;
            };
            all.extend((map.len() as u64).to_le_bytes());
            for (at, window) in map.chunks(WINDOW).enumerate() {
                all.extend((hashes(window, threads).into_iter()).flat_map(u64::to_le_bytes));
                // SAFETY: the pages are a file's, and were never written to: what they hold stays the same.
                let _ = unsafe {
                    map.unchecked_advise_range(UncheckedAdvice::DontNeed, at * WINDOW, window.len())
                };
            }
        }
        XxHash3_64::oneshot(&all).max(1)
    }
}

fn identity(path: &Path) -> io::Result<Identity> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    let mut start = Vec::new();
    file.take(START).read_to_end(&mut start)?;
    Ok(Identity {
        name: path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        size: metadata.size(),
        inode: metadata.ino(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
        start: XxHash3_64::oneshot(&start),
    })
}

/// Where a user's caches are.
fn caches() -> Option<PathBuf> {
    let absolute = |name: &str| {
        env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))
}

/// Makes what is missing of the way to a file.
pub(super) fn make_room(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)
}
