//! What can be wrong with a model's files. Each message names the file or tensor and what was expected.

use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("{path}: {source}", path = .path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{path} holds no weights: no model.safetensors, nor one other *.safetensors", path = .0.display())]
    NoWeights(PathBuf),
    #[error("{path} is missing, a part of the weights: download it again", path = .0.display())]
    MissingShard(PathBuf),
    #[error("model.safetensors.index.json lists {0:?}, which is no file beside it")]
    ForeignShard(String),
    #[error("{path} is a LoRA adapter: give --lora this, and --model the model that it was made for", path = .0.display())]
    OnlyAdapter(PathBuf),
    #[error("{path} is a file, but no GGUF; give the directory that a checkpoint's files are in", path = .0.display())]
    NotGguf(PathBuf),
    #[error("{file}: {source}")]
    Json {
        file: &'static str,
        source: serde_json::Error,
    },
    #[error("{file}: {wrong}")]
    Gguf { file: String, wrong: String },
    /// What is wrong with an adapter, its file named in it.
    #[error("{0}")]
    Adapter(String),
    #[error("config.json: {0}")]
    Config(String),
    #[error("{file}: {source}; is the file whole?")]
    Safetensors {
        file: String,
        source: safetensors::SafeTensorError,
    },
    #[error("tensor {name} is missing; expected shape {expected:?}")]
    MissingTensor { name: String, expected: Vec<usize> },
    #[error("tensor {name} has shape {found:?}; expected {expected:?}")]
    WrongShape {
        name: String,
        found: Vec<usize>,
        expected: Vec<usize>,
    },
    #[error("tensor {name} is of type {found}; expected BF16, F16 or F32")]
    WrongType { name: String, found: String },
    #[error("tensor {name} holds a {value} at index {index}; expected finite numbers")]
    NotFinite {
        name: String,
        value: f32,
        index: usize,
    },
    #[error("cannot start {count} threads: {source}; give fewer")]
    Threads {
        count: usize,
        source: std::io::Error,
    },
    #[error("tokenizer.json: {0}")]
    Tokenizer(String),
}
