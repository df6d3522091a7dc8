//! The frames between supervisor and child: a length (4 bytes, little-endian, of what follows), what a child says also
//! the seal, one byte that says what it is, and the content.
//!
//! The seal is a number that the supervisor drew for this child. Tool code shares the child's process and may write to
//! any of its descriptors; without the seal what it writes there by accident or guess is an error, not an answer.

use std::fmt;

/// Bytes of a seal.
pub(crate) const SEAL: usize = 16;
/// Bytes of the longest frame: an artefact or a result, and what describes it.
pub(crate) const MAX_FRAME: usize = (4 << 20) + (64 << 10);

pub(crate) type Seal = [u8; SEAL];

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// To the child: `Warm`, the first frame.
    Warm = b'W',
    /// To the child: `Work`.
    Work = b'T',
    /// To the child: the answer to what it asked, as text.
    Answer = b'A',
    /// To the child: the descriptor of a connection comes beside this, or a `Refused` is in it.
    Connection = b'O',
    /// From the child: it is warm; JSON of the file's tools.
    Ready = b'R',
    /// From the child: the work's result, JSON text.
    Result = b'K',
    /// From the child: there is no result; a `Failure`.
    Failure = b'X',
    /// From the child: a `Note`.
    Note = b'N',
    /// From the child: a line of JSON about a file, then its bytes.
    Artefact = b'F',
    /// From the child: a `Question`.
    Question = b'Q',
    /// From the child: the address of a connection that it wants.
    Connect = b'C',
}

impl Kind {
    const ALL: [Self; 11] = [
        Self::Warm,
        Self::Work,
        Self::Answer,
        Self::Connection,
        Self::Ready,
        Self::Result,
        Self::Failure,
        Self::Note,
        Self::Artefact,
        Self::Question,
        Self::Connect,
    ];

    fn of(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// What is not a frame of this protocol.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    TooLong(usize),
    Seal,
    Kind(u8),
    Cut,
}

impl fmt::Display for Wrong {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(length) => write!(out, "a frame of {length} bytes"),
            Self::Seal => out.write_str("the tool wrote to the result's channel"),
            Self::Kind(kind) => write!(out, "a frame of the unknown kind {kind}"),
            Self::Cut => out.write_str("the last frame is not whole"),
        }
    }
}

/// A frame's bytes. `seal`: what a child puts before what it says, nothing for the supervisor.
pub(crate) fn frame(seal: &[u8], kind: Kind, parts: &[&[u8]]) -> Vec<u8> {
    let length = seal.len() + 1 + parts.iter().map(|part| part.len()).sum::<usize>();
    let mut bytes = Vec::with_capacity(4 + length);
    // What is longer than a frame can be is refused by who reads it.
    bytes.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend_from_slice(seal);
    bytes.push(kind as u8);
    for part in parts {
        bytes.extend_from_slice(part);
    }
    bytes
}

/// The first frame of what was read: its kind, where its content is, and how many bytes it takes. Nothing: more is to
/// be read.
pub(crate) fn first(
    bytes: &[u8],
    seal: &[u8],
) -> Result<Option<(Kind, std::ops::Range<usize>)>, Wrong> {
    let Some((length, rest)) = bytes.split_first_chunk::<4>() else {
        return Ok(None);
    };
    let length = u32::from_le_bytes(*length) as usize;
    // Of a wrong seal it is known at once: what tool code writes need not be as long as its first bytes say.
    let begin = rest.get(..rest.len().min(seal.len())).unwrap_or_default();
    if !seal.starts_with(begin) {
        return Err(Wrong::Seal);
    }
    if length > MAX_FRAME || length <= seal.len() {
        return Err(Wrong::TooLong(length));
    }
    let Some(whole) = rest.get(..length) else {
        return Ok(None);
    };
    let byte = whole.get(seal.len()).copied().unwrap_or_default();
    let kind = Kind::of(byte).ok_or(Wrong::Kind(byte))?;
    Ok(Some((kind, 4 + seal.len() + 1..4 + length)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SEALED: Seal = *b"0123456789abcdef";

    #[test]
    fn a_frame_is_read_as_it_was_written_and_only_when_it_is_whole() {
        let bytes = frame(&SEALED, Kind::Result, &[b"ab", b"c"]);
        let (kind, content) = first(&bytes, &SEALED).unwrap().unwrap();
        assert_eq!((kind, &bytes[content.clone()]), (Kind::Result, &b"abc"[..]));
        assert_eq!(content.end, bytes.len());
        for cut in 0..bytes.len() {
            assert_eq!(first(&bytes[..cut], &SEALED), Ok(None), "{cut}");
        }
    }

    #[test]
    fn what_is_no_frame_is_told() {
        let sealed = frame(&SEALED, Kind::Note, &[]);
        assert_eq!(first(&sealed, b"another seal, 16"), Err(Wrong::Seal));
        assert_eq!(first(b"print me\n", &SEALED), Err(Wrong::Seal));
        let long = u32::MAX.to_le_bytes();
        assert_eq!(
            first(&long, &SEALED),
            Err(Wrong::TooLong(u32::MAX as usize))
        );
        let mut strange = sealed;
        strange[20] = b'?';
        assert_eq!(first(&strange, &SEALED), Err(Wrong::Kind(b'?')));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
            let _ = first(&bytes, &SEALED);
            let _ = first(&bytes, &[]);
        }
    }
}
