//! The JSON-lines encoding: one proto3-JSON `Frame` a line, written with the .proto's field names, read with those or
//! lowerCamelCase ones. Where a field carries JSON text, any JSON value may stand in place of the string and is taken
//! as written: key order, big integers and all.
use std::{io, str};

use bytes::{Buf, BytesMut};
use serde::Deserialize;
use tokio_util::codec;

use super::{Flaw, Inbound, binary::too_large, schema};
use crate::{Status, frame::MAX_FRAME_BYTES, proto::Frame};

/// Why a line is no frame, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {message}")]
pub struct LineError {
    /// In bytes, from 1; 0: not known.
    pub column: usize,
    pub message: String,
}

/// Decodes one line. Unknown fields are ignored.
pub fn decode(line: &str) -> Result<Frame, LineError> {
    serde_json::from_str(line).or_else(|error| {
        // Rare: a value in the place of JSON text, a number with a fraction, or a bad line.
        let texts = schema::walk(line).texts;
        if texts.is_empty() {
            Err(line_error(&error))
        } else {
            decode_quoted(line, &texts)
        }
    })
}

/// Decodes one line; an unknown field is an error.
pub fn decode_strict(line: &str) -> Result<Frame, LineError> {
    let frame = decode(line)?;
    let unknown = unknown_fields(line);
    if unknown.is_empty() {
        return Ok(frame);
    }
    Err(LineError {
        column: 0,
        message: format!("the protocol has no field {}", unknown.join(", ")),
    })
}

/// Fields of a line that the protocol does not know, as paths such as `generate.tools[0].colour`.
pub fn unknown_fields(line: &str) -> Vec<String> {
    schema::walk(line).unknown
}

/// Appends one line, with its newline.
pub fn encode(frame: &Frame, out: &mut BytesMut) -> Result<(), Status> {
    let line = to_line(frame)?;
    if line.len() > MAX_FRAME_BYTES as usize {
        return Err(too_large(line.len()));
    }
    out.reserve(line.len() + 1);
    out.extend_from_slice(line.as_bytes());
    out.extend_from_slice(b"\n");
    Ok(())
}

/// One line, without its newline.
pub fn to_line(frame: &Frame) -> Result<String, Status> {
    serde_json::to_string(frame)
        .map_err(|error| Status::internal(format!("a frame that has no JSON form: {error}")))
}

/// Decodes a line after putting each of `texts`, parts of the line, into quotes.
fn decode_quoted(line: &str, texts: &[&str]) -> Result<Frame, LineError> {
    let mut quoted = String::with_capacity(line.len() + line.len() / 4);
    // Where each untouched part begins: in what is decoded, and in the line.
    let mut parts = vec![(0, 0)];
    let mut from = 0;
    for text in texts {
        let at = text.as_ptr() as usize - line.as_ptr() as usize;
        quoted.push_str(line.get(from..at).unwrap_or_default());
        let string = serde_json::to_string(text).map_err(|error| line_error(&error))?;
        parts.push((quoted.len(), at));
        quoted.push_str(&string);
        from = at + text.len();
        parts.push((quoted.len(), from));
    }
    quoted.push_str(line.get(from..).unwrap_or_default());
    serde_json::from_str(&quoted).map_err(|error| {
        let mut error = line_error(&error);
        if let Some((there, here)) = parts.iter().rev().find(|(there, _)| *there <= error.column) {
            error.column = here + (error.column - there);
        }
        error
    })
}

fn line_error(error: &serde_json::Error) -> LineError {
    let text = error.to_string();
    // serde_json ends its message with a position in a text of one line; the column is kept, the line is not ours.
    let message = text
        .rsplit_once(" at line ")
        .map_or(text.as_str(), |(message, _)| message);
    // What the generated decoder says of anything else in a number's place.
    let message = message.replace(
        "data did not match any variant of untagged enum Content",
        "expected a number",
    );
    LineError {
        column: error.column(),
        message,
    }
}

/// Decodes frames that end with a newline, with a carriage return before it or without.
#[derive(Debug)]
pub struct LineDecoder {
    max: usize,
    /// The line at which the next byte stands, from 1.
    line: u64,
    /// Bytes already searched for a newline.
    searched: usize,
    /// Within a line that is too long: it is thrown away up to its end.
    skipping: bool,
    pub(super) report_unknown: bool,
}

impl LineDecoder {
    /// A decoder that accepts lines of up to `max` bytes.
    pub fn new(max: u32) -> Self {
        Self {
            max: max as usize,
            line: 1,
            searched: 0,
            skipping: false,
            report_unknown: false,
        }
    }

    fn too_long(&mut self) -> Flaw {
        let status = Status::resource_exhausted(format!(
            "line {}: longer than the {} bytes that are accepted; it was skipped",
            self.line, self.max
        ))
        .with_hint("send less in one frame; welcome.max_frame_bytes tells the limit");
        Flaw {
            id: 0,
            status,
            fatal: false,
        }
    }

    /// One line without its newline; nothing for a blank one.
    fn parse(&self, line: &[u8]) -> Option<Result<Inbound, Flaw>> {
        let flaw = |id, error: &LineError| Flaw {
            id,
            status: Status::invalid_argument(format!(
                "line {}, column {}: {}",
                self.line, error.column, error.message
            ))
            .with_hint("write one frame a line, such as {\"id\":1,\"health\":{}}"),
            fatal: false,
        };
        let text = match str::from_utf8(line) {
            Ok(text) => text,
            Err(error) => {
                let column = error.valid_up_to() + 1;
                return Some(Err(flaw(
                    0,
                    &LineError {
                        column,
                        message: "not UTF-8".to_owned(),
                    },
                )));
            }
        };
        if text.trim_ascii().is_empty() {
            return None;
        }
        Some(match decode(text) {
            Ok(frame) => {
                let unknown = if self.report_unknown {
                    unknown_fields(text)
                } else {
                    Vec::new()
                };
                Ok(Inbound { frame, unknown })
            }
            Err(error) => Err(flaw(sniff_id(text), &error)),
        })
    }
}

/// The id of a line that is JSON and no frame; else 0.
fn sniff_id(line: &str) -> u32 {
    #[derive(Deserialize)]
    struct OnlyId {
        id: u32,
    }
    serde_json::from_str::<OnlyId>(line).map_or(0, |only| only.id)
}

impl codec::Decoder for LineDecoder {
    type Item = Result<Inbound, Flaw>;
    type Error = io::Error;

    fn decode(&mut self, src: &mut BytesMut) -> io::Result<Option<Self::Item>> {
        loop {
            let end = src
                .get(self.searched..)
                .and_then(|rest| memchr::memchr(b'\n', rest))
                .map(|at| self.searched + at);
            let Some(end) = end else {
                if self.skipping {
                    src.clear();
                    self.searched = 0;
                } else if src.len() > self.max {
                    self.skipping = true;
                    src.clear();
                    self.searched = 0;
                    return Ok(Some(Err(self.too_long())));
                } else {
                    self.searched = src.len();
                }
                return Ok(None);
            };
            let line = src.split_to(end);
            src.advance(1);
            self.searched = 0;
            let item = if std::mem::take(&mut self.skipping) {
                None
            } else if line.len() > self.max {
                Some(Err(self.too_long()))
            } else {
                self.parse(&line)
            };
            self.line += 1;
            if item.is_some() {
                return Ok(item);
            }
        }
    }

    fn decode_eof(&mut self, src: &mut BytesMut) -> io::Result<Option<Self::Item>> {
        if let Some(item) = self.decode(src)? {
            return Ok(Some(item));
        }
        // The last line needs no newline.
        let line = src.split();
        self.searched = 0;
        Ok(if self.skipping {
            None
        } else {
            self.parse(&line)
        })
    }
}
