//! The engine of this program as a backend: one model in memory, and the thread that owns it.

mod embed;
mod generate;
mod read;
mod score;

use std::{io, sync::Arc};

use ipc::proto::{Done, Embed, Embeddings, Generate, Score, Scores};
use prometheus_client::metrics::histogram::Histogram;

use super::{About, Answering, Backend, Load, Task, request::offered::Compiler};
use crate::{
    kernels::Kernel,
    model::Model,
    scheduler::{Capacity, Scheduler},
};

/// Tokens of the format that end a turn or hand it to the tools, where the tokenizer has them.
const ENDS: [&str; 3] = ["<eos>", "<end_of_turn>", "<start_function_response>"];

/// One model of this program's own engine.
#[derive(Debug)]
pub struct Native {
    model: Arc<Model>,
    compiler: Arc<Compiler>,
    /// Tokens that end an answer.
    ends: Vec<u32>,
    scheduler: Scheduler,
    max_tokens: usize,
}

impl Native {
    /// An answer has at most `max_tokens` tokens. `sharing` observes how many requests share each pass.
    pub fn start(
        model: Arc<Model>,
        capacity: Capacity,
        max_tokens: usize,
        sharing: Histogram,
    ) -> io::Result<Self> {
        let scheduler = Scheduler::start_observed(model.clone(), capacity, sharing)?;
        let ends = ends(&model);
        Ok(Self {
            compiler: Arc::new(Compiler::new(
                &model.tokenizer,
                &ends,
                model.config.vocab_size,
            )),
            model,
            ends,
            scheduler,
            max_tokens,
        })
    }
}

fn ends(model: &Model) -> Vec<u32> {
    let known = ENDS.iter().filter_map(|text| model.tokenizer.control(text));
    model.config.eos.iter().copied().chain(known).collect()
}

impl Backend for Native {
    fn generate<'a>(&'a self, asked: Generate, task: &'a Task) -> Answering<'a, Done> {
        Box::pin(self.write(asked, task))
    }

    fn embed<'a>(&'a self, asked: Embed, task: &'a Task) -> Answering<'a, Embeddings> {
        Box::pin(self.vectors(asked, &task.request))
    }

    fn score<'a>(&'a self, asked: Score, task: &'a Task) -> Answering<'a, Scores> {
        Box::pin(self.probabilities(asked, &task.request))
    }

    fn about(&self) -> About {
        let config = &self.model.config;
        let capacity = self.scheduler.capacity();
        let details = [
            ("packed_cache", self.model.packed.word().to_owned()),
            ("architecture", "Gemma3ForCausalLM".to_owned()),
            ("parameters", self.model.parameters().to_string()),
            ("vocabulary", config.vocab_size.to_string()),
            ("max_tokens", self.max_tokens.to_string()),
            ("kernel", Kernel::chosen().name().to_owned()),
            ("threads", self.model.threads().count().to_string()),
            ("parallel", capacity.parallel.to_string()),
            ("queue", capacity.queue.to_string()),
            ("kv_cache_limit_bytes", capacity.kv_bytes.to_string()),
        ];
        let adapters = self
            .model
            .adapters()
            .iter()
            .map(|adapter| adapter.name.clone());
        About {
            context: config.context,
            adapters: adapters.collect(),
            memory_bytes: self.model.bytes(),
            details: details.into(),
        }
    }

    fn load(&self) -> Option<Load> {
        let (prefix_bytes, prefix_entries) = self.scheduler.prefixes();
        Some(Load {
            running: self.scheduler.running(),
            waiting: self.scheduler.waiting(),
            kv_bytes: self.scheduler.kv_bytes(),
            prefix_bytes,
            prefix_entries,
        })
    }
}
