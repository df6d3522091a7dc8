//! `generate`: from a request to its tokens, and from the model's tokens to its answer.

use std::{sync::Arc, time::Duration};

use ipc::{
    Status,
    proto::{Delta, Done, Generate, Usage, generate::Input},
    server::{Answer, Request},
};
use tokio::{sync::mpsc, task::block_in_place};

use super::{Inference, limits, output::Output};
use crate::{
    constrain::Unguided,
    functiongemma::{Conversation, ParseError, Toolbox, render},
    model::Model,
    scheduler::{Event, Finish, Job, Levers, Stats},
};

/// Tokens of the format that end a turn or hand it to the tools, where the tokenizer has them.
const STOPS: [&str; 3] = ["<eos>", "<end_of_turn>", "<start_function_response>"];

/// A request made ready for the model.
struct Prepared {
    prompt: Vec<u32>,
    toolbox: Option<Arc<Toolbox>>,
    warnings: Vec<String>,
}

impl Inference {
    pub(super) async fn generate(
        &self,
        mut asked: Generate,
        request: &Request,
        answer: &Answer,
    ) -> Result<Done, Status> {
        limits::check_model(&asked.model, &self.model.name)?;
        limits::check_stops(&asked)?;
        let sampling = limits::sampling(asked.sampling.as_ref())?;
        let stops = std::mem::take(&mut asked.stop);
        let (stream, max_tokens) = (asked.stream, asked.max_tokens as usize);
        // A prompt of megabytes takes a while to render and cut into tokens: not on the threads that serve sockets.
        let model = self.model.clone();
        let mut prepared = tokio::task::spawn_blocking(move || prepare(&model, asked))
            .await
            .map_err(|error| Status::internal(format!("preparing the prompt failed: {error}")))??;
        let room = limits::room(prepared.prompt.len(), self.model.config.context)?;
        if max_tokens > self.max_tokens {
            let limit = self.max_tokens;
            (prepared.warnings).push(format!(
                "max_tokens {max_tokens} was lowered to this server's limit of {limit}"
            ));
        }
        for field in &request.unknown_fields {
            prepared
                .warnings
                .push(format!("unknown field {field} was ignored"));
        }
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
            shared: 0,
            guide: Box::new(Unguided),
            sampling,
            max_tokens: wanted.min(room).min(self.max_tokens),
            stop_ids: self.stop_ids(),
            logprobs: None,
            levers: Levers::default(),
            cancelled: cancelled.clone(),
            events,
        };
        let _place = self.scheduler.submit(job).map_err(|full| {
            let wait = self.scheduler.expected_wait().max(Duration::from_millis(1));
            Status::resource_exhausted(format!("the queue is full: {full}"))
                .with_hint("try again later, or start the server with a longer --queue")
                .with_retry_after_ms(wait.as_millis() as u32)
        })?;

        let mut output = Output::new(prepared.toolbox, stops);
        let mut completion_tokens = 0;
        let mut send = |delta: Delta| {
            if stream {
                answer.delta(delta);
            }
        };
        let (finish, stats) = loop {
            let event = tokio::select! {
                () = request.cancelled.cancelled() => return Err(request.stop_status()),
                event = received.recv() => event,
            };
            match event {
                Some(Event::Token { id, .. }) => {
                    completion_tokens += 1;
                    if !output.ended() {
                        // How long a call's check lasts is up to its tool's schema: sockets must not wait for it.
                        send(block_in_place(|| output.push(id, &self.model.tokenizer)));
                    }
                    if output.ended() {
                        cancelled.cancel();
                    }
                }
                Some(Event::Finished(finish, stats)) => break (finish, stats),
                None => {
                    return Err(Status::internal("computing the answer failed")
                        .with_hint("the server's standard error says why"));
                }
            }
        };
        if finish == Finish::NoLogits {
            return Err(Status::internal("the model's output is not a number")
                .with_hint("its weights are damaged: load another checkpoint"));
        }
        if request.cancelled.is_cancelled() {
            return Err(request.stop_status());
        }
        let done = Done {
            model: self.model.name.clone(),
            warnings: prepared.warnings,
            usage: Some(usage(prompt_tokens, completion_tokens, stats)),
            ..Done::default()
        };
        let ending = match output.error().cloned() {
            Some(error) => Err(error),
            None => block_in_place(|| output.finish()).map(&mut send),
        };
        Ok(conclude(done, output, finish, ending))
    }

    fn stop_ids(&self) -> Vec<u32> {
        let known = STOPS
            .iter()
            .filter_map(|text| self.model.tokenizer.control(text));
        self.model.config.eos.iter().copied().chain(known).collect()
    }
}

fn prepare(model: &Model, mut asked: Generate) -> Result<Prepared, Status> {
    let invalid = |error: &dyn std::error::Error| Status::invalid_argument(error.to_string());
    let input = asked.input.take();
    let chat = match &input {
        Some(Input::Chat(chat)) => chat.clone(),
        _ => ipc::proto::Chat::default(),
    };
    let conversation =
        Conversation::from_proto(&chat, &asked.tools).map_err(|error| invalid(&error))?;
    let toolbox = Toolbox::new(&conversation.tools).map_err(|error| invalid(&error))?;
    let encode = |pieces: &[crate::tokenizer::Piece<'_>]| {
        model
            .tokenizer
            .encode(pieces)
            .map_err(|error| invalid(&error))
    };
    let (prompt, toolbox, warnings) = match &input {
        Some(Input::Chat(_)) => {
            let prompt = render(&conversation).map_err(|error| invalid(&error))?;
            (encode(&prompt.pieces())?, Some(toolbox), prompt.warnings)
        }
        Some(Input::Prompt(text)) => {
            let toolbox = (!conversation.tools.is_empty()).then_some(toolbox);
            (encode(&model.tokenizer.pieces(text))?, toolbox, Vec::new())
        }
        None => {
            return Err(
                Status::invalid_argument("generate needs a chat or a prompt").with_hint(
                    r#"for instance {"chat":{"messages":[{"role":"user","content":"Hello"}]}}"#,
                ),
            );
        }
    };
    if prompt.is_empty() {
        return Err(Status::invalid_argument("the prompt is empty"));
    }
    Ok(Prepared {
        prompt,
        toolbox: toolbox.map(Arc::new),
        warnings,
    })
}

fn usage(prompt_tokens: u32, completion_tokens: u32, stats: Stats) -> Usage {
    let us = |time: Duration| u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
    Usage {
        prompt_tokens,
        cached_tokens: stats.cached as u32,
        completion_tokens,
        queue_us: us(stats.queued),
        prefill_us: us(stats.prefill),
        decode_us: us(stats.decode),
        ..Usage::default()
    }
}

/// The answer of a generation that came to its end by itself.
fn conclude(
    mut done: Done,
    output: Output,
    finish: Finish,
    ending: Result<(), ParseError>,
) -> Done {
    match ending {
        // What the limit cut off is no call, and no mistake of the model either.
        Err(_) if finish == Finish::Length => {
            done.warnings
                .push("a call was cut off by max_tokens or the end of the context".to_owned());
            (done.content, done.tool_calls) = (output.content, output.calls);
            "length".clone_into(&mut done.finish_reason);
        }
        Err(error) => {
            done.content = output.raw;
            "invalid_call".clone_into(&mut done.finish_reason);
            done.error = Some(
                Status::invalid_argument(format!("the model's call is not valid: {error}"))
                    .with_hint("nothing of it was passed on; ask again, or in other words")
                    .into(),
            );
        }
        Ok(()) => {
            let reason = match finish {
                Finish::Length => "length",
                _ if output.calls.is_empty() => "stop",
                _ => "tool_calls",
            };
            reason.clone_into(&mut done.finish_reason);
            (done.content, done.tool_calls) = (output.content, output.calls);
        }
    }
    done
}
