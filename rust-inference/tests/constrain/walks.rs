//! Random ways through a grammar: a model at its worst.

use std::sync::Arc;

use rand::{RngExt, SeedableRng, rngs::StdRng};
use rust_inference::{
    constrain::{Candidates, Constraint, Grammar, Guide, Mode, Next, Vocabulary},
    embedded,
    tokenizer::Tokenizer,
};

use crate::random_model;

/// How a walk came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Complete,
    Length,
}

/// A model's tokens.
pub struct Words {
    pub tokenizer: Arc<Tokenizer>,
    pub vocabulary: Arc<Vocabulary>,
    pub stops: Vec<u32>,
    controls: Vec<u32>,
}

impl Words {
    pub fn default_model() -> Self {
        let model = embedded::model().unwrap();
        Self::new(model.tokenizer.clone(), model.config.vocab_size)
    }

    /// Those of Gemma's size.
    pub fn random_model() -> Self {
        let tokenizer = Arc::new(random_model::tokenizer());
        Self::new(tokenizer, random_model::VOCABULARY)
    }

    fn new(tokenizer: Arc<Tokenizer>, size: usize) -> Self {
        let stops = ["<eos>", "<end_of_turn>", "<start_function_response>"];
        let stops: Vec<u32> = stops
            .iter()
            .map(|t| tokenizer.control(t).unwrap())
            .collect();
        let controls = (0..size as u32)
            .filter(|id| tokenizer.is_control(*id))
            .collect();
        let vocabulary = Vocabulary::new(&tokenizer, &stops, size);
        Self {
            vocabulary: Arc::new(vocabulary),
            tokenizer,
            stops,
            controls,
        }
    }

    pub fn text(&self, tokens: &[u32]) -> String {
        let bytes: Vec<u8> = tokens
            .iter()
            .flat_map(|id| self.tokenizer.bytes(*id).to_vec())
            .collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Lets chance choose, as the decoding loop lets the model: a stop token needs no room. Gives the tokens, the stop
    /// token included.
    pub fn walk(
        &self,
        guide: &mut dyn Guide,
        random: &mut StdRng,
        mut left: usize,
    ) -> (Vec<u32>, End) {
        let mut tokens = Vec::new();
        loop {
            let next = match guide.next(left) {
                Next::End => return (tokens, End::Complete),
                Next::Forced(forced) => forced,
                Next::Choose { .. } if left == 0 => return (tokens, End::Length),
                Next::Choose { candidates, .. } => {
                    let token = self.choose(&candidates, random);
                    guide.push(token);
                    vec![token]
                }
            };
            for token in next {
                if self.stops.contains(&token) {
                    tokens.push(token);
                    return (tokens, End::Complete);
                }
                let Some(less) = left.checked_sub(1) else {
                    return (tokens, End::Length);
                };
                left = less;
                tokens.push(token);
            }
        }
    }

    /// A call of this function as chance writes it, of at most so many tokens.
    pub fn call(&self, grammar: &Grammar, name: &str, seed: u64, most: usize) -> String {
        let constraint = Constraint::new(grammar.clone(), self.vocabulary.clone());
        let mode = Mode::Function(name.to_owned());
        let mut guide = constraint.calls(&mode, Some(1), "").unwrap();
        let (tokens, end) = self.walk(&mut guide, &mut StdRng::seed_from_u64(seed), most);
        assert_eq!(end, End::Complete, "{most} tokens are too few for {name}");
        self.text(&tokens)
    }

    /// Control tokens are chosen more often than by their number, or a text would never end.
    fn choose(&self, candidates: &Candidates, random: &mut StdRng) -> u32 {
        let controls = self.controls.iter().copied();
        let controls: Vec<u32> = controls.filter(|id| candidates.contains(*id)).collect();
        if !controls.is_empty() && random.random_bool(0.25) {
            return controls[random.random_range(0..controls.len())];
        }
        match candidates {
            Candidates::All => panic!("nothing is constrained"),
            Candidates::List(ids) => ids[random.random_range(0..ids.len())],
            Candidates::Mask(bits) => loop {
                let id = random.random_range(0..bits.len() as u32 * 64);
                if candidates.contains(id) {
                    return id;
                }
            },
        }
    }
}

/// Runs `one` for each seed on all processors; gives how many were true.
pub fn count(seeds: u64, one: impl Fn(u64) -> bool + Sync) -> u64 {
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    std::thread::scope(|scope| {
        let parts = (0..threads).map(|part| {
            let one = &one;
            let seeds = (part..seeds).step_by(threads as usize);
            scope.spawn(move || seeds.filter(|seed| one(*seed)).count() as u64)
        });
        let parts: Vec<_> = parts.collect();
        parts.into_iter().map(|part| part.join().unwrap()).sum()
    })
}
