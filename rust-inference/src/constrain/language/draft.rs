//! An automaton in the making.
//!
//! Every language begins here: states are found from the start, bytes that no state tells apart share a class, and
//! what cannot come to a good end is cut off before anyone sees it.

use std::{
    collections::{HashSet, hash_map::Entry},
    hash::Hash,
};

use rustc_hash::FxHashMap as HashMap;

use super::reverse::Reverse;

/// Where no move leads.
pub(super) const NONE: u32 = u32::MAX;

/// Bytes that are never told apart.
#[derive(Clone, Debug)]
pub(super) struct Classes {
    of: Box<[u8; 256]>,
    /// One byte of each class.
    samples: Vec<u8>,
}

impl Classes {
    /// Bytes of one key share a class.
    pub(super) fn by<K: Eq + Hash>(key: impl Fn(u8) -> K) -> Self {
        let mut known = HashMap::default();
        let mut samples = Vec::new();
        let mut of = Box::new([0; 256]);
        for (byte, class) in (0..=u8::MAX).zip(of.iter_mut()) {
            *class = *known.entry(key(byte)).or_insert_with(|| {
                samples.push(byte);
                (samples.len() - 1) as u8
            });
        }
        Self { of, samples }
    }

    pub(super) fn of(&self, byte: u8) -> u8 {
        self.of.get(usize::from(byte)).copied().unwrap_or(0)
    }

    pub(super) fn count(&self) -> usize {
        self.samples.len()
    }

    pub(super) fn samples(&self) -> &[u8] {
        &self.samples
    }
}

/// Nodes by number, the first of them the start.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) classes: Classes,
    /// By node and class.
    pub(super) next: Vec<u32>,
    pub(super) accept: Vec<bool>,
}

impl Draft {
    /// What can be reached from `start`; nothing where that is more than `most` nodes.
    pub(super) fn explore<K: Clone + Eq + Hash>(
        classes: Classes,
        start: K,
        most: usize,
        accepts: impl Fn(&K) -> bool,
        step: impl Fn(&K, u8) -> Option<K>,
    ) -> Option<Self> {
        let mut numbers = HashMap::from_iter([(start.clone(), 0)]);
        let mut accept = vec![accepts(&start)];
        let mut found = vec![start];
        let mut next = Vec::new();
        let mut at = 0;
        while let Some(key) = found.get(at).cloned() {
            for &byte in classes.samples() {
                let Some(to) = step(&key, byte) else {
                    next.push(NONE);
                    continue;
                };
                let number = match numbers.entry(to) {
                    Entry::Occupied(known) => *known.get(),
                    Entry::Vacant(new) => {
                        if found.len() == most {
                            return None;
                        }
                        accept.push(accepts(new.key()));
                        found.push(new.key().clone());
                        *new.insert(found.len() as u32 - 1)
                    }
                };
                next.push(number);
            }
            at += 1;
        }
        let draft = Self {
            classes,
            next,
            accept,
        };
        Some(draft.trimmed())
    }

    /// The language without a text.
    pub(super) fn nothing() -> Self {
        Self {
            classes: Classes::by(|_| ()),
            next: vec![NONE],
            accept: vec![false],
        }
    }

    pub(super) fn len(&self) -> usize {
        self.accept.len()
    }

    pub(super) fn is_accepting(&self, node: u32) -> bool {
        self.accept.get(node as usize).copied().unwrap_or(false)
    }

    pub(super) fn step(&self, node: u32, byte: u8) -> Option<u32> {
        let at = node as usize * self.classes.count() + usize::from(self.classes.of(byte));
        self.next.get(at).copied().filter(|&to| to != NONE)
    }

    /// The moves of each node, by class.
    pub(super) fn rows(&self) -> impl Iterator<Item = &[u32]> {
        self.next.chunks_exact(self.classes.count())
    }

    /// What both have; nothing where that takes more than `most` nodes.
    pub(super) fn both(&self, other: &Self, most: usize) -> Option<Self> {
        let classes = Classes::by(|byte| (self.classes.of(byte), other.classes.of(byte)));
        Self::explore(
            classes,
            (0, 0),
            most,
            |&(one, two)| self.is_accepting(one) && other.is_accepting(two),
            |&(one, two), byte| Some((self.step(one, byte)?, other.step(two, byte)?)),
        )
    }

    /// What `other` does not have of it; nothing where that takes more than `most` nodes.
    pub(super) fn except(&self, other: &Self, most: usize) -> Option<Self> {
        let classes = Classes::by(|byte| (self.classes.of(byte), other.classes.of(byte)));
        Self::explore(
            classes,
            (0, Some(0)),
            most,
            |&(one, two)| self.is_accepting(one) && !two.is_some_and(|two| other.is_accepting(two)),
            |&(one, two), byte| {
                let two = two.and_then(|two| other.step(two, byte));
                Some((self.step(one, byte)?, two))
            },
        )
    }

    /// Without the nodes from which no end can be reached.
    pub(super) fn trimmed(self) -> Self {
        let live = Reverse::of_draft(&self).distances(|node| self.is_accepting(node));
        let is_live = |node: u32| live.get(node as usize).is_some_and(|&far| far != NONE);
        if !is_live(0) {
            return Self::nothing();
        }
        let kept: Vec<u32> = (0..self.len() as u32)
            .map(|node| if is_live(node) { node } else { NONE })
            .collect();
        self.merged(&kept)
    }

    /// Nodes of one block become one, and those of none are left out. The start is in a block.
    pub(super) fn merged(&self, blocks: &[u32]) -> Self {
        let mut numbers = HashMap::default();
        let mut kept = Vec::new();
        let renumbered: Vec<u32> = (0..)
            .zip(blocks)
            .map(|(node, &block)| {
                if block == NONE {
                    return NONE;
                }
                *numbers.entry(block).or_insert_with(|| {
                    kept.push(node);
                    kept.len() as u32 - 1
                })
            })
            .collect();
        let number = |node: u32| renumbered.get(node as usize).copied().unwrap_or(NONE);
        let width = self.classes.count();
        let mut next = Vec::new();
        for &node in &kept {
            let from: usize = node as usize * width;
            let row = self.next.get(from..from + width).unwrap_or_default();
            next.extend(row.iter().map(|&to| number(to)));
        }
        let draft = Self {
            classes: self.classes.clone(),
            next,
            accept: kept.iter().map(|&node| self.is_accepting(node)).collect(),
        };
        draft.with_fewer_classes()
    }

    /// Classes that no node tells apart any more become one.
    fn with_fewer_classes(self) -> Self {
        let width = self.classes.count();
        let columns: Vec<Vec<u32>> = (0..width)
            .map(|class| {
                self.next
                    .iter()
                    .skip(class)
                    .step_by(width)
                    .copied()
                    .collect()
            })
            .collect();
        if columns.iter().collect::<HashSet<_>>().len() == width {
            return self;
        }
        let classes = Classes::by(|byte| columns.get(usize::from(self.classes.of(byte))));
        let next = self
            .rows()
            .flat_map(|row| {
                (classes.samples().iter()).map(|&byte| {
                    row.get(usize::from(self.classes.of(byte)))
                        .copied()
                        .unwrap_or(NONE)
                })
            })
            .collect();
        Self {
            classes,
            next,
            accept: self.accept,
        }
    }
}
