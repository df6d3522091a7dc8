//! The text between a call's control tokens, read: `call:NAME{key:value,…}`.
//!
//! A model's text is read with forbearance: spaces, keys that are delimited without need, a call without braces. Read
//! strictly it is only what the renderer writes, and where each value stands is remembered.

use serde_json::{Map, Number, Value};

use super::{
    Call, MAX_DEPTH, OwnedPiece, Toolbox, control::ESCAPE, spans::Spans, split::Splitter,
    value::is_bare_key,
};

/// Where a bare key ends.
pub(super) const KEY_ENDS: [char; 6] = [':', ',', '{', '}', '[', ']'];
/// Where a word ends: a number, `true`, `None`.
pub(super) const WORD_ENDS: [char; 7] = [',', '}', ']', '{', '[', ':', '<'];

/// What is wrong with a model's text, and at which byte of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at byte {at}: {message}")]
pub struct ParseError {
    pub at: usize,
    pub message: String,
    /// What would have been right there, where that can be said apart.
    pub expected: String,
}

/// A call's text, and the places in it where control tokens stand, which are spelt in the text as well.
#[derive(Debug, Default)]
pub(crate) struct Marked {
    pub(super) text: String,
    marks: Vec<(usize, &'static str)>,
}

impl Marked {
    /// All that is spelt like a control token is one.
    pub(crate) fn of(text: &str) -> Self {
        let mut marked = Self::default();
        let mut splitter = Splitter::default();
        for piece in splitter.push(text) {
            match piece {
                OwnedPiece::Text(text) => marked.text(&text),
                OwnedPiece::Control(token) => marked.control(token),
            }
        }
        marked.text(&splitter.finish());
        marked
    }

    /// Where the first control token stands.
    pub(crate) fn first(&self) -> Option<usize> {
        self.marks.first().map(|(at, _)| *at)
    }

    pub(super) fn text(&mut self, text: &str) {
        self.text.push_str(text);
    }

    pub(super) fn control(&mut self, token: &'static str) {
        self.marks.push((self.text.len(), token));
        self.text.push_str(token);
    }
}

/// Reads one call whose text begins at byte `start` of all the text. `closed`: a control token stands behind it.
pub(super) fn read_call(
    toolbox: &Toolbox,
    call: &Marked,
    start: usize,
    closed: bool,
) -> Result<Call, ParseError> {
    let mut reader = Reader {
        text: &call.text,
        marks: &call.marks,
        at: 0,
        start,
        strict: None,
    };
    reader.expect("call:")?;
    let name = reader.until(&['{']);
    let name_at = reader.at - name.len();
    let name = name.trim();
    if !toolbox.contains(name) {
        reader.at = name_at;
        return Err(reader.unknown_function(name, &toolbox.names()));
    }
    // A call without arguments may come without braces. Not where the text was cut: what is left of a longer name, or of
    // a call with arguments, would be taken for it.
    let arguments = if closed && reader.rest().is_empty() {
        Map::new()
    } else {
        reader.object(0)?
    };
    reader.space();
    if !reader.rest().is_empty() {
        return Err(reader.wrong("the end of the call"));
    }
    let value = Value::Object(arguments);
    if let Err(message) = toolbox.check(name, &value) {
        return Err(ParseError {
            at: start,
            message: format!("the arguments of {name}: {message}"),
            expected: String::new(),
        });
    }
    let Value::Object(arguments) = value else {
        return Err(reader.wrong("an object"));
    };
    Ok(Call {
        id: String::new(),
        name: name.to_owned(),
        arguments,
    })
}

#[derive(Debug)]
pub(crate) struct Reader<'a> {
    text: &'a str,
    marks: &'a [(usize, &'static str)],
    at: usize,
    start: usize,
    /// Where the values stand, if it is read strictly.
    strict: Option<Spans>,
}

impl<'a> Reader<'a> {
    /// Takes only what the renderer writes.
    pub(crate) fn strict(marked: &'a Marked) -> Self {
        Self {
            text: &marked.text,
            marks: &marked.marks,
            at: 0,
            start: 0,
            strict: Some(Spans::default()),
        }
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn go_to(&mut self, at: usize) {
        self.at = at;
    }

    pub(crate) fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// The arguments of a call, and where they stand.
    pub(crate) fn arguments(&mut self) -> Result<(Map<String, Value>, Spans), ParseError> {
        let at = self.at;
        let map = self.object(0)?;
        let mut spans = (self.strict.as_mut())
            .map(std::mem::take)
            .unwrap_or_default();
        spans.set(at, at);
        Ok((map, spans))
    }

    fn error(&self, expected: impl Into<String>, message: impl Into<String>) -> ParseError {
        ParseError {
            at: self.start + self.at,
            message: message.into(),
            expected: expected.into(),
        }
    }

    /// What stands here is something else.
    pub(crate) fn wrong(&self, expected: &str) -> ParseError {
        let found: String = self.rest().chars().take(12).collect();
        let message = if found.is_empty() {
            format!("the text ends where {expected} was expected")
        } else {
            format!("expected {expected}, found {found:?}")
        };
        self.error(expected, message)
    }

    pub(crate) fn unknown_function(&self, name: &str, names: &str) -> ParseError {
        let expected = format!("one of: {names}");
        let message = format!("unknown function {name:?}; expected {expected}");
        self.error(expected, message)
    }

    fn space(&mut self) {
        if self.strict.is_none() {
            let rest = self.rest();
            self.at += rest.len() - rest.trim_start().len();
        }
    }

    pub(crate) fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    pub(crate) fn expect(&mut self, token: &str) -> Result<(), ParseError> {
        if self.eat(token) {
            return Ok(());
        }
        Err(self.wrong(&format!("{token:?}")))
    }

    /// The places of control tokens from here on.
    fn marks(&self) -> &'a [(usize, &'static str)] {
        let passed = self.marks.partition_point(|(at, _)| *at < self.at);
        self.marks.get(passed..).unwrap_or_default()
    }

    fn at_escape(&self) -> bool {
        self.marks().first() == Some(&(self.at, ESCAPE))
    }

    /// Everything up to one of the characters, or to the end.
    pub(crate) fn until(&mut self, stops: &[char]) -> &'a str {
        let rest = self.rest();
        let taken = rest.split(stops).next().unwrap_or_default();
        self.at += taken.len();
        taken
    }

    fn object(&mut self, depth: usize) -> Result<Map<String, Value>, ParseError> {
        self.enter(depth)?;
        self.space();
        self.expect("{")?;
        let mut map = Map::new();
        self.space();
        if self.eat("}") {
            return Ok(map);
        }
        loop {
            self.space();
            let at = self.at;
            let key = self.key()?;
            self.expect(":")?;
            let value = self.child(&key, at, depth)?;
            if map.insert(key.clone(), value).is_some() {
                self.at = at;
                let message = format!("the key {key:?} stands twice");
                return Err(self.error("a key that is not there yet", message));
            }
            self.space();
            if self.eat("}") {
                return Ok(map);
            }
            self.expect(",")?;
        }
    }

    /// What belongs to a key or an index, which stands at a byte.
    fn child(&mut self, name: &str, at: usize, depth: usize) -> Result<Value, ParseError> {
        self.space();
        let value_at = self.at;
        let parent = (self.strict.as_mut()).map(|spans| spans.enter(name, at, value_at));
        let value = self.value(depth + 1)?;
        if let (Some(spans), Some(parent)) = (&mut self.strict, parent) {
            spans.leave(parent);
        }
        Ok(value)
    }

    fn key(&mut self) -> Result<String, ParseError> {
        let at = self.at;
        if self.at_escape() {
            let key = self.string()?;
            if self.strict.is_some() && is_bare_key(&key) {
                self.at = at;
                return Err(self.wrong(&format!("the key {key:?} bare")));
            }
            self.space();
            return Ok(key);
        }
        let marks = self.marks();
        let stretch = self.until(&KEY_ENDS);
        let key = stretch.trim_end();
        let marked = (marks.first()).is_some_and(|(mark, _)| *mark < self.at);
        let loose = self.strict.is_some() && !is_bare_key(stretch);
        if key.is_empty() || marked || loose {
            self.at = at;
            return Err(if key.is_empty() {
                self.wrong("a key")
            } else if marked {
                self.error("a key", format!("{key:?} is no key: a token stands in it"))
            } else {
                self.wrong(&format!(
                    "a key without spaces around it, or between {ESCAPE}"
                ))
            });
        }
        Ok(key.to_owned())
    }

    fn string(&mut self) -> Result<String, ParseError> {
        let at = self.at;
        if !self.at_escape() {
            let found: String = self.rest().chars().take(12).collect();
            let message = format!("expected the token {ESCAPE}, found the letters {found:?}");
            return Err(self.error(ESCAPE, message));
        }
        self.at += ESCAPE.len();
        // Between delimiters every other token is only letters.
        let mut marks = self.marks().iter();
        if let Some((end, _)) = marks.find(|(_, token)| *token == ESCAPE) {
            let text = self.text.get(self.at..*end).unwrap_or_default().to_owned();
            self.at = end + ESCAPE.len();
            Ok(text)
        } else {
            self.at = at;
            Err(self.error(ESCAPE, format!("this string has no closing {ESCAPE}")))
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, ParseError> {
        self.enter(depth)?;
        self.space();
        let rest = self.rest();
        match rest.chars().next() {
            Some('<') => Ok(Value::String(self.string()?)),
            Some('{') => Ok(Value::Object(self.object(depth)?)),
            Some('[') => self.array(depth),
            _ => self.word(),
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, ParseError> {
        self.expect("[")?;
        let mut values = Vec::new();
        self.space();
        if self.eat("]") {
            return Ok(Value::Array(values));
        }
        loop {
            let value = self.child(&values.len().to_string(), self.at, depth)?;
            values.push(value);
            self.space();
            if self.eat("]") {
                return Ok(Value::Array(values));
            }
            self.expect(",")?;
        }
    }

    fn word(&mut self) -> Result<Value, ParseError> {
        let at = self.at;
        let stretch = self.until(&WORD_ENDS);
        let word = match self.strict {
            Some(_) => stretch,
            None => stretch.trim_end(),
        };
        if let Some(value) = word_value(word) {
            return Ok(value);
        }
        self.at = at;
        let expected = format!("{ESCAPE}text{ESCAPE}, a number, true, false, null, [ or {{");
        Err(if word.is_empty() {
            self.wrong("a value")
        } else {
            let message = format!("{word:?} is no value; expected {expected}");
            self.error(expected, message)
        })
    }

    fn enter(&self, depth: usize) -> Result<(), ParseError> {
        if depth > MAX_DEPTH {
            let expected = format!("at most {MAX_DEPTH} levels");
            return Err(self.error(expected, format!("nested deeper than {MAX_DEPTH}")));
        }
        Ok(())
    }
}

/// What stands without delimiters.
pub(super) fn word_value(word: &str) -> Option<Value> {
    match word {
        "true" => Some(Value::Bool(true)),
        "false" => Some(Value::Bool(false)),
        "null" | "None" => Some(Value::Null),
        _ => {
            // The library would overlook a space at the end.
            let number_like = word.starts_with(|c: char| c == '-' || c.is_ascii_digit())
                && !word.ends_with(char::is_whitespace);
            let number = number_like.then(|| serde_json::from_str::<Number>(word).ok());
            number.flatten().map(Value::Number)
        }
    }
}
