//! The chat format and a model's numbers by hand: what a person runs to see what the model is told and how it is read, and
//! what a program runs to check thousands. Each command takes one thing, or with `--batch` one of them per line.

mod accept;
mod batch;
mod files;
mod logits;
mod parse;
mod render;
mod schema;

use rust_inference::cache;

pub(crate) use accept::accept;
pub(crate) use logits::logits;
pub(crate) use parse::parse;
pub(crate) use render::render;
pub(crate) use schema::schema;
