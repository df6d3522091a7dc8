//! What a request may say of the form of its answer, over the real socket: calls or none, which and how many, JSON; and
//! what is refused because it cannot be guaranteed.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside of the tests' own functions"
)]
mod common;

use common::{Server, chat, convert_units};
use serde_json::{Value, json};

/// A tool of which the built-in model never heard.
fn set_lamp() -> Value {
    json!({"name": "set_lamp", "description": "Switch a lamp", "parameters": {
        "type": "object",
        "properties": {
            "room": {"type": "string", "enum": ["kitchen", "hall"]},
            "brightness": {"type": "integer", "minimum": 0, "maximum": 100},
            "on": {"type": "boolean"}},
        "required": ["room", "on"],
        "additionalProperties": false}})
}

/// A request, and what is changed of it.
fn with(base: &Value, more: &Value) -> Value {
    let mut request = base.clone();
    let fields = more.as_object().unwrap().clone();
    request.as_object_mut().unwrap().extend(fields);
    request
}

fn done(server: &Server, generate: &Value) -> Value {
    let answer = server.generate(generate);
    assert!(answer["done"].is_object(), "{generate}: {answer}");
    answer["done"].clone()
}

/// Names and arguments of the calls of an answer.
fn calls(done: &Value) -> Vec<(String, Value)> {
    let calls = done["tool_calls"].as_array().cloned().unwrap_or_default();
    calls
        .iter()
        .map(|call| {
            let arguments = serde_json::from_str(call["arguments"].as_str().unwrap());
            (
                call["name"].as_str().unwrap().to_owned(),
                arguments.unwrap(),
            )
        })
        .collect()
}

fn is_valid(schema: &Value, value: &Value) -> bool {
    jsonschema::draft202012::is_valid(schema, value)
}

#[test]
fn a_call_is_made_or_not_as_the_request_says() {
    let server = Server::start(&[]);
    let tools = json!([convert_units(), set_lamp()]);
    let convert = json!({"chat": chat("12 km to miles"), "tools": tools});
    let hello = json!({"chat": chat("Hello, who are you?"), "tools": tools});

    let auto = done(&server, &convert);
    assert_eq!(calls(&auto)[0].0, "convert_units");
    assert_eq!(
        done(&server, &with(&convert, &json!({"tool_choice": "auto"})))["tool_calls"],
        auto["tool_calls"]
    );

    let none = done(
        &server,
        &with(&convert, &json!({"tool_choice": "none", "max_tokens": 40})),
    );
    assert_eq!(calls(&none), []);
    assert!(!none["content"].as_str().unwrap().contains('<'), "{none}");
    assert_ne!(none["finish_reason"], "tool_calls");
    // The tools are declared all the same.
    assert_eq!(
        none["usage"]["prompt_tokens"],
        auto["usage"]["prompt_tokens"]
    );

    let prose = done(&server, &hello);
    assert_eq!(calls(&prose), [], "{prose}");
    let required = done(&server, &with(&hello, &json!({"tool_choice": "required"})));
    assert_eq!(required["finish_reason"], "tool_calls", "{required}");
    assert!(!calls(&required).is_empty());

    let lamp = done(
        &server,
        &with(
            &convert,
            &json!({"tool_choice": "function:set_lamp", "max_calls": 1}),
        ),
    );
    let made = calls(&lamp);
    assert_eq!((made.len(), made[0].0.as_str()), (1, "set_lamp"));
    assert!(is_valid(&set_lamp()["parameters"], &made[0].1), "{lamp}");
}

#[test]
fn whatever_a_model_would_write_its_calls_are_valid_and_as_many_as_may_be() {
    let server = Server::start(&[]);
    let bell = json!({"name": "ring", "parameters": {"type": "object", "properties": {
        "note": {"type": "string", "maxLength": 12}, "times": {"type": "integer"}}, "required": ["times"]}});
    let schemas = json!({"ring": bell["parameters"], "set_lamp": set_lamp()["parameters"]});
    let mut most = 0;
    for (seed, limit) in (0..40).zip(
        [
            json!({}),
            json!({"max_calls": 2}),
            json!({"parallel_tool_calls": false}),
        ]
        .iter()
        .cycle(),
    ) {
        // So hot that the model writes at random.
        let generate = json!({"chat": chat("Hello"), "tools": [bell, set_lamp()], "tool_choice": "required",
            "max_tokens": 160, "sampling": {"temperature": 100, "seed": seed}});
        let done = done(&server, &with(&generate, limit));
        let calls = calls(&done);
        for (name, arguments) in &calls {
            assert!(is_valid(&schemas[name], arguments), "seed {seed}: {done}");
        }
        let reason = done["finish_reason"].as_str().unwrap();
        assert!(reason == "tool_calls" || reason == "length", "{done}");
        if limit == &json!({}) {
            most = most.max(calls.len());
        } else {
            let may_be = if limit["max_calls"] == 2 { 2 } else { 1 };
            assert!(calls.len() <= may_be, "{limit}: {done}");
        }
    }
    assert!(most > 2, "without a limit there are more: {most}");
}

#[test]
fn prose_holds_no_control_token_whatever_a_model_would_write() {
    let server = Server::start(&[]);
    let files = rust_inference::embedded::files();
    let json: Value = serde_json::from_slice(&files.tokenizer().unwrap()).unwrap();
    let controls: Vec<&str> = json["added_tokens"]
        .as_array()
        .unwrap()
        .iter()
        .map(|token| token["content"].as_str().unwrap())
        .collect();
    assert!(controls.contains(&"<escape>"));
    let spells = |text: &str| controls.iter().any(|control| text.contains(control));
    let mut raw_spells = false;
    for seed in 0..8 {
        // So hot that the model writes at random.
        let hot = json!({"max_tokens": 300, "sampling": {"temperature": 100, "seed": seed}});
        for asked in [
            json!({"chat": chat("Hello")}),
            json!({"chat": chat("Hello"), "tools": [set_lamp()], "tool_choice": "none"}),
        ] {
            let answer = done(&server, &with(&asked, &hot));
            assert!(
                calls(&answer).is_empty() && answer.get("error").is_none(),
                "{answer}"
            );
            let content = answer["content"].as_str().unwrap();
            assert!(content.len() > 100 && !spells(content), "{answer}");
        }
        let raw = done(&server, &with(&json!({"prompt": "Hello"}), &hot));
        raw_spells |= spells(raw["content"].as_str().unwrap());
    }
    assert!(raw_spells, "without a guide there are some");
}

#[test]
fn an_answer_in_json_is_valid_against_its_schema() {
    let server = Server::start(&[]);
    let schema = json!({"type": "object", "properties": {
        "unit": {"enum": ["km", "mile"]},
        "values": {"type": "array", "items": {"type": "integer", "minimum": -5, "maximum": 500}, "minItems": 1, "maxItems": 3},
        "note": {"type": "string", "maxLength": 12}},
        "required": ["unit", "values", "note"], "additionalProperties": false});
    for seed in 0..12 {
        let sampling = json!({"temperature": if seed == 0 { 0 } else { 50 }, "seed": seed});
        let base = json!({"chat": chat("How far is it?"), "max_tokens": 120, "sampling": sampling});
        let format =
            json!({"response_format": {"type": "json_schema", "schema": schema.to_string()}});
        let answer = done(&server, &with(&base, &format));
        assert_eq!(answer["finish_reason"], "stop", "{answer}");
        let value: Value = serde_json::from_str(answer["content"].as_str().unwrap()).unwrap();
        assert!(is_valid(&schema, &value), "{answer}");
        let format = json!({"response_format": {"type": "json_object"}, "tools": [set_lamp()], "tool_choice": "none"});
        let answer = done(&server, &with(&base, &format));
        assert_eq!(answer["finish_reason"], "stop", "{answer}");
        let value: Value = serde_json::from_str(answer["content"].as_str().unwrap()).unwrap();
        assert!(value.is_object(), "{answer}");
    }
}

#[test]
fn what_is_complete_with_the_last_token_that_may_be_written_is_complete() {
    let server = Server::start(&[]);
    let schema = json!({"type": "object", "properties": {"unit": {"enum": ["km", "mile"]}}, "required": ["unit"]});
    for asked in [
        json!({"response_format": {"type": "json_schema", "schema": schema.to_string()}}),
        json!({"tools": [set_lamp()], "tool_choice": "required"}),
    ] {
        let generate = with(&json!({"chat": chat("How far is it?")}), &asked);
        let whole = done(&server, &generate);
        let needed = &whole["usage"]["completion_tokens"];
        let exact = done(&server, &with(&generate, &json!({"max_tokens": needed})));
        assert_eq!(&exact["usage"]["completion_tokens"], needed);
        for key in ["finish_reason", "content", "tool_calls"] {
            assert_eq!(exact[key], whole[key], "{exact}");
        }
    }
}

#[test]
fn arguments_stand_in_the_order_that_is_asked_for() {
    let server = Server::start(&[]);
    let text = |order: &str| {
        let generate = json!({"chat": chat("How many miles is 12 km?"), "tools": [convert_units()], "argument_order": order});
        let done = done(&server, &generate);
        done["tool_calls"][0]["arguments"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let places = |text: &str| {
        ["\"value\":", "\"from_unit\":", "\"to_unit\":"].map(|key| text.find(key).unwrap())
    };
    let declared = text("declared");
    assert!(places(&declared).is_sorted(), "{declared}");
    for sorted in [text("sorted"), text("")] {
        let [value, from, to] = places(&sorted);
        assert!(from < to && to < value, "{sorted}");
    }
    places(&text("any"));
}

#[test]
fn what_cannot_be_guaranteed_is_refused_with_its_place_or_told_where_that_is_wanted() {
    let server = Server::start(&[]);
    let mut tool = convert_units();
    tool["parameters"]["properties"]["from_unit"]["not"] = json!({"const": "parsec"});
    let generate = json!({"chat": chat("How many miles is 12 km?"), "tools": [set_lamp(), tool]});
    let answer = server.generate(&generate);
    let error = &answer["error"];
    assert_eq!(error["code"], "INVALID_ARGUMENT", "{answer}");
    let message = error["message"].as_str().unwrap();
    assert!(
        message.contains("/tools/1/parameters/properties/from_unit/not"),
        "{error}"
    );
    assert!(
        error["hint"].as_str().unwrap().contains("lenient"),
        "{error}"
    );

    let lenient = done(&server, &with(&generate, &json!({"lenient": true})));
    assert_eq!(calls(&lenient)[0].0, "convert_units");
    let warned = lenient["warnings"].to_string();
    assert!(
        warned.contains("/tools/1/parameters/properties/from_unit/not"),
        "{warned}"
    );

    // What is not to be called need not be guaranteed.
    let none = done(
        &server,
        &with(&generate, &json!({"tool_choice": "none", "max_tokens": 4})),
    );
    assert!(none.get("warnings").is_none(), "{none}");

    let format = json!({"response_format": {"type": "json_schema", "schema": {"type": "array", "uniqueItems": true}}});
    let answer = server.generate(&with(&json!({"chat": chat("Hello")}), &format));
    assert!(
        answer["error"]["message"]
            .as_str()
            .unwrap()
            .contains("/uniqueItems"),
        "{answer}"
    );
}

#[test]
fn what_makes_no_sense_is_refused_by_name() {
    let server = Server::start(&[]);
    let tools = json!([convert_units()]);
    for (more, words, hint) in [
        (
            json!({"tool_choice": "sometimes"}),
            "tool_choice is \"sometimes\"",
            "auto, required, none, function:NAME",
        ),
        (
            json!({"tool_choice": "required"}),
            "no tools are offered",
            "tools",
        ),
        (
            json!({"tool_choice": "function:ring", "tools": tools}),
            "\"ring\", which is not offered",
            "convert_units",
        ),
        (
            json!({"parallel_tool_calls": false, "max_calls": 2}),
            "max_calls 2",
            "one call",
        ),
        (
            json!({"response_format": {"type": "yaml"}}),
            "\"yaml\"",
            "text, json_object, json_schema",
        ),
        (
            json!({"response_format": {"type": "json_object"}, "tools": tools, "tool_choice": "required"}),
            "both a call and JSON",
            "none",
        ),
        (
            json!({"argument_order": "random"}),
            "argument_order is \"random\"",
            "sorted, declared, any",
        ),
        (json!({"logprobs": 21}), "logprobs is 21", "0 to 20"),
        (
            json!({"without": ["head"]}),
            "without is \"head\"",
            "forced, rows, speculation, prefix",
        ),
        (
            json!({"sampling": {"min_p": 1.5}}),
            "min_p is 1.5",
            "0 to 1",
        ),
        (
            json!({"tools": [{"name": "f"}, {"name": "f"}], "tool_choice": "required"}),
            "second tool is named \"f\"",
            "",
        ),
    ] {
        let answer = server.generate(&with(&json!({"chat": chat("Hello")}), &more));
        let error = &answer["error"];
        assert_eq!(error["code"], "INVALID_ARGUMENT", "{more}: {answer}");
        assert!(
            error["message"].as_str().unwrap().contains(words),
            "{more}: {error}"
        );
        assert!(
            hint.is_empty() || error["hint"].as_str().unwrap().contains(hint),
            "{more}: {error}"
        );
    }
}

#[test]
fn a_raw_prompt_gives_calls_only_of_tools_that_are_offered() {
    let server = Server::start(&[]);
    let prompt =
        "<bos><start_of_turn>user\nHow many miles is 12 km?<end_of_turn>\n<start_of_turn>model\n";
    let required = json!({"prompt": prompt, "tools": [set_lamp()], "tool_choice": "required", "max_tokens": 60});
    let answer = done(&server, &required);
    assert!(
        calls(&answer).iter().all(|(name, _)| name == "set_lamp"),
        "{answer}"
    );
    assert_eq!(answer["finish_reason"], "tool_calls", "{answer}");
    // With none offered it is text, whatever it is.
    let answer = done(&server, &json!({"prompt": prompt, "max_tokens": 4}));
    assert_eq!(calls(&answer), []);
}
