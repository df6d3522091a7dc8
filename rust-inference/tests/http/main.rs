//! The front door for clients of OpenAI's API, spoken to as by hand: the real program, real sockets, bytes of HTTP.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside of the tests' own functions"
)]

#[path = "../common/mod.rs"]
mod common;

mod by_hand;
mod chat;
mod doors;
mod hostile;
mod load;
mod pages;
mod refusals;
mod responses;
mod stream;
