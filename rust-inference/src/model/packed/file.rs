//! A packed file that is read: a head that says where the table is, the sections, and the table, which says what they are
//! and what they were made of. Numbers are little-endian; sections begin on pages.

use std::{fs::File, io, ops::Range, path::Path, sync::Arc};

use memmap2::Mmap;
use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_64;

use super::sources::{Identity, Sources};
use crate::{
    kernels::{Buffer, Format, Matrix, Threads, in_large_pages},
    tokenizer::flat::Flat,
};

pub(super) const MAGIC: [u8; 8] = *b"CALLSPN1";
/// Magic, then start, length and hash of the table.
pub(super) const HEAD: usize = 32;
pub(super) const PAGE: usize = 4096;
/// What is hashed at a time.
pub(super) const CHUNK: usize = 1 << 20;

/// What the names of sections say besides a matrix's format.
pub(super) const VECTOR: &str = "f32-vector";
pub(super) const FLAT: &str = "flat";

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Table {
    pub(super) key: String,
    pub(super) sources: Vec<Identity>,
    /// A hash of all bytes of the sources.
    pub(super) content: u64,
    pub(super) sections: Vec<Section>,
    /// Of each chunk of the file up to the table, the head left out.
    pub(super) hashes: Vec<u64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Section {
    pub(super) name: String,
    pub(super) format: String,
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) start: usize,
    pub(super) len: usize,
}

/// Why a file is not used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error("there is none")]
    Absent,
    #[error("it cannot be read: {0}")]
    Read(io::Error),
    #[error("it is no file of packed weights")]
    Foreign,
    #[error("it is damaged or was cut off")]
    Damaged,
    #[error("it was packed in another way")]
    OtherKey,
    #[error("the model's files have changed since it was made")]
    Stale,
}

/// A file that was found to be whole and to belong to a model's files.
#[derive(Debug)]
pub(in crate::model) struct Packed {
    map: Arc<Mmap>,
    sections: Vec<Section>,
    /// The files are the same, but not where or when they were.
    pub(in crate::model) moved: bool,
}

impl Packed {
    pub(super) fn open(
        path: &Path,
        key: &str,
        sources: &Sources,
        threads: &Threads,
    ) -> Result<Self, Unusable> {
        let file = File::open(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Unusable::Absent,
            _ => Unusable::Read(error),
        })?;
        // SAFETY: nobody changes a packed file: it is written under another name, and replaced whole. Who truncates it
        // by hand while it is mapped can end this process, as any program that maps files.
        let map = unsafe { Mmap::map(&file) }.map_err(Unusable::Read)?;
        in_large_pages(|advice| map.advise(advice));
        let (table, data) = table(&map)?;
        if table.key != key {
            return Err(Unusable::OtherKey);
        }
        let moved = table.sources != sources.identities().map_err(Unusable::Read)?;
        if moved && table.content != sources.content(threads) {
            return Err(Unusable::Stale);
        }
        let bytes = map.get(HEAD..data).unwrap_or_default();
        if table.hashes != hashes(bytes, threads) {
            return Err(Unusable::Damaged);
        }
        Ok(Self {
            map: Arc::new(map),
            sections: table.sections,
            moved,
        })
    }

    fn section(&self, name: &str, format: &str) -> Option<(&Section, Range<usize>)> {
        let named = |section: &&Section| section.name == name && section.format == format;
        let section = self.sections.iter().find(named)?;
        Some((
            section,
            section.start..section.start.checked_add(section.len)?,
        ))
    }

    pub(super) fn sections(&self) -> impl Iterator<Item = (&Section, &[u8])> {
        (self.sections.iter()).filter_map(|section| {
            let end = section.start.checked_add(section.len)?;
            Some((section, self.map.get(section.start..end)?))
        })
    }

    pub(in crate::model) fn contains(&self, name: &str) -> bool {
        self.sections.iter().any(|section| section.name == name)
    }

    pub(in crate::model) fn matrix(
        &self,
        name: &str,
        (rows, cols): (usize, usize),
        format: Format,
    ) -> Option<Matrix> {
        let (section, range) = self.section(name, format.name())?;
        let buffer = Buffer::mapped(self.map.clone(), range)?;
        let same = (section.rows, section.cols) == (rows, cols);
        same.then(|| Matrix::from_buffer(rows, cols, format, buffer))?
    }

    pub(in crate::model) fn vector(&self, name: &str, len: usize) -> Option<Vec<f32>> {
        let (_, range) = self.section(name, VECTOR)?;
        let (numbers, _) = self.map.get(range)?.as_chunks::<4>();
        (numbers.len() == len).then(|| numbers.iter().map(|n| f32::from_le_bytes(*n)).collect())
    }

    pub(in crate::model) fn flat(&self, name: &str) -> Option<Flat> {
        let (_, range) = self.section(name, FLAT)?;
        Flat::open(Buffer::mapped(self.map.clone(), range)?)
    }
}

/// The table, and where the data ends.
fn table(bytes: &[u8]) -> Result<(Table, usize), Unusable> {
    let (head, _) = bytes.as_chunks::<8>();
    let [magic, start, len, hash, ..] = head else {
        return Err(Unusable::Foreign);
    };
    if *magic != MAGIC {
        return Err(Unusable::Foreign);
    }
    let number = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes);
    let place = |bytes| usize::try_from(number(bytes)).map_err(|_| Unusable::Damaged);
    let (start, len) = (place(start)?, place(len)?);
    let end = start.checked_add(len);
    let table = end.filter(|end| *end == bytes.len());
    let table = table
        .and_then(|end| bytes.get(start..end))
        .filter(|_| start >= HEAD);
    let table = table.ok_or(Unusable::Damaged)?;
    if XxHash3_64::oneshot(table) != number(hash) {
        return Err(Unusable::Damaged);
    }
    let table = serde_json::from_slice(table).map_err(|_| Unusable::Foreign)?;
    Ok((table, start))
}

/// A hash of each chunk. They find damage, not malice: who can write the file can write the model beside it.
pub(super) fn hashes(bytes: &[u8], threads: &Threads) -> Vec<u64> {
    let mut hashes = vec![0; bytes.len().div_ceil(CHUNK)];
    threads.chunks(&mut hashes, 1, &|chunk, hash| {
        let start = chunk * CHUNK;
        let end = bytes.len().min(start + CHUNK);
        hash.fill(XxHash3_64::oneshot(
            bytes.get(start..end).unwrap_or_default(),
        ));
    });
    hashes
}
