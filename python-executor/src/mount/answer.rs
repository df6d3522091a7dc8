//! What a server answered to a call, as a result of ours. It comes from somebody else's program: it is bounded as what a
//! tool says is.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ipc::proto::{Artefact, ToolError};
use rmcp::model::{CallToolResult, ContentBlock, ResourceContents};
use serde_json::Value;

use crate::course::sound;

/// Bytes of all files of a call.
const MAX_FILES: usize = 4 << 20;
const MAX_WORDS: usize = 64 << 10;

/// How a call ended.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) outcome: &'static str,
    /// JSON text, with outcome ok.
    pub(crate) result: String,
    pub(crate) error: Option<ToolError>,
    pub(crate) files: Vec<Artefact>,
}

impl Answer {
    pub(super) fn failed(outcome: &'static str, kind: &str, mut message: String) -> Self {
        message.truncate(message.floor_char_boundary(MAX_WORDS));
        Self {
            outcome,
            result: String::new(),
            error: Some(ToolError {
                r#type: kind.to_owned(),
                message,
                traceback: String::new(),
            }),
            files: Vec::new(),
        }
    }

    fn bad(message: String) -> Self {
        Self::failed("bad_result", "bad_result", message)
    }

    /// `structured`: the server promised the form of its results.
    pub(super) fn of(told: CallToolResult, structured: bool) -> Self {
        let mut texts = Vec::new();
        let mut files = Vec::new();
        for block in told.content {
            match block {
                ContentBlock::Text(text) => texts.push(text.text),
                ContentBlock::ResourceLink(link) => texts.push(link.uri),
                other => match file(other, files.len()) {
                    Ok(Some(file)) => files.push(file),
                    Ok(None) => {}
                    Err(why) => return Self::bad(why),
                },
            }
        }
        let bytes: usize = files.iter().map(|file| file.data.len().max(1024)).sum();
        if bytes > MAX_FILES {
            return Self::bad("the server sent more than 4 MiB of files".to_owned());
        }
        let text = texts.join("\n");
        if told.is_error == Some(true) {
            return Self::failed("exception", "ToolError", text);
        }
        let json = match told.structured_content {
            Some(value) => value.to_string(),
            None if structured => {
                let why = "the server promises structured results, and sent none";
                return Self::bad(why.to_owned());
            }
            None => plain(text),
        };
        match sound(json) {
            Ok(result) => Self {
                outcome: "ok",
                result,
                error: None,
                files,
            },
            Err(crate::protocol::work::Failure::BadResult(why)) => Self::bad(why),
            Err(_) => Self::bad("the result cannot be read".to_owned()),
        }
    }
}

/// A text is a string, unless it is an object or a list: servers of older revisions know no other way to give one.
fn plain(text: String) -> String {
    match serde_json::from_str(&text) {
        Ok(value @ (Value::Object(_) | Value::Array(_))) => value.to_string(),
        _ => Value::String(text).to_string(),
    }
}

/// Pictures, sounds and embedded resources; the model reads of none.
fn file(block: ContentBlock, number: usize) -> Result<Option<Artefact>, String> {
    let (data, media_type, name) = match block {
        ContentBlock::Image(image) => (decoded(&image.data)?, image.mime_type, None),
        ContentBlock::Audio(audio) => (decoded(&audio.data)?, audio.mime_type, None),
        ContentBlock::Resource(resource) => match resource.resource {
            ResourceContents::TextResourceContents {
                uri,
                mime_type,
                text,
                ..
            } => {
                let kind = mime_type.unwrap_or_else(|| "text/plain".to_owned());
                (text.into_bytes(), kind, Some(uri))
            }
            ResourceContents::BlobResourceContents {
                uri,
                mime_type,
                blob,
                ..
            } => {
                let kind = mime_type.unwrap_or_else(|| "application/octet-stream".to_owned());
                (decoded(&blob)?, kind, Some(uri))
            }
            _ => return Ok(None),
        },
        _ => return Ok(None),
    };
    let plain = |c: char| c.is_ascii_graphic() && c != '\\';
    if media_type.is_empty()
        || media_type.len() > 255
        || !media_type.chars().all(|c| plain(c) || c == ' ')
    {
        return Err("the server sent a file whose media type is none".to_owned());
    }
    let last = name.as_deref().and_then(|uri| uri.rsplit('/').next());
    let usable = |name: &&str| {
        !name.is_empty() && name.len() <= 255 && !name.starts_with('.') && name.chars().all(plain)
    };
    let named = last.filter(usable).map(str::to_owned);
    let name = named.unwrap_or_else(|| {
        let kind = media_type.split(['/', ';']).nth(1).unwrap_or("bin");
        let end: String = kind.chars().filter(char::is_ascii_alphanumeric).collect();
        format!("file-{}.{end}", number + 1)
    });
    Ok(Some(Artefact {
        name,
        media_type,
        data,
    }))
}

fn decoded(text: &str) -> Result<Vec<u8>, String> {
    let data = BASE64_STANDARD.decode(text);
    data.map_err(|error| format!("the server sent a file that is no base64: {error}"))
}
