//! `rust-inference logits`: the numbers that another engine is compared with.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside of the tests' own functions"
)]
mod common;

use std::{
    io::Write,
    process::{Output, Stdio},
};

use rust_inference::{
    embedded,
    kernels::Weights,
    model::{KvCache, LoadOptions, Model},
};
use serde_json::{Value, json};

fn logits(lines: &str) -> Output {
    let mut command = common::program();
    command
        .arg("logits")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut process = command.spawn().unwrap();
    process
        .stdin
        .take()
        .unwrap()
        .write_all(lines.as_bytes())
        .unwrap();
    process.wait_with_output().unwrap()
}

#[test]
fn the_logits_of_each_text_are_printed_as_the_engine_makes_them() {
    let exact = LoadOptions {
        weights: Weights::F32,
        threads: 2,
        packed_cache: false,
    };
    let model = Model::load(&embedded::files(), &exact).unwrap();
    let texts = [
        "<bos>Hello".to_owned(),
        format!("<bos>{}", "word ".repeat(200)),
    ];
    let lines: String = texts
        .iter()
        .map(|text| json!(text).to_string() + "\n")
        .collect();
    let done = logits(&lines);
    assert!(done.status.success(), "{done:?}");
    let mut rest = done.stdout.as_slice();
    for text in texts {
        let end = rest.iter().position(|byte| *byte == b'\n').unwrap();
        let head: Value = serde_json::from_slice(&rest[..end]).unwrap();
        let ids = model
            .tokenizer
            .encode(&model.tokenizer.pieces(&text))
            .unwrap();
        assert_eq!(
            head,
            json!({"ids": ids, "columns": model.config.vocab_size})
        );
        let expected = model.logits(&model.forward(&ids, &mut KvCache::new(&model)));
        let (rows, others) = rest[end + 1..].split_at(4 * expected.len());
        let found = rows
            .as_chunks::<4>()
            .0
            .iter()
            .map(|bytes| u32::from_le_bytes(*bytes));
        assert!(
            found.eq(expected.iter().map(|logit| logit.to_bits())),
            "{text}"
        );
        rest = others;
    }
    assert!(rest.is_empty());
}

#[test]
fn what_is_no_text_or_too_long_is_refused() {
    for (line, what) in [
        ("oops", "cannot read a text"),
        (&*json!("word ".repeat(3000)).to_string(), "context 4096"),
    ] {
        let done = logits(&format!("{line}\n"));
        assert_eq!(done.status.code(), Some(2));
        let said = String::from_utf8(done.stderr).unwrap();
        assert!(said.contains(what), "{said}");
    }
}
