//! Text with control tokens spelt in it, as a person has it in a file, to pieces: wherever it is cut, they are the same.
//! What a model writes needs none of this: there a token says what it is.

use super::{OwnedPiece, control};

/// Cuts running text at the control tokens that are spelt in it.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    /// What may be the beginning of a token.
    pub(super) held: String,
}

impl Splitter {
    /// Adds text, and gives the pieces that are whole.
    pub(super) fn push(&mut self, text: &str) -> Vec<OwnedPiece> {
        self.held.push_str(text);
        let mut pieces = Vec::new();
        let mut from = 0;
        loop {
            let (at, token) = next_control(&self.held, from);
            let before = self.held.get(from..at).unwrap_or_default();
            if !before.is_empty() {
                pieces.push(OwnedPiece::Text(before.to_owned()));
            }
            from = at;
            let Some(token) = token else { break };
            pieces.push(OwnedPiece::Control(token));
            from += token.len();
        }
        // Once a portion, not once a token: a long text is not moved for each of its tokens.
        self.held.drain(..from);
        pieces
    }

    /// What was held back: no token came of it.
    pub(super) fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
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
