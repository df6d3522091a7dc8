//! The engine as the service uses it: jobs with a guide go in, tokens and what they cost come out.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside of the tests' own functions"
)]

mod calls;
mod levers;
mod prefix;
mod script;
mod together;
