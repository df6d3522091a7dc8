//! What `generate` answers: calls, prose, streams, the reasons to end; and what it refuses, by name.
#![allow(
    clippy::indexing_slicing,
    reason = "a missing field of an answer is a failed test"
)]
mod common;

use common::{Server, chat, convert_units};
use serde_json::{Value, json};

#[test]
fn a_sentence_becomes_a_call_streamed_or_not() {
    let server = Server::start(&[]);
    let generate = json!({"chat": chat("How many miles is 12 km?"), "tools": [convert_units()], "max_tokens": 64});
    let answer = server.generate(&generate);
    let done = &answer["done"];
    assert_eq!(done["finish_reason"], "tool_calls", "{done}");
    let call = &done["tool_calls"][0];
    assert_eq!(call["name"], "convert_units");
    let arguments: Value = serde_json::from_str(call["arguments"].as_str().unwrap()).unwrap();
    assert_eq!(
        arguments,
        json!({"value": 12, "from_unit": "km", "to_unit": "miles"})
    );
    assert!(
        done.get("content").is_none_or(|content| content == ""),
        "{done}"
    );
    let usage = &done["usage"];
    for field in [
        "prompt_tokens",
        "completion_tokens",
        "prefill_us",
        "decode_us",
    ] {
        assert!(usage[field].as_u64().unwrap() > 1, "{usage}");
    }

    let mut streamed = generate;
    streamed["stream"] = json!(true);
    let mut wire = server.connect();
    wire.send(&json!({"id": 5, "generate": streamed}));
    let frames = wire.answer(5);
    let [deltas @ .., last] = frames.as_slice() else {
        unreachable!()
    };
    assert_eq!(last["done"]["tool_calls"], done["tool_calls"]);
    let calls: Vec<_> = deltas
        .iter()
        .filter_map(|frame| frame["delta"]["tool_calls"].as_array())
        .flatten()
        .collect();
    assert_eq!(calls, [call]);
}

#[test]
fn prose_ends_by_itself_or_where_it_is_told_to() {
    let server = Server::start(&[]);
    let ask = |more: Value| {
        let mut generate = json!({"chat": chat("Hello, who are you?")});
        generate
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        server.generate(&generate)["done"].clone()
    };
    let whole = ask(json!({}));
    let text = whole["content"].as_str().unwrap();
    assert_eq!(whole["finish_reason"], "stop");
    assert!(text.len() > 10 && !text.contains('<'), "{text:?}");
    let short = ask(json!({"max_tokens": 2}));
    assert_eq!(
        (
            &short["finish_reason"],
            &short["usage"]["completion_tokens"]
        ),
        (&json!("length"), &json!(2))
    );
    assert!(text.starts_with(short["content"].as_str().unwrap()));
    let stop = &text[5..9];
    let stopped = ask(json!({"stop": [stop]}));
    assert_eq!(stopped["finish_reason"], "stop");
    assert_eq!(
        stopped["content"].as_str().unwrap(),
        text.split(stop).next().unwrap()
    );
    let asked = ask(json!({"max_tokens": 100_000}));
    assert!(
        asked["warnings"][0].as_str().unwrap().contains("100000"),
        "{asked}"
    );
    assert_eq!(asked["content"], text);
}

#[test]
fn a_seed_repeats_and_greedy_needs_none() {
    let server = Server::start(&[]);
    let draw = |sampling: Value| {
        let generate = json!({"prompt": "The", "max_tokens": 24, "sampling": sampling});
        server.generate(&generate)["done"]["content"].clone()
    };
    let seven = draw(json!({"temperature": 2.0, "seed": 7}));
    assert_eq!(draw(json!({"temperature": 2.0, "seed": 7})), seven);
    assert_ne!(draw(json!({"temperature": 2.0, "seed": 8})), seven);
    assert_eq!(
        draw(json!({"temperature": 0.0})),
        draw(json!({"temperature": 2.0, "top_k": 1, "seed": 9}))
    );
    // Without a seed two draws of 24 tokens at this temperature are as good as never alike.
    assert_ne!(
        draw(json!({"temperature": 50.0})),
        draw(json!({"temperature": 50.0}))
    );
}

#[test]
fn how_probable_the_tokens_were_is_told_of_as_many_as_were_asked_for() {
    let server = Server::start(&[]);
    let ask = |top: u32| {
        let done = server.generate(
            &json!({"chat": chat("Hello, who are you?"), "max_tokens": 8, "logprobs": top}),
        )["done"]
            .clone();
        assert_eq!(done["usage"]["completion_tokens"], 8, "{done}");
        done
    };
    let done = ask(3);
    let tokens = done["logprobs"].as_array().unwrap();
    assert_eq!(tokens.len(), 8);
    for token in tokens {
        let top = token["top"].as_array().unwrap();
        assert_eq!(top.len(), 3);
        // Greedy: the most probable token was written.
        assert_eq!(
            (&top[0]["id"], &top[0]["token"], &top[0]["logprob"]),
            (&token["id"], &token["token"], &token["logprob"])
        );
        let sum: f64 = top
            .iter()
            .map(|t| t["logprob"].as_f64().unwrap_or(0.0).exp())
            .sum();
        assert!(sum > 0.0 && sum < 1.0001, "{token}");
    }
    let text: String = tokens
        .iter()
        .map(|t| t["token"].as_str().unwrap())
        .collect();
    assert_eq!(text, done["content"].as_str().unwrap());
    let none = ask(0);
    assert_eq!(none["content"], done["content"]);
    assert_eq!(none["logprobs"].as_array().unwrap().len(), 8);
    assert!(none["logprobs"][0].get("top").is_none(), "{none}");
    let answer = server.generate(&json!({"prompt": "x", "logprobs": 21}));
    assert!(
        answer["error"]["hint"]
            .as_str()
            .unwrap()
            .contains("0 to 20"),
        "{answer}"
    );
}

/// The built-in model writes `"km"` for this sentence; a tool that takes no such unit must not be called with it, also
/// where that is not guaranteed.
#[test]
fn a_call_that_breaks_its_schema_does_not_leave() {
    let server = Server::start(&[]);
    let mut tool = convert_units();
    tool["parameters"]["properties"]["from_unit"]["not"] = json!({"const": "km"});
    let generate =
        json!({"chat": chat("How many miles is 12 km?"), "tools": [tool], "lenient": true});
    let answer = server.generate(&generate);
    let done = &answer["done"];
    assert_eq!(done["finish_reason"], "invalid_call", "{done}");
    assert!(
        done.get("tool_calls")
            .is_none_or(|calls| calls == &json!([])),
        "{done}"
    );
    assert!(
        done["content"]
            .as_str()
            .unwrap()
            .starts_with("<start_function_call>call:convert_units{"),
        "{done}"
    );
    let error = &done["error"];
    assert_eq!(error["code"], "INVALID_ARGUMENT");
    assert!(
        error["message"].as_str().unwrap().contains("/from_unit"),
        "{error}"
    );
    assert!(!error["hint"].as_str().unwrap().is_empty());
}

#[test]
fn what_cannot_be_done_is_refused_by_name_and_the_connection_lives() {
    let server = Server::start(&[]);
    let mut wire = server.connect();
    let hello = chat("Hello");
    let call = json!({"role": "assistant", "tool_calls": [{"name": "f", "arguments": "{}"}]});
    let user = json!({"role": "user", "content": "x"});
    for (id, (generate, code, words)) in [
        (json!({}), "INVALID_ARGUMENT", "a chat or a prompt"),
        (json!({"prompt": ""}), "INVALID_ARGUMENT", "prompt is empty"),
        (
            json!({"chat": {"messages": []}}),
            "INVALID_ARGUMENT",
            "no message",
        ),
        (
            json!({"chat": {"messages": [{"role": "robot", "content": "x"}]}}),
            "INVALID_ARGUMENT",
            "messages[0]: role \"robot\"",
        ),
        (
            json!({"chat": {"messages": [{"content": "x"}]}}),
            "INVALID_ARGUMENT",
            "messages[0]: role is missing",
        ),
        (
            json!({"chat": {"messages": [user, call]}}),
            "INVALID_ARGUMENT",
            "messages[1]: 1 tool_calls were followed by 0",
        ),
        (
            json!({"chat": {"messages": [user, {"role": "tool", "name": "f", "content": "1"}]}}),
            "INVALID_ARGUMENT",
            "messages[1]",
        ),
        (
            json!({"chat": hello, "tools": [{"name": "f"}, {"name": "f"}]}),
            "INVALID_ARGUMENT",
            "tools[1]: a second tool is named \"f\"",
        ),
        (
            json!({"chat": hello, "tools": [{"name": "f", "parameters": {"properties": {"a": {"type": "wrong"}}}}]}),
            "INVALID_ARGUMENT",
            "tools[0].parameters: not a usable JSON Schema",
        ),
        (
            json!({"chat": hello, "tools": [{"name": "f", "parameters": "[]"}]}),
            "INVALID_ARGUMENT",
            "tools[0].parameters: expected a JSON object",
        ),
        (
            json!({"chat": hello, "tools": [{"name": "a b"}]}),
            "INVALID_ARGUMENT",
            "tools[0]: name \"a b\"",
        ),
        (
            json!({"chat": hello, "model": "gpt"}),
            "NOT_FOUND",
            "\"gpt\" is not served",
        ),
        (
            json!({"chat": hello, "sampling": {"temperature": -1}}),
            "INVALID_ARGUMENT",
            "sampling.temperature is -1",
        ),
        (
            json!({"chat": hello, "sampling": {"temperature": "NaN"}}),
            "INVALID_ARGUMENT",
            "sampling.temperature is NaN",
        ),
        (
            json!({"chat": hello, "sampling": {"top_p": 2}}),
            "INVALID_ARGUMENT",
            "sampling.top_p is 2",
        ),
        (
            json!({"chat": hello, "stop": [""]}),
            "INVALID_ARGUMENT",
            "empty stop text",
        ),
        (
            json!({"chat": hello, "stop": vec!["x"; 17]}),
            "INVALID_ARGUMENT",
            "17 stop texts",
        ),
        (
            json!({"chat": hello, "max_tokens": -1}),
            "INVALID_ARGUMENT",
            "column",
        ),
        (
            json!({"chat": hello, "max_tokens": "many"}),
            "INVALID_ARGUMENT",
            "column",
        ),
        (
            json!({"prompt": "word ".repeat(3000)}),
            "FAILED_PRECONDITION",
            "6000 tokens, the model's context 4096",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = wire.ask(&json!({"id": id + 1, "generate": generate}));
        let error = &answer["error"];
        assert_eq!(error["code"], code, "{generate}: {answer}");
        assert!(
            error["message"].as_str().unwrap().contains(words),
            "{generate}: {answer}"
        );
    }
    let answer = wire.ask(&json!({"id": 99, "generate": {"chat": hello, "colour": "red"}}));
    assert!(
        answer["done"]["warnings"][0]
            .as_str()
            .unwrap()
            .contains("colour"),
        "{answer}"
    );
}

#[test]
fn garbage_on_the_wire_is_told_and_the_next_line_is_served() {
    let server = Server::start(&[]);
    let mut wire = server.connect();
    for (line, words) in [
        (&b"{\"id\":7,\"generate\":{"[..], "line 1, column 20"),
        (b"{\"id\":7,\"genrate\":{}}", "genrate"),
        (b"{\"id\":7}", "missing method"),
        (b"{\"id\":7,\"ping\":{\"payload\":\"\xff\"}}", "UTF-8"),
        (b"nonsense", "column 2"),
        (b"{\"id\":7,\"call_tool\":{\"name\":\"f\"}}", "generate"),
    ] {
        wire.write(line);
        wire.write(b"\n");
        let answer = wire.next().unwrap();
        let told = answer["error"].to_string();
        assert!(
            told.contains(words),
            "{}: {answer}",
            String::from_utf8_lossy(line)
        );
    }
    // Nobody runs under this id: said, or passed over, but the connection lives.
    wire.send(&json!({"id": 1234, "cancel": {}}));
    assert!(wire.ask(&json!({"id": 9, "ping": {}}))["pong"].is_object());
}

#[test]
fn health_tells_the_model_and_describe_the_protocol() {
    let server = Server::start(&["--threads", "2"]);
    let report = server.ask(&json!({"id": 1, "health": {}}))["health_report"].clone();
    assert_eq!(
        (&report["status"], &report["server"]),
        (&json!("SERVING"), &json!("rust-inference"))
    );
    assert_eq!(report["pid"], server.process.id());
    let details = &report["details"];
    for (name, value) in [
        ("model", "callspan-default"),
        ("context", "4096"),
        ("threads", "2"),
        ("queue", "64"),
    ] {
        assert_eq!(details[name], value, "{details}");
    }
    let description = server.ask(&json!({"id": 1, "describe": {}}))["description"].clone();
    assert!(
        description["help"]
            .as_str()
            .unwrap()
            .contains("\"generate\""),
        "{description}"
    );
}
