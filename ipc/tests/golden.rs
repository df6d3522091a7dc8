//! The golden vectors, which every language on this protocol reads: `testdata/golden.jsonl` holds frames as the exact
//! line and the exact binary frame (with its length), `testdata/golden_inputs.jsonl` lines that are written otherwise
//! and mean the same as their binary frame. `UPDATE_GOLDEN=1 cargo test -p ipc --test golden` completes
//! lines that were added without a `hex`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside of the tests' own functions"
)]
use std::{collections::BTreeSet, fmt::Write as _, fs, path::PathBuf};

use bytes::BytesMut;
use ipc::{
    codec::{self, Decoder, Encoding, Inbound, json},
    frame::{BODY_NAMES, DEFAULT_MAX_FRAME_BYTES},
    proto::Frame,
};
use serde::{Deserialize, Serialize};
use tokio_util::codec::Decoder as _;

#[derive(Deserialize, Serialize)]
struct Vector {
    name: String,
    json: String,
    #[serde(default)]
    hex: String,
}

const EXACT: &str = "golden.jsonl";
const INPUTS: &str = "golden_inputs.jsonl";

fn read(file: &str) -> Vec<Vector> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("testdata")
        .join(file);
    let text = fs::read_to_string(&path).unwrap();
    let mut vectors: Vec<Vector> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        for vector in vectors.iter_mut().filter(|vector| vector.hex.is_empty()) {
            let frame = json::decode(&vector.json).unwrap();
            vector.hex = hex(&encode(&frame, Encoding::Binary));
            if file == EXACT {
                vector.json = json::to_line(&frame).unwrap();
            }
        }
        let lines = vectors
            .iter()
            .map(|vector| serde_json::to_string(vector).unwrap() + "\n");
        fs::write(path, lines.collect::<String>()).unwrap();
    }
    vectors
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

fn encode(frame: &Frame, encoding: Encoding) -> BytesMut {
    let mut out = BytesMut::new();
    codec::encode(frame, encoding, &mut out).unwrap();
    out
}

/// Decodes the one frame in `bytes` as a connection would.
fn decode(bytes: &[u8], encoding: Encoding) -> Frame {
    let mut bytes = BytesMut::from(bytes);
    let Inbound { frame, .. } = Decoder::new(encoding, DEFAULT_MAX_FRAME_BYTES)
        .decode(&mut bytes)
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(bytes.is_empty());
    frame
}

fn from_hex(vector: &Vector) -> Frame {
    let pairs = vector
        .hex
        .as_bytes()
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).unwrap());
    let bytes: Vec<u8> = pairs
        .map(|pair| u8::from_str_radix(pair, 16).unwrap())
        .collect();
    decode(&bytes, Encoding::Binary)
}

#[test]
fn both_encodings_of_a_frame_are_pinned() {
    let mut bodies = BTreeSet::new();
    for vector in read(EXACT) {
        let frame = from_hex(&vector);
        bodies.insert(frame.method());
        let line = vector.json.clone() + "\n";
        assert_eq!(
            decode(line.as_bytes(), Encoding::JsonLines),
            frame,
            "{}",
            vector.name
        );
        assert_eq!(
            json::to_line(&frame).unwrap(),
            vector.json,
            "{}",
            vector.name
        );
        assert_eq!(
            encode(&frame, Encoding::JsonLines),
            line.as_bytes(),
            "{}",
            vector.name
        );
        assert_eq!(
            hex(&encode(&frame, Encoding::Binary)),
            vector.hex,
            "{}",
            vector.name
        );
        assert_eq!(
            json::decode_strict(&vector.json).unwrap(),
            frame,
            "{}",
            vector.name
        );
    }
    let missing: Vec<_> = BODY_NAMES
        .iter()
        .filter(|name| !bodies.contains(*name))
        .collect();
    assert!(missing.is_empty(), "no vector for {missing:?}");
}

#[test]
fn other_ways_to_write_a_frame_mean_the_same() {
    for vector in read(INPUTS) {
        let frame = from_hex(&vector);
        assert_eq!(
            json::decode(&vector.json).unwrap(),
            frame,
            "{}",
            vector.name
        );
        // The string form of it means the same, too.
        assert_eq!(
            json::decode(&json::to_line(&frame).unwrap()).unwrap(),
            frame,
            "{}",
            vector.name
        );
    }
}
