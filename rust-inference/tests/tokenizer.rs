//! The compact tokenizer gives the ids that the library gives, whatever the text.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests are tests"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
    time::{Duration, Instant},
};

use proptest::prelude::*;
use rust_inference::{
    embedded,
    kernels::Buffer,
    tokenizer::{Piece, Tokenizer, flat::Flat},
};
use serde_json::{Value, json};

#[path = "common/random_model.rs"]
mod random_model;

/// A tokenizer by both.
struct Both {
    compact: Tokenizer,
    library: Tokenizer,
    vocab: usize,
}

impl Both {
    fn of(json: &[u8], vocab: usize) -> Self {
        let made = Tokenizer::load(json, vocab).unwrap();
        // Through bytes, as a file brings it.
        let bytes = made
            .flat()
            .expect("it is of a kind that can be compact")
            .bytes();
        let read = Buffer::build(bytes.len(), |to| to.copy_from_slice(bytes));
        Self {
            compact: Tokenizer::open(Flat::open(read).unwrap()).unwrap(),
            library: Tokenizer::by_library(json, vocab).unwrap(),
            vocab,
        }
    }

    fn check(&self, text: &str) {
        let ids = |tokenizer: &Tokenizer| tokenizer.encode(&[Piece::Text(text)]).unwrap();
        assert_eq!(ids(&self.compact), ids(&self.library), "{text:?}");
        let pieces = self.compact.pieces(text);
        assert_eq!(pieces, self.library.pieces(text));
        assert_eq!(
            self.compact.encode(&pieces).unwrap(),
            self.library.encode(&pieces).unwrap(),
            "{text:?}"
        );
    }
}

static DEFAULT: LazyLock<Both> =
    LazyLock::new(|| Both::of(&embedded::files().tokenizer().unwrap(), 8192));

/// As large as Gemma's, of the same kinds.
static LARGE: LazyLock<Both> = LazyLock::new(|| {
    let json = fs::read(random_model::directory().join("tokenizer.json")).unwrap();
    Both::of(&json, random_model::VOCABULARY)
});

fn both() -> [&'static Both; 2] {
    [&DEFAULT, &LARGE]
}

/// Every file that people wrote for this project, its tests included.
fn project_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let skipped = ["target", "dist-newstyle", "node_modules"]
            .map(Into::into)
            .contains(&name);
        if skipped || name.to_string_lossy().starts_with('.') || path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            project_files(&path, found);
        } else {
            found.push(path);
        }
    }
}

#[test]
fn the_projects_texts_have_the_librarys_ids() {
    let mut files = Vec::new();
    project_files(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join(".."),
        &mut files,
    );
    let texts = files.iter().filter_map(|path| {
        let text = fs::read_to_string(path).ok()?;
        // A page or two of each: what comes later is of the same kind.
        Some(text.chars().take(6_000).collect::<String>())
    });
    let mut checked = 0;
    for text in texts {
        for both in both() {
            both.check(&text);
        }
        checked += text.len();
    }
    assert!(checked > 1_000_000, "{checked} bytes");
}

#[test]
fn every_token_by_itself_has_the_librarys_ids_and_bytes() {
    for both in both() {
        for id in 0..both.vocab as u32 {
            assert_eq!(both.compact.bytes(id), both.library.bytes(id), "{id}");
            assert_eq!(both.compact.control_text(id), both.library.control_text(id));
            if let Ok(text) = std::str::from_utf8(both.compact.bytes(id)) {
                let ids = |tokenizer: &Tokenizer| tokenizer.encode(&[Piece::Text(text)]).unwrap();
                assert_eq!(ids(&both.compact), ids(&both.library), "{text:?}");
            }
        }
    }
}

#[test]
fn long_runs_have_the_librarys_ids() {
    for unit in [
        " ",
        "\n",
        "\t",
        "▁",
        "a",
        "ab",
        "e ",
        " e",
        "\u{0}",
        "é",
        "漢",
        "🦀",
        "👩‍👩‍👧",
        "\u{301}",
        "<",
        "</",
        "<h1>",
        "\r\n",
        "\u{feff}",
        "\u{fffd}",
        "0",
        "{\"",
        "<escape>",
        "<0x0A>",
    ] {
        for count in [1, 2, 3, 31, 32, 33, 100, 1000] {
            for both in both() {
                both.check(&unit.repeat(count));
            }
        }
    }
}

/// Quadratic time would take hours for these.
#[test]
fn time_grows_with_a_texts_length_not_with_its_square() {
    for unit in [
        " ",
        "\n",
        "a",
        "ab",
        "at",
        "▁",
        "漢",
        "word ",
        "<",
        "thequickbrown",
    ] {
        let text = unit.repeat(2_000_000 / unit.len());
        for both in both() {
            let begun = Instant::now();
            let ids = both.compact.encode(&[Piece::Text(&text)]).unwrap();
            let taken = begun.elapsed();
            assert!(taken < Duration::from_secs(20), "{unit:?} took {taken:?}");
            let length: usize = ids.iter().map(|id| both.compact.bytes(*id).len()).sum();
            // The tokens that listed spaces are known by have three bytes of text for one.
            assert!(length == text.len() || unit == "▁", "{unit:?}");
        }
    }
}

fn changed(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut json: Value = serde_json::from_slice(&embedded::files().tokenizer().unwrap()).unwrap();
    change(&mut json);
    serde_json::to_vec(&json).unwrap()
}

/// What the compact tokenizer does not know it does not guess at.
#[test]
fn a_tokenizer_of_another_kind_is_left_to_the_library() {
    let changes: [fn(&mut Value); 10] = [
        |json| json["normalizer"] = json!({"type": "Lowercase"}),
        |json| json["pre_tokenizer"] = json!({"type": "Whitespace"}),
        |json| json["pre_tokenizer"]["behavior"] = "Removed".into(),
        |json| json["pre_tokenizer"]["invert"] = true.into(),
        |json| json["model"]["ignore_merges"] = true.into(),
        |json| json["model"]["byte_fallback"] = false.into(),
        |json| json["model"]["end_of_word_suffix"] = "</w>".into(),
        |json| {
            json["model"]["vocab"]
                .as_object_mut()
                .unwrap()
                .remove("<0xC3>");
        },
        |json| {
            let added = json!({"id": 5000, "content": "tion", "special": false, "lstrip": true});
            json["added_tokens"].as_array_mut().unwrap().push(added);
        },
        |json| {
            let added = json!({"id": 5132, "content": "quite unheard of", "special": false});
            json["added_tokens"].as_array_mut().unwrap().push(added);
        },
    ];
    for (at, change) in changes.into_iter().enumerate() {
        if let Ok(tokenizer) = Tokenizer::load(&changed(change), 8193) {
            assert!(tokenizer.flat().is_none(), "change {at}");
        }
    }
}

#[test]
fn merges_as_older_files_list_them_and_limits_of_length_change_nothing() {
    let json = changed(|json| {
        let merges = json["model"]["merges"].as_array_mut().unwrap();
        // Where a space is between the two there can be none in them.
        merges.retain(|pair| !pair.to_string().contains(' '));
        for merge in merges {
            *merge = format!(
                "{} {}",
                merge[0].as_str().unwrap(),
                merge[1].as_str().unwrap()
            )
            .into();
        }
        json["truncation"] =
            json!({"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0});
    });
    let older = Both::of(&json, 8192);
    let text = "How many miles are in 12 kilometres of the road?";
    older.check(text);
    let ids = |tokenizer: &Tokenizer| tokenizer.encode(&[Piece::Text(text)]).unwrap();
    assert!(ids(&older.compact).len() > 3);
}

/// Checkpoints of text models come with the token of their siblings' pictures.
#[test]
fn a_control_token_that_the_embedding_has_no_row_for_does_not_exist() {
    let json = changed(|json| {
        let added = json!({"id": 8192, "content": "<image_soft_token>", "special": true, "normalized": false,
            "lstrip": false, "rstrip": false, "single_word": false});
        json["added_tokens"].as_array_mut().unwrap().push(added);
    });
    let both = Both::of(&json, 8192);
    for tokenizer in [&both.compact, &both.library] {
        assert_eq!(tokenizer.control("<image_soft_token>"), None);
        assert_eq!(tokenizer.control("<escape>"), Some(13));
    }
    both.check("<image_soft_token>");
}

/// A text made of tokens: what is merged is met at every step.
fn tokens(both: &'static Both) -> impl Strategy<Value = String> {
    let token = (0..both.vocab as u32)
        .prop_map(|id| String::from_utf8_lossy(both.compact.bytes(id)).into_owned());
    prop::collection::vec(token, 0..30).prop_map(|tokens| tokens.concat())
}

/// Pieces that added tokens, byte tokens and spaces are made of, and characters of all kinds.
fn soup() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        any::<char>().prop_map(String::from),
        "[ \\t\\n\\r▁]{1,40}",
        "[a-zA-Z]{1,12}",
        "[<>/0-9a-fx{}:,\"\\[\\]]{1,8}",
        "\\PC{1,4}",
        Just("<end_of_turn>".to_owned()),
        Just("</table>".to_owned()),
        Just("<0x41>".to_owned()),
        Just("\u{200d}".to_owned()),
        "[\u{0}-\u{1f}]{1,4}",
    ];
    prop::collection::vec(part, 0..20).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn random_texts_have_the_librarys_ids(text in soup()) {
        for both in both() {
both.check(&text);
}
    }

    #[test]
    fn texts_of_random_tokens_have_the_librarys_ids(small in tokens(&DEFAULT), large in tokens(&LARGE)) {
        for text in [&small, &large] {
            for both in both() {
both.check(text);
}
        }
    }

    #[test]
    fn what_was_not_utf8_has_the_librarys_ids(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        for both in both() {
both.check(&String::from_utf8_lossy(&bytes));
}
    }
}
