//! The codecs, against any frame, any chunking and any damage.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside of the tests' own functions"
)]
mod arbitrary;

use std::fs;

use arbitrary::frame;
use bytes::BytesMut;
use ipc::{
    codec::{self, Decoder, Encoding, Flaw, Inbound, json},
    proto::{self, Code, Frame, frame::Body},
};
use proptest::{collection::vec, prelude::*, strategy::ValueTree as _, test_runner::TestRunner};
use tokio_util::codec::Decoder as _;

const BOTH: [Encoding; 2] = [Encoding::Binary, Encoding::JsonLines];
const MAX: u32 = 1 << 16;

fn encode(frames: &[Frame], encoding: Encoding) -> BytesMut {
    let mut bytes = BytesMut::new();
    for frame in frames {
        codec::encode(frame, encoding, &mut bytes).unwrap();
    }
    bytes
}

/// Decodes as a connection does, `chunks` giving the sizes of what arrives at once.
fn decode(bytes: &[u8], encoding: Encoding, chunks: &[usize]) -> Vec<Result<Inbound, Flaw>> {
    let mut decoder = Decoder::new(encoding, MAX);
    let (mut arrived, mut items, mut rest) = (BytesMut::new(), Vec::new(), bytes);
    let mut sizes = chunks.iter().copied().cycle();
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(sizes.next().unwrap_or(rest.len()).clamp(1, rest.len()));
        arrived.extend_from_slice(chunk);
        rest = after;
        while let Some(item) = decoder.decode(&mut arrived).unwrap() {
            items.push(item);
        }
        assert!(
            arrived.len() <= MAX as usize + 4,
            "unbounded: {}",
            arrived.len()
        );
    }
    while let Some(item) = decoder.decode_eof(&mut arrived).unwrap() {
        items.push(item);
    }
    items
}

fn frames(items: Vec<Result<Inbound, Flaw>>) -> Vec<Frame> {
    items.into_iter().map(|item| item.unwrap().frame).collect()
}

proptest! {
    #[test]
    fn any_frames_survive_any_chunking(sent in vec(frame(), 1..5), chunks in vec(1usize..40, 1..20)) {
        for encoding in BOTH {
            let bytes = encode(&sent, encoding);
            prop_assert_eq!(&frames(decode(&bytes, encoding, &chunks)), &sent);
        }
    }

    #[test]
    fn any_json_stands_in_place_of_its_text(value in json_text(), name in "\\PC*") {
        let object = format!("{{\"id\":1,\"call_tool\":{{\"name\":{},\"arguments\":{value}}}}}", quote(&name));
        let string = format!("{{\"id\":1,\"call_tool\":{{\"name\":{},\"arguments\":{}}}}}", quote(&name), quote(&value));
        let frame = json::decode_strict(&object).unwrap();
        prop_assert_eq!(&frame, &json::decode_strict(&string).unwrap());
        let Some(Body::CallTool(call)) = frame.body else { panic!() };
        prop_assert_eq!(call.arguments, value);
    }
}

fn quote(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

/// JSON texts with the spacing, order and numbers that a rewriter would spoil; strings stand for themselves elsewhere.
fn json_text() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        "-?[1-9][0-9]{0,40}(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?",
    ];
    let leaf = prop_oneof![scalar.clone(), "\\PC*".prop_map(|text| quote(&text))];
    let nested = leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(|items| format!("[ {}]", items.join(" ,"))),
            vec(("\\PC*", inner), 0..5).prop_map(|entries| {
                let entries: Vec<_> = entries
                    .iter()
                    .map(|(key, value)| format!("{} : {value}", quote(key)))
                    .collect();
                format!("{{{}}}", entries.join(", "))
            }),
        ]
    });
    nested.prop_filter("strings are taken as the text itself", |text| {
        !text.starts_with('"')
    })
}

/// Golden frames in both encodings, to be damaged.
fn golden() -> Vec<Vec<u8>> {
    let text = fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/testdata/golden.jsonl"
    ))
    .unwrap();
    let lines = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    lines
        .map(|vector| vector["json"].as_str().unwrap().as_bytes().to_vec())
        .collect()
}

#[test]
fn ten_thousand_damaged_inputs_do_no_harm() {
    let lines = golden();
    let mut runner = TestRunner::deterministic();
    let damage = (
        0..lines.len(),
        any::<bool>(),
        vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..4), 1..6),
        vec(1usize..50, 1..5),
    );
    let mut flaws = 0;
    for _ in 0..10_000 {
        let (which, binary, edits, chunks) = damage.new_tree(&mut runner).unwrap().current();
        let encoding = if binary {
            Encoding::Binary
        } else {
            Encoding::JsonLines
        };
        let whole = json::decode(std::str::from_utf8(&lines[which]).unwrap()).unwrap();
        let mut bytes = encode(&[whole.clone(), whole], encoding).to_vec();
        for (at, byte, kind) in edits {
            if bytes.is_empty() {
                break;
            }
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => drop(bytes.remove(at)),
                _ => bytes.truncate(at),
            }
        }
        let items = decode(&bytes, encoding, &chunks);
        flaws += items.iter().filter(|item| item.is_err()).count();
        // Chunking never changes what is found.
        assert_eq!(items, decode(&bytes, encoding, &[]));
    }
    assert!(flaws > 1000, "the damage must be felt: {flaws}");
}

#[test]
fn depth_does_not_overflow_the_stack() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let deep = format!("{}1{}", open.repeat(9_000), close.repeat(9_000));
        for line in [
            format!("{{\"id\":1,\"call_tool\":{{\"name\":\"f\",\"arguments\":{deep}}}}}\n"),
            format!("{{\"id\":1,\"ping\":{{}},\"unknown\":{deep}}}\n"),
            format!("{{\"id\":{deep}}}\n"),
            deep.clone(),
        ] {
            assert_eq!(decode(line.as_bytes(), Encoding::JsonLines, &[]).len(), 1);
        }
    }
}

fn flaw(bytes: &[u8], encoding: Encoding) -> Flaw {
    let mut items = decode(bytes, encoding, &[]);
    assert_eq!(items.len(), 1, "{items:?}");
    items.remove(0).unwrap_err()
}

#[test]
fn a_bad_line_is_named_with_its_column_and_id() {
    let two = Decoder::new(Encoding::JsonLines, MAX)
        .decode(&mut BytesMut::from(&b"\r\n \n{\"id\":1,}\n"[..]));
    let flaw_of = |text: &str| flaw(text.as_bytes(), Encoding::JsonLines);
    let Flaw { status, fatal, .. } = two.unwrap().unwrap().unwrap_err();
    assert_eq!((status.code, fatal), (Code::InvalidArgument, false));
    assert!(status.message.starts_with("line 3, column 9: "), "{status}");
    assert!(status.message.matches("line").count() == 1, "{status}");
    let mistyped = flaw_of("{\"id\":7,\"ping\":{\"payload\":12}}\n");
    assert_eq!(mistyped.id, 7);
    // The column is one of the line as written, also after a value that was taken as text.
    let after = flaw_of(
        "{\"id\":7,\"call_tool\":{\"arguments\":{\"a\":[\"\\\"\",\"\\\"\"]},\"name\":5}}\n",
    );
    assert!(
        after.status.message.starts_with("line 1, column 59: "),
        "{}",
        after.status
    );
    let number = flaw_of("{\"id\":true}");
    assert!(
        number.status.message.ends_with("expected a number"),
        "{}",
        number.status
    );
    let twice = flaw_of("{\"id\":1,\"ping\":{},\"health\":{}}");
    assert!(
        twice.status.message.contains("duplicate"),
        "{}",
        twice.status
    );
    let utf8 = flaw(
        b"{\"id\":1,\"ping\":{\"payload\":\"\xff\"}}\n",
        Encoding::JsonLines,
    );
    assert!(
        utf8.status
            .message
            .starts_with("line 1, column 28: not UTF-8"),
        "{}",
        utf8.status
    );
}

#[test]
fn what_is_too_large_is_skipped_and_what_follows_is_read() {
    let ping = Frame::new(
        3,
        Body::Ping(proto::Ping {
            payload: "after".into(),
        }),
    );
    let large = Frame::new(
        9,
        Body::Ping(proto::Ping {
            payload: "x".repeat(MAX as usize),
        }),
    );
    for encoding in BOTH {
        let bytes = encode(&[ping.clone(), large.clone(), ping.clone()], encoding);
        for chunks in [&[][..], &[1000], &[7]] {
            let items = decode(&bytes, encoding, chunks);
            assert_eq!(items.len(), 3, "{items:?}");
            assert_eq!((&items[0], &items[2]), (&items[2], &items[0]));
            let Err(Flaw { id, status, fatal }) = &items[1] else {
                panic!("{items:?}")
            };
            assert_eq!((status.code, *fatal), (Code::ResourceExhausted, false));
            assert_eq!(*id, if encoding == Encoding::Binary { 9 } else { 0 });
        }
    }
}

#[test]
fn binary_flaws_are_fatal_only_when_the_framing_is_lost() {
    let lost = flaw(&[1, 0, 0, 0, 8, 1, 8, 1], Encoding::Binary);
    assert!(
        lost.fatal && lost.status.code == Code::InvalidArgument,
        "{lost:?}"
    );
    let undecodable = flaw(&[0, 0, 0, 4, 8, 77, 0x4a, 9], Encoding::Binary);
    assert_eq!((undecodable.fatal, undecodable.id), (false, 77));
    let truncated = flaw(&[0, 0, 0, 9, 8, 1], Encoding::Binary);
    assert!(
        truncated.fatal
            && truncated
                .status
                .message
                .contains("6 bytes of a frame of 13"),
        "{truncated:?}"
    );
    let prefix = flaw(&[0, 0], Encoding::Binary);
    assert!(
        prefix
            .status
            .message
            .contains("2 bytes of a length of 4 bytes"),
        "{prefix:?}"
    );
}

#[test]
fn unknown_fields_are_found_wherever_they_are() {
    let line = r#"{"id":1,"extra":null,"generate":{"tools":[{"name":"a"},{"colour":1,"parameters":{"free":1}}],"chat":{"messages":[{"role":"user","nme":"x"}]}}}"#;
    let expected = [
        "extra",
        "generate.tools[1].colour",
        "generate.chat.messages[0].nme",
    ];
    assert_eq!(json::unknown_fields(line), expected);
    let error = json::decode_strict(line).unwrap_err();
    assert!(
        expected.iter().all(|field| error.message.contains(field)),
        "{error}"
    );
    assert!(json::decode(line).is_ok());
    assert!(
        json::unknown_fields(
            r#"{"id":1,"health_report":{"details":{"any":"key"}},"meta":{"timeoutMs":1}}"#
        )
        .is_empty()
    );
}
