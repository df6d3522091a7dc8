//! A model's tokens as a tree of bytes, so that all that fit somewhere are found in one walk. It is flat, and can lie in
//! a mapped file: making it takes a tenth of a second for Gemma's vocabulary.

use super::{
    Piece, Tokenizer,
    flat::{Flat, array, number},
};

/// No token ends at a node.
const NONE: u32 = u32::MAX;

/// Which tokens are in a tree.
#[derive(Clone, Copy, Debug)]
pub enum Tokens {
    /// All that stand for bytes.
    All,
    /// Those with a quote or a backslash, which mean something in a string of JSON.
    Quoting,
    /// Those with a colon, which ends a key.
    Colons,
}

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
#[derive(Clone, Copy, Debug)]
pub struct Tree<'a> {
    /// Byte, token and end.
    twigs: &'a [[u8; 12]],
}

/// Where the length of the longest token stands.
const LONGEST: usize = Tokens::Colons as usize + 1;

/// The trees of a tokenizer, one an array, in the order of [`Tokens`]; and the bytes of the longest token.
pub(super) fn build(tokenizer: &Tokenizer) -> Flat {
    let mut tokens: Vec<(&[u8], u32)> = (0..tokenizer.size() as u32)
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
    let part = |fits: &dyn Fn(&u8) -> bool| {
        let part = tokens.iter().filter(|(bytes, _)| bytes.iter().any(fits));
        grow(&part.copied().collect::<Vec<_>>())
    };
    Flat::build(&[
        grow(&tokens),
        part(&|byte| matches!(byte, b'"' | b'\\')),
        part(&|byte| *byte == b':'),
        array(tokens.iter().map(|(bytes, _)| bytes.len() as u32).max()),
    ])
}

pub(super) fn longest(trees: &Flat) -> usize {
    number(trees.numbers(LONGEST), 0).unwrap_or(0) as usize
}

fn is_cut_into(tokenizer: &Tokenizer, bytes: &[u8], token: u32) -> bool {
    let text = std::str::from_utf8(bytes).ok();
    let ids = text.and_then(|text| tokenizer.encode(&[Piece::Text(text)]).ok());
    ids.is_some_and(|ids| ids == [token])
}

/// The tree of tokens sorted by their bytes, each bytes once.
fn grow(tokens: &[(&[u8], u32)]) -> Vec<u8> {
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
    let numbers = |twig: &Twig| [u32::from(twig.byte), twig.token, twig.end];
    array(twigs.iter().flat_map(numbers))
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

impl<'a> Tree<'a> {
    pub(super) fn of(trees: &'a Flat, tokens: Tokens) -> Self {
        let (twigs, _) = trees.part(tokens as usize).as_chunks();
        Self { twigs }
    }

    /// Walks all tokens that fit, from `start`; `step` gives the state behind a byte, `found` hears of each token and the
    /// state behind it.
    pub fn walk<S: Copy>(
        self,
        start: S,
        mut step: impl FnMut(S, u8) -> Option<S>,
        mut found: impl FnMut(u32, S),
    ) {
        self.walk_range(0, self.twigs.len(), start, &mut step, &mut found);
    }

    /// The same for tokens that begin with `prefix`, of which only what is behind it is stepped through, and which have
    /// something behind it.
    pub fn walk_behind<S: Copy>(
        self,
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
    pub fn token(self, byte: u8) -> Option<u32> {
        let (_, twig) = self.child(0, self.twigs.len(), byte)?;
        (twig.token != NONE).then_some(twig.token)
    }

    fn twig(self, at: usize) -> Option<Twig> {
        let (numbers, _) = self.twigs.get(at)?.as_chunks::<4>();
        let [byte, token, end] = numbers else {
            return None;
        };
        Some(Twig {
            byte: *byte.first()?,
            token: u32::from_le_bytes(*token),
            // Behind itself, whatever a file says: a walk ends.
            end: u32::from_le_bytes(*end).max(at as u32 + 1),
        })
    }

    fn child(self, from: usize, to: usize, byte: u8) -> Option<(usize, Twig)> {
        let mut at = from;
        while at < to {
            let twig = self.twig(at)?;
            if twig.byte == byte {
                return Some((at, twig));
            }
            at = twig.end as usize;
        }
        None
    }

    fn walk_range<S: Copy>(
        self,
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
            let Some(twig) = self.twig(at) else {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_finds_what_fits_and_nothing_else() {
        let tokens: [(&[u8], u32); 5] = [(b"a", 1), (b"ab", 2), (b"abc", 3), (b"b", 4), (b"ba", 5)];
        let trees = Flat::build(&[grow(&tokens)]);
        let tree = Tree::of(&trees, Tokens::All);
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
