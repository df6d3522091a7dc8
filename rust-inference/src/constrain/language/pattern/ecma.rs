//! ECMAScript's regular expressions in Rust's notation.
//!
//! Schemas are written for the former. Where the two notations differ the meaning is kept; what has no meaning in
//! ECMAScript with its `u` flag is refused, but for a few escapes that everyone uses, and so is what no automaton can do.

use std::fmt::Write;

use super::super::error::LanguageError;

/// Longer patterns are not looked at.
const LONGEST: usize = 10_000;

const DIGIT: &str = "0-9";
const WORD: &str = "A-Za-z0-9_";
const SPACE: &str = r"\t-\r \xA0\u1680\u2000-\u200A\u2028\u2029\u202F\u205F\u3000\uFEFF";
/// Any character but a line terminator.
pub(super) const DOT: &str = r"[^\n\r\u2028\u2029]";
/// A dot as it is without ECMAScript.
pub(super) const WIDE_DOT: &str = r"[^\n]";

/// A pattern in Rust's notation.
#[derive(Debug)]
pub(super) struct Translated {
    pub(super) rust: String,
    pub(super) escapes: Escapes,
}

/// Escapes whose meaning is another one for validators that do not know ECMAScript.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "one for each kind")]
pub(super) struct Escapes {
    /// `\b` and `\B`, which are taken for another thing even by validators that translate.
    pub(super) boundaries: bool,
    pub(super) words: bool,
    pub(super) digits: bool,
    pub(super) spaces: bool,
}

impl Escapes {
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            boundaries: self.boundaries || other.boundaries,
            words: self.words || other.words,
            digits: self.digits || other.digits,
            spaces: self.spaces || other.spaces,
        }
    }
}

/// `dot`: what a dot stands for.
pub(super) fn translate(pattern: &str, dot: &'static str) -> Result<Translated, LanguageError> {
    let mut reader = Reader {
        chars: pattern.chars().collect(),
        at: 0,
        rust: String::new(),
        dot,
        escapes: Escapes::default(),
    };
    if reader.chars.len() > LONGEST {
        return Err(reader.error("it is longer than 10,000 characters"));
    }
    reader.pattern()?;
    Ok(Translated {
        rust: reader.rust,
        escapes: reader.escapes,
    })
}

struct Reader {
    chars: Vec<char>,
    at: usize,
    rust: String,
    dot: &'static str,
    escapes: Escapes,
}

/// What an escape stands for.
enum Escaped {
    Char(char),
    /// A set in brackets.
    Set(String),
    Boundary(&'static str),
}

impl Reader {
    fn error(&self, what: &'static str) -> LanguageError {
        LanguageError::Pattern(format!("{what} (near its character {})", self.at))
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let char = self.peek();
        self.at += usize::from(char.is_some());
        char
    }

    /// Goes past `text` if it comes next.
    fn skip(&mut self, text: &str) -> bool {
        let ahead = self.chars.get(self.at..).unwrap_or_default();
        let comes = text
            .chars()
            .zip(ahead)
            .filter(|(wanted, char)| wanted == *char)
            .count()
            == text.len();
        if comes {
            self.at += text.len();
        }
        comes
    }

    fn pattern(&mut self) -> Result<(), LanguageError> {
        let mut open = 0;
        // Whether what has just been read can be repeated.
        let mut repeatable = false;
        if self.skip("(?i)") {
            self.rust.push_str("(?i)");
        }
        while let Some(char) = self.peek() {
            if matches!(char, '*' | '+' | '?' | '{') && self.quantifier(repeatable)? {
                repeatable = false;
                continue;
            }
            self.at += 1;
            repeatable = match char {
                '\\' => match self.escape(false)? {
                    Escaped::Char(char) => self.literal(char),
                    Escaped::Set(set) => {
                        self.rust.push_str(&set);
                        true
                    }
                    Escaped::Boundary(boundary) => {
                        self.rust.push_str(boundary);
                        false
                    }
                },
                '[' => self.class()?,
                '(' => {
                    open += 1;
                    self.group()?
                }
                ')' if open == 0 => return Err(self.error("there is a ) too many")),
                ')' => {
                    open -= 1;
                    self.rust.push(')');
                    true
                }
                '|' => {
                    self.rust.push('|');
                    false
                }
                '^' => {
                    self.rust.push_str(r"\A");
                    false
                }
                '$' => {
                    self.rust.push_str(r"\z");
                    false
                }
                '.' => {
                    self.rust.push_str(self.dot);
                    true
                }
                _ => self.literal(char),
            };
        }
        if open > 0 {
            return Err(self.error("a ) is missing"));
        }
        Ok(())
    }

    fn literal(&mut self, char: char) -> bool {
        push_char(&mut self.rust, char);
        true
    }

    /// Whether it was one; a brace may also stand for itself.
    fn quantifier(&mut self, repeatable: bool) -> Result<bool, LanguageError> {
        let start = self.at;
        let mut text = String::new();
        if self.skip("{") {
            let least = self.digits();
            let comma = self.skip(",");
            let most = self.digits();
            if !self.skip("}") || least.is_empty() {
                if least.is_empty() && comma && !most.is_empty() {
                    return Err(
                        self.error("write {0,n} for {,n}: only some validators understand it")
                    );
                }
                self.at = start;
                return Ok(false);
            }
            text = if comma {
                format!("{{{least},{most}}}")
            } else {
                format!("{{{least}}}")
            };
        } else {
            text.extend(self.next());
        }
        if !repeatable {
            self.at = start;
            return Err(self.error("there is nothing to repeat"));
        }
        // Whether few or many are tried first makes no difference to what matches.
        self.skip("?");
        self.rust.push_str(&text);
        Ok(true)
    }

    fn digits(&mut self) -> String {
        let mut digits = String::new();
        while let Some(digit) = self.peek().filter(char::is_ascii_digit) {
            digits.push(digit);
            self.at += 1;
        }
        digits
    }

    fn group(&mut self) -> Result<bool, LanguageError> {
        let (opening, named) = if self.skip("?:") {
            ("(?:", false)
        } else if self.skip("?i:") {
            ("(?i:", false)
        } else if ["?=", "?!", "?<=", "?<!"]
            .iter()
            .any(|look| self.skip(look))
        {
            return Err(self.error(
                "lookahead can be held to right after ^ only, and lookbehind not at all: write what may stand there instead",
            ));
        } else if self.skip("?<") || self.skip("?P<") {
            ("(?:", true)
        } else if self.skip("?") {
            return Err(self.error("this kind of group is not ECMAScript's"));
        } else {
            ("(?:", false)
        };
        if named {
            while self
                .next()
                .ok_or_else(|| self.error("the group's name does not end"))?
                != '>'
            {}
        }
        self.rust.push_str(opening);
        Ok(false)
    }

    /// After a backslash.
    fn escape(&mut self, in_class: bool) -> Result<Escaped, LanguageError> {
        let Some(char) = self.next() else {
            return Err(self.error("there is nothing after the last \\"));
        };
        let set = |negated: bool, ranges: &str| {
            let not = if negated { "^" } else { "" };
            Escaped::Set(format!("[{not}{ranges}]"))
        };
        match char {
            'b' | 'B' if !in_class => self.escapes.boundaries = true,
            'w' | 'W' => self.escapes.words = true,
            'd' | 'D' => self.escapes.digits = true,
            's' | 'S' => self.escapes.spaces = true,
            _ => {}
        }
        Ok(match char {
            'd' | 'D' => set(char == 'D', DIGIT),
            'w' | 'W' => set(char == 'W', WORD),
            's' | 'S' => set(char == 'S', SPACE),
            'b' if in_class => Escaped::Char('\u{8}'),
            'b' => Escaped::Boundary(r"(?-u:\b)"),
            'B' if !in_class => Escaped::Boundary(r"(?-u:\B)"),
            't' => Escaped::Char('\t'),
            'n' => Escaped::Char('\n'),
            'v' => Escaped::Char('\u{B}'),
            'f' => Escaped::Char('\u{C}'),
            'r' => Escaped::Char('\r'),
            '0' if !self.peek().is_some_and(|next| next.is_ascii_digit()) => Escaped::Char('\0'),
            'c' => match self.next().filter(char::is_ascii_alphabetic) {
                Some(letter) => Escaped::Char(char::from(letter as u8 % 32)),
                None => return Err(self.error("\\c has to be followed by a letter")),
            },
            'x' => {
                Escaped::Char(self.hex(2).and_then(char::from_u32).ok_or_else(|| {
                    self.error("\\x has to be followed by two hexadecimal digits")
                })?)
            }
            'u' => Escaped::Char(self.unicode()?),
            'p' | 'P' => Escaped::Set(self.property(char)?),
            '1'..='9' | 'k' => {
                return Err(
                    self.error("a backreference cannot be held to: write out what may be repeated")
                );
            }
            _ if char.is_alphanumeric() => {
                return Err(self.error("this escape has no meaning in ECMAScript"));
            }
            _ => Escaped::Char(char),
        })
    }

    fn hex(&mut self, digits: usize) -> Option<u32> {
        (0..digits).try_fold(0, |sum, _| Some(sum * 16 + self.next()?.to_digit(16)?))
    }

    fn unicode(&mut self) -> Result<char, LanguageError> {
        let code = if self.skip("{") {
            let mut code = 0_u32;
            loop {
                match self.next() {
                    Some('}') => break Some(code),
                    Some(digit) if digit.is_ascii_hexdigit() && code <= 0x10_FFFF => {
                        code = code * 16 + digit.to_digit(16).unwrap_or(0);
                    }
                    _ => break None,
                }
            }
        } else {
            self.hex(4).map(|high| {
                let before = self.at;
                if (0xD800..0xDC00).contains(&high) && self.skip("\\u") {
                    if let Some(low) = self.hex(4).filter(|low| (0xDC00..0xE000).contains(low)) {
                        return 0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00);
                    }
                    self.at = before;
                }
                high
            })
        };
        (code.and_then(char::from_u32)).ok_or_else(|| {
            self.error("\\u has to be followed by the hexadecimal number of a character")
        })
    }

    fn property(&mut self, kind: char) -> Result<String, LanguageError> {
        let mut name = String::new();
        if self.skip("{") {
            while let Some(char) = self.next().filter(|&char| char != '}') {
                name.push(char);
            }
        }
        if name.is_empty()
            || !name
                .chars()
                .all(|char| char.is_ascii_alphanumeric() || matches!(char, '_' | '='))
        {
            return Err(self.error("\\p has to be followed by a property's name in braces"));
        }
        Ok(format!("\\{kind}{{{name}}}"))
    }

    /// After an opening bracket.
    fn class(&mut self) -> Result<bool, LanguageError> {
        let negated = self.skip("^");
        let mut items = String::new();
        while !self.skip("]") {
            let first = self.class_item()?;
            let ranges = self.peek() == Some('-')
                && self.chars.get(self.at + 1).is_some_and(|&next| next != ']');
            if !ranges {
                push_item(&mut items, &first);
                continue;
            }
            self.at += 1;
            let last = self.class_item()?;
            match (&first, &last) {
                (Escaped::Char(from), Escaped::Char(to)) if from <= to => {
                    push_char(&mut items, *from);
                    items.push('-');
                    push_char(&mut items, *to);
                }
                (Escaped::Char(_), Escaped::Char(_)) => {
                    return Err(self.error("the range's end lies before its start"));
                }
                // A set is no end of a range: the hyphen stands for itself.
                _ => {
                    push_item(&mut items, &first);
                    push_char(&mut items, '-');
                    push_item(&mut items, &last);
                }
            }
        }
        let not = if negated { "^" } else { "" };
        let class = match (negated, items.is_empty()) {
            (false, true) => "[a&&b]".to_owned(),
            (true, true) => "(?s:.)".to_owned(),
            _ => format!("[{not}{items}]"),
        };
        self.rust.push_str(&class);
        Ok(true)
    }

    fn class_item(&mut self) -> Result<Escaped, LanguageError> {
        match self.next() {
            Some('\\') => self.escape(true),
            Some(char) => Ok(Escaped::Char(char)),
            None => Err(self.error("a ] is missing")),
        }
    }
}

fn push_item(items: &mut String, item: &Escaped) {
    match item {
        Escaped::Char(char) => push_char(items, *char),
        Escaped::Set(set) => items.push_str(set),
        Escaped::Boundary(boundary) => items.push_str(boundary),
    }
}

/// By its number, unless it can mean nothing but itself.
fn push_char(rust: &mut String, char: char) {
    if char.is_alphanumeric() {
        rust.push(char);
    } else {
        // Writing to a string cannot fail.
        let _ = write!(rust, r"\x{{{:X}}}", u32::from(char));
    }
}
