//! Calls of random tools.

use std::sync::Arc;

use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use rust_inference::{
    constrain::{Acceptor, Candidates, Constraint, Guide, Mode, Next, Options},
    functiongemma::{Conversation, Toolbox, parse},
    tokenizer::Piece,
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

/// A model that writes `a` wherever it can, and goes on where it cannot.
#[test]
fn no_key_stands_twice_however_a_model_insists() {
    let words = Words::default_model();
    let request = r#"{"messages": [], "tools": [{"name": "f", "parameters":
        {"type": "object", "additionalProperties": {"type": "integer", "maximum": 9, "minimum": 0}}}]}"#;
    let tools = Conversation::from_json(request).unwrap().tools;
    let constraint = Constraint::new(
        schemas::grammar(&tools, rust_inference::constrain::ArgumentOrder::Sorted),
        words.vocabulary.clone(),
    );
    let mut guide = constraint.calls(&Mode::Required, Some(1), "").unwrap();
    let wanted =
        ["a", ",", "1"].map(|text| words.tokenizer.encode(&[Piece::Text(text)]).unwrap()[0]);
    let mut tokens = Vec::new();
    while !tokens.last().is_some_and(|last| words.stops.contains(last)) {
        match guide.next(600 - tokens.len()) {
            Next::Forced(forced) => tokens.extend(forced),
            Next::Choose { candidates, .. } => {
                let token = wanted.into_iter().find(|token| candidates.contains(*token));
                let token = token.unwrap_or_else(|| match &*candidates {
                    Candidates::List(ids) => ids[0],
                    other => panic!("{other:?}"),
                });
                guide.push(token);
                tokens.push(token);
            }
            Next::End => panic!("a dead end behind {}", words.text(&tokens)),
        }
    }
    let text = words.text(&tokens);
    let (_, calls) = parse(Arc::new(Toolbox::new(&tools).unwrap()), &text).unwrap();
    assert!(calls[0].arguments.len() > 3, "{text}");
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
    let complete = count(100, |seed| generate(&words, seed));
    assert!(complete > 50, "{complete}");
}

/// One character more, less or another, somewhere.
fn damaged(text: &str, random: &mut StdRng) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    let at = random.random_range(0..characters.len());
    let other = *[
        ' ', ',', ':', '{', '}', '[', ']', '0', '-', '.', 'e', 'a', 'Z', '<', '\n', 'ü',
    ]
    .choose(random)
    .unwrap();
    match random.random_range(0..3) {
        0 => drop(characters.remove(at)),
        1 => characters.insert(at, other),
        _ => characters[at] = other,
    }
    characters.into_iter().collect()
}

#[test]
fn what_is_accepted_of_damaged_calls_is_read_as_the_same_calls() {
    let words = Words::default_model();
    let accepted = count(500, |seed| {
        let random = &mut StdRng::seed_from_u64(seed);
        let (_, tools) = schemas::tools(random);
        let acceptor = Acceptor::new(&tools, Options::default()).unwrap();
        let constraint = Constraint::new(acceptor.grammar().clone(), words.vocabulary.clone());
        let mut guide = constraint.calls(&Mode::Required, Some(1), "").unwrap();
        let (tokens, _) = words.walk(&mut guide, random, 400);
        let text = words.text(&tokens);
        let toolbox = Arc::new(Toolbox::new(&tools).unwrap());
        let some = (0..20).filter(|_| {
            let text = damaged(&text, random);
            let Ok(accepted) = acceptor.accept(&text, &Mode::Auto, None) else {
                return false;
            };
            let (content, calls) = parse(toolbox.clone(), &text)
                .unwrap_or_else(|error| panic!("seed {seed}: {error}: {text}"));
            assert_eq!(
                (accepted.content, accepted.calls),
                (content, calls),
                "seed {seed}: {text}"
            );
            true
        });
        some.count() > 0
    });
    // Most of what is damaged within a text is still a call.
    assert!((100..500).contains(&accepted), "{accepted}");
}
