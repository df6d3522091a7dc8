//! What is kept of earlier requests: it spares the computing, changes nothing, and is bounded.

use std::sync::Arc;

use rand::{RngExt, SeedableRng, rngs::StdRng};
use rust_inference::{
    constrain::{Candidates, Guide, Next},
    model::{LoadOptions, Model, ModelFiles},
    scheduler::{Finish, Job},
};
use tokio_util::sync::CancellationToken;

use crate::script::{Step, job, model, run, start, tokens};

const MIB: usize = 1 << 20;

/// Longer than the default model's sliding window.
fn tools(model: &Model) -> Vec<u32> {
    let tools = tokens(
        model,
        &"<bos>set_alarm{hour: the hour, label: what it is for} ".repeat(100),
    );
    assert!(tools.len() > model.config.sliding_window + 100);
    tools
}

/// A question over the tools, answered with a few tokens of which every log probability is told.
fn question(model: &Model, tools: &[u32], text: &str) -> Job {
    let mut job = job([tools, &tokens(model, text)].concat(), vec![Step::Free(5)]);
    (job.shared, job.logprobs) = (tools.len(), Some(2));
    // A guess that was right would be known too.
    job.levers.speculation = false;
    job
}

#[test]
fn a_second_question_over_the_same_tools_computes_only_the_question() {
    let model = model();
    let scheduler = start(&model, 64 * MIB);
    let tools = tools(&model);
    let first = run(&scheduler, question(&model, &tools, "Set an alarm for 7"));
    assert_eq!((first.stats.cached, first.tokens.len()), (0, 5));
    let asked = || question(&model, &tools, " and wake me at 12");
    let second = run(&scheduler, asked());
    assert_eq!(second.stats.cached, tools.len());
    assert_eq!(
        second.stats.forward_passes, 5,
        "the question, and four tokens"
    );
    // The very same logits as computed from the beginning, though the window is crossed.
    let mut plain = asked();
    plain.levers.prefix = false;
    let plain = run(&scheduler, plain);
    assert_eq!(plain.stats.cached, 0);
    assert_eq!(
        (&second.tokens, &second.logprobs),
        (&plain.tokens, &plain.logprobs)
    );
    // Asked again, only its last token is computed.
    let again = run(&scheduler, asked());
    assert_eq!(again.stats.cached, asked().prompt.len() - 1);
    assert_eq!(
        (&again.tokens, &again.logprobs),
        (&plain.tokens, &plain.logprobs)
    );
}

#[test]
fn a_conversation_goes_on_where_it_was() {
    let model = model();
    let scheduler = start(&model, 64 * MIB);
    let mut prompt = tokens(&model, "<bos>How many miles is 12 km?");
    let mut known = 0;
    for _ in 0..4 {
        let mut job = job(prompt.clone(), vec![Step::Free(20)]);
        job.levers.speculation = false;
        let written = run(&scheduler, job);
        assert_eq!(written.stats.cached, known);
        prompt.extend(&written.tokens);
        // The last token has never gone through the model.
        known = prompt.len() - 1;
        prompt.extend(tokens(&model, " and then?"));
    }
}

/// Cancels its own generation when it is asked for the first time.
struct Quitter(CancellationToken);

impl Guide for Quitter {
    fn next(&mut self, _left: usize) -> Next {
        self.0.cancel();
        Next::Choose {
            candidates: Candidates::All.into(),
            free: true,
        }
    }

    fn push(&mut self, _token: u32) {}
}

#[test]
fn the_tools_are_kept_though_the_question_is_cancelled() {
    let model = model();
    let scheduler = start(&model, 64 * MIB);
    let tools = tools(&model);
    let asked = || question(&model, &tools, "Set an alarm for 7");
    let nothing = asked();
    nothing.cancelled.cancel();
    assert_eq!(run(&scheduler, nothing).finish, Finish::Cancelled);
    assert_eq!(scheduler.prefixes(), (0, 0));
    let mut quitter = asked();
    quitter.guide = Box::new(Quitter(quitter.cancelled.clone()));
    assert_eq!(run(&scheduler, quitter).finish, Finish::Cancelled);
    assert_eq!(scheduler.prefixes().1, 1);
    assert_eq!(run(&scheduler, asked()).stats.cached, tools.len());
}

#[test]
fn what_a_panic_leaves_behind_is_whole() {
    let model = model();
    let scheduler = start(&model, 64 * MIB);
    let tools = tools(&model);
    let asked = || question(&model, &tools, "Set an alarm for 7");
    let beyond = model.config.vocab_size as u32;
    let broken = |at: usize| {
        let mut job = asked();
        job.prompt[at] = beyond;
        let (events, mut received) = tokio::sync::mpsc::unbounded_channel();
        job.events = events;
        let _place = scheduler.submit(job).unwrap();
        assert_eq!(received.blocking_recv(), None, "it panicked");
    };
    broken(tools.len() - 3);
    let mut plain = asked();
    plain.levers.prefix = false;
    let plain = run(&scheduler, plain);
    assert_eq!(scheduler.prefixes(), (0, 0));
    broken(tools.len() + 3);
    let after = run(&scheduler, asked());
    assert_eq!(after.stats.cached, tools.len());
    assert_eq!(
        (after.tokens, after.logprobs),
        (plain.tokens, plain.logprobs)
    );
}

#[test]
fn what_is_kept_is_bounded_and_who_was_not_needed_for_longest_goes_first() {
    let model = model();
    let limit = MIB;
    let scheduler = start(&model, limit);
    let sequence = |i: u32| job(vec![50 + i; 100], vec![Step::Free(1)]);
    let cached = |i| {
        let cached = run(&scheduler, sequence(i)).stats.cached;
        let (bytes, entries) = scheduler.prefixes();
        assert!(bytes <= limit && entries <= 6, "{bytes} in {entries}");
        cached
    };
    // Each has 100 × 6 layers × 2 × 64 numbers of two bytes, about 150 kB: there is room for six.
    for i in 0..6 {
        assert_eq!(cached(i), 0);
    }
    assert_eq!(scheduler.prefixes().1, 6);
    assert_eq!(cached(0), 99);
    assert_eq!(cached(6), 0);
    assert_eq!(cached(0), 99, "used lately");
    assert_eq!(cached(1), 0, "not used for longest");
    // What would not fit at all drives nobody out.
    let large = job(vec![40; 1000], vec![Step::Free(1)]);
    assert_eq!(run(&scheduler, large).stats.cached, 0);
    assert_eq!(cached(0), 99);
}

#[test]
fn what_several_have_in_common_is_held_once() {
    let model = model();
    let scheduler = start(&model, 64 * MIB);
    let tools = tools(&model);
    let position = 2 * model.config.layers.len() * model.config.head_dim * size_of::<u16>();
    for question in ["Set an alarm for 7", "Wake me at 12", "Ring at 9"] {
        run(&scheduler, self::question(&model, &tools, question));
    }
    let (bytes, entries) = scheduler.prefixes();
    assert_eq!(entries, 4);
    assert!((tools.len()..tools.len() + 100).contains(&(bytes / position)));
}

#[test]
fn of_no_room_nothing_is_made() {
    let model = model();
    let scheduler = start(&model, 0);
    for _ in 0..2 {
        let written = run(&scheduler, question(&model, &[2, 30, 40], "Set an alarm"));
        assert_eq!(written.stats.cached, 0);
        assert_eq!(scheduler.prefixes(), (0, 0));
    }
}

#[test]
fn whatever_was_asked_before_the_answer_is_the_same() {
    let checkpoint = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/one-kv-head");
    let files = ModelFiles::open(std::path::Path::new(checkpoint)).unwrap();
    let model = Arc::new(Model::load(&files, &LoadOptions::default()).unwrap());
    let limit = 96 << 10;
    let scheduler = start(&model, limit);
    let mut random = StdRng::seed_from_u64(5);
    let (mut cached, mut fullest, mut last) = (0, 0, Vec::new());
    for _ in 0..300 {
        // Prompts of few tokens, so that they begin alike by chance, and some that go on where another was.
        let alike: usize = random.random_range(0..=last.len());
        let mut prompt: Vec<u32> = last[..alike].to_vec();
        prompt.extend((0..random.random_range(1..40)).map(|_| random.random_range(3..6u32)));
        prompt.truncate(model.config.context - 10);
        let shared = random.random_range(0..=prompt.len());
        let ask = |prefix| {
            let mut job = job(prompt.clone(), vec![Step::Force(vec![7, 8]), Step::Free(6)]);
            (job.shared, job.logprobs, job.levers.prefix) = (shared, Some(1), prefix);
            run(&scheduler, job)
        };
        let (known, plain) = (ask(true), ask(false));
        assert_eq!(
            (known.tokens, &known.logprobs),
            (plain.tokens.clone(), &plain.logprobs)
        );
        cached += known.stats.cached;
        let (bytes, _) = scheduler.prefixes();
        assert!(bytes <= limit, "{bytes}");
        fullest = fullest.max(bytes);
        last = [prompt, plain.tokens].concat();
    }
    assert!(cached > 3000 && fullest > limit / 2, "{cached} {fullest}");
}
