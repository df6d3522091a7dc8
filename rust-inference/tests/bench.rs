//! `bench` as a person or a program runs it, on the built-in model: every figure is there, once, and can be read. How fast
//! it is, no test says.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside of the tests' own functions"
)]

use std::process::{Command, Output};

use serde_json::Value;

fn bench(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rust-inference"))
        .arg("bench")
        .args(arguments)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn every_figure_is_one_json_object_with_its_conditions() {
    let output = bench(&[
        "--json",
        "--threads",
        "1,2",
        "--weights",
        "f32,bf16",
        "-p",
        "8,16",
        "-n",
        "4",
        "-d",
        "0,20",
        "--batch",
        "1,3",
        "--clients",
        "1,2",
        "-r",
        "2",
    ]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let rows: Vec<Value> = text(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    // Load, read, two prefills, decode and two batches at two depths, two calls, two figures of clients twice.
    assert_eq!(rows.len(), 4 * (2 + 2 + 2 * 3 + 2 + 4));
    for row in &rows {
        let number = |key: &str| row[key].as_f64().unwrap();
        assert!(number("least") > 0.0, "{row}");
        assert!(number("least") <= number("median"), "{row}");
        assert!(number("median") <= number("p99"), "{row}");
        assert!(number("p99") <= number("most"), "{row}");
        assert_eq!(row["model"], "callspan-default");
        assert!(row["kernel"].is_string());
        let test = row["test"].as_str().unwrap();
        let runs = match test {
            "load" => 1,
            "first token" => 2 * row["size"].as_u64().unwrap(),
            _ => 2,
        };
        assert_eq!(row["runs"], runs, "{row}");
        assert_eq!(test == "decode", row["of_bandwidth"].is_number(), "{row}");
    }
    let count = |test: &str, weights: &str, threads: u64| {
        (rows.iter())
            .filter(|row| {
                row["test"] == test && row["weights"] == weights && row["threads"] == threads
            })
            .count()
    };
    for weights in ["f32", "bf16"] {
        for threads in [1, 2] {
            let counts = [
                "load",
                "read",
                "prefill",
                "decode",
                "batch",
                "call cold",
                "call warm",
                "clients",
                "first token",
            ]
            .map(|test| count(test, weights, threads));
            assert_eq!(counts, [1, 1, 2, 2, 4, 1, 1, 2, 2]);
        }
    }
    let read = |weights: &str| {
        let of = |row: &&Value| row["test"] == "read" && row["weights"] == weights;
        rows.iter().find(of).unwrap()["size"].as_u64().unwrap()
    };
    assert_eq!(read("f32"), 2 * read("bf16"));
    let call = rows.iter().find(|row| row["test"] == "call warm").unwrap();
    assert!(call["tokens"].as_u64().unwrap() > 20, "{call}");
}

#[test]
fn a_person_gets_a_table_and_is_told_what_goes_on_and_what_was_left_out() {
    let output = bench(&[
        "--only", "prefill", "-p", "8,9999", "-r", "1", "--kernel", "portable",
    ]);
    assert!(output.status.success());
    let table = text(&output.stdout);
    assert_eq!(table.matches("prefill").count(), 1, "{table}");
    assert!(
        table.starts_with("model: callspan-default, kernel: portable\ntest"),
        "{table}"
    );
    let told = text(&output.stderr);
    assert!(told.contains("prefill 8"), "{told}");
    assert!(
        told.contains("left out: prefill needs 9999 positions, and the model's context has 4096"),
        "{told}"
    );
}

#[test]
fn what_cannot_be_measured_is_refused() {
    for (arguments, said) in [
        (["--threads", "1,0"], "give 1 or more"),
        (["--weights", "q99"], "possible values"),
        (["--only", "nothing"], "possible values"),
    ] {
        let output = bench(&arguments);
        assert_eq!(output.status.code(), Some(2));
        assert!(output.stdout.is_empty());
        let told = text(&output.stderr);
        assert!(told.contains(said), "{told}");
    }
}
