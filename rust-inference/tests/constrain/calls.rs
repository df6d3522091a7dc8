//! Calls of random tools.

use std::sync::Arc;

use rand::{RngExt, SeedableRng, rngs::StdRng};
use rust_inference::{
    constrain::{Acceptor, Constraint, Mode, Options},
    functiongemma::{Toolbox, parse},
};

use crate::{
    schemas,
    walks::{End, Words, count},
};

/// One generation of random tools; gives whether it ended in complete calls.
fn generate(words: &Words, seed: u64) -> bool {
    let random = &mut StdRng::seed_from_u64(seed);
    let (sent, tools) = schemas::tools(random);
    let order = schemas::order(random);
    let options = Options {
        order,
        lenient: false,
    };
    let acceptor = Acceptor::new(&tools, options).unwrap();
    let constraint = Constraint::new(acceptor.grammar().clone(), words.vocabulary.clone());
    let most = random.random_range(1..4);
    let mut guide = constraint.calls(&Mode::Required, Some(most), "").unwrap();
    let left = random.random_range(1..400);
    let (tokens, end) = words.walk(&mut guide, random, left);
    if end == End::Length {
        return false;
    }
    let text = words.text(&tokens);
    let toolbox = Arc::new(Toolbox::new(&tools).unwrap());
    let (content, calls) = parse(toolbox, &text)
        .unwrap_or_else(|error| panic!("seed {seed}: {error}\n{text}\n{sent}"));
    assert!(content.is_empty(), "seed {seed}: {text}");
    assert!((1..=most).contains(&calls.len()), "seed {seed}: {text}");
    let outcome = acceptor.accept(&text, &Mode::Required, Some(most));
    assert!(outcome.is_ok(), "seed {seed}: {outcome:?}: {text}\n{sent}");
    true
}

#[test]
fn ten_thousand_random_generations_are_valid() {
    let words = Words::default_model();
    let complete = count(10_000, |seed| generate(&words, seed));
    assert!(complete > 5_000, "{complete}");
}

#[test]
fn so_are_those_of_a_vocabulary_of_gemmas_size() {
    let words = Words::random_model();
    let complete = count(200, |seed| generate(&words, seed));
    assert!(complete > 100, "{complete}");
}
