//! A packed file that is written, section by section while a model is packed, under another name until it is whole.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write as _},
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use memmap2::{Mmap, MmapOptions};
use twox_hash::XxHash3_64;

use super::{
    file::{FLAT, HEAD, MAGIC, PAGE, Packed, Section, Table, VECTOR, hashes},
    sources::{Identity, Sources, make_room},
};
use crate::{
    kernels::{Buffer, Matrix, Threads, in_large_pages},
    tokenizer::flat::Flat,
};

pub(in crate::model) struct Writer {
    /// Locked: another server that starts now does not write it too.
    file: File,
    path: PathBuf,
    fresh: PathBuf,
    sections: Vec<Section>,
    end: usize,
    key: String,
    before: Vec<Identity>,
    finished: bool,
}

impl Writer {
    /// At the first of the places that can be written to. `None` if another server is writing it at this moment.
    pub(super) fn create(
        places: &[PathBuf],
        key: String,
        sources: &Sources,
    ) -> io::Result<Option<Self>> {
        let before = sources.identities()?;
        let mut tried: io::Result<_> = Ok(());
        for path in places {
            let mut fresh = path.clone().into_os_string();
            fresh.push(".new");
            let fresh = PathBuf::from(fresh);
            match locked(&fresh) {
                Ok(None) => return Ok(None),
                Ok(Some(file)) => {
                    return Ok(Some(Self {
                        file,
                        path: path.clone(),
                        fresh,
                        sections: Vec::new(),
                        end: PAGE,
                        key,
                        before,
                        finished: false,
                    }));
                }
                Err(error) => tried = tried.and(Err(error)),
            }
        }
        tried.map(|()| None)
    }

    /// The same matrix, where it lies in the file now.
    pub(in crate::model) fn matrix(&mut self, name: &str, matrix: &Matrix) -> io::Result<Matrix> {
        let (rows, cols, format) = (matrix.rows(), matrix.cols(), matrix.format());
        let buffer = self.put(name, format.name(), (rows, cols), matrix.bytes())?;
        let buffer = buffer.and_then(|buffer| Matrix::from_buffer(rows, cols, format, buffer));
        Ok(buffer.unwrap_or_else(|| matrix.clone()))
    }

    pub(in crate::model) fn vector(&mut self, name: &str, vector: &[f32]) -> io::Result<()> {
        let bytes: Vec<u8> = vector
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        self.put(name, VECTOR, (vector.len(), 1), &bytes)?;
        Ok(())
    }

    /// The same arrays, where they lie in the file now.
    pub(in crate::model) fn flat(&mut self, name: &str, flat: &Flat) -> io::Result<Flat> {
        let buffer = self.put(name, FLAT, (1, flat.bytes().len()), flat.bytes())?;
        Ok(buffer.and_then(Flat::open).unwrap_or_else(|| flat.clone()))
    }

    /// All of another file, and that is it.
    pub(super) fn copy(
        mut self,
        packed: &Packed,
        sources: &Sources,
        threads: &Threads,
    ) -> io::Result<PathBuf> {
        for (section, bytes) in packed.sections() {
            let shape = (section.rows, section.cols);
            self.put(&section.name, &section.format, shape, bytes)?;
        }
        self.finish(sources, threads)
    }

    fn put(
        &mut self,
        name: &str,
        format: &str,
        (rows, cols): (usize, usize),
        bytes: &[u8],
    ) -> io::Result<Option<Buffer>> {
        let (start, len) = (self.end, bytes.len());
        self.file.write_all_at(bytes, start as u64)?;
        self.end = (start + len).next_multiple_of(PAGE);
        self.sections.push(Section {
            name: name.to_owned(),
            format: format.to_owned(),
            rows,
            cols,
            start,
            len,
        });
        if len == 0 {
            return Ok(None);
        }
        // SAFETY: what was written is not written again: the file only grows, and nobody else has its lock.
        let map = unsafe {
            MmapOptions::new()
                .offset(start as u64)
                .len(len)
                .map(&self.file)
        }?;
        in_large_pages(|advice| map.advise(advice));
        Ok(Buffer::mapped(Arc::new(map), 0..len))
    }

    /// Makes the file one that can be used, if the sources are still the ones that it was begun with.
    pub(in crate::model) fn finish(
        mut self,
        sources: &Sources,
        threads: &Threads,
    ) -> io::Result<PathBuf> {
        let content = sources.content(threads);
        if self.before != sources.identities()? {
            return Err(io::Error::other(
                "the model's files changed while they were read",
            ));
        }
        self.file.set_len(self.end as u64)?;
        // SAFETY: as above.
        let map = unsafe { Mmap::map(&self.file) }?;
        let table = Table {
            key: std::mem::take(&mut self.key),
            sources: std::mem::take(&mut self.before),
            content,
            sections: std::mem::take(&mut self.sections),
            hashes: hashes(map.get(HEAD..).unwrap_or_default(), threads),
        };
        let table = serde_json::to_vec(&table)?;
        self.file.write_all_at(&table, self.end as u64)?;
        let mut head = MAGIC.to_vec();
        for number in [
            self.end as u64,
            table.len() as u64,
            XxHash3_64::oneshot(&table),
        ] {
            head.extend(number.to_le_bytes());
        }
        self.file.write_all_at(&head, 0)?;
        self.file.flush()?;
        self.file.sync_all()?;
        fs::rename(&self.fresh, &self.path)?;
        self.finished = true;
        // The name has to last as well. Of a file in the current directory the directory has none.
        let dir = self.path.parent().filter(|dir| !dir.as_os_str().is_empty());
        File::open(dir.unwrap_or(Path::new(".")))?.sync_all()?;
        Ok(self.path.clone())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.finished {
            // What was packed lives on in the memory that maps it.
            let _ = fs::remove_file(&self.fresh);
        }
    }
}

/// The empty file of this name, with its lock. `None` if somebody else has it.
fn locked(path: &Path) -> io::Result<Option<File>> {
    make_room(path)?;
    let file = (OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false))
    .open(path)?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
        Ok(()) => {}
    }
    // Whoever had the lock before may have made this the finished file: then it is not ours to write.
    let named = fs::metadata(path);
    if !named.is_ok_and(|named| file.metadata().is_ok_and(|ours| ours.ino() == named.ino())) {
        return Ok(None);
    }
    file.set_len(0)?;
    Ok(Some(file))
}
