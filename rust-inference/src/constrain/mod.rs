//! What a model may write next: schemas to a grammar over the call format, and the grammar to tokens.
//!
//! The room has three floors. [`language`] knows texts: which bytes a string, a number or a name may have. The grammar
//! (`schema`, `grammar`, `machine`) knows values, calls and answers, made of such texts. The guide (`vocabulary`,
//! `choices`, `canonical`, `limit`, `guide`) knows tokens: for each step of a generation it says which are possible, so
//! that nothing but a valid call can come out. Beside them `accept` tells of a text that is there whether it is one of those.

mod accept;
mod canonical;
mod choices;
mod constraint;
mod describe;
mod grammar;
mod guide;
pub mod language;
mod limit;
mod machine;
mod measure;
mod next;
mod options;
mod order;
mod schema;
mod text_tokens;
mod vocabulary;

pub use accept::{Accepted, Acceptor, Refusal};
pub use constraint::{Constraint, Grammar, Mode};
pub use guide::Steering;
pub use next::{Candidates, Guide, Next, Unguided};
pub use options::{ArgumentOrder, Note, Options};
pub use vocabulary::Vocabulary;
