//! Nodes with the same future are one: callers keep much about every node.

use std::collections::HashMap;

use super::{
    draft::{Draft, NONE},
    reverse::Reverse,
};

/// Entries of an automaton that is looked at, and of all rounds together; others stay as they are.
const MOST_ENTRIES: usize = 50_000;
const MOST_WORK: usize = 1_000_000;

impl Draft {
    /// The same language with as few nodes as can be, if that is soon found.
    pub(super) fn minimal(self) -> Self {
        if self.next.len() > MOST_ENTRIES {
            return self;
        }
        // Those with the same future are equally far from an end.
        let mut blocks = Reverse::of_draft(&self).distances(|node| self.is_accepting(node));
        let mut count = 0;
        for _ in 0..MOST_WORK / self.next.len() {
            let block = |node: u32| blocks.get(node as usize).copied().unwrap_or(NONE);
            let mut known: HashMap<Vec<u32>, u32> = HashMap::new();
            let refined: Vec<u32> = (0..)
                .zip(self.rows())
                .map(|(node, row)| {
                    let future =
                        std::iter::once(block(node)).chain(row.iter().map(|&to| block(to)));
                    let new = known.len() as u32;
                    *known.entry(future.collect()).or_insert(new)
                })
                .collect();
            blocks = refined;
            if known.len() == count {
                return self.renumbered(&blocks);
            }
            count = known.len();
        }
        self
    }
}
