//! For whatever calls and however the text is cut or damaged: what was rendered is read back, the cuts do not matter,
//! and nothing panics.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside of the tests' own functions"
)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use proptest::{collection::vec, prelude::*, strategy::ValueTree, test_runner::TestRunner};
use rust_inference::functiongemma::{
    Call, Conversation, Event, Message, ParseError, Parser, Role, Tool, Toolbox, parse, render,
};
use serde_json::{Map, Number, Value};

const CONTROLS: [&str; 11] = [
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
fn text() -> impl Strategy<Value = String> {
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

/// Keys with what is special to the format, except the delimiter.
fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        "[A-Za-z_][A-Za-z0-9_.-]{0,8}",
        text(),
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

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        text().prop_map(Value::String),
        number().prop_map(Value::Number),
        any::<bool>().prop_map(Value::Bool),
        Just(Value::Null),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::Array),
            vec((key(), inner), 0..4).prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let arguments =
        vec((key(), value()), 0..4).prop_map(|pairs| pairs.into_iter().collect::<Map<_, _>>());
    let name = prop::sample::select(vec!["f", "get.time", "a-b", "größe"]);
    let call = (name, arguments).prop_map(|(name, arguments)| Call {
        id: String::new(),
        name: name.to_owned(),
        arguments,
    });
    vec(call, 1..4)
}

fn toolbox() -> Arc<Toolbox> {
    let tool = |name: &str| Tool {
        name: name.to_owned(),
        description: String::new(),
        parameters: Some(Map::new()),
    };
    let tools: Vec<_> = ["f", "get.time", "a-b", "größe"]
        .into_iter()
        .map(tool)
        .collect();
    Arc::new(Toolbox::new(&tools).unwrap())
}

/// What a model trained on this format would have written: the calls as they stand in a rendered history.
fn written(calls: &[Call], prose: &str) -> String {
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
    let prompt = render(&conversation).unwrap().text();
    let turn = prompt.strip_prefix("<bos><start_of_turn>model\n").unwrap();
    let responses = calls
        .iter()
        .map(|call| {
            format!(
                "<start_function_response>response:{}{{value:None}}<end_function_response>",
                call.name
            )
        })
        .collect::<Vec<_>>()
        .concat();
    format!(
        "{}<start_function_response>",
        turn.strip_suffix(&responses).unwrap()
    )
}

/// Numbers that mean the same are the same: the format writes them as Python does.
fn alike(value: &Value) -> Value {
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

/// The events of a text that comes in portions, neighbouring texts joined.
fn portioned<'a>(portions: impl Iterator<Item = &'a str>) -> (Vec<Event>, Option<ParseError>) {
    let mut parser = Parser::new(toolbox());
    let mut events: Vec<Event> = portions.flat_map(|portion| parser.push(portion)).collect();
    let error = match parser.finish() {
        Ok(rest) => {
            events.extend(rest);
            None
        }
        Err(error) => Some(error),
    };
    let mut joined: Vec<Event> = Vec::new();
    for event in events {
        match (joined.last_mut(), event) {
            (Some(Event::Text(before)), Event::Text(text)) => before.push_str(&text),
            (_, event) => joined.push(event),
        }
    }
    (joined, error)
}

fn cut(text: &str, at: usize) -> [&str; 2] {
    let (before, after) = text.split_at(text.floor_char_boundary(at));
    [before, after]
}

proptest! {
    #[test]
    fn what_was_rendered_is_read_back(calls in calls(), prose in "[a-z .]{0,20}") {
        let text = written(&calls, &prose);
        let (content, read) = parse(toolbox(), &text).unwrap();
        prop_assert_eq!(content, prose.trim());
        let pairs = |calls: &[Call]| -> Vec<_> {
            calls.iter().map(|call| (call.name.clone(), alike(&Value::Object(call.arguments.clone())))).collect()
        };
        prop_assert_eq!(pairs(&read), pairs(&calls), "{}", text);
    }

    #[test]
    fn every_cut_gives_the_same(calls in calls(), prose in text()) {
        let text = format!("{prose}{}", written(&calls, ""));
        let whole = portioned(std::iter::once(text.as_str()));
        for at in 0..=text.len() {
            prop_assert_eq!(&portioned(cut(&text, at).into_iter()), &whole, "cut at {}", at);
        }
        let characters = text.char_indices().map(|(at, c)| &text[at..at + c.len_utf8()]);
        prop_assert_eq!(&portioned(characters), &whole);
    }
}

#[test]
fn ten_thousand_damaged_outputs_do_no_harm() {
    let mut runner = TestRunner::deterministic();
    let edit = (
        any::<prop::sample::Index>(),
        0u8..5,
        prop::sample::select(CONTROLS.to_vec()),
        any::<char>(),
    );
    let damage = (
        calls(),
        vec(edit, 1..6),
        vec(any::<prop::sample::Index>(), 0..6),
    );
    let (mut errors, mut events) = (0, 0);
    for _ in 0..10_000 {
        let (calls, edits, cuts) = damage.new_tree(&mut runner).unwrap().current();
        let mut text = written(&calls, "Some prose");
        for (index, kind, control, letter) in edits {
            let at = text.floor_char_boundary(index.index(text.len() + 1));
            let next = text.ceil_char_boundary((at + 1).min(text.len()));
            match kind {
                0 => text.insert(at, letter),
                1 => text.insert_str(at, control),
                2 => text.truncate(at),
                3 => text.replace_range(at..next, ""),
                _ => text.replace_range(at..next, letter.encode_utf8(&mut [0; 4])),
            }
        }
        let whole = portioned(std::iter::once(text.as_str()));
        errors += usize::from(whole.1.is_some());
        events += whole.0.len();
        if let Some(error) = &whole.1 {
            assert!(error.at <= text.len(), "{error} of {} bytes", text.len());
        }
        let mut places: Vec<usize> = cuts
            .iter()
            .map(|cut| text.floor_char_boundary(cut.index(text.len() + 1)))
            .collect();
        places.extend([0, text.len()]);
        places.sort_unstable();
        let portions = places.windows(2).map(|pair| &text[pair[0]..pair[1]]);
        assert_eq!(portioned(portions), whole, "{text}");
    }
    assert!(
        errors > 2_000 && events > 2_000,
        "the damage must be felt: {errors} errors, {events} events"
    );
}

/// Work grows with the length of a text, not with its square: an endless string in tiny portions, and a long text of
/// many calls and false beginnings at once. A text searched anew at each portion would take hours.
#[test]
fn a_long_output_is_read_in_time() {
    let started = Instant::now();
    let mut parser = Parser::new(toolbox());
    parser.push("<start_function_call>call:f{x:<escape>");
    let in_time = || assert!(started.elapsed() < Duration::from_mins(1));
    for portion in 0..4 << 20 {
        assert!(parser.push("<").is_empty());
        if portion % 4096 == 0 {
            in_time();
        }
    }
    let events = parser.push("<escape>}<end_function_call>");
    let [Event::Call { arguments, .. }] = events.as_slice() else {
        panic!("{} events", events.len());
    };
    assert_eq!(arguments["x"].as_str().unwrap().len(), 4 << 20);
    let call = "<<start_<start_function_call>call:f{x:[<escape><<end_<escape>]}<end_function_call>";
    let (content, calls) = parse(toolbox(), &call.repeat(1 << 16)).unwrap();
    assert_eq!((content.len(), calls.len()), (8 << 16, 1 << 16));
    in_time();
}
