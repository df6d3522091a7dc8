//! What a person may ask of a constraint, and what is told about a schema.

/// The order in which the arguments of a call, and the fields of objects in it, are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ArgumentOrder {
    /// By name, ignoring case, as in the model's training.
    #[default]
    Sorted,
    /// As the schema lists its properties.
    Declared,
    /// Whichever the model likes.
    Any,
}

impl ArgumentOrder {
    /// The words that name the orders.
    pub const WORDS: [&str; 3] = ["sorted", "declared", "any"];

    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "sorted" => Some(Self::Sorted),
            "declared" => Some(Self::Declared),
            "any" => Some(Self::Any),
            _ => None,
        }
    }
}

/// How schemas are to be taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Options {
    pub order: ArgumentOrder,
    /// What cannot be honoured is left out and told in a [`Note`]; without it the schema is refused.
    pub lenient: bool,
}

/// Something about a schema that its author should know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {what}", self.place())]
pub struct Note {
    /// Where: a JSON pointer such as `/tools/0/parameters/properties/x/uniqueItems`.
    pub pointer: String,
    pub what: String,
}

impl Note {
    fn place(&self) -> &str {
        match self.pointer.as_str() {
            "" => "the whole schema",
            pointer => pointer,
        }
    }

    pub fn new(pointer: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            what: what.into(),
        }
    }
}

/// What the two kinds of answers look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Notation {
    /// `FunctionGemma`'s: `{key:<escape>text<escape>}`.
    Call,
    /// JSON: `{"key":"text"}`.
    Json,
}
