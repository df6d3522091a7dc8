//! A model's text to text and calls, as it comes: wherever it is cut, the outcome is the same.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{
    Call, OwnedPiece, ParseError, Toolbox,
    control::{self, END_CALL, END_TURN, EOS, ESCAPE, START_CALL, START_RESPONSE},
    reader::{self, Marked},
    split::Splitter,
    stream::{Fragment, Transcoder},
};
use crate::tokenizer::Piece;

/// What a model's text holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    Text(String),
    /// The call that is being written has this name. Only of a [`Parser::streaming`], like [`Event::Arguments`].
    Name(String),
    /// More of its arguments' JSON text.
    Arguments(String),
    /// Complete, of an offered function, and valid against its schema.
    Call {
        name: String,
        arguments: Map<String, Value>,
    },
}

/// Reads a model's text in portions. After an error nothing more comes out.
#[derive(Debug)]
pub struct Parser {
    toolbox: Arc<Toolbox>,
    splitter: Splitter,
    /// Bytes read.
    at: usize,
    state: State,
    /// Tells a call's fragments before it is whole.
    streams: bool,
    error: Option<ParseError>,
}

#[derive(Debug)]
enum State {
    Text,
    /// Behind a call's opening token.
    Call(Pending),
    /// The turn is over; what follows is not the model's.
    Over,
}

/// A call that is not whole yet.
#[derive(Debug)]
struct Pending {
    start: usize,
    marked: Marked,
    in_string: bool,
    transcoder: Option<Transcoder>,
}

impl Parser {
    pub fn new(toolbox: Arc<Toolbox>) -> Self {
        Self {
            toolbox,
            splitter: Splitter::default(),
            at: 0,
            state: State::Text,
            streams: false,
            error: None,
        }
    }

    /// Tells of calls also what is written of them, as [`Event::Name`] and [`Event::Arguments`]. Only where nothing but
    /// valid calls can be written: what has been told cannot be taken back.
    #[must_use]
    pub fn streaming(mut self) -> Self {
        self.streams = true;
        self
    }

    /// What was found wrong.
    pub fn error(&self) -> Option<&ParseError> {
        self.error.as_ref()
    }

    /// Adds text in which control tokens are spelt, and gives what is settled by it.
    pub fn push(&mut self, text: &str) -> Vec<Event> {
        let mut events = Vec::new();
        if self.listens() {
            for piece in self.splitter.push(text) {
                match piece {
                    OwnedPiece::Text(text) => self.text(&text, &mut events),
                    OwnedPiece::Control(token) => self.control(token, &mut events),
                }
            }
        }
        events
    }

    /// Adds what one token stands for, and gives what is settled by it: letters that spell a control token are text.
    pub fn push_piece(&mut self, piece: Piece<'_>) -> Vec<Event> {
        let mut events = Vec::new();
        match piece {
            Piece::Text(text) => self.text(text, &mut events),
            Piece::Control(text) => match control::named(text) {
                Some(token) => self.control(token, &mut events),
                // None of the format's: it means nothing here.
                None => self.text(text, &mut events),
            },
        }
        events
    }

    /// The text is at its end. A call whose closing token is missing counts if it is whole.
    pub fn finish(mut self) -> Result<Vec<Event>, ParseError> {
        let mut events = Vec::new();
        let held = self.splitter.finish();
        self.text(&held, &mut events);
        if let State::Call(pending) = std::mem::replace(&mut self.state, State::Over) {
            self.call(pending, false, &mut events);
        }
        match self.error {
            Some(error) => Err(error),
            None => Ok(events),
        }
    }

    /// The text was cut off where it is: a call that is not closed is none, whole as it may look.
    pub(crate) fn cut(mut self) -> Result<Vec<Event>, ParseError> {
        if let State::Call(pending) = &self.state {
            return Err(ParseError {
                at: pending.start,
                expected: END_CALL.to_owned(),
                message: format!("the text ends where {END_CALL:?} was expected"),
            });
        }
        let mut events = Vec::new();
        let held = self.splitter.finish();
        self.text(&held, &mut events);
        match self.error {
            Some(error) => Err(error),
            None => Ok(events),
        }
    }

    /// More can come of it.
    fn listens(&self) -> bool {
        self.error.is_none() && !matches!(self.state, State::Over)
    }

    fn text(&mut self, text: &str, events: &mut Vec<Event>) {
        if !self.listens() || text.is_empty() {
            return;
        }
        self.at += text.len();
        match &mut self.state {
            State::Call(pending) => {
                pending.marked.text(text);
                if let Some(transcoder) = &mut pending.transcoder {
                    let fragment = transcoder.text(text);
                    if (fragment.name.as_ref()).is_some_and(|name| !self.toolbox.contains(name)) {
                        pending.transcoder = None;
                    } else {
                        tell(fragment, events);
                    }
                }
            }
            _ => events.push(Event::Text(text.to_owned())),
        }
    }

    fn control(&mut self, token: &'static str, events: &mut Vec<Event>) {
        if !self.listens() {
            return;
        }
        let at = self.at;
        self.at += token.len();
        match (std::mem::replace(&mut self.state, State::Over), token) {
            (State::Text, START_CALL) => {
                self.state = State::Call(Pending {
                    start: self.at,
                    marked: Marked::default(),
                    in_string: false,
                    transcoder: self.streams.then(Transcoder::new),
                });
            }
            (State::Call(mut pending), _) if pending.in_string || token == ESCAPE => {
                pending.in_string ^= token == ESCAPE;
                pending.marked.control(token);
                if let Some(transcoder) = &mut pending.transcoder {
                    tell(transcoder.control(token), events);
                }
                self.state = State::Call(pending);
            }
            (State::Call(pending), END_CALL) => {
                self.call(pending, true, events);
                self.state = State::Text;
            }
            (State::Call(pending), START_RESPONSE | END_TURN | EOS) => {
                self.call(pending, true, events);
            }
            (State::Text, START_RESPONSE | END_TURN | EOS) | (State::Over, _) => {}
            (State::Text, stray) => self.fail(
                at,
                "text, or a call",
                format!("{stray} stands outside a call"),
            ),
            (State::Call(_), stray) => {
                self.fail(at, END_CALL, format!("{stray} stands inside a call"));
            }
        }
    }

    /// This is a call. Where the text was cut it is not closed.
    fn call(&mut self, mut pending: Pending, closed: bool, events: &mut Vec<Event>) {
        match reader::read_call(&self.toolbox, &pending.marked, pending.start, closed) {
            Ok(Call {
                name, arguments, ..
            }) => {
                if let Some(transcoder) = &mut pending.transcoder {
                    tell(transcoder.end(), events);
                }
                events.push(Event::Call { name, arguments });
            }
            Err(error) => self.error = Some(error),
        }
    }

    fn fail(&mut self, at: usize, expected: &str, message: String) {
        let expected = expected.to_owned();
        self.error = Some(ParseError {
            at,
            message,
            expected,
        });
    }
}

fn tell(fragment: Fragment, events: &mut Vec<Event>) {
    events.extend(fragment.name.map(Event::Name));
    if !fragment.arguments.is_empty() {
        events.push(Event::Arguments(fragment.arguments));
    }
}

/// All of a text at once: its prose, and its calls.
pub fn parse(toolbox: Arc<Toolbox>, text: &str) -> Result<(String, Vec<Call>), ParseError> {
    let mut parser = Parser::new(toolbox);
    let mut events = parser.push(text);
    events.extend(parser.finish()?);
    let (mut content, mut calls) = (String::new(), Vec::new());
    for event in events {
        match event {
            Event::Text(text) => content.push_str(&text),
            Event::Call { name, arguments } => calls.push(Call {
                id: String::new(),
                name,
                arguments,
            }),
            // Of a streaming parser only.
            Event::Name(_) | Event::Arguments(_) => {}
        }
    }
    Ok((content, calls))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Most bytes held while a text comes in portions, a thousand times over.
    fn most_held(before: &str, portion: &str) -> usize {
        let mut parser = Parser::new(Arc::default());
        parser.push(before);
        let held = (0..1000).map(|_| {
            parser.push(portion);
            let pending = match &parser.state {
                State::Call(pending) => pending.marked.text.capacity(),
                _ => 0,
            };
            parser.splitter.held.capacity() + pending
        });
        held.max().unwrap_or_default()
    }

    #[test]
    fn what_is_settled_is_not_held() {
        let kilobyte = "a < b, <start_of ".repeat(60);
        for (before, portion) in [
            ("", kilobyte.as_str()),
            ("", "<"),
            // Behind the end of the turn, and behind an error.
            ("Bye.<end_of_turn>", &kilobyte),
            ("<escape>", &kilobyte),
            (
                "<start_function_call>call:nobody{}<end_function_call>",
                &kilobyte,
            ),
        ] {
            let most = most_held(before, portion);
            assert!(most < 8 << 10, "{most} bytes held of {before:?}");
        }
        // A call is held until it is whole, and not more than that.
        let open = most_held("<start_function_call>call:f{x:<escape>", &kilobyte);
        assert!((1 << 20..4 << 20).contains(&open), "{open}");
    }
}
