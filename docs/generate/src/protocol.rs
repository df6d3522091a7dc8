//! The protocol's page: every message with its fields, in the words of the .proto's comments.

use std::{collections::HashMap, fmt::Write as _};

use ipc::program::Failure;
use prost::Message as _;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    FileDescriptorSet, MessageOptions,
    field_descriptor_proto::{Label, Type},
};

use crate::{
    reference::made_from,
    text::{cell, sentence},
};

/// Where in a `FileDescriptorProto` its messages and enums are, where in these fields and values are, and the syntax.
const MESSAGES: i32 = 4;
const ENUMS: i32 = 5;
const MEMBERS: i32 = 2;
const SYNTAX: i32 = 12;

/// Comments by the path of what they are of.
type Comments<'a> = HashMap<&'a [i32], &'a str>;

pub(crate) fn page() -> Result<String, Failure> {
    let set = FileDescriptorSet::decode(ipc::DESCRIPTOR_SET)
        .map_err(|error| Failure::new(format!("the descriptor set: {error}"), ""))?;
    let file = set
        .file
        .iter()
        .find(|file| file.package() == "callspan.v1")
        .ok_or_else(|| Failure::new("the descriptor set lacks callspan.v1", ""))?;
    Ok(of(file))
}

fn of(file: &FileDescriptorProto) -> String {
    let locations = file.source_code_info.iter().flat_map(|info| &info.location);
    let mut comments = Comments::new();
    let mut first = "";
    for location in locations {
        let comment = location.leading_comments().trim();
        if !comment.is_empty() {
            comments.insert(&location.path, comment);
        }
        if location.path == [SYNTAX] {
            let detached = location.leading_detached_comments.first();
            first = detached.map_or(comment, |detached| detached.trim());
        }
    }

    let mut page = format!("# The protocol\n\n{}", made_from("ipc/proto/"));
    let _ = writeln!(page, "{}\n", filled(first));
    for (number, message) in (0..).zip(&file.message_type) {
        messages(message, &[MESSAGES, number], &comments, &mut page);
    }
    for (number, of_values) in (0..).zip(&file.enum_type) {
        enums(of_values, &[ENUMS, number], &comments, &mut page);
    }
    page
}

fn messages(message: &DescriptorProto, path: &[i32], comments: &Comments, page: &mut String) {
    heading(message.name(), path, comments, page);
    if message.field.is_empty() {
        page.push_str("It has no fields.\n\n");
        return;
    }
    page.push_str("| field | | type | |\n|---|---|---|---|\n");
    for (number, field) in (0..).zip(&message.field) {
        let path = [path, &[MEMBERS, number]].concat();
        let says = comments.get(path.as_slice()).copied().unwrap_or_default();
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} |",
            field.name(),
            field.number(),
            kind(field, message),
            cell(&sentence(says))
        );
    }
    page.push('\n');
}

fn enums(of_values: &EnumDescriptorProto, path: &[i32], comments: &Comments, page: &mut String) {
    heading(of_values.name(), path, comments, page);
    page.push_str("| value | | |\n|---|---|---|\n");
    for (number, value) in (0..).zip(&of_values.value) {
        let path = [path, &[MEMBERS, number]].concat();
        let says = comments.get(path.as_slice()).copied().unwrap_or_default();
        let _ = writeln!(
            page,
            "| `{}` | {} | {} |",
            value.name(),
            value.number(),
            cell(&sentence(says))
        );
    }
    page.push('\n');
}

fn heading(name: &str, path: &[i32], comments: &Comments, page: &mut String) {
    let _ = writeln!(page, "## {name}\n");
    if let Some(comment) = comments.get(path) {
        let _ = writeln!(page, "{}\n", filled(comment));
    }
}

/// Comments are wrapped, with a space before each line.
fn filled(comment: &str) -> String {
    let paragraphs = comment.split("\n\n").map(|part| {
        let words: Vec<_> = part.split_whitespace().collect();
        cell(&sentence(&words.join(" ")))
    });
    paragraphs.collect::<Vec<_>>().join("\n\n")
}

/// A field's type, in the words of the .proto, with links to messages.
fn kind(field: &FieldDescriptorProto, message: &DescriptorProto) -> String {
    let local = field.type_name().rsplit('.').next().unwrap_or_default();
    let entry = message.nested_type.iter().find(|nested| {
        nested.name() == local
            && nested
                .options
                .as_ref()
                .is_some_and(MessageOptions::map_entry)
    });
    if let Some(entry) = entry {
        let parts: Vec<_> = entry.field.iter().map(|field| kind(field, entry)).collect();
        return format!("map of {}", parts.join(" to "));
    }
    let name = match field.r#type() {
        Type::Message | Type::Enum => format!("[{local}](#{})", local.to_lowercase()),
        scalar => scalar
            .as_str_name()
            .trim_start_matches("TYPE_")
            .to_lowercase(),
    };
    let oneof = field.oneof_index.filter(|_| !field.proto3_optional());
    let oneof = oneof.and_then(|index| message.oneof_decl.get(usize::try_from(index).ok()?));
    match oneof {
        Some(group) => format!("{name}, one of `{}`", group.name()),
        None if field.label() == Label::Repeated => format!("{name}, repeated"),
        None if field.proto3_optional() => format!("{name}, optional"),
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_and_field_is_told_in_the_proto_s_words() {
        let page = page().unwrap();
        let proto = include_str!("../../../ipc/proto/callspan/v1/callspan.proto");
        for line in proto.lines() {
            let line = line.trim();
            if let Some(rest) = line.strip_prefix("message ").or(line.strip_prefix("enum ")) {
                let name = rest.split([' ', '{']).next().unwrap();
                assert!(
                    page.contains(&format!("\n## {name}\n")),
                    "{name} is not told"
                );
            } else if let Some(comment) = line.strip_prefix("// ") {
                let words: String = cell(comment)
                    .split_whitespace()
                    .take(3)
                    .collect::<Vec<_>>()
                    .join(" ");
                assert!(page.contains(&words), "{words} is not told");
            }
        }
        for row in [
            "| `stream` | 6 | bool |  |",
            "| `tools` | 3 | [Tool](#tool), repeated |  |",
            "| `chat` | 1 | [Chat](#chat), one of `input` |  |",
            "| `details` | 6 | map of string to string | What this server wants known of itself",
        ] {
            assert!(page.contains(row), "{row}\n{page}");
        }
    }
}
