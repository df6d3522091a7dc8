//! `chat.completion`: the protocol's `done`s as one answer.

use ipc::proto::{Done, TokenLogprob, ToolCall, Usage};
use serde_json::{Value, json};

use crate::http::{
    ids::{call_id, id, now},
    told::{FINGERPRINT, extension, sums},
};

/// What all parts of one answer have in common.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) id: String,
    created: u64,
    model: String,
}

impl Head {
    pub(super) fn new(model: String) -> Self {
        Self {
            id: id("chatcmpl-"),
            created: now(),
            model,
        }
    }

    pub(super) fn object(&self, object: &str, choices: &Value) -> Value {
        json!({
            "id": self.id,
            "object": object,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": FINGERPRINT,
            "choices": choices,
        })
    }
}

/// The answer; one `done` for each choice, in order.
pub(super) fn completion(head: &Head, dones: &[Done]) -> Value {
    let choices: Vec<Value> = (dones.iter().enumerate())
        .map(|(index, done)| {
            json!({
                "index": index,
                "message": message(head, index, done),
                "logprobs": logprobs(&done.logprobs),
                "finish_reason": done.finish_reason,
            })
        })
        .collect();
    let usages: Vec<Usage> = dones.iter().filter_map(|done| done.usage).collect();
    let mut answer = head.object("chat.completion", &choices.into());
    if let (Value::Object(answer), Some(first)) = (&mut answer, dones.first()) {
        answer.insert("usage".to_owned(), usage(&usages));
        answer.insert("callspan".to_owned(), extension(first));
    }
    answer
}

fn message(head: &Head, choice: usize, done: &Done) -> Value {
    let calls: Vec<Value> = (done.tool_calls.iter().zip(0..))
        .map(|(call, index)| tool_call(call, &call_id(&head.id, choice, index)))
        .collect();
    // With calls there is often nothing said beside, which is null.
    let content = (!done.content.is_empty() || calls.is_empty()).then_some(&done.content);
    let mut message = json!({
        "role": "assistant",
        "content": content,
        "refusal": null,
        "annotations": [],
    });
    if let (Value::Object(message), false) = (&mut message, calls.is_empty()) {
        message.insert("tool_calls".to_owned(), calls.into());
    }
    message
}

fn tool_call(call: &ToolCall, id: &str) -> Value {
    json!({
        "id": id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    })
}

pub(super) fn usage(usages: &[Usage]) -> Value {
    let (prompt, cached, written) = sums(usages);
    json!({
        "prompt_tokens": prompt,
        "completion_tokens": written,
        "total_tokens": prompt.saturating_add(written),
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": 0},
    })
}

/// Of every token that was written, those of calls included; null if nobody asked.
pub(super) fn logprobs(tokens: &[TokenLogprob]) -> Value {
    if tokens.is_empty() {
        return Value::Null;
    }
    let one = |token: &str, logprob: f32| {
        // Text that is whole is its own bytes; of part of a character nobody knows them here.
        let bytes = (!token.contains('\u{fffd}')).then_some(token.as_bytes());
        // The API's number for what cannot be, which JSON has no number for.
        let logprob = if logprob.is_finite() {
            logprob
        } else {
            -9999.0
        };
        json!({"token": token, "logprob": logprob, "bytes": bytes})
    };
    let content: Vec<Value> = (tokens.iter())
        .map(|token| {
            let top: Vec<Value> = (token.top.iter())
                .map(|top| one(&top.token, top.logprob))
                .collect();
            let mut told = one(&token.token, token.logprob);
            if let Value::Object(told) = &mut told {
                told.insert("top_logprobs".to_owned(), top.into());
            }
            told
        })
        .collect();
    json!({"content": content, "refusal": null})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_have_ids_of_their_own_and_no_content_is_null() {
        let call = ToolCall {
            id: "call_0".to_owned(),
            name: "f".to_owned(),
            arguments: "{}".to_owned(),
        };
        let done = Done {
            tool_calls: vec![call.clone(), call],
            finish_reason: "tool_calls".to_owned(),
            ..Done::default()
        };
        let answer = completion(&Head::new("m".to_owned()), &[done.clone(), done]);
        let message = |choice: usize| &answer["choices"][choice]["message"];
        assert_eq!(message(0)["content"], Value::Null);
        let id = |choice, call: usize| message(choice)["tool_calls"][call]["id"].clone();
        assert!(id(0, 0) != id(0, 1) && id(0, 0) != id(1, 0));
        assert_eq!(message(1)["tool_calls"][1]["function"]["name"], "f");
        let silent = completion(&Head::new("m".to_owned()), &[Done::default()]);
        assert_eq!(silent["choices"][0]["message"]["content"], "");
        assert!(silent["choices"][0]["message"].get("tool_calls").is_none());
    }

    #[test]
    fn a_prompt_is_counted_once_and_what_was_written_together() {
        let one = |cached_tokens| Usage {
            prompt_tokens: 5,
            cached_tokens,
            completion_tokens: 2,
            ..Usage::default()
        };
        let told = usage(&[one(1), one(5)]);
        assert_eq!(told["prompt_tokens"], 5);
        assert_eq!(told["completion_tokens"], 4);
        assert_eq!(told["total_tokens"], 9);
        assert_eq!(told["prompt_tokens_details"]["cached_tokens"], 1);
    }

    #[test]
    fn a_token_that_is_no_whole_character_has_no_bytes() {
        let token = |text: &str, logprob| TokenLogprob {
            token: text.to_owned(),
            logprob,
            ..TokenLogprob::default()
        };
        let told = logprobs(&[token("é", -0.1), token("\u{fffd}", f32::NEG_INFINITY)]);
        assert_eq!(told["content"][0]["bytes"], json!([0xc3, 0xa9]));
        assert_eq!(told["content"][0]["logprob"].to_string(), "-0.1");
        assert_eq!(told["content"][1]["bytes"], Value::Null);
        assert_eq!(told["content"][1]["logprob"], json!(-9999.0));
        assert_eq!(logprobs(&[]), Value::Null);
    }
}
