//! Regular expressions as `pattern` has them: ECMAScript's, searched for anywhere in the text.

mod ecma;
mod regular;

pub(super) use regular::{of_ecma, of_rust};
