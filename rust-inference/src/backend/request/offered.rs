//! What requests offer to the model, compiled: the tools that come question after question are compiled once.

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
};

use ipc::Status;
use serde_json::{Value, json};

use crate::{
    cache::Cache,
    constrain::{Constraint, Grammar, Note, Options, Vocabulary},
    functiongemma::{InputError, Tool, Toolbox},
    tokenizer::Tokenizer,
};

/// Notes that are told of one request.
const SHOWN_NOTES: usize = 16;

/// Why something cannot be offered.
#[derive(Clone, Debug)]
enum Refusal {
    /// It is wrong.
    Wrong(InputError),
    /// It is right, but cannot be honoured.
    Unsupported(Vec<Note>),
}

/// What may be written, and what checks it.
#[derive(Clone, Debug)]
pub(in crate::backend) struct Offered {
    pub(in crate::backend) constraint: Arc<Constraint>,
    /// Of the tools.
    pub(in crate::backend) toolbox: Arc<Toolbox>,
    /// All that is checked is guaranteed as well: nothing was left out.
    pub(in crate::backend) strict: bool,
}

/// Compiles what is offered, and keeps it.
#[derive(Debug)]
pub(in crate::backend) struct Compiler {
    vocabulary: Arc<Vocabulary>,
    kept: Mutex<Cache<Result<Offered, Refusal>>>,
}

impl Compiler {
    /// For a model with so many tokens, whose answers end with one of the ids `ends`.
    pub(in crate::backend) fn new(tokenizer: &Arc<Tokenizer>, ends: &[u32], tokens: usize) -> Self {
        let vocabulary = Vocabulary::new(tokenizer, ends, tokens);
        Self {
            vocabulary: Arc::new(vocabulary),
            kept: Mutex::default(),
        }
    }

    /// Calls of these tools.
    pub(in crate::backend) fn tools(
        &self,
        tools: &[Tool],
        options: Options,
    ) -> Result<Offered, Status> {
        let content: Vec<_> = (tools.iter())
            .map(|tool| json!([tool.name, tool.parameters]))
            .collect();
        self.kept("the tools", &Value::Array(content), options, || {
            let toolbox = Toolbox::new(tools).map_err(Refusal::Wrong)?;
            let grammar = Grammar::of_tools(tools, &options).map_err(Refusal::Unsupported)?;
            Ok(self.offered(grammar, toolbox, options))
        })
    }

    /// JSON that is valid against a schema.
    pub(in crate::backend) fn json(
        &self,
        schema: &Value,
        options: Options,
    ) -> Result<Offered, Status> {
        self.kept(
            "response_format.schema",
            &json!({"schema": schema}),
            options,
            || {
                let grammar = Grammar::of_json(schema, &options).map_err(Refusal::Unsupported)?;
                Ok(self.offered(grammar, Toolbox::default(), options))
            },
        )
    }

    fn offered(&self, grammar: Grammar, toolbox: Toolbox, options: Options) -> Offered {
        Offered {
            strict: !options.lenient || grammar.notes().is_empty(),
            constraint: Arc::new(Constraint::new(grammar, self.vocabulary.clone())),
            toolbox: Arc::new(toolbox),
        }
    }

    fn kept(
        &self,
        what: &str,
        content: &Value,
        options: Options,
        make: impl FnOnce() -> Result<Offered, Refusal>,
    ) -> Result<Offered, Status> {
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let key = format!("{options:?} {content}");
        let found = kept().find(&key);
        // Made with nobody waiting for the lock: what takes long is one request's affair.
        let made = found.unwrap_or_else(|| {
            let made = make();
            kept().keep(&key, made.clone());
            made
        });
        made.map_err(|refusal| match refusal {
            Refusal::Wrong(error) => Status::invalid_argument(error.to_string()),
            Refusal::Unsupported(notes) => Status::invalid_argument(format!(
                "{what} cannot be guaranteed: {}",
                shown(&notes).join("; ")
            ))
            .with_hint(
                "simplify the schema there, or set `lenient` to true: what cannot be guaranteed is then only checked",
            ),
        })
    }
}

impl Offered {
    /// What its author should know.
    pub(in crate::backend) fn warnings(&self) -> Vec<String> {
        shown(self.constraint.notes())
    }
}

fn shown(notes: &[Note]) -> Vec<String> {
    let mut shown: Vec<String> = notes
        .iter()
        .take(SHOWN_NOTES)
        .map(ToString::to_string)
        .collect();
    let more = notes.len().saturating_sub(SHOWN_NOTES);
    if more > 0
        && let Some(last) = shown.last_mut()
    {
        // Writing to a String does not fail.
        let _ = write!(last, " (and {more} more of the kind)");
    }
    shown
}
