//! What is told of a generation when it has ended: why, what it cost, and how sure the model was.

use std::time::Duration;

use ipc::{
    Status,
    proto::{Done, TokenLogprob, TopLogprob, Usage},
    server::Request,
};

use super::output::Output;
use crate::{
    functiongemma::ParseError,
    scheduler::{Finish, Logprob, Stats},
    tokenizer::Tokenizer,
};

/// What is told of a call that is no call, and no mistake either.
pub(in crate::backend) const CUT_OFF: &str =
    "a call was cut off by max_tokens or the end of the context";

pub(in crate::backend) fn usage(
    prompt_tokens: u32,
    completion_tokens: u32,
    stats: &Stats,
) -> Usage {
    let us = |time: Duration| u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
    Usage {
        prompt_tokens,
        cached_tokens: stats.cached as u32,
        completion_tokens,
        queue_us: us(stats.queued),
        prefill_us: us(stats.prefill),
        decode_us: us(stats.decode),
        forced_tokens: stats.forced as u32,
        constrained_tokens: stats.constrained as u32,
        free_tokens: stats.free as u32,
        speculated_tokens: stats.speculated as u32,
        head_rows: stats.head_rows,
        constraint_us: us(stats.constraint),
        forward_passes: stats.forward_passes as u32,
    }
}

pub(in crate::backend) fn logprob(
    id: u32,
    logprob: Logprob,
    tokenizer: &Tokenizer,
) -> TokenLogprob {
    let text = |id| String::from_utf8_lossy(tokenizer.bytes(id)).into_owned();
    TokenLogprob {
        id,
        token: text(id),
        logprob: logprob.logprob,
        top: (logprob.top.into_iter())
            .map(|(id, logprob)| TopLogprob {
                id,
                token: text(id),
                logprob,
            })
            .collect(),
    }
}

/// What a client wrote that means nothing here.
pub(in crate::backend) fn unknown_fields(request: &Request) -> impl Iterator<Item = String> {
    (request.unknown_fields.iter()).map(|field| format!("unknown field {field} was ignored"))
}

/// The model's thread gave no answer.
pub(in crate::backend) fn failed() -> Status {
    Status::internal("computing the answer failed")
        .with_hint("the server's standard error says why")
}

pub(in crate::backend) fn no_number() -> Status {
    Status::internal("the model's output is not a number")
        .with_hint("its weights are damaged: load another checkpoint")
}

/// The answer of a generation that came to its end by itself.
pub(in crate::backend) fn conclude(
    mut done: Done,
    output: Output,
    finish: Finish,
    ending: Result<(), ParseError>,
) -> Done {
    match ending {
        // What the limit cut off is no call, and no mistake of the model either.
        Err(_) if finish == Finish::Length => {
            done.warnings.push(CUT_OFF.to_owned());
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
