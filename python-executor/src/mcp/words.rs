//! Our words for tools and results, in MCP's.

use std::sync::Arc;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ipc::proto::{Artefact, ToolResult};
use rmcp::model::{
    CallToolResult, ContentBlock, JsonObject, MetaObject, ResourceContents, Tool, ToolAnnotations,
};
use serde_json::{Value, json};

use crate::{catalogue::Entry, policy::Policy, sandbox::Level, service::Tooling};

/// Pictures that are shown as such; all others are files.
const PICTURES: [&str; 4] = ["image/png", "image/jpeg", "image/gif", "image/webp"];

pub(super) fn tools(tooling: &Tooling) -> Vec<Tool> {
    let confined = tooling.executor.supervisor.protection.level > Level::SeatbeltUnverified;
    let catalogue = tooling.catalogue();
    catalogue
        .entries()
        .iter()
        .map(|entry| tool(entry, confined))
        .collect()
}

fn tool(entry: &Entry, confined: bool) -> Tool {
    let ours = &entry.tool;
    // It was an object when the entry was made.
    let schema: JsonObject = serde_json::from_str(&ours.parameters).unwrap_or_default();
    let mut tool = Tool::new(
        ours.name.clone(),
        ours.description.clone(),
        Arc::new(schema),
    );
    if let Some(mounted) = &entry.mounted {
        // What a server says of its tool stays what it says.
        tool.title.clone_from(&mounted.tool.title);
        tool.annotations.clone_from(&mounted.tool.annotations);
        tool.output_schema.clone_from(&mounted.tool.output_schema);
    } else if confined {
        tool.annotations = Some(annotations(&entry.profile.policy));
    }
    tool
}

/// What the sandbox sees to, whatever the tool says of itself.
fn annotations(policy: &Policy) -> ToolAnnotations {
    let alone = policy.network.is_empty();
    let mut told = ToolAnnotations::new().open_world(!alone);
    if alone && policy.write.is_empty() {
        told = told.read_only(true);
    }
    told
}

pub(super) fn result(result: ToolResult, modern: bool) -> CallToolResult {
    let meta = meta(&result);
    let mut told = match result.error {
        Some(error) => {
            let text = if error.r#type == result.outcome {
                format!("{}: {}", result.outcome, error.message)
            } else {
                format!("{}: {}: {}", result.outcome, error.r#type, error.message)
            };
            CallToolResult::error(vec![ContentBlock::text(text)])
        }
        None => good(result.result, modern),
    };
    told.content
        .extend(result.artefacts.into_iter().map(content));
    told.meta = Some(meta);
    told
}

/// A result is structured, whatever it is. Older revisions know only objects: there other values stand in one, as the
/// Python SDK does it.
fn good(json: String, modern: bool) -> CallToolResult {
    // It was read when it came from the tool.
    let value: Value = serde_json::from_str(&json).unwrap_or_default();
    let text = match &value {
        Value::String(text) => text.clone(),
        _ => json,
    };
    let mut told = CallToolResult::success(vec![ContentBlock::text(text)]);
    told.structured_content = Some(match value {
        Value::Object(_) => value,
        value if modern => value,
        value => json!({ "result": value }),
    });
    told
}

/// How the call was run and what it printed.
fn meta(result: &ToolResult) -> MetaObject {
    let mut meta = MetaObject::new();
    let isolation = result.isolation.clone().unwrap_or_default();
    let mut put = |key: &str, value: Value| _ = meta.insert(format!("callspan/{key}"), value);
    put("outcome", result.outcome.as_str().into());
    put(
        "isolation",
        json!({"level": isolation.level, "active": isolation.active, "missing": isolation.missing}),
    );
    put(
        "usage",
        json!({
            "wall_us": result.wall_us,
            "cpu_us": result.cpu_us,
            "max_rss_kib": result.max_rss_kib,
            "queue_us": result.queue_us,
        }),
    );
    for (key, text) in [("stdout", &result.stdout), ("stderr", &result.stderr)] {
        if !text.is_empty() {
            put(key, text.as_str().into());
        }
    }
    if result.truncated {
        put("truncated", true.into());
    }
    if let Some(error) = &result.error
        && !error.traceback.is_empty()
    {
        put("traceback", error.traceback.as_str().into());
    }
    meta
}

fn content(file: Artefact) -> ContentBlock {
    let kind = file.media_type.split(';').next().unwrap_or_default().trim();
    if PICTURES.contains(&kind) {
        return ContentBlock::image(BASE64_STANDARD.encode(&file.data), file.media_type);
    }
    if kind.starts_with("audio/") {
        return ContentBlock::audio(BASE64_STANDARD.encode(&file.data), file.media_type);
    }
    let uri = format!("artefact:///{}", escaped(&file.name));
    let is_text = kind.starts_with("text/")
        || kind.ends_with("+xml")
        || kind.ends_with("+json")
        || matches!(kind, "application/json" | "application/xml");
    let resource = match String::from_utf8(file.data) {
        Ok(text) if is_text => ResourceContents::text(text, uri),
        Ok(text) => ResourceContents::blob(BASE64_STANDARD.encode(text), uri),
        Err(no) => ResourceContents::blob(BASE64_STANDARD.encode(no.as_bytes()), uri),
    };
    ContentBlock::resource(resource.with_mime_type(file.media_type))
}

/// A name as a part of a URI.
fn escaped(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    name.bytes()
        .map(|byte| {
            if plain(byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}
