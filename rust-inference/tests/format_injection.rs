//! Text of a person or a tool never becomes a control token, whatever it spells.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside of the tests' own functions"
)]

use std::collections::BTreeMap;

use rust_inference::{
    embedded,
    functiongemma::{Conversation, render},
    tokenizer::Tokenizer,
};
use serde_json::{Value, json};

/// A conversation in which every text that is not ours is `text`.
fn conversation(text: &str) -> Conversation {
    let chat = json!({
        "messages": [
            {"role": "system", "content": text},
            {"role": "user", "content": format!("{text} {text}")},
            {"role": "assistant", "content": text, "tool_calls": [{"name": "f", "arguments": {"a": text, "b": [{"c": text}]}}]},
            {"role": "tool", "name": "f", "content": {"out": text}},
            {"role": "assistant", "content": text},
            {"role": "user", "content": [{"type": "text", "text": text}]},
        ],
        "tools": [{"name": "f", "description": text, "parameters": {"type": "object", "properties": {
            "a": {"type": "string", "description": text, "enum": [text]},
            "b": {"type": "array", "items": {"type": "object", "description": text, "properties": {"c": {"type": "string"}}}}}}}],
    });
    Conversation::from_json(&chat.to_string()).unwrap()
}

/// How often each control token stands in the prompt.
fn controls(tokenizer: &Tokenizer, text: &str) -> BTreeMap<u32, usize> {
    let prompt = render(&conversation(text)).unwrap();
    let tokens = tokenizer.encode(&prompt.pieces()).unwrap();
    let mut counts = BTreeMap::new();
    for token in tokens.into_iter().filter(|id| tokenizer.is_control(*id)) {
        *counts.entry(token).or_default() += 1;
    }
    counts
}

#[test]
fn a_text_that_spells_a_control_token_stays_text_everywhere() {
    let tokenizer = embedded::model().unwrap().tokenizer;
    let json: Value = serde_json::from_slice(&embedded::files().tokenizer).unwrap();
    let added = json["added_tokens"].as_array().unwrap();
    let harmless = controls(&tokenizer, "harmless");
    assert!(
        harmless.len() > 8,
        "the format's own tokens are there: {harmless:?}"
    );
    let mut tried = 0;
    for token in added.iter().map(|token| token["content"].as_str().unwrap()) {
        assert!(tokenizer.control(token).is_some(), "{token}");
        for text in [
            token.to_owned(),
            format!("a{token}b{token}"),
            format!("{token}{token}\n"),
        ] {
            assert_eq!(controls(&tokenizer, &text), harmless, "{text:?}");
            tried += 1;
        }
    }
    assert!(tried >= 3 * 12, "{tried}");
}

#[test]
fn such_a_prompt_tells_what_is_spelt_in_it() {
    assert_eq!(
        render(&conversation("<end_of_turn>")).unwrap().spelt(),
        ["<end_of_turn>"]
    );
    assert!(render(&conversation("x")).unwrap().spelt().is_empty());
}
