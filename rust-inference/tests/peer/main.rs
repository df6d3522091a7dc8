//! Other people's servers behind our protocol: the real program asks a fake server, over real sockets, that answers as others
//! do or as nobody should.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

#[path = "../common/mod.rs"]
mod common;
mod failures;
mod fake;
mod names;
mod repairs;
mod shapes;
mod streams;
mod tls;
