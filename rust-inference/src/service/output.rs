//! From the model's text to what a client gets: calls out of the text, and the text up to a stop text.

use std::sync::Arc;

use ipc::proto::{Delta, ToolCall};

use crate::{
    functiongemma::{Event, ParseError, Parser, Toolbox},
    tokenizer::{Piece, Tokenizer, Utf8Stream},
};

/// The answer as it grows.
pub(super) struct Output {
    /// Nothing: a raw prompt with no tools, whose text is passed on as it is.
    parser: Option<Parser>,
    stops: StopTexts,
    characters: Utf8Stream,
    /// All that the model wrote.
    pub(super) raw: String,
    pub(super) content: String,
    pub(super) calls: Vec<ToolCall>,
}

impl Output {
    pub(super) fn new(toolbox: Option<Arc<Toolbox>>, stops: Vec<String>) -> Self {
        Self {
            parser: toolbox.map(Parser::new),
            stops: StopTexts::new(stops),
            characters: Utf8Stream::default(),
            raw: String::new(),
            content: String::new(),
            calls: Vec::new(),
        }
    }

    /// Adds a token that the model wrote, and gives what is settled by it.
    pub(super) fn push(&mut self, token: u32, tokenizer: &Tokenizer) -> Delta {
        let mut events = Vec::new();
        if let Some(control) = tokenizer.control_text(token) {
            let rest = self.characters.finish();
            self.piece(Piece::Text(&rest), &mut events);
            self.piece(Piece::Control(control), &mut events);
        } else {
            let text = self.characters.push(tokenizer.bytes(token));
            self.piece(Piece::Text(&text), &mut events);
        }
        self.take(events)
    }

    fn piece(&mut self, piece: Piece<'_>, events: &mut Vec<Event>) {
        let (Piece::Text(text) | Piece::Control(text)) = piece;
        self.raw.push_str(text);
        match &mut self.parser {
            Some(parser) => events.extend(parser.push_piece(piece)),
            None => events.push(Event::Text(text.to_owned())),
        }
    }

    /// No more tokens are wanted: a stop text came, or the text cannot be read any more.
    pub(super) fn ended(&self) -> bool {
        self.stops.found || self.error().is_some()
    }

    pub(super) fn error(&self) -> Option<&ParseError> {
        self.parser.as_ref().and_then(Parser::error)
    }

    /// The model is at its end; gives what was held back.
    pub(super) fn finish(&mut self) -> Result<Delta, ParseError> {
        let mut delta = Delta::default();
        // Behind a stop text nothing counts, a half call included.
        if !self.stops.found {
            let mut events = Vec::new();
            let rest = self.characters.finish();
            self.piece(Piece::Text(&rest), &mut events);
            if let Some(parser) = self.parser.take() {
                events.extend(parser.finish()?);
            }
            delta = self.take(events);
        }
        let held = self.stops.finish();
        self.content.push_str(&held);
        delta.text.push_str(&held);
        Ok(delta)
    }

    fn take(&mut self, events: Vec<Event>) -> Delta {
        let mut delta = Delta::default();
        for event in events {
            match event {
                Event::Text(text) => {
                    let text = self.stops.push(&text);
                    self.content.push_str(&text);
                    delta.text.push_str(&text);
                }
                Event::Call { name, arguments } if !self.stops.found => {
                    let id = format!("call_{}", self.calls.len());
                    let arguments = serde_json::Value::Object(arguments).to_string();
                    let call = ToolCall {
                        id,
                        name,
                        arguments,
                    };
                    self.calls.push(call.clone());
                    delta.tool_calls.push(call);
                }
                Event::Call { .. } | Event::Name(_) | Event::Arguments(_) => {}
            }
        }
        delta
    }
}

/// Looks for stop texts in running text. What may be the beginning of one is held back.
struct StopTexts {
    stops: Vec<String>,
    held: String,
    found: bool,
}

impl StopTexts {
    fn new(stops: Vec<String>) -> Self {
        Self {
            stops,
            held: String::new(),
            found: false,
        }
    }

    fn push(&mut self, text: &str) -> String {
        if self.found {
            return String::new();
        }
        self.held.push_str(text);
        // The one that ends first, as if the text had come letter by letter: portions must not matter.
        let first = self
            .stops
            .iter()
            .filter_map(|stop| self.held.find(stop).map(|at| (at + stop.len(), at)))
            .min();
        if let Some((_, at)) = first {
            self.found = true;
            self.held.truncate(at);
            return std::mem::take(&mut self.held);
        }
        let kept = self
            .held
            .char_indices()
            .map(|(at, _)| at)
            .find(|at| {
                let tail = self.held.get(*at..).unwrap_or_default();
                self.stops.iter().any(|stop| stop.starts_with(tail))
            })
            .unwrap_or(self.held.len());
        let tail = self.held.split_off(kept);
        std::mem::replace(&mut self.held, tail)
    }

    fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(stops: &[&str], parts: &[&str]) -> (String, bool) {
        let mut texts = StopTexts::new(stops.iter().map(|s| (*s).to_owned()).collect());
        let mut out: String = parts.iter().map(|part| texts.push(part)).collect();
        out += &texts.finish();
        (out, texts.found)
    }

    #[test]
    fn a_model_that_writes_the_letters_of_a_control_token_writes_text() {
        let tokenizer = crate::embedded::model().unwrap().tokenizer;
        let files = crate::embedded::files();
        let json: serde_json::Value = serde_json::from_slice(&files.tokenizer).unwrap();
        for added in json["added_tokens"].as_array().unwrap() {
            let control = added["content"].as_str().unwrap();
            assert!(tokenizer.control(control).is_some(), "{control}");
            let prose = format!("é {control}call:nobody{{}}{control}");
            let mut output = Output::new(Some(Arc::default()), Vec::new());
            for token in tokenizer.encode(&[Piece::Text(&prose)]).unwrap() {
                output.push(token, &tokenizer);
            }
            output.finish().unwrap();
            assert_eq!(output.content, prose);
        }
        // The token itself is one.
        let mut output = Output::new(Some(Arc::default()), Vec::new());
        output.push(
            tokenizer.control("<end_function_call>").unwrap(),
            &tokenizer,
        );
        assert!(output.error().is_some());
    }

    #[test]
    fn text_ends_before_the_first_stop() {
        assert_eq!(run(&["END"], &["a E", "N", "D b"]), ("a ".to_owned(), true));
        assert_eq!(run(&["END"], &["a E", "NE"]), ("a ENE".to_owned(), false));
        assert_eq!(run(&["bc", "abcd"], &["ab", "cd"]), ("a".to_owned(), true));
        assert_eq!(run(&[], &["é", ""]), ("é".to_owned(), false));
    }

    proptest! {
        #[test]
        fn portions_do_not_matter(text in "[abé]{0,30}", stop in "[abé]{1,4}", cut in 0usize..30) {
            let at = text.char_indices().map(|(at, _)| at).nth(cut).unwrap_or(text.len());
            let (head, tail) = text.split_at(at);
            let whole = run(&[&stop], &[&text]);
            prop_assert_eq!(&run(&[&stop], &[head, tail]), &whole);
            let expected = text.split(&stop).next().unwrap().to_owned();
            prop_assert_eq!(whole.1, text.contains(&stop));
            prop_assert_eq!(whole.0, if whole.1 { expected } else { text });
        }
    }
}
