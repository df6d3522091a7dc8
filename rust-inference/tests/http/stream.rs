//! `/v1/chat/completions` with `"stream": true`: what a client puts together of the chunks is the whole answer.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::by_hand::{Front, chat, convert_units, endless, post};

/// One choice, put together as `OpenAI`'s clients do.
#[derive(Debug, Default, PartialEq)]
struct Choice {
    role: String,
    content: Option<String>,
    /// Id, name and arguments by index.
    calls: BTreeMap<u64, [String; 3]>,
    finish_reason: String,
    logprobs: usize,
}

fn put_together(events: &[Value]) -> BTreeMap<u64, Choice> {
    let mut choices = BTreeMap::<u64, Choice>::new();
    for event in events {
        assert_eq!(event["object"], "chat.completion.chunk");
        assert_eq!(event["id"], events[0]["id"]);
        for part in event["choices"].as_array().unwrap() {
            let choice = choices.entry(part["index"].as_u64().unwrap()).or_default();
            assert_eq!(choice.finish_reason, "", "a chunk behind the last");
            let delta = &part["delta"];
            if let Some(role) = delta["role"].as_str() {
                choice.role.push_str(role);
            }
            if let Some(text) = delta["content"].as_str() {
                choice.content.get_or_insert_default().push_str(text);
            }
            for call in delta["tool_calls"].as_array().unwrap_or(&Vec::new()) {
                let index = call["index"].as_u64().unwrap();
                let first = !choice.calls.contains_key(&index);
                let known = choice.calls.entry(index).or_default();
                // The first has all but the arguments, the others have only these.
                assert_eq!(call.get("id").is_some(), first);
                assert_eq!(call.get("type").is_some(), first);
                assert_eq!(call["function"].get("name").is_some(), first);
                assert!(!first || call["function"]["arguments"] == "");
                for (at, text) in [
                    &call["id"],
                    &call["function"]["name"],
                    &call["function"]["arguments"],
                ]
                .into_iter()
                .enumerate()
                {
                    known[at].push_str(text.as_str().unwrap_or_default());
                }
            }
            choice.logprobs += part["logprobs"]["content"].as_array().map_or(0, Vec::len);
            if let Some(reason) = part["finish_reason"].as_str() {
                reason.clone_into(&mut choice.finish_reason);
            }
        }
    }
    choices
}

#[test]
fn the_pieces_of_a_text_are_the_whole_one() {
    let front = Front::start(&[]);
    let whole = front.chat("Hello, who are you?", &json!({})).json();
    let events = front.stream("Hello, who are you?", &json!({"logprobs": true}));
    let choices = put_together(&events);
    let choice = &choices[&0];
    assert_eq!(choice.role, "assistant");
    assert_eq!(
        choice.content.as_deref(),
        whole["choices"][0]["message"]["content"].as_str()
    );
    assert_eq!((choice.finish_reason.as_str(), choices.len()), ("stop", 1));
    assert_eq!(
        choice.logprobs as u64,
        whole["usage"]["completion_tokens"].as_u64().unwrap()
    );
    assert!(events.len() > 3, "in pieces");
    assert!(events.iter().all(|event| event.get("usage").is_none()));
    assert_eq!(
        events.last().unwrap()["callspan"]["guarantee"],
        "constrained"
    );
}

#[test]
fn the_pieces_of_calls_are_the_whole_ones() {
    let front = Front::start(&[]);
    let two = json!({"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2});
    let pair = json!({"type": "function", "function": {"name": "pair", "parameters":
        {"type": "object", "properties": {"numbers": two, "word": {"enum": ["é\"\\", "ü\n"]}}, "required": ["numbers", "word"]}}});
    for (sentence, more) in [
        (
            "How many miles is 12 km?",
            json!({"tools": [convert_units()]}),
        ),
        (
            "Hello",
            json!({"tools": [pair], "tool_choice": "required", "max_tokens": 300}),
        ),
        // Two calls at least, because the model may not stop before.
        (
            "Hello",
            json!({"tools": [pair], "tool_choice": "required", "callspan": {"max_calls": 2}, "max_tokens": 300}),
        ),
    ] {
        let whole = front.chat(sentence, &more).json();
        let choice = put_together(&front.stream(sentence, &more))
            .remove(&0)
            .unwrap();
        let calls = whole["choices"][0]["message"]["tool_calls"]
            .as_array()
            .unwrap();
        assert_eq!(choice.calls.len(), calls.len());
        for (call, [id, name, arguments]) in calls.iter().zip(choice.calls.values()) {
            assert!(id.starts_with("call_"));
            assert_eq!(call["function"]["name"], *name);
            assert_eq!(call["function"]["arguments"], *arguments);
            assert!(
                serde_json::from_str::<Value>(arguments)
                    .unwrap()
                    .is_object()
            );
        }
        assert_eq!(choice.finish_reason, "tool_calls");
        assert_eq!(choice.content, None);
    }
}

#[test]
fn a_call_that_is_only_checked_comes_whole_and_like_the_others() {
    let front = Front::start(&[]);
    let mut tool = convert_units();
    tool["function"]["parameters"]["properties"]["value"]["not"] = json!({"const": 13});
    let more = json!({"tools": [tool]});
    let events = front.stream("How many miles is 12 km?", &more);
    let choice = put_together(&events).remove(&0).unwrap();
    let [_, name, arguments] = &choice.calls[&0];
    assert_eq!(name, "convert_units");
    assert!(
        serde_json::from_str::<Value>(arguments)
            .unwrap()
            .is_object()
    );
    let warning = &events.last().unwrap()["callspan"]["warnings"][0];
    assert!(warning.as_str().unwrap().contains("not"), "{warning}");
}

#[test]
fn several_answers_come_interleaved_and_their_cost_last() {
    let front = Front::start(&[]);
    let more = json!({"n": 3, "seed": 1, "temperature": 2, "max_tokens": 20});
    let whole = front.chat("Hello", &more).json();
    let mut asked = more.clone();
    asked["stream_options"] = json!({"include_usage": true});
    let mut events = front.stream("Hello", &asked);
    let last = events.pop().unwrap();
    assert_eq!(last["choices"], json!([]));
    assert_eq!(
        last["usage"]["completion_tokens"],
        whole["usage"]["completion_tokens"]
    );
    assert!(events.iter().all(|event| event["usage"].is_null()));
    let choices = put_together(&events);
    assert_eq!(choices.len(), 3);
    for (index, choice) in &choices {
        let message = &whole["choices"][*index as usize]["message"];
        assert_eq!(choice.content.as_deref(), message["content"].as_str());
    }
    let order: Vec<u64> = (events.iter())
        .map(|event| event["choices"][0]["index"].as_u64().unwrap())
        .collect();
    assert!(!order.is_sorted(), "interleaved: {order:?}");
}

#[test]
fn what_fails_before_the_first_word_has_a_status_and_later_it_is_an_event() {
    let front = Front::start(&[]);
    let unknown = json!({"stream": true, "model": "nobody"});
    assert_eq!(
        front.chat("Hello", &unknown).error(404)["code"],
        "model_not_found"
    );
    let mut late = endless();
    late["callspan"] = json!({"timeout_ms": 300});
    let answer = front.chat("Hello", &late);
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, Some("text/event-stream"))
    );
    let events = answer.data();
    assert!(events.len() > 2);
    let error: Value = serde_json::from_str(events.last().unwrap()).unwrap();
    assert_eq!(error["error"]["code"], "deadline_exceeded", "{error}");
}

#[test]
fn each_piece_is_there_as_soon_as_it_is_written() {
    let front = Front::start(&[]);
    let mut wire = front.unix();
    wire.send(&post("/v1/chat/completions", &chat("Hello", &endless())));
    let (status, head) = wire.head();
    assert_eq!(status, 200, "{head}");
    let first = String::from_utf8(wire.chunk().unwrap()).unwrap();
    assert!(
        first.starts_with("data: {") && first.ends_with("\n\n"),
        "{first:?}"
    );
    // The rest is still being written.
    assert_eq!(front.server.detail("running"), "1");
}
