//! What a model may write next: schemas to a grammar over the call format, and the grammar to tokens.
//!
//! The room has three floors. `language` knows texts: which bytes a string, a number or a name may have. The grammar
//! knows values, calls and answers, made of such texts. The guide knows tokens: for each step of a generation it
//! says which tokens are possible, so that nothing but a valid call can come out.

pub mod language;
mod next;

pub use next::{Candidates, Guide, Next, Unguided};
