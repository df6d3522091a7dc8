//! Chance in the place of a model: a constraint is walked through in the tokens of the built-in model.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "helpers of tests, outside of the tests' own functions"
)]

use std::sync::Arc;

use rand::{RngExt, SeedableRng, rngs::StdRng};
use rust_inference::{
    constrain::{Candidates, Constraint, Grammar, Guide, Mode, Next, Vocabulary},
    embedded,
    tokenizer::Tokenizer,
};

pub struct Chance {
    tokenizer: Arc<Tokenizer>,
    vocabulary: Arc<Vocabulary>,
    stop: u32,
}

impl Chance {
    pub fn new() -> Self {
        let model = embedded::model().unwrap();
        let tokenizer = model.tokenizer.clone();
        let stop = tokenizer.control("<start_function_response>").unwrap();
        let end = tokenizer.control("<end_of_turn>").unwrap();
        let vocabulary = Vocabulary::new(&tokenizer, &[end], model.config.vocab_size);
        Self {
            tokenizer,
            vocabulary: Arc::new(vocabulary),
            stop,
        }
    }

    /// A call of this function as chance writes it, of at most so many tokens.
    pub fn call(&self, grammar: &Grammar, name: &str, seed: u64, most: usize) -> String {
        let random = &mut StdRng::seed_from_u64(seed);
        let constraint = Constraint::new(grammar.clone(), self.vocabulary.clone());
        let mode = Mode::Function(name.to_owned());
        let mut guide = constraint.calls(&mode, Some(1), "").unwrap();
        let (mut bytes, mut left) = (Vec::new(), most);
        loop {
            let tokens = match guide.next(left) {
                Next::End => break,
                Next::Forced(tokens) => tokens,
                Next::Choose { candidates, .. } => {
                    let token = self.choose(&candidates, random);
                    guide.push(token);
                    vec![token]
                }
            };
            for token in &tokens {
                bytes.extend_from_slice(self.tokenizer.bytes(*token));
            }
            if tokens.last() == Some(&self.stop) {
                break;
            }
            left = left.checked_sub(tokens.len()).unwrap();
        }
        String::from_utf8(bytes).unwrap()
    }

    /// Control tokens are chosen more often than by their number, or a text would never end.
    fn choose(&self, candidates: &Candidates, random: &mut StdRng) -> u32 {
        let ids: Vec<u32> = match candidates {
            Candidates::All => panic!("nothing is constrained"),
            Candidates::List(ids) => ids.clone(),
            Candidates::Mask(bits) => {
                let all = 0..bits.len() as u32 * 64;
                all.filter(|id| candidates.contains(*id)).collect()
            }
        };
        let controls: Vec<u32> = ids
            .iter()
            .copied()
            .filter(|id| self.tokenizer.is_control(*id))
            .collect();
        let from = if !controls.is_empty() && random.random_bool(0.25) {
            &controls
        } else {
            &ids
        };
        from[random.random_range(0..from.len())]
    }
}
