//! What is not valid is asked for once more, as long as the client has heard nothing of it, and else ends in `invalid_call`.

use serde_json::{Value, json};

use crate::fake::{Fake, answer, ask, call, chunked, events, message, piece, question, text, with};

fn good() -> Value {
    message(
        &json!({"content": null, "tool_calls": [call("get_weather", r#"{"location":"Paris"}"#)]}),
        "tool_calls",
    )
}

fn said(content: &str) -> Value {
    message(&json!({"role": "assistant", "content": content}), "stop")
}

fn made(name: &str, arguments: &str) -> Value {
    message(
        &json!({"content": "", "tool_calls": [call(name, arguments)]}),
        "tool_calls",
    )
}

/// Answers that are not what was asked for, what more the question says, and what is wrong.
fn wrong() -> Vec<(Value, Value, &'static str)> {
    let nothing = json!({});
    vec![
        (
            made("get_weather", r#"{"location":"#),
            nothing.clone(),
            "not JSON",
        ),
        (
            made("get_weather", r#"{"location":5}"#),
            nothing.clone(),
            "not of type",
        ),
        (
            made("get_weather", r#"{"location":"Paris","days":0}"#),
            nothing.clone(),
            "minimum of 1",
        ),
        (
            made("get_weather", r#"{"location":"Paris","location":"Rome"}"#),
            nothing.clone(),
            "comes twice",
        ),
        (made("get_weather", "{}"), nothing.clone(), "required"),
        (
            made("rm_rf", "{}"),
            nothing.clone(),
            "unknown function \"rm_rf\"",
        ),
        (
            message(&json!({"content": null}), "tool_calls"),
            nothing.clone(),
            "there is none",
        ),
        (
            said("I would rather not."),
            json!({"tool_choice": "required"}),
            "makes no call",
        ),
        (
            said("Paris"),
            json!({"tool_choice": "function:get_weather"}),
            "makes no call",
        ),
    ]
}

#[test]
fn what_is_not_valid_is_asked_for_once_more_with_what_is_wrong() {
    let fake = Fake::new();
    let server = fake.server(&[]);
    for (bad, more, problem) in wrong() {
        for stream in [false, true] {
            fake.posts([answer(&bad), answer(&good())]);
            let asked = with(with(question(), &more), &json!({"stream": stream}));
            let (text, calls, done) = ask(&server, &asked);
            let done = &done["done"];
            assert_eq!(done["finish_reason"], "tool_calls", "{problem}: {done}");
            assert_eq!(
                done["tool_calls"][0]["arguments"],
                r#"{"location":"Paris"}"#
            );
            assert_eq!((text.as_str(), calls.len()), ("", usize::from(stream)));
            let warnings = done["warnings"].to_string();
            assert!(
                warnings.contains("asked for once more")
                    && warnings.contains(&problem.replace('"', "\\\"")),
                "{warnings}"
            );
            assert_eq!(
                warnings.matches("was not constrained").count(),
                1,
                "{warnings}"
            );
            // What both cost.
            assert_eq!(
                (
                    &done["usage"]["prompt_tokens"],
                    &done["usage"]["completion_tokens"]
                ),
                (&json!(40), &json!(10))
            );
            let [first, second] = &fake.asked()[..] else {
                panic!("two questions");
            };
            assert_eq!(
                (&first.body["stream"], &second.body["stream"]),
                (&json!(stream), &json!(false))
            );
            let messages = second.body["messages"].as_array().unwrap();
            let roles: Vec<_> = messages
                .iter()
                .map(|message| message["role"].as_str().unwrap())
                .collect();
            assert_eq!(roles, ["user", "assistant", "user"]);
            assert!(
                messages[2]["content"].as_str().unwrap().contains(problem),
                "{messages:?}"
            );
            assert_ne!(messages[1]["content"], "");
        }
    }
}

#[test]
fn what_is_not_valid_twice_is_an_invalid_call_and_no_third_question() {
    let fake = Fake::new();
    let server = fake.server(&[]);
    for (bad, more, problem) in wrong() {
        for stream in [false, true] {
            fake.posts([answer(&bad)]);
            let asked = with(with(question(), &more), &json!({"stream": stream}));
            let (_, calls, done) = ask(&server, &asked);
            let done = &done["done"];
            assert_eq!(
                (&done["finish_reason"], calls.len()),
                (&json!("invalid_call"), 0),
                "{done}"
            );
            assert!(done["tool_calls"].is_null(), "{done}");
            let error = &done["error"];
            assert_eq!(error["code"], "INVALID_ARGUMENT");
            assert!(
                error["message"].as_str().unwrap().contains(problem),
                "{done}"
            );
            assert_eq!(fake.asked().len(), 2);
        }
    }
}

#[test]
fn what_the_client_has_heard_is_not_taken_back() {
    let fake = Fake::new();
    let server = fake.server(&[]);
    let heard = [
        piece(&json!({"content": "I shall call."}), None),
        piece(
            &json!({"tool_calls": [{"index": 0, "function": {"name": "get_weather", "arguments": "{\"loc"}}]}),
            None,
        ),
        piece(&json!({}), Some("tool_calls")),
    ];
    fake.posts([chunked(&events(&heard), 99), answer(&good())]);
    let (heard_text, calls, done) = ask(&server, &with(question(), &json!({"stream": true})));
    let done = &done["done"];
    assert_eq!((heard_text.as_str(), calls.len()), ("I shall call.", 0));
    assert_eq!(done["finish_reason"], "invalid_call", "{done}");
    // What it wrote, for people to see.
    assert!(
        done["content"]
            .as_str()
            .unwrap()
            .starts_with("I shall call.\n{\"name\":\"get_weather\",\"arguments\":{\"loc")
    );
    assert_eq!(fake.asked().len(), 1);
    // Where a call must come text is not told before it, so that there is nothing to be taken back.
    fake.posts([chunked(&events(&text("No ", "call.")), 99), answer(&good())]);
    let asked = json!({"stream": true, "tool_choice": "required"});
    let (heard_text, calls, done) = ask(&server, &with(question(), &asked));
    assert_eq!((heard_text.as_str(), calls.len()), ("", 1), "{done}");
    assert_eq!(done["done"]["finish_reason"], "tool_calls");
}

#[test]
fn a_call_that_is_not_to_be_made_is_not_told() {
    let fake = Fake::new();
    let server = fake.server(&[]);
    fake.posts([answer(&good()), answer(&said("It rains."))]);
    let (_, _, done) = ask(&server, &with(question(), &json!({"tool_choice": "none"})));
    assert_eq!(done["done"]["content"], "It rains.", "{done}");
    assert_eq!(fake.asked()[0].body["tool_choice"], "none");
    // Nor is one of a tool that nobody offered.
    fake.posts([answer(&good())]);
    let (_, _, done) = ask(
        &server,
        &json!({"chat": {"messages": [{"role": "user", "content": "Hello"}]}}),
    );
    assert_eq!(done["done"]["finish_reason"], "invalid_call", "{done}");
    assert!(
        done.to_string().contains("expected one of: no functions"),
        "{done}"
    );
}

#[test]
fn json_is_what_was_promised_or_an_invalid_answer() {
    let fake = Fake::new();
    let server = fake.server(&[]);
    let schema = r#"{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}"#;
    let asked = json!({"chat": {"messages": [{"role": "user", "content": "How many?"}]},
        "response_format": {"type": "json_schema", "schema": schema}});
    fake.posts([answer(&said("{\"n\": 3}"))]);
    let (_, _, done) = ask(&server, &asked);
    assert_eq!(
        (&done["done"]["finish_reason"], &done["done"]["content"]),
        (&json!("stop"), &json!("{\"n\": 3}"))
    );
    assert!(done.to_string().contains("was not constrained"), "{done}");
    for bad in [
        "```json\n{\"n\": 3}\n```",
        "three",
        "{\"n\": \"3\"}",
        "{\"n\": 1, \"n\": 3}",
        "",
    ] {
        fake.posts([answer(&said(bad)), answer(&said("{\"n\": 3}"))]);
        let (_, _, done) = ask(&server, &asked);
        assert_eq!(
            (&done["done"]["finish_reason"], &done["done"]["content"]),
            (&json!("stop"), &json!("{\"n\": 3}")),
            "{bad}"
        );
        fake.posts([answer(&said(bad))]);
        let (_, _, done) = ask(&server, &asked);
        assert_eq!(
            done["done"]["finish_reason"], "invalid_call",
            "{bad}: {done}"
        );
        // Streamed, it was told already.
        if !bad.is_empty() {
            fake.posts([
                chunked(&events(&text(bad, "")), 99),
                answer(&said("{\"n\": 3}")),
            ]);
            let (told, _, done) = ask(&server, &with(asked.clone(), &json!({"stream": true})));
            assert_eq!(
                (told.as_str(), &done["done"]["finish_reason"]),
                (bad, &json!("invalid_call")),
                "{done}"
            );
        }
    }
    fake.posts([answer(&good())]);
    let (_, _, done) = ask(&server, &asked);
    assert_eq!(done["done"]["finish_reason"], "invalid_call", "{done}");
}

#[test]
fn a_server_that_fails_when_asked_again_is_told_of() {
    let fake = Fake::new();
    let server = fake.server(&[]);
    fake.posts([
        answer(&made("rm_rf", "{}")),
        crate::fake::reply(500, "text/plain", "no more"),
    ]);
    let (_, _, end) = ask(&server, &question());
    assert_eq!(end["error"]["code"], "INTERNAL", "{end}");
}
