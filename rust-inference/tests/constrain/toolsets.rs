//! Sixty tool sets in the shapes of public APIs, as people send them: what of them can be kept to, and which calls of them
//! are accepted.

use std::{fs, path::Path};

use rust_inference::{
    constrain::{Acceptor, ArgumentOrder, Mode, Options},
    functiongemma::{Tool, tools_from_json},
};
use serde_json::Value;

use crate::{notation, walks::Words};

/// One file.
struct Set {
    name: String,
    tools: Vec<Tool>,
    /// The pointers of what is refused; where there are any, the tools are taken with lenience.
    refused: Vec<String>,
    calls: Vec<Value>,
}

impl Set {
    fn options(&self, order: ArgumentOrder) -> Options {
        Options {
            order,
            lenient: !self.refused.is_empty(),
        }
    }

    fn acceptor(&self, order: ArgumentOrder) -> Acceptor {
        Acceptor::new(&self.tools, self.options(order))
            .unwrap_or_else(|notes| panic!("{}: {notes:?}", self.name))
    }
}

fn sets() -> Vec<Set> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/toolsets");
    let mut files: Vec<_> = fs::read_dir(root)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    files
        .iter()
        .map(|file| {
            let text = fs::read_to_string(file).unwrap();
            let set: Value = serde_json::from_str(&text).unwrap();
            Set {
                name: file.file_stem().unwrap().to_string_lossy().into_owned(),
                tools: tools_from_json(&text).unwrap(),
                refused: list(&set["refused"])
                    .iter()
                    .map(|at| at.as_str().unwrap().to_owned())
                    .collect(),
                calls: list(&set["calls"]),
            }
        })
        .collect()
}

#[test]
fn all_of_them_can_be_kept_to_but_for_the_keywords_that_are_named() {
    let sets = sets();
    assert_eq!(sets.len(), 60);
    for set in sets {
        let strict = Acceptor::new(&set.tools, Options::default());
        let mut refused: Vec<String> = strict
            .err()
            .unwrap_or_default()
            .into_iter()
            .map(|note| note.pointer)
            .collect();
        let mut expected = set.refused.clone();
        refused.sort();
        expected.sort();
        assert_eq!(refused, expected, "{}", set.name);
        set.acceptor(ArgumentOrder::Sorted);
    }
}

#[test]
fn their_valid_calls_are_accepted_and_the_invalid_ones_refused_at_the_value() {
    for set in sets() {
        let acceptor = set.acceptor(ArgumentOrder::Sorted);
        let mut called: Vec<&str> = Vec::new();
        for calls in &set.calls {
            let name = calls["name"].as_str().unwrap();
            called.push(name);
            for arguments in calls["valid"].as_array().unwrap() {
                let text = notation::call(name, arguments);
                let accepted = acceptor.accept(&text, &Mode::Required, Some(1));
                let accepted =
                    accepted.unwrap_or_else(|refusal| panic!("{}: {text}: {refusal}", set.name));
                assert_eq!(accepted.calls[0].name, name);
                assert_eq!(
                    Value::Object(accepted.calls[0].arguments.clone()),
                    *arguments,
                    "{text}"
                );
            }
            for invalid in calls["invalid"].as_array().unwrap() {
                let text = notation::call(name, &invalid["arguments"]);
                let Err(refusal) = acceptor.accept(&text, &Mode::Required, Some(1)) else {
                    panic!("{}: {text} is accepted", set.name);
                };
                let place = match invalid["at"].as_str().unwrap() {
                    "" => "the arguments: ".to_owned(),
                    at => format!("{at}: "),
                };
                assert!(
                    refusal.message.starts_with(&place),
                    "{}: {text}: {refusal}",
                    set.name
                );
            }
        }
        let offered: Vec<&str> = set.tools.iter().map(|tool| tool.name.as_str()).collect();
        assert_eq!(called, offered, "{}", set.name);
    }
}

#[test]
fn whatever_is_generated_for_them_is_accepted() {
    let words = Words::default_model();
    for set in sets() {
        for (seed, order) in [
            ArgumentOrder::Sorted,
            ArgumentOrder::Declared,
            ArgumentOrder::Any,
        ]
        .into_iter()
        .enumerate()
        {
            let acceptor = set.acceptor(order);
            for tool in &set.tools {
                let text = words.call(acceptor.grammar(), &tool.name, seed as u64, 600);
                let outcome = acceptor.accept(&text, &Mode::Function(tool.name.clone()), Some(1));
                assert!(
                    outcome.is_ok(),
                    "{} {order:?}: {outcome:?}: {text}",
                    set.name
                );
            }
        }
    }
}
