//! The engine of this program as a backend: one model in memory, and the thread that owns it.

mod embed;
mod read;
mod score;

use std::{io, sync::Arc};

use ipc::{
    Status,
    proto::{Done, Embed, Embeddings, Generate, Score, Scores},
};
use prometheus_client::metrics::histogram::Histogram;

use super::{About, Answering, Backend, Load, Task, prompted::Prompted, request::limits};
use crate::{
    kernels::Kernel,
    model::Model,
    scheduler::{Capacity, Scheduler},
};

/// One model of this program's own engine.
#[derive(Debug)]
pub struct Native {
    model: Arc<Model>,
    prompted: Prompted,
    scheduler: Scheduler,
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
        let config = &model.config;
        let prompted = Prompted::new(
            model.name.clone(),
            model.tokenizer.clone(),
            &config.eos,
            config.vocab_size,
            config.context,
            max_tokens,
        );
        Ok(Self {
            model,
            prompted,
            scheduler,
        })
    }

    async fn write(&self, asked: Generate, task: &Task) -> Result<Done, Status> {
        let adapter = limits::adapter(&asked.adapter, &self.model)?;
        let submit = |job| {
            let submitted = self.scheduler.submit(job);
            submitted.map_err(|refused| self.refused(refused))
        };
        self.prompted.generate(asked, task, adapter, submit).await
    }
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
            ("max_tokens", self.prompted.max_tokens.to_string()),
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
