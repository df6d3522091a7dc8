//! Whether a text is one of those that the constraint stands for: what a model may write, told by reading it, not by
//! writing it.
//!
//! A text is accepted if it is written as the renderer writes, calls what is offered, and gives arguments that are valid
//! as JSON Schema says, formats included. What the generator writes is part of that; some texts that it would
//! not write (`5.0` for an integer, an argument that nobody declared but nothing forbids) are valid all the same.

use std::collections::{BTreeSet, HashMap};

use jsonschema::{ValidationError, Validator, error::ValidationErrorKind};
use serde_json::{Value, json};

use super::{Grammar, Mode, Note, Options, grammar::NodeId, order};
use crate::functiongemma::{
    Call, Marked, ParseError, Reader, Spans, Tool, Unusable, compile,
    control::{END_CALL, END_TURN, START_CALL, START_RESPONSE},
    escaped, lower_types,
};

/// Characters of a schema that are shown as what was expected.
const SHOWN: usize = 200;

/// Tells what is accepted.
#[derive(Debug)]
pub struct Acceptor {
    tools: HashMap<String, Offered>,
    grammar: Grammar,
}

#[derive(Debug)]
struct Offered {
    schema: Value,
    validator: Validator,
    /// What of the grammar its arguments are.
    arguments: NodeId,
}

/// What an accepted text holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Accepted {
    pub content: String,
    pub calls: Vec<Call>,
}

/// Why a text is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at byte {at}: {message}")]
pub struct Refusal {
    pub at: usize,
    pub expected: String,
    pub message: String,
}

impl From<ParseError> for Refusal {
    fn from(error: ParseError) -> Self {
        Self {
            at: error.at,
            expected: error.expected,
            message: error.message,
        }
    }
}

impl Acceptor {
    /// What these tools' calls may look like, or what of their schemas cannot be honoured.
    pub fn new(tools: &[Tool], options: Options) -> Result<Self, Vec<Note>> {
        let unusable = |i: usize, Unusable { pointer, what }| {
            let what = format!("not a usable JSON Schema: {what}");
            Note::new(format!("/tools/{i}/parameters{pointer}"), what)
        };
        let (mut checks, mut refused) = (Vec::new(), Vec::new());
        for (i, tool) in tools.iter().enumerate() {
            let schema = match &tool.parameters {
                Some(schema) => lower_types(&Value::Object(schema.clone())),
                // It takes none.
                None => json!({"maxProperties": 0}),
            };
            match compile(&schema, true) {
                Ok(validator) => checks.push((schema, validator)),
                Err(error) => refused.push(unusable(i, error)),
            }
        }
        if !refused.is_empty() {
            return Err(refused);
        }
        let grammar = Grammar::of_tools(tools, &options)?;
        let notes = grammar.notes().iter();
        let changed: BTreeSet<usize> = notes
            .filter_map(|note| left_out(&mut checks, &note.pointer))
            .collect();
        for i in changed {
            if let Some((schema, validator)) = checks.get_mut(i) {
                *validator = compile(schema, true).map_err(|error| vec![unusable(i, error)])?;
            }
        }
        let mut offered = HashMap::new();
        let functions = grammar.rules.functions.iter().zip(checks).enumerate();
        for (i, (function, (schema, validator))) in functions {
            let one = Offered {
                schema,
                validator,
                arguments: function.arguments,
            };
            if offered.insert(function.name.clone(), one).is_some() {
                let what = format!("a second tool is named {:?}", function.name);
                return Err(vec![Note::new(format!("/tools/{i}"), what)]);
            }
        }
        Ok(Self {
            tools: offered,
            grammar,
        })
    }

    /// How the schemas were understood.
    pub fn grammar(&self) -> &Grammar {
        &self.grammar
    }

    /// `text` is all that the model wrote, with or without the token that ends it.
    pub fn accept(
        &self,
        text: &str,
        mode: &Mode,
        max_calls: Option<usize>,
    ) -> Result<Accepted, Refusal> {
        let marked = Marked::of(text);
        let mut reader = Reader::strict(&marked);
        let must_call = matches!(mode, Mode::Required | Mode::Function(_));
        let prose = marked.first().unwrap_or(text.len());
        if !must_call {
            reader.go_to(prose);
        }
        let mut calls = Vec::new();
        let may_call =
            |calls: &[Call]| *mode != Mode::None && max_calls.is_none_or(|most| calls.len() < most);
        while may_call(&calls) && reader.eat(START_CALL) {
            calls.push(self.call(&mut reader, mode)?);
            reader.expect(END_CALL)?;
        }
        let mut expected = Vec::new();
        if may_call(&calls) {
            expected.push(START_CALL);
        }
        if !must_call || !calls.is_empty() {
            expected.extend((!calls.is_empty()).then_some(START_RESPONSE));
            expected.extend([END_TURN, "the end"]);
            if reader.eat(END_TURN) || !calls.is_empty() && reader.eat(START_RESPONSE) {
                expected = vec!["the end"];
            }
        }
        let complete = expected.contains(&"the end") && reader.rest().is_empty();
        if !complete {
            return Err(reader.wrong(&expected.join(" or ")).into());
        }
        Ok(Accepted {
            content: text.get(..prose).unwrap_or_default().to_owned(),
            calls,
        })
    }

    /// The names for an error message.
    fn names(&self, mode: &Mode) -> String {
        if let Mode::Function(only) = mode {
            return only.clone();
        }
        let mut names: Vec<&str> = self.tools.keys().map(String::as_str).collect();
        names.sort_unstable();
        names.join(", ")
    }

    fn call(&self, reader: &mut Reader<'_>, mode: &Mode) -> Result<Call, Refusal> {
        reader.expect("call:")?;
        let start = reader.at();
        // A name ends at its brace; where that is missing, at what cannot be in a name.
        let name = reader.until(&['{', '<']);
        let allowed = |name: &str| match mode {
            Mode::Function(only) => only == name,
            _ => true,
        };
        let Some(offered) = self.tools.get(name).filter(|_| allowed(name)) else {
            reader.go_to(start);
            return Err(reader.unknown_function(name, &self.names(mode)).into());
        };
        let (arguments, spans) = reader.arguments()?;
        let arguments = Value::Object(arguments);
        order::check(&self.grammar.rules, offered.arguments, &arguments, &spans)?;
        if let Some(error) = offered.validator.iter_errors(&arguments).next() {
            return Err(violation(&offered.schema, &error, &spans));
        }
        let Value::Object(arguments) = arguments else {
            return Err(reader.wrong("an object").into());
        };
        Ok(Call {
            id: String::new(),
            name: name.to_owned(),
            arguments,
        })
    }
}

/// Takes out of a schema what the constraint does not keep to, and what was said of it; gives which tool's it was.
fn left_out(checks: &mut [(Value, Validator)], pointer: &str) -> Option<usize> {
    let mut steps = pointer.splitn(5, '/').skip(2);
    let tool: usize = steps.next()?.parse().ok()?;
    let (schema, _) = checks.get_mut(tool)?;
    let within = format!("/{}", steps.nth(1)?);
    let (parent, keyword) = within.rsplit_once('/')?;
    // Of the schema of a property or a definition something else was said.
    let names = ["properties", "$defs", "definitions"];
    if names.contains(&parent.rsplit('/').next().unwrap_or_default()) {
        return None;
    }
    let Value::Object(parent) = schema.pointer_mut(parent)? else {
        return None;
    };
    match keyword {
        // Of a list only a value that cannot be written is left out.
        "enum" | "const" => None,
        // Its branches still hold, though not one alone.
        "oneOf" => {
            let branches = parent.remove(keyword)?;
            let all = parent.entry("allOf").or_insert_with(|| json!([]));
            all.as_array_mut()?.push(json!({"anyOf": branches}));
            Some(tool)
        }
        _ => parent.remove(keyword).map(|_| tool),
    }
}

/// What breaks the schema: where that stands, and what the schema wants there.
fn violation(schema: &Value, error: &ValidationError<'_>, spans: &Spans) -> Refusal {
    let mut pointer = error.instance_path().to_string();
    let expected = match error.kind() {
        ValidationErrorKind::Required { property } => format!("the property {property}"),
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            if let Some(name) = unexpected.first() {
                pointer = format!("{pointer}/{}", escaped(name));
            }
            "no such property".to_owned()
        }
        ValidationErrorKind::FalseSchema => "no value".to_owned(),
        kind => {
            let wanted = schema.pointer(error.schema_path().as_str());
            let wanted = wanted.map_or(String::new(), |wanted| format!(" {wanted}"));
            format!("{}{wanted}", kind.keyword())
        }
    };
    let expected = match expected.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", expected.get(..end).unwrap_or_default()),
        None => expected,
    };
    let message = match error.instance_path().as_str() {
        "" => format!("the arguments: {error}"),
        at => format!("{at}: {error}"),
    };
    Refusal {
        at: spans.of(&pointer).map_or(0, |span| span.value),
        expected,
        message,
    }
}
