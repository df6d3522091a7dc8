//! `logits`: what the model makes of texts, in numbers, for whoever compares it with another engine.

use std::io::{self, BufRead, Write};

use ipc::program::Failure;
use rust_inference::model::{KvCache, Model};
use serde_json::json;

use super::files;

/// Tokens that go through the model at once.
const PORTION: usize = 128;
/// Rows of logits that are made at once: each is as long as the vocabulary.
const ROWS: usize = 16;

/// For each line of standard input, a text as a JSON string: a line {"ids", "columns"}, then for each of the ids as many
/// little-endian f32 as there are columns.
pub(crate) fn logits(model: &Model) -> Result<(), Failure> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for line in io::stdin().lock().lines() {
        let unreadable = |error: &dyn std::error::Error| {
            Failure::usage(
                format!("cannot read a text: {error}"),
                r#"write one JSON string a line, such as "<bos>Hello""#,
            )
        };
        let line = line.map_err(|error| unreadable(&error))?;
        let text: String = serde_json::from_str(&line).map_err(|error| unreadable(&error))?;
        let ids = (model.tokenizer.encode(&model.tokenizer.pieces(&text)))
            .map_err(|error| Failure::new(error, "leave it out of the text"))?;
        let (length, context) = (ids.len(), model.config.context);
        if length > context {
            return Err(Failure::usage(
                format!("a text has {length} tokens, the model's context {context}"),
                "shorten it",
            ));
        }
        if !files::written(write(model, &ids, &mut out))? {
            break;
        }
    }
    Ok(())
}

fn write(model: &Model, ids: &[u32], out: &mut impl Write) -> io::Result<()> {
    let (size, columns) = (model.config.hidden_size, model.config.vocab_size);
    writeln!(out, "{}", json!({"ids": ids, "columns": columns}))?;
    let mut cache = KvCache::new(model);
    for portion in ids.chunks(PORTION) {
        let hidden = model.forward(portion, &mut cache);
        for rows in hidden.chunks(ROWS * size) {
            for logit in model.logits(rows) {
                out.write_all(&logit.to_le_bytes())?;
            }
        }
    }
    out.flush()
}
