//! `/v1/chat/completions`, whole answers.

use serde_json::{Value, json};

use crate::{
    by_hand::{Front, chat, convert_units},
    common,
};

fn choice(answer: &Value) -> &Value {
    &answer["choices"][0]
}

fn content(answer: &Value) -> &str {
    choice(answer)["message"]["content"].as_str().unwrap()
}

#[test]
fn a_sentence_is_answered_as_over_the_protocol_on_either_socket() {
    let front = Front::start(&[]);
    let done = (front.server).generate(&json!({"chat": common::chat("Hello, who are you?")}));
    let answer = front.chat("Hello, who are you?", &json!({"model": "callspan-default"}));
    assert_eq!(answer.status, 200);
    assert!(answer.header("x-request-id").unwrap().starts_with("req_"));
    let answer = answer.json();
    assert_eq!(content(&answer), done["done"]["content"]);
    assert_eq!(choice(&answer)["finish_reason"], "stop");
    assert_eq!(choice(&answer)["message"]["role"], "assistant");
    assert_eq!(choice(&answer)["logprobs"], Value::Null);
    assert_eq!(answer["object"], "chat.completion");
    assert_eq!(answer["model"], "callspan-default");
    assert!(answer["id"].as_str().unwrap().starts_with("chatcmpl-"));
    assert!(answer["created"].as_u64().unwrap() > 1_700_000_000);
    let usage = &answer["usage"];
    assert_eq!(
        usage["prompt_tokens"],
        done["done"]["usage"]["prompt_tokens"]
    );
    let sum =
        usage["prompt_tokens"].as_u64().unwrap() + usage["completion_tokens"].as_u64().unwrap();
    assert_eq!(usage["total_tokens"], sum);
    assert!(
        usage["prompt_tokens_details"]["cached_tokens"]
            .as_u64()
            .unwrap()
            > 0
    );
    let mut wire = front.unix();
    wire.send(&crate::by_hand::post(
        "/v1/chat/completions",
        &chat("Hello, who are you?", &json!({})),
    ));
    assert_eq!(content(&wire.answer().json()), content(&answer));
}

#[test]
fn a_call_goes_out_and_its_result_comes_back() {
    let front = Front::start(&[]);
    let question = json!({"role": "user", "content": "How many miles is 12 km?"});
    let mut body = json!({"messages": [question], "tools": [convert_units()]});
    let answer = front.post("/v1/chat/completions", &body).json();
    assert_eq!(choice(&answer)["finish_reason"], "tool_calls");
    let message = choice(&answer)["message"].clone();
    assert_eq!(message["content"], Value::Null);
    let call = &message["tool_calls"][0];
    assert_eq!(
        (&call["type"], &call["function"]["name"]),
        (&json!("function"), &json!("convert_units"))
    );
    let arguments: Value =
        serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
    assert_eq!(
        arguments,
        json!({"from_unit": "km", "to_unit": "miles", "value": 12})
    );
    assert_eq!(answer["callspan"]["guarantee"], "constrained");
    let result = json!({"role": "tool", "tool_call_id": call["id"], "content": "{\"value\":7.456,\"unit\":\"miles\"}"});
    body["messages"] = json!([question, message, result]);
    let told = front.post("/v1/chat/completions", &body).json();
    assert_eq!(choice(&told)["finish_reason"], "stop");
    assert!(content(&told).contains("7.456"), "{told}");
    // The id is another one in another answer, because they may stand side by side in a conversation.
    body["messages"] = json!([question]);
    let again = front.post("/v1/chat/completions", &body).json();
    assert_ne!(choice(&again)["message"]["tool_calls"][0]["id"], call["id"]);
}

#[test]
fn a_choice_of_tools_is_kept_to_in_every_form() {
    let front = Front::start(&[]);
    let other =
        json!({"type": "function", "function": {"name": "ring", "description": "Ring the bell"}});
    let tools = json!([convert_units(), other]);
    let called = |sentence: &str, choice_of: Value| {
        let answer = front
            .chat(
                sentence,
                &json!({"tools": tools, "tool_choice": choice_of, "parallel_tool_calls": false}),
            )
            .json();
        let calls = choice(&answer)["message"]["tool_calls"].clone();
        assert!(
            calls.as_array().is_none_or(|calls| calls.len() == 1),
            "{answer}"
        );
        calls[0]["function"]["name"].clone()
    };
    let ring = json!({"type": "function", "function": {"name": "ring"}});
    let allowed =
        |mode| json!({"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": [ring]}});
    let sentence = "How many miles is 12 km?";
    assert_eq!(called(sentence, json!("auto")), "convert_units");
    assert_eq!(called(sentence, json!("none")), Value::Null);
    assert_eq!(called("Hello, who are you?", json!("auto")), Value::Null);
    assert_ne!(
        called("Hello, who are you?", json!("required")),
        Value::Null
    );
    assert_eq!(called(sentence, ring.clone()), "ring");
    assert_eq!(called(sentence, allowed("required")), "ring");
    assert_ne!(called(sentence, allowed("auto")), "convert_units");
}

#[test]
fn json_is_valid_against_its_schema_and_tools_may_stand_by_uncalled() {
    let front = Front::start(&[]);
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer", "minimum": 3, "maximum": 5},
        "word": {"enum": ["a", "b"]}}, "required": ["n", "word"], "additionalProperties": false});
    let format = json!({"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": true}});
    for more in [
        json!({"response_format": format}),
        json!({"response_format": format, "tools": [convert_units()], "tool_choice": "none"}),
    ] {
        let answer = front.chat("Hello", &more).json();
        let value: Value = serde_json::from_str(content(&answer)).unwrap();
        assert!((3..=5).contains(&value["n"].as_i64().unwrap()), "{value}");
        assert!(value["word"] == "a" || value["word"] == "b");
    }
    let any = json!({"response_format": {"type": "json_object"}, "max_tokens": 200});
    let answer = front.chat("Hello", &any).json();
    if choice(&answer)["finish_reason"] == "stop" {
        assert!(
            serde_json::from_str::<Value>(content(&answer))
                .unwrap()
                .is_object()
        );
    }
    let text = json!({"response_format": {"type": "text"}, "tools": [convert_units()]});
    assert_eq!(front.chat("Hello, who are you?", &text).status, 200);
}

#[test]
fn limits_and_stop_texts_end_an_answer() {
    let front = Front::start(&[]);
    let whole = front.chat("Hello, who are you?", &json!({})).json();
    for name in ["max_tokens", "max_completion_tokens"] {
        let cut = front.chat("Hello, who are you?", &json!({name: 3})).json();
        assert_eq!(choice(&cut)["finish_reason"], "length");
        assert_eq!(cut["usage"]["completion_tokens"], 3);
        assert!(content(&whole).starts_with(content(&cut)));
    }
    let word = content(&whole).split(' ').nth(1).unwrap();
    for stop in [json!(word), json!([word, "never"])] {
        let stopped = front
            .chat("Hello, who are you?", &json!({"stop": stop}))
            .json();
        assert_eq!(choice(&stopped)["finish_reason"], "stop");
        let (before, _) = content(&whole).split_once(word).unwrap();
        assert_eq!(content(&stopped), before);
    }
    let most = front.chat("Hello", &json!({"max_tokens": 100_000})).json();
    let warning = most["callspan"]["warnings"][0].as_str().unwrap();
    assert!(warning.contains("lowered"), "{warning}");
}

#[test]
fn several_answers_are_drawn_apart_and_a_seed_repeats_them() {
    let front = Front::start(&[]);
    let asked = json!({"n": 3, "temperature": 2, "seed": 7, "max_tokens": 20});
    let texts = || {
        let answer = front.chat("Hello", &asked).json();
        let choices = answer["choices"].as_array().unwrap().clone();
        assert_eq!(choices.len(), 3);
        let texts: Vec<Value> = choices
            .iter()
            .enumerate()
            .map(|(index, choice)| {
                assert_eq!(choice["index"], index);
                choice["message"]["content"].clone()
            })
            .collect();
        (texts, answer["usage"].clone())
    };
    let (first, usage) = texts();
    assert_eq!(texts().0, first);
    assert!(first[0] != first[1] || first[1] != first[2], "{first:?}");
    // One prompt, three answers.
    assert!(usage["completion_tokens"].as_u64().unwrap() > 20, "{usage}");
    assert!(usage["prompt_tokens"].as_u64().unwrap() < 20, "{usage}");
}

#[test]
fn without_a_temperature_the_answer_is_the_most_probable_one() {
    let front = Front::start(&[]);
    let alone = front
        .chat("Hello, who are you?", &json!({"temperature": 0}))
        .json();
    for more in [json!({}), json!({"seed": 5}), json!({"top_p": 1})] {
        let answer = front.chat("Hello, who are you?", &more).json();
        assert_eq!(content(&answer), content(&alone), "{more}");
    }
    // At such a temperature the same seed with fewer candidates cannot but differ.
    let drawn = |more: Value| {
        let mut fields = json!({"temperature": 5, "seed": 1, "max_tokens": 20});
        fields
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        content(&front.chat("Hello, who are you?", &fields).json()).to_owned()
    };
    assert_ne!(drawn(json!({})), content(&alone));
    for one in [
        json!({"top_k": 1}),
        json!({"top_p": 0.000_001}),
        json!({"min_p": 1}),
    ] {
        assert!(content(&alone).starts_with(&drawn(one.clone())), "{one}");
    }
}

#[test]
fn probabilities_have_tokens_bytes_and_alternatives() {
    let front = Front::start(&[]);
    let asked = json!({"logprobs": true, "top_logprobs": 2});
    let answer = front.chat("Hello, who are you?", &asked).json();
    let tokens = choice(&answer)["logprobs"]["content"].as_array().unwrap();
    let mut text = String::new();
    for token in tokens {
        let spelt: Vec<u8> = serde_json::from_value(token["bytes"].clone()).unwrap();
        assert_eq!(spelt, token["token"].as_str().unwrap().as_bytes());
        assert!(token["logprob"].as_f64().unwrap() <= 0.0);
        assert_eq!(token["top_logprobs"].as_array().unwrap().len(), 2);
        assert_eq!(token["top_logprobs"][0]["token"], token["token"]);
        text.push_str(token["token"].as_str().unwrap());
    }
    assert!(text.starts_with(content(&answer)), "{text}");
    let bare = front
        .chat("Hello", &json!({"logprobs": true, "max_tokens": 1}))
        .json();
    assert_eq!(
        choice(&bare)["logprobs"]["content"][0]["top_logprobs"],
        json!([])
    );
}

#[test]
fn a_call_that_breaks_a_schema_that_was_not_guaranteed_is_an_error_of_its_own_name() {
    let front = Front::start(&[]);
    let mut tool = convert_units();
    tool["function"]["parameters"]["properties"]["value"]["not"] = json!({"const": 12});
    let sentence = "How many miles is 12 km?";
    let answer = front.chat(sentence, &json!({"tools": [tool]}));
    let error = answer.error(422);
    assert_eq!(
        (&error["type"], &error["code"]),
        (&json!("invalid_call"), &json!("invalid_call"))
    );
    assert!(
        error["callspan"]["text"]
            .as_str()
            .unwrap()
            .contains("convert_units")
    );
    let stream = front.chat(sentence, &json!({"tools": [tool], "stream": true}));
    assert_eq!(stream.error(422)["code"], "invalid_call");
    // Whoever asks for the guarantee is told that it cannot be had.
    tool["function"]["strict"] = json!(true);
    let error = front.chat(sentence, &json!({"tools": [tool]})).error(400);
    assert_eq!(error["param"], "tools");
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("leave `strict` out"),
        "{error}"
    );
}

#[test]
fn a_trace_and_a_deadline_are_handed_on() {
    let front = Front::start(&[]);
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let ask = |header: &str| {
        let mut wire = front.tcp();
        wire.send(&format!(
            "GET /v1/models HTTP/1.1\r\nHost: localhost\r\n{header}\r\n\r\n"
        ));
        wire.answer()
    };
    assert_eq!(
        ask(&format!("traceparent: {trace}")).header("traceparent"),
        Some(trace)
    );
    assert_eq!(ask("traceparent: nonsense").header("traceparent"), None);
    let mut late = crate::by_hand::endless();
    late["stream"] = json!(false);
    late["callspan"] = json!({"timeout_ms": 30});
    let error = front.chat("Hello", &late).error(504);
    assert_eq!(error["code"], "deadline_exceeded");
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("callspan.timeout_ms"),
        "{error}"
    );
}
