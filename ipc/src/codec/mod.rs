//! Bytes ↔ frames, in both encodings. One decoder and one `encode` for either, so that the connection above need not
//! care which its peer speaks. A bad frame is an item of the stream, not the end of it: where the framing is intact
//! the connection lives.
pub mod binary;
pub mod detect;
pub mod json;
mod schema;

use std::io;

use bytes::BytesMut;
use tokio_util::codec;

use crate::{Status, proto::Frame};

/// How frames are written on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// A big-endian u32 length, then a protobuf `Frame`.
    Binary,
    /// One proto3-JSON `Frame` a line.
    JsonLines,
}

/// A frame that arrived.
#[derive(Clone, Debug, PartialEq)]
pub struct Inbound {
    pub frame: Frame,
    /// JSON-lines, where asked for: fields that the protocol does not know, as paths. They were ignored.
    pub unknown: Vec<String>,
}

/// Bytes that arrived and are no frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The id that the frame claimed, where that much could be read; else 0.
    pub id: u32,
    pub status: Status,
    /// The framing is lost: nothing after this can be understood.
    pub fatal: bool,
}

/// Decodes either encoding.
#[derive(Debug)]
pub enum Decoder {
    Binary(binary::BinaryDecoder),
    JsonLines(json::LineDecoder),
}

impl Decoder {
    /// A decoder that accepts frames (or lines) of up to `max` bytes.
    pub fn new(encoding: Encoding, max: u32) -> Self {
        match encoding {
            Encoding::Binary => Self::Binary(binary::BinaryDecoder::new(max)),
            Encoding::JsonLines => Self::JsonLines(json::LineDecoder::new(max)),
        }
    }

    /// The same, and unknown fields of JSON-lines are named in [`Inbound::unknown`] (a second pass over each line).
    #[must_use]
    pub fn reporting_unknown(mut self) -> Self {
        if let Self::JsonLines(lines) = &mut self {
            lines.report_unknown = true;
        }
        self
    }
}

impl codec::Decoder for Decoder {
    type Item = Result<Inbound, Flaw>;
    type Error = io::Error;

    fn decode(&mut self, src: &mut BytesMut) -> io::Result<Option<Self::Item>> {
        match self {
            Self::Binary(decoder) => decoder.decode(src),
            Self::JsonLines(decoder) => decoder.decode(src),
        }
    }

    fn decode_eof(&mut self, src: &mut BytesMut) -> io::Result<Option<Self::Item>> {
        match self {
            Self::Binary(decoder) => decoder.decode_eof(src),
            Self::JsonLines(decoder) => decoder.decode_eof(src),
        }
    }
}

/// Appends `frame` to `out`; on error `out` is as before.
pub fn encode(frame: &Frame, encoding: Encoding, out: &mut BytesMut) -> Result<(), Status> {
    match encoding {
        Encoding::Binary => binary::encode(frame, out),
        Encoding::JsonLines => json::encode(frame, out),
    }
}
