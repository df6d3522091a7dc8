//! What makes it faster changes nothing of what is written, and what is written follows the guide.

use rust_inference::{
    constrain::{Candidates, Unguided},
    sampling::SamplingParams,
    scheduler::{Finish, Levers},
};

use crate::script::{Step, all_levers, job, model, run, start, tokens};

/// Forced runs of several lengths, one at the very beginning, and choices of few, of many and of all tokens.
fn script() -> Vec<Step> {
    let some = |from: u32, step: usize| Candidates::List((from..5000).step_by(step).collect());
    vec![
        Step::Force(vec![20, 21, 22]),
        Step::Choose(some(100, 900)),
        Step::Choose(some(1, 2)),
        Step::Force(vec![300]),
        Step::Force(vec![301, 302]),
        Step::Free(30),
        Step::Choose(Candidates::All),
        Step::Force((400..450).collect()),
        Step::Choose(some(7, 2000)),
        Step::Force(vec![9]),
    ]
}

const GREEDY: SamplingParams = SamplingParams {
    temperature: 0.0,
    top_k: 0,
    top_p: 0.0,
    min_p: 0.0,
    seed: None,
};

const DRAWN: SamplingParams = SamplingParams {
    temperature: 1.0,
    top_k: 50,
    top_p: 0.95,
    min_p: 0.01,
    seed: Some(7),
};

#[test]
fn no_lever_changes_what_is_written() {
    let model = model();
    let scheduler = start(&model, 64 << 20);
    let prompt = tokens(
        &model,
        "<bos>Convert 12 km to miles, and then convert 12 km to miles",
    );
    for sampling in [GREEDY, DRAWN] {
        let mut written = all_levers().map(|levers| {
            let mut job = job(prompt.clone(), script());
            (job.levers, job.sampling) = (levers, sampling);
            (levers, run(&scheduler, job))
        });
        let (_, first) = written.next().unwrap();
        assert_eq!(first.finish, Finish::Complete);
        assert_eq!(first.tokens.len(), 3 + 1 + 1 + 1 + 2 + 30 + 1 + 50 + 1 + 1);
        for (levers, other) in written {
            assert_eq!(other.tokens, first.tokens, "{levers:?}");
            assert_eq!(other.finish, first.finish, "{levers:?}");
            let split = |s: rust_inference::scheduler::Stats| (s.forced, s.constrained, s.free);
            assert_eq!(split(other.stats), (57, 4, 30), "{levers:?}");
        }
    }
}

#[test]
fn forced_tokens_and_candidate_rows_save_passes_and_the_head() {
    let model = model();
    let scheduler = start(&model, 64 << 20);
    let vocabulary = model.config.vocab_size as u64;
    let steps = || {
        vec![
            Step::Force(vec![20, 21, 22]),
            Step::Choose(Candidates::List(vec![5, 50, 500])),
            Step::Force(vec![300, 301]),
            Step::Choose(Candidates::List(vec![7, 70])),
            Step::Force(vec![9]),
        ]
    };
    let levers = Levers {
        speculation: false,
        prefix: false,
        ..Levers::default()
    };
    let cost = |levers| {
        let mut job = job(vec![2, 30, 40], steps());
        job.levers = levers;
        let stats = run(&scheduler, job).stats;
        (stats.forward_passes, stats.head_rows)
    };
    // The prompt with the first three, and then the two forced ones with what was chosen before them.
    assert_eq!(cost(levers), (2, 3 + 2));
    let rows = false;
    assert_eq!(cost(Levers { rows, ..levers }), (2, 2 * vocabulary));
    // As a plain engine would: the prompt, and each token but the last by itself.
    let (forced, rows) = (false, false);
    assert_eq!(
        cost(Levers {
            forced,
            rows,
            ..levers
        }),
        (8, 8 * vocabulary)
    );
}

#[test]
fn log_probabilities_are_of_the_whole_vocabulary_for_forced_tokens_too() {
    let model = model();
    let scheduler = start(&model, 64 << 20);
    let prompt = tokens(&model, "<bos>Convert 12 km");
    let plain = run(&scheduler, job(prompt.clone(), script()));
    let mut asked = job(prompt.clone(), script());
    asked.logprobs = Some(3);
    let written = run(&scheduler, asked);
    assert_eq!(written.tokens, plain.tokens);
    assert!(plain.logprobs.iter().all(Option::is_none));
    let mut cache = rust_inference::model::KvCache::new(&model);
    let mut next = prompt;
    for (token, logprob) in written.tokens.iter().zip(&written.logprobs) {
        let hidden = model.forward(&next, &mut cache);
        let logits = model.logits(&hidden[hidden.len() - model.config.hidden_size..]);
        let total: f64 = logits.iter().map(|l| f64::from(*l).exp()).sum();
        let exact = |id: u32| (f64::from(logits[id as usize]) - total.ln()) as f32;
        let logprob = logprob.as_ref().unwrap();
        assert!((logprob.logprob - exact(*token)).abs() < 1e-4);
        assert_eq!(logprob.top.len(), 3);
        let best = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let (first, most) = logprob.top[0];
        assert_eq!(logits[first as usize].to_bits(), best.to_bits());
        assert!((most - exact(first)).abs() < 1e-4);
        next = vec![*token];
    }
}

#[test]
fn wherever_a_long_prompt_is_cut_what_is_forced_behind_it_is_judged_the_same() {
    let model = model();
    let scheduler = start(&model, 0);
    for length in [490, 496, 503, 511, 512, 513] {
        let [together, alone] = [true, false].map(|forced| {
            let mut job = job(vec![30; length], vec![Step::Force((40..70).collect())]);
            (job.levers.forced, job.logprobs) = (forced, Some(1));
            run(&scheduler, job)
        });
        assert_eq!(together.tokens, (40..70).collect::<Vec<u32>>());
        assert_eq!(together.logprobs, alone.logprobs, "{length}");
    }
}

#[test]
fn forced_tokens_count_against_the_limit_and_a_stop_token_does_not() {
    let model = model();
    let scheduler = start(&model, 64 << 20);
    let steps = || {
        vec![
            Step::Force(vec![20, 21, 22]),
            Step::Choose(Candidates::List(vec![6])),
        ]
    };
    for levers in all_levers() {
        let with = |max_tokens, stop_ids: &[u32], steps| {
            let mut job = job(vec![2, 30, 40], steps);
            (job.levers, job.max_tokens, job.stop_ids) = (levers, max_tokens, stop_ids.into());
            let written = run(&scheduler, job);
            (written.tokens, written.finish)
        };
        assert_eq!(with(2, &[], steps()), (vec![20, 21], Finish::Length));
        assert_eq!(with(3, &[], steps()), (vec![20, 21, 22], Finish::Length));
        assert_eq!(
            with(4, &[], steps()),
            (vec![20, 21, 22, 6], Finish::Complete)
        );
        assert_eq!(with(4, &[6], steps()), (vec![20, 21, 22], Finish::Stop(6)));
        // A forced one stops too, with no room left.
        let forced = vec![Step::Force(vec![20, 6])];
        assert_eq!(with(1, &[6], forced), (vec![20], Finish::Stop(6)));
    }
}

#[test]
fn the_end_of_the_context_is_the_end_of_the_answer() {
    let model = model();
    let scheduler = start(&model, 64 << 20);
    for levers in [true, false].map(|speculation| Levers {
        speculation,
        ..Levers::default()
    }) {
        let mut job = job(vec![30; model.config.context - 20], Vec::new());
        (job.guide, job.levers) = (Box::new(Unguided), levers);
        let written = run(&scheduler, job);
        assert_eq!((written.tokens.len(), written.finish), (20, Finish::Length));
    }
}

#[test]
fn what_is_guessed_right_saves_passes_and_what_is_guessed_wrong_changes_nothing() {
    let model = model();
    let scheduler = start(&model, 0);
    let (mut right, mut wrong) = (0, 0);
    for line in include_str!("../../testdata/greedy.jsonl").lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let prompt: Vec<u32> = serde_json::from_value(line["prompt_ids"].clone()).unwrap();
        for temperature in [0.0, 0.7, 2.0] {
            let write = |speculation| {
                let mut job = job(prompt.clone(), Vec::new());
                job.guide = Box::new(Unguided);
                (job.sampling, job.max_tokens, job.logprobs) = (DRAWN, 60, Some(1));
                job.sampling.temperature = temperature;
                job.levers.speculation = speculation;
                run(&scheduler, job)
            };
            let (guessing, plain) = (write(true), write(false));
            assert_eq!(guessing.tokens, plain.tokens);
            // Every bit of what the model computed is the same, behind wrong guesses too.
            assert_eq!(guessing.logprobs, plain.logprobs);
            let (with, without) = (guessing.stats, plain.stats);
            assert_eq!(
                (
                    without.speculated,
                    without.forward_passes - with.forward_passes
                ),
                (0, with.speculated)
            );
            right += with.speculated;
            let rows = (with.head_rows - without.head_rows) / model.config.vocab_size as u64;
            wrong += rows;
        }
    }
    assert!(right > 50 && wrong > 20, "{right} right, {wrong} wrong");
}
