//! The Callspan protocol.

/// Types generated from `proto/callspan/v1/callspan.proto`.
pub mod proto {
    #![allow(clippy::all, clippy::pedantic, clippy::indexing_slicing, missing_debug_implementations)]
    include!(concat!(env!("OUT_DIR"), "/callspan.v1.rs"));
    include!(concat!(env!("OUT_DIR"), "/callspan.v1.serde.rs"));
}
