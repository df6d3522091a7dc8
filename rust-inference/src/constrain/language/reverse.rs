//! An automaton's moves read backwards, to see from where its ends can be reached and how far they are.

use std::collections::VecDeque;

use super::draft::{Draft, NONE};

/// A move between two nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Move {
    pub(super) to: u32,
    pub(super) from: u32,
    /// Its byte starts a character.
    pub(super) starts: bool,
}

/// Whether a byte starts a character.
pub(super) fn starts_character(byte: u8) -> bool {
    byte & 0xC0 != 0x80
}

/// Moves by where they lead.
#[derive(Debug)]
pub(super) struct Reverse {
    /// Where the moves to a node begin.
    first: Vec<u32>,
    moves: Vec<Move>,
}

impl Reverse {
    /// `moves` are those of one node after the other.
    pub(super) fn new(nodes: usize, moves: impl Iterator<Item = Move>) -> Self {
        let mut forward: Vec<Move> = Vec::new();
        let mut own = 0;
        for one in moves {
            if forward.last().is_some_and(|last| last.from != one.from) {
                own = forward.len();
            }
            if !forward.get(own..).unwrap_or_default().contains(&one) {
                forward.push(one);
            }
        }
        let mut first = vec![0_u32; nodes + 1];
        for one in &forward {
            if let Some(count) = first.get_mut(one.to as usize + 1) {
                *count += 1;
            }
        }
        let mut sum = 0;
        for count in &mut first {
            sum += *count;
            *count = sum;
        }
        let mut places = first.clone();
        let mut sorted = forward.clone();
        for one in forward {
            let place = places.get_mut(one.to as usize);
            if let Some(place) = place {
                if let Some(to) = sorted.get_mut(*place as usize) {
                    *to = one;
                }
                *place += 1;
            }
        }
        Self {
            first,
            moves: sorted,
        }
    }

    pub(super) fn of_draft(draft: &Draft) -> Self {
        let moves = (0..).zip(draft.rows()).flat_map(|(from, row)| {
            (row.iter().zip(draft.classes.samples()))
                .filter(|&(&to, _)| to != NONE)
                .map(move |(&to, &byte)| Move {
                    to,
                    from,
                    starts: starts_character(byte),
                })
        });
        Self::new(draft.len(), moves)
    }

    /// The nodes from which no way leads in a circle, each after those that can follow it.
    pub(super) fn without_circles(&self) -> Vec<u32> {
        let mut ways = vec![0_u32; self.nodes()];
        for one in &self.moves {
            if let Some(ways) = ways.get_mut(one.from as usize) {
                *ways += 1;
            }
        }
        let mut order: Vec<u32> = (0..)
            .zip(&ways)
            .filter(|&(_, &ways)| ways == 0)
            .map(|(node, _)| node)
            .collect();
        let mut at = 0;
        while let Some(&node) = order.get(at) {
            at += 1;
            for one in self.into(node) {
                if let Some(ways) = ways.get_mut(one.from as usize) {
                    *ways -= 1;
                    if *ways == 0 {
                        order.push(one.from);
                    }
                }
            }
        }
        order
    }

    pub(super) fn nodes(&self) -> usize {
        self.first.len() - 1
    }

    pub(super) fn moves(&self) -> &[Move] {
        &self.moves
    }

    pub(super) fn into(&self, node: u32) -> &[Move] {
        let at = node as usize;
        let bounds = self.first.get(at).zip(self.first.get(at + 1));
        (bounds.and_then(|(&from, &to)| self.moves.get(from as usize..to as usize)))
            .unwrap_or_default()
    }

    /// How many bytes each node is from those that are wanted; [`NONE`] where they cannot be reached.
    pub(super) fn distances(&self, wanted: impl Fn(u32) -> bool) -> Vec<u32> {
        self.costs(wanted, |_| 1)
    }

    /// What the cheapest way costs from each node to those that are wanted, when a move costs nothing or one.
    pub(super) fn costs(
        &self,
        wanted: impl Fn(u32) -> bool,
        cost: impl Fn(&Move) -> u32,
    ) -> Vec<u32> {
        let mut costs = vec![NONE; self.nodes()];
        let mut queue: VecDeque<(u32, u32)> = (0..self.nodes() as u32)
            .filter(|&node| wanted(node))
            .map(|node| (node, 0))
            .collect();
        for &(node, _) in &queue {
            if let Some(known) = costs.get_mut(node as usize) {
                *known = 0;
            }
        }
        while let Some((node, far)) = queue.pop_front() {
            if costs.get(node as usize).is_none_or(|&known| known < far) {
                continue;
            }
            for one in self.into(node) {
                let Some(known) = costs.get_mut(one.from as usize) else {
                    continue;
                };
                let more = cost(one);
                if far + more < *known {
                    *known = far + more;
                    if more == 0 {
                        queue.push_front((one.from, far));
                    } else {
                        queue.push_back((one.from, far + more));
                    }
                }
            }
        }
        costs
    }
}
