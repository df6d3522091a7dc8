//! A set of tools as a model may call them: what the callers of this room hold on to.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::{
    choices::Work,
    grammar::Rules,
    guide::{Steering, lock},
    language::{self, Language, LanguageError, TextSpec},
    machine::{Calls, Frame, Machine},
    options::{Note, Options},
    schema,
    vocabulary::Vocabulary,
};
use crate::functiongemma::{CONTROL_TOKENS, Tool};

/// Stacks and steps that a machine keeps before it is made anew.
const MAX_SIZE: usize = 1 << 20;

/// Which values are possible. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Grammar {
    pub(super) rules: Arc<Rules>,
    prose: Language,
    keys: Language,
}

/// Whether and what the model may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Prose only.
    None,
    /// Prose, or calls, or prose and then calls.
    Auto,
    /// Calls only.
    Required,
    /// Calls of this function only.
    Function(String),
}

impl Grammar {
    /// The calls of these tools, or what of their schemas cannot be honoured.
    pub fn of_tools(tools: &[Tool], options: &Options) -> Result<Self, Vec<Note>> {
        Self::new(schema::of_tools(tools, *options)?)
    }

    /// One JSON value.
    pub fn of_json(schema: &Value, options: &Options) -> Result<Self, Vec<Note>> {
        Self::new(schema::of_json(schema, *options)?)
    }

    fn new(rules: Rules) -> Result<Self, Vec<Note>> {
        let ours = |language: Result<Language, LanguageError>| {
            language.map_err(|error| vec![Note::new("", error.to_string())])
        };
        Ok(Self {
            rules: Arc::new(rules),
            prose: ours(prose())?,
            keys: ours(keys())?,
        })
    }

    /// How the schemas were understood, as JSON.
    pub fn describe(&self) -> Value {
        self.rules.describe()
    }

    /// What was left out, and what of the schemas says nothing.
    pub fn notes(&self) -> &[Note] {
        &self.rules.notes
    }
}

/// Prose holds no control token, not even spelt.
fn prose() -> Result<Language, LanguageError> {
    language::text(&TextSpec {
        never: CONTROL_TOKENS.to_vec(),
        ..TextSpec::default()
    })
}

/// Keys that no schema declares: what people give as one, and what can stand without delimiters.
fn keys() -> Result<Language, LanguageError> {
    language::text(&TextSpec {
        patterns: vec![r"^[A-Za-z0-9_$@][A-Za-z0-9_./@$-]*$".to_owned()],
        max: Some(64),
        ..TextSpec::default()
    })
}

/// A grammar in the tokens of a model. Shared by all generations with it.
#[derive(Debug)]
pub struct Constraint {
    grammar: Grammar,
    vocabulary: Arc<Vocabulary>,
    work: Mutex<Arc<Mutex<Work>>>,
}

impl Constraint {
    pub fn new(grammar: Grammar, vocabulary: Arc<Vocabulary>) -> Self {
        let work = Mutex::new(Arc::new(Mutex::new(fresh(&grammar))));
        Self {
            grammar,
            vocabulary,
            work,
        }
    }

    pub fn notes(&self) -> &[Note] {
        self.grammar.notes()
    }

    /// Prose and calls. `most`: calls of one answer. `before`: the text behind the prompt's last control token. `None` if a
    /// function is named that is not there.
    pub fn calls(&self, mode: &Mode, most: Option<usize>, before: &str) -> Option<Steering> {
        let functions = &self.grammar.rules.functions;
        let only = match mode {
            Mode::Function(name) => Some(
                functions
                    .iter()
                    .position(|function| function.name == *name)?,
            ),
            _ => None,
        };
        let most = most.unwrap_or(usize::MAX);
        let calls = Calls { only, most };
        let prose = |calls| Frame::Prose {
            place: self.grammar.prose.start(),
            calls,
        };
        let frame = match mode {
            Mode::None => prose(None),
            Mode::Auto if functions.is_empty() || most == 0 => prose(None),
            Mode::Auto => prose(Some(calls)),
            Mode::Required | Mode::Function(_) => Frame::Calls { made: 0, calls },
        };
        Some(self.start(&[frame], before))
    }

    /// The JSON value. `None` if the grammar is one of tools.
    pub fn json(&self, before: &str) -> Option<Steering> {
        let root = self.grammar.rules.root?;
        Some(self.start(&[Frame::Answered, Frame::Begin(root)], before))
    }

    fn start(&self, frames: &[Frame], before: &str) -> Steering {
        let mut work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        if lock(&work).machine.size() > MAX_SIZE {
            *work = Arc::new(Mutex::new(fresh(&self.grammar)));
        }
        let work = work.clone();
        let state = lock(&work).machine.start(frames);
        Steering::new(work, self.vocabulary.clone(), state, before)
    }
}

fn fresh(grammar: &Grammar) -> Work {
    Work::new(Machine::new(
        grammar.rules.clone(),
        grammar.prose.clone(),
        grammar.keys.clone(),
    ))
}
