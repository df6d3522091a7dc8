//! Which values are possible: a schema's meaning, as far as it can be written down one token after the other.
//!
//! A node is the set of values that may stand at one place; it is made of shapes, any of which may be written. Nodes
//! refer to each other by number, so that a schema may contain itself.

use std::collections::HashSet;

use super::{
    language::Language,
    options::{ArgumentOrder, Notation, Note},
};

/// Levels of arrays and objects in one another that are written: the parser follows more.
pub(super) const MAX_HEIGHT: u32 = 48;

pub(super) type NodeId = usize;

/// What cannot be written at all.
pub(super) const NEVER: u32 = u32::MAX;

/// The values that may stand at one place: those of any of its shapes.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) shapes: Vec<Shape>,
    /// Values of other types are valid too, though none is written: the schema names no type.
    pub(super) loose: bool,
    /// Symbols (bytes and control tokens) of the shortest value.
    pub(super) cost: u32,
    /// Levels of the flattest value: 0 for what is neither array nor object.
    pub(super) height: u32,
}

#[derive(Debug)]
pub(super) struct Shape {
    pub(super) form: Form,
    /// Texts and words in people's words.
    pub(super) told: String,
    pub(super) cost: u32,
    pub(super) height: u32,
}

#[derive(Debug)]
pub(super) enum Form {
    /// A string, between its delimiters.
    Text {
        language: Language,
    },
    /// What stands bare: a number, true, false, null.
    Word {
        language: Language,
        /// All the valid values are in the language, in one spelling.
        exact: bool,
    },
    Array(ArrayForm),
    Object(ObjectForm),
}

#[derive(Debug)]
pub(super) struct ArrayForm {
    /// The first items, each with values of its own.
    pub(super) first: Vec<NodeId>,
    /// All further items; none are possible without it.
    pub(super) rest: Option<NodeId>,
    pub(super) least: usize,
    pub(super) most: usize,
}

impl ArrayForm {
    pub(super) fn item(&self, index: usize) -> Option<NodeId> {
        if index >= self.most {
            return None;
        }
        self.first.get(index).copied().or(self.rest)
    }
}

#[derive(Debug)]
pub(super) struct ObjectForm {
    /// In the order in which they are written, unless any order is.
    pub(super) fields: Vec<Field>,
    /// The values of keys that are not declared; no such key is written without it.
    pub(super) extra: Option<NodeId>,
    /// The declared keys, those that can have no value included: none of them is an extra key.
    pub(super) declared: HashSet<String>,
    /// Keys that are not declared are not valid either, beside not being written.
    pub(super) closed: bool,
}

#[derive(Debug)]
pub(super) struct Field {
    pub(super) key: String,
    /// The literal of the key and its colon.
    pub(super) literal: usize,
    pub(super) value: NodeId,
    pub(super) required: bool,
}

/// One byte or one control token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Symbol {
    Byte(u8),
    /// `<escape>`.
    Escape,
    StartCall,
    EndCall,
    /// `<start_function_response>`, which ends the calls.
    EndCalls,
    /// What ends an answer in prose or JSON.
    EndAnswer,
}

/// A function that may be called.
#[derive(Debug)]
pub(super) struct Function {
    pub(super) name: String,
    /// The literal `call:NAME`.
    pub(super) literal: usize,
    /// Its arguments: an object.
    pub(super) arguments: NodeId,
}

/// What may be written: the functions of a set of tools, or one JSON value.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) nodes: Vec<Node>,
    pub(super) literals: Vec<Vec<Symbol>>,
    pub(super) functions: Vec<Function>,
    /// The literal of the token that closes a call.
    pub(super) end_call: usize,
    /// The value of an answer in JSON.
    pub(super) root: Option<NodeId>,
    pub(super) notation: Notation,
    pub(super) order: ArgumentOrder,
    /// Symbols that one step may add to the shortest way to the end, about at most.
    pub(super) spread: u32,
    /// What was told of the schemas.
    pub(super) notes: Vec<Note>,
}

impl Rules {
    pub(super) fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id)
    }

    pub(super) fn form(&self, node: NodeId, shape: usize) -> Option<&Form> {
        let shape = self.nodes.get(node)?.shapes.get(shape)?;
        Some(&shape.form)
    }

    pub(super) fn object(&self, node: NodeId, shape: usize) -> Option<&ObjectForm> {
        match self.form(node, shape)? {
            Form::Object(object) => Some(object),
            _ => None,
        }
    }

    pub(super) fn array(&self, node: NodeId, shape: usize) -> Option<&ArrayForm> {
        match self.form(node, shape)? {
            Form::Array(array) => Some(array),
            _ => None,
        }
    }

    pub(super) fn literal(&self, id: usize) -> &[Symbol] {
        self.literals.get(id).map_or(&[], Vec::as_slice)
    }

    pub(super) fn cost_of(&self, node: NodeId) -> u32 {
        self.nodes.get(node).map_or(NEVER, |node| node.cost)
    }

    pub(super) fn height_of(&self, node: NodeId) -> u32 {
        self.nodes.get(node).map_or(NEVER, |node| node.height)
    }
}
