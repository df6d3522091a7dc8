//! Whatever the model prefers, what comes out is valid: random schemas, random choices.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

mod common;

use std::sync::Arc;

use common::walks::{self, End};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use rust_inference::{
    constrain::{ArgumentOrder, Constraint, Grammar, Mode, Options, Vocabulary},
    embedded,
    functiongemma::{Conversation, Toolbox, parse},
    tokenizer::Tokenizer,
};
use serde_json::{Value, json};

/// Random generations, each of random tools.
const GENERATIONS: u64 = 10_000;

struct Bench {
    tokenizer: Arc<Tokenizer>,
    vocabulary: Arc<Vocabulary>,
    stops: Vec<u32>,
}

impl Bench {
    fn default_model() -> Self {
        let model = embedded::model().unwrap();
        Self::new(model.tokenizer.clone(), model.config.vocab_size)
    }

    fn new(tokenizer: Arc<Tokenizer>, size: usize) -> Self {
        let stops = ["<eos>", "<end_of_turn>", "<start_function_response>"];
        let stops: Vec<u32> = stops
            .iter()
            .map(|t| tokenizer.control(t).unwrap())
            .collect();
        let vocabulary = Vocabulary::new(&tokenizer, &stops, size);
        Self {
            vocabulary: Arc::new(vocabulary),
            tokenizer,
            stops,
        }
    }

    fn text(&self, tokens: &[u32]) -> String {
        let bytes: Vec<u8> = tokens
            .iter()
            .flat_map(|id| self.tokenizer.bytes(*id).to_vec())
            .collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn walk(
        &self,
        guide: &mut dyn rust_inference::constrain::Guide,
        random: &mut StdRng,
        left: usize,
    ) -> (String, Vec<u32>, End) {
        let control = |id| self.tokenizer.is_control(id);
        let (tokens, end) =
            walks::walk(guide, random, left, control, |id| self.stops.contains(&id));
        (self.text(&tokens), tokens, end)
    }
}

fn conversation(tools: &[Value]) -> Conversation {
    Conversation::from_json(&json!({"messages": [], "tools": tools}).to_string()).unwrap()
}

/// One generation of random tools; gives whether it ended in complete calls.
fn generate(bench: &Bench, seed: u64) -> bool {
    let random = &mut StdRng::seed_from_u64(seed);
    let names = ["one", "one_more", "two.three", "vier-fünf"];
    let tools: Vec<Value> = (names.iter().take(random.random_range(1..=4)))
        .map(|name| walks::tool(random, name))
        .collect();
    let conversation = conversation(&tools);
    let order = [
        ArgumentOrder::Sorted,
        ArgumentOrder::Declared,
        ArgumentOrder::Any,
    ][random.random_range(0..3usize)];
    let options = Options {
        order,
        lenient: false,
    };
    let grammar = match Grammar::of_tools(&conversation.tools, &options) {
        Ok(grammar) => grammar,
        Err(notes) => panic!("seed {seed}: {notes:?}\n{}", json!(tools)),
    };
    let constraint = Constraint::new(grammar, bench.vocabulary.clone());
    let most = random.random_range(1..4);
    let mut guide = constraint.calls(&Mode::Required, Some(most), "").unwrap();
    let left = random.random_range(1..400);
    let (text, _, end) = bench.walk(&mut guide, random, left);
    if end == End::Length {
        return false;
    }
    let toolbox = Arc::new(Toolbox::new(&conversation.tools).unwrap());
    let (content, calls) = parse(toolbox, &text)
        .unwrap_or_else(|error| panic!("seed {seed}: {error}\n{text}\n{}", json!(tools)));
    assert!(
        content.is_empty() && !calls.is_empty() && calls.len() <= most,
        "seed {seed}: {text}"
    );
    true
}

/// Runs `one` for each seed on all processors; gives how many were true.
fn count(seeds: u64, one: impl Fn(u64) -> bool + Sync) -> u64 {
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

#[test]
fn ten_thousand_random_generations_are_valid() {
    let bench = Bench::default_model();
    let complete = count(GENERATIONS, |seed| generate(&bench, seed));
    assert!(complete > GENERATIONS / 2, "{complete}");
}
