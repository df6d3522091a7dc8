//! Calls and texts in the shapes of the servers that there are, written after their own documentation.

use serde_json::{Value, json};

use crate::fake::{
    Act, Fake, answer, ask, call, chunked, events, message, piece, question, serve, weather, with,
};

/// Ollama streams each call whole, the same index for all, and says `tool_calls` at the end:
/// <https://docs.ollama.com/api/openai-compatibility> and its `openai/openai.go`.
fn ollama() -> Vec<Value> {
    let chunk = |delta: Value, finish: Option<&str>| {
        json!({"id": "chatcmpl-317", "object": "chat.completion.chunk", "created": 1_763_769_600, "model": "qwen3:0.6b",
            "system_fingerprint": "fp_ollama", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
    };
    let made = |id: &str, arguments: &str| {
        json!({"role": "assistant", "content": "", "tool_calls": [{"id": id, "index": 0, "type": "function",
            "function": {"name": "get_weather", "arguments": arguments}}]})
    };
    vec![
        chunk(
            json!({"role": "assistant", "content": "", "reasoning": "The user"}),
            None,
        ),
        chunk(made("call_a1b2c3d4", r#"{"location":"Paris"}"#), None),
        chunk(
            made("call_e5f6a7b8", r#"{"days":2,"location":"Rome"}"#),
            None,
        ),
        chunk(
            json!({"role": "assistant", "content": ""}),
            Some("tool_calls"),
        ),
        json!({"id": "chatcmpl-317", "object": "chat.completion.chunk", "choices": [],
            "usage": {"prompt_tokens": 171, "completion_tokens": 48, "total_tokens": 219}}),
    ]
}

/// LM Studio streams the name first and the arguments in fragments, all but the first without id and type:
/// <https://lmstudio.ai/docs/developer/openai-compat/tools>, Streaming.
fn lm_studio() -> Vec<Value> {
    let first = |index: u32, id: &str| json!({"tool_calls": [{"index": index, "id": id, "type": "function", "function": {"name": "get_weather", "arguments": ""}}]});
    let next = |index: u32, text: &str| json!({"tool_calls": [{"index": index, "function": {"arguments": text}}]});
    vec![
        piece(&json!({"role": "assistant", "content": null}), None),
        piece(&first(0, "814890118"), None),
        piece(&next(0, "{\""), None),
        piece(&next(0, "location"), None),
        piece(&next(0, "\":\""), None),
        piece(&next(0, "Paris"), None),
        piece(&next(0, "\"}"), None),
        piece(&first(1, "377278620"), None),
        piece(&next(1, "{\"days\":2,\"loca"), None),
        piece(&next(1, "tion\":\"Rome\"}"), None),
        piece(&json!({}), Some("tool_calls")),
        json!({"choices": [], "usage": {"prompt_tokens": 263, "completion_tokens": 34, "total_tokens": 297}}),
    ]
}

/// llama-server repeats what is null, ends with stop, and puts the usage beside the last choice.
fn llama_server() -> Vec<Value> {
    let part = |index: u32, function: Value| {
        piece(
            &json!({"role": null, "content": null, "tool_calls": [{"index": index, "id": null, "type": "function", "function": function}]}),
            None,
        )
    };
    let mut last = piece(&json!({}), Some("stop"));
    last["usage"] = json!({"prompt_tokens": 50, "completion_tokens": 30, "prompt_tokens_details": {"cached_tokens": 40}});
    last["timings"] = json!({"predicted_ms": 12.5});
    vec![
        part(
            0,
            json!({"name": "get_weather", "arguments": "{\"location\":"}),
        ),
        part(0, json!({"name": null, "arguments": "\"Paris\"}"})),
        part(
            1,
            json!({"name": "get_weather", "arguments": "{\"days\":2,"}),
        ),
        part(1, json!({"arguments": "\"location\":\"Rome\"}"})),
        last,
    ]
}

/// Neither index nor id, and arguments that are no text.
fn careless() -> Vec<Value> {
    let made = |arguments: Value| json!({"tool_calls": [{"function": {"name": "get_weather", "arguments": arguments}}]});
    vec![
        piece(&made(json!({"location": "Paris"})), None),
        piece(&made(json!({"days": 2, "location": "Rome"})), None),
        piece(&json!({"content": null}), Some("tool_calls")),
    ]
}

#[test]
fn the_calls_of_every_servers_stream_are_told_whole_and_checked() {
    let fake = Fake::new();
    let server = fake.server(&[]);
    for (shape, cost) in [
        (ollama(), 219),
        (lm_studio(), 297),
        (llama_server(), 80),
        (careless(), 0),
    ] {
        fake.posts([chunked(&events(&shape), 7)]);
        let (text, calls, done) = ask(&server, &with(question(), &json!({"stream": true})));
        let done = &done["done"];
        assert_eq!(done["finish_reason"], "tool_calls", "{done}");
        let made = json!([{"id": "call_0", "name": "get_weather", "arguments": "{\"location\":\"Paris\"}"},
            {"id": "call_1", "name": "get_weather", "arguments": "{\"days\":2,\"location\":\"Rome\"}"}]);
        assert_eq!(
            (text.as_str(), &json!(calls), &done["tool_calls"]),
            ("", &made, &made)
        );
        assert_eq!(
            (&done["guarantee"], &done["model"]),
            (&json!("checked"), &json!("far"))
        );
        let usage = &done["usage"];
        let count = |name: &str| usage[name].as_u64().unwrap_or(0);
        assert_eq!(
            count("prompt_tokens") + count("completion_tokens"),
            cost,
            "{done}"
        );
        let warnings = done["warnings"].to_string();
        assert!(warnings.contains("was not constrained"), "{warnings}");
        assert_eq!(
            warnings.contains("did not say what it cost"),
            cost == 0,
            "{warnings}"
        );
        assert_eq!(fake.asked().len(), 1, "nothing had to be asked again");
    }
}

/// The example response of LM Studio's page, with another tool.
#[test]
fn calls_of_a_whole_answer_are_read_in_every_shape() {
    let fake = Fake::new();
    let server = fake.server(&[]);
    let arguments = r#"{"location":"Paris"}"#;
    for calls in [
        json!([{"id": "365174485", "type": "function", "function": {"name": "get_weather", "arguments": arguments}}]),
        json!([{"id": "", "function": {"name": "get_weather", "arguments": {"location": "Paris"}}}]),
        json!([{"index": null, "id": null, "type": null, "function": {"name": "get_weather", "arguments": arguments}}]),
    ] {
        for content in [
            json!(null),
            json!(""),
            json!([]),
            json!([{"type": "text", "text": ""}]),
        ] {
            // A reason that says nothing of calls, or none at all, does not matter.
            for finish in [
                json!("tool_calls"),
                json!("stop"),
                json!("eos_token"),
                json!(""),
                json!(null),
            ] {
                let mut body = message(
                    &json!({"role": "assistant", "content": content, "tool_calls": calls, "reasoning_content": "Hm", "function_call": null}),
                    "",
                );
                body["choices"][0]["finish_reason"] = finish;
                fake.posts([answer(&body)]);
                let (_, _, done) = ask(&server, &question());
                let made = json!([{"id": "call_0", "name": "get_weather", "arguments": arguments}]);
                assert_eq!(done["done"]["tool_calls"], made, "{body}");
                assert_eq!(done["done"]["finish_reason"], "tool_calls", "{body}");
            }
        }
    }
}

#[test]
fn two_calls_in_one_message_keep_apart_whatever_their_ids() {
    let fake = Fake::new();
    let server = fake.server(&[]);
    let two = json!({"content": "Both.", "tool_calls": [
        call("get_weather", r#"{"location":"Paris"}"#), call("get_weather", r#"{"location":"Rome"}"#)]});
    fake.posts([answer(&message(&two, "tool_calls"))]);
    let (_, _, done) = ask(&server, &question());
    let done = &done["done"];
    assert_eq!(done["tool_calls"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&done["content"], &done["tool_calls"][1]["id"]),
        (&json!("Both."), &json!("call_1"))
    );
    // More than may be: the first is kept, and the warning tells of it.
    let (_, _, done) = ask(
        &server,
        &with(question(), &json!({"parallel_tool_calls": false})),
    );
    let done = &done["done"];
    assert_eq!(done["tool_calls"].as_array().unwrap().len(), 1);
    assert!(
        done["warnings"]
            .to_string()
            .contains("2 calls where 1 may be"),
        "{done}"
    );
}

#[test]
fn a_whole_answer_is_taken_where_a_stream_was_asked_for_and_the_other_way_round() {
    let fake = Fake::new();
    let server = fake.server(&[]);
    let hello = json!({"chat": {"messages": [{"role": "user", "content": "Hello"}]}});
    fake.posts([answer(&message(
        &json!({"role": "assistant", "content": "Hi"}),
        "stop",
    ))]);
    let (text, _, done) = ask(&server, &with(hello.clone(), &json!({"stream": true})));
    assert_eq!(
        (text.as_str(), &done["done"]["content"]),
        ("Hi", &json!("Hi"))
    );
    let stream = [
        piece(&json!({"content": "Hi"}), None),
        piece(&json!({}), Some("length")),
    ];
    fake.posts([chunked(&events(&stream), 99)]);
    let (text, _, done) = ask(&server, &hello);
    assert_eq!(
        (text.as_str(), &done["done"]["content"]),
        ("", &json!("Hi"))
    );
    assert_eq!(done["done"]["finish_reason"], "length");
    // Nothing was promised of such an answer's form.
    assert!(!done.to_string().contains("constrained"), "{done}");
}

#[test]
fn log_probabilities_and_vectors_are_those_that_the_server_tells() {
    let fake = Fake::new();
    let server = fake.server(&[]);
    let mut body = message(&json!({"content": "Hi"}), "stop");
    body["choices"][0]["logprobs"] = json!({"content": [{"token": "Hi", "logprob": -0.25, "bytes": [72, 105],
        "top_logprobs": [{"token": "Hi", "logprob": -0.25}, {"token": "Ho", "logprob": -1.5}]}]});
    fake.posts([answer(&body)]);
    let hello =
        json!({"chat": {"messages": [{"role": "user", "content": "Hello"}]}, "logprobs": 2});
    let (_, _, done) = ask(&server, &hello);
    let first = &done["done"]["logprobs"][0];
    assert_eq!(
        (&first["token"], &first["logprob"]),
        (&json!("Hi"), &json!(-0.25))
    );
    assert_eq!(first["top"][1]["token"], "Ho");
    body["choices"][0]["logprobs"] = Value::Null;
    fake.posts([answer(&body)]);
    let (_, _, done) = ask(&server, &hello);
    assert!(
        done["done"]["warnings"]
            .to_string()
            .contains("no log probabilities"),
        "{done}"
    );

    fake.asked();
    let vectors = json!({"object": "list", "model": "m", "usage": {"prompt_tokens": 5, "total_tokens": 5},
        "data": [{"index": 1, "embedding": [0.0, 2.0]}, {"index": 0, "embedding": [3.0, 4.0]}]});
    fake.posts([answer(&vectors)]);
    let asked = server.ask(&json!({"id": 1, "embed": {"input": ["a", "b"]}}));
    let found = &asked["embeddings"];
    assert_eq!(
        found["vectors"],
        json!([{"values": [0.6, 0.8]}, {"values": [0.0, 1.0]}]),
        "{asked}"
    );
    assert_eq!(
        (&found["dimensions"], &found["usage"]["prompt_tokens"]),
        (&json!(2), &json!(5))
    );
    let asked = fake.asked().pop().unwrap();
    assert!(asked.line.starts_with("POST /v1/embeddings "));
    assert_eq!(
        asked.body,
        json!({"model": "m", "input": ["a", "b"], "encoding_format": "float"})
    );
    for wrong in [
        json!({"data": [{"index": 0, "embedding": [1.0]}]}),
        json!({"data": [{"embedding": [1.0]}, {"embedding": []}]}),
        json!({"data": [{"embedding": "AACAPw=="}, {"embedding": "AACAPw=="}]}),
        json!([]),
    ] {
        fake.posts([answer(&wrong)]);
        let refused = server.ask(&json!({"id": 1, "embed": {"input": ["a", "b"]}}));
        assert_eq!(refused["error"]["code"], "INTERNAL", "{refused}");
    }
    let refused = server.ask(&json!({"id": 1, "score": {"prompt": "a", "completion": "b"}}));
    assert_eq!(refused["error"]["code"], "UNIMPLEMENTED");
    assert!(
        refused["error"]["hint"]
            .as_str()
            .unwrap()
            .contains("own engine")
    );
}

#[test]
fn a_prompt_goes_to_completions_but_not_to_ollama_which_would_dress_it() {
    let fake = Fake::new();
    let server = fake.server(&[]);
    let body = json!({"object": "text_completion", "choices": [{"index": 0, "text": " there was", "finish_reason": "length"}], "usage": {"prompt_tokens": 3, "completion_tokens": 2}});
    fake.posts([answer(&body)]);
    let (_, _, done) = ask(&server, &json!({"prompt": "Once upon", "max_tokens": 2}));
    assert_eq!(done["done"]["content"], " there was");
    let asked = fake.asked().pop().unwrap();
    assert!(asked.line.starts_with("POST /v1/completions "));
    assert_eq!(asked.body["prompt"], "Once upon");
    fake.get("/api/version", answer(&json!({"version": "0.13.3"})));
    let (_, _, refused) = ask(&server, &json!({"prompt": "Once upon"}));
    assert_eq!(refused["error"]["code"], "UNIMPLEMENTED", "{refused}");
    assert_eq!(server.detail("software"), "Ollama 0.13.3");
}

#[test]
fn a_unix_socket_is_asked_as_a_url_is() {
    let room = crate::common::room();
    let fake = Fake::on_socket(&room.path().join("peer.sock"));
    fake.posts([answer(&message(&json!({"content": "Hi"}), "stop"))]);
    let server = serve(&format!("openai:{}:/api#x", fake.url), &[], &[]);
    let asked = json!({"id": 1, "generate": {"chat": {"messages": [{"role": "user", "content": "Hello"}]}, "tools": weather()},
        "meta": {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}});
    let done = server.ask(&asked);
    // Its name is the socket's.
    assert_eq!(
        (&done["done"]["content"], &done["done"]["model"]),
        (&json!("Hi"), &json!("peer"))
    );
    let asked = fake.asked().pop().unwrap();
    assert!(asked.line.starts_with("POST /api/chat/completions "));
    assert_eq!(
        (&asked.body["model"], &asked.body["temperature"]),
        (&json!("x"), &json!(0.0))
    );
    assert_eq!(asked.headers["host"], "localhost");
    let trace = &asked.headers["traceparent"];
    assert!(
        trace.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-")
            && !trace.contains("00f067aa0ba902b7"),
        "{trace}"
    );
    // A connection each: what a server closes behind its answer is not missed.
    fake.posts([[
        answer(&message(&json!({"content": "Again"}), "stop")),
        vec![Act::Reset],
    ]
    .concat()]);
    for _ in 0..3 {
        let (_, _, done) = ask(&server, &question());
        assert_eq!(done["done"]["content"], "Again", "{done}");
    }
}
