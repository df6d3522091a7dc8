//! The protocol's own description, asked at run time: which fields a message has, and which of them carry JSON text.
//! The generated decoder ignores unknown fields without a word and takes JSON text only as a string; both are put
//! right by a walk over the line with this in hand.
use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::LazyLock,
};

use prost::Message as _;
use prost_types::{DescriptorProto, FileDescriptorSet, field_descriptor_proto::Type};
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Fields that carry JSON text: in JSON-lines any JSON value may stand in their place.
pub(crate) const JSON_TEXT: &[(&str, &str)] = &[
    ("Tool", "parameters"),
    ("ToolCall", "arguments"),
    ("CallTool", "arguments"),
    ("ToolResult", "result"),
    ("ToolDecision", "result"),
    ("ResponseFormat", "schema"),
    ("ToolInfo", "policy"),
];

/// Numbers that the protocol uses. The generated decoder cannot read all of them bare when any crate in the build has
/// `serde_json` keep numbers as written (its `arbitrary_precision`); proto3 JSON allows them as strings, too.
const NUMBERS: &[Type] = &[
    Type::Uint32,
    Type::Uint64,
    Type::Int32,
    Type::Int64,
    Type::Float,
    Type::Double,
];

enum Kind {
    JsonText,
    Message(String),
    Number,
    /// Texts, bytes, maps of texts: nothing to look into.
    Plain,
}

type Fields = BTreeMap<String, Kind>;

/// Fields by message, by both of their JSON names.
static MESSAGES: LazyLock<HashMap<String, Fields>> = LazyLock::new(|| {
    // Our own build wrote these bytes; a test reads them. Were they bad, every field would be reported unknown.
    let set = FileDescriptorSet::decode(crate::DESCRIPTOR_SET).unwrap_or_default();
    set.file
        .iter()
        .flat_map(|file| &file.message_type)
        .map(|message| (message.name().to_owned(), fields(message)))
        .collect()
});

fn fields(message: &DescriptorProto) -> Fields {
    let kind = |name: &str, ty: Type, type_name: &str| {
        let target = type_name.rsplit('.').next().unwrap_or_default();
        let nested = message
            .nested_type
            .iter()
            .any(|nested| nested.name() == target);
        if JSON_TEXT.contains(&(message.name(), name)) {
            Kind::JsonText
        } else if ty == Type::Message && !nested {
            Kind::Message(target.to_owned())
        } else if NUMBERS.contains(&ty) {
            Kind::Number
        } else {
            Kind::Plain
        }
    };
    let named = message.field.iter().flat_map(|field| {
        [field.name(), field.json_name()].map(|key| {
            (
                key.to_owned(),
                kind(field.name(), field.r#type(), field.type_name()),
            )
        })
    });
    named.collect()
}

/// What a walk over one line found.
#[derive(Default)]
pub(super) struct Found<'a> {
    /// What the generated decoder takes in quotes only, and stands without: values in the place of JSON text, and
    /// numbers. Parts of the line, in order.
    pub(super) texts: Vec<&'a str>,
    /// Fields that the protocol does not know, as paths.
    pub(super) unknown: Vec<String>,
}

/// Walks one line as a `Frame`. What is no JSON, or of another shape, is passed over: the decoder says what is wrong.
pub(super) fn walk(line: &str) -> Found<'_> {
    let mut found = Found::default();
    message("Frame", line, "", &mut found);
    found
}

fn message<'a>(name: &str, raw: &'a str, path: &str, found: &mut Found<'a>) {
    let (Some(fields), Ok(Entries(entries))) = (MESSAGES.get(name), serde_json::from_str(raw))
    else {
        return;
    };
    for (key, value) in entries {
        let path = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        let text = value.get();
        match fields.get(&key) {
            None => found.unknown.push(path),
            Some(Kind::JsonText) if !text.starts_with('"') => found.texts.push(text),
            Some(Kind::Number) if text.starts_with('[') => {
                let items = serde_json::from_str::<Vec<&RawValue>>(text).unwrap_or_default();
                let numbers = items.into_iter().map(RawValue::get);
                found.texts.extend(numbers.filter(|item| is_number(item)));
            }
            Some(Kind::Number) if is_number(text) => found.texts.push(text),
            Some(Kind::JsonText | Kind::Number | Kind::Plain) => {}
            Some(Kind::Message(target)) => match serde_json::from_str::<Vec<&RawValue>>(text) {
                Ok(items) => {
                    for (index, item) in items.iter().enumerate() {
                        message(target, item.get(), &format!("{path}[{index}]"), found);
                    }
                }
                Err(_) => message(target, text, &path, found),
            },
        }
    }
}

fn is_number(text: &str) -> bool {
    text.starts_with(|c: char| c == '-' || c.is_ascii_digit())
}

/// An object's entries in their order, values as written.
struct Entries<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }

            fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
                Ok(Entries(Vec::new()))
            }
        }
        deserializer.deserialize_any(Collect)
    }
}
