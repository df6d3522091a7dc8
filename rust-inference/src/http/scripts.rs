//! Answers that are told in pieces of any kind, to test that whoever puts the events together gets the whole: by our own
//! engine, whose calls come in fragments, or by a server behind this one, which may tell calls or everything as a whole.

use ipc::proto::{Delta, Done, ToolCall, ToolCallDelta, Usage, frame::Body};
use proptest::{collection::vec, prelude::*};

/// What is written: text, or a call's name and arguments.
#[derive(Clone, Debug)]
pub(super) enum Part {
    Text(String),
    Call(String, String),
}

/// How it is told before the end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Told {
    InPieces,
    /// Calls have no fragments.
    CallsWhole,
    /// Only the end tells.
    AtTheEnd,
}

pub(super) fn parts() -> impl Strategy<Value = Vec<Part>> {
    let text = "[a-zé\"\\\\\n ]{1,12}".prop_map(Part::Text);
    let call =
        ("[a-z]{1,5}", "[{}:é\"\\\\0-9]{0,12}").prop_map(|(name, args)| Part::Call(name, args));
    vec(prop_oneof![text, call], 0..5)
}

pub(super) fn told() -> impl Strategy<Value = Told> {
    prop_oneof![
        Just(Told::InPieces),
        Just(Told::CallsWhole),
        Just(Told::AtTheEnd)
    ]
}

/// The whole answer.
pub(super) fn done(parts: &[Part]) -> Done {
    let mut done = Done {
        finish_reason: "stop".to_owned(),
        usage: Some(Usage::default()),
        ..Done::default()
    };
    for part in parts {
        match part {
            Part::Text(text) => done.content.push_str(text),
            Part::Call(name, arguments) => {
                "tool_calls".clone_into(&mut done.finish_reason);
                done.tool_calls.push(ToolCall {
                    id: format!("call_{}", done.tool_calls.len()),
                    name: name.clone(),
                    arguments: arguments.clone(),
                });
            }
        }
    }
    done
}

/// What comes before it, each piece of so many characters.
pub(super) fn deltas(parts: &[Part], told: Told, size: usize) -> Vec<Body> {
    let pieces = |text: &str| -> Vec<String> {
        let characters: Vec<char> = text.chars().collect();
        characters
            .chunks(size)
            .map(|piece| piece.iter().collect())
            .collect()
    };
    let mut deltas = Vec::new();
    let mut index = 0;
    for part in parts.iter().filter(|_| told != Told::AtTheEnd) {
        match part {
            Part::Text(text) => deltas.extend(pieces(text).into_iter().map(|text| Delta {
                text,
                ..Delta::default()
            })),
            Part::Call(name, arguments) => {
                let fragment = |name: &str, arguments: String| Delta {
                    call_deltas: vec![ToolCallDelta {
                        index,
                        name: name.to_owned(),
                        arguments,
                        ..ToolCallDelta::default()
                    }],
                    ..Delta::default()
                };
                if told == Told::InPieces {
                    deltas.push(fragment(name, String::new()));
                    deltas.extend(
                        pieces(arguments)
                            .into_iter()
                            .map(|piece| fragment("", piece)),
                    );
                }
                deltas.push(Delta {
                    tool_calls: vec![ToolCall {
                        name: name.clone(),
                        arguments: arguments.clone(),
                        ..ToolCall::default()
                    }],
                    ..Delta::default()
                });
                index += 1;
            }
        }
    }
    deltas.into_iter().map(Body::Delta).collect()
}
