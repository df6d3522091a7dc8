//! What is counted, over the protocol and over HTTP: in the form that Prometheus reads, right, and whatever scrapers do.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::float_cmp,
    reason = "helpers of tests, outside of the tests' own functions; counts are whole numbers"
)]
mod common;

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    process::Stdio,
    time::Duration,
};

use common::{Server, chat, convert_units, program, room};
use serde_json::json;

/// The samples of a text by name and labels. Strict: whatever Prometheus would refuse of what may stand here is a failure.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let body = text.strip_suffix("# EOF\n").unwrap();
    let mut samples = BTreeMap::new();
    // The family that the lines belong to, and its type.
    let (mut family, mut kind) = (String::new(), String::new());
    let mut seen = Vec::new();
    for line in body.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let [word, name, rest] = comment.splitn(3, ' ').collect::<Vec<_>>()[..] else {
                panic!("{line}");
            };
            if name != family {
                assert!(!seen.contains(&name.to_owned()), "{name} stands apart");
                seen.push(name.to_owned());
                (family, kind) = (name.to_owned(), String::new());
            }
            match word {
                "TYPE" => rest.clone_into(&mut kind),
                "UNIT" => assert!(family.ends_with(&format!("_{rest}")), "{line}"),
                "HELP" => assert!(!rest.is_empty(), "{line}"),
                _ => panic!("{line}"),
            }
            continue;
        }
        let (key, value) = line.rsplit_once(' ').unwrap();
        let name = key.split('{').next().unwrap();
        let legal = |c: char| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit();
        assert!(name.chars().all(legal), "{line}");
        let suffixes: &[&str] = match kind.as_str() {
            "counter" => &["_total"],
            "gauge" => &[""],
            "info" => &["_info"],
            "histogram" => &["_bucket", "_sum", "_count"],
            other => panic!("{line}: of type {other:?}"),
        };
        let suffix = name.strip_prefix(&*family).unwrap_or("none");
        assert!(suffixes.contains(&suffix), "{line} in {family}");
        if let Some(labels) = key.strip_prefix(name).filter(|labels| !labels.is_empty()) {
            let inner = labels
                .strip_prefix('{')
                .and_then(|rest| rest.strip_suffix("\"}"));
            for label in inner.unwrap().split("\",") {
                let (label, value) = label.split_once("=\"").unwrap();
                assert!(label.chars().all(legal) && !value.contains('"'), "{line}");
            }
        }
        let value: f64 = value.parse().unwrap();
        assert!(kind == "gauge" || value >= 0.0, "{line}");
        assert!(
            samples.insert(key.to_owned(), value).is_none(),
            "{line} twice"
        );
    }
    check_histograms(&samples, body);
    samples
}

/// Buckets rise, and the last is all.
fn check_histograms(samples: &BTreeMap<String, f64>, body: &str) {
    let mut last = 0.0;
    for line in body.lines().filter(|line| line.contains("_bucket{")) {
        let (key, value) = line.rsplit_once(' ').unwrap();
        let value: f64 = value.parse().unwrap();
        assert!(value >= last, "{line}");
        last = value;
        if key.contains("le=\"+Inf\"") {
            let count = key
                .replace("_bucket{", "_count{")
                .replace("le=\"+Inf\"", "");
            let count = count
                .replace(",}", "}")
                .replace("{,", "{")
                .replace("{}", "");
            assert_eq!(samples[&count], value, "{line}");
            last = 0.0;
        }
    }
}

fn asked(server: &Server) -> BTreeMap<String, f64> {
    let answer = server.ask(&json!({"id": 1, "metrics": {}}));
    let report = &answer["metrics_report"];
    let kind = report["content_type"].as_str().unwrap();
    assert!(kind.starts_with("application/openmetrics-text; version=1.0.0"));
    samples(report["text"].as_str().unwrap())
}

/// A server with --metrics, and where it says they are.
fn scraped(address: &str) -> (Server, String) {
    let room = room();
    let socket = room.path().join("s");
    let address = address.replace("ROOM", room.path().to_str().unwrap());
    let mut process = program()
        .arg("--socket")
        .arg(&socket)
        .args(["--metrics", &address])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
    let said = lines.find_map(|line| Some(line.unwrap().split_once("metrics at ")?.1.to_owned()));
    let server = Server {
        process,
        socket,
        room,
    };
    (server, said.unwrap())
}

fn http(stream: &mut (impl Read + Write), request: &str) -> String {
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

const GET: &str = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[test]
fn what_is_counted_is_what_was_done_and_only_rises() {
    let server = Server::start(&[]);
    let before = asked(&server);
    let key = |text: &str| format!("callspan_inference_{text}");
    assert!(!before.contains_key(&key(
        "requests_total{method=\"generate\",model=\"callspan-default\",outcome=\"tool_calls\"}"
    )));
    let call = json!({"chat": chat("How many miles is 12 km?"), "tools": [convert_units()]});
    let mut usages = Vec::new();
    for _ in 0..2 {
        usages.push(server.generate(&call)["done"]["usage"].clone());
    }
    server.generate(&json!({"prompt": "x", "logprobs": 99}));
    server.ask(&json!({"id": 1, "embed": {"input": ["one two"]}}));
    server.ask(&json!({"id": 1, "score": {"prompt": "<bos>", "completion": "one"}}));
    server.until("running", "0");
    let after = asked(&server);
    for (what, count) in [
        (
            "requests_total{method=\"generate\",model=\"callspan-default\",outcome=\"tool_calls\"}",
            2.0,
        ),
        (
            "requests_total{method=\"generate\",model=\"callspan-default\",outcome=\"invalid_argument\"}",
            1.0,
        ),
        (
            "requests_total{method=\"embed\",model=\"callspan-default\",outcome=\"ok\"}",
            1.0,
        ),
        (
            "requests_total{method=\"score\",model=\"callspan-default\",outcome=\"ok\"}",
            1.0,
        ),
        (
            "request_seconds_count{method=\"generate\",model=\"callspan-default\"}",
            3.0,
        ),
        ("queue_seconds_count{model=\"callspan-default\"}", 4.0),
        ("prefill_seconds_count{model=\"callspan-default\"}", 4.0),
        ("decode_seconds_count{model=\"callspan-default\"}", 2.0),
        (
            "time_to_first_token_seconds_count{model=\"callspan-default\"}",
            2.0,
        ),
        ("requests_running{model=\"callspan-default\"}", 0.0),
        ("requests_waiting{model=\"callspan-default\"}", 0.0),
    ] {
        assert_eq!(after[&key(what)], count, "{what}");
    }
    let sum = |field: &str| -> f64 {
        let of = |usage: &serde_json::Value| usage[field].as_f64().unwrap_or_default();
        usages.iter().map(of).sum()
    };
    for kind in ["cached", "forced", "constrained", "free", "speculated"] {
        let counted = after[&key(&format!(
            "tokens_total{{model=\"callspan-default\",kind=\"{kind}\"}}"
        ))];
        assert_eq!(counted, sum(&format!("{kind}_tokens")), "{kind}");
    }
    assert!(
        after[&key("tokens_total{model=\"callspan-default\",kind=\"prompt\"}")]
            > sum("prompt_tokens")
    );
    // A pass each for what was embedded and scored, and those that the answers tell of.
    assert_eq!(after[&key("batch_size_count")], sum("forward_passes") + 2.0);
    assert_eq!(after[&key("batch_size_sum")], sum("forward_passes") + 2.0);
    assert_eq!(
        after[&key("kv_cache_bytes{model=\"callspan-default\"}")],
        0.0
    );
    assert!(after[&key("constraint_seconds_total{model=\"callspan-default\"}")] > 0.0);
    assert!(after[&key("prefix_cache_bytes{model=\"callspan-default\"}")] > 0.0);
    assert!(after["process_resident_memory_bytes"] > 1e6);
    assert!(after["process_start_time_seconds"] > 1e9);
    assert!(
        after
            .keys()
            .any(|key| key.starts_with("callspan_inference_build_info{version=\""))
    );
    for (key, value) in before {
        if !key.contains("running") && !key.contains("kv_cache") && !key.contains("resident") {
            assert!(after[&key] >= value, "{key}");
        }
    }
}

#[test]
fn it_is_scraped_over_http_and_nothing_else_is_answered() {
    let (server, place) = scraped("127.0.0.1:0");
    let host = place
        .strip_prefix("http://")
        .and_then(|rest| rest.strip_suffix("/metrics"));
    let connect = || TcpStream::connect(host.unwrap()).unwrap();
    let answer = http(&mut connect(), GET);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    assert!(
        head.contains("content-type: application/openmetrics-text; version=1.0.0"),
        "{head}"
    );
    assert!(
        samples(body)
            .contains_key("callspan_inference_requests_running{model=\"callspan-default\"}")
    );
    for (request, status) in [
        ("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "404"),
        (
            "POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
            "405",
        ),
        ("{\"id\":1,\"health\":{}}\r\n\r\n", "400"),
    ] {
        let answer = http(&mut connect(), request);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{answer}"
        );
    }
    // Whoever hangs, in the middle of a request or without reading, is in nobody's way.
    let hung: Vec<TcpStream> = (0..30)
        .map(|index| {
            let mut stream = connect();
            let part = if index % 2 == 0 { &GET[..10] } else { GET };
            stream.write_all(part.as_bytes()).unwrap();
            stream
        })
        .collect();
    assert!(http(&mut connect(), GET).ends_with("# EOF\n"));
    assert_eq!(server.detail("waiting"), "0");
    drop(hung);
    assert!(http(&mut connect(), GET).ends_with("# EOF\n"));
}

#[test]
fn a_scraper_that_hangs_is_let_go() {
    let (_server, place) = scraped("ROOM/metrics");
    let path = place.strip_prefix("/metrics of ").unwrap();
    let mut hung = UnixStream::connect(path).unwrap();
    hung.write_all(&GET.as_bytes()[..10]).unwrap();
    hung.set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    assert_eq!(hung.read(&mut [0; 9]).unwrap_or(0), 0);
    let mut stream = UnixStream::connect(path).unwrap();
    assert!(http(&mut stream, GET).ends_with("# EOF\n"));
}

#[test]
fn other_machines_are_let_in_only_by_name() {
    let room = room();
    let refused = program()
        .arg("--socket")
        .arg(room.path().join("s"))
        .args(["--metrics", "0.0.0.0:0"])
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("--metrics-public"), "{said}");
}
