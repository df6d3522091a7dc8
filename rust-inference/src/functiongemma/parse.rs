//! A model's text to text and calls, as it comes: wherever it is cut, the outcome is the same.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{
    Call, ParseError, Toolbox,
    control::{self, END_CALL, END_TURN, EOS, ESCAPE, START_CALL, START_RESPONSE},
    reader,
};

/// What a model's text holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    Text(String),
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
    /// The text that is not settled yet begins at byte `taken` of what is held, and at byte `start` of all the text.
    held: String,
    taken: usize,
    start: usize,
    state: State,
    error: Option<ParseError>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Text,
    /// Behind a call's opening token. The held text was searched up to `searched`.
    Call {
        searched: usize,
        in_string: bool,
    },
    /// The turn is over; what follows is not the model's.
    Over,
}

const IN_CALL: State = State::Call {
    searched: 0,
    in_string: false,
};

impl Parser {
    pub fn new(toolbox: Arc<Toolbox>) -> Self {
        Self {
            toolbox,
            held: String::new(),
            taken: 0,
            start: 0,
            state: State::Text,
            error: None,
        }
    }

    /// What was found wrong.
    pub fn error(&self) -> Option<&ParseError> {
        self.error.as_ref()
    }

    /// Adds text, and gives what is settled by it.
    pub fn push(&mut self, text: &str) -> Vec<Event> {
        let mut events = Vec::new();
        if self.error.is_none() && self.state != State::Over {
            self.held.push_str(text);
            while self.step(&mut events) {}
            // Once a portion, not once a step: a long text is not moved for each of its calls.
            self.held.drain(..std::mem::take(&mut self.taken));
        }
        events
    }

    /// The text is at its end. A call whose closing token is missing counts if it is whole.
    pub fn finish(mut self) -> Result<Vec<Event>, ParseError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let mut events = Vec::new();
        match self.state {
            State::Text if !self.held.is_empty() => events.push(Event::Text(self.held)),
            State::Call { .. } => {
                let end = self.held.len();
                self.call(end, 0, false, &mut events);
                if let Some(error) = self.error {
                    return Err(error);
                }
            }
            State::Text | State::Over => {}
        }
        Ok(events)
    }

    /// Settles one thing; false if more text is needed.
    fn step(&mut self, events: &mut Vec<Event>) -> bool {
        match self.state {
            State::Text => self.text(events),
            State::Call {
                searched,
                in_string,
            } => self.search(searched, in_string, events),
            State::Over => false,
        }
    }

    fn text(&mut self, events: &mut Vec<Event>) -> bool {
        let (at, token) = next_control(self.rest(), 0);
        let text = self.take(at);
        if !text.is_empty() {
            events.push(Event::Text(text));
        }
        match token {
            None => return false,
            Some(START_CALL) => {
                self.take(START_CALL.len());
                self.state = IN_CALL;
            }
            Some(START_RESPONSE | END_TURN | EOS) => self.state = State::Over,
            Some(stray) => self.fail(format!("{stray} stands outside a call")),
        }
        self.error.is_none() && self.state != State::Over
    }

    /// Looks for the end of a call.
    fn search(&mut self, searched: usize, in_string: bool, events: &mut Vec<Event>) -> bool {
        let (at, token) = next_control(self.rest(), searched);
        let state = |searched, in_string| State::Call {
            searched,
            in_string,
        };
        match token {
            None => {
                self.state = state(at, in_string);
                return false;
            }
            Some(ESCAPE) => self.state = state(at + ESCAPE.len(), !in_string),
            // Between delimiters every other token is only letters.
            Some(other) if in_string => self.state = state(at + other.len(), true),
            Some(END_CALL) => self.call(at, END_CALL.len(), true, events),
            Some(START_RESPONSE | END_TURN | EOS) => {
                self.call(at, 0, true, events);
                self.state = State::Over;
            }
            Some(stray) => {
                self.start += at;
                self.fail(format!("{stray} stands inside a call"));
            }
        }
        self.error.is_none() && self.state != State::Over
    }

    /// The held text up to `end` is a call; `closing` bytes of a closing token follow. Where the text was cut the call
    /// is not closed.
    fn call(&mut self, end: usize, closing: usize, closed: bool, events: &mut Vec<Event>) {
        let start = self.start;
        let text = self.take(end);
        self.take(closing);
        match reader::read_call(&self.toolbox, &text, start, closed) {
            Ok(Call {
                name, arguments, ..
            }) => {
                events.push(Event::Call { name, arguments });
                self.state = State::Text;
            }
            Err(error) => self.error = Some(error),
        }
    }

    fn fail(&mut self, message: String) {
        self.error = Some(ParseError {
            at: self.start,
            message,
        });
    }

    fn rest(&self) -> &str {
        self.held.get(self.taken..).unwrap_or_default()
    }

    /// Takes the first bytes of what is not settled.
    fn take(&mut self, bytes: usize) -> String {
        let taken = self.rest().get(..bytes).unwrap_or_default().to_owned();
        self.taken += taken.len();
        self.start += taken.len();
        taken
    }
}

/// The first control token from `from` on; else the place up to which there can be none, whatever follows.
fn next_control(text: &str, from: usize) -> (usize, Option<&'static str>) {
    let tail = text.get(from..).unwrap_or_default();
    for (at, _) in tail.match_indices('<') {
        let rest = tail.get(at..).unwrap_or_default();
        if let Some(token) = control::ALL
            .into_iter()
            .find(|token| rest.starts_with(token))
        {
            return (from + at, Some(token));
        }
        if control::ALL.iter().any(|token| token.starts_with(rest)) {
            return (from + at, None);
        }
    }
    (text.len(), None)
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
            parser.held.capacity()
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
