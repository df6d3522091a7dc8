//! Serves a Gemma 3 text model for function calling: the engine, the chat format and the service.

pub mod backend;
pub mod cache;
pub mod cli;
pub mod constrain;
pub mod embedded;
pub mod functiongemma;
pub mod http;
pub mod hub;
pub mod kernels;
pub mod model;
pub mod sampling;
pub mod scheduler;
pub mod service;
mod tls;
pub mod tokenizer;
