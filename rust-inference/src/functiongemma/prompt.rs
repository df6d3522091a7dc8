//! A prompt under construction, in pieces that say what is a control token and what is only text.

use super::control;
use crate::tokenizer::Piece;

/// A part of a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnedPiece {
    Text(String),
    Control(&'static str),
}

/// A rendered conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prompt {
    pieces: Vec<OwnedPiece>,
    /// Of the pieces, those up to the end of the developer's turn.
    shared: usize,
    /// What was repaired or will surprise.
    pub warnings: Vec<String>,
}

impl Prompt {
    /// The prompt as one text, in which a control token looks like any other text.
    pub fn text(&self) -> String {
        let texts = self.pieces.iter().map(|piece| match piece {
            OwnedPiece::Text(text) => text.as_str(),
            OwnedPiece::Control(token) => token,
        });
        texts.collect()
    }

    /// The control tokens that are spelt in a text of somebody's. For the model these are letters, but in the prompt's
    /// own text the two cannot be told apart.
    pub fn spelt(&self) -> Vec<&'static str> {
        let spells = |token: &str| {
            let in_text = |piece: &OwnedPiece| matches!(piece, OwnedPiece::Text(text) if text.contains(token));
            self.pieces.iter().any(in_text)
        };
        let all = control::ALL.into_iter();
        all.filter(|token| spells(token)).collect()
    }

    /// For the tokenizer.
    pub fn pieces(&self) -> Vec<Piece<'_>> {
        let pieces = self.pieces.iter().map(|piece| match piece {
            OwnedPiece::Text(text) => Piece::Text(text),
            OwnedPiece::Control(token) => Piece::Control(token),
        });
        pieces.collect()
    }

    /// How many of the pieces are the developer's turn, which is the same question after question. They end with a
    /// control token, so that their tokens are those of the whole prompt.
    pub fn shared(&self) -> usize {
        self.shared
    }
}

/// Builds a [`Prompt`].
#[derive(Debug, Default)]
pub(super) struct Writer(Prompt);

impl Writer {
    pub(super) fn text(&mut self, text: &str) {
        match self.0.pieces.last_mut() {
            Some(OwnedPiece::Text(last)) => last.push_str(text),
            _ => self.0.pieces.push(OwnedPiece::Text(text.to_owned())),
        }
    }

    pub(super) fn control(&mut self, token: &'static str) {
        self.0.pieces.push(OwnedPiece::Control(token));
    }

    /// What has been written is the developer's turn.
    pub(super) fn shared(&mut self) {
        self.0.shared = self.0.pieces.len();
    }

    /// A text between its delimiters.
    pub(super) fn escaped(&mut self, text: &str) {
        self.control(control::ESCAPE);
        self.text(text);
        self.control(control::ESCAPE);
    }

    pub(super) fn warn(&mut self, warning: impl Into<String>) {
        let warning = warning.into();
        if !self.0.warnings.contains(&warning) {
            self.0.warnings.push(warning);
        }
    }

    pub(super) fn finish(self) -> Prompt {
        self.0
    }
}
