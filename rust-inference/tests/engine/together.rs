//! Many at once: what each gets is what he would get alone, nobody waits for a longer one's end, and memory is bounded.

use std::sync::{Arc, mpsc::Sender};

use rust_inference::{
    constrain::{Candidates, Guide, Next, Unguided},
    model::Model,
    sampling::SamplingParams,
    scheduler::{Capacity, Event, Finish, Job, Place, Refused, Scheduler},
};
use tokio::sync::mpsc::{UnboundedReceiver, error::TryRecvError, unbounded_channel};

use crate::script::{Script, Step, all_levers, job, model, run, start, submit, tokens, wait};

/// Keeps the model's thread until it is told to go on, so that those who come meanwhile come at once.
struct Gate {
    reached: Sender<()>,
    closed: std::sync::mpsc::Receiver<()>,
}

impl Guide for Gate {
    fn next(&mut self, _left: usize) -> Next {
        let _nobody_listens = self.reached.send(());
        let _opened = self.closed.recv();
        Next::End
    }

    fn push(&mut self, _token: u32) {}
}

/// Held until it is dropped. The model's thread is there already: it lets in nobody who comes from now on, not even
/// the first of them alone.
fn gate(scheduler: &Scheduler) -> (Sender<()>, Place, UnboundedReceiver<Event>) {
    let (open, closed) = std::sync::mpsc::channel();
    let mut job = job(vec![2], Vec::new());
    let (reached, there) = std::sync::mpsc::channel();
    (job.guide, job.max_tokens) = (Box::new(Gate { reached, closed }), 1);
    let (place, received) = submit(scheduler, job);
    there.recv().unwrap();
    (open, place, received)
}

/// A scheduler that has room for so much.
fn with_room(model: &Arc<Model>, parallel: usize, queue: usize, kv_bytes: usize) -> Scheduler {
    let capacity = Capacity {
        parallel,
        queue,
        kv_bytes,
        prefix_bytes: 0,
    };
    Scheduler::start(model.clone(), capacity).unwrap()
}

fn until(what: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_mins(1);
    while !what() {
        assert!(std::time::Instant::now() < deadline, "it never comes");
        std::thread::yield_now();
    }
}

/// Prompts of very different lengths, some with a beginning in common; guides of every kind; greedy and drawn.
fn mixture(model: &Model) -> Vec<Job> {
    let tools = tokens(model, &"<bos>set_alarm{hour: the hour} ".repeat(12));
    let some = |from: u32, step: usize| Candidates::List((from..5000).step_by(step).collect());
    let texts = [
        "How many miles is 12 km?",
        "Wake me at 12",
        "word word word ",
        "7",
    ];
    (all_levers().cycle().take(24).enumerate())
        .map(|(i, levers)| {
            let text = tokens(model, &texts[i % 4].repeat(1 + i * i % 11));
            let script = vec![
                Step::Force((20..20 + i as u32).collect()),
                Step::Choose(some(i as u32, 300)),
                Step::Free(5 + i / 2),
                Step::Choose(Candidates::All),
                Step::Force((400..400 + 2 * i as u32).collect()),
                Step::Choose(some(7, 1 + i % 3)),
                Step::Free(10),
            ];
            let shared = i % 3 == 0;
            let prompt = if shared {
                [&tools[..], &text].concat()
            } else {
                text
            };
            let mut job = job(prompt, script);
            job.shared = if shared { tools.len() } else { 0 };
            job.levers = levers;
            job.logprobs = (i % 5 == 0).then_some(2);
            if i % 2 == 1 {
                job.sampling = SamplingParams {
                    temperature: 0.9,
                    top_k: 40,
                    top_p: 0.95,
                    min_p: 0.001,
                    seed: Some(i as u64),
                };
            }
            if i % 4 == 3 {
                (job.guide, job.max_tokens) = (Box::new(Unguided), 30);
            }
            job
        })
        .collect()
}

#[test]
fn what_is_written_together_is_what_is_written_alone() {
    let model = model();
    let alone = start(&model, 0);
    let alone: Vec<_> = mixture(&model)
        .into_iter()
        .map(|job| run(&alone, job))
        .collect();
    for parallel in [3, 24] {
        let capacity = Capacity {
            parallel,
            queue: 64,
            kv_bytes: 64 << 20,
            prefix_bytes: 8 << 20,
        };
        let scheduler = Scheduler::start(model.clone(), capacity).unwrap();
        let gate = gate(&scheduler);
        let waiting: Vec<_> = (mixture(&model).into_iter())
            .map(|job| submit(&scheduler, job))
            .collect();
        drop(gate);
        for (i, ((_place, received), alone)) in waiting.into_iter().zip(&alone).enumerate() {
            let written = wait(received);
            assert_eq!(written.tokens, alone.tokens, "{i} of {parallel}");
            assert_eq!(written.logprobs, alone.logprobs, "{i} of {parallel}");
            assert_eq!(written.finish, alone.finish, "{i} of {parallel}");
            let kinds = |s: rust_inference::scheduler::Stats| (s.forced, s.constrained, s.free);
            assert_eq!(kinds(written.stats), kinds(alone.stats));
        }
        until(|| scheduler.running() == 0);
        assert_eq!(scheduler.kv_bytes(), 0);
    }
}

/// Jobs whose events come through one channel: in it is their order.
struct Order {
    events: tokio::sync::mpsc::UnboundedSender<Event>,
    received: UnboundedReceiver<Event>,
}

impl Order {
    fn new() -> Self {
        let (events, received) = unbounded_channel();
        Self { events, received }
    }

    /// Behind a prompt of so many tokens writes `token` so many times.
    fn job(&self, prompt: usize, token: u32, times: usize) -> Job {
        let script = vec![Step::Choose(Candidates::List(vec![token])); times];
        let mut job = job(vec![30; prompt], script);
        (job.levers.speculation, job.events) = (false, self.events.clone());
        job
    }

    /// What was written, in its order, when so many have ended.
    fn written(mut self, jobs: usize) -> Vec<u32> {
        let (mut written, mut ended) = (Vec::new(), 0);
        while ended < jobs {
            match self.received.blocking_recv().unwrap() {
                Event::Token { id, .. } => written.push(id),
                Event::Finished(finish, _) => {
                    assert_eq!(finish, Finish::Complete);
                    ended += 1;
                }
            }
        }
        written
    }
}

#[test]
fn a_short_request_does_not_wait_for_a_long_prompt() {
    let model = model();
    let scheduler = start(&model, 0);
    let order = Order::new();
    let gate = gate(&scheduler);
    let long = 2000;
    let _places = [
        order.job(long, 7, 1),
        order.job(20, 8, 3),
        order.job(300, 9, 3),
    ]
    .map(|job| scheduler.submit(job).unwrap());
    drop(gate);
    assert_eq!(order.written(3), [8, 8, 8, 9, 9, 9, 7]);
}

#[test]
fn who_writes_goes_on_while_a_long_prompt_is_read() {
    let model = model();
    let scheduler = start(&model, 0);
    let order = Order::new();
    let gate = gate(&scheduler);
    let _places =
        [order.job(20, 8, 40), order.job(1500, 7, 1)].map(|job| scheduler.submit(job).unwrap());
    drop(gate);
    let written = order.written(2);
    let before = written.iter().position(|token| *token == 7).unwrap();
    assert!((10..40).contains(&before), "{before} tokens");
}

#[test]
fn who_writes_long_keeps_nobody_waiting_and_who_came_first_goes_first() {
    let model = model();
    let scheduler = with_room(&model, 2, 20, 64 << 20);
    let order = Order::new();
    let gate = gate(&scheduler);
    let mut places = vec![scheduler.submit(order.job(20, 9, 400)).unwrap()];
    for short in 10..20 {
        places.push(scheduler.submit(order.job(20, short, 3)).unwrap());
    }
    drop(gate);
    let mut written = order.written(11);
    assert_eq!(written.pop(), Some(9));
    written.retain(|token| *token != 9);
    let expected: Vec<u32> = (10..20).flat_map(|token| [token; 3]).collect();
    assert_eq!(written, expected);
}

#[test]
fn who_does_not_fit_into_memory_waits_and_what_never_fits_is_refused() {
    let model = model();
    let order = Order::new();
    let needed = |tokens: usize| {
        let nothing = with_room(&model, 1, 1, 0);
        let mut job = order.job(tokens, 7, 1);
        job.max_tokens = 10;
        match nothing.submit(job).unwrap_err() {
            Refused::TooLarge { needed, limit: 0 } => needed,
            other => panic!("{other}"),
        }
    };
    // As sparing as f16 and the sliding layers' windows allow.
    let c = &model.config;
    let position = 2 * c.layers.len() * c.kv_heads * c.head_dim * 2;
    assert!(needed(1000) > 1000 * position && needed(1000) < 1300 * position);
    assert!(needed(3000) < 3000 * position);
    // Room for two of the short ones, or a long one.
    let limit = needed(600).max(2 * needed(200));
    let scheduler = with_room(&model, 8, 8, limit);
    assert!(matches!(
        scheduler.submit(order.job(2000, 7, 1)),
        Err(Refused::TooLarge { .. })
    ));
    let gate = gate(&scheduler);
    let mut places = Vec::new();
    for (length, token) in [(200, 1), (600, 2), (200, 3), (200, 4), (600, 5)] {
        let mut job = order.job(length, token, 4);
        job.max_tokens = 10;
        places.push(scheduler.submit(job).unwrap());
    }
    drop(gate);
    until(|| {
        assert!(scheduler.kv_bytes() <= limit);
        scheduler.running() + scheduler.waiting() == 0
    });
    assert_eq!(scheduler.kv_bytes(), 0, "all is given back");
    // Nobody overtakes a long one, and two short ones go together.
    let mut written = order.written(5);
    assert_eq!(written[..8], [1, 1, 1, 1, 2, 2, 2, 2]);
    // In each pass either of the two may be the first.
    for pass in written[8..16].chunks_exact_mut(2) {
        pass.sort_unstable();
        assert_eq!(pass, [3, 4]);
    }
    assert_eq!(written[16..], [5, 5, 5, 5]);
}

#[test]
fn a_full_queue_refuses_and_is_free_again() {
    let model = model();
    let scheduler = with_room(&model, 2, 3, 64 << 20);
    let order = Order::new();
    let gate = gate(&scheduler);
    until(|| scheduler.running() == 1);
    let mut places: Vec<_> = (0..4)
        .map(|_| scheduler.submit(order.job(20, 7, 1)).unwrap())
        .collect();
    let refused = scheduler.submit(order.job(20, 7, 1)).unwrap_err();
    assert_eq!(refused, Refused::Full { waiting: 4 });
    drop(places.pop());
    places.push(scheduler.submit(order.job(20, 8, 1)).unwrap());
    drop(gate);
    let mut written = order.written(4);
    // The last two are at work at the same time.
    written[2..].sort_unstable();
    assert_eq!(written, [7, 7, 7, 8]);
}

#[test]
fn who_is_gone_frees_his_place_and_memory_in_every_phase() {
    let model = model();
    let long = || job(vec![30; 1200], vec![Step::Free(500)]);
    // In the prompt, and in the answer.
    for tokens in [0, 3] {
        for hang_up in [true, false] {
            let scheduler = start(&model, 0);
            let asked = long();
            let cancelled = asked.cancelled.clone();
            let (_place, mut received) = submit(&scheduler, asked);
            until(|| scheduler.kv_bytes() > 0);
            for _ in 0..tokens {
                received.blocking_recv().unwrap();
            }
            if hang_up {
                drop(received);
            } else {
                cancelled.cancel();
                let written = wait(received);
                assert_eq!(written.finish, Finish::Cancelled);
                assert!(written.tokens.len() < 500);
            }
            until(|| scheduler.running() == 0);
            assert_eq!(scheduler.kv_bytes(), 0);
        }
    }
    // While it waits for memory.
    let scheduler = start(&model, 0);
    let gate = gate(&scheduler);
    let (place, received) = submit(&scheduler, long());
    let behind = submit(&scheduler, job(vec![2, 30], vec![Step::Free(2)]));
    drop((place, received));
    drop(gate);
    assert_eq!(wait(behind.1).tokens.len(), 2);
}

#[test]
fn tools_that_come_twice_at_once_are_computed_once() {
    let model = model();
    let tools = tokens(&model, &"<bos>set_alarm{hour: the hour} ".repeat(30));
    // Also where nothing is kept of earlier requests.
    for prefix_bytes in [0, 64 << 20] {
        let scheduler = start(&model, prefix_bytes);
        let asked = |text: &str, prefix| {
            let mut job = job(
                [&tools[..], &tokens(&model, text)].concat(),
                vec![Step::Free(5)],
            );
            (job.shared, job.levers.prefix, job.logprobs) = (tools.len(), prefix, Some(1));
            job
        };
        let texts = ["Set an alarm for 7", "Wake me at 12", "Ring at 9"];
        let alone = texts.map(|text| run(&scheduler, asked(text, false)));
        let gate = gate(&scheduler);
        let together = texts.map(|text| submit(&scheduler, asked(text, true)));
        drop(gate);
        let together = together.map(|(_place, received)| wait(received));
        let cached = [0, 1, 2].map(|i| together[i].stats.cached);
        assert_eq!(cached, [0, tools.len(), tools.len()]);
        for (together, alone) in together.iter().zip(&alone) {
            assert_eq!(together.tokens, alone.tokens);
            assert_eq!(together.logprobs, alone.logprobs);
        }
        until(|| scheduler.running() == 0);
        assert_eq!(scheduler.kv_bytes(), 0);
    }
}

#[test]
fn who_waits_for_anothers_beginning_computes_it_if_that_one_is_gone() {
    let model = model();
    let tools = tokens(&model, &"<bos>set_alarm{hour: the hour} ".repeat(30));
    let scheduler = start(&model, 0);
    let asked = || {
        let mut job = job([&tools[..], &[40]].concat(), vec![Step::Free(5)]);
        job.shared = tools.len();
        job
    };
    let gate = gate(&scheduler);
    let (first, second) = (asked(), asked());
    let cancelled = first.cancelled.clone();
    let [_first, second] = [first, second].map(|job| submit(&scheduler, job));
    cancelled.cancel();
    drop(gate);
    assert_eq!(wait(second.1).tokens.len(), 5);
}

/// A guide that panics at its third question.
struct Broken(Script, usize);

impl Guide for Broken {
    fn next(&mut self, left: usize) -> Next {
        self.1 += 1;
        assert!(self.1 < 3, "as the test wants it");
        self.0.next(left)
    }

    fn push(&mut self, token: u32) {
        self.0.push(token);
    }
}

#[test]
fn a_guide_that_panics_ends_its_own_request_only() {
    let model = model();
    let scheduler = start(&model, 64 << 20);
    let script = || vec![Step::Free(20)];
    let alone = run(&scheduler, job(vec![2, 30, 40], script()));
    let gate = gate(&scheduler);
    let mut broken = job(vec![2, 50], Vec::new());
    broken.guide = Box::new(Broken(Script(script()), 0));
    let (_broken, mut received) = submit(&scheduler, broken);
    let (_good, good) = submit(&scheduler, job(vec![2, 30, 40], script()));
    drop(gate);
    assert_eq!(wait(good).tokens, alone.tokens);
    let mut written = 0;
    while let Ok(Event::Token { .. }) = received.try_recv() {
        written += 1;
    }
    assert_eq!(written, 2);
    assert_eq!(received.try_recv(), Err(TryRecvError::Disconnected));
    until(|| scheduler.running() == 0);
    assert_eq!(scheduler.kv_bytes(), 0);
}

#[test]
fn a_pass_that_panics_ends_those_in_it_and_costs_no_other_the_model() {
    let model = model();
    let scheduler = start(&model, 64 << 20);
    let gate = gate(&scheduler);
    let beyond = model.config.vocab_size as u32;
    let [broken, beside] = [beyond, 30].map(|token| {
        let mut asked = job(vec![2, token], vec![Step::Free(20)]);
        asked.levers.speculation = false;
        submit(&scheduler, asked)
    });
    drop(gate);
    for (_place, mut received) in [broken, beside] {
        assert_eq!(received.blocking_recv(), None);
    }
    until(|| scheduler.running() == 0);
    let after = run(&scheduler, job(vec![2, 30], vec![Step::Free(20)]));
    assert_eq!(after.tokens.len(), 20);
    assert_eq!(scheduler.kv_bytes(), 0);
}
