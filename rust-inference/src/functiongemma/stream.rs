//! A call that is still being written, as JSON: its name as soon as it is whole, then its arguments piece by piece.
//!
//! The pieces of a valid call, put together, are the JSON text of the arguments that [`super::reader`] reads, byte for
//! byte. It is not told here what is wrong with a call that is not valid: nothing more comes, and the reader says why.

use super::{
    control::ESCAPE,
    reader::{KEY_ENDS, WORD_ENDS, word_value},
};

/// What a piece of a call has settled.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Fragment {
    pub(super) name: Option<String>,
    pub(super) arguments: String,
}

/// Turns one call's notation into JSON as it comes.
#[derive(Debug)]
pub(super) struct Transcoder {
    state: State,
    /// The objects (true) and arrays that are open.
    open: Vec<bool>,
    /// A name, key or word that is not whole yet.
    word: String,
    /// The notation, as far as it was read, is no call's.
    broken: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// `call:NAME` up to the opening brace.
    Head,
    /// A key is next; `first`: or the end of the object.
    Key {
        first: bool,
    },
    BareKey,
    DelimitedKey,
    /// Behind a delimited key.
    Colon,
    /// A value is next; `first`: or the end of the array.
    Value {
        first: bool,
    },
    Word,
    String,
    /// Behind a value.
    After,
    /// Behind the last brace.
    Over,
}

impl Transcoder {
    pub(super) fn new() -> Self {
        Self {
            state: State::Head,
            open: Vec::new(),
            word: String::new(),
            broken: false,
        }
    }

    pub(super) fn text(&mut self, text: &str) -> Fragment {
        let mut out = Fragment::default();
        let mut rest = text;
        while !self.broken
            && let Some(letter) = rest.chars().next()
        {
            let run = match self.state {
                State::String | State::DelimitedKey => rest.len(),
                State::Head => until(rest, &['{']),
                State::BareKey => until(rest, &KEY_ENDS),
                State::Word => until(rest, &WORD_ENDS),
                _ => 0,
            };
            if run == 0 {
                // A key or word that has just begun is read with its first letter still in place.
                if self.letter(letter, &mut out) {
                    rest = rest.get(letter.len_utf8()..).unwrap_or_default();
                }
                continue;
            }
            let (before, after) = rest.split_at(run);
            if self.state == State::String {
                out.arguments.push_str(&escaped(before));
            } else {
                self.word.push_str(before);
            }
            rest = after;
        }
        out
    }

    /// A control token inside of the call.
    pub(super) fn control(&mut self, token: &'static str) -> Fragment {
        let mut out = Fragment::default();
        match self.state {
            _ if self.broken => {}
            // Between delimiters every other token is only letters.
            State::String | State::DelimitedKey if token != ESCAPE => return self.text(token),
            State::Key { .. } if token == ESCAPE => self.state = State::DelimitedKey,
            State::DelimitedKey => {
                self.key(&mut out);
                self.state = State::Colon;
            }
            State::Value { .. } if token == ESCAPE => {
                out.arguments.push('"');
                self.state = State::String;
            }
            State::String => {
                out.arguments.push('"');
                self.state = State::After;
            }
            _ => self.broken = true,
        }
        out
    }

    /// The call is closed. Without arguments it may have come without braces.
    pub(super) fn end(&mut self) -> Fragment {
        if self.state != State::Head || self.broken {
            return Fragment::default();
        }
        let mut out = Fragment::default();
        self.name(&mut out);
        if !self.broken {
            out.arguments.push_str("{}");
        }
        out
    }

    /// Takes one letter that is not part of a run; false: the state has changed, and the letter is to be read in it.
    fn letter(&mut self, letter: char, out: &mut Fragment) -> bool {
        let mut consumed = true;
        match (self.state, letter) {
            (State::Head, _) => {
                self.name(out);
                if !self.broken {
                    self.begin(true, out);
                }
            }
            (State::BareKey, ':') => {
                self.word.truncate(self.word.trim_end().len());
                self.key(out);
                out.arguments.push(':');
                self.state = State::Value { first: false };
            }
            (State::Word, _) => {
                match word_value(self.word.trim_end()) {
                    Some(value) => out.arguments.push_str(&value.to_string()),
                    None => self.broken = true,
                }
                self.word.clear();
                self.state = State::After;
                consumed = false;
            }
            (_, space) if space.is_whitespace() => {}
            (State::Key { first: true }, '}') | (State::Value { first: true }, ']') => {
                self.close(letter, out);
            }
            (State::Key { .. }, _) => {
                self.state = State::BareKey;
                consumed = false;
                self.broken = KEY_ENDS.contains(&letter);
            }
            (State::Colon, ':') => {
                out.arguments.push(':');
                self.state = State::Value { first: false };
            }
            (State::Value { .. }, '{') => self.begin(true, out),
            (State::Value { .. }, '[') => self.begin(false, out),
            (State::Value { .. }, _) => {
                self.state = State::Word;
                consumed = false;
                self.broken = WORD_ENDS.contains(&letter);
            }
            (State::After, ',') => {
                out.arguments.push(',');
                self.state = match self.open.last() {
                    Some(true) => State::Key { first: false },
                    _ => State::Value { first: false },
                };
            }
            (State::After, '}' | ']') => self.close(letter, out),
            _ => self.broken = true,
        }
        consumed
    }

    fn name(&mut self, out: &mut Fragment) {
        match self.word.strip_prefix("call:") {
            Some(name) => out.name = Some(name.trim().to_owned()),
            None => self.broken = true,
        }
        self.word.clear();
    }

    fn key(&mut self, out: &mut Fragment) {
        out.arguments.push('"');
        out.arguments.push_str(&escaped(&self.word));
        out.arguments.push('"');
        self.word.clear();
    }

    fn begin(&mut self, object: bool, out: &mut Fragment) {
        out.arguments.push(if object { '{' } else { '[' });
        self.open.push(object);
        self.state = if object {
            State::Key { first: true }
        } else {
            State::Value { first: true }
        };
    }

    fn close(&mut self, bracket: char, out: &mut Fragment) {
        if self.open.pop() != Some(bracket == '}') {
            self.broken = true;
            return;
        }
        out.arguments.push(bracket);
        self.state = if self.open.is_empty() {
            State::Over
        } else {
            State::After
        };
    }
}

/// The length of what stands before one of the characters.
fn until(text: &str, ends: &[char]) -> usize {
    text.find(ends).unwrap_or(text.len())
}

/// As between the quotes of a JSON string.
fn escaped(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    let inner = quoted.strip_prefix('"').and_then(|q| q.strip_suffix('"'));
    inner.unwrap_or_default().to_owned()
}
