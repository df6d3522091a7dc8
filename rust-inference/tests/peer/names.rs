//! Which models there are, whose key goes where, and a server that comes later.

use std::{io::Read as _, net::TcpListener, process::Stdio};

use serde_json::{Value, json};

use crate::{
    common::{Server, program, room},
    fake::{Act, Fake, answer, ask, message, reply, serve},
};

fn hello() -> Value {
    json!({"chat": {"messages": [{"role": "user", "content": "Hello"}]}})
}

fn models(server: &Server) -> Vec<Value> {
    let list = server.ask(&json!({"id": 1, "models": {}}));
    list["model_list"]["models"].as_array().unwrap().clone()
}

fn hi() -> Vec<Act> {
    answer(&message(&json!({"content": "Hi"}), "stop"))
}

fn listed(names: &[&str]) -> Vec<Act> {
    let data: Vec<Value> = (names.iter())
        .map(|name| json!({"id": name, "object": "model", "created": 1, "owned_by": "library"}))
        .collect();
    answer(&json!({"object": "list", "data": data}))
}

#[test]
fn the_models_of_a_server_are_listed_and_asked_for_by_name() {
    let fake = Fake::new();
    fake.get("/v1/models", listed(&["qwen3:0.6b", "llama3.2:latest"]));
    fake.posts([hi()]);
    let server = serve(&format!("far=openai:{}", fake.url), &[], &[]);
    let found = models(&server);
    let names: Vec<_> = found
        .iter()
        .map(|model| model["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["far/qwen3:0.6b", "far/llama3.2:latest"]);
    let first = &found[0];
    assert_eq!(
        (&first["backend"], &first["state"], &first["guarantee"]),
        (&json!("openai"), &json!("remote"), &json!("checked"))
    );
    let (_, _, done) = ask(
        &server,
        &json!({"chat": hello()["chat"], "model": "far/qwen3:0.6b"}),
    );
    assert_eq!(done["done"]["model"], "far/qwen3:0.6b");
    assert_eq!(fake.asked().pop().unwrap().body["model"], "qwen3:0.6b");
    // Which of two is meant must be said.
    let (_, _, end) = ask(&server, &hello());
    assert_eq!(end["error"]["code"], "INVALID_ARGUMENT");
    assert!(
        end["error"]["hint"]
            .as_str()
            .unwrap()
            .contains("qwen3:0.6b, llama3.2:latest"),
        "{end}"
    );
    // The only one need not be named.
    fake.get("/v1/models", listed(&["only"]));
    let (_, _, done) = ask(&server, &hello());
    assert_eq!(done["done"]["model"], "far/only", "{done}");
    fake.get("/v1/models", listed(&[]));
    let (_, _, end) = ask(&server, &hello());
    assert_eq!(end["error"]["code"], "FAILED_PRECONDITION", "{end}");
    for (odd, message) in [
        (answer(&json!({"data": 7})), "no list of models"),
        (reply(200, "text/html", "<html>"), "no JSON"),
    ] {
        fake.get("/v1/models", odd);
        let found = models(&server);
        assert!(
            found[0]["problem"].as_str().unwrap().contains(message),
            "{found:?}"
        );
    }
}

#[test]
fn an_old_ollama_lists_its_models_elsewhere() {
    let fake = Fake::new();
    fake.get("/api/tags", answer(&json!({"models": [{"name": "llama3.2:latest", "model": "llama3.2:latest", "size": 2_019_393_189_u64}]})));
    fake.get("/api/version", answer(&json!({"version": "0.1.40"})));
    fake.posts([hi()]);
    let server = serve(&format!("far=openai:{}", fake.url), &[], &[]);
    assert_eq!(models(&server)[0]["name"], "far/llama3.2:latest");
    assert_eq!(server.detail("software"), "Ollama 0.1.40");
    let (_, _, done) = ask(&server, &hello());
    assert_eq!(done["done"]["model"], "far/llama3.2:latest");
}

#[test]
fn one_model_of_a_server_has_the_name_that_it_was_given() {
    let fake = Fake::new();
    fake.get("/v1/models", listed(&["other", "m:latest"]));
    fake.posts([hi()]);
    let server = fake.server(&[]);
    let found = models(&server);
    assert_eq!(
        (
            found.len(),
            &found[0]["name"],
            found[0]["problem"].is_null()
        ),
        (1, &json!("far"), true),
        "{found:?}"
    );
    for (asked, code) in [
        ("far", None),
        ("far/m", None),
        ("far/x", Some("NOT_FOUND")),
        ("near", Some("NOT_FOUND")),
    ] {
        let (_, _, end) = ask(&server, &json!({"chat": hello()["chat"], "model": asked}));
        assert_eq!(end["error"]["code"].as_str(), code, "{asked}: {end}");
    }
    fake.get("/v1/models", listed(&["other"]));
    assert!(
        models(&server)[0]["problem"]
            .as_str()
            .unwrap()
            .contains("does not list \"m\"")
    );
    for name in ["url", "lost", "reachable", "backend", "guarantee"] {
        assert!(!server.detail(name).is_empty());
    }
    assert_eq!(server.detail("url"), fake.url);
}

#[test]
fn a_server_that_is_not_there_yet_can_be_named_and_is_used_when_it_is() {
    let room = room();
    let socket = room.path().join("late.sock");
    let server = serve(&format!("openai:unix:{}#m", socket.display()), &[], &[]);
    assert!(server.detail("reachable").starts_with("no: "));
    let found = models(&server);
    assert!(
        found[0]["problem"]
            .as_str()
            .unwrap()
            .contains("cannot be reached"),
        "{found:?}"
    );
    let (_, _, end) = ask(&server, &hello());
    assert_eq!(end["error"]["code"], "UNAVAILABLE");
    assert!(
        end["error"]["message"]
            .as_str()
            .unwrap()
            .contains("late.sock"),
        "{end}"
    );
    assert!(
        end["error"]["hint"]
            .as_str()
            .unwrap()
            .contains("see that it runs"),
        "{end}"
    );
    let late = Fake::on_socket(&socket);
    late.posts([hi()]);
    let (_, _, done) = ask(&server, &hello());
    assert_eq!(
        (&done["done"]["content"], &done["done"]["model"]),
        (&json!("Hi"), &json!("late"))
    );
    assert_eq!(server.detail("reachable"), "yes");
}

#[test]
fn a_server_beside_our_own_engine_is_asked_only_by_its_name() {
    let fake = Fake::new();
    fake.get("/v1/models", listed(&["a", "b"]));
    fake.posts([hi()]);
    let far = format!("far=openai:{}", fake.url);
    let server = serve("built-in", &["--model", &far], &[]);
    let names: Vec<Value> = models(&server)
        .iter()
        .map(|model| model["name"].clone())
        .collect();
    assert_eq!(names[1..], [json!("far/a"), json!("far/b")]);
    let (_, _, done) = ask(&server, &json!({"chat": hello()["chat"], "max_tokens": 2}));
    assert_eq!(done["done"]["guarantee"], "constrained");
    let (_, _, done) = ask(&server, &json!({"chat": hello()["chat"], "model": "far/b"}));
    assert_eq!(
        (&done["done"]["guarantee"], &done["done"]["content"]),
        (&json!("checked"), &json!("Hi"))
    );
}

const KEY: &str = "sk-very-secret-0123456789";

#[test]
fn a_key_is_shown_to_its_server_and_never_printed() {
    let fake = Fake::new();
    fake.posts([reply(
        401,
        "application/json",
        &json!({"error": {"message": format!("wrong key {KEY}")}}).to_string(),
    )]);
    let far = format!("far=openai:{}#m", fake.url);
    for variable in ["CALLSPAN_PEER_API_KEY", "CALLSPAN_PEER_API_KEY_FAR"] {
        let server = serve(&far, &[], &[(variable, KEY)]);
        let (_, _, end) = ask(&server, &hello());
        assert_eq!(
            fake.asked().pop().unwrap().headers["authorization"],
            format!("Bearer {KEY}")
        );
        assert!(
            end["error"]["message"]
                .as_str()
                .unwrap()
                .contains("wrong key …"),
            "{end}"
        );
        let health = server.ask(&json!({"id": 1, "health": {}}));
        assert!(!health.to_string().contains(KEY), "{health}");
    }
    let server = serve(&far, &[], &[("CALLSPAN_PEER_API_KEY", "")]);
    ask(&server, &hello());
    assert!(
        !fake
            .asked()
            .pop()
            .unwrap()
            .headers
            .contains_key("authorization")
    );
    // Its own key, and only its own.
    let other = Fake::new();
    other.posts([hi()]);
    let near = format!("near=openai:{}#m", other.url);
    let server = serve(
        &far,
        &["--model", &near],
        &[("CALLSPAN_PEER_API_KEY_FAR", KEY)],
    );
    let (_, _, done) = ask(&server, &json!({"chat": hello()["chat"], "model": "near"}));
    assert_eq!(done["done"]["content"], "Hi");
    assert!(
        !other
            .asked()
            .pop()
            .unwrap()
            .headers
            .contains_key("authorization")
    );
}

fn refused(flags: &[&str], environment: &[(&str, &str)]) -> String {
    let output = program()
        .args(["--socket", "/nonexistent/s"])
        .args(flags)
        .envs(environment.iter().copied())
        .stdout(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn what_is_meant_wrong_is_refused_at_the_start() {
    let key = [("CALLSPAN_PEER_API_KEY", KEY)];
    let two = [
        "--model",
        "a=openai:http://one.example",
        "--model",
        "b=openai:http://two.example",
    ];
    for (flags, environment, told) in [
        (
            &[
                "--model",
                "a-b=openai:http://one.example",
                "--model",
                "a_b=openai:http://two.example",
            ][..],
            &[("CALLSPAN_PEER_API_KEY_A_B", KEY)][..],
            "could be for http://one.example:80 and for http://two.example:80",
        ),
        (
            &two[..],
            &key[..],
            "CALLSPAN_PEER_API_KEY_A or CALLSPAN_PEER_API_KEY_B",
        ),
        (
            &["--backend", "openai"],
            &[],
            "--backend openai needs a model",
        ),
        (
            &["--model", "openai:localhost:11434"],
            &[],
            "http://HOST:PORT",
        ),
        (
            &["--model", "openai:http://me:secret@host"],
            &[],
            "CALLSPAN_PEER_API_KEY",
        ),
        (
            &["--model", "openai:http://h", "--lora", "/x"],
            &[],
            "not computed by this program's own engine",
        ),
        (
            &[
                "--model",
                "openai:http://127.0.0.1:1",
                "--model",
                "openai:http://127.0.0.1:2",
            ],
            &[],
            "two models are called 127.0.0.1",
        ),
        (
            &[
                "--model",
                "openai:http://127.0.0.1:1",
                "--peer-timeout",
                "0s",
            ],
            &[],
            "more than no time",
        ),
    ] {
        let error = refused(flags, environment);
        assert!(error.contains(told) && !error.contains(KEY), "{error}");
    }
}

#[test]
fn a_start_without_the_server_says_so_and_goes_on() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    drop(taken);
    let url = format!("http://{address}");
    let mut server = serve(&url, &["--backend", "openai"], &[]);
    assert_eq!(server.detail("models"), "127.0.0.1 (remote)");
    server.terminate();
    let mut said = String::new();
    server
        .process
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert!(
        said.contains("127.0.0.1 cannot be used yet: the server at")
            && said.contains("serving 127.0.0.1"),
        "{said}"
    );
}
