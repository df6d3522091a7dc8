//! `accept`: whether the constraint accepts a text.

use std::{fs, path::Path, sync::Arc};

use ipc::program::Failure;
use rust_inference::{
    constrain::{Acceptor, Mode, Note, Options, Refusal as Refused},
    functiongemma::{Tool, tools_from_json},
    tokenizer::Tokenizer,
};
use serde_json::{Value, json};

use super::{
    batch::{self, Refusal},
    cache::Cache,
    files,
};
use crate::cli;

/// What a text is held against, beside the tools.
struct Rules {
    options: Options,
    mode: Mode,
    max_calls: Option<usize>,
    tokenizer: Option<Tokenizer>,
}

pub(crate) fn accept(args: &cli::Accept) -> Result<(), Failure> {
    let rules = Rules {
        options: Options {
            order: args.argument_order.into(),
            lenient: args.lenient,
        },
        mode: mode(&args.tool_choice),
        max_calls: args.max_calls,
        tokenizer: args.model.as_deref().map(tokenizer).transpose()?,
    };
    let offered = match &args.tools {
        Some(path) => {
            let acceptor = rules.acceptor(&files::tools(path)?);
            Some(acceptor.map_err(|notes| refused(&notes))?)
        }
        None => None,
    };
    if args.batch {
        let mut known = Cache::new();
        return batch::run(&args.input, |line| {
            let acceptor = match (line.tools, &offered) {
                (Some(text), _) => known.get(text, |text| {
                    let tools = tools_from_json(text)?;
                    rules.acceptor(&tools).map_err(Refusal::from)
                })?,
                (None, Some(offered)) => offered.clone(),
                (None, None) => return Err(Refusal::no_tools()),
            };
            let accepted = rules.accept(&acceptor, &line.text()?)?;
            Ok(match acceptor.grammar().notes() {
                [] => accepted,
                notes => with(accepted, "notes", batch::notes(notes)),
            })
        });
    }
    let Some(acceptor) = offered else {
        return Err(Failure::usage("there are no tools", "give --tools FILE"));
    };
    for note in acceptor.grammar().notes() {
        eprintln!("warning: {note}");
    }
    let text = files::read(&args.input)?;
    match rules.accept(&acceptor, &text) {
        Ok(accepted) => files::print(&format!("{accepted}\n")),
        Err(refusal) => {
            let told = json!({"accepted": false, "position": refusal.at, "expected": refusal.expected,
                "message": refusal.message});
            files::print(&format!("{told}\n"))?;
            let only_the_end = text.strip_suffix('\n').map(str::len) == Some(refusal.at);
            let fix = if only_the_end {
                "leave out the line break at the end of the text: printf '%s' writes none"
            } else {
                ""
            };
            Err(Failure::new(refusal, fix))
        }
    }
}

impl Rules {
    fn acceptor(&self, tools: &[Tool]) -> Result<Arc<Acceptor>, Vec<Note>> {
        if let Mode::Function(name) = &self.mode
            && !tools.iter().any(|tool| tool.name == *name)
        {
            let what = format!("no function is named {name:?}, which --tool-choice asks for");
            return Err(vec![Note::new("/tools", what)]);
        }
        Acceptor::new(tools, self.options).map(Arc::new)
    }

    fn accept(&self, acceptor: &Acceptor, text: &str) -> Result<Value, Refused> {
        let accepted = acceptor.accept(text, &self.mode, self.max_calls)?;
        let calls: Vec<Value> = (accepted.calls.into_iter())
            .map(|call| json!({"name": call.name, "arguments": call.arguments}))
            .collect();
        let told = json!({"accepted": true, "content": accepted.content, "tool_calls": calls});
        match &self.tokenizer {
            Some(tokenizer) => Ok(with(told, "tokens", tokens(tokenizer, text)?.into())),
            None => Ok(told),
        }
    }
}

fn with(mut told: Value, key: &str, value: Value) -> Value {
    if let Value::Object(told) = &mut told {
        told.insert(key.to_owned(), value);
    }
    told
}

fn mode(choice: &str) -> Mode {
    match choice {
        "auto" => Mode::Auto,
        "none" => Mode::None,
        "required" => Mode::Required,
        name => Mode::Function(name.strip_prefix("function:").unwrap_or(name).to_owned()),
    }
}

/// More tokens than any vocabulary has.
const MOST_TOKENS: usize = 1 << 20;

/// The tokenizer of a model's directory, which must have what calls are written with.
fn tokenizer(dir: &Path) -> Result<Tokenizer, Failure> {
    let fix = "give --model a directory of a FunctionGemma model, or leave it out";
    let unusable = |error: &dyn std::fmt::Display| {
        let what = format!("cannot load the tokenizer of {}: {error}", dir.display());
        Failure::usage(what, fix)
    };
    let json = fs::read(dir.join("tokenizer.json")).map_err(|error| unusable(&error))?;
    let tokenizer = Tokenizer::load(&json, MOST_TOKENS).map_err(|error| unusable(&error))?;
    let needed = [
        "<start_function_call>",
        "<end_function_call>",
        "<start_function_response>",
        "<escape>",
    ];
    match needed
        .iter()
        .find(|token| tokenizer.control(token).is_none())
    {
        Some(token) => {
            let what = format!("the tokenizer of {} has no token {token}", dir.display());
            Err(Failure::usage(what, fix))
        }
        None => Ok(tokenizer),
    }
}

/// How many tokens the text is.
fn tokens(tokenizer: &Tokenizer, text: &str) -> Result<usize, Refused> {
    let wrong = |at: usize, message: String| Refused {
        at,
        expected: "text that the model's tokens can spell".to_owned(),
        message,
    };
    let ids = tokenizer
        .encode(&tokenizer.pieces(text))
        .map_err(|error| wrong(0, error.to_string()))?;
    let spelt: Vec<u8> = (ids.iter())
        .flat_map(|id| tokenizer.bytes(*id).iter().copied())
        .collect();
    let same = spelt
        .iter()
        .zip(text.as_bytes())
        .take_while(|(a, b)| a == b)
        .count();
    if same < text.len() {
        return Err(wrong(
            same,
            "the model's tokens cannot spell this".to_owned(),
        ));
    }
    Ok(ids.len())
}

/// What cannot be honoured, as a failure of the command: nothing is said of the text.
fn refused(notes: &[Note]) -> Failure {
    let told: Vec<String> = notes.iter().take(8).map(ToString::to_string).collect();
    let more = match notes.len() - told.len() {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    Failure::usage(
        format!("these tools cannot be kept to: {}{more}", told.join("; ")),
        "change what is named; of schemas --lenient leaves out what can be left out",
    )
}
