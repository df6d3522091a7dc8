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
mod extremes;
mod json;
mod limit;
mod notation;
#[path = "../common/random_model.rs"]
mod random_model;
mod schemas;
mod suite;
mod toolsets;
mod walks;
