//! Where the bytes of a packed matrix live: in memory of their own, or in a file that is mapped.
//!
//! A matrix is its format's name, its shape and these bytes, so a cache on disk writes `matrix.bytes()` at an offset
//! that is a multiple of [`Buffer::ALIGN`], and a later start hands [`Buffer::mapped`] to `Matrix::from_buffer`:
//! nothing is copied, and nothing is read before it is used.

use std::{fmt, io, ops::Range, sync::Arc};

use memmap2::{Advice, Mmap, MmapMut};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A cache line: what the kernels want their bytes to begin on.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(64))]
struct Line([u8; Buffer::ALIGN]);

/// Bytes that begin on a cache line, owned or a part of a mapped file. Cloning shares them.
#[derive(Clone)]
pub struct Buffer(Store);

#[derive(Clone)]
enum Store {
    Owned { lines: Arc<Vec<Line>>, len: usize },
    Large(Arc<MmapMut>),
    Mapped { map: Arc<Mmap>, range: Range<usize> },
}

/// What pages are on most systems that have larger ones.
const LARGE_PAGE: usize = 1 << 21;

/// Asks for large pages, in whose addresses the processor does not get lost: two cores of a Xeon read 30 GB/s rather than
/// 26. Of files they are to be had since Linux 6.16 and on some file systems only, and nothing depends on it.
pub fn in_large_pages(advise: impl FnOnce(Advice) -> io::Result<()>) {
    #[cfg(target_os = "linux")]
    let _ = advise(Advice::HugePage);
    #[cfg(not(target_os = "linux"))]
    drop(advise);
}

impl Buffer {
    pub const ALIGN: usize = 64;

    /// `len` bytes that `fill` writes; they are zero before.
    pub fn build(len: usize, fill: impl FnOnce(&mut [u8])) -> Self {
        // Memory that is mapped begins on a page, and can have large ones.
        let map = (len >= LARGE_PAGE).then(|| MmapMut::map_anon(len));
        if let Some(Ok(mut map)) = map {
            in_large_pages(|advice| map.advise(advice));
            fill(&mut map);
            let map = Arc::new(map);
            return Self(Store::Large(map));
        }
        let mut lines = vec![Line([0; Self::ALIGN]); len.div_ceil(Self::ALIGN)];
        fill(&mut lines.as_mut_bytes()[..len]);
        let lines = Arc::new(lines);
        Self(Store::Owned { lines, len })
    }

    /// A part of a mapped file. `None` if the file is shorter, or if the part does not begin on a cache line.
    pub fn mapped(map: Arc<Mmap>, range: Range<usize>) -> Option<Self> {
        let part = map.get(range.clone())?;
        let aligned = part.as_ptr().addr().is_multiple_of(Self::ALIGN);
        aligned.then_some(Self(Store::Mapped { map, range }))
    }

    pub fn bytes(&self) -> &[u8] {
        match &self.0 {
            Store::Owned { lines, len } => &lines.as_bytes()[..*len],
            Store::Large(map) => map,
            Store::Mapped { map, range } => &map[range.clone()],
        }
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.0 {
            Store::Owned { .. } | Store::Large(_) => "owned",
            Store::Mapped { .. } => "mapped",
        };
        write!(f, "{} bytes, {kind}", self.bytes().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn a_part_of_a_mapped_file_is_taken_only_where_it_is_whole_and_aligned() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[7; 200]).unwrap();
        // SAFETY: nobody else has the file, which has no name.
        let map = Arc::new(unsafe { Mmap::map(&file) }.unwrap());
        let part = Buffer::mapped(map.clone(), 64..200).unwrap();
        assert_eq!(part.bytes(), [7; 136]);
        assert!(Buffer::mapped(map.clone(), 64..201).is_none());
        assert!(Buffer::mapped(map, 32..200).is_none());
    }

    #[test]
    fn owned_bytes_begin_on_a_cache_line() {
        for len in [70, LARGE_PAGE + 70] {
            let buffer = Buffer::build(len, |bytes| bytes[69..].fill(3));
            assert_eq!(buffer.bytes().len(), len);
            assert_eq!(buffer.bytes()[68..70], [0, 3]);
            assert_eq!(buffer.bytes().as_ptr().addr() % Buffer::ALIGN, 0);
        }
    }
}
