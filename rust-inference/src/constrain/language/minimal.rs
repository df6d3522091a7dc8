//! Nodes with the same future are one: callers keep much about every node.

use rustc_hash::FxHashMap as HashMap;

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
        let reverse = Reverse::of_draft(&self);
        let mut blocks = vec![NONE; self.len()];
        // Where no way leads in a circle, what follows is known already.
        let mut known: HashMap<Vec<u32>, u32> = HashMap::default();
        for node in reverse.without_circles() {
            let future = self.future(node, u32::from(self.is_accepting(node)), &blocks);
            let new = known.len() as u32;
            let block = *known.entry(future).or_insert(new);
            if let Some(of) = blocks.get_mut(node as usize) {
                *of = block;
            }
        }
        let settled = known.len() as u32;
        let circling: Vec<u32> = (0..)
            .zip(&blocks)
            .filter(|&(_, &block)| block == NONE)
            .map(|(node, _)| node)
            .collect();
        // The others are alike until they are told apart; those with the same future are equally far from an end.
        let distances = reverse.distances(|node| self.is_accepting(node));
        for (block, distance) in blocks.iter_mut().zip(distances) {
            if *block == NONE {
                *block = settled + distance;
            }
        }
        let mut count = 0;
        for _ in 0..MOST_WORK / self.next.len() {
            let mut known: HashMap<Vec<u32>, u32> = HashMap::default();
            let refined: Vec<u32> = (circling.iter())
                .map(|&node| {
                    let block = blocks.get(node as usize).copied().unwrap_or(NONE);
                    let new = settled + known.len() as u32;
                    *known
                        .entry(self.future(node, block, &blocks))
                        .or_insert(new)
                })
                .collect();
            for (&node, block) in circling.iter().zip(refined) {
                if let Some(of) = blocks.get_mut(node as usize) {
                    *of = block;
                }
            }
            if known.len() == count {
                return self.merged(&blocks);
            }
            count = known.len();
        }
        self
    }

    /// What tells a node from others: `own`, and where it leads.
    fn future(&self, node: u32, own: u32, blocks: &[u32]) -> Vec<u32> {
        let from = node as usize * self.classes.count();
        let row = self.next.get(from..from + self.classes.count());
        let block = |&to: &u32| blocks.get(to as usize).copied().unwrap_or(NONE);
        std::iter::once(own)
            .chain(row.unwrap_or_default().iter().map(block))
            .collect()
    }
}
