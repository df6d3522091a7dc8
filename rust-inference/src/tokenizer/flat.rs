//! Arrays of numbers and bytes, one behind the other, that are read where they lie: in memory or in a mapped file.
//! Nothing is parsed when they are opened, and what is never asked for is never read.

use std::ops::Range;

use crate::kernels::Buffer;

/// Bytes of one array's place in the table of contents.
const PLACE: usize = 16;

/// Arrays by their place in the list that they were built of.
#[derive(Clone, Debug)]
pub struct Flat {
    buffer: Buffer,
    parts: Vec<Range<usize>>,
}

/// Little-endian numbers, as they lie in a file.
pub type Numbers<'a> = &'a [[u8; 4]];

impl Flat {
    pub fn build(parts: &[Vec<u8>]) -> Self {
        let mut bytes = (parts.len() as u64).to_le_bytes().to_vec();
        let mut at = bytes.len() + parts.len() * PLACE;
        let mut ranges = Vec::new();
        for part in parts {
            ranges.push(at..at + part.len());
            bytes.extend((at as u64).to_le_bytes());
            bytes.extend((part.len() as u64).to_le_bytes());
            at += part.len();
        }
        for part in parts {
            bytes.extend_from_slice(part);
        }
        Self {
            buffer: Buffer::build(bytes.len(), |to| to.copy_from_slice(&bytes)),
            parts: ranges,
        }
    }

    /// Of bytes that [`Flat::bytes`] gave; `None` if they are not whole.
    pub fn open(buffer: Buffer) -> Option<Self> {
        let bytes = buffer.bytes();
        let number = |at: usize| {
            let (eight, _) = bytes.get(at..)?.as_chunks::<8>();
            usize::try_from(u64::from_le_bytes(*eight.first()?)).ok()
        };
        let count = number(0)?;
        if count > bytes.len() / PLACE {
            return None;
        }
        let parts = (0..count)
            .map(|i| {
                let (start, len) = (number(8 + i * PLACE)?, number(16 + i * PLACE)?);
                let range = start..start.checked_add(len)?;
                bytes.get(range.clone())?;
                Some(range)
            })
            .collect::<Option<_>>()?;
        Some(Self { buffer, parts })
    }

    /// All of it, to be written down.
    pub fn bytes(&self) -> &[u8] {
        self.buffer.bytes()
    }

    /// One array; empty if there is none.
    pub fn part(&self, index: usize) -> &[u8] {
        let range = self.parts.get(index).cloned().unwrap_or_default();
        self.buffer.bytes().get(range).unwrap_or_default()
    }

    pub fn numbers(&self, index: usize) -> Numbers<'_> {
        self.part(index).as_chunks().0
    }
}

pub fn number(numbers: Numbers<'_>, at: usize) -> Option<u32> {
    numbers.get(at).map(|bytes| u32::from_le_bytes(*bytes))
}

/// Numbers as an array of a [`Flat`].
pub fn array(numbers: impl IntoIterator<Item = u32>) -> Vec<u8> {
    numbers.into_iter().flat_map(u32::to_le_bytes).collect()
}

/// Texts as two arrays: where each begins, with the end of the last behind them; and their bytes.
pub fn texts<'a>(texts: impl IntoIterator<Item = &'a [u8]>) -> [Vec<u8>; 2] {
    let (mut starts, mut bytes) = (vec![0], Vec::new());
    for text in texts {
        bytes.extend_from_slice(text);
        starts.push(bytes.len() as u32);
    }
    [array(starts), bytes]
}

/// The text at a place of two arrays that [`texts`] made.
pub fn text<'a>(starts: Numbers<'_>, bytes: &'a [u8], at: usize) -> Option<&'a [u8]> {
    let (start, end) = (number(starts, at)?, number(starts, at.checked_add(1)?)?);
    bytes.get(start as usize..end as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_come_back_and_no_part_of_them_is_taken_for_the_whole() {
        let [starts, bytes] = texts([&b"one"[..], b"", b"three"]);
        let built = Flat::build(&[array([7, u32::MAX]), starts, bytes, Vec::new()]);
        let opened = |len: usize| {
            Flat::open(Buffer::build(len, |to| {
                to.copy_from_slice(&built.bytes()[..len]);
            }))
        };
        let whole = opened(built.bytes().len()).unwrap();
        for flat in [&built, &whole] {
            assert_eq!(number(flat.numbers(0), 1), Some(u32::MAX));
            assert_eq!(number(flat.numbers(0), 2), None);
            let all: Vec<_> = (0..4)
                .map(|i| text(flat.numbers(1), flat.part(2), i))
                .collect();
            assert_eq!(all, [Some(&b"one"[..]), Some(b""), Some(b"three"), None]);
            assert!(flat.part(3).is_empty() && flat.part(4).is_empty());
        }
        assert!((0..built.bytes().len()).all(|len| opened(len).is_none()));
    }
}
