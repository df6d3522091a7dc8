//! Answers in JSON.

use rand::{SeedableRng, rngs::StdRng};
use rust_inference::constrain::{Constraint, Grammar, Options};
use serde_json::Value;

use crate::{
    schemas,
    walks::{End, Words, count},
};

fn generate(words: &Words, seed: u64) -> bool {
    let random = &mut StdRng::seed_from_u64(seed);
    let schema = schemas::schema(random, 0);
    let grammar = Grammar::of_json(&schema, &Options::default());
    let grammar = grammar.unwrap_or_else(|notes| panic!("seed {seed}: {notes:?} {schema}"));
    let constraint = Constraint::new(grammar, words.vocabulary.clone());
    let mut guide = constraint.json("model\n").unwrap();
    let (mut tokens, end) = words.walk(&mut guide, random, 300);
    if end == End::Length {
        return false;
    }
    assert!(words.stops.contains(&tokens.pop().unwrap()));
    let text = words.text(&tokens);
    let value: Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("seed {seed}: {error}: {text}"));
    let validator = jsonschema::options()
        .should_validate_formats(true)
        .build(&schema)
        .unwrap();
    let error = validator.iter_errors(&value).next();
    assert!(error.is_none(), "seed {seed}: {error:?}: {text} {schema}");
    true
}

#[test]
fn three_thousand_random_answers_in_json_are_valid() {
    let words = Words::default_model();
    let complete = count(3_000, |seed| generate(&words, seed));
    assert!(complete > 2_500, "{complete}");
}
