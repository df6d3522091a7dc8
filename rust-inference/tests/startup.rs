//! What keeps the server from serving is told in one line, and what to do about it in another.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside of the tests' own functions"
)]
mod common;

use std::{fs, path::Path};

use common::{Server, program};
use rust_inference::kernels::Kernel;
use serde_json::json;

/// Runs the program, which must fail; gives its exit status, what it says is wrong, and the cure.
fn failed(flags: &[&str]) -> (i32, String, String) {
    let output = program().args(flags).output().unwrap();
    assert!(output.stdout.is_empty());
    let told = String::from_utf8(output.stderr).unwrap();
    let mut lines = told.lines();
    let (what, fix, more) = (lines.next(), lines.next(), lines.next());
    assert_eq!(more, None, "{told}");
    let line = |line: Option<&str>, start: &str| {
        line.and_then(|line| line.strip_prefix(start))
            .unwrap_or_else(|| panic!("{told}"))
            .to_owned()
    };
    (
        output.status.code().unwrap(),
        line(what, "error: "),
        line(fix, "fix: "),
    )
}

/// A copy of the default model's directory.
fn model(to: &Path) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/default");
    fs::create_dir(to).unwrap();
    for file in [
        "config.json",
        "tokenizer.json",
        "generation_config.json",
        "model.safetensors",
    ] {
        fs::copy(from.join(file), to.join(file)).unwrap();
    }
}

#[test]
fn a_model_that_cannot_be_loaded_is_named_with_what_is_wrong() {
    let room = common::room();
    let dir = room.path().join("model");
    model(&dir);
    let socket = room.path().join("s");
    let (socket, path) = (socket.to_str().unwrap(), dir.to_str().unwrap());
    let load = |expected: &str| {
        let (status, what, fix) = failed(&["--socket", socket, "--model", path]);
        assert_eq!(status, 2);
        assert!(what.contains(path) && what.contains(expected), "{what}");
        assert!(fix.contains("config.json"), "{fix}");
        assert!(!Path::new(socket).exists());
    };
    let weights = dir.join("model.safetensors");
    let whole = fs::read(&weights).unwrap();
    fs::write(&weights, &whole[..whole.len() / 2]).unwrap();
    load("model.safetensors");
    fs::write(&weights, b"").unwrap();
    load("model.safetensors");
    fs::remove_file(&weights).unwrap();
    load("safetensors");
    fs::write(&weights, whole).unwrap();
    fs::write(dir.join("tokenizer.json"), "{}").unwrap();
    load("tokenizer.json");
    fs::write(
        dir.join("config.json"),
        r#"{"architectures": ["LlamaForCausalLM"], "model_type": "llama"}"#,
    )
    .unwrap();
    load("config.json");
    fs::remove_file(dir.join("config.json")).unwrap();
    load("config.json");
    let (status, what, _) = failed(&["--socket", socket, "--model", weights.to_str().unwrap()]);
    assert_eq!(status, 2);
    assert!(what.contains("no GGUF; give the directory"), "{what}");
    let (status, what, fix) = failed(&["--socket", socket, "--lora", path]);
    assert_eq!(status, 2);
    assert!(
        what.contains(path) && !what.contains("model callspan"),
        "{what}"
    );
    assert!(fix.contains("--lora"), "{fix}");
    fs::remove_dir_all(&dir).unwrap();
    let (status, what, _) = failed(&["--socket", socket, "--model", path]);
    assert_eq!(status, 2);
    assert!(
        what.contains(path) && what.contains("there is no"),
        "{what}"
    );
    assert!(!Path::new(socket).exists());
}

#[test]
fn a_socket_that_cannot_be_served_is_told() {
    let room = common::room();
    let path = |name: &str| room.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("file"), "precious").unwrap();
    let (_, what, _) = failed(&["--socket", &path("file")]);
    assert!(
        what.contains("file") && what.contains("is no socket"),
        "{what}"
    );
    assert_eq!(fs::read_to_string(path("file")).unwrap(), "precious");
    let (_, what, _) = failed(&["--socket", &path(&"x".repeat(120))]);
    assert!(what.contains("108") || what.contains("107"), "{what}");
    let (_, what, _) = failed(&["--socket", &path("file/s")]);
    assert!(what.contains("cannot create the directory"), "{what}");
    let server = Server::start(&[]);
    let (_, what, fix) = failed(&["--socket", server.socket.to_str().unwrap()]);
    assert!(what.contains("another server is listening"), "{what}");
    assert!(fix.contains("another --socket"), "{fix}");
    assert!(
        !server.detail("model").is_empty(),
        "the first is not disturbed"
    );
}

#[test]
fn it_serves_though_nobody_reads_what_it_says() {
    let room = common::room();
    let socket = room.path().join("s");
    let mut command = program();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let process = command.arg("--socket").arg(&socket).stderr(writer);
    let process = process.spawn().unwrap();
    let server = Server {
        process,
        socket,
        room,
    };
    assert!(!server.detail("model").is_empty());
}

#[test]
fn every_kernel_of_the_processor_can_be_asked_for_and_health_names_it() {
    for kernel in Kernel::available() {
        let server = Server::start(&["--kernel", kernel.name()]);
        assert_eq!(server.detail("kernel"), kernel.name());
        let question = common::chat("How many miles is 12 km?");
        let answer = server.generate(&json!({"chat": question, "max_tokens": 4}));
        assert!(answer["done"]["usage"].is_object(), "{answer}");
    }
    let server = Server::start(&[]);
    let best = Kernel::available().last().unwrap().name();
    assert_eq!(server.detail("kernel"), best);
}

#[test]
fn a_wrong_flag_is_told_with_its_cure() {
    for (flags, what, fix) in [
        (
            &["--sockett", "x"][..],
            "unexpected argument '--sockett'",
            "'--socket'",
        ),
        (&["--queue", "0"], "give 1 or more", "rust-inference --help"),
        (
            &["--kernel", "abacus"],
            "give auto, portable",
            "rust-inference --help",
        ),
        (
            &["--threads", "many"],
            "give a whole number",
            "rust-inference --help",
        ),
        (
            &["--threads", "100000"],
            "give at most 1024",
            "rust-inference --help",
        ),
        (
            &["--prefix-cache-mib", "1G"],
            "give a whole number of MiB",
            "rust-inference --help",
        ),
        (&["serve"], "serve", "rust-inference --help"),
    ] {
        let (status, said, cure) = failed(flags);
        assert_eq!(status, 2);
        assert!(said.contains(what), "{said}");
        assert!(cure.contains(fix), "{cure}");
    }
}
