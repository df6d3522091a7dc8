//! Conversations become the prompts that the default model's chat template makes of them, and where ours departs from
//! it, or from what is known of `FunctionGemma`'s own template, each decision has a test.
//!
//! *The template* is `models/default/chat_template.jinja`, whose prompts are in `testdata/format`. *Google's* is not at
//! hand: what it does is told as other implementations reproduce it.
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
fn every_prompt_is_the_templates_byte_for_byte() {
    let references: BTreeMap<String, String> = data("prompts.json");
    let cases: Vec<Case> = data("conversations.json");
    assert_eq!(cases.len(), references.len());
    for case in cases {
        let prompt = prompt(&case.chat).unwrap();
        assert_eq!(prompt.text(), references[&case.name], "{}", case.name);
    }
}

/// That our prompt differs from the template's in this part, once, and in nothing else.
fn departs(name: &str, template: &str, ours: &str) -> Vec<String> {
    let cases: Vec<Case> = data("departures.json");
    let references: BTreeMap<String, String> = data("departed.json");
    let case = cases.into_iter().find(|case| case.name == name).unwrap();
    let prompt = prompt(&case.chat).unwrap();
    let reference = &references[name];
    assert_eq!(reference.matches(template).count(), 1, "{reference}");
    assert_eq!(reference.replace(template, ours), prompt.text());
    prompt.warnings
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

/// Google's skips a parameter whose name is a keyword of JSON Schema, though it may be required: the model could not
/// know of it. Ours declares it, as the template does, and warns.
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

/// Google's leaves `parameters:{…,` open. Ours closes it, as the template does.
#[test]
fn parameters_without_a_type_are_closed() {
    let (text, _) = declared(&json!({"properties": {"a": {"type": "string"}}}));
    assert!(text.ends_with(",type:<escape>OBJECT<escape>}"), "{text}");
}

/// Google's takes the schema's own keywords for parameters, so that `additionalProperties` becomes one. Ours has none,
/// like the template.
#[test]
fn an_object_without_properties_has_no_made_up_ones() {
    let schema =
        json!({"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1});
    assert_eq!(
        property("o", &schema).0,
        "o:{description:<escape><escape>,properties:{},type:<escape>OBJECT<escape>}"
    );
}

/// Google's prints `None`. Ours prints nothing, as the template does.
#[test]
fn a_null_description_is_an_empty_one() {
    assert_eq!(
        property("a", &json!({"type": "string", "description": null})).0,
        "a:{description:<escape><escape>,type:<escape>STRING<escape>}"
    );
}

/// Google's fails on a list of types, the template prints it as Python does, and nothing for branches or where there is
/// no type. Ours tells the first that is not null, and warns where there are several; without any, it says a string.
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
    let list = "<escape>['STRING', 'NULL']<escape>";
    assert!(departs("a list of types", list, "<escape>STRING<escape>").is_empty());
    let open = "type:<escape><escape>";
    assert!(departs("branches of types", open, "type:<escape>INTEGER<escape>").is_empty());
    let warnings = departs("no type", open, "type:<escape>STRING<escape>");
    assert_eq!(
        warnings,
        ["parameter a has no type; the model is told STRING"]
    );
    for schema in [
        json!({"anyOf": [{"type": "integer"}, {"type": "string"}]}),
        json!({"type": ["null", "integer", "string"]}),
    ] {
        let (text, warnings) = property("a", &schema);
        assert!(text.contains("INTEGER"), "{text}");
        assert_eq!(
            warnings,
            ["parameter a has several types; the model is told of INTEGER only"]
        );
    }
}

/// In an array's items a list of types is printed, as other renderers do; the template prints it as Python does.
#[test]
fn items_of_several_types_are_told_all() {
    let template = "type:<escape>['STRING', 'NULL']<escape>";
    let ours = "type:[<escape>STRING<escape>,<escape>NULL<escape>]";
    departs("items of several types", template, ours);
}

/// Google's prints `True`. Ours prints what the format says, as the template does.
#[test]
fn booleans_in_required_are_the_formats() {
    let (text, _) = declared(&json!({"type": "object", "required": ["a", true]}));
    assert_eq!(
        text,
        "{required:[<escape>a<escape>,true],type:<escape>OBJECT<escape>}"
    );
}

/// Both templates write every key bare, so that `{10:30:…}` cannot be told from a key `10`. Ours delimits such a key:
/// refusing it would let a tool's result end the conversation.
#[test]
fn a_key_that_cannot_stand_bare_is_delimited() {
    departs(
        "keys that cannot stand bare",
        "{a:b:1}<end_function_call><start_function_response>response:go{:0,10:30:<escape>tea<escape>,Price, EUR:1.5}",
        "{<escape>a:b<escape>:1}<end_function_call><start_function_response>response:go{<escape><escape>:0,\
         <escape>10:30<escape>:<escape>tea<escape>,<escape>Price, EUR<escape>:1.5}",
    );
    assert_eq!(
        property("a:b", &json!({"type": "string"})).0,
        "<escape>a:b<escape>:{description:<escape><escape>,type:<escape>STRING<escape>}"
    );
}

/// `OpenAI`'s clients send arguments and results as JSON text, and name a result by its call's id. The template takes
/// the text for a string and leaves the name out.
#[test]
fn json_text_is_told_as_what_it_means() {
    departs(
        "arguments and a result as JSON text",
        r#"<escape>{"b": 1, "a": 2.0}<escape><end_function_call><start_function_response>response:{value:<escape>{"ok": true}<escape>}"#,
        "{a:2.0,b:1}<end_function_call><start_function_response>response:go{ok:true}",
    );
}

/// A list without responses of its own is the result. The template takes each element for a response.
#[test]
fn a_list_as_result_is_one_value() {
    departs(
        "a list as result",
        "go{value:[]}<end_function_response><start_function_response>response:x{value:[]}",
        "go{value:[1,{name:<escape>x<escape>}]}",
    );
}

/// Google's goes on without a header, as if the user were the model. Ours closes the model's turn and opens the user's,
/// as the template does.
#[test]
fn a_user_right_after_a_response_gets_a_turn() {
    let chat = json!({"messages": [{"role": "user", "content": "x"},
        {"role": "assistant", "tool_calls": [{"name": "f", "arguments": {}}]},
        {"role": "tool", "name": "f", "content": 1}, {"role": "user", "content": "y"}]});
    let text = prompt(&chat).unwrap().text();
    assert!(
        text.ends_with(
            "<end_function_response><end_of_turn>\n<start_of_turn>user\ny<end_of_turn>\n<start_of_turn>model\n"
        ),
        "{text}"
    );
}

/// Nor in either template, as far as is known: the word has no place in the format.
#[test]
fn nullable_is_not_told() {
    assert_eq!(
        property("a", &json!({"type": "string", "nullable": true})).0,
        "a:{description:<escape><escape>,type:<escape>STRING<escape>}"
    );
}

/// As both templates: what Python prints.
#[test]
fn numbers_in_enumerations_are_pythons() {
    let schema = json!({"type": "string", "enum": [1.0, 1e-5, 1e16, 7, true, null]});
    assert!(
        property("a", &schema)
            .0
            .contains("enum:[1.0,1e-05,1e+16,7,true,None]")
    );
}

/// Other renderers' rule; no published prompt shows such a schema. The template writes the keys bare.
#[test]
fn items_of_a_shape_of_their_own_have_delimited_keys() {
    departs(
        "items that are lists",
        "items:{items:{type:<escape>integer<escape>}",
        "items:{items:{<escape>type<escape>:<escape>integer<escape>}",
    );
}

/// What a tool returns has no place in the format: both templates ignore it.
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
    for number in ["1e999", "[-1e400]"] {
        let chat = r#"{"messages": [{"role": "assistant", "tool_calls": [{"name": "f", "arguments": {"x": NUMBER}}]}]}"#;
        let chat: Value = serde_json::from_str(&chat.replace("NUMBER", number)).unwrap();
        assert!(
            matches!(prompt(&chat), Err(RenderError::Number(_))),
            "{number}"
        );
    }
    let deep: Value = serde_json::from_str(&("[".repeat(99) + &"]".repeat(99))).unwrap();
    let call =
        json!({"role": "assistant", "tool_calls": [{"name": "f", "arguments": {"x": deep}}]});
    assert!(matches!(
        prompt(&json!({"messages": [call]})),
        Err(RenderError::TooDeep(64))
    ));
}

#[test]
fn a_result_that_the_notation_cannot_hold_is_told_as_json_text() {
    let nested = "[".repeat(64) + "1" + &"]".repeat(64);
    for text in [nested.as_str(), r#"{"a":1e+999}"#] {
        let chat = json!({"messages": [
            {"role": "user", "content": "x"},
            {"role": "assistant", "tool_calls": [{"name": "f", "arguments": {}}]},
            {"role": "tool", "name": "f", "content": text},
        ]});
        let told = format!("response:f{{value:<escape>{text}<escape>}}");
        let prompt = prompt(&chat).unwrap().text();
        assert!(prompt.contains(&told), "{prompt}");
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
