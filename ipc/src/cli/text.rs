//! Text of others on a terminal. What a peer sends may hold escape sequences, and characters that turn the direction
//! of the line: both are written out, so that what is seen is what was sent.
use std::fmt::Write as _;

/// Whether a terminal would do something else with it than show it.
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}' | '\u{feff}')
}

/// The text on one line, with nothing in it that acts on a terminal.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => out.extend(c.escape_default()),
            // Writing to a String does not fail.
            c if c.is_ascii_control() => drop(write!(out, "\\x{:02x}", c as u32)),
            c if acts(c) => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}

/// Bytes that should be text, and may not be.
pub(crate) fn escape_bytes(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        out += &escape(chunk.valid());
        out += &chunk.invalid().escape_ascii().to_string();
    }
    out
}

/// The first `limit` characters of a text, escaped; an ellipsis tells that there was more.
pub(crate) fn head(text: &str, limit: usize) -> String {
    let cut = text.char_indices().nth(limit).map(|(at, _)| at);
    let mut head = escape(text.get(..cut.unwrap_or(text.len())).unwrap_or_default());
    if cut.is_some() {
        head.push('…');
    }
    head
}

/// JSON that means the same, with nothing in it that acts on a terminal. JSON writers escape ASCII controls only; the
/// others can stand in strings alone, where an escape means the same.
pub(crate) fn escape_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if acts(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a String does not fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_that_acts_on_it() {
        assert_eq!(
            escape("a\u{1b}[31mb\n\r\u{9b}2J\u{202e}é∑"),
            "a\\x1b[31mb\\n\\r\\u{9b}2J\\u{202e}é∑"
        );
        assert_eq!(escape_bytes("a\0é\u{9b}".as_bytes()), "a\\x00é\\u{9b}");
        assert_eq!(escape_bytes(b"a\xff\xfe\xc3"), "a\\xff\\xfe\\xc3");
        assert_eq!(head("12345", 4), "1234…");
        assert_eq!(head("1234", 4), "1234");
    }

    #[test]
    fn escaped_json_means_the_same() {
        let text = "\u{1b}\u{9b}31m\u{202e}\u{7f}é\n";
        let json = serde_json::to_string(text).unwrap();
        let safe = escape_json(&json);
        assert!(safe.chars().all(|c| !acts(c)), "{safe:?}");
        assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), text);
    }
}
