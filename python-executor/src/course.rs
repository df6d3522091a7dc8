//! What a child has said in the course of one piece of work, and what is made of it in the end. Tool code runs in the
//! process that says all this, so every part of it is bounded and nothing is believed against the kernel.

use ipc::proto::Artefact;
use serde::de::IgnoredAny;

use crate::{
    call::End,
    protocol::{
        Ended,
        channel::{Kind, Wrong},
        work::{ArtefactHead, Failure, Note, Question},
    },
    supervisor::{Said, Usage},
};

/// Bytes of a result that are taken, and of all artefacts of a call.
const MAX_RESULT: usize = 1 << 20;
const MAX_ARTEFACTS: usize = 4 << 20;
/// Lists and objects of a result within each other: whoever reads it may do so by recursion.
const MAX_DEPTH: usize = 64;
/// Bytes of each part of an error, of a note, and of what describes an artefact.
const MAX_ERROR: usize = 64 << 10;
const MAX_NAME: usize = 255;
/// Notes and artefacts of one call that are taken.
const MAX_NOTES: usize = 10_000;

#[derive(Debug)]
pub(crate) struct Course {
    /// It has said that it is warm.
    pub(crate) warm: bool,
    answer: Option<Result<String, Failure>>,
    pub(crate) stopped: Option<End>,
    /// It was killed because it did not end by itself.
    pub(crate) killed: bool,
    /// What was used when the answer came.
    pub(crate) used: Option<Usage>,
    pub(crate) artefacts: Vec<Artefact>,
    artefact_bytes: usize,
    notes: usize,
}

/// What is to be done about what was said.
#[derive(Debug)]
pub(crate) enum Asked {
    Nothing,
    Note(Note),
    Question(Question),
    Connection(String),
}

impl Course {
    pub(crate) fn new(warm: bool) -> Self {
        Self {
            warm,
            answer: None,
            stopped: None,
            killed: false,
            used: None,
            artefacts: Vec::new(),
            artefact_bytes: 0,
            notes: 0,
        }
    }

    pub(crate) fn answered(&self) -> bool {
        self.answer.is_some()
    }

    /// Takes what a child says. What does not belong here stops the work.
    pub(crate) fn hear(&mut self, said: Result<Option<Said>, Wrong>) -> Asked {
        let said = match said {
            Ok(Some(said)) => said,
            Ok(None) => return Asked::Nothing,
            Err(wrong) => return self.wrong(&wrong.to_string()),
        };
        if self.answered() {
            return self.wrong("something was written behind the result");
        }
        // It was killed: what it had asked before is nobody's question any more.
        let asks = matches!(said.kind, Kind::Question | Kind::Connect);
        if self.stopped.is_some() && asks {
            return Asked::Nothing;
        }
        match self.take(said) {
            Ok(asked) => asked,
            Err(why) => self.wrong(why),
        }
    }

    fn take(&mut self, said: Said) -> Result<Asked, &'static str> {
        let unreadable = "a message cannot be read";
        match said.kind {
            Kind::Ready if !self.warm => self.warm = true,
            Kind::Result => {
                let text = String::from_utf8(said.content).map_err(|_| unreadable)?;
                self.answer = Some(sound(text));
            }
            Kind::Failure => {
                let failure = serde_json::from_slice(&said.content).map_err(|_| unreadable)?;
                self.answer = Some(Err(bounded(failure)));
            }
            Kind::Note => {
                self.notes += 1;
                if self.notes <= MAX_NOTES && said.content.len() <= MAX_ERROR {
                    let note = serde_json::from_slice(&said.content).map_err(|_| unreadable)?;
                    return Ok(Asked::Note(note));
                }
            }
            Kind::Artefact => self.artefact(&said.content)?,
            Kind::Question => {
                let question = serde_json::from_slice(&said.content).map_err(|_| unreadable)?;
                return Ok(Asked::Question(question));
            }
            Kind::Connect => {
                let address = String::from_utf8(said.content).map_err(|_| unreadable)?;
                return Ok(Asked::Connection(address));
            }
            _ => return Err("a message that only the executor sends"),
        }
        Ok(Asked::Nothing)
    }

    fn artefact(&mut self, content: &[u8]) -> Result<(), &'static str> {
        let end = content.iter().position(|byte| *byte == b'\n');
        let (head, data) = end
            .and_then(|end| Some((content.get(..end)?, content.get(end + 1..)?)))
            .ok_or("a file without a description")?;
        let head: ArtefactHead =
            serde_json::from_slice(head).map_err(|_| "a file whose description cannot be read")?;
        let plain = |text: &str, more: &str| {
            !text.is_empty()
                && text.len() <= MAX_NAME
                && !text.chars().any(|c| c.is_control() || more.contains(c))
        };
        if !plain(&head.name, "/\\") || head.name.starts_with('.') || !plain(&head.media_type, " ")
        {
            return Err("a file whose name or media type is none");
        }
        self.artefact_bytes += data.len().max(1024);
        if self.artefact_bytes > MAX_ARTEFACTS {
            return Err("more than 4 MiB of files");
        }
        self.artefacts.push(Artefact {
            name: head.name,
            media_type: head.media_type,
            data: data.to_vec(),
        });
        Ok(())
    }

    pub(crate) fn wrong(&mut self, why: &str) -> Asked {
        if self.stopped.is_none() {
            self.stopped = Some(End::Protocol(why.to_owned()));
        }
        Asked::Nothing
    }

    /// What it comes to, given how the child ended, if it did.
    pub(crate) fn end(self, ended: Option<Ended>, over: bool) -> End {
        if let Some(stopped) = self.stopped {
            return stopped;
        }
        let violent = ended.is_some_and(|ended| !self.killed && ended.status != 0);
        match (self.answer, ended) {
            // A result and a violent end contradict each other: the kernel is believed.
            (Some(_), Some(ended)) if violent => End::Died(ended.status),
            (Some(Ok(result)), _) => End::Result(result),
            (Some(Err(failure)), _) => End::Failure(failure),
            (None, Some(ended)) => End::Died(ended.status),
            (None, None) if over => End::ZygoteLost,
            (None, None) => End::Protocol("the tool ended without a result".to_owned()),
        }
    }
}

pub(crate) fn sound(json: String) -> Result<String, Failure> {
    if json.len() > MAX_RESULT {
        let why = format!("the result is larger than {MAX_RESULT} bytes");
        return Err(Failure::BadResult(why));
    }
    match serde_json::from_str::<IgnoredAny>(&json) {
        Ok(IgnoredAny) if deepest(&json) > MAX_DEPTH => {
            let why = format!("the result is nested deeper than {MAX_DEPTH} levels");
            Err(Failure::BadResult(why))
        }
        Ok(IgnoredAny) => Ok(json),
        Err(_) => Err(Failure::BadResult("the result is not JSON".to_owned())),
    }
}

/// How deep lists and objects are nested in a sound JSON text.
fn deepest(json: &str) -> usize {
    let (mut depth, mut most) = (0usize, 0);
    let (mut quoted, mut escaped) = (false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => {
                depth += 1;
                most = most.max(depth);
            }
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    most
}

fn bounded(failure: Failure) -> Failure {
    let cut = |mut text: String| {
        text.truncate(text.floor_char_boundary(MAX_ERROR));
        text
    };
    match failure {
        Failure::Exception {
            kind,
            message,
            traceback,
        } => Failure::Exception {
            kind: cut(kind),
            message: cut(message),
            traceback: cut(traceback),
        },
        Failure::BadResult(message) => Failure::BadResult(cut(message)),
        Failure::SandboxSetup(message) => Failure::SandboxSetup(cut(message)),
    }
}
