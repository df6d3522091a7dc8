//! The Gemma 3 text model: configuration, weights, forward pass and KV cache.

mod adapter;
mod cache;
mod config;
mod error;
mod files;
mod gemma3;
mod gguf;
mod kv_rows;
mod layer;
mod lora;
mod packed;
mod parts;
mod shards;
mod source;
mod tensor;
mod weights;

pub use adapter::Adapter;
pub use cache::{Frozen, KvCache};
pub use config::{Attention, Config};
pub use error::LoadError;
pub use files::{Bytes, ModelFiles};
pub use gemma3::{LoadOptions, Model, Span};
pub use kv_rows::{KvPrecision, KvShape};
pub use packed::{PackedCache, Sources};
pub use shards::{listed as listed_shards, whole_directory};
