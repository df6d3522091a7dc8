//! Whether two languages have a text in common: of a `oneOf` no two branches may.

use std::collections::HashSet;

use super::{Language, State, draft::Classes};

/// Pairs of states that are looked at.
const MOST_PAIRS: usize = 20_000;

/// Whether no text is in both; false as well where that would take too long to find out.
pub(super) fn disjoint(one: &Language, other: &Language) -> bool {
    let past = |one: &Language, other: &Language| {
        let most = one.bounds.as_ref().and_then(|bounds| bounds.max);
        let least = other.bounds.as_ref().map_or(0, |bounds| bounds.min);
        most.is_some_and(|most| most < least)
    };
    if one.is_empty() || other.is_empty() || past(one, other) || past(other, one) {
        return true;
    }
    let classes = (one.table.classes().zip(other.table.classes()))
        .map(|(one, other)| Classes::by(|byte| (one.of(byte), other.of(byte))));
    let start = (one.start(), other.start());
    let mut seen: HashSet<(State, State)> = HashSet::from([start]);
    let mut ahead = vec![start];
    while let Some((first, second)) = ahead.pop() {
        if one.accepts(first) && other.accepts(second) {
            return false;
        }
        let bytes: Vec<u8> = match &classes {
            Some(classes) => classes.samples().to_vec(),
            None if one.table.classes().is_none() => bytes(one, first),
            None => bytes(other, second),
        };
        for byte in bytes {
            let (Some(first), Some(second)) = (one.step(first, byte), other.step(second, byte))
            else {
                continue;
            };
            if seen.insert((first, second)) {
                ahead.push((first, second));
            }
        }
        if seen.len() > MOST_PAIRS {
            return false;
        }
    }
    true
}

fn bytes(language: &Language, state: State) -> Vec<u8> {
    (language.table.moves(state.node))
        .map(|(byte, _)| byte)
        .collect()
}
