//! `/v1/responses`: whole, and as events that clients put together to the same.

use serde_json::{Value, json};

use crate::by_hand::{Answer, Front};

const PATH: &str = "/v1/responses";

fn tool() -> Value {
    let mut tool = crate::common::convert_units();
    tool["type"] = json!("function");
    tool
}

/// The events of a stream: their names stand before them, and their numbers rise.
fn events(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let mut events = Vec::new();
    for event in answer.body.split_terminator("\n\n") {
        let (name, data) = event.split_once('\n').unwrap();
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(name, format!("event: {}", data["type"].as_str().unwrap()));
        assert_eq!(data["sequence_number"], events.len());
        events.push(data);
    }
    events
}

/// The items, from the events alone.
fn put_together(events: &[Value]) -> Value {
    let mut items: Vec<Value> = Vec::new();
    for event in events {
        let at = event["output_index"].as_u64().map(|at| at as usize);
        match event["type"].as_str().unwrap() {
            "response.output_item.added" => {
                assert_eq!(at, Some(items.len()));
                items.push(event["item"].clone());
            }
            "response.content_part.added" => {
                let content = items[at.unwrap()]["content"].as_array_mut().unwrap();
                content.push(event["part"].clone());
            }
            "response.output_text.delta" => {
                let text = &mut items[at.unwrap()]["content"][0]["text"];
                *text = json!(format!(
                    "{}{}",
                    text.as_str().unwrap(),
                    event["delta"].as_str().unwrap()
                ));
            }
            "response.function_call_arguments.delta" => {
                let text = &mut items[at.unwrap()]["arguments"];
                *text = json!(format!(
                    "{}{}",
                    text.as_str().unwrap(),
                    event["delta"].as_str().unwrap()
                ));
            }
            "response.output_text.done" => {
                assert_eq!(items[at.unwrap()]["content"][0]["text"], event["text"]);
            }
            "response.function_call_arguments.done" => {
                assert_eq!(items[at.unwrap()]["arguments"], event["arguments"]);
            }
            "response.output_item.done" => {
                items[at.unwrap()]["status"] = event["item"]["status"].clone();
                assert_eq!(items[at.unwrap()], event["item"]);
            }
            _ => {}
        }
    }
    json!(items)
}

fn names(events: &[Value]) -> Vec<&str> {
    let mut names: Vec<&str> = events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    names.dedup();
    names
}

#[test]
fn a_text_is_one_message_whole_or_in_events() {
    let front = Front::start(&[]);
    let mut body =
        json!({"input": "Hello, who are you?", "instructions": null, "metadata": {"a": "b"}});
    let whole = front.post(PATH, &body).json();
    assert_eq!(
        (&whole["object"], &whole["status"]),
        (&json!("response"), &json!("completed"))
    );
    assert_eq!(
        (&whole["store"], &whole["metadata"]),
        (&json!(false), &json!({"a": "b"}))
    );
    let message = &whole["output"][0];
    assert_eq!(
        (&message["type"], &message["role"]),
        (&json!("message"), &json!("assistant"))
    );
    let chat = front.chat("Hello, who are you?", &json!({})).json();
    assert_eq!(
        message["content"][0]["text"],
        chat["choices"][0]["message"]["content"]
    );
    assert_eq!(
        whole["usage"]["input_tokens"],
        chat["usage"]["prompt_tokens"]
    );
    assert_eq!(
        whole["usage"]["output_tokens"],
        chat["usage"]["completion_tokens"]
    );
    body["stream"] = json!(true);
    let events = events(&front.post(PATH, &body));
    let expected = [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ];
    assert_eq!(names(&events), expected);
    let last = &events.last().unwrap()["response"];
    assert_eq!(put_together(&events), last["output"]);
    assert_eq!(last["output"][0]["content"], message["content"]);
    assert_eq!(last["id"], events[0]["response"]["id"]);
}

#[test]
fn a_function_is_called_and_its_output_comes_back() {
    let front = Front::start(&[]);
    let question = json!({"role": "user", "content": [{"type": "input_text", "text": "How many miles is 12 km?"}]});
    let mut body = json!({"input": [question], "tools": [tool()]});
    let whole = front.post(PATH, &body).json();
    let call = &whole["output"][0];
    assert_eq!(
        (&call["type"], &call["name"]),
        (&json!("function_call"), &json!("convert_units"))
    );
    body["stream"] = json!(true);
    let events = events(&front.post(PATH, &body));
    let expected = [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.completed",
    ];
    assert_eq!(names(&events), expected);
    let last = &events.last().unwrap()["response"];
    assert_eq!(put_together(&events), last["output"]);
    assert_eq!(last["output"][0]["arguments"], call["arguments"]);
    let output = json!({"type": "function_call_output", "call_id": call["call_id"], "output": "{\"value\":7.456,\"unit\":\"miles\"}"});
    let told = front
        .post(
            PATH,
            &json!({"input": [question, call, output], "tools": [tool()]}),
        )
        .json();
    let text = told["output"][0]["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("7.456"), "{told}");
}

#[test]
fn a_choice_a_format_and_a_limit_are_kept_to() {
    let front = Front::start(&[]);
    let ring = json!({"type": "function", "name": "ring"});
    let allowed = json!({"type": "allowed_tools", "mode": "required", "tools": [ring]});
    for choice in [ring.clone(), allowed] {
        let body = json!({"input": "How many miles is 12 km?", "tools": [tool(), ring], "tool_choice": choice});
        let answer = front.post(PATH, &body).json();
        let called = answer["output"]
            .as_array()
            .unwrap()
            .iter()
            .all(|item| item["name"] == "ring");
        assert!(called && answer["tool_choice"] == choice, "{answer}");
    }
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": false});
    let format = json!({"type": "json_schema", "name": "n", "schema": schema, "strict": true});
    let answer = front
        .post(PATH, &json!({"input": "Hello", "text": {"format": format}}))
        .json();
    let text = answer["output"][0]["content"][0]["text"].as_str().unwrap();
    assert!(
        serde_json::from_str::<Value>(text).unwrap()["n"].is_i64(),
        "{text}"
    );
    for stream in [false, true] {
        let body =
            json!({"input": "Hello, who are you?", "max_output_tokens": 2, "stream": stream});
        let answer = front.post(PATH, &body);
        let cut = if stream {
            let events = events(&answer);
            assert_eq!(events.last().unwrap()["type"], "response.incomplete");
            events.last().unwrap()["response"].clone()
        } else {
            answer.json()
        };
        assert_eq!(cut["status"], "incomplete");
        assert_eq!(
            cut["incomplete_details"],
            json!({"reason": "max_output_tokens"})
        );
        assert_eq!(cut["output"][0]["status"], "incomplete");
    }
}

#[test]
fn what_fails_is_told_in_the_fields_of_this_api() {
    let front = Front::start(&[]);
    for (body, param) in [
        (
            json!({"input": "x", "previous_response_id": "resp_1"}),
            "previous_response_id",
        ),
        (json!({"input": "x", "store": true}), "store"),
        (
            json!({"input": [{"role": "user", "content": "x"}, {"role": "system", "content": "y"}]}),
            "input",
        ),
        (json!({"input": "x", "temperature": -1}), "temperature"),
        (
            json!({"input": "x", "tools": [tool()], "text": {"format": {"type": "json_object"}}}),
            "text.format",
        ),
        (json!({"messages": []}), "input"),
    ] {
        let error = front.post(PATH, &body).error(400);
        assert_eq!(error["param"], param, "{error}");
    }
    let list = json!({"type": "array", "items": {"type": "integer"}, "minItems": 2000});
    let format = json!({"type": "json_schema", "name": "n", "schema": list});
    let late = json!({"input": "x", "stream": true, "text": {"format": format}, "callspan": {"timeout_ms": 300}});
    let events = events(&front.post(PATH, &late));
    let last = events.last().unwrap();
    assert_eq!(last["type"], "response.failed");
    assert_eq!(last["response"]["status"], "failed");
    let error = &last["response"]["error"];
    assert_eq!(error["code"], "server_error");
    assert_eq!(error["callspan"]["code"], "deadline_exceeded");
    let mut bad = tool();
    bad["parameters"]["properties"]["value"]["not"] = json!({"const": 12});
    let invalid = json!({"input": "How many miles is 12 km?", "tools": [bad]});
    assert_eq!(
        front.post(PATH, &invalid).error(422)["code"],
        "invalid_call"
    );
}
