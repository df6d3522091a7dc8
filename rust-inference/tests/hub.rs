//! Models by name: `--model org/name` from the cache and from a Hub of our own, over plain HTTP.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside of the tests' own functions"
)]

mod common;

use std::{
    collections::HashMap,
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex},
    thread,
    time::Instant,
};

use serde_json::json;
use sha2::{Digest, Sha256};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// What a Hub does wrong, once.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    /// Ends the connection in the middle of each answer that is longer than this.
    Cut(usize),
    /// Sends other weights than those whose sum it names.
    Mixed,
    /// Asks who it is.
    Locked,
}

struct Hub {
    address: String,
    /// Lines of the requests that came, with the range that was asked for.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Hub {
    fn start(fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let told = asked.clone();
        let files: HashMap<String, Vec<u8>> = FILES
            .iter()
            .map(|name| {
                (
                    (*name).to_owned(),
                    fs::read(default_model().join(name)).unwrap(),
                )
            })
            .collect();
        thread::spawn(move || {
            for stream in listener.incoming() {
                // Whoever hangs up early is not to end the server.
                let _ = answer(&stream.unwrap(), &files, fault, &told);
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

const FILES: [&str; 5] = [
    "README.md",
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "model.safetensors",
];

fn default_model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/default")
}

fn sum(bytes: &[u8]) -> String {
    let hex = |byte: &u8| format!("{byte:02x}");
    Sha256::digest(bytes).iter().map(hex).collect()
}

fn answer(
    mut stream: &TcpStream,
    files: &HashMap<String, Vec<u8>>,
    fault: Fault,
    asked: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().unwrap()?;
    let mut headers = HashMap::new();
    for line in lines {
        let line = line?;
        let Some((name, value)) = line.split_once(": ") else {
            break;
        };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let range = headers.get("range").cloned().unwrap_or_default();
    asked.lock().unwrap().push(format!("{first} {range}"));
    let mut words = first.split(' ');
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    let mut head = |status: &str, len: usize, more: &str| {
        write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Length: {len}\r\nConnection: close\r\n{more}\r\n"
        )
    };
    if fault == Fault::Locked
        && headers.get("authorization").map(String::as_str) != Some("Bearer secret")
    {
        return head("401 Unauthorized", 0, "");
    }
    if path == "/api/models/callspan/tiny/revision/main" {
        let siblings: Vec<_> = FILES
            .iter()
            .map(|name| json!({"rfilename": name}))
            .collect();
        let text = json!({"sha": COMMIT, "siblings": siblings}).to_string();
        head("200 OK", text.len(), "")?;
        return stream.write_all(text.as_bytes());
    }
    let name = path.strip_prefix(&format!("/callspan/tiny/resolve/{COMMIT}/"));
    let Some(bytes) = name.and_then(|name| files.get(name)) else {
        return head("404 Not Found", 0, "");
    };
    if method == "HEAD" {
        let more = format!(
            "X-Repo-Commit: {COMMIT}\r\nX-Linked-Etag: \"{}\"\r\nX-Linked-Size: {}\r\n",
            sum(bytes),
            bytes.len()
        );
        return head("200 OK", bytes.len(), &more);
    }
    let from: usize = range
        .strip_prefix("bytes=")
        .map_or(0, |range| range.trim_end_matches('-').parse().unwrap());
    let mut bytes = bytes[from..].to_vec();
    head(
        if from > 0 {
            "206 Partial Content"
        } else {
            "200 OK"
        },
        bytes.len(),
        "",
    )?;
    match fault {
        Fault::Cut(most) => bytes.truncate(most),
        Fault::Mixed => bytes.reverse(),
        Fault::None | Fault::Locked => {}
    }
    stream.write_all(&bytes)
}

/// What a program that was given a model by its name said before it ended, or its socket's answer to health.
fn run(model: &str, cache: &Path, environment: &[(&str, &str)]) -> Result<String, String> {
    let room = common::room();
    let socket = room.path().join("s");
    let mut process = common::program();
    process.args(["--model", model, "--socket"]).arg(&socket);
    for name in [
        "HF_TOKEN",
        "HF_HOME",
        "HF_HUB_OFFLINE",
        "HF_ENDPOINT",
        "HTTP_PROXY",
        "http_proxy",
        "ALL_PROXY",
        "all_proxy",
    ] {
        process.env_remove(name);
    }
    process
        .env("HF_HUB_CACHE", cache)
        .env("HF_TOKEN_PATH", "/nowhere");
    process
        .envs(environment.iter().copied())
        .stderr(Stdio::piped());
    let mut server = common::Server {
        process: process.spawn().unwrap(),
        socket,
        room,
    };
    let deadline = Instant::now() + common::PATIENCE;
    while !server.socket.exists() {
        assert!(Instant::now() < deadline, "neither serves nor ends");
        if server.process.try_wait().unwrap().is_some() {
            let said = std::io::read_to_string(server.process.stderr.take().unwrap()).unwrap();
            return Err(said);
        }
        thread::sleep(std::time::Duration::from_millis(10));
    }
    let report = server.ask(&json!({"id": 1, "health": {}}));
    Ok(report.to_string())
}

#[test]
fn a_model_is_downloaded_once_and_then_found_without_a_network() {
    let (hub, cache) = (Hub::start(Fault::None), tempfile::tempdir().unwrap());
    let served = run(
        "callspan/tiny",
        cache.path(),
        &[("HF_ENDPOINT", &hub.address)],
    )
    .unwrap();
    assert!(served.contains("\"tiny\""), "{served}");
    // As Hugging Face's own libraries lay it out.
    let model = cache.path().join("models--callspan--tiny");
    assert_eq!(fs::read_to_string(model.join("refs/main")).unwrap(), COMMIT);
    let weights = model
        .join("snapshots")
        .join(COMMIT)
        .join("model.safetensors");
    let blob = fs::read_link(&weights).unwrap();
    let bytes = fs::read(&weights).unwrap();
    assert_eq!(blob, Path::new("../../blobs").join(sum(&bytes)));
    assert!(!weights.with_file_name("README.md").exists());
    let before = hub.asked().len();
    run(
        "callspan/tiny",
        cache.path(),
        &[("HF_ENDPOINT", &hub.address)],
    )
    .unwrap();
    assert_eq!(hub.asked().len(), before);
    run("callspan/tiny", cache.path(), &[("HF_HUB_OFFLINE", "1")]).unwrap();
    let by_commit = format!("callspan/tiny@{COMMIT}");
    run(&by_commit, cache.path(), &[("HF_HUB_OFFLINE", "1")]).unwrap();
}

#[test]
fn what_was_cut_off_is_gone_on_with_where_it_ended() {
    let cut = 1_000_000;
    let (hub, cache) = (Hub::start(Fault::Cut(cut)), tempfile::tempdir().unwrap());
    run(
        "callspan/tiny",
        cache.path(),
        &[("HF_ENDPOINT", &hub.address)],
    )
    .unwrap();
    let asked = hub.asked();
    let of_weights: Vec<_> = (asked
        .iter()
        .filter(|line| line.starts_with("GET") && line.contains("model.safetensors")))
    .map(|line| line.rsplit(' ').next().unwrap())
    .collect();
    let len = fs::metadata(default_model().join("model.safetensors"))
        .unwrap()
        .len() as usize;
    let mut expected = vec![String::new()];
    expected.extend((1..len.div_ceil(cut)).map(|portion| format!("bytes={}-", portion * cut)));
    assert!(expected.len() > 2);
    assert_eq!(of_weights, expected);
}

#[test]
fn what_has_another_sum_is_refused_and_not_kept() {
    let (hub, cache) = (Hub::start(Fault::Mixed), tempfile::tempdir().unwrap());
    let said = run(
        "callspan/tiny",
        cache.path(),
        &[("HF_ENDPOINT", &hub.address)],
    )
    .unwrap_err();
    assert!(
        said.contains("config.json was not downloaded whole: its sum is"),
        "{said}"
    );
    let blobs = cache.path().join("models--callspan--tiny/blobs");
    assert_eq!(fs::read_dir(blobs).unwrap().count(), 0);
    assert!(
        !cache
            .path()
            .join("models--callspan--tiny/refs/main")
            .exists()
    );
}

#[test]
fn a_token_is_shown_and_its_lack_is_told() {
    let (hub, cache) = (Hub::start(Fault::Locked), tempfile::tempdir().unwrap());
    let said = run(
        "callspan/tiny",
        cache.path(),
        &[("HF_ENDPOINT", &hub.address)],
    )
    .unwrap_err();
    assert!(said.contains("HF_TOKEN") && said.contains("401"), "{said}");
    let token = cache.path().join("token");
    fs::write(&token, "secret\n").unwrap();
    let token = token.to_str().unwrap();
    run(
        "callspan/tiny",
        cache.path(),
        &[("HF_ENDPOINT", &hub.address), ("HF_TOKEN_PATH", token)],
    )
    .unwrap();
}

#[test]
fn what_is_not_to_be_had_is_told_with_what_to_do() {
    let cache = tempfile::tempdir().unwrap();
    let near = cache.path().join("model-directory");
    fs::create_dir(&near).unwrap();
    let mistyped = cache.path().join("model-direktory");
    let hub = Hub::start(Fault::None);
    for (model, environment, expected) in [
        (
            "callspan/tiny",
            ("HF_HUB_OFFLINE", "1"),
            "HF_HUB_OFFLINE forbids",
        ),
        // Nobody listens at this port of this machine.
        (
            "callspan/tiny",
            ("HF_ENDPOINT", "http://127.0.0.1:1"),
            "download it elsewhere",
        ),
        (
            "callspan/other",
            ("HF_ENDPOINT", hub.address.as_str()),
            "has no callspan/other",
        ),
        (
            "callspan/tiny:Q8_0",
            ("HF_ENDPOINT", hub.address.as_str()),
            "has no such GGUF",
        ),
        ("no such model", ("HF_HUB_OFFLINE", "1"), "org/name"),
        (
            mistyped.to_str().unwrap(),
            ("HF_HUB_OFFLINE", "1"),
            "model-directory?",
        ),
    ] {
        let said = run(model, cache.path(), &[environment]).unwrap_err();
        assert!(said.contains(expected), "{said}");
    }
}
