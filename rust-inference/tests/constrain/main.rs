//! Whatever the model prefers, what comes out is valid: random schemas, random choices, two vocabularies.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "tests"
)]

mod calls;
mod canonical;
mod json;
mod limit;
#[path = "../common/random_model.rs"]
mod random_model;
mod schemas;
mod walks;
