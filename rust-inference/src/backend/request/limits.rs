//! What a request may ask for: checked before anything is computed, each refusal with what to do about it.

use std::{sync::Arc, time::Duration};

use ipc::{
    Status,
    proto::{Generate, Sampling},
};

use crate::{
    model::{Adapter, Model},
    sampling::SamplingParams,
    scheduler::{Levers, Refused},
};

/// Stop texts of one request, and the bytes of each.
const MAX_STOPS: usize = 16;
const MAX_STOP_BYTES: usize = 1024;
/// Tokens of which each token's place tells the log probability.
const MAX_LOGPROBS: u32 = 20;

/// The adapter of a name; none for no name.
pub(in crate::backend) fn adapter(
    asked: &str,
    model: &Model,
) -> Result<Option<Arc<Adapter>>, Status> {
    if asked.is_empty() {
        return Ok(None);
    }
    if let Some(adapter) = model.adapter(asked) {
        return Ok(Some(adapter.clone()));
    }
    let names = adapter_names(model);
    let hint = if names.is_empty() {
        "leave `adapter` out, or start the server with --adapter NAME=DIR".to_owned()
    } else {
        format!("leave `adapter` out, or ask for one of: {names}")
    };
    Err(Status::not_found(format!("there is no adapter {asked:?} here")).with_hint(hint))
}

/// Those that may be asked for.
pub(in crate::backend) fn adapter_names(model: &Model) -> String {
    let names: Vec<&str> = (model.adapters().iter())
        .map(|adapter| adapter.name.as_str())
        .collect();
    names.join(", ")
}

pub(in crate::backend) fn sampling(asked: Option<&Sampling>) -> Result<SamplingParams, Status> {
    let Some(asked) = asked else {
        return Ok(SamplingParams::default());
    };
    let refuse = |name: &str, value: f32, range: &str| {
        Err(
            Status::invalid_argument(format!("sampling.{name} is {value}"))
                .with_hint(format!("give a number from {range}")),
        )
    };
    if !(0.0..=100.0).contains(&asked.temperature) {
        return refuse("temperature", asked.temperature, "0 (greedy) to 100");
    }
    if !(0.0..=1.0).contains(&asked.top_p) {
        return refuse("top_p", asked.top_p, "0 to 1 (0 and 1: all tokens)");
    }
    if !(0.0..=1.0).contains(&asked.min_p) {
        return refuse("min_p", asked.min_p, "0 to 1 (0: all tokens)");
    }
    Ok(SamplingParams {
        temperature: asked.temperature,
        top_k: asked.top_k as usize,
        top_p: asked.top_p,
        min_p: asked.min_p,
        seed: asked.seed,
    })
}

/// Of how many of the most probable tokens the log probability is to be told.
pub(in crate::backend) fn logprobs(asked: Option<u32>) -> Result<Option<usize>, Status> {
    asked.map(|asked| top("logprobs", asked)).transpose()
}

/// The same, by another name.
pub(in crate::backend) fn top(field: &str, asked: u32) -> Result<usize, Status> {
    if asked <= MAX_LOGPROBS {
        return Ok(asked as usize);
    }
    Err(Status::invalid_argument(format!("{field} is {asked}"))
        .with_hint(format!("give a number from 0 to {MAX_LOGPROBS}")))
}

pub(in crate::backend) fn check_stops(generate: &Generate) -> Result<(), Status> {
    let stops = &generate.stop;
    if stops.len() > MAX_STOPS {
        return Err(Status::invalid_argument(format!(
            "{} stop texts; at most {MAX_STOPS} are possible",
            stops.len()
        )));
    }
    if stops.iter().any(String::is_empty) {
        return Err(
            Status::invalid_argument("an empty stop text would end every answer")
                .with_hint("leave it out"),
        );
    }
    if stops.iter().any(|stop| stop.len() > MAX_STOP_BYTES) {
        return Err(Status::invalid_argument(format!(
            "a stop text has more than {MAX_STOP_BYTES} bytes"
        )));
    }
    Ok(())
}

/// How many tokens may be written behind a prompt.
pub(in crate::backend) fn room(prompt: usize, context: usize) -> Result<usize, Status> {
    if prompt < context {
        return Ok(context - prompt);
    }
    Err(Status::failed_precondition(format!(
        "the prompt has {prompt} tokens, the model's context {context}, and an answer needs at least one"
    ))
    .with_hint("shorten the conversation or offer fewer tools"))
}

/// What is told to whoever there is no room for. `wait`: how long a place will probably take.
pub(in crate::backend) fn refused(refused: Refused, wait: Duration) -> Status {
    match refused {
        Refused::Full { .. } => Status::resource_exhausted(refused.to_string())
            .with_hint("try again later, or start the server with a longer --queue")
            .with_retry_after_ms(wait.as_millis().max(1) as u32),
        Refused::TooLarge { needed, limit } => {
            let mib = |bytes: usize| bytes.div_ceil(1 << 20);
            Status::failed_precondition(format!(
                "the request may need {} MiB of KV cache, and the server has {}",
                mib(needed),
                limit >> 20
            ))
            .with_hint(format!(
                "shorten it, lower max_tokens, or start the server with --kv-cache-mib {}",
                mib(needed)
            ))
        }
    }
}

/// What the engine is to do to be faster: all, but what a request switches off.
pub(in crate::backend) fn levers(without: &[String]) -> Result<Levers, Status> {
    let mut levers = Levers::default();
    for word in without {
        let lever = match word.as_str() {
            "forced" => &mut levers.forced,
            "rows" => &mut levers.rows,
            "speculation" => &mut levers.speculation,
            "prefix" => &mut levers.prefix,
            other => {
                return Err(unknown(
                    "without",
                    other,
                    "forced, rows, speculation, prefix",
                ));
            }
        };
        *lever = false;
    }
    Ok(levers)
}

/// A word that has no meaning, with those that have one.
pub(in crate::backend) fn unknown(field: &str, word: &str, known: &str) -> Status {
    Status::invalid_argument(format!("{field} is {word:?}"))
        .with_hint(format!("possible are: {known}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_range_is_refused_by_name() {
        for (asked, name) in [
            (
                Sampling {
                    temperature: -1.0,
                    ..Sampling::default()
                },
                "temperature",
            ),
            (
                Sampling {
                    temperature: f32::NAN,
                    ..Sampling::default()
                },
                "temperature",
            ),
            (
                Sampling {
                    top_p: 1.5,
                    ..Sampling::default()
                },
                "top_p",
            ),
            (
                Sampling {
                    min_p: f32::NAN,
                    ..Sampling::default()
                },
                "min_p",
            ),
        ] {
            assert!(sampling(Some(&asked)).unwrap_err().message.contains(name));
        }
        assert!(logprobs(Some(21)).unwrap_err().hint.contains("0 to 20"));
        assert_eq!(logprobs(Some(20)).unwrap(), Some(20));
        assert_eq!(sampling(None).unwrap(), SamplingParams::default());
    }

    #[test]
    fn a_full_context_tells_both_lengths() {
        assert_eq!(room(10, 16).unwrap(), 6);
        let status = room(16, 16).unwrap_err();
        assert_eq!(status.code, ipc::proto::Code::FailedPrecondition);
        assert!(status.message.contains("16 tokens") && status.message.contains("context 16"));
    }

    #[test]
    fn what_is_switched_off_is_named() {
        let all = Levers::default();
        assert_eq!(levers(&[]).unwrap(), all);
        let expected = Levers {
            rows: false,
            prefix: false,
            ..all
        };
        let words = ["rows".to_owned(), "prefix".to_owned()];
        assert_eq!(levers(&words).unwrap(), expected);
        let status = levers(&["magic".to_owned()]).unwrap_err();
        assert!(status.message.contains("\"magic\"") && status.hint.contains("speculation"));
    }
}
