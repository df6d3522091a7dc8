//! Close to the limit of tokens.

use std::sync::Arc;

use rand::{RngExt, SeedableRng, rngs::StdRng};
use rust_inference::{
    constrain::{Constraint, Mode},
    functiongemma::{Toolbox, parse},
};

use crate::{
    schemas,
    walks::{End, Words, count},
};

/// A generation of random tools with a limit made of what the shortest call needs; whether it was complete.
fn complete(words: &Words, seed: u64, limit: impl Fn(usize, &mut StdRng) -> usize) -> bool {
    let random = &mut StdRng::seed_from_u64(seed);
    let (sent, tools) = schemas::tools(random);
    let grammar = schemas::grammar(&tools, schemas::order(random));
    let constraint = Constraint::new(grammar, words.vocabulary.clone());
    let mut guide = constraint.calls(&Mode::Required, None, "").unwrap();
    let left = limit(guide.needed(), random);
    let (tokens, end) = words.walk(&mut guide, random, left);
    let text = words.text(&tokens);
    let calls = parse(Arc::new(Toolbox::new(&tools).unwrap()), &text);
    match end {
        End::Complete => assert!(
            calls.is_ok_and(|(_, calls)| !calls.is_empty()),
            "{text} {sent}"
        ),
        End::Length => assert!(!text.contains("<end_function_call>"), "{text}"),
    }
    end == End::Complete
}

#[test]
fn where_the_shortest_call_fits_the_generation_ends_in_one() {
    let words = Words::default_model();
    let complete = count(2_000, |seed| {
        complete(&words, seed, |needed, random| {
            needed + random.random_range(0..12usize)
        })
    });
    assert!(complete >= 1_980, "{complete}");
}

#[test]
fn where_it_does_not_fit_nothing_leaves() {
    let words = Words::default_model();
    let complete = count(300, |seed| {
        complete(&words, seed, |_, random| random.random_range(0..4))
    });
    assert_eq!(complete, 0);
}
