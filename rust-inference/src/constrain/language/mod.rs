//! Leaf languages: which bytes a string, a number or a name may have.
//!
//! Each is a finite automaton over bytes, so that a grammar can be asked byte by byte what may come next, tokens can be
//! looked up by its nodes, and there is always a shortest way to an end: a node from which no end can be reached does
//! not exist. What cannot be held to in bounded time and memory is refused with its reason.

mod count;
mod disjoint;
mod draft;
mod error;
mod format;
mod literals;
mod loose;
mod minimal;
mod number;
mod pattern;
mod reverse;
mod table;
#[cfg(test)]
mod tests;
mod text;
mod utf8;
mod workshop;

use std::sync::Arc;

pub use error::LanguageError;
pub use format::Format;
pub use number::{NumberSpec, integer, number};
pub use text::{TextSpec, text};
pub use workshop::Workshop;

use count::Bounds;
use draft::{Draft, NONE};
use table::Table;

/// Where a text stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct State {
    pub node: u32,
    /// The characters so far, as far as they matter; 0 where nobody counts them.
    pub count: u32,
}

/// The texts that are possible at one place. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Language {
    table: Arc<Table>,
    bounds: Option<Arc<Bounds>>,
    /// Where more is valid than what is written.
    valid: Option<Valid>,
}

/// All that is valid at a place, perhaps more.
#[derive(Clone, Debug)]
enum Valid {
    Text(Arc<Table>),
    Number(Arc<number::AllValid>),
}

/// These texts and no others.
pub fn literals(values: &[impl AsRef<[u8]>]) -> Language {
    Language::of_table(Arc::new(literals::tree(values)))
}

/// The order in which bytes are tried when something has to be written and nobody cares what.
const PLAIN: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ .,-_";

impl Language {
    fn of_table(table: Arc<Table>) -> Self {
        Self {
            table,
            bounds: None,
            valid: None,
        }
    }

    /// Of these texts those with so many characters.
    fn bounded(self, min: u32, max: Option<u32>) -> Result<Self, LanguageError> {
        if (min == 0 && max.is_none()) || self.table.is_empty() {
            return Ok(self);
        }
        let bounds = Bounds::new(&self.table, min, max)?;
        if !bounds.room(&self.table, 0, 0) {
            return Ok(Self::of_table(Arc::new(Table::of_draft(Draft::nothing()))));
        }
        Ok(Self {
            table: self.table,
            bounds: Some(Arc::new(bounds)),
            valid: self.valid,
        })
    }

    /// The same for languages with the same nodes and moves, whatever lengths they allow.
    pub fn id(&self) -> u64 {
        self.table.id()
    }

    /// Has no text at all.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// About how many bytes it takes.
    fn size(&self) -> usize {
        self.table.size() + self.bounds.as_ref().map_or(0, |bounds| bounds.size())
    }

    /// Whether the characters of a text are counted.
    pub fn is_counted(&self) -> bool {
        self.bounds.is_some()
    }

    pub fn start(&self) -> State {
        State { node: 0, count: 0 }
    }

    /// The state after a byte, if the text can still be completed then.
    pub fn step(&self, state: State, byte: u8) -> Option<State> {
        let (node, starts) = self.node_step(state.node, byte)?;
        self.at(node, state.count.saturating_add(starts.into()))
    }

    /// The node after a byte, and whether the byte starts a character, whatever the count is.
    pub fn node_step(&self, node: u32, byte: u8) -> Option<(u32, bool)> {
        let starts = reverse::starts_character(byte);
        Some((self.table.step(node, byte)?, starts))
    }

    /// Whether a text at this node with so many characters can be completed.
    pub fn room(&self, node: u32, count: u32) -> bool {
        (self.bounds.as_ref()).is_none_or(|bounds| bounds.room(&self.table, node, count))
    }

    /// The state at this node after so many characters, if the text can be completed then.
    pub fn at(&self, node: u32, count: u32) -> Option<State> {
        let Some(bounds) = &self.bounds else {
            return Some(State { node, count: 0 });
        };
        let count = bounds.counted(count);
        (bounds.room(&self.table, node, count)).then_some(State { node, count })
    }

    /// Whether the text may end here.
    pub fn accepts(&self, state: State) -> bool {
        self.table.is_accepting(state.node)
            && (self.bounds.as_ref()).is_none_or(|bounds| bounds.accepts(state.count))
    }

    /// The fewest bytes that complete the text; 0 as well where nothing can.
    pub fn shortest_len(&self, state: State) -> usize {
        self.remaining(state).unwrap_or(0) as usize
    }

    fn remaining(&self, state: State) -> Option<u32> {
        match &self.bounds {
            None => Some(self.table.distance(state.node)).filter(|&far| far != NONE),
            Some(bounds) => bounds.shortest(&self.table, state.node, state.count),
        }
    }

    /// The bytes of a shortest completion, plain ones where there is a choice.
    pub fn shortest(&self, mut state: State) -> Vec<u8> {
        let mut bytes = Vec::new();
        for left in (0..self.shortest_len(state)).rev() {
            let nearer = |byte: u8| {
                let to = self.step(state, byte)?;
                (self.remaining(to)? as usize == left).then_some((byte, to))
            };
            let Some((byte, to)) = (PLAIN.iter().copied().chain(0..=u8::MAX)).find_map(nearer)
            else {
                break;
            };
            bytes.push(byte);
            state = to;
        }
        bytes
    }
}
