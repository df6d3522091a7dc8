//! Arbitrary calls, and what a model that was trained on the format would have written for them.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "each test file is a crate of its own and uses its part of these helpers"
)]

use std::sync::Arc;

use proptest::{collection::vec, prelude::*};
use rust_inference::{
    functiongemma::{Call, Conversation, Message, Role, Tool, Toolbox, render},
    tokenizer::Piece,
};
use serde_json::{Map, Number, Value};

pub const CONTROLS: [&str; 11] = [
    "<bos>",
    "<start_of_turn>",
    "<start_function_declaration>",
    "<end_function_declaration>",
    "<end_function_response>",
    "<escape>",
    "<start_function_call>",
    "<end_function_call>",
    "<start_function_response>",
    "<end_of_turn>",
    "<eos>",
];

/// Texts with what is special to the format, except the delimiter, which no text can contain.
pub fn text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        any::<String>(),
        "[a-z{}\\[\\]:,<>\\n \"\\\\]{0,12}",
        prop::sample::select(vec![
            "<end_function_call>",
            "<start_function_call>call:f{}",
            "<esc",
            "<end_of_turn>",
            "None",
            "007"
        ])
        .prop_map(str::to_owned),
    ];
    vec(part, 0..3).prop_map(|parts| parts.concat().replace("<escape>", ""))
}

/// Texts that spell the delimiter, too: they are what it is only where tokens say so.
pub fn spelt() -> impl Strategy<Value = String> {
    (text(), prop::sample::select(CONTROLS.to_vec()), text())
        .prop_map(|(before, token, after)| format!("{before}{token}{after}"))
}

/// Keys with what is special to the format.
fn key(text: BoxedStrategy<String>) -> impl Strategy<Value = String> {
    prop_oneof![
        "[A-Za-z_][A-Za-z0-9_.-]{0,8}",
        text,
        prop::sample::select(vec!["", " a", "10:30", "Price, EUR", "<end_of_turn>", "}"])
            .prop_map(str::to_owned),
    ]
}

fn number() -> impl Strategy<Value = Number> {
    let float = prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO;
    prop_oneof![
        any::<i64>().prop_map(Number::from),
        any::<u64>().prop_map(Number::from),
        float.prop_map(|float| Number::from_f64(float).unwrap()),
        "-?[1-9][0-9]{20,40}".prop_map(|digits| digits.parse().unwrap()),
    ]
}

fn value(text: BoxedStrategy<String>) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        text.clone().prop_map(Value::String),
        number().prop_map(Value::Number),
        any::<bool>().prop_map(Value::Bool),
        Just(Value::Null),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        let key = key(text.clone());
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::Array),
            vec((key, inner), 0..4).prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

pub fn calls() -> impl Strategy<Value = Vec<Call>> {
    calls_of(text().boxed())
}

/// Calls whose texts are of this kind.
pub fn calls_of(text: BoxedStrategy<String>) -> impl Strategy<Value = Vec<Call>> {
    let arguments = vec((key(text.clone()), value(text)), 0..4)
        .prop_map(|pairs| pairs.into_iter().collect::<Map<_, _>>());
    let name = prop::sample::select(vec!["f", "get.time", "a-b", "größe"]);
    let call = (name, arguments).prop_map(|(name, arguments)| Call {
        id: String::new(),
        name: name.to_owned(),
        arguments,
    });
    vec(call, 1..4)
}

/// The tools that are called: they take anything.
pub fn tools() -> Vec<Tool> {
    let tool = |name: &str| Tool {
        name: name.to_owned(),
        description: String::new(),
        parameters: Some(Map::new()),
    };
    let names = ["f", "get.time", "a-b", "größe"];
    names.into_iter().map(tool).collect()
}

pub fn toolbox() -> Arc<Toolbox> {
    Arc::new(Toolbox::new(&tools()).unwrap())
}

/// What a model trained on this format would have written: the calls as they stand in a rendered history, control
/// tokens (true) and text.
pub fn pieces(calls: &[Call], prose: &str) -> Vec<(bool, String)> {
    let message = |role, calls: &[Call], name: &str, content: &str| Message {
        role,
        content: content.to_owned(),
        calls: calls.to_vec(),
        name: name.to_owned(),
        response: Value::Null,
    };
    let mut messages = vec![message(Role::Model, calls, "", prose)];
    messages.extend(
        calls
            .iter()
            .map(|call| message(Role::Tool, &[], &call.name, "")),
    );
    let conversation = Conversation {
        messages,
        tools: Vec::new(),
    };
    let prompt = render(&conversation).unwrap();
    let mut pieces: Vec<_> = prompt.pieces().into_iter().map(owned).collect();
    assert_eq!(pieces[1], (true, "<start_of_turn>".to_owned()));
    assert!(pieces[2].1.starts_with("model\n"));
    pieces[2].1.drain(.."model\n".len());
    let end = (true, "<start_function_response>".to_owned());
    let end = pieces.iter().position(|piece| *piece == end).unwrap();
    pieces[2..=end].to_vec()
}

/// The same as text.
pub fn written(calls: &[Call], prose: &str) -> String {
    let texts = pieces(calls, prose).into_iter().map(|(_, text)| text);
    texts.collect()
}

fn owned(piece: Piece<'_>) -> (bool, String) {
    match piece {
        Piece::Text(text) => (false, text.to_owned()),
        Piece::Control(token) => (true, token.to_owned()),
    }
}

/// Numbers that mean the same are the same: the format writes them as Python does.
pub fn alike(value: &Value) -> Value {
    match value {
        Value::Number(number) if number.to_string().contains(['.', 'e', 'E']) => {
            Value::String(format!("float {:?}", number.as_f64().unwrap()))
        }
        Value::Array(values) => values.iter().map(alike).collect(),
        Value::Object(map) => Value::Object(
            map.iter()
                .map(|(key, value)| (key.clone(), alike(value)))
                .collect(),
        ),
        other => other.clone(),
    }
}
