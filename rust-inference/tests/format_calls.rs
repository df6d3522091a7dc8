//! A model's text becomes prose and calls, or an error with its position: never a call that is not whole and valid.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside of the tests' own functions"
)]

use std::sync::Arc;

use rust_inference::functiongemma::{Conversation, ParseError, Toolbox, parse};
use serde_json::{Value, json};

/// `f` takes anything, `strict` a required integer, `none` nothing; the last two have names with other characters.
fn toolbox() -> Arc<Toolbox> {
    let strict = json!({"type": "object", "properties": {"n": {"type": "integer"}, "colour": {"enum": ["red"]}},
        "required": ["n"], "additionalProperties": false});
    let tools = json!([{"name": "f", "parameters": {}}, {"name": "strict", "parameters": strict}, {"name": "none"},
        {"name": "a.b-c", "parameters": {}}, {"name": "größe", "parameters": {}}]);
    let chat = json!({"messages": [], "tools": tools}).to_string();
    Arc::new(Toolbox::new(&Conversation::from_json(&chat).unwrap().tools).unwrap())
}

fn read(text: &str) -> Result<(String, Value), ParseError> {
    let (content, calls) = parse(toolbox(), text)?;
    let calls = calls
        .into_iter()
        .map(|call| json!([call.name, call.arguments]))
        .collect();
    Ok((content, Value::Array(calls)))
}

/// The text of one call of `f` with the argument `x`.
fn with(value: &str) -> String {
    format!("<start_function_call>call:f{{x:{value}}}<end_function_call><start_function_response>")
}

#[test]
fn every_kind_of_value_is_read() {
    for (written, value) in [
        ("<escape>a\nb<escape>", r#""a\nb""#),
        ("<escape>{a},b:c]<escape>", r#""{a},b:c]""#),
        ("<escape>}first<escape>", r#""}first""#),
        ("<escape><escape>", r#""""#),
        ("<escape>007<escape>", r#""007""#),
        ("<escape>true<escape>", r#""true""#),
        ("<escape> x <escape>", r#"" x ""#),
        (r#"<escape>say "\n"<escape>"#, r#""say \"\\n\"""#),
        ("<escape>🦊 ü<escape>", r#""🦊 ü""#),
        (
            "<escape><end_function_call><escape>",
            r#""<end_function_call>""#,
        ),
        (
            "<escape><start_function_call>call:f{}<escape>",
            r#""<start_function_call>call:f{}""#,
        ),
        ("<escape><end_of_turn><escape>", r#""<end_of_turn>""#),
        ("-4.5", "-4.5"),
        ("1e-05", "1e-05"),
        ("9007199254740993", "9007199254740993"),
        (
            "123456789012345678901234567890",
            "123456789012345678901234567890",
        ),
        ("1000.0", "1000.0"),
        ("0", "0"),
        ("true", "true"),
        ("false", "false"),
        ("null", "null"),
        ("None", "null"),
        ("[]", "[]"),
        ("{}", "{}"),
        (
            "[<escape>a,b<escape>,<escape>c]d<escape>]",
            r#"["a,b","c]d"]"#,
        ),
        ("{a:[{b:{c:1}}]}", r#"{"a":[{"b":{"c":1}}]}"#),
        (" [ 1 , { a : 2 } ] ", r#"[1,{"a":2}]"#),
        (
            "{with-dash:1,with.dot:2,ünï:3,<escape>quoted:key<escape>:4}",
            r#"{"with-dash":1,"with.dot":2,"ünï":3,"quoted:key":4}"#,
        ),
    ] {
        let (content, calls) =
            read(&with(written)).unwrap_or_else(|error| panic!("{written}: {error}"));
        assert_eq!(content, "");
        // As text: 1000.0 must not become 1000.
        assert_eq!(
            calls.to_string(),
            format!(r#"[["f",{{"x":{value}}}]]"#),
            "{written}"
        );
    }
}

#[test]
fn what_is_around_calls_is_prose() {
    const CALL: &str = "<start_function_call>call:none{}<end_function_call>";
    for (text, content, calls) in [
        ("Hello.<end_of_turn>\n", "Hello.", 0),
        ("Hello.", "Hello.", 0),
        ("", "", 0),
        (
            "a < b, <b>, <start of nothing",
            "a < b, <b>, <start of nothing",
            0,
        ),
        (
            &format!("One. {CALL} Two. {CALL} Three.<end_of_turn>"),
            "One.  Two.  Three.",
            2,
        ),
        (&format!("{CALL}{CALL}<start_function_response>"), "", 2),
        // The stop token ate the end.
        ("<start_function_call>call:none{}", "", 1),
        (
            "<start_function_call>call:none{}<start_function_response>",
            "",
            1,
        ),
        ("<start_function_call>call:none<end_function_call>", "", 1),
        (
            "<start_function_call>call: none {} <end_function_call>",
            "",
            1,
        ),
        // What follows the end of the turn is not the model's.
        (
            &format!("Bye.<end_of_turn>\n<start_of_turn>user\n{CALL}"),
            "Bye.",
            0,
        ),
        (&format!("Bye.<eos>{CALL}"), "Bye.", 0),
    ] {
        let (read, found) = read(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(
            (read.as_str(), found.as_array().unwrap().len()),
            (content, calls),
            "{text}"
        );
    }
    // The same call twice is two calls, in their order among others.
    let call = |name: &str| format!("<start_function_call>call:{name}{{}}<end_function_call>");
    let text = [call("none"), call("f"), call("none")].concat();
    assert_eq!(
        read(&text).unwrap().1,
        json!([["none", {}], ["f", {}], ["none", {}]])
    );
    for name in ["a.b-c", "größe"] {
        let text = format!("<start_function_call>call:{name}{{}}<end_function_call>");
        assert_eq!(read(&text).unwrap().1, json!([[name, {}]]));
    }
}

#[test]
fn what_is_no_call_is_an_error_with_its_position() {
    const OPEN: usize = "<start_function_call>".len();
    let call = |text: &str| format!("<start_function_call>{text}<end_function_call>");
    for (text, at, message) in [
        (
            call("call:f{x:<escape>open}"),
            OPEN + 9,
            "no closing <escape>",
        ),
        (call("call:f{x:1,}"), OPEN + 11, "expected a key"),
        (call("call:f{x:[1,]}"), OPEN + 12, "expected a value"),
        (call("call:f{x:}"), OPEN + 9, "expected a value"),
        (call("call:f{x:yes}"), OPEN + 9, "\"yes\" is no value"),
        (call("call:f{x:1.}"), OPEN + 9, "\"1.\" is no value"),
        (call("call:f{x:NaN}"), OPEN + 9, "\"NaN\" is no value"),
        (call("call:f{x 1}"), OPEN + 10, "expected \":\""),
        (
            call("call:f{x:1}{y:2}"),
            OPEN + 11,
            "expected the end of the call",
        ),
        (call("call:f{x:1"), OPEN + 10, "the text ends where"),
        (
            call("call:f{x:1,x:2}"),
            OPEN + 11,
            "the key \"x\" stands twice",
        ),
        (
            call("call:nobody{}"),
            OPEN + 5,
            "unknown function \"nobody\"; expected one of: a.b-c, f, größe, none, strict",
        ),
        (call("f{}"), OPEN, "expected \"call:\""),
        (call(""), OPEN, "the text ends where \"call:\""),
        (call("call:strict{}"), OPEN, "\"n\" is a required property"),
        (call("call:strict{n:<escape>1<escape>}"), OPEN, "at /n"),
        (call("call:strict{n:1,m:2}"), OPEN, "Additional properties"),
        (
            call("call:strict{n:1,colour:<escape>blue<escape>}"),
            OPEN,
            "at /colour",
        ),
        (call("call:none{x:1}"), OPEN, "takes no arguments"),
        (
            call(&format!(
                "call:f{{x:{}1{}}}",
                "[".repeat(99),
                "]".repeat(99)
            )),
            OPEN + 9 + 64,
            "nested deeper than 64",
        ),
        (
            "Text <end_function_call>".to_owned(),
            5,
            "<end_function_call> stands outside a call",
        ),
        ("<escape>".to_owned(), 0, "<escape> stands outside"),
        (
            "<start_function_call>call:f{<start_of_turn>".to_owned(),
            OPEN + 7,
            "stands inside a call",
        ),
        (
            "<start_function_call>call:f{x:<escape>ope".to_owned(),
            OPEN + 9,
            "no closing <escape>",
        ),
    ] {
        let error = read(&text).unwrap_err();
        assert!(error.message.contains(message), "{text}\n{error}");
        assert_eq!(error.at, at, "{text}\n{error}");
    }
}

#[test]
fn calls_before_an_error_are_not_lost_and_none_come_after() {
    use rust_inference::functiongemma::{Event, Parser};
    let mut parser = Parser::new(toolbox());
    let text = "<start_function_call>call:none{}<end_function_call><start_function_call>call:f{x:}<end_function_call>\
        <start_function_call>call:none{}<end_function_call>";
    let events = parser.push(text);
    assert!(
        matches!(events.as_slice(), [Event::Call { name, .. }] if name == "none"),
        "{events:?}"
    );
    assert_eq!(parser.error().unwrap().at, 81);
    assert!(parser.push("more").is_empty());
    assert!(parser.finish().is_err());
}

/// Cut off by a limit, a call must not be taken for a shorter one: neither its arguments' beginning, nor, of a function
/// whose name another's begins with, its name's.
#[test]
fn a_call_that_is_cut_anywhere_is_no_call() {
    use rust_inference::functiongemma::{Event, Parser};
    let tools =
        json!([{"name": "get"}, {"name": "get_all", "parameters": {}}, {"name": "get_all.now"}]);
    let chat = json!({"messages": [], "tools": tools}).to_string();
    let tools = Conversation::from_json(&chat).unwrap().tools;
    let toolbox = Arc::new(Toolbox::new(&tools).unwrap());
    let body = "call:get_all{x:[<escape>}, a<escape>,{y:-1.5}],z:None}";
    let text = format!("Yes. <start_function_call>{body}<end_function_call>");
    let whole = text.find(body).unwrap() + body.len();
    for end in 0..text.len() {
        let mut parser = Parser::new(toolbox.clone());
        let mut events = parser.push(&text[..end]);
        let ending = parser.finish();
        let cut_in_call = end >= text.find("call:").unwrap() && end != whole;
        assert_eq!(ending.is_err(), cut_in_call, "cut at {end}: {ending:?}");
        events.extend(ending.unwrap_or_default());
        let calls: Vec<_> = events
            .iter()
            .filter(|event| matches!(event, Event::Call { .. }))
            .collect();
        assert_eq!(calls.len(), usize::from(end == whole), "cut at {end}");
        // The prose before it is not lost.
        let prose = events.iter().find_map(|event| match event {
            Event::Text(text) => Some(text.as_str()),
            _ => None,
        });
        assert!(
            end < 5 || prose.is_some_and(|prose| prose.starts_with("Yes. ")),
            "{events:?}"
        );
    }
    let error = rust_inference::functiongemma::parse(toolbox, "<start_function_call>call:get");
    assert_eq!(
        error.unwrap_err().to_string(),
        "at byte 29: the text ends where \"{\" was expected"
    );
}
