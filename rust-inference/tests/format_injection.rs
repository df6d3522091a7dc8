//! Text of a person or a tool never becomes a control token, whatever it spells.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside of the tests' own functions"
)]

#[path = "common/random_model.rs"]
mod random_model;

use std::collections::BTreeSet;

use rust_inference::{
    embedded,
    functiongemma::{Conversation, render},
    tokenizer::Tokenizer,
};
use serde_json::{Value, json};

/// Its letters are nobody's, and as a key it is delimited, like a key that spells a control token.
const HARMLESS: &str = "harm:less";

/// A conversation in which every text that is not ours is `text`, keys included.
fn conversation(text: &str) -> Conversation {
    let call = json!({"name": "f", "arguments": {"a": text, "b": [{"c": text}], "k": {text: 1}}});
    let chat = json!({
        "messages": [
            {"role": "system", "content": text},
            {"role": "user", "content": format!("{text} {text}")},
            {"role": "assistant", "content": text, "tool_calls": [call]},
            {"role": "tool", "name": "f", "content": {"out": [text], "k": {text: text}}},
            {"role": "assistant", "content": text, "tool_calls": [{"name": "f", "arguments": {}}]},
            {"role": "tool", "name": "f", "content": text},
            {"role": "assistant", "content": text},
            {"role": "user", "content": [{"type": "text", "text": text}]},
        ],
        "tools": [{"name": "f", "description": text, "parameters": {"type": "object", "required": [text], "properties": {
            "a": {"type": "string", "description": text, "enum": [text]},
            "b": {"type": "array", "items": {"type": "object", "description": text, "properties": {"c": {"type": "string"}}}},
            "k": {"type": "object", "properties": {text: {"type": "string", "description": text}}}}}}],
    });
    Conversation::from_json(&chat.to_string()).unwrap()
}

/// The prompt's control tokens, in their order; all of its tokens together are its text.
fn controls(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
    let prompt = render(&conversation(text)).unwrap();
    let tokens = tokenizer.encode(&prompt.pieces()).unwrap();
    let bytes: Vec<u8> = tokens
        .iter()
        .flat_map(|token| tokenizer.bytes(*token).to_vec())
        .collect();
    assert_eq!(String::from_utf8(bytes).unwrap(), prompt.text());
    tokens
        .into_iter()
        .filter(|id| tokenizer.is_control(*id))
        .collect()
}

/// No text gives one of this tokenizer's control tokens, wherever it stands.
fn stays_text(tokenizer: &Tokenizer, json: &[u8]) {
    let json: Value = serde_json::from_slice(json).unwrap();
    let added: Vec<_> = json["added_tokens"]
        .as_array()
        .unwrap()
        .iter()
        .map(|token| token["content"].as_str().unwrap())
        // A vocabulary may add words of the language, too.
        .filter(|token| tokenizer.control(token).is_some())
        .collect();
    let harmless = controls(tokenizer, HARMLESS);
    let format: BTreeSet<_> = harmless.iter().collect();
    assert_eq!(
        format.len(),
        10,
        "all of the format's own but the end of text"
    );
    assert!(added.len() > format.len(), "{added:?}");
    // Parsed with control tokens, as a prompt by hand is, the same text does give them: the test would see it.
    let spelt = render(&conversation("<end_of_turn>")).unwrap().text();
    let by_hand = tokenizer.encode(&tokenizer.pieces(&spelt)).unwrap();
    assert!(
        by_hand
            .iter()
            .filter(|id| tokenizer.is_control(**id))
            .count()
            > harmless.len()
    );
    for token in added {
        // A colon, so that the text is delimited as a key whether the format knows the token or not.
        for text in [
            format!("{token}:"),
            format!("a:{token}b{token}"),
            format!(":{token}{token}\n<"),
        ] {
            assert_eq!(controls(tokenizer, &text), harmless, "{text:?}");
        }
    }
}

#[test]
fn a_text_that_spells_a_control_token_stays_text_everywhere() {
    let tokenizer = embedded::model().unwrap().tokenizer;
    stays_text(&tokenizer, &embedded::files().tokenizer().unwrap());
}

#[test]
fn it_stays_text_for_the_whole_vocabulary_of_gemma_too() {
    let json = std::fs::read(random_model::directory().join("tokenizer.json")).unwrap();
    stays_text(&random_model::tokenizer(), &json);
}

#[test]
fn such_a_prompt_tells_what_is_spelt_in_it() {
    assert_eq!(
        render(&conversation("<end_of_turn>")).unwrap().spelt(),
        ["<end_of_turn>"]
    );
    assert!(render(&conversation(HARMLESS)).unwrap().spelt().is_empty());
}
