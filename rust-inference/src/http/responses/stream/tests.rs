use proptest::prelude::*;

use super::*;
use crate::http::scripts::{Part, Told, deltas, done, parts, told};

fn events(bodies: Vec<Body>) -> Vec<Value> {
    let mut steps = Steps::new(Head::new("m".to_owned(), Map::new()));
    let mut events = Events::default();
    for body in bodies {
        steps.item(0, body, &mut events).unwrap();
    }
    steps.end(&mut events);
    (events.all().split_terminator("\n\n"))
        .map(|event| {
            let (_, data) = event.split_once("\ndata: ").unwrap();
            serde_json::from_str(data).unwrap()
        })
        .collect()
}

/// What stands at the end: the text of all messages, and the calls.
fn told_at_the_end(events: &[Value]) -> (String, Vec<(String, String)>) {
    let (mut text, mut calls) = (String::new(), Vec::new());
    let response = &events.last().unwrap()["response"];
    for item in response["output"].as_array().unwrap() {
        match item["type"].as_str().unwrap() {
            "message" => text.push_str(item["content"][0]["text"].as_str().unwrap()),
            _ => calls.push((
                item["name"].as_str().unwrap().to_owned(),
                item["arguments"].as_str().unwrap().to_owned(),
            )),
        }
    }
    (text, calls)
}

/// Each item is begun once, told only while it is open, closed once, and then the sum of its pieces.
fn check_order(events: &[Value]) {
    let mut open = Vec::new();
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number);
        let at = event["output_index"].as_u64().map(|at| at as usize);
        let kind = event["type"].as_str().unwrap();
        match (kind, at) {
            ("response.output_item.added", Some(at)) => {
                assert_eq!(at, open.len());
                open.push(Some(String::new()));
            }
            ("response.output_item.done", Some(at)) => {
                let item = &event["item"];
                let text = item["content"][0]["text"]
                    .as_str()
                    .or(item["arguments"].as_str());
                assert_eq!(open[at].take().as_deref(), text);
            }
            (_, Some(at)) => {
                let text = open[at].as_mut().expect("an open item");
                text.push_str(event["delta"].as_str().unwrap_or_default());
            }
            (_, None) => assert!(number < 2 || number == events.len() - 1, "{kind}"),
        }
    }
    assert!(open.iter().all(Option::is_none), "an item is left open");
}

proptest! {
    #[test]
    fn however_an_answer_is_told_its_events_are_the_whole(
        parts in parts(), told in told(), size in 1usize..6,
    ) {
        let whole = done(&parts);
        let mut bodies = deltas(&parts, told, size);
        bodies.push(Body::Done(whole.clone()));
        let events = events(bodies);
        check_order(&events);
        let (text, calls) = told_at_the_end(&events);
        prop_assert_eq!(text, whole.content);
        let expected: Vec<_> = (whole.tool_calls.into_iter()).map(|call| (call.name, call.arguments)).collect();
        prop_assert_eq!(calls, expected);
    }
}

#[test]
fn a_call_that_was_cut_off_is_incomplete() {
    let call = Part::Call("f".to_owned(), "{\"a\":1}".to_owned());
    let mut bodies: Vec<Body> = deltas(&[call], Told::InPieces, 3)
        .into_iter()
        .take(2)
        .collect();
    bodies.push(Body::Done(Done {
        finish_reason: "length".to_owned(),
        ..Done::default()
    }));
    let events = events(bodies);
    check_order(&events);
    let last = events.last().unwrap();
    assert_eq!(last["type"], "response.incomplete");
    assert_eq!(last["response"]["output"][0]["status"], "incomplete");
}
