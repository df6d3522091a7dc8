//! `--batch`: one JSON object per line comes in, one per line goes out, in the same order and one for each.
//!
//! Whatever stands in a line, it is answered, and the next one is read. A program may write a line, wait for its
//! answer, and write the next: answers are held back only while another line is here already.

use std::{
    io::{self, BufRead, BufReader, BufWriter, Read, Write},
    path::Path,
};

use ipc::program::Failure;
use rust_inference::{
    constrain::{self, Note},
    functiongemma::{InputError, ParseError},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json, value::RawValue};

use super::files;

/// Bytes of a line; as many as a frame of the protocol may have.
const LONGEST: usize = 16 << 20;

/// What is read of a line. The parts are read by whoever needs them, so that what is wrong with one is told under the
/// line's id.
#[derive(Deserialize)]
#[serde(expecting = "an object {\"id\", \"tools\", \"messages\" or \"text\"}")]
struct Line<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tools: Option<&'a RawValue>,
    #[serde(borrow, default)]
    messages: Option<&'a RawValue>,
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
}

/// A question that a line asks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'a> {
    /// JSON text, as the line has it: what is the same needs not be read again.
    pub(super) tools: Option<&'a str>,
    messages: Option<&'a str>,
    text: Option<&'a str>,
}

impl<'a> Question<'a> {
    /// The messages as JSON text.
    pub(super) fn messages(&self) -> Result<&'a str, Refusal> {
        (self.messages).ok_or_else(|| {
            Refusal::at(
                "/messages",
                "messages are missing; a line to render is {\"id\", \"tools\", \"messages\"}",
            )
        })
    }

    /// The text of a model.
    pub(super) fn text(&self) -> Result<String, Refusal> {
        let text = self.text.ok_or_else(|| {
            Refusal::at(
                "/text",
                "text is missing; a line to read is {\"id\", \"tools\", \"text\"}",
            )
        })?;
        serde_json::from_str(text).map_err(|error| Refusal::at("/text", format!("text: {error}")))
    }
}

/// Why a line has no result: `message`, and where that is known `line` (of one that could not be read, the first being
/// 1), `position` (the byte of the text), `pointer` (into the line), `expected`, and `refused`, all that is wrong
/// with schemas.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Refusal(Map<String, Value>);

impl Refusal {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self(Map::new()).with("message", message.into())
    }

    pub(super) fn at(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(message).with("pointer", pointer.into())
    }

    pub(super) fn no_tools() -> Self {
        let what = "tools are missing; give them in the line, or all lines the same with --tools";
        Self::at("/tools", what)
    }

    fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.0.insert(key.to_owned(), value.into());
        self
    }
}

impl From<Vec<Note>> for Refusal {
    fn from(refused: Vec<Note>) -> Self {
        let told = notes(&refused);
        let refusal = match refused.into_iter().next() {
            Some(note) => Self::at(note.pointer, note.what),
            None => Self::new(""),
        };
        refusal.with("refused", told)
    }
}

impl From<constrain::Refusal> for Refusal {
    fn from(refusal: constrain::Refusal) -> Self {
        Self::new(refusal.message)
            .with("position", refusal.at)
            .with("expected", refusal.expected)
    }
}

impl From<InputError> for Refusal {
    fn from(error: InputError) -> Self {
        Self::at(error.pointer(), error.to_string())
    }
}

impl From<ParseError> for Refusal {
    fn from(error: ParseError) -> Self {
        Self::new(error.to_string()).with("position", error.at)
    }
}

/// Notes as JSON.
pub(super) fn notes(notes: &[Note]) -> Value {
    let notes = notes.iter();
    notes
        .map(|note| json!({"pointer": note.pointer, "what": note.what}))
        .collect()
}

#[derive(Serialize)]
struct Answer<'a> {
    id: Option<&'a RawValue>,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Refusal>,
}

/// Answers each line of a file or of standard input.
pub(super) fn run(
    input: &Path,
    answer: impl FnMut(Question<'_>) -> Result<Value, Refusal>,
) -> Result<(), Failure> {
    let lines = BufReader::with_capacity(1 << 18, files::open(input)?);
    serve(lines, io::stdout().lock(), answer).map_or_else(
        |error| match error {
            Broken::Read(error) => Err(files::unreadable(input, &error)),
            Broken::Write(error) => files::written(Err(error)).map(drop),
        },
        Ok,
    )
}

/// Which side broke.
#[derive(Debug)]
enum Broken {
    Read(io::Error),
    Write(io::Error),
}

fn serve<R: Read>(
    mut lines: BufReader<R>,
    out: impl Write,
    mut answer: impl FnMut(Question<'_>) -> Result<Value, Refusal>,
) -> Result<(), Broken> {
    let mut out = BufWriter::with_capacity(1 << 16, out);
    let mut line = Vec::new();
    for number in 1_u64.. {
        if !lines.buffer().contains(&b'\n') {
            // Reading may wait for somebody who waits for this.
            out.flush().map_err(Broken::Write)?;
        }
        let Some(whole) = next_line(&mut lines, &mut line).map_err(Broken::Read)? else {
            break;
        };
        let read = if whole {
            read(&line)
        } else {
            Err(format!("the line is longer than {LONGEST} bytes"))
        };
        let (id, outcome) = match read {
            Ok(line) => (line.id, answer(question(&line))),
            Err(message) => {
                let refusal = Refusal::new(message).with("line", number);
                (None, Err(refusal))
            }
        };
        let (result, error) = match outcome {
            Ok(result) => (Some(result), None),
            Err(refusal) => (None, Some(refusal)),
        };
        let ok = error.is_none();
        let answer = Answer {
            id,
            ok,
            result,
            error,
        };
        serde_json::to_writer(&mut out, &answer)
            .map_err(io::Error::from)
            .and_then(|()| out.write_all(b"\n"))
            .map_err(Broken::Write)?;
    }
    out.flush().map_err(Broken::Write)
}

fn read(line: &[u8]) -> Result<Line<'_>, String> {
    // Of a list serde would take the first item for the id.
    if line.trim_ascii_start().starts_with(b"[") {
        return Err("expected an object, found a list".to_owned());
    }
    // Of what is on one line only the column says anything.
    serde_json::from_slice(line).map_err(|error| {
        error
            .to_string()
            .replace(" at line 1 column ", " at column ")
    })
}

fn question<'a>(line: &Line<'a>) -> Question<'a> {
    Question {
        tools: line.tools.map(RawValue::get),
        messages: line.messages.map(RawValue::get),
        text: line.text.map(RawValue::get),
    }
}

/// Reads the next line, without its end; false if it is too long, and then it is not kept. Nothing at the end.
fn next_line(lines: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Option<bool>> {
    line.clear();
    // What one long line needed is not kept for all that follow.
    line.shrink_to(LONGEST / 16);
    let (mut any, mut whole) = (false, true);
    loop {
        let buffer = match lines.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            buffer => buffer?,
        };
        if buffer.is_empty() {
            return Ok(any.then_some(whole));
        }
        any = true;
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let part = buffer
            .get(..end.unwrap_or(buffer.len()))
            .unwrap_or_default();
        let used = part.len() + usize::from(end.is_some());
        whole = whole && line.len() + part.len() <= LONGEST;
        if whole {
            line.extend_from_slice(part);
        }
        lines.consume(used);
        if end.is_some() {
            return Ok(Some(whole));
        }
    }
}
