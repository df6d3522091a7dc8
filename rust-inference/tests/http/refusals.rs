//! What is not honoured is refused, with the field's name, in OpenAI's words for errors.

use serde_json::{Value, json};

use crate::by_hand::{Front, convert_units};

#[test]
fn every_field_that_is_not_honoured_is_named() {
    let front = Front::start(&[]);
    let image = json!([{"type": "image_url", "image_url": {"url": "data:image/png;base64,"}}]);
    let custom = json!({"type": "custom", "custom": {"name": "x"}});
    for (more, param, code) in [
        (
            json!({"frequency_penalty": 1}),
            "frequency_penalty",
            Some("unsupported_parameter"),
        ),
        (
            json!({"presence_penalty": 1}),
            "presence_penalty",
            Some("unsupported_parameter"),
        ),
        (
            json!({"logit_bias": {"5": 1}}),
            "logit_bias",
            Some("unsupported_parameter"),
        ),
        (json!({"audio": {}}), "audio", Some("unsupported_parameter")),
        (
            json!({"modalities": ["audio"]}),
            "modalities",
            Some("unsupported_parameter"),
        ),
        (
            json!({"prediction": {}}),
            "prediction",
            Some("unsupported_parameter"),
        ),
        (
            json!({"web_search_options": {}}),
            "web_search_options",
            Some("unsupported_parameter"),
        ),
        (
            json!({"reasoning_effort": "low"}),
            "reasoning_effort",
            Some("unsupported_parameter"),
        ),
        (
            json!({"store": true}),
            "store",
            Some("unsupported_parameter"),
        ),
        (
            json!({"functions": []}),
            "functions",
            Some("unsupported_parameter"),
        ),
        (
            json!({"function_call": "auto"}),
            "function_call",
            Some("unsupported_parameter"),
        ),
        (
            json!({"tools": [custom]}),
            "tools[0].type",
            Some("unsupported_parameter"),
        ),
        (json!({"best_of": 2}), "best_of", Some("unknown_parameter")),
        (
            json!({"messages": [{"role": "user", "content": image}]}),
            "messages[0].content[0].type",
            Some("unsupported_parameter"),
        ),
        (
            json!({"messages": [{"role": "user", "content": "x", "magic": 1}]}),
            "messages[0].magic",
            Some("unknown_parameter"),
        ),
        (json!({"messages": []}), "messages", None),
        (json!({"messages": "Hello"}), "messages", None),
        (
            json!({"max_tokens": 1, "max_completion_tokens": 2}),
            "max_tokens",
            None,
        ),
        (json!({"n": 0}), "n", None),
        (
            json!({"stream_options": {"include_usage": true}}),
            "stream_options",
            None,
        ),
        (
            json!({"callspan": {"magic": 1}}),
            "callspan.magic",
            Some("unknown_parameter"),
        ),
        // These the service refuses.
        (json!({"temperature": -1}), "temperature", None),
        (json!({"top_p": 2}), "top_p", None),
        (json!({"stop": ""}), "stop", None),
        (json!({"stop": vec!["x"; 17]}), "stop", None),
        (json!({"tool_choice": "required"}), "tool_choice", None),
        (
            json!({"tools": [convert_units()], "response_format": {"type": "json_object"}}),
            "response_format",
            None,
        ),
        (
            json!({"response_format": {"type": "json_object"}, "stop": "x"}),
            "stop",
            None,
        ),
        (
            json!({"messages": [{"role": "user", "content": "a"}, {"role": "system", "content": "b"}]}),
            "messages[1]",
            None,
        ),
        (
            json!({"messages": [{"role": "tool", "tool_call_id": "c", "content": "b"}]}),
            "messages[0]",
            None,
        ),
    ] {
        let error = front.chat("Hello", &more).error(400);
        assert_eq!(error["type"], "invalid_request_error");
        assert_eq!(error["param"], param, "{more}: {error}");
        assert_eq!(error["code"], json!(code), "{more}: {error}");
    }
    let adapter = front.chat("Hello", &json!({"callspan": {"adapter": "nobody"}}));
    assert_eq!(adapter.error(404)["code"], "not_found");
}

#[test]
fn what_changes_nothing_is_taken() {
    let front = Front::start(&[]);
    let plain = front.chat("Hello, who are you?", &json!({})).json();
    let fine = json!({
        "user": "u", "metadata": {"a": "b"}, "store": false, "service_tier": "auto", "n": 1,
        "safety_identifier": "s", "prompt_cache_key": "k", "frequency_penalty": 0, "presence_penalty": 0.0,
        "logit_bias": null, "modalities": ["text"], "reasoning_effort": "none", "tools": [], "stop": null,
        "logprobs": false, "parallel_tool_calls": true,
    });
    let answer = front.chat("Hello, who are you?", &fine).json();
    assert_eq!(answer["choices"], plain["choices"]);
}

#[test]
fn a_prompt_that_is_too_long_has_the_code_that_clients_know() {
    let front = Front::start(&[]);
    let error = front.chat(&"word ".repeat(5000), &json!({})).error(400);
    assert_eq!(error["code"], "context_length_exceeded");
    assert!(
        error["message"].as_str().unwrap().contains("4096"),
        "{error}"
    );
}

#[test]
fn what_is_no_request_is_told_so() {
    let front = Front::start(&[]);
    let ask = |kind: &str, body: &str| {
        let mut wire = front.tcp();
        wire.send(&format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            body.len()
        ));
        wire.answer()
    };
    let json = "Content-Type: application/json; charset=utf-8\r\n";
    for (body, said) in [
        ("{\"messages\": [", "not JSON"),
        ("", "not JSON"),
        ("[]", "not a JSON object"),
        ("\"x\"", "not a JSON object"),
    ] {
        let error = ask(json, body).error(400);
        assert!(error["message"].as_str().unwrap().contains(said), "{error}");
    }
    let deep = "[".repeat(100_000);
    ask(json, &deep).error(400);
    for kind in [
        "",
        "Content-Type: text/plain\r\n",
        "Content-Type: application/x-www-form-urlencoded\r\n",
    ] {
        let error = ask(kind, "{}").error(415);
        assert!(
            error["message"]
                .as_str()
                .unwrap()
                .contains("application/json"),
            "{error}"
        );
    }
    ask(&format!("{json}Content-Encoding: gzip\r\n"), "{}").error(415);
    // And the server is as it was.
    assert_eq!(
        front
            .chat("Hello", &Value::Object(serde_json::Map::new()))
            .status,
        200
    );
}
