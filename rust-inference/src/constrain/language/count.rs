//! How long a text may be, in characters.
//!
//! Lengths are not multiplied into the automaton: a text of at most 1,000 characters would need a thousand times its
//! nodes. A state carries the characters so far instead, and this module knows which lengths each node can still make up.

use super::{error::LanguageError, reverse::Move, table::Table};

/// Lengths by nodes that are worked out at most.
const MOST_ENTRIES: usize = 4_000_000;
const MOST_WORK: usize = 16_000_000;
const NEVER: u16 = u16::MAX;

/// The fewest and the most characters of a whole text.
#[derive(Debug)]
pub(super) struct Bounds {
    pub(super) min: u32,
    pub(super) max: Option<u32>,
    /// None where the table is loose.
    lengths: Option<Lengths>,
}

/// The fewest bytes to an end with exactly so many characters, by length and node.
#[derive(Debug)]
struct Lengths {
    nodes: usize,
    bytes: Vec<u16>,
}

impl Bounds {
    pub(super) fn new(table: &Table, min: u32, max: Option<u32>) -> Result<Self, LanguageError> {
        let lengths = if table.loose().is_some() {
            None
        } else {
            Some(Lengths::of(table, min, max)?)
        };
        Ok(Self { min, max, lengths })
    }

    /// About how many bytes it takes.
    pub(super) fn size(&self) -> usize {
        self.lengths
            .as_ref()
            .map_or(0, |lengths| lengths.bytes.len() * 2)
    }

    /// The characters that are still needed and still allowed.
    fn window(&self, count: u32) -> Option<(u32, u32)> {
        let most = match self.max {
            None => u32::MAX,
            Some(max) => max.checked_sub(count)?,
        };
        Some((self.min.saturating_sub(count), most)).filter(|(least, most)| least <= most)
    }

    /// The fewest bytes to an end, if there is one.
    pub(super) fn shortest(&self, table: &Table, node: u32, count: u32) -> Option<u32> {
        let (least, most) = self.window(count)?;
        let Some(lengths) = &self.lengths else {
            let characters = table.loose()?.characters(node);
            return (characters <= most).then(|| {
                table
                    .distance(node)
                    .saturating_add(least.saturating_sub(characters))
            });
        };
        // A character has a byte at least: longer ways than the best so far need not be looked at.
        let mut best: Option<u32> = None;
        for length in least..=most.min(lengths.longest()) {
            if best.is_some_and(|best| best <= length) {
                break;
            }
            let bytes = lengths.bytes(node, length);
            best = best.into_iter().chain(bytes).min();
        }
        best
    }

    /// Whether there is an end at all.
    pub(super) fn room(&self, table: &Table, node: u32, count: u32) -> bool {
        let Some((least, most)) = self.window(count) else {
            return false;
        };
        match &self.lengths {
            None => table
                .loose()
                .is_some_and(|loose| loose.characters(node) <= most),
            Some(lengths) => (least..=most.min(lengths.longest()))
                .any(|length| lengths.bytes(node, length).is_some()),
        }
    }

    pub(super) fn accepts(&self, count: u32) -> bool {
        count >= self.min && self.max.is_none_or(|max| count <= max)
    }

    /// The count as far as it matters: beyond the fewest only the most are of interest.
    pub(super) fn counted(&self, count: u32) -> u32 {
        if self.max.is_none() {
            count.min(self.min)
        } else {
            count
        }
    }
}

impl Lengths {
    /// A way that has enough characters need not pass a node twice after that, so longer ones than `min` and the
    /// number of nodes are never needed.
    fn of(table: &Table, min: u32, max: Option<u32>) -> Result<Self, LanguageError> {
        let nodes = table.len();
        let longest = (min as usize + nodes).min(max.map_or(usize::MAX, |max| max as usize));
        let reverse = table.reversed();
        let (starting, inner): (Vec<Move>, Vec<Move>) =
            reverse.moves().iter().copied().partition(|one| one.starts);
        let mut bytes: Vec<u16> = Vec::new();
        let mut before: Vec<u16> = Vec::new();
        for length in 0..=longest {
            let mut layer = vec![NEVER; nodes];
            if length == 0 {
                for (node, fewest) in (0..).zip(&mut layer) {
                    if table.is_accepting(node) {
                        *fewest = 0;
                    }
                }
            }
            for one in &starting {
                relax(&mut layer, one.from, before.get(one.to as usize).copied());
            }
            // A character has at most three bytes after its first.
            for _ in 0..3 {
                for one in &inner {
                    let rest = layer.get(one.to as usize).copied();
                    relax(&mut layer, one.from, rest);
                }
            }
            if layer.iter().all(|&fewest| fewest == NEVER) {
                break;
            }
            bytes.extend(&layer);
            before = layer;
            let work = (length + 1) * (reverse.moves().len() + inner.len());
            // The last of the bytes must be told apart from none.
            if bytes.len() > MOST_ENTRIES || work > MOST_WORK || length * 4 + nodes > NEVER.into() {
                return Err(LanguageError::Lengths);
            }
        }
        Ok(Self { nodes, bytes })
    }

    fn longest(&self) -> u32 {
        (self.bytes.len() / self.nodes).saturating_sub(1) as u32
    }

    fn bytes(&self, node: u32, length: u32) -> Option<u32> {
        let at = length as usize * self.nodes + node as usize;
        (self.bytes.get(at))
            .filter(|&&fewest| fewest != NEVER)
            .map(|&fewest| fewest.into())
    }
}

fn relax(layer: &mut [u16], node: u32, rest: Option<u16>) {
    if let (Some(rest), Some(fewest)) = (
        rest.filter(|&rest| rest != NEVER),
        layer.get_mut(node as usize),
    ) {
        *fewest = (*fewest).min(rest + 1);
    }
}
