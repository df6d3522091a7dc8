//! Whether two languages have a text in common: of a `oneOf` no two branches may.

use std::{collections::HashSet, sync::Arc};

use super::{Language, State, Valid, draft::Classes};

/// Pairs of states that are looked at.
const MOST_PAIRS: usize = 20_000;

/// Whether nothing that one of them writes is valid for the other. `left`: pairs that may be looked at.
pub(super) fn disjoint(one: &Language, other: &Language, left: &mut usize) -> bool {
    match (all_valid(one), all_valid(other)) {
        (Some(of_one), Some(of_other)) => {
            is_apart(one, of_other.as_ref().unwrap_or(other), left)
                && is_apart(of_one.as_ref().unwrap_or(one), other, left)
        }
        _ => one.is_empty() || other.is_empty(),
    }
}

/// All that is valid where that is more than what is written; nothing where it is too much to tell.
#[expect(
    clippy::option_option,
    reason = "no other language, or none that can be had"
)]
fn all_valid(language: &Language) -> Option<Option<Language>> {
    let table = match &language.valid {
        None => return Some(None),
        Some(Valid::Text(table)) => Some(Arc::clone(table)),
        Some(Valid::Number(all)) => all.table(),
    };
    table.map(|table| Some(Language::of_table(table)))
}

/// Whether no text is in both; false as well where that would take too long to find out.
fn is_apart(one: &Language, other: &Language, left: &mut usize) -> bool {
    // To begin costs something, too.
    let begins = if one.table.classes().is_some() || other.table.classes().is_some() {
        100
    } else {
        10
    };
    *left = left.saturating_sub(begins);
    let most = MOST_PAIRS.min(*left);
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
        *left = left.saturating_sub(1);
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
        if seen.len() > most {
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
