//! What smaller weights cost: the probabilities that the default model gives, against those of f32, at every position
//! of prompts over two hundred everyday sentences and of the answers that f32 writes to them.
//!
//! The table that it prints is the one of bench/README.md: `cargo test --test fidelity -- --nocapture`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside of the tests' own functions"
)]

use rust_inference::{
    embedded,
    functiongemma::{Conversation, Prompt, render},
    kernels::Weights,
    model::{Frozen, KvCache, LoadOptions, Model},
    tokenizer::Piece,
};
use serde_json::{Value, json};

/// An answer is followed so far.
const ANSWER: usize = 48;

fn model(weights: Weights) -> Model {
    let options = LoadOptions {
        weights,
        threads: 2,
        ..LoadOptions::default()
    };
    Model::load(&embedded::files(), &options).unwrap()
}

/// What is said to one set of tools.
struct Group {
    /// What all prompts of the group begin with.
    beginning: Vec<u32>,
    texts: Vec<Text>,
}

/// The tokens behind the beginning: the rest of the prompt, and the answer.
struct Text {
    tokens: Vec<u32>,
    prompt: usize,
}

/// The beginning's logits, and a cache to go on from.
struct Begun<'a> {
    model: &'a Model,
    logits: Vec<f32>,
    frozen: Frozen,
}

impl<'a> Begun<'a> {
    fn new(model: &'a Model, beginning: &[u32]) -> Self {
        let mut cache = KvCache::new(model);
        let logits = model.logits(&model.forward(beginning, &mut cache));
        let frozen = cache.freeze();
        Self {
            model,
            logits,
            frozen,
        }
    }

    fn cache(&self) -> KvCache {
        KvCache::resume(self.model, &self.frozen, usize::MAX)
    }

    /// The logits of all tokens of a text.
    fn of(&self, text: &Text) -> Vec<f32> {
        self.model
            .logits(&self.model.forward(&text.tokens, &mut self.cache()))
    }
}

fn groups(exact: &Model) -> Vec<Group> {
    let groups: Vec<Value> =
        serde_json::from_str(include_str!("../testdata/utterances.json")).unwrap();
    groups.iter().map(|group| told(exact, group)).collect()
}

fn told(exact: &Model, group: &Value) -> Group {
    let prompts: Vec<Prompt> = (group["sentences"].as_array().unwrap().iter())
        .map(|sentence| {
            let user = json!([{"role": "user", "content": sentence}]);
            let asked = json!({"messages": user, "tools": group["tools"]});
            render(&Conversation::from_json(&asked.to_string()).unwrap()).unwrap()
        })
        .collect();
    let encode = |pieces: &[Piece<'_>]| exact.tokenizer.encode(pieces).unwrap();
    let first = prompts.first().unwrap();
    let beginning = encode(first.pieces().get(..first.shared()).unwrap());
    let begun = Begun::new(exact, &beginning);
    let texts = prompts
        .iter()
        .map(|prompt| {
            answered(
                &begun,
                encode(prompt.pieces().get(prompt.shared()..).unwrap()),
            )
        })
        .collect();
    Group { beginning, texts }
}

/// A prompt, and what f32 writes behind it.
fn answered(begun: &Begun<'_>, prompt: Vec<u32>) -> Text {
    let Begun { model, .. } = begun;
    let mut cache = begun.cache();
    let mut text = Text {
        prompt: prompt.len(),
        tokens: prompt,
    };
    let mut seen = 0;
    while text.tokens.len() < text.prompt + ANSWER {
        let hidden = model.forward(&text.tokens[seen..], &mut cache);
        seen = text.tokens.len();
        let last = &hidden[hidden.len() - model.config.hidden_size..];
        let next = best(&model.logits(last));
        if model.config.eos.contains(&next) {
            break;
        }
        text.tokens.push(next);
    }
    text
}

fn best(logits: &[f32]) -> u32 {
    let places = 0..logits.len() as u32;
    places
        .max_by(|a, b| logits[*a as usize].total_cmp(&logits[*b as usize]))
        .unwrap()
}

fn probabilities(logits: &[f32]) -> Vec<f64> {
    let most = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let exps = logits.iter().map(|l| (f64::from(*l) - most).exp());
    let total: f64 = exps.clone().sum();
    exps.map(|e| e / total).collect()
}

/// Differences of some positions.
#[derive(Default)]
struct Differences {
    /// Kullback-Leibler divergence of each position, in nats.
    divergences: Vec<f64>,
    /// Positions whose most probable token is the same.
    agreed: usize,
}

impl Differences {
    fn add(&mut self, exact: &[f32], other: &[f32]) -> bool {
        let (p, q) = (probabilities(exact), probabilities(other));
        let terms = (p.iter().zip(&q))
            .filter(|(p, _)| **p > 0.0)
            .map(|(p, q)| p * (p / q).ln());
        self.divergences.push(terms.sum());
        let same = best(exact) == best(other);
        self.agreed += usize::from(same);
        same
    }

    fn mean(&self) -> f64 {
        self.divergences.iter().sum::<f64>() / self.divergences.len() as f64
    }

    fn most(&self) -> f64 {
        self.divergences.iter().copied().fold(0.0, f64::max)
    }

    fn agreement(&self) -> f64 {
        100.0 * self.agreed as f64 / self.divergences.len() as f64
    }
}

/// All that one kind of weights differs in.
#[derive(Default)]
struct Cost {
    read: Differences,
    written: Differences,
    same_answers: usize,
    answers: usize,
}

impl Cost {
    fn of(exact: &Model, other: &Model, groups: &[Group]) -> Self {
        let mut cost = Self::default();
        let width = exact.config.vocab_size;
        for group in groups {
            let [exact, other] = [exact, other].map(|model| Begun::new(model, &group.beginning));
            let begun = exact.logits.chunks(width).zip(other.logits.chunks(width));
            for (exact, other) in begun {
                cost.read.add(exact, other);
            }
            for text in &group.texts {
                let (exact, other) = (exact.of(text), other.of(text));
                let mut same = true;
                let rows = exact.chunks(width).zip(other.chunks(width));
                for (place, (exact, other)) in rows.enumerate() {
                    if place + 1 < text.prompt {
                        cost.read.add(exact, other);
                    } else {
                        same &= cost.written.add(exact, other);
                    }
                }
                cost.same_answers += usize::from(same);
                cost.answers += 1;
            }
        }
        cost
    }

    fn row(&self, name: &str) -> String {
        let cells = [&self.read, &self.written].map(|of| {
            let (mean, most, agreement) = (of.mean(), of.most(), of.agreement());
            format!("{mean:.1e} | {most:.1e} | {agreement:.2} %")
        });
        let [read, written] = cells;
        format!(
            "| {name} | {read} | {written} | {} of {} |",
            self.same_answers, self.answers
        )
    }
}

#[test]
fn smaller_weights_cost_little() {
    let exact = model(Weights::F32);
    let groups = groups(&exact);
    let mut rows = Vec::new();
    // About twice what was measured.
    for (name, weights, read, written) in [
        (
            "bf16",
            Weights::Bf16,
            (1e-6, 1e-4, 99.9),
            (1e-6, 1e-4, 99.9),
        ),
        ("q8", Weights::Q8, (6e-4, 0.03, 99.0), (1e-4, 0.03, 99.8)),
        ("q4", Weights::Q4, (0.05, 1.0, 92.0), (0.009, 2.4, 98.5)),
    ] {
        let cost = Cost::of(&exact, &model(weights), &groups);
        for (of, (mean, most, agreement)) in [(&cost.read, read), (&cost.written, written)] {
            assert!(of.divergences.len() > 2000);
            assert!(
                of.mean() < mean && of.most() < most && of.agreement() > agreement,
                "{}",
                cost.row(name)
            );
        }
        rows.push(cost.row(name));
    }
    println!(
        "| weights | mean KL, read | largest | same top token | mean KL, written | largest | same top token | same answers |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for row in rows {
        println!("{row}");
    }
}
