//! The text between a call's control tokens, read: `call:NAME{key:value,…}`.

use serde_json::{Map, Number, Value};

use super::{Call, MAX_DEPTH, Toolbox, control::ESCAPE};

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
}

/// A call's text, and the places in it where control tokens stand, which are spelt in the text as well.
#[derive(Debug, Default)]
pub(super) struct Marked {
    pub(super) text: String,
    marks: Vec<(usize, &'static str)>,
}

impl Marked {
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
    };
    reader.expect("call:")?;
    let name = reader.until(&['{']);
    let name_at = reader.at - name.len();
    let name = name.trim();
    if !toolbox.contains(name) {
        return Err(ParseError {
            at: start + name_at,
            message: format!(
                "unknown function {name:?}; expected one of: {}",
                toolbox.names()
            ),
        });
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
        return Err(reader.error("expected the end of the call"));
    }
    let value = Value::Object(arguments);
    if let Err(message) = toolbox.check(name, &value) {
        return Err(ParseError {
            at: start,
            message: format!("the arguments of {name}: {message}"),
        });
    }
    let Value::Object(arguments) = value else {
        return Err(reader.error("expected an object"));
    };
    Ok(Call {
        id: String::new(),
        name: name.to_owned(),
        arguments,
    })
}

struct Reader<'a> {
    text: &'a str,
    marks: &'a [(usize, &'static str)],
    at: usize,
    start: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn error(&self, message: impl Into<String>) -> ParseError {
        ParseError {
            at: self.start + self.at,
            message: message.into(),
        }
    }

    fn space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn expect(&mut self, token: &str) -> Result<(), ParseError> {
        if self.eat(token) {
            return Ok(());
        }
        let found: String = self.rest().chars().take(12).collect();
        Err(self.error(if found.is_empty() {
            format!("the text ends where {token:?} was expected")
        } else {
            format!("expected {token:?}, found {found:?}")
        }))
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
    fn until(&mut self, stops: &[char]) -> &'a str {
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
            let value = self.value(depth + 1)?;
            if map.insert(key.clone(), value).is_some() {
                self.at = at;
                return Err(self.error(format!("the key {key:?} stands twice")));
            }
            self.space();
            if self.eat("}") {
                return Ok(map);
            }
            self.expect(",")?;
        }
    }

    fn key(&mut self) -> Result<String, ParseError> {
        if self.at_escape() {
            let key = self.string()?;
            self.space();
            return Ok(key);
        }
        let at = self.at;
        let marks = self.marks();
        let key = self.until(&KEY_ENDS).trim_end();
        let marked = (marks.first()).is_some_and(|(mark, _)| *mark < self.at);
        if key.is_empty() || marked {
            self.at = at;
            return Err(self.error(if key.is_empty() {
                "expected a key".to_owned()
            } else {
                format!("{key:?} is no key: {ESCAPE} stands in it")
            }));
        }
        Ok(key.to_owned())
    }

    fn string(&mut self) -> Result<String, ParseError> {
        let at = self.at;
        if !self.at_escape() {
            let found: String = self.rest().chars().take(12).collect();
            return Err(self.error(format!(
                "expected the token {ESCAPE}, found the letters {found:?}"
            )));
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
            Err(self.error(format!("this string has no closing {ESCAPE}")))
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
            values.push(self.value(depth + 1)?);
            self.space();
            if self.eat("]") {
                return Ok(Value::Array(values));
            }
            self.expect(",")?;
        }
    }

    fn word(&mut self) -> Result<Value, ParseError> {
        let at = self.at;
        let word = self.until(&WORD_ENDS).trim_end();
        if let Some(value) = word_value(word) {
            return Ok(value);
        }
        self.at = at;
        Err(self.error(if word.is_empty() {
            "expected a value".to_owned()
        } else {
            format!("{word:?} is no value; expected {ESCAPE}text{ESCAPE}, a number, true, false, null, [ or {{")
        }))
    }

    fn enter(&self, depth: usize) -> Result<(), ParseError> {
        if depth > MAX_DEPTH {
            return Err(self.error(format!("nested deeper than {MAX_DEPTH}")));
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
            let number_like = word.starts_with(|c: char| c == '-' || c.is_ascii_digit());
            let number = number_like.then(|| serde_json::from_str::<Number>(word).ok());
            number.flatten().map(Value::Number)
        }
    }
}
