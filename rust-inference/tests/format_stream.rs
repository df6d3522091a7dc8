//! A call that is streamed: its fragments, put together, are the whole call's JSON, wherever it was cut; and letters that
//! spell a control token are letters.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside of the tests' own functions"
)]
mod written;

use proptest::{collection::vec, prelude::*, strategy::ValueTree, test_runner::TestRunner};
use rust_inference::{
    functiongemma::{Call, Event, ParseError, Parser},
    tokenizer::Piece,
};
use serde_json::Value;
use written::{CONTROLS, alike, calls_of, pieces, spelt, text, toolbox};

type Portion<'a> = (bool, &'a str);

/// What a streaming parser gives for portions of text and control tokens (true).
fn streamed<'a>(
    portions: impl IntoIterator<Item = Portion<'a>>,
) -> (Vec<Event>, Option<ParseError>) {
    let mut parser = Parser::new(toolbox()).streaming();
    let mut events = Vec::new();
    for (control, text) in portions {
        events.extend(parser.push_piece(if control {
            Piece::Control(text)
        } else {
            Piece::Text(text)
        }));
    }
    match parser.finish() {
        Ok(rest) => {
            events.extend(rest);
            (events, None)
        }
        Err(error) => (events, Some(error)),
    }
}

/// Each whole call as `[name, arguments]`, and the same put together from the fragments that went before it.
fn whole_and_joined(events: &[Event]) -> Vec<[(String, String); 2]> {
    let mut calls = Vec::new();
    let mut joined = (String::new(), String::new());
    for event in events {
        match event {
            Event::Text(_) => {}
            Event::Name(name) => {
                assert_eq!(joined, Default::default(), "one call at a time");
                joined.0.clone_from(name);
            }
            Event::Arguments(part) => {
                assert!(!joined.0.is_empty(), "the name comes first");
                joined.1.push_str(part);
            }
            Event::Call { name, arguments } => {
                let whole = (name.clone(), Value::Object(arguments.clone()).to_string());
                calls.push([whole, std::mem::take(&mut joined)]);
            }
        }
    }
    calls
}

/// Each text cut at these places of it.
fn cut<'a>(pieces: &'a [(bool, String)], places: &[prop::sample::Index]) -> Vec<Portion<'a>> {
    let mut portions = Vec::new();
    for (control, text) in pieces {
        let mut cuts: Vec<usize> = places
            .iter()
            .map(|place| text.floor_char_boundary(place.index(text.len() + 1)))
            .filter(|_| !control)
            .collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        portions.extend(
            cuts.windows(2)
                .map(|ends| (*control, &text[ends[0]..ends[1]])),
        );
    }
    portions
}

fn letters(pieces: &[(bool, String)]) -> Vec<Portion<'_>> {
    let mut portions = Vec::new();
    for (control, text) in pieces {
        if *control {
            portions.push((true, text.as_str()));
        } else {
            let each = text
                .char_indices()
                .map(|(at, c)| &text[at..at + c.len_utf8()]);
            portions.extend(each.map(|letter| (false, letter)));
        }
    }
    portions
}

fn check(portions: Vec<Portion<'_>>, calls: &[Call], prose: &str) {
    let (events, error) = streamed(portions);
    assert_eq!(error, None);
    let content: String = events
        .iter()
        .filter_map(|event| match event {
            Event::Text(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(content, prose.trim());
    let read = whole_and_joined(&events);
    assert_eq!(read.len(), calls.len());
    for ([whole, joined], call) in read.iter().zip(calls) {
        assert_eq!(whole, joined);
        assert_eq!(whole.0, call.name);
        let arguments: Value = serde_json::from_str(&joined.1).unwrap();
        assert_eq!(
            alike(&arguments),
            alike(&Value::Object(call.arguments.clone()))
        );
    }
}

proptest! {
    #[test]
    fn the_fragments_of_a_call_are_its_json_wherever_it_is_cut(
        calls in calls_of(prop_oneof![text(), spelt()].boxed()),
        prose in prop_oneof![text(), spelt()],
        places in vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let pieces = pieces(&calls, &prose);
        check(cut(&pieces, &places), &calls, &prose);
        check(letters(&pieces), &calls, &prose);
    }
}

/// The notation has spellings that the renderer does not use; they stream as they are read.
#[test]
fn every_spelling_streams_as_it_is_read() {
    for written in [
        "call:f{}",
        "call:f",
        "call: f {} ",
        "call:f{ x : 1 , y :\u{2003}[ 2 , { a : None } ] } ",
        "call:f{x:1E+5,y:-0,z:1e-05,w:1000.0,v:-0.0,u:9007199254740993}",
        "call:f{x:null,y:None,z:true,w:false}",
        "call:f{<escape>a b<escape> : <escape> c <escape> , <escape><escape>:<escape><escape>}",
        "call:f{x:[[],[[]],{},{y:{}}]}",
        "call:größe{ünï:<escape>\"\\\u{0}\u{7f}\u{1f}\n🦊<escape>}",
    ] {
        let mut pieces = vec![(true, "<start_function_call>".to_owned())];
        for (i, text) in written.split("<escape>").enumerate() {
            if i > 0 {
                pieces.push((true, "<escape>".to_owned()));
            }
            pieces.push((false, text.to_owned()));
        }
        pieces.push((true, "<end_function_call>".to_owned()));
        let (events, error) = streamed(letters(&pieces));
        assert_eq!(error, None, "{written}");
        let calls = whole_and_joined(&events);
        assert_eq!(calls.len(), 1, "{written}");
        assert_eq!(calls[0][0], calls[0][1], "{written}");
    }
}

#[test]
fn a_name_comes_as_soon_as_it_is_whole_and_a_text_as_it_is_written() {
    let mut parser = Parser::new(toolbox()).streaming();
    let name = |name: &str| Event::Name(name.to_owned());
    let more = |text: &str| Event::Arguments(text.to_owned());
    for (piece, told) in [
        (Piece::Control("<start_function_call>"), vec![]),
        (Piece::Text("call:get."), vec![]),
        (Piece::Text("time"), vec![]),
        (Piece::Text("{"), vec![name("get.time"), more("{")]),
        (Piece::Text("zo"), vec![]),
        (Piece::Text("ne:"), vec![more("\"zone\":")]),
        (Piece::Control("<escape>"), vec![more("\"")]),
        (Piece::Text("Euro"), vec![more("Euro")]),
        (Piece::Text("pe\n"), vec![more("pe\\n")]),
        (Piece::Control("<escape>"), vec![more("\"")]),
        (Piece::Text(",n:-1"), vec![more(",\"n\":")]),
        (Piece::Text(".5"), vec![]),
        (Piece::Text("}"), vec![more("-1.5}")]),
    ] {
        assert_eq!(parser.push_piece(piece), told, "{piece:?}");
    }
    let events = parser.push_piece(Piece::Control("<end_function_call>"));
    assert!(
        matches!(events.as_slice(), [Event::Call { .. }]),
        "{events:?}"
    );
}

#[test]
fn letters_that_spell_a_control_token_are_text_for_every_control_token() {
    for token in CONTROLS {
        let prose = format!("a {token}call:f{{}}{token} b");
        let (events, error) = streamed([(false, prose.as_str())]);
        assert_eq!((events, error), (vec![Event::Text(prose)], None));

        let (events, error) = streamed([
            (true, "<start_function_call>"),
            (false, "call:f{x:"),
            (true, "<escape>"),
            (false, &format!("a{token}}}b")),
            (true, "<escape>"),
            (false, ",k"),
            (false, "ey:"),
            (true, "<escape>"),
            (false, &token[..1]),
            (false, &token[1..]),
            (true, "<escape>"),
            (false, "}"),
            (true, "<end_function_call>"),
        ]);
        assert_eq!(error, None, "{token}");
        let calls = whole_and_joined(&events);
        let expected = format!(r#"{{"x":"a{token}}}b","key":"{token}"}}"#);
        assert_eq!(
            calls[0],
            [
                ("f".to_owned(), expected.clone()),
                ("f".to_owned(), expected)
            ]
        );
    }
}

/// Whatever is done to a call: what is read as a whole call was streamed as that call, and nothing panics.
#[test]
fn what_streams_of_a_damaged_call_is_the_call_if_there_is_one() {
    let mut runner = TestRunner::deterministic();
    let edit = (
        any::<prop::sample::Index>(),
        0u8..4,
        prop::sample::select(CONTROLS.to_vec()),
        prop_oneof![
            any::<char>(),
            prop::sample::select(vec![' ', ',', '}', '{', ':', '<', '0'])
        ],
    );
    let damage = (
        calls_of(text().boxed()),
        vec(edit, 0..4),
        vec(any::<prop::sample::Index>(), 0..4),
    );
    let (mut errors, mut whole) = (0, 0);
    for _ in 0..10_000 {
        let (calls, edits, places) = damage.new_tree(&mut runner).unwrap().current();
        let mut pieces = pieces(&calls, "prose");
        for (index, kind, token, letter) in edits {
            let at = index.index(pieces.len());
            let (control, text) = &mut pieces[at];
            match kind {
                0 => drop(pieces.remove(at)),
                1 => pieces.insert(at, (true, token.to_owned())),
                2 => pieces.insert(at, (false, letter.into())),
                _ if !*control => {
                    text.insert(
                        text.floor_char_boundary(index.index(text.len() + 1)),
                        letter,
                    );
                }
                _ => {}
            }
            if pieces.is_empty() {
                break;
            }
        }
        let (events, error) = streamed(cut(&pieces, &places));
        errors += usize::from(error.is_some());
        for [read, joined] in whole_and_joined(&events) {
            whole += 1;
            assert_eq!(read, joined, "{pieces:?}");
        }
    }
    assert!(
        errors > 2_000 && whole > 2_000,
        "{errors} errors, {whole} calls"
    );
}
