//! A finished automaton: every node of it can still come to an end.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

use super::{
    draft::{Classes, Draft, NONE},
    loose::Loose,
    reverse::{Move, Reverse, starts_character},
};

#[derive(Debug)]
pub(super) struct Table {
    id: u64,
    moves: Moves,
    accept: Vec<bool>,
    /// The fewest bytes to an end, by node.
    distance: Vec<u32>,
    loose: OnceLock<Option<Loose>>,
}

#[derive(Debug)]
enum Moves {
    /// By node and class.
    Dense { classes: Classes, next: Vec<u32> },
    /// Few for each node: those of node `n` lie from `first[n]` to `first[n + 1]`, by byte.
    Sparse {
        first: Vec<u32>,
        edges: Vec<(u8, u32)>,
    },
}

impl Table {
    pub(super) fn of_draft(draft: Draft) -> Self {
        let distance = Reverse::of_draft(&draft).distances(|node| draft.is_accepting(node));
        Self::new(
            Moves::Dense {
                classes: draft.classes,
                next: draft.next,
            },
            draft.accept,
            distance,
        )
    }

    /// For trees: of each node the place where its edges begin, and one place more; children have higher numbers.
    pub(super) fn of_tree(first: Vec<u32>, edges: Vec<(u8, u32)>, accept: Vec<bool>) -> Self {
        let mut distance = vec![NONE; accept.len()];
        for (node, bounds) in first.windows(2).enumerate().rev() {
            let own = match *bounds {
                [from, to] => edges.get(from as usize..to as usize).unwrap_or_default(),
                _ => &[],
            };
            let nearest = (own.iter())
                .filter_map(|&(_, to)| distance.get(to as usize))
                .min()
                .map_or(NONE, |far| far.saturating_add(1));
            if let (Some(far), Some(&ends)) = (distance.get_mut(node), accept.get(node)) {
                *far = if ends { 0 } else { nearest };
            }
        }
        Self::new(Moves::Sparse { first, edges }, accept, distance)
    }

    fn new(moves: Moves, accept: Vec<bool>, distance: Vec<u32>) -> Self {
        static IDS: AtomicU64 = AtomicU64::new(1);
        Self {
            id: IDS.fetch_add(1, Ordering::Relaxed),
            moves,
            accept,
            distance,
            loose: OnceLock::new(),
        }
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn len(&self) -> usize {
        self.accept.len()
    }

    /// About how many bytes it takes.
    pub(super) fn size(&self) -> usize {
        let moves = match &self.moves {
            Moves::Dense { next, .. } => next.len() * 4,
            Moves::Sparse { first, edges } => first.len() * 4 + edges.len() * 8,
        };
        moves + self.accept.len() * 5
    }

    /// Has no text at all.
    pub(super) fn is_empty(&self) -> bool {
        self.distance(0) == NONE
    }

    pub(super) fn is_accepting(&self, node: u32) -> bool {
        self.accept.get(node as usize).copied().unwrap_or(false)
    }

    pub(super) fn distance(&self, node: u32) -> u32 {
        self.distance.get(node as usize).copied().unwrap_or(NONE)
    }

    pub(super) fn step(&self, node: u32, byte: u8) -> Option<u32> {
        match &self.moves {
            Moves::Dense { classes, next } => {
                let at = node as usize * classes.count() + usize::from(classes.of(byte));
                next.get(at).copied().filter(|&to| to != NONE)
            }
            Moves::Sparse { first, edges } => {
                let own = edges_of(first, edges, node);
                let at = own.binary_search_by_key(&byte, |&(edge, _)| edge).ok()?;
                own.get(at).map(|&(_, to)| to)
            }
        }
    }

    /// The moves of a node with one byte for all that lead the same way and are of the same class.
    pub(super) fn moves(&self, node: u32) -> impl Iterator<Item = (u8, u32)> {
        let (dense, sparse) = match &self.moves {
            Moves::Dense { classes, next } => {
                let from = node as usize * classes.count();
                let row = next.get(from..from + classes.count()).unwrap_or_default();
                (Some(classes.samples().iter().zip(row)), [].as_slice())
            }
            Moves::Sparse { first, edges } => (None, edges_of(first, edges, node)),
        };
        (dense.into_iter().flatten().map(|(&byte, &to)| (byte, to)))
            .chain(sparse.iter().copied())
            .filter(|&(_, to)| to != NONE)
    }

    /// The classes of a dense table; a sparse one has few moves for each node instead.
    pub(super) fn classes(&self) -> Option<&Classes> {
        match &self.moves {
            Moves::Dense { classes, .. } => Some(classes),
            Moves::Sparse { .. } => None,
        }
    }

    pub(super) fn reversed(&self) -> Reverse {
        let moves = (0..self.len() as u32).flat_map(|from| {
            self.moves(from).map(move |(byte, to)| Move {
                to,
                from,
                starts: starts_character(byte),
            })
        });
        Reverse::new(self.len(), moves)
    }

    /// See [`Loose`]; found out once, when somebody counts characters.
    pub(super) fn loose(&self) -> Option<&Loose> {
        self.loose.get_or_init(|| Loose::of(self)).as_ref()
    }
}

fn edges_of<'a>(first: &[u32], edges: &'a [(u8, u32)], node: u32) -> &'a [(u8, u32)] {
    let at = node as usize;
    (first.get(at).zip(first.get(at + 1)))
        .and_then(|(&from, &to)| edges.get(from as usize..to as usize))
        .unwrap_or_default()
}
