//! A model of random weights with Gemma's whole vocabulary: what no trained model would ever write, and a tokenizer
//! that is not the built-in one. `bench/make_random_model.py` makes it, once for all tests.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test file is a crate of its own and uses its part of these helpers"
)]

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

use rust_inference::tokenizer::Tokenizer;

/// Rows of the model's embedding.
pub const VOCABULARY: usize = 262_144;

static DIRECTORY: LazyLock<PathBuf> = LazyLock::new(make);

/// The checkpoint's directory.
pub fn directory() -> &'static Path {
    &DIRECTORY
}

pub fn tokenizer() -> Tokenizer {
    let json = fs::read(directory().join("tokenizer.json")).unwrap();
    Tokenizer::load(&json, VOCABULARY).unwrap()
}

/// The directory is named after what it was made by, and appears whole: tests run at once, and next time again.
fn make() -> PathBuf {
    let bench = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bench");
    let mut hasher = DefaultHasher::new();
    for file in [
        "make_random_model.py",
        "random_gguf.py",
        "random_vocabulary.py",
        "random_pieces.txt",
    ] {
        fs::read(bench.join(file)).unwrap().hash(&mut hasher);
    }
    let made = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("random-model-{:016x}", hasher.finish()));
    if made.is_dir() {
        return made;
    }
    let room = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let fresh = room.path().join("model");
    let status = Command::new("python3")
        .args([
            "-B".as_ref(),
            bench.join("make_random_model.py").as_os_str(),
        ])
        .args([
            fresh.as_os_str(),
            "--tiny".as_ref(),
            "--gguf".as_ref(),
            "bf16".as_ref(),
        ])
        .status();
    assert!(
        status.as_ref().is_ok_and(std::process::ExitStatus::success),
        "python3 must run bench/make_random_model.py (it needs no packages): {status:?}"
    );
    // Another test may have been faster: its model is the same.
    if fs::rename(&fresh, &made).is_err() {
        assert!(made.is_dir(), "{} cannot be made", made.display());
    }
    made
}
