//! What is written does not depend on how it was computed: by how many threads, in which portions, beside what else, and
//! behind a beginning that was kept. Scripts of the scheduler, with their levers, are held to the same in `tests/engine`.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside of the tests' own functions"
)]

use rust_inference::{
    embedded,
    kernels::Weights,
    model::{KvCache, LoadOptions, Model, Span},
};

const ANSWER: usize = 12;

/// The prompts of the default model's references.
fn prompts() -> Vec<Vec<u32>> {
    let lines = include_str!("../testdata/greedy.jsonl").lines();
    let ids = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        serde_json::from_value(line["prompt_ids"].clone()).unwrap()
    };
    lines.map(ids).collect()
}

fn best(logits: &[f32]) -> u32 {
    let places = 0..logits.len() as u32;
    places
        .max_by(|a, b| logits[*a as usize].total_cmp(&logits[*b as usize]))
        .unwrap()
}

/// A greedy answer, and the bits of the logits that each of its tokens was chosen by.
#[derive(Default, PartialEq)]
struct Answer {
    tokens: Vec<u32>,
    bits: Vec<u32>,
}

impl Answer {
    fn push(&mut self, logits: &[f32]) -> u32 {
        self.bits.extend(logits.iter().map(|v| v.to_bits()));
        let next = best(logits);
        self.tokens.push(next);
        next
    }
}

/// The answer to a prompt of which the cache has seen a part; the rest goes in portions.
fn answer(model: &Model, prompt: &[u32], portion: usize, cache: &mut KvCache) -> Answer {
    let last = |hidden: Vec<f32>| hidden[hidden.len() - model.config.hidden_size..].to_vec();
    let mut hidden = Vec::new();
    for part in prompt[cache.len()..].chunks(portion) {
        hidden = last(model.forward(part, cache));
    }
    let mut answer = Answer::default();
    while answer.tokens.len() < ANSWER {
        let next = answer.push(&model.logits(&hidden));
        hidden = last(model.forward(&[next], cache));
    }
    answer
}

/// The answers to all prompts at once, each of which begins when the one before has written two tokens.
fn together(model: &Model, prompts: &[Vec<u32>]) -> Vec<Answer> {
    let width = model.config.hidden_size;
    let mut answers: Vec<Answer> = prompts.iter().map(|_| Answer::default()).collect();
    let mut caches: Vec<KvCache> = prompts.iter().map(|_| KvCache::new(model)).collect();
    let mut waiting = prompts.to_vec();
    let mut pass = 0;
    while answers.iter().any(|answer| answer.tokens.len() < ANSWER) {
        let begun = 1 + pass / 3;
        pass += 1;
        let mut at = Vec::new();
        let mut spans = Vec::new();
        for (i, (tokens, cache)) in waiting.iter().zip(&mut caches).enumerate().take(begun) {
            if answers[i].tokens.len() < ANSWER {
                at.push(i);
                spans.push(Span { tokens, cache });
            }
        }
        let lengths: Vec<usize> = spans.iter().map(|span| span.tokens.len()).collect();
        let hidden = model.forward_batch(&mut spans);
        let mut end = 0;
        for (i, length) in at.into_iter().zip(lengths) {
            end += length * width;
            waiting[i] = vec![answers[i].push(&model.logits(&hidden[end - width..end]))];
        }
    }
    answers
}

#[test]
fn greedy_answers_have_the_same_bits_for_any_threads_portions_neighbours_and_kept_beginnings() {
    let prompts = prompts();
    for weights in [Weights::F32, Weights::Bf16, Weights::Q8, Weights::Q4] {
        let load = |threads| {
            let options = LoadOptions {
                weights,
                threads,
                ..LoadOptions::default()
            };
            Model::load(&embedded::files(), &options).unwrap()
        };
        let first = load(1);
        let expected: Vec<Answer> = prompts
            .iter()
            .map(|prompt| answer(&first, prompt, 1, &mut KvCache::new(&first)))
            .collect();
        for threads in 1..=4 {
            let model = load(threads);
            let case = format!("{weights:?} with {threads} threads");
            for (prompt, expected) in prompts.iter().zip(&expected) {
                for portion in [16, usize::MAX] {
                    let answer = answer(&model, prompt, portion, &mut KvCache::new(&model));
                    assert!(answer == *expected, "{case}, {portion} at a time");
                }
                let mut cache = KvCache::new(&model);
                model.forward(prompt, &mut cache);
                let kept = cache.freeze();
                for len in [40, prompt.len() - 1] {
                    let mut cache = KvCache::resume(&model, &kept, len);
                    assert!(
                        answer(&model, prompt, usize::MAX, &mut cache) == *expected,
                        "{case}, behind {len}"
                    );
                }
            }
            assert!(together(&model, &prompts) == expected, "{case}, together");
        }
    }
}
