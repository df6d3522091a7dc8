//! The binary encoding: a big-endian u32 length below 2^24, then one protobuf `Frame`.
use std::io;

use bytes::{Buf, BufMut, BytesMut};
use prost::Message;
use tokio_util::codec::Decoder;

use super::{Flaw, Inbound};
use crate::{Status, frame::MAX_FRAME_BYTES, proto::Frame};

const PREFIX: usize = 4;

/// Decodes length-prefixed frames.
#[derive(Debug)]
pub struct BinaryDecoder {
    max: usize,
    /// Bytes of a frame over the limit that are yet to be thrown away.
    skip: usize,
    /// The framing was lost: whatever follows is thrown away.
    dead: bool,
}

impl BinaryDecoder {
    /// A decoder that accepts frames of up to `max` bytes.
    pub fn new(max: u32) -> Self {
        Self {
            max: max.min(MAX_FRAME_BYTES) as usize,
            skip: 0,
            dead: false,
        }
    }

    fn fatal(&mut self, src: &mut BytesMut, status: Status) -> Flaw {
        self.dead = true;
        src.clear();
        Flaw {
            id: 0,
            status,
            fatal: true,
        }
    }
}

impl Decoder for BinaryDecoder {
    type Item = Result<Inbound, Flaw>;
    type Error = io::Error;

    fn decode(&mut self, src: &mut BytesMut) -> io::Result<Option<Self::Item>> {
        if self.dead {
            src.clear();
            return Ok(None);
        }
        let skipped = self.skip.min(src.len());
        src.advance(skipped);
        self.skip -= skipped;
        let Some(prefix) = src.first_chunk::<PREFIX>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*prefix);
        if length > MAX_FRAME_BYTES {
            let status = Status::invalid_argument(format!(
                "a frame of {length} bytes: lengths are below 2^24"
            ))
            .with_hint("write a big-endian u32 length and then that many bytes of one Frame");
            return Ok(Some(Err(self.fatal(src, status))));
        }
        let length = length as usize;
        if length > self.max {
            // The id is the first field, and it is wanted in the refusal.
            if src.len() < PREFIX + length.min(SNIFF) {
                return Ok(None);
            }
            src.advance(PREFIX);
            let id = sniff_id(src);
            self.skip = length;
            let status = Status::resource_exhausted(format!(
                "a frame of {length} bytes: at most {} are accepted",
                self.max
            ))
            .with_hint("send less in one frame; welcome.max_frame_bytes tells the limit");
            return Ok(Some(Err(Flaw {
                id,
                status,
                fatal: false,
            })));
        }
        if src.len() < PREFIX + length {
            src.reserve(PREFIX + length - src.len());
            return Ok(None);
        }
        src.advance(PREFIX);
        let bytes = src.split_to(length);
        Ok(Some(match Frame::decode(&bytes[..]) {
            Ok(frame) => Ok(Inbound {
                frame,
                unknown: Vec::new(),
            }),
            Err(error) => Err(Flaw {
                id: sniff_id(&bytes),
                status: Status::invalid_argument(format!(
                    "a frame of {length} bytes that does not decode: {error}"
                )),
                fatal: false,
            }),
        }))
    }

    fn decode_eof(&mut self, src: &mut BytesMut) -> io::Result<Option<Self::Item>> {
        if let Some(item) = self.decode(src)? {
            return Ok(Some(item));
        }
        if src.is_empty() {
            return Ok(None);
        }
        let wanted = src.first_chunk::<PREFIX>().map_or_else(
            || "a length of 4".to_owned(),
            |prefix| {
                format!(
                    "a frame of {}",
                    PREFIX + u32::from_be_bytes(*prefix) as usize
                )
            },
        );
        let status = Status::invalid_argument(format!(
            "the connection ended within a frame: {} bytes of {wanted} bytes",
            src.len()
        ));
        Ok(Some(Err(self.fatal(src, status))))
    }
}

/// Appends one frame.
pub fn encode(frame: &Frame, out: &mut BytesMut) -> Result<(), Status> {
    let length = frame.encoded_len();
    let prefix = u32::try_from(length)
        .ok()
        .filter(|length| *length <= MAX_FRAME_BYTES)
        .ok_or_else(|| too_large(length))?;
    out.reserve(PREFIX + length);
    out.put_u32(prefix);
    frame
        .encode(out)
        .map_err(|error| Status::internal(error.to_string()))?;

    Ok(())
}

/// Why a frame cannot be written.
pub(super) fn too_large(length: usize) -> Status {
    Status::out_of_range(format!(
        "a frame of {length} bytes: the protocol carries at most {MAX_FRAME_BYTES}"
    ))
}

/// Bytes that an id takes: its tag and a varint of a u32.
const SNIFF: usize = 6;

/// The id of a frame that does not decode, if the id comes first, as every known writer has it; else 0.
fn sniff_id(bytes: &[u8]) -> u32 {
    let Some((0x08, rest)) = bytes.split_first() else {
        return 0;
    };
    let mut rest = rest;
    prost::encoding::decode_varint(&mut rest)
        .ok()
        .and_then(|id| u32::try_from(id).ok())
        .unwrap_or(0)
}
