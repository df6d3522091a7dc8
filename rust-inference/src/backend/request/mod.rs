//! From a request to what a model is given: its prompt, what may be written behind it, and within which limits. The same for
//! every backend that takes a prompt in the model's own format.

pub(super) mod before;
pub(super) mod choice;
pub(super) mod limits;
pub(super) mod offered;
pub(super) mod prepare;
