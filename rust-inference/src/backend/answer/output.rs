//! From the model's text to what a client gets: calls out of the text, and the text up to a stop text.

use std::sync::Arc;

use ipc::proto::{Delta, ToolCall, ToolCallDelta};

use super::stops::StopTexts;
use crate::{
    functiongemma::{Event, ParseError, Parser, Toolbox},
    tokenizer::{Piece, Tokenizer, Utf8Stream},
};

/// The answer as it grows.
pub(in crate::backend) struct Output {
    /// Nothing: a raw prompt with no tools, whose text is passed on as it is.
    parser: Option<Parser>,
    stops: StopTexts,
    characters: Utf8Stream,
    /// All that the model wrote.
    pub(in crate::backend) raw: String,
    pub(in crate::backend) content: String,
    pub(in crate::backend) calls: Vec<ToolCall>,
    /// Of the next call fragments were told already.
    told: bool,
}

impl Output {
    /// The texts `stops` end it. A call is told piece by piece where it `streams`, else when it is whole and checked.
    pub(in crate::backend) fn new(
        toolbox: Option<Arc<Toolbox>>,
        stops: Vec<String>,
        streams: bool,
    ) -> Self {
        let parser = |toolbox| {
            let parser = Parser::new(toolbox);
            if streams { parser.streaming() } else { parser }
        };
        Self {
            parser: toolbox.map(parser),
            stops: StopTexts::new(stops),
            characters: Utf8Stream::default(),
            raw: String::new(),
            content: String::new(),
            calls: Vec::new(),
            told: false,
        }
    }

    /// Adds a token that the model wrote, and gives what is settled by it.
    pub(in crate::backend) fn push(&mut self, token: u32, tokenizer: &Tokenizer) -> Delta {
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
    pub(in crate::backend) fn ended(&self) -> bool {
        self.stops.found || self.error().is_some()
    }

    pub(in crate::backend) fn error(&self) -> Option<&ParseError> {
        self.parser.as_ref().and_then(Parser::error)
    }

    /// The model is at its end; gives what was held back. `cut`: it was not done, so that neither a half character nor a call
    /// that is not closed counts.
    pub(in crate::backend) fn finish(&mut self, cut: bool) -> Result<Delta, ParseError> {
        let mut delta = Delta::default();
        // Behind a stop text nothing counts, a half call included.
        if !self.stops.found {
            let mut events = Vec::new();
            let rest = self.characters.finish();
            if !cut {
                self.piece(Piece::Text(&rest), &mut events);
            }
            if let Some(parser) = self.parser.take() {
                events.extend(if cut { parser.cut()? } else { parser.finish()? });
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
                // Behind a stop text there are no calls.
                _ if self.stops.found => {}
                Event::Name(name) => {
                    self.told = true;
                    delta.call_deltas.push(ToolCallDelta {
                        id: self.next_id(),
                        name,
                        ..self.fragment()
                    });
                }
                Event::Arguments(arguments) => match delta.call_deltas.last_mut() {
                    Some(last) if last.index == self.fragment().index => {
                        last.arguments.push_str(&arguments);
                    }
                    _ => delta.call_deltas.push(ToolCallDelta {
                        arguments,
                        ..self.fragment()
                    }),
                },
                Event::Call { name, arguments } => {
                    let call = ToolCall {
                        id: self.next_id(),
                        name,
                        arguments: serde_json::Value::Object(arguments).to_string(),
                    };
                    if !std::mem::take(&mut self.told) {
                        delta.call_deltas.push(ToolCallDelta {
                            id: call.id.clone(),
                            name: call.name.clone(),
                            arguments: call.arguments.clone(),
                            ..self.fragment()
                        });
                    }
                    self.calls.push(call.clone());
                    delta.tool_calls.push(call);
                }
            }
        }
        delta
    }

    /// Of the call that is being written, or comes next.
    fn fragment(&self) -> ToolCallDelta {
        ToolCallDelta {
            index: self.calls.len() as u32,
            ..ToolCallDelta::default()
        }
    }

    fn next_id(&self) -> String {
        format!("call_{}", self.calls.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_that_writes_the_letters_of_a_control_token_writes_text() {
        let tokenizer = crate::embedded::model().unwrap().tokenizer;
        let files = crate::embedded::files();
        let json: serde_json::Value = serde_json::from_slice(&files.tokenizer().unwrap()).unwrap();
        for added in json["added_tokens"].as_array().unwrap() {
            let control = added["content"].as_str().unwrap();
            assert!(tokenizer.control(control).is_some(), "{control}");
            let prose = format!("é {control}call:nobody{{}}{control}");
            let mut output = Output::new(Some(Arc::default()), Vec::new(), true);
            for token in tokenizer.encode(&[Piece::Text(&prose)]).unwrap() {
                output.push(token, &tokenizer);
            }
            output.finish(false).unwrap();
            assert_eq!(output.content, prose);
        }
        // The token itself is one.
        let mut output = Output::new(Some(Arc::default()), Vec::new(), true);
        output.push(
            tokenizer.control("<end_function_call>").unwrap(),
            &tokenizer,
        );
        assert!(output.error().is_some());
    }

    #[test]
    fn what_is_cut_off_is_neither_a_call_nor_half_a_character() {
        let tokenizer = crate::embedded::model().unwrap().tokenizer;
        let tool = r#"{"messages": [], "tools": [{"name": "ring"}]}"#;
        let tools = crate::functiongemma::Conversation::from_json(tool)
            .unwrap()
            .tools;
        for (text, cut, calls) in [
            ("<start_function_call>call:ring{}", true, None),
            ("<start_function_call>call:ring{}", false, Some(1)),
            (
                "<start_function_call>call:ring{}<end_function_call>",
                true,
                Some(1),
            ),
        ] {
            let toolbox = Arc::new(crate::functiongemma::Toolbox::new(&tools).unwrap());
            let mut output = Output::new(Some(toolbox), Vec::new(), true);
            for token in tokenizer.encode(&tokenizer.pieces(text)).unwrap() {
                output.push(token, &tokenizer);
            }
            let ended = output.finish(cut).map(|_| output.calls.len());
            assert_eq!(ended.ok(), calls, "{text} {cut}");
        }
        let mut output = Output::new(Some(Arc::default()), Vec::new(), true);
        let character = tokenizer.encode(&[Piece::Text("\u{1f980}")]).unwrap();
        output.push(character[0], &tokenizer);
        output.finish(true).unwrap();
        assert_eq!(output.content, "");
    }
}
