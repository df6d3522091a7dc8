//! The engine under a real guide: what comes out is a call, the same with every lever, and cheap.

use std::sync::Arc;

use rust_inference::{
    constrain::{Constraint, Grammar, Mode, Options, Vocabulary},
    functiongemma::{Conversation, render},
    model::Model,
    sampling::SamplingParams,
    scheduler::{Finish, Job, Levers},
};

use crate::script::{all_levers, job, model, run, start};

const CHAT: &str = r#"{
    "messages": [{"role": "user", "content": "Remind me to call Anna Lindqvist about the garden party at noon"}],
    "tools": [
        {"name": "set_reminder", "description": "Set a reminder", "parameters": {"type": "object",
            "properties": {
                "text": {"type": "string", "description": "What to remind of", "maxLength": 60},
                "priority": {"type": "string", "enum": ["low", "normal", "high"]},
                "repeat": {"type": "integer", "minimum": 0, "maximum": 12}},
            "required": ["text", "priority", "repeat"]}},
        {"name": "set_alarm", "description": "Set an alarm", "parameters": {"type": "object",
            "properties": {"hour": {"type": "integer"}, "label": {"type": "string", "maxLength": 40}}, "required": ["hour"]}}]}"#;

/// Asks for one call, behind the same prompt each time.
struct Asker {
    model: Arc<Model>,
    prompt: Vec<u32>,
    constraint: Constraint,
}

impl Asker {
    fn new() -> Self {
        let model = model();
        let conversation = Conversation::from_json(CHAT).unwrap();
        let prompt = render(&conversation).unwrap();
        let grammar = Grammar::of_tools(&conversation.tools, &Options::default()).unwrap();
        let vocabulary =
            Vocabulary::new(&model.tokenizer, &model.config.eos, model.config.vocab_size);
        Self {
            prompt: model.tokenizer.encode(&prompt.pieces()).unwrap(),
            constraint: Constraint::new(grammar, Arc::new(vocabulary)),
            model,
        }
    }

    fn job(&self, sampling: SamplingParams, levers: Levers) -> Job {
        let mut job = job(self.prompt.clone(), Vec::new());
        let steering = self.constraint.calls(&Mode::Required, Some(1), "\n");
        (job.guide, job.shared) = (Box::new(steering.unwrap()), self.prompt.len() - 30);
        (job.sampling, job.levers, job.max_tokens) = (sampling, levers, 100);
        job.stop_ids = (self.model.tokenizer)
            .control("<start_function_response>")
            .into_iter()
            .collect();
        job
    }

    fn text(&self, tokens: &[u32]) -> String {
        let bytes = tokens.iter().flat_map(|id| self.model.tokenizer.bytes(*id));
        String::from_utf8(bytes.copied().collect()).unwrap()
    }
}

#[test]
fn a_call_is_the_same_with_every_lever() {
    let asker = Asker::new();
    let scheduler = start(&asker.model, 64 << 20);
    let mut guessed = 0;
    for (temperature, seed) in [(0.0, 0), (0.5, 1), (1.0, 2), (3.0, 3)] {
        let sampling = SamplingParams {
            temperature,
            top_k: 40,
            top_p: 0.95,
            min_p: 0.001,
            seed: Some(seed),
        };
        let mut written =
            all_levers().map(|levers| (levers, run(&scheduler, asker.job(sampling, levers))));
        let (_, first) = written.next().unwrap();
        let text = asker.text(&first.tokens);
        assert!(text.starts_with("<start_function_call>call:set_"), "{text}");
        assert!(text.ends_with("}<end_function_call>"), "{text}");
        assert!(matches!(first.finish, Finish::Stop(_)), "{text}");
        let count = first.tokens.len();
        let stats = first.stats;
        assert_eq!(stats.forced + stats.constrained + stats.free, count);
        assert!(stats.forced > 8 && stats.constrained > 0, "{stats:?}");
        for (levers, other) in written {
            assert_eq!(asker.text(&other.tokens), text, "{levers:?}");
            assert_eq!(
                (other.tokens, other.finish),
                (first.tokens.clone(), first.finish)
            );
            guessed += other.stats.speculated;
            if !levers.forced && !levers.speculation {
                assert!(other.stats.forward_passes >= count, "{:?}", other.stats);
            }
        }
        let plain = asker.model.config.vocab_size * count;
        assert!(
            stats.forward_passes * 4 < count * 3,
            "{stats:?} for {count}"
        );
        assert!(stats.head_rows < plain as u64 * 3 / 4, "{stats:?}");
    }
    assert!(guessed > 0);
}
