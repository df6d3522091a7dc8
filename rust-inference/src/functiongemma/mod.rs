//! `FunctionGemma`'s chat format, both ways: conversations to prompts, and a model's text to calls.
//!
//! The format as Google's published renderings show it. *The reference* is `FunctionGemma`'s own template, as far as
//! those renderings and other implementations tell of it. Where it is defective, what is done instead is said at the
//! place and pinned by a test.

mod declaration;
mod input;
mod parse;
mod prompt;
mod reader;
mod references;
mod render;
mod spans;
mod split;
mod stream;
mod toolbox;
mod value;

pub use control::ALL as CONTROL_TOKENS;
pub use input::{Call, Conversation, InputError, Message, Role, Tool, tools_from_json};
pub use parse::{Event, Parser, parse};
pub use prompt::{OwnedPiece, Prompt};
pub use reader::ParseError;
pub(crate) use reader::{Marked, Reader};
pub(crate) use references::pointer;
pub use render::{RenderError, TRIGGER, render};
pub(crate) use spans::{Spans, escaped};
pub use toolbox::Toolbox;
pub(crate) use toolbox::{Unusable, compile, lower_types};
pub(crate) use value::{is_bare_key, number_text};

/// Nesting of values and schemas that is followed; deeper is an error.
const MAX_DEPTH: usize = 64;

/// The format's control tokens, by their text: what ids they have is the tokenizer's affair.
pub(crate) mod control {
    pub(crate) const BOS: &str = "<bos>";
    pub(crate) const EOS: &str = "<eos>";
    pub(crate) const START_TURN: &str = "<start_of_turn>";
    pub(crate) const END_TURN: &str = "<end_of_turn>";
    pub(crate) const START_DECLARATION: &str = "<start_function_declaration>";
    pub(crate) const END_DECLARATION: &str = "<end_function_declaration>";
    pub(crate) const START_CALL: &str = "<start_function_call>";
    pub(crate) const END_CALL: &str = "<end_function_call>";
    pub(crate) const START_RESPONSE: &str = "<start_function_response>";
    pub(crate) const END_RESPONSE: &str = "<end_function_response>";
    pub(crate) const ESCAPE: &str = "<escape>";

    /// All of them.
    pub const ALL: [&str; 11] = [
        BOS,
        EOS,
        START_TURN,
        END_TURN,
        START_DECLARATION,
        END_DECLARATION,
        START_CALL,
        END_CALL,
        START_RESPONSE,
        END_RESPONSE,
        ESCAPE,
    ];

    /// The token of this text.
    pub(super) fn named(text: &str) -> Option<&'static str> {
        ALL.into_iter().find(|token| *token == text)
    }
}
