//! For whatever calls and however the text is cut or damaged: what was rendered is read back, the cuts do not matter,
//! and nothing panics.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside of the tests' own functions"
)]

mod written;

use std::time::{Duration, Instant};

use proptest::{collection::vec, prelude::*, strategy::ValueTree, test_runner::TestRunner};
use rust_inference::{
    constrain::{Acceptor, Mode, Options},
    functiongemma::{Call, Event, ParseError, Parser, parse},
};
use serde_json::Value;
use written::{CONTROLS, alike, calls, text, toolbox, tools, written};

/// The events of a text that comes in portions, neighbouring texts joined.
fn portioned<'a>(portions: impl Iterator<Item = &'a str>) -> (Vec<Event>, Option<ParseError>) {
    let mut parser = Parser::new(toolbox());
    let mut events: Vec<Event> = portions.flat_map(|portion| parser.push(portion)).collect();
    let error = match parser.finish() {
        Ok(rest) => {
            events.extend(rest);
            None
        }
        Err(error) => Some(error),
    };
    let mut joined: Vec<Event> = Vec::new();
    for event in events {
        match (joined.last_mut(), event) {
            (Some(Event::Text(before)), Event::Text(text)) => before.push_str(&text),
            (_, event) => joined.push(event),
        }
    }
    (joined, error)
}

fn cut(text: &str, at: usize) -> [&str; 2] {
    let (before, after) = text.split_at(text.floor_char_boundary(at));
    [before, after]
}

proptest! {
    #[test]
    fn what_was_rendered_is_read_back(calls in calls(), prose in "[a-z .]{0,20}") {
        let text = written(&calls, &prose);
        let (content, read) = parse(toolbox(), &text).unwrap();
        prop_assert_eq!(content, prose.trim());
        let pairs = |calls: &[Call]| -> Vec<_> {
            calls.iter().map(|call| (call.name.clone(), alike(&Value::Object(call.arguments.clone())))).collect()
        };
        prop_assert_eq!(pairs(&read), pairs(&calls), "{}", text);
    }

    #[test]
    fn what_was_rendered_is_accepted(calls in calls(), prose in "[a-z .]{0,20}") {
        let text = written(&calls, &prose);
        let acceptor = Acceptor::new(&tools(), Options::default()).unwrap();
        let accepted = acceptor.accept(&text, &Mode::Auto, None).map_err(|error| error.to_string());
        prop_assert_eq!(accepted.map(|accepted| accepted.calls.len()), Ok(calls.len()), "{}", text);
    }

    #[test]
    fn every_cut_gives_the_same(calls in calls(), prose in text()) {
        let text = format!("{prose}{}", written(&calls, ""));
        let whole = portioned(std::iter::once(text.as_str()));
        for at in 0..=text.len() {
            prop_assert_eq!(&portioned(cut(&text, at).into_iter()), &whole, "cut at {}", at);
        }
        let characters = text.char_indices().map(|(at, c)| &text[at..at + c.len_utf8()]);
        prop_assert_eq!(&portioned(characters), &whole);
    }
}

#[test]
fn ten_thousand_damaged_outputs_do_no_harm() {
    let mut runner = TestRunner::deterministic();
    let edit = (
        any::<prop::sample::Index>(),
        0u8..5,
        prop::sample::select(CONTROLS.to_vec()),
        any::<char>(),
    );
    let damage = (
        calls(),
        vec(edit, 1..6),
        vec(any::<prop::sample::Index>(), 0..6),
    );
    let (mut errors, mut events) = (0, 0);
    for _ in 0..10_000 {
        let (calls, edits, cuts) = damage.new_tree(&mut runner).unwrap().current();
        let mut text = written(&calls, "Some prose");
        for (index, kind, control, letter) in edits {
            let at = text.floor_char_boundary(index.index(text.len() + 1));
            let next = text.ceil_char_boundary((at + 1).min(text.len()));
            match kind {
                0 => text.insert(at, letter),
                1 => text.insert_str(at, control),
                2 => text.truncate(at),
                3 => text.replace_range(at..next, ""),
                _ => text.replace_range(at..next, letter.encode_utf8(&mut [0; 4])),
            }
        }
        let whole = portioned(std::iter::once(text.as_str()));
        errors += usize::from(whole.1.is_some());
        events += whole.0.len();
        if let Some(error) = &whole.1 {
            assert!(error.at <= text.len(), "{error} of {} bytes", text.len());
        }
        let mut places: Vec<usize> = cuts
            .iter()
            .map(|cut| text.floor_char_boundary(cut.index(text.len() + 1)))
            .collect();
        places.extend([0, text.len()]);
        places.sort_unstable();
        let portions = places.windows(2).map(|pair| &text[pair[0]..pair[1]]);
        assert_eq!(portioned(portions), whole, "{text}");
    }
    assert!(
        errors > 2_000 && events > 2_000,
        "the damage must be felt: {errors} errors, {events} events"
    );
}

/// Work grows with the length of a text, not with its square: an endless string in tiny portions, and a long text of
/// many calls and false beginnings at once. A text searched anew at each portion would take hours.
#[test]
fn a_long_output_is_read_in_time() {
    let started = Instant::now();
    let mut parser = Parser::new(toolbox());
    parser.push("<start_function_call>call:f{x:<escape>");
    let in_time = || assert!(started.elapsed() < Duration::from_mins(1));
    for portion in 0..4 << 20 {
        assert!(parser.push("<").is_empty());
        if portion % 4096 == 0 {
            in_time();
        }
    }
    let events = parser.push("<escape>}<end_function_call>");
    let [Event::Call { arguments, .. }] = events.as_slice() else {
        panic!("{} events", events.len());
    };
    assert_eq!(arguments["x"].as_str().unwrap().len(), 4 << 20);
    let call = "<<start_<start_function_call>call:f{x:[<escape><<end_<escape>]}<end_function_call>";
    let (content, calls) = parse(toolbox(), &call.repeat(1 << 16)).unwrap();
    assert_eq!((content.len(), calls.len()), (8 << 16, 1 << 16));
    in_time();
}
