//! JSON Schema (draft 2020-12) to the grammar's nodes.
//!
//! A place in a value may be governed by several schemas at once: its own, those of `allOf` and behind `$ref`, and one
//! branch of each `anyOf`. So what is compiled is always a *conjunction*, a list of schemas that all have to hold: it is
//! unfolded into alternatives without references and branches, and each alternative's keywords are gathered into
//! shapes. Conjunctions that were met before are not compiled again, which is how a schema may contain itself.

mod disjoint;
mod facts;
mod keywords;
mod scalars;
mod shapes;
mod unfold;
mod values;

use std::collections::HashMap;

use serde_json::Value;

use super::{
    grammar::{Form, Function, NEVER, Node, NodeId, Rules, Shape, Symbol},
    language::Workshop,
    options::{Notation, Note, Options},
};
use crate::functiongemma::{Tool, lower_types};

/// Nodes of one set of tools: more are refused rather than waited for.
const MAX_NODES: usize = 50_000;

/// A schema and where it stands.
#[derive(Clone, Debug)]
struct Place<'a> {
    schema: &'a Value,
    pointer: String,
}

impl<'a> Place<'a> {
    fn child(&self, schema: &'a Value, path: &str) -> Self {
        Self {
            schema,
            pointer: format!("{}/{path}", self.pointer),
        }
    }

    fn keyword(&self, name: &str) -> Option<&'a Value> {
        self.schema.as_object()?.get(name)
    }
}

/// Compiles one schema after the other into the same rules.
struct Compiler<'a> {
    options: Options,
    notation: Notation,
    nodes: Vec<Node>,
    literals: Vec<Vec<Symbol>>,
    /// By the schemas of the conjunction.
    known: HashMap<Vec<*const Value>, NodeId>,
    /// What is not compiled yet.
    waiting: Vec<(NodeId, Vec<Place<'a>>)>,
    /// Branches of which exactly one may hold.
    exclusive: Vec<disjoint::Exclusive>,
    /// The schema that references start from, and where it stands.
    root: Option<Place<'a>>,
    /// Bytes of the longest listed value.
    longest: u32,
    notes: Vec<Note>,
    refused: Vec<Note>,
    languages: Workshop,
}

/// The rules of the calls of these tools, or what of their schemas cannot be honoured.
pub(super) fn of_tools(tools: &[Tool], options: Options) -> Result<Rules, Vec<Note>> {
    let schemas: Vec<Value> = tools.iter().map(parameters).collect();
    let mut compiler = Compiler::new(options, Notation::Call);
    let (mut functions, mut roots) = (Vec::new(), Vec::new());
    for (i, (tool, schema)) in tools.iter().zip(&schemas).enumerate() {
        let pointer = format!("/tools/{i}/parameters");
        let arguments = compiler.root(schema, pointer.clone(), Some(facts::Types::OBJECT));
        let name = tool.name.clone();
        let literal = compiler.literal(format!("call:{name}").bytes().map(Symbol::Byte));
        roots.push((arguments, pointer));
        functions.push(Function {
            name,
            literal,
            arguments,
        });
    }
    let mut rules = compiler.finish(&roots)?;
    rules.functions = functions;
    Ok(rules)
}

/// The rules of an answer that is one JSON value.
pub(super) fn of_json(schema: &Value, options: Options) -> Result<Rules, Vec<Note>> {
    let mut compiler = Compiler::new(options, Notation::Json);
    let root = compiler.root(schema, String::new(), None);
    let mut rules = compiler.finish(&[(root, String::new())])?;
    rules.root = Some(root);
    Ok(rules)
}

/// The schema of a tool's arguments. Without a word on its parameters a function has none.
fn parameters(tool: &Tool) -> Value {
    let schema = (tool.parameters.as_ref()).map(|map| lower_types(&Value::Object(map.clone())));
    schema
        .filter(|schema| !schema.as_object().is_some_and(facts::says_nothing))
        .unwrap_or_else(|| serde_json::json!({"properties": {}}))
}

impl<'a> Compiler<'a> {
    fn new(options: Options, notation: Notation) -> Self {
        Self {
            options,
            notation,
            nodes: Vec::new(),
            literals: Vec::new(),
            known: HashMap::new(),
            waiting: Vec::new(),
            exclusive: Vec::new(),
            root: None,
            longest: 0,
            notes: Vec::new(),
            refused: Vec::new(),
            languages: Workshop::default(),
        }
    }

    /// Compiles a whole schema, whose values are of the types `only` if any are given.
    fn root(&mut self, schema: &'a Value, pointer: String, only: Option<facts::Types>) -> NodeId {
        let place = Place { schema, pointer };
        self.root = Some(place.clone());
        let root = self.node(vec![place]);
        while let Some((id, conjunction)) = self.waiting.pop() {
            let (shapes, loose) = self.shapes(&conjunction, only.filter(|_| id == root));
            if let Some(node) = self.nodes.get_mut(id) {
                (node.shapes, node.loose) = (shapes, loose);
            }
        }
        root
    }

    fn finish(mut self, roots: &[(NodeId, String)]) -> Result<Rules, Vec<Note>> {
        let end_call = self.literal([Symbol::EndCall]);
        let mut rules = Rules {
            nodes: std::mem::take(&mut self.nodes),
            literals: std::mem::take(&mut self.literals),
            functions: Vec::new(),
            end_call,
            root: None,
            spread: self.longest,
            notation: self.notation,
            order: self.options.order,
            notes: Vec::new(),
        };
        rules.measure();
        for exclusive in std::mem::take(&mut self.exclusive) {
            if let Some(note) = exclusive.check(&rules, &mut self.languages) {
                self.cannot(note);
            }
        }
        for (root, pointer) in roots {
            if rules.cost_of(*root) == NEVER {
                let what = "no value satisfies this schema, at least none that can be written";
                self.refused.push(Note::new(pointer.clone(), what));
            }
        }
        if self.refused.is_empty() {
            rules.notes = self.notes;
            return Ok(rules);
        }
        Err(self.refused)
    }

    /// The node of a conjunction; its shapes come later.
    fn node(&mut self, conjunction: Vec<Place<'a>>) -> NodeId {
        let key: Vec<*const Value> = (conjunction.iter())
            .map(|place| std::ptr::from_ref(place.schema))
            .collect();
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        let id = self.new_node();
        self.known.insert(key, id);
        if id < MAX_NODES {
            self.waiting.push((id, conjunction));
        } else if id == MAX_NODES {
            let pointer = conjunction.first().map(|place| place.pointer.clone());
            self.refuse(
                pointer.unwrap_or_default(),
                format!("the schemas unfold to more than {MAX_NODES} places"),
            );
        }
        id
    }

    fn new_node(&mut self) -> NodeId {
        self.nodes.push(Node {
            shapes: Vec::new(),
            loose: false,
            cost: NEVER,
            height: NEVER,
        });
        self.nodes.len() - 1
    }

    fn literal(&mut self, symbols: impl IntoIterator<Item = Symbol>) -> usize {
        self.literals.push(symbols.into_iter().collect());
        self.literals.len() - 1
    }

    /// What cannot be honoured: refused, or only told where that was asked for.
    fn cannot(&mut self, note: Note) {
        if self.options.lenient {
            self.note(note);
        } else {
            self.refuse(note.pointer, note.what);
        }
    }

    fn refuse(&mut self, pointer: String, what: impl Into<String>) {
        let note = Note::new(pointer, what);
        if !self.refused.contains(&note) {
            self.refused.push(note);
        }
    }

    fn note(&mut self, note: Note) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}

/// A shape that is not measured yet. `told`: what its texts or words are.
fn shape(form: Form, told: impl Into<String>) -> Shape {
    Shape {
        form,
        told: told.into(),
        cost: NEVER,
        height: NEVER,
    }
}

/// A name within a JSON pointer.
fn pointer_step(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
