//! What chat completions and responses ask for alike, from their JSON to the protocol's messages.

mod extension;
mod format;
mod sampling;
mod tools;

pub(super) use self::{
    extension::{extension, timeout_ms},
    format::{Wrapped, format},
    sampling::{nothing_beside, sampling},
    tools::{Shape, choice, narrowed, tools},
};
