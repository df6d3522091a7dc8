//! Languages against brute force.

mod formats;
mod numbers;
mod patterns;
mod speed;
mod workshop;

use std::collections::{HashMap, VecDeque};

use proptest::prelude::*;

use super::{Language, State, TextSpec, Workshop, literals, text};

impl Language {
    fn is_apart_from(&self, other: &Language) -> bool {
        Workshop::default().disjoint(self, other)
    }
}

/// The state after a text, if it can go that far.
pub(super) fn after(language: &Language, text: &[u8]) -> Option<State> {
    (text.iter()).try_fold(language.start(), |state, &byte| language.step(state, byte))
}

pub(super) fn has(language: &Language, text: impl AsRef<[u8]>) -> bool {
    after(language, text.as_ref()).is_some_and(|state| language.accepts(state))
}

/// A text of a language by choosing among the moves that are possible; it ends when the choices do.
pub(super) fn walk(language: &Language, choices: &[u8]) -> Vec<u8> {
    let mut state = language.start();
    let mut bytes = Vec::new();
    for &choice in choices {
        let possible: Vec<(u8, State)> = (0..=u8::MAX)
            .filter_map(|byte| Some((byte, language.step(state, byte)?)))
            .collect();
        if possible.is_empty() {
            break;
        }
        let (byte, to) = possible[usize::from(choice) % possible.len()];
        bytes.push(byte);
        state = to;
    }
    bytes.extend(language.shortest(state));
    bytes
}

/// The fewest bytes to an end, by trying all.
fn fewest(language: &Language, from: State) -> Option<usize> {
    let mut known = HashMap::from([(from, 0)]);
    let mut queue = VecDeque::from([from]);
    while let Some(state) = queue.pop_front() {
        if language.accepts(state) {
            return Some(known[&state]);
        }
        for to in (0..=u8::MAX).filter_map(|byte| language.step(state, byte)) {
            let far = known[&state] + 1;
            known.entry(to).or_insert_with(|| {
                queue.push_back(to);
                far
            });
        }
    }
    None
}

/// Every state on the way of a text can be completed, by as few bytes as can be.
pub(super) fn check_completions(language: &Language, text: &[u8]) {
    let mut state = language.start();
    for at in 0..=text.len() {
        let shortest = language.shortest(state);
        let end = (shortest.iter()).try_fold(state, |state, &byte| language.step(state, byte));
        assert!(
            end.is_some_and(|end| language.accepts(end)),
            "{shortest:?} after {:?}",
            &text[..at]
        );
        assert_eq!(shortest.len(), language.shortest_len(state));
        assert_eq!(Some(shortest.len()), fewest(language, state));
        if let Some(&byte) = text.get(at) {
            state = language.step(state, byte).expect("a text of the language");
        }
    }
}

fn free(min: u32, max: Option<u32>) -> Language {
    text(&TextSpec {
        min,
        max,
        never: vec!["<escape>"],
        ..TextSpec::default()
    })
    .unwrap()
}

proptest! {
    #[test]
    fn literals_are_exactly_their_values(values in prop::collection::vec("[abü]{0,4}", 0..12), other in "[abü]{0,4}") {
        let language = literals(&values);
        prop_assert_eq!(language.is_empty(), values.is_empty());
        prop_assert_eq!(has(&language, &other), values.contains(&other));
        for value in &values {
            prop_assert!(has(&language, value));
            check_completions(&language, value.as_bytes());
        }
    }

    #[test]
    fn languages_are_disjoint_when_they_share_no_text(one in prop::collection::vec("[ab]{0,3}", 0..5), other in prop::collection::vec("[ab]{0,3}", 0..5), min in 0_u32..3, more in 0_u32..3) {
        let share = one.iter().any(|value| other.contains(value));
        prop_assert_eq!(literals(&one).is_apart_from(&literals(&other)), !share);
        let fits = |value: &String| (min..=min + more).contains(&(value.len() as u32));
        prop_assert_eq!(literals(&one).is_apart_from(&free(min, Some(min + more))), !one.iter().any(fits));
        prop_assert!(free(min + more, None).is_apart_from(&free(0, (min + more).checked_sub(1))) == (min + more > 0));
    }

    #[test]
    fn free_text_is_what_has_the_length_and_not_the_word(text in "(<|escape|>|<escape>|ü|🦀|.){0,6}", min in 0_u32..4, more in prop::option::of(0_u32..5)) {
        let max = more.map(|more| min + more);
        let language = free(min, max);
        let count = text.chars().count() as u32;
        let fits = count >= min && max.is_none_or(|max| count <= max) && !text.contains("<escape>");
        prop_assert_eq!(has(&language, &text), fits, "{:?}", text);
    }

    #[test]
    fn what_is_walked_in_free_text_is_utf8_and_fits(choices in prop::collection::vec(any::<u8>(), 0..40), min in 0_u32..6, more in prop::option::of(0_u32..5)) {
        let max = more.map(|more| min + more);
        let language = free(min, max);
        let bytes = walk(&language, &choices);
        check_completions(&language, &bytes);
        let text = String::from_utf8(bytes).unwrap();
        let count = text.chars().count() as u32;
        prop_assert!(count >= min && max.is_none_or(|max| count <= max) && !text.contains("<escape>"), "{:?}", text);
    }
}

#[test]
fn bytes_that_are_no_utf8_are_refused() {
    let language = free(0, None);
    for wrong in [
        b"\xC0\x80".as_slice(),
        b"\xED\xA0\x80",
        b"\xF4\x90\x80\x80",
        b"\xFF",
        b"\x80",
        b"a\xC3b",
    ] {
        assert!(after(&language, wrong).is_none(), "{wrong:?}");
    }
}

#[test]
fn free_text_of_any_length_is_one_table() {
    assert_eq!(free(0, None).id(), free(3, Some(1_000_000)).id());
    assert_ne!(free(0, None).id(), text(&TextSpec::default()).unwrap().id());
    let long = free(1_000_000, Some(1_000_000));
    assert_eq!(long.shortest_len(long.start()), 1_000_000);
    assert!(!free(0, None).is_counted() && long.is_counted());
}

#[test]
fn bounds_that_leave_nothing_make_an_empty_language() {
    let language = free(3, Some(2));
    assert!(language.is_empty());
    assert!(!language.accepts(language.start()));
    assert!(language.shortest(language.start()).is_empty());
}
