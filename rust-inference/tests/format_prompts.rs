//! Conversations become the prompts that the reference makes of them; where the reference is defective, each decision
//! of ours has a test.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside of the tests' own functions"
)]

use std::{collections::BTreeMap, fs, path::Path};

use rust_inference::functiongemma::{Conversation, Prompt, RenderError, TRIGGER, render};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Case {
    name: String,
    chat: Value,
}

fn data<T: serde::de::DeserializeOwned>(file: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata/format")
        .join(file);
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn prompt(chat: &Value) -> Result<Prompt, RenderError> {
    render(&Conversation::from_json(&chat.to_string()).unwrap())
}

#[test]
fn every_prompt_is_the_references_byte_for_byte() {
    let references: BTreeMap<String, String> = data("prompts.json");
    let cases: Vec<Case> = data("conversations.json");
    assert_eq!(cases.len(), references.len());
    for case in cases {
        let prompt = prompt(&case.chat).unwrap();
        assert_eq!(prompt.text(), references[&case.name], "{}", case.name);
    }
}

/// How a tool with these parameters is declared, between `parameters:` and the declaration's end; and the warnings.
fn declared(parameters: &Value) -> (String, Vec<String>) {
    let chat = json!({
        "messages": [{"role": "user", "content": "x"}],
        "tools": [{"name": "f", "description": "", "parameters": parameters}],
    });
    let prompt = prompt(&chat).unwrap();
    let text = prompt.text();
    let (_, rest) = text.split_once("parameters:").unwrap();
    let (declared, _) = rest.split_once("}<end_function_declaration>").unwrap();
    (declared.to_owned(), prompt.warnings.clone())
}

fn property(name: &str, schema: &Value) -> (String, Vec<String>) {
    let (text, warnings) = declared(&json!({"type": "object", "properties": {name: schema}}));
    let property = text
        .strip_prefix("{properties:{")
        .and_then(|rest| rest.strip_suffix("},type:<escape>OBJECT<escape>}"))
        .unwrap_or_else(|| panic!("{text}"));
    (property.to_owned(), warnings)
}

/// The reference skips a parameter whose name is a keyword of JSON Schema, though it may be required: the model could
/// not know of it. Ours declares it and warns.
#[test]
fn a_parameter_named_like_a_keyword_is_declared_with_a_warning() {
    for name in ["description", "type", "properties", "required", "nullable"] {
        let (text, warnings) = property(name, &json!({"type": "string", "description": "D"}));
        assert_eq!(
            text,
            format!("{name}:{{description:<escape>D<escape>,type:<escape>STRING<escape>}}")
        );
        assert!(
            warnings[0].contains(&format!("parameter {name} ")),
            "{warnings:?}"
        );
    }
}

/// The reference leaves `parameters:{…,` open.
#[test]
fn parameters_without_a_type_are_closed() {
    let (text, _) = declared(&json!({"properties": {"a": {"type": "string"}}}));
    assert!(text.ends_with(",type:<escape>OBJECT<escape>}"), "{text}");
}

/// The reference takes the schema's own keywords for parameters, so that `additionalProperties` becomes one.
#[test]
fn an_object_without_properties_has_no_made_up_ones() {
    let schema =
        json!({"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1});
    assert_eq!(
        property("o", &schema).0,
        "o:{description:<escape><escape>,properties:{},type:<escape>OBJECT<escape>}"
    );
}

/// The reference prints `None`.
#[test]
fn a_null_description_is_an_empty_one() {
    assert_eq!(
        property("a", &json!({"type": "string", "description": null})).0,
        "a:{description:<escape><escape>,type:<escape>STRING<escape>}"
    );
}

/// The reference fails on a list of types. Ours tells the first that is not null, and warns where there are several.
#[test]
fn of_several_types_the_first_that_is_not_null_is_told() {
    let string = "a:{description:<escape><escape>,type:<escape>STRING<escape>}";
    for schema in [
        json!({"type": ["string", "null"]}),
        json!({"type": ["null", "string"]}),
        json!({"anyOf": [{"type": "string"}, {"type": "null"}]}),
        json!({"oneOf": [{"type": "null"}, {"type": "string"}]}),
        json!({}),
    ] {
        assert_eq!(property("a", &schema).0, string, "{schema}");
    }
    let (text, warnings) = property(
        "a",
        &json!({"anyOf": [{"type": "integer"}, {"type": "string"}]}),
    );
    assert!(
        text.contains("INTEGER") && warnings[0].contains("several types"),
        "{text} {warnings:?}"
    );
}

/// As the reference: the word has no place in the format.
#[test]
fn nullable_is_not_told() {
    assert_eq!(
        property("a", &json!({"type": "string", "nullable": true})).0,
        "a:{description:<escape><escape>,type:<escape>STRING<escape>}"
    );
}

/// As the reference, which prints what Python does.
#[test]
fn numbers_in_enumerations_are_pythons() {
    let schema = json!({"type": "string", "enum": [1.0, 1e-5, 1e16, 7, true, null]});
    assert!(
        property("a", &schema)
            .0
            .contains("enum:[1.0,1e-05,1e+16,7,true,None]")
    );
}

/// Other renderers' rule; no published prompt shows such a schema.
#[test]
fn items_of_a_shape_of_their_own_have_delimited_keys() {
    let items = json!({"type": "array", "items": {"type": "integer"}});
    let (text, _) = property("grid", &json!({"type": "array", "items": items}));
    assert!(
        text.contains("items:{items:{<escape>type<escape>:<escape>integer<escape>},type:<escape>ARRAY<escape>}"),
        "{text}"
    );
}

/// What a tool returns has no place in the format: the reference ignores it.
#[test]
fn a_tools_return_is_not_told() {
    let chat = json!({"messages": [{"role": "user", "content": "x"}],
        "tools": [{"name": "f", "description": "", "return": {"type": "string"}}]});
    assert!(!prompt(&chat).unwrap().text().contains("return"));
}

#[test]
fn a_system_message_without_the_trigger_gets_a_warning() {
    let chat = |system: &str| {
        json!({"messages": [{"role": "system", "content": system}, {"role": "user", "content": "x"}],
            "tools": [{"name": "f", "description": ""}]})
    };
    assert!(prompt(&chat("Be kind.")).unwrap().warnings[0].contains(TRIGGER));
    let with = format!("Be kind.\n{TRIGGER}");
    assert!(prompt(&chat(&with)).unwrap().warnings.is_empty());
}

#[test]
fn what_cannot_be_a_prompt_is_refused_by_its_place() {
    let user = json!({"role": "user", "content": "x"});
    let call = json!({"role": "assistant", "tool_calls": [{"name": "f", "arguments": {}}]});
    let tool = |name: &str| json!({"role": "tool", "name": name, "content": "1"});
    for (messages, error) in [
        (json!([]), "no message"),
        (
            json!([user, tool("f")]),
            "messages[1]: a tool message must follow",
        ),
        (
            json!([user, call]),
            "messages[1]: 1 tool_calls were followed by 0 tool messages",
        ),
        (
            json!([user, call, user]),
            "messages[1]: 1 tool_calls were followed by 0",
        ),
        (
            json!([user, call, tool("g")]),
            "messages[2]: a response of \"g\"",
        ),
        (
            json!([user, call, tool("f"), tool("f")]),
            "messages[3]: a tool message must follow",
        ),
    ] {
        let refused = prompt(&json!({"messages": messages}))
            .unwrap_err()
            .to_string();
        assert!(refused.contains(error), "{refused}");
    }
    let arguments = |key: &str| json!({"messages": [user, {"role": "assistant", "tool_calls": [{"name": "f", "arguments": {key: 1}}]}, tool("f")]});
    for key in ["", "a:b", "a}", "<escape>", " a"] {
        assert!(
            matches!(prompt(&arguments(key)), Err(RenderError::Key(_))),
            "{key:?}"
        );
    }
}

#[test]
fn a_conversation_of_another_shape_is_refused_by_its_place() {
    for (chat, error) in [
        (
            json!({"messages": [{"role": "robot", "content": "x"}]}),
            "messages[0]: role \"robot\" is unknown",
        ),
        (
            json!({"messages": [{"role": "user", "content": 3}]}),
            "messages[0]: content is neither",
        ),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}),
            "messages[0].content[0]",
        ),
        (
            json!({"messages": [{"role": "user", "content": "x"}, {"role": "system", "content": "x"}]}),
            "messages[1]",
        ),
        (
            json!({"messages": [{"role": "tool", "content": "x"}]}),
            "messages[0]: a tool message needs",
        ),
        (
            json!({"messages": [], "tools": [{"description": "x"}]}),
            "tools[0]: name is missing",
        ),
        (
            json!({"messages": [], "tools": [{"name": "a b"}]}),
            "tools[0]: name \"a b\" contains ' '",
        ),
        (
            json!({"messages": [], "tools": [{"name": "f", "parameters": {"type": "string"}}]}),
            "tools[0].parameters: type is \"string\"",
        ),
        (
            json!({"messages": [], "tools": [{"name": "f", "parameters": 3}]}),
            "tools[0].parameters",
        ),
        (
            json!({"messages": [{"role": "assistant", "tool_calls": [{"name": "f", "arguments": "{"}]}]}),
            "messages[0].tool_calls[0].arguments",
        ),
    ] {
        let refused = Conversation::from_json(&chat.to_string())
            .unwrap_err()
            .to_string();
        assert!(refused.contains(error), "{refused}");
    }
}
