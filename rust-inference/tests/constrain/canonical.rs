//! What is forced is cut into tokens as the whole text is.

use rand::{SeedableRng, rngs::StdRng};
use rust_inference::constrain::{Constraint, Guide, Mode, Next};

use crate::{
    schemas,
    walks::{End, Words, count},
};

/// Lets a guide write a text that is known; gives how many tokens were forced.
fn write(guide: &mut dyn Guide, tokens: &[u32], told: &dyn Fn() -> String) -> usize {
    let (mut at, mut forced) = (0, 0);
    while at < tokens.len() {
        match guide.next(1000) {
            Next::Forced(ids) => {
                let known = &tokens[at..(at + ids.len()).min(tokens.len())];
                assert_eq!(ids, known, "at token {at} of {}", told());
                at += ids.len();
                forced += ids.len();
            }
            Next::Choose { candidates, .. } => {
                let fits = candidates.contains(tokens[at]);
                assert!(fits, "token {at} is no candidate in {}", told());
                guide.push(tokens[at]);
                at += 1;
            }
            Next::End => panic!("it ends at token {at} of {}", told()),
        }
    }
    forced
}

/// Whether a random call was written with forced tokens.
fn written_as_cut(words: &Words, seed: u64) -> bool {
    let random = &mut StdRng::seed_from_u64(seed);
    let (_, tools) = schemas::tools(random);
    let grammar = schemas::grammar(&tools, schemas::order(random));
    let constraint = Constraint::new(grammar, words.vocabulary.clone());
    let guide = || constraint.calls(&Mode::Required, None, "").unwrap();
    let (tokens, end) = words.walk(&mut guide(), random, 200);
    if end == End::Length {
        return false;
    }
    let text = words.text(&tokens);
    let cut = words
        .tokenizer
        .encode(&words.tokenizer.pieces(&text))
        .unwrap();
    write(&mut guide(), &cut, &|| format!("{text} (seed {seed})")) > 0
}

#[test]
fn forced_text_is_cut_as_the_whole_text_is() {
    let words = Words::default_model();
    let written = count(2_000, |seed| written_as_cut(&words, seed));
    assert!(written > 1_000, "{written}");
}

#[test]
fn and_in_a_vocabulary_of_gemmas_size() {
    let words = Words::random_model();
    let written = count(150, |seed| written_as_cut(&words, seed));
    assert!(written > 75, "{written}");
}
