//! Languages that are as good as free when it comes to length.
//!
//! Most patterns let a text go on with one-byte characters as long as one likes once it could end. Then the shortest
//! way to an end says everything about the lengths that are possible, and a bound of a million characters costs nothing.

use super::{
    draft::NONE,
    reverse::{Move, Reverse, starts_character},
    table::Table,
};

/// From every node one way to an end is the best in bytes, in characters and in bytes beyond one for a character,
/// and from that end the text can go on one byte and one character at a time.
#[derive(Debug)]
pub(super) struct Loose {
    /// The fewest characters to an end, by node.
    characters: Vec<u32>,
}

impl Loose {
    pub(super) fn of(table: &Table) -> Option<Self> {
        let reverse = table.reversed();
        let ends = |node: u32| table.is_accepting(node);
        let characters = reverse.costs(ends, |one| u32::from(one.starts));
        let beyond = reverse.costs(ends, |one| u32::from(!one.starts));
        let endless = endless(ends, &reverse);
        let goes_on = |node: u32| endless.get(node as usize).copied().unwrap_or(false);
        let bytes = reverse.distances(goes_on);
        // Of the ways that take fewest bytes, the one with fewest characters: level by level.
        let mut by_bytes: Vec<(u32, u32)> = bytes.iter().copied().zip(0..).collect();
        by_bytes.sort_unstable();
        let mut on_best = vec![NONE; table.len()];
        for (far, node) in by_bytes {
            let best = if far == 0 {
                0
            } else {
                (table.moves(node))
                    .filter(|&(_, to)| {
                        bytes
                            .get(to as usize)
                            .is_some_and(|&of| of.checked_add(1) == Some(far))
                    })
                    .filter_map(|(byte, to)| {
                        let rest = on_best.get(to as usize)?;
                        Some(rest.saturating_add(u32::from(starts_character(byte))))
                    })
                    .min()?
            };
            *on_best.get_mut(node as usize)? = best;
        }
        let is_best = |node: u32| {
            let at = node as usize;
            let (Some(&bytes), Some(&few), Some(&beyond), Some(&on_best)) = (
                bytes.get(at),
                characters.get(at),
                beyond.get(at),
                on_best.get(at),
            ) else {
                return false;
            };
            bytes == table.distance(node) && on_best == few && bytes - few == beyond
        };
        ((0..table.len() as u32).all(is_best)).then_some(Self { characters })
    }

    pub(super) fn characters(&self, node: u32) -> u32 {
        self.characters.get(node as usize).copied().unwrap_or(NONE)
    }
}

/// The ends from which one character leads to such an end again. Between two ends lies one byte, so it has one.
fn endless(ends: impl Fn(u32) -> bool, reverse: &Reverse) -> Vec<bool> {
    let mut ways = vec![0_u32; reverse.nodes()];
    let way = |one: &Move| one.starts && ends(one.from) && ends(one.to);
    for one in reverse.moves().iter().filter(|one| way(one)) {
        if let Some(ways) = ways.get_mut(one.from as usize) {
            *ways += 1;
        }
    }
    let mut endless: Vec<bool> = ways.iter().map(|&ways| ways > 0).collect();
    let mut lost: Vec<u32> = (0..)
        .zip(&endless)
        .filter(|&(_, is)| !is)
        .map(|(node, _)| node)
        .collect();
    while let Some(node) = lost.pop() {
        for one in reverse.into(node).iter().filter(|one| way(one)) {
            if let Some((ways, is)) = ways
                .get_mut(one.from as usize)
                .zip(endless.get_mut(one.from as usize))
            {
                *ways -= 1;
                if *ways == 0 {
                    *is = false;
                    lost.push(one.from);
                }
            }
        }
    }
    endless
}
