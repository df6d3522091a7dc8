//! Text that has to come, cut into tokens as the model has seen it in training: as part of the whole text between two
//! control tokens.

use super::vocabulary::Vocabulary;
use crate::tokenizer::{Piece, Tokens};

/// Tokens that are looked back upon: what lies farther back has no influence on how a text is cut.
const LOOK_BACK: usize = 64;

/// What was written since the last control token.
#[derive(Clone, Debug, Default)]
pub(super) struct Segment {
    bytes: Vec<u8>,
    tokens: Vec<u32>,
}

impl Segment {
    pub(super) fn new(vocabulary: &Vocabulary, text: &str) -> Self {
        let mut segment = Self::default();
        for id in cut(vocabulary, text.as_bytes()).unwrap_or_default() {
            segment.push(vocabulary, id);
        }
        segment
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.tokens.clear();
    }

    pub(super) fn push(&mut self, vocabulary: &Vocabulary, token: u32) {
        self.bytes
            .extend_from_slice(vocabulary.tokenizer.bytes(token));
        self.tokens.push(token);
        if self.tokens.len() > 2 * LOOK_BACK {
            let old: usize = (self.tokens.drain(..LOOK_BACK))
                .map(|token| vocabulary.tokenizer.bytes(token).len())
                .sum();
            self.bytes.drain(..old.min(self.bytes.len()));
        }
    }

    /// The tokens of `run`, behind which the segment ends. `None` if the bytes are no text.
    pub(super) fn whole(&self, vocabulary: &Vocabulary, run: &[u8]) -> Option<Vec<u32>> {
        if run.is_empty() {
            return Some(Vec::new());
        }
        let text = [self.bytes.as_slice(), run].concat();
        let behind = cut(vocabulary, &text).and_then(|ids| {
            let own = ids.strip_prefix(self.tokens.as_slice())?;
            Some(own.to_vec())
        });
        // What was chosen before is not how the text would have been cut: then the rest is cut by itself.
        behind.or_else(|| cut_anyway(vocabulary, run))
    }

    /// The tokens of `run` that stay the same whatever follows. `continues` tells whether some token begins with the bytes
    /// it is given, and goes on behind the run.
    pub(super) fn beginning(
        &self,
        vocabulary: &Vocabulary,
        run: &[u8],
        mut continues: impl FnMut(&[u8]) -> bool,
    ) -> Option<Vec<u32>> {
        if run.is_empty() {
            return Some(Vec::new());
        }
        let text = [self.bytes.as_slice(), run].concat();
        // The first byte that what follows may be joined to.
        let first = text.len().saturating_sub(vocabulary.tokenizer.longest());
        let open = (first..text.len())
            .find(|at| text.get(*at..).is_some_and(&mut continues))
            .unwrap_or(text.len());
        let mut ids = self.whole(vocabulary, whole_characters(&self.bytes, run))?;
        let mut end = self.bytes.len();
        let kept = ids.iter().take_while(|id| {
            end += vocabulary.tokenizer.bytes(**id).len();
            end <= open
        });
        let kept = kept.count();
        ids.truncate(kept);
        Some(ids)
    }
}

/// The run without a character that it only begins.
fn whole_characters<'a>(before: &[u8], run: &'a [u8]) -> &'a [u8] {
    let text = [before, run].concat();
    let whole = text.utf8_chunks().last().map_or(0, |chunk| {
        // Only at the very end can a character be unfinished.
        chunk.invalid().len()
    });
    run.get(..run.len().saturating_sub(whole)).unwrap_or(run)
}

/// Text cut by itself, though it may begin within a character.
fn cut_anyway(vocabulary: &Vocabulary, run: &[u8]) -> Option<Vec<u32>> {
    let within = run
        .iter()
        .take_while(|byte| matches!(byte, 0x80..0xc0))
        .count();
    let (within, rest) = run.split_at(within);
    let mut ids: Vec<u32> = (within.iter())
        .map(|byte| vocabulary.tree(Tokens::All).token(*byte))
        .collect::<Option<_>>()?;
    ids.extend(cut(vocabulary, rest)?);
    Some(ids)
}

/// Text cut by itself. `None` if the bytes are no text.
pub(super) fn cut(vocabulary: &Vocabulary, bytes: &[u8]) -> Option<Vec<u32>> {
    let text = std::str::from_utf8(bytes).ok()?;
    vocabulary.tokenizer.encode(&[Piece::Text(text)]).ok()
}
