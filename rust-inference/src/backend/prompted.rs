//! `generate`, for backends that take a prompt in the model's own format: from a request to its tokens, and from the
//! model's tokens to its answer. The prompt, the constraint and the parser are therefore the same, whoever computes.

use std::sync::Arc;

use ipc::{
    Status,
    proto::{Delta, Done, Generate},
};
use tokio::{sync::mpsc, task::block_in_place};

use super::{
    Guarantee, Task,
    answer::{output::Output, report},
    request::{limits, offered::Compiler, prepare::prepare},
};
use crate::{
    model::Adapter,
    scheduler::{Event, Finish, Job},
    tokenizer::Tokenizer,
};

/// Tokens of the format that end a turn or hand it to the tools, where the tokenizer has them.
const ENDS: [&str; 3] = ["<eos>", "<end_of_turn>", "<start_function_response>"];

/// What is known of a model that takes prompts.
#[derive(Debug)]
pub(super) struct Prompted {
    /// What the server calls it.
    pub(super) name: String,
    pub(super) tokenizer: Arc<Tokenizer>,
    compiler: Arc<Compiler>,
    /// Tokens that end an answer.
    pub(super) ends: Vec<u32>,
    /// Tokens that prompt and answer can have together.
    pub(super) context: usize,
    /// Tokens of an answer.
    pub(super) max_tokens: usize,
}

impl Prompted {
    /// `eos`: tokens that end an answer in this model; `logits`: how many tokens it chooses from.
    pub(super) fn new(
        name: String,
        tokenizer: Arc<Tokenizer>,
        eos: &[u32],
        logits: usize,
        context: usize,
        max_tokens: usize,
    ) -> Self {
        let known = ENDS.iter().filter_map(|text| tokenizer.control(text));
        let ends: Vec<u32> = eos.iter().copied().chain(known).collect();
        Self {
            name,
            compiler: Arc::new(Compiler::new(&tokenizer, &ends, logits)),
            tokenizer,
            ends,
            context,
            max_tokens,
        }
    }

    /// What `submit` gives is held until the answer is there.
    pub(super) async fn generate<P>(
        &self,
        asked: Generate,
        task: &Task,
        adapter: Option<Arc<Adapter>>,
        submit: impl FnOnce(Job) -> Result<P, Status>,
    ) -> Result<Done, Status> {
        let request = &task.request;
        limits::check_stops(&asked)?;
        let sampling = limits::sampling(asked.sampling.as_ref())?;
        let logprobs = limits::logprobs(asked.logprobs)?;
        let levers = limits::levers(&asked.without)?;
        // Not taken away: whether they can be had depends on the form.
        let stops = asked.stop.clone();
        let (stream, max_tokens) = (asked.stream, asked.max_tokens as usize);
        // A prompt of megabytes takes a while to render and cut into tokens: not on the threads that serve sockets.
        let (tokenizer, compiler) = (self.tokenizer.clone(), self.compiler.clone());
        let mut prepared =
            tokio::task::spawn_blocking(move || prepare(&tokenizer, &compiler, &asked))
                .await
                .map_err(|error| {
                    Status::internal(format!("preparing the prompt failed: {error}"))
                })??;
        let room = limits::room(prepared.prompt.len(), self.context)?;
        if max_tokens > self.max_tokens {
            let limit = self.max_tokens;
            (prepared.warnings).push(format!(
                "max_tokens {max_tokens} was lowered to this server's limit of {limit}"
            ));
        }
        prepared.warnings.extend(report::unknown_fields(request));
        let wanted = if max_tokens == 0 {
            self.max_tokens
        } else {
            max_tokens
        };
        let prompt_tokens = prepared.prompt.len() as u32;
        let cancelled = request.cancelled.child_token();
        let (events, mut received) = mpsc::unbounded_channel();
        let job = Job {
            prompt: prepared.prompt,
            adapter,
            shared: prepared.shared,
            guide: prepared.guide,
            sampling,
            max_tokens: wanted.min(room).min(self.max_tokens),
            stop_ids: self.ends.clone(),
            logprobs,
            levers,
            cancelled: cancelled.clone(),
            events,
        };
        let _place = submit(job)?;

        let mut output = Output::new(prepared.toolbox, stops, stream && prepared.strict);
        let mut completion_tokens = 0;
        let mut probabilities = Vec::new();
        let mut send = |delta: Delta| {
            if stream {
                task.answer.delta(delta);
            }
        };
        let (finish, stats) = loop {
            let event = tokio::select! {
                () = request.cancelled.cancelled() => return Err(request.stop_status()),
                event = received.recv() => event,
            };
            match event {
                Some(Event::Token { id, logprob }) => {
                    task.first_token();
                    completion_tokens += 1;
                    if !output.ended() {
                        let tokenizer = &self.tokenizer;
                        probabilities.extend(logprob.map(|of| report::logprob(id, of, tokenizer)));
                        // How long a call's check lasts is up to its tool's schema: sockets must not wait for it.
                        send(block_in_place(|| output.push(id, tokenizer)));
                    }
                    if output.ended() {
                        cancelled.cancel();
                    }
                }
                Some(Event::Finished(finish, stats)) => break (finish, stats),
                None => return Err(report::failed()),
            }
        };
        if finish == Finish::NoLogits {
            return Err(report::no_number());
        }
        if request.cancelled.is_cancelled() {
            return Err(request.stop_status());
        }
        let done = Done {
            model: self.name.clone(),
            warnings: prepared.warnings,
            usage: Some(report::usage(prompt_tokens, completion_tokens, &stats)),
            logprobs: probabilities,
            guarantee: Guarantee::of(prepared.strict).word().to_owned(),
            ..Done::default()
        };
        let cut = finish == Finish::Length;
        let ending = if let Some(error) = output.error().cloned() {
            Err(error)
        } else {
            block_in_place(|| output.finish(cut)).map(&mut send)
        };
        Ok(report::conclude(done, output, finish, ending))
    }
}
