//! What is made of a checkpoint at its first start, on disk: packed matrices, vectors and the tokenizer's arrays, so that
//! a later start maps one file and computes nothing.
//!
//! The file is a guess that is checked, never a source: it is used only if it was made of these very files, by this
//! version's layouts, and is whole to the last byte. Else it is made again. Whatever goes wrong with it is told, and
//! costs no more than the time that it would have saved.

mod file;
mod sources;
mod writer;

use std::{
    io,
    path::{Path, PathBuf},
};

pub use self::sources::Sources;
pub(super) use self::{file::Packed, writer::Writer};
use crate::kernels::{Format, Layout, Threads, Weights};

/// How the tokenizer's arrays lie; it changes when their meaning does.
const TOKENIZER: &str = "tokenizer-1";

/// Whether a packed file was used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PackedCache {
    /// There is to be none.
    #[default]
    Off,
    Used(PathBuf),
    Written(PathBuf),
    /// Another server was writing it at that moment.
    Busy,
    /// It could not be written.
    Failed,
}

impl PackedCache {
    /// In a word, for people and programs.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Used(_) => "used",
            Self::Written(_) => "written",
            Self::Busy => "busy",
            Self::Failed => "failed",
        }
    }
}

/// What a packed file is good for, beside the files that it is made of.
pub(super) fn key(weights: Weights) -> String {
    let format = |layout| Format::of(weights, layout).name();
    format!(
        "{} {} {TOKENIZER}",
        format(Layout::Body),
        format(Layout::Head)
    )
}

/// The packed file of these sources, if there is one that can be used; what is wrong with others is added to `notes`.
pub(super) fn open(
    sources: &Sources,
    weights: Weights,
    threads: &Threads,
    notes: &mut Vec<String>,
) -> Option<(Packed, PathBuf)> {
    for path in sources.places(weights) {
        match Packed::open(&path, &key(weights), sources, threads) {
            Ok(packed) => return Some((packed, path)),
            Err(file::Unusable::Absent) => {}
            Err(why) => notes.push(format!("{}: {why}; it is made again", path.display())),
        }
    }
    None
}

/// Begins a packed file, where one can be. `None` if another server is writing it at this moment.
pub(super) fn begin(sources: &Sources, weights: Weights) -> io::Result<Option<Writer>> {
    Writer::create(&sources.places(weights), key(weights), sources)
}

/// Lets a file of the same model know where its sources are now. Without that it can be used all the same, only later.
pub(super) fn renew(
    packed: &Packed,
    sources: &Sources,
    path: &Path,
    weights: Weights,
    threads: &Threads,
) {
    let places = [path.to_owned()];
    if let Ok(Some(writer)) = Writer::create(&places, key(weights), sources) {
        // It was told to be usable, and still is.
        let _ = writer.copy(packed, sources, threads);
    }
}
