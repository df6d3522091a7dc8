//! The Callspan protocol: what travels between its processes, and the two ends of it.
//!
//! `ipc` knows frames, not models or tools. The rooms, bottom up: [`proto`] (generated types), [`status`] and
//! [`frame`] (words for them), [`codec`] (bytes ↔ frames, in both encodings), `outbox` (what waits for a slow
//! reader), [`listen`] (names, permissions, peers), and the two ends, [`server`] and [`client`]. Beside
//! them stand [`program`], what every program of the workspace does at its edge, and [`cli`] with `tap`, the `ipc`
//! program itself: here, so that its reference can be made from its own definition.

pub mod cli;
pub mod client;
pub mod codec;
pub mod frame;
pub mod listen;
mod outbox;
pub mod program;
pub mod server;
pub mod status;
mod tap;
pub mod trace;

pub use status::Status;

/// Types generated from `proto/callspan/v1/callspan.proto`.
pub mod proto {
    #![allow(
        clippy::all,
        clippy::pedantic,
        clippy::indexing_slicing,
        missing_debug_implementations
    )]
    include!(concat!(env!("OUT_DIR"), "/callspan.v1.rs"));
    include!(concat!(env!("OUT_DIR"), "/callspan.v1.serde.rs"));
}

/// The `FileDescriptorSet` of the protocol, as `describe` answers it.
pub const DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor_set.bin"));

/// The protocol version that this library speaks.
pub const PROTOCOL: u32 = 1;
