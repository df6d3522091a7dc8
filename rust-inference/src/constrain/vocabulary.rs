//! A model's tokens as a tree of bytes, so that all that fit somewhere are found in one walk.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::{grammar::Symbol, language::Language, text_tokens::TextTokens};
use crate::tokenizer::{Piece, Tokenizer};

/// No token ends at a node.
const NONE: u32 = u32::MAX;

/// Tables of text tokens that are kept: those of free text are met again and again.
const MAX_TABLES: usize = 512;

/// A node of the tree; its descendants stand directly behind it.
#[derive(Clone, Copy, Debug)]
struct Twig {
    byte: u8,
    /// The token that ends here, or [`NONE`].
    token: u32,
    /// Where its descendants end.
    end: u32,
}

/// Tokens by their bytes.
#[derive(Debug, Default)]
pub(super) struct Tree {
    twigs: Vec<Twig>,
}

impl Tree {
    /// Of tokens sorted by their bytes, each bytes once.
    fn new(tokens: &[(&[u8], u32)]) -> Self {
        let mut twigs: Vec<Twig> = Vec::new();
        // The open path from the root, and its bytes.
        let (mut path, mut bytes): (Vec<usize>, &[u8]) = (Vec::new(), &[]);
        for (token_bytes, token) in tokens {
            let shared = (bytes.iter().zip(token_bytes.iter()))
                .take_while(|(a, b)| a == b)
                .count();
            close(&mut twigs, &mut path, shared);
            for byte in token_bytes.iter().skip(shared) {
                path.push(twigs.len());
                let (byte, token, end) = (*byte, NONE, 0);
                twigs.push(Twig { byte, token, end });
            }
            if let Some(last) = path.last().and_then(|at| twigs.get_mut(*at)) {
                last.token = *token;
            }
            bytes = token_bytes;
        }
        close(&mut twigs, &mut path, 0);
        Self { twigs }
    }

    /// Walks all tokens that fit, from `start`; `step` gives the state behind a byte, `found` hears of each token and the
    /// state behind it.
    pub(super) fn walk<S: Copy>(
        &self,
        start: S,
        mut step: impl FnMut(S, u8) -> Option<S>,
        mut found: impl FnMut(u32, S),
    ) {
        self.walk_range(0, self.twigs.len(), start, &mut step, &mut found);
    }

    /// The same for tokens that begin with `prefix`, of which only what is behind it is stepped through, and which have
    /// something behind it.
    pub(super) fn walk_behind<S: Copy>(
        &self,
        prefix: &[u8],
        start: S,
        mut step: impl FnMut(S, u8) -> Option<S>,
        mut found: impl FnMut(u32, S),
    ) {
        let (mut from, mut to) = (0, self.twigs.len());
        for byte in prefix {
            let Some((at, twig)) = self.child(from, to, *byte) else {
                return;
            };
            (from, to) = (at + 1, twig.end as usize);
        }
        self.walk_range(from, to, start, &mut step, &mut found);
    }

    /// The token of one byte.
    pub(super) fn token(&self, byte: u8) -> Option<u32> {
        let (_, twig) = self.child(0, self.twigs.len(), byte)?;
        (twig.token != NONE).then_some(twig.token)
    }

    fn child(&self, from: usize, to: usize, byte: u8) -> Option<(usize, Twig)> {
        let mut at = from;
        while at < to {
            let twig = *self.twigs.get(at)?;
            if twig.byte == byte {
                return Some((at, twig));
            }
            at = twig.end as usize;
        }
        None
    }

    fn walk_range<S: Copy>(
        &self,
        from: usize,
        to: usize,
        start: S,
        step: &mut impl FnMut(S, u8) -> Option<S>,
        found: &mut impl FnMut(u32, S),
    ) {
        // The states along the open path, with the ends of their twigs.
        let mut path: Vec<(u32, S)> = Vec::new();
        let mut at = from;
        while at < to {
            let Some(twig) = self.twigs.get(at) else {
                return;
            };
            while path.last().is_some_and(|(end, _)| *end as usize <= at) {
                path.pop();
            }
            let state = path.last().map_or(start, |(_, state)| *state);
            match step(state, twig.byte) {
                None => at = twig.end as usize,
                Some(state) => {
                    if twig.token != NONE {
                        found(twig.token, state);
                    }
                    path.push((twig.end, state));
                    at += 1;
                }
            }
        }
    }
}

fn is_cut_into(tokenizer: &Tokenizer, bytes: &[u8], token: u32) -> bool {
    let text = std::str::from_utf8(bytes).ok();
    let ids = text.and_then(|text| tokenizer.encode(&[Piece::Text(text)]).ok());
    ids.is_some_and(|ids| ids == [token])
}

/// Shortens the open path to `keep` twigs.
fn close(twigs: &mut [Twig], path: &mut Vec<usize>, keep: usize) {
    let end = twigs.len() as u32;
    for at in path.drain(keep.min(path.len())..) {
        if let Some(twig) = twigs.get_mut(at) {
            twig.end = end;
        }
    }
}

/// The tokens of a model, as constraints need them. Made once.
#[derive(Debug)]
pub struct Vocabulary {
    pub(super) tokenizer: Arc<Tokenizer>,
    /// All that stand for bytes.
    pub(super) all: Tree,
    /// Those with a quote or a backslash, which mean something in a string of JSON; and all others.
    pub(super) quoting: Tree,
    pub(super) plain: Tree,
    /// Those with a colon, which ends a key.
    pub(super) colons: Tree,
    /// Rows of the head.
    pub(super) size: usize,
    /// Bytes of the longest token.
    pub(super) longest: usize,
    /// The ids that a control symbol may be written as.
    controls: HashMap<Symbol, Vec<u32>>,
    tables: Mutex<HashMap<TableKey, Arc<TextTokens>>>,
}

/// A language's table, a node of it, and whether strings of JSON are meant.
type TableKey = (u64, u32, bool);

impl Vocabulary {
    /// `ends`: the ids that end an answer. `size`: the rows of the head.
    pub fn new(tokenizer: &Arc<Tokenizer>, ends: &[u32], size: usize) -> Self {
        let mut tokens: Vec<(&[u8], u32)> = (0..size as u32)
            .filter(|id| !tokenizer.is_control(*id))
            .map(|id| (tokenizer.bytes(id), id))
            .filter(|(bytes, _)| !bytes.is_empty())
            .collect();
        // Of tokens of the same bytes, only the one that a text is cut into is written.
        tokens.sort_unstable();
        tokens.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same && is_cut_into(tokenizer, later.0, later.1) {
                earlier.1 = later.1;
            }
            same
        });
        let part = |fits: &dyn Fn(&[u8]) -> bool| {
            let part = tokens.iter().filter(|(bytes, _)| fits(bytes));
            Tree::new(&part.copied().collect::<Vec<_>>())
        };
        let quotes = |bytes: &[u8]| bytes.iter().any(|byte| matches!(byte, b'"' | b'\\'));
        let id = |text: &str| tokenizer.control(text);
        let calls_end = id("<start_function_response>");
        let named = [
            (Symbol::Escape, id("<escape>")),
            (Symbol::StartCall, id("<start_function_call>")),
            (Symbol::EndCall, id("<end_function_call>")),
            (Symbol::EndCalls, calls_end),
        ];
        let mut controls: HashMap<Symbol, Vec<u32>> = named
            .map(|(symbol, id)| (symbol, id.into_iter().collect()))
            .into();
        let mut ends: Vec<u32> = ends
            .iter()
            .copied()
            .filter(|end| Some(*end) != calls_end)
            .collect();
        ends.sort_unstable();
        ends.dedup();
        controls.insert(Symbol::EndAnswer, ends);
        Self {
            all: Tree::new(&tokens),
            quoting: part(&quotes),
            plain: part(&|bytes| !quotes(bytes)),
            colons: part(&|bytes| bytes.contains(&b':')),
            size,
            longest: tokens
                .iter()
                .map(|(bytes, _)| bytes.len())
                .max()
                .unwrap_or(0),
            controls,
            tables: Mutex::default(),
            tokenizer: tokenizer.clone(),
        }
    }

    /// The format's control tokens are all there, so that calls can be written.
    pub fn can_call(&self) -> bool {
        self.controls.values().all(|ids| !ids.is_empty())
    }

    /// The ids that a control symbol may be written as.
    pub(super) fn control(&self, symbol: Symbol) -> &[u32] {
        self.controls.get(&symbol).map_or(&[], Vec::as_slice)
    }

    /// What a token is, if it is one of the format's control tokens.
    pub(super) fn symbol(&self, id: u32) -> Option<Symbol> {
        let found = self.controls.iter().find(|(_, ids)| ids.contains(&id));
        found.map(|(symbol, _)| *symbol)
    }

    /// The tokens that may stand within a text at a node of its language.
    pub(super) fn text_tokens(
        &self,
        language: &Language,
        node: u32,
        json: bool,
    ) -> Arc<TextTokens> {
        let key = (language.id(), node, json);
        let lock = || self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(&key) {
            return known.clone();
        }
        let tree = if json { &self.plain } else { &self.all };
        let table = Arc::new(TextTokens::new(tree, language, node, json, self.size));
        let mut tables = lock();
        if tables.len() >= MAX_TABLES {
            tables.clear();
        }
        tables.insert(key, table.clone());
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_finds_what_fits_and_nothing_else() {
        let tokens: [(&[u8], u32); 5] = [(b"a", 1), (b"ab", 2), (b"abc", 3), (b"b", 4), (b"ba", 5)];
        let tree = Tree::new(&tokens);
        let find = |allowed: &[u8]| {
            let mut found = Vec::new();
            let step = |n: usize, byte| allowed.contains(&byte).then_some(n + 1);
            tree.walk(0, step, |token, depth| found.push((token, depth)));
            found
        };
        assert_eq!(find(b"ab"), [(1, 1), (2, 2), (4, 1), (5, 2)]);
        assert_eq!(find(b"b"), [(4, 1)]);
        assert_eq!(find(b"abc").len(), 5);
        let mut behind = Vec::new();
        tree.walk_behind(b"a", (), |(), _| Some(()), |token, ()| behind.push(token));
        assert_eq!(behind, [2, 3]);
        behind.clear();
        tree.walk_behind(b"bb", (), |(), _| Some(()), |token, ()| behind.push(token));
        assert!(behind.is_empty());
    }
}
