use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::http::scripts::{Part, deltas, done, parts, told};

/// The events of an answer, as values.
fn events(bodies: Vec<Body>) -> Vec<Value> {
    let mut chunks = Chunks::new(Head::new("m".to_owned()), 1, false);
    let mut events = Events::default();
    for body in bodies {
        chunks.item(0, body, &mut events).unwrap();
    }
    chunks.end(&mut events);
    let mut data: Vec<&str> = (events.all().split_terminator("\n\n"))
        .map(|event| event.strip_prefix("data: ").unwrap())
        .collect();
    assert_eq!(data.pop(), Some("[DONE]"));
    data.into_iter()
        .map(|text| serde_json::from_str(text).unwrap())
        .collect()
}

/// Text, and names and arguments of calls, as clients put them together.
fn put_together(events: &[Value]) -> (String, Vec<(String, String)>) {
    let mut text = String::new();
    let mut calls = BTreeMap::<u64, (String, String)>::new();
    for event in events {
        let delta = &event["choices"][0]["delta"];
        text.push_str(delta["content"].as_str().unwrap_or_default());
        for call in delta["tool_calls"].as_array().unwrap_or(&Vec::new()) {
            let known = calls.entry(call["index"].as_u64().unwrap()).or_default();
            known
                .0
                .push_str(call["function"]["name"].as_str().unwrap_or_default());
            known
                .1
                .push_str(call["function"]["arguments"].as_str().unwrap());
        }
    }
    (text, calls.into_values().collect())
}

proptest! {
    #[test]
    fn however_an_answer_is_told_its_chunks_are_the_whole(
        parts in parts(), told in told(), size in 1usize..6,
    ) {
        let whole = done(&parts);
        let mut bodies = deltas(&parts, told, size);
        bodies.push(Body::Done(whole.clone()));
        let events = events(bodies);
        let (text, calls) = put_together(&events);
        prop_assert_eq!(text, whole.content);
        let expected: Vec<_> = (whole.tool_calls.into_iter()).map(|call| (call.name, call.arguments)).collect();
        prop_assert_eq!(calls, expected);
        prop_assert_eq!(&events[0]["choices"][0]["delta"]["role"], "assistant");
        let roles = events.iter().filter(|event| event["choices"][0]["delta"].get("role").is_some());
        prop_assert_eq!(roles.count(), 1);
        prop_assert_eq!(&events.last().unwrap()["choices"][0]["finish_reason"], &whole.finish_reason);
    }
}

#[test]
fn a_call_that_was_cut_off_is_begun_and_not_told_again() {
    let begun = deltas(
        &[Part::Call("f".to_owned(), "{\"a\":1}".to_owned())],
        crate::http::scripts::Told::InPieces,
        3,
    );
    // All but its end.
    let mut bodies: Vec<Body> = begun.into_iter().take(2).collect();
    bodies.push(Body::Done(Done {
        finish_reason: "length".to_owned(),
        ..Done::default()
    }));
    let events = events(bodies);
    assert_eq!(
        put_together(&events).1,
        [("f".to_owned(), "{\"a".to_owned())]
    );
    assert_eq!(
        events.last().unwrap()["choices"][0]["finish_reason"],
        "length"
    );
}
