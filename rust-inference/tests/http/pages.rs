//! `/v1/models`, `/v1/embeddings`, `/health` and `/metrics`.

use serde_json::{Value, json};

use crate::by_hand::{Front, post};

#[test]
fn models_are_listed_and_found_by_name() {
    let front = Front::start(&[]);
    let list = front.get("/v1/models").json();
    assert_eq!(
        (&list["object"], list["data"].as_array().unwrap().len()),
        (&json!("list"), 1)
    );
    let model = &list["data"][0];
    assert_eq!(
        (&model["id"], &model["object"]),
        (&json!("callspan-default"), &json!("model"))
    );
    assert!(model["created"].as_u64().unwrap() > 1_700_000_000);
    assert_eq!(model["callspan"]["state"], "loaded");
    assert_eq!(
        front.get("/v1/models/callspan-default").json()["id"],
        model["id"]
    );
    assert_eq!(
        front.get("/v1/models/callspan%2Ddefault").json()["id"],
        model["id"]
    );
    let error = front.get("/v1/models/google%2Fnone").error(404);
    assert_eq!(error["code"], "model_not_found");
    assert!(
        error["message"].as_str().unwrap().contains("google/none"),
        "{error}"
    );
}

#[test]
fn each_of_several_models_is_asked_for_by_its_name() {
    let front = Front::start(&[
        "--model",
        "first=built-in",
        "--model",
        "second=built-in",
        "--no-packed-cache",
    ]);
    let list = front.get("/v1/models").json();
    let names: Vec<&str> = (list["data"].as_array().unwrap().iter())
        .map(|model| model["id"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["first", "second"]);
    for path in ["/v1/models/second", "/v1/models/%73econd"] {
        assert_eq!(front.get(path).json()["id"], "second", "{path}");
    }
    for (asked, named) in [
        (json!({}), "first"),
        (json!({"model": ""}), "first"),
        (json!({"model": "second"}), "second"),
    ] {
        let answer = front.chat("Hello", &asked).json();
        assert_eq!(answer["model"], named, "{asked}");
        let mut streamed = front.stream("Hello", &asked);
        assert_eq!(streamed.remove(0)["model"], named, "{asked}");
    }
    let found = front.get("/v1/models/second").json();
    assert_eq!(found["callspan"]["state"], "loaded");
}

#[test]
fn vectors_are_the_protocols() {
    let front = Front::start(&[]);
    let texts = json!(["Good morning", "Set an alarm"]);
    let found = front
        .server
        .ask(&json!({"id": 1, "embed": {"input": texts}}));
    let found = &found["embeddings"];
    let answer = front
        .post(
            "/v1/embeddings",
            &json!({"input": texts, "model": "callspan-default"}),
        )
        .json();
    for (index, vector) in answer["data"].as_array().unwrap().iter().enumerate() {
        assert_eq!(
            (&vector["object"], &vector["index"]),
            (&json!("embedding"), &json!(index))
        );
        assert_eq!(vector["embedding"], found["vectors"][index]["values"]);
    }
    assert_eq!(
        answer["usage"]["prompt_tokens"],
        found["usage"]["prompt_tokens"]
    );
    assert_eq!(
        answer["usage"]["total_tokens"],
        found["usage"]["prompt_tokens"]
    );
    let text = front
        .post(
            "/v1/embeddings",
            &json!({"input": "Good morning", "encoding_format": "base64"}),
        )
        .json();
    let bytes = text["data"][0]["embedding"].as_str().unwrap().len() * 3 / 4;
    assert_eq!(bytes as u64 / 4, found["dimensions"].as_u64().unwrap());
    for (body, param) in [
        (json!({"input": "x", "dimensions": 5}), "dimensions"),
        (json!({"input": [1, 2, 3]}), "input"),
        (json!({"input": []}), "input"),
        (json!({"input": ["x", ""]}), "input[1]"),
        (
            json!({"input": "x", "encoding_format": "int8"}),
            "encoding_format",
        ),
        (json!({"input": "x", "truncate": true}), "truncate"),
    ] {
        assert_eq!(
            front.post("/v1/embeddings", &body).error(400)["param"],
            param,
            "{body}"
        );
    }
    let unknown = front.post("/v1/embeddings", &json!({"input": "x", "model": "nobody"}));
    assert_eq!(unknown.error(404)["code"], "model_not_found");
}

#[test]
fn health_is_the_protocols_and_every_request_is_counted_once_for_both() {
    let front = Front::start(&[]);
    let health = front.get("/health");
    assert_eq!(
        (health.status, &health.json()["status"]),
        (200, &json!("SERVING"))
    );
    assert_eq!(health.json()["details"]["model"], "callspan-default");
    front.chat("Hello", &json!({"n": 2}));
    front
        .server
        .generate(&json!({"chat": crate::common::chat("Hello")}));
    let metrics = front.get("/metrics");
    assert!(
        metrics
            .header("content-type")
            .unwrap()
            .starts_with("application/openmetrics-text")
    );
    let counted = (metrics.body.lines()).find(|line| {
        line.contains("requests_total{") && line.contains("generate") && line.contains("stop")
    });
    assert!(counted.unwrap().ends_with(" 3"), "{counted:?}");
}

#[test]
fn what_there_is_not_is_said_in_json_with_what_there_is() {
    let front = Front::start(&[]);
    for path in [
        "/",
        "/v1",
        "/v1/completions",
        "/v1/chat/completions/",
        "/v1/models/",
        "/%2e%2e/",
    ] {
        let error = front.get(path).error(404);
        assert_eq!(error["code"], "unknown_url");
        assert!(
            error["message"]
                .as_str()
                .unwrap()
                .contains("/v1/chat/completions"),
            "{error}"
        );
    }
    for (path, allowed) in [
        ("/v1/chat/completions", "post"),
        ("/v1/responses", "post"),
        ("/v1/embeddings", "post"),
    ] {
        let answer = front.get(path);
        assert_eq!(answer.header("allow"), Some(allowed));
        answer.error(405);
    }
    let answer = front.post("/v1/models", &json!({}));
    assert_eq!(answer.header("allow"), Some("get, head"));
    answer.error(405);
    // No page of another origin is told that it may ask.
    let mut wire = front.tcp();
    wire.send("OPTIONS /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let answer = wire.answer();
    assert!(!answer.head.contains("access-control"), "{answer:?}");
    answer.error(405);
    let mut wire = front.unix();
    wire.send("HEAD /v1/models HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(wire.head().0, 200);
    let answer = {
        wire.send(&post("/v1/embeddings", &json!({"input": "x"})));
        wire.answer()
    };
    assert_eq!(answer.json()["object"], Value::from("list"));
}
