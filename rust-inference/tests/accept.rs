//! What the constraint accepts and what not, and at which byte it says so.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside of the tests' own functions"
)]

use rust_inference::{
    constrain::{Accepted, Acceptor, ArgumentOrder, Mode, Note, Options, Refusal},
    functiongemma::tools_from_json,
};
use serde_json::{Value, json};

/// `f` takes anything; `book` is strict, `none` takes nothing; two have names with other characters.
fn tools() -> Value {
    let guest = json!({"type": "object", "properties": {"name": {"type": "string"}, "Age": {"type": "integer"}},
        "required": ["name"], "additionalProperties": false});
    let book = json!({"type": "object", "properties": {
            "room": {"enum": ["hall", "den"]}, "when": {"type": "string", "format": "date"},
            "guests": {"type": "array", "items": guest, "maxItems": 2}, "price": {"type": "number", "minimum": 0.5}},
        "required": ["room"], "additionalProperties": false});
    json!([{"name": "f", "parameters": {}}, {"name": "book", "parameters": book}, {"name": "none"},
        {"name": "a.b-c", "parameters": {}}, {"name": "größe", "parameters": {}}])
}

fn acceptor(tools: &Value, order: ArgumentOrder) -> Acceptor {
    let options = Options {
        order,
        lenient: false,
    };
    Acceptor::new(&tools_from_json(&tools.to_string()).unwrap(), options).unwrap()
}

fn accept_in(order: ArgumentOrder, text: &str) -> Result<Accepted, Refusal> {
    acceptor(&tools(), order).accept(text, &Mode::Auto, None)
}

fn accept(text: &str) -> Result<Accepted, Refusal> {
    accept_in(ArgumentOrder::Sorted, text)
}

/// A call with these arguments, and nothing else.
fn call(name: &str, arguments: &str) -> String {
    format!("<start_function_call>call:{name}{arguments}<end_function_call>")
}

/// Says that a text is refused where `part` of it last begins, or at its end, because something else was expected.
#[track_caller]
fn refused(text: &str, part: &str, expected: &str) {
    match accept(text) {
        Ok(accepted) => panic!("{text} was accepted: {accepted:?}"),
        Err(refusal) => {
            let at = text.rfind(part).unwrap();
            assert_eq!(refusal.at, at, "{text}: {refusal}");
            assert!(
                refusal.expected.contains(expected),
                "{text}: expected {:?}",
                refusal.expected
            );
            assert!(!refusal.message.is_empty());
        }
    }
}

#[test]
fn what_the_renderer_writes_is_accepted() {
    for text in [
        "",
        "Hello, < you >.",
        "Hello<end_of_turn>",
        &call("none", "{}"),
        &format!("{}<start_function_response>", call("f", "{}")),
        &format!("{}<end_of_turn>", call("f", "{}")),
        &format!("At once: {}{}", call("a.b-c", "{}"), call("größe", "{}")),
        &call("f", "{a:1,B:-2.5,c:1e-05,d:1E5}"),
        &call("f", "{a:None,b:null,c:true,d:false}"),
        &call("f", "{x:[],y:{},z:[1,[<escape><escape>],{a:1}]}"),
        &call(
            "f",
            "{x:<escape> a, b: {c}] \n<end_function_call> <esc<escape>}",
        ),
        &call("f", "{<escape>10:30<escape>:1,a b:2,über.mich-2:3}"),
        &call(
            "book",
            "{guests:[{Age:5.0,name:<escape>A<escape>}],price:0.5,room:<escape>den<escape>,when:<escape>2024-02-29<escape>}",
        ),
    ] {
        let accepted = accept(text).unwrap_or_else(|refusal| panic!("{text}: {refusal}"));
        assert_eq!(
            accepted.calls.len(),
            text.matches("call:").count(),
            "{text}"
        );
    }
    let accepted = accept(&format!(
        "Yes.{}",
        call("f", "{a:[1,<escape>x<escape>],b:{c:None}}")
    ))
    .unwrap();
    assert_eq!(accepted.content, "Yes.");
    assert_eq!(accepted.calls[0].name, "f");
    assert_eq!(
        Value::Object(accepted.calls[0].arguments.clone()),
        json!({"a": [1, "x"], "b": {"c": null}})
    );
}

#[test]
fn what_is_written_otherwise_is_refused_at_its_byte() {
    for (arguments, part, expected) in [
        // No spaces.
        ("{ }", " }", "a key"),
        ("{a :1}", "a :1", "a key without spaces"),
        ("{ a:1}", " a:1", "a key without spaces"),
        ("{a: 1}", " 1", "a number"),
        ("{a:1 }", "1 }", "a number"),
        ("{a:1, b:1}", " b:1", "a key without spaces"),
        ("{a:[1, 2]}", " 2", "a number"),
        ("{a:[ ]}", " ]", "a number"),
        ("{a:1} ", " <end", "<end_function_call>"),
        ("{}\n", "\n<end", "<end_function_call>"),
        // Keys are delimited where the renderer delimits them, and nowhere else.
        ("{<escape>a<escape>:1}", "<escape>a", "bare"),
        ("{<escape>:1}", "<escape>:1", "<escape>"),
        ("{10:30:1}", ":1}", ","),
        ("{:1}", ":1}", "a key"),
        // What no value is.
        ("{a:01}", "01", "a number"),
        ("{a:1.}", "1.}", "a number"),
        ("{a:.5}", ".5", "a number"),
        ("{a:+1}", "+1", "a number"),
        ("{a:NaN}", "NaN", "a number"),
        ("{a:True}", "True", "true"),
        ("{a:NONE}", "NONE", "null"),
        ("{a:\"x\"}", "\"x\"", "<escape>"),
        ("{a:}", "}<end", "a value"),
        ("{a:<escape>x}", "<escape>x", "<escape>"),
        ("{a:<end_of_turn>}", "<end_of_turn>", "<escape>"),
        // What no object or list is.
        ("", "<end_function", "{"),
        ("{a}", "}<end", ":"),
        ("{a:1,}", "}<end", "a key"),
        ("{a:1;b:2}", "1;b", "a number"),
        ("{a:[1,]}", "]}<end", "a value"),
        ("{a:[1}", "}<end", ","),
        ("{a:1", "<end", ","),
        ("{}}", "}<end", "<end_function_call>"),
        // A key that is there already, and keys that are not sorted, at any depth.
        ("{a:1,a:2}", "a:2", "not there yet"),
        ("{b:1,a:2}", "a:2", "before \"b\""),
        ("{a:[{x:{c:1,B:2}}]}", "B:2", "before \"c\""),
    ] {
        refused(&call("f", arguments), part, expected);
    }
    let deep = call("f", &format!("{{a:{}{}}}", "[".repeat(65), "]".repeat(65)));
    refused(&deep, "[]", "levels");
}

#[test]
fn what_is_no_whole_call_is_refused_at_its_byte() {
    let f = call("f", "{}");
    for (text, part, expected) in [
        (f.clone() + "\n", "\n", "<start_function_call>"),
        (f.clone() + " " + &f, " <start", "<start_function_call>"),
        (f.clone() + "Done.", "Done.", "<start_function_response>"),
        (f.clone() + "<start_function_response>x", "x", "the end"),
        (
            f.clone() + "<end_of_turn>" + &f,
            "<start_function_call>",
            "the end",
        ),
        (f.clone() + "<eos>", "<eos>", "<end_of_turn>"),
        (
            "Hi<start_function_response>".to_owned(),
            "<start",
            "<end_of_turn>",
        ),
        (
            "Hi<end_function_call>".to_owned(),
            "<end",
            "<start_function_call>",
        ),
        ("Hi<escape>".to_owned(), "<escape>", "<start_function_call>"),
        (
            call("sing", "{}"),
            "sing",
            "one of: a.b-c, book, f, größe, none",
        ),
        (call("f ", "{}"), "f {", "one of"),
        (call(" f", "{}"), " f{", "one of"),
        (call("F", "{}"), "F{", "one of"),
        (call("ff", "{}"), "ff{", "one of"),
        (call("f{}f", "{}"), "f{}<end", "<end_function_call>"),
        (
            "<start_function_call> call:f{}<end_function_call>".to_owned(),
            " call",
            "call:",
        ),
        (
            "<start_function_call>f{}<end_function_call>".to_owned(),
            "f{}",
            "call:",
        ),
    ] {
        refused(&text, part, expected);
    }
    // Wherever it is cut, what is left of a call is none.
    let whole = call(
        "book",
        "{guests:[{name:<escape>A<escape>}],room:<escape>den<escape>}",
    );
    for end in 1..whole.len() {
        let cut = &whole[..end];
        // The beginning of a token is text.
        let calls = "<start_function_call>".len();
        match accept(cut) {
            Ok(accepted) => assert!(end < calls && accepted.calls.is_empty(), "{cut}"),
            Err(refusal) => assert!(end >= calls && refusal.at <= end, "{cut}: {refusal}"),
        }
    }
}

#[test]
fn arguments_that_break_the_schema_are_refused_where_the_offending_value_begins() {
    for (name, arguments, part, expected) in [
        ("none", "{a:1}", "{a:1}", "maxProperties 0"),
        ("book", "{}", "{}", "the property \"room\""),
        (
            "book",
            "{room:<escape>attic<escape>}",
            "<escape>attic",
            "enum [\"hall\",\"den\"]",
        ),
        ("book", "{room:1}", "1}", "enum"),
        (
            "book",
            "{bed:2,room:<escape>den<escape>}",
            "2,",
            "no such property",
        ),
        (
            "book",
            "{price:0.49,room:<escape>den<escape>}",
            "0.49",
            "minimum 0.5",
        ),
        (
            "book",
            "{price:<escape>1<escape>,room:<escape>den<escape>}",
            "<escape>1",
            "type \"number\"",
        ),
        (
            "book",
            "{room:<escape>den<escape>,when:<escape>2023-02-29<escape>}",
            "<escape>2023",
            "format \"date\"",
        ),
        (
            "book",
            "{guests:[{name:<escape>A<escape>},{Age:5.5,name:<escape>B<escape>}],room:<escape>den<escape>}",
            "5.5",
            "type \"integer\"",
        ),
        (
            "book",
            "{guests:[{name:<escape>A<escape>},{Age:5}],room:<escape>den<escape>}",
            "{Age",
            "the property \"name\"",
        ),
        (
            "book",
            "{guests:[{name:<escape>A<escape>},{name:<escape>A<escape>},{name:<escape>A<escape>}],room:<escape>den<escape>}",
            "[{name",
            "maxItems 2",
        ),
        (
            "book",
            "{guests:None,room:<escape>den<escape>}",
            "None",
            "type \"array\"",
        ),
    ] {
        // Behind another call and some text, so that the position is one in all of the text.
        let text = format!("Über {}{}", call("f", "{}"), call(name, arguments));
        refused(&text, part, expected);
    }
}

#[test]
fn the_modes_say_whether_and_what_may_be_called() {
    let acceptor = acceptor(&tools(), ArgumentOrder::Sorted);
    let named = Mode::Function("f".to_owned());
    let (f, none) = (call("f", "{}"), call("none", "{}"));
    for (mode, most, text, at) in [
        (Mode::Auto, None, "Hi".to_owned(), None),
        (Mode::Auto, Some(1), f.clone(), None),
        (Mode::Auto, Some(1), format!("Hi{f}{f}"), Some(2 + f.len())),
        (
            Mode::Auto,
            Some(2),
            format!("{f}{none}<start_function_response>"),
            None,
        ),
        (Mode::None, None, "Hi".to_owned(), None),
        (Mode::None, None, "Hi<end_of_turn>".to_owned(), None),
        (Mode::None, None, format!("Hi{f}"), Some(2)),
        (Mode::Required, None, String::new(), Some(0)),
        (Mode::Required, None, "Hi".to_owned(), Some(0)),
        (Mode::Required, None, "<end_of_turn>".to_owned(), Some(0)),
        (Mode::Required, None, format!("Hi{f}"), Some(0)),
        (Mode::Required, None, format!("{f}{none}"), None),
        (named.clone(), None, f.clone(), None),
        (named.clone(), None, none.clone(), Some(26)),
        (
            named.clone(),
            None,
            format!("{f}{none}"),
            Some(f.len() + 26),
        ),
        (named, None, "Hi".to_owned(), Some(0)),
    ] {
        let refused = acceptor
            .accept(&text, &mode, most)
            .err()
            .map(|refusal| refusal.at);
        assert_eq!(refused, at, "{mode:?} {most:?} {text}");
    }
}

#[test]
fn the_order_of_arguments_is_the_one_that_was_asked_for() {
    let point = json!({"properties": {"y": {}, "x": {}}});
    let parameters = json!({
        "properties": {"to": {}, "at": {"$ref": "#/$defs/point"}, "Of": {"type": "array", "items": {"$ref": "#/$defs/point"}},
            "either": {"anyOf": [{"properties": {"a": {}, "b": {}}}, {"properties": {"b": {}, "a": {}, "c": {}}}]},
            "all": {"allOf": [{"properties": {"n": {}}}, {"$ref": "#/$defs/point"}, {"properties": {"m": {}}}]},
            "open": {"properties": {"n": {}}, "additionalProperties": true},
            "map": {"additionalProperties": {"$ref": "#/$defs/point"}}},
        "$defs": {"point": point}});
    let tools = json!([{"name": "f", "parameters": parameters}]);
    for (arguments, sorted, declared) in [
        ("{at:1,to:2}", true, false),
        ("{to:2,at:1}", false, true),
        ("{at:1,Of:[],to:3}", true, false),
        ("{Of:[],at:2,to:3}", false, false),
        ("{to:1,at:2,Of:[]}", false, true),
        // What nobody declared stands behind, in any order, where it is ever written; or in its place.
        ("{to:1,zz:2,aa:3}", false, true),
        ("{aa:1,to:1}", true, false),
        ("{aa:1,AB:1,aC:1}", true, true),
        ("{map:{zz:1,aa:2}}", true, true),
        ("{open:{n:1,zz:1,aa:2}}", true, true),
        ("{open:{aa:1,n:1}}", true, false),
        ("{open:{zz:1,n:1}}", false, false),
        // All the way down.
        ("{at:{x:1,y:2}}", true, false),
        ("{at:{y:1,x:2}}", false, true),
        ("{Of:[{x:1,y:2}]}", true, false),
        ("{Of:[{y:1,x:2}]}", false, true),
        ("{map:{k:{y:1,x:2}}}", false, true),
        ("{map:{k:{x:1,y:2}}}", true, false),
        // In the order of any branch, and of all parts one after the other.
        ("{either:{a:1,b:1}}", true, true),
        ("{either:{b:1,a:1}}", false, true),
        ("{either:{c:1,a:1}}", false, false),
        ("{all:{n:1,y:1,x:1,m:1}}", false, true),
        ("{all:{m:1,n:1,x:1,y:1}}", true, false),
    ] {
        let text = call("f", arguments);
        for (order, accepted) in [
            (ArgumentOrder::Sorted, sorted),
            (ArgumentOrder::Declared, declared),
            (ArgumentOrder::Any, true),
        ] {
            let outcome = acceptor(&tools, order).accept(&text, &Mode::Auto, None);
            assert_eq!(
                outcome.is_ok(),
                accepted,
                "{order:?} {arguments}: {outcome:?}"
            );
        }
    }
}

#[test]
fn numbers_of_any_size_are_held_to_their_bounds_exactly() {
    let tools = json!([{"name": "f", "parameters": {"properties": {
        "most": {"type": "integer", "maximum": 100_000_000_000_000_000_000_u128},
        "cents": {"type": "number", "multipleOf": 0.01}, "whole": {"type": "integer"}}}}]);
    let acceptor = acceptor(&tools, ArgumentOrder::Sorted);
    for (arguments, accepted) in [
        ("{most:100000000000000000000}", true),
        ("{most:100000000000000000001}", false),
        ("{cents:0.29}", true),
        ("{cents:123456789012345678.07}", true),
        ("{cents:123456789012345678.075}", false),
        ("{whole:1e400}", true),
        ("{whole:1e999999999}", true),
        ("{whole:1e-999999999}", false),
    ] {
        let outcome = acceptor.accept(&call("f", arguments), &Mode::Auto, None);
        assert_eq!(outcome.is_ok(), accepted, "{arguments}: {outcome:?}");
    }
}

#[test]
fn with_lenience_what_cannot_be_kept_to_is_left_out_and_all_else_is_not() {
    let parameters = json!({"type": "object", "properties": {
            "list": {"type": "array", "items": {"type": "integer"}, "uniqueItems": true},
            "twice": {"type": "string", "pattern": "^(a|b)\\1$", "maxLength": 3},
            "fine": {"type": "number", "multipleOf": 1e-200, "minimum": 0},
            "one": {"oneOf": [{"type": "string", "maxLength": 2}, {"type": "string", "minLength": 2}]},
            "odd": {"type": "string", "format": "odd"}},
        "not": {"required": ["list", "twice"]}});
    let tools =
        tools_from_json(&json!([{"name": "f", "parameters": parameters}]).to_string()).unwrap();
    let strict = Acceptor::new(&tools, Options::default()).unwrap_err();
    let options = Options {
        lenient: true,
        ..Options::default()
    };
    let acceptor = Acceptor::new(&tools, options).unwrap();
    let pointers = |notes: &[Note]| -> Vec<String> {
        let mut all: Vec<_> = notes
            .iter()
            .map(|note| note.pointer.replace("/tools/0/parameters", ""))
            .collect();
        all.sort();
        all
    };
    let kept = [
        "/not",
        "/properties/fine/multipleOf",
        "/properties/list/uniqueItems",
        "/properties/one/oneOf",
        "/properties/twice/pattern",
    ];
    assert_eq!(pointers(&strict), kept);
    let told = [&kept[..3], &["/properties/odd/format"], &kept[3..]].concat();
    assert_eq!(pointers(acceptor.grammar().notes()), told);
    for (arguments, accepted) in [
        ("{list:[1,1],twice:<escape>xyz<escape>}", true),
        ("{list:[1,<escape>a<escape>]}", false),
        ("{twice:<escape>wxyz<escape>}", false),
        ("{fine:0.1}", true),
        ("{fine:-0.1}", false),
        ("{one:<escape>ab<escape>}", true),
        ("{one:1}", false),
        ("{odd:<escape>x<escape>}", true),
    ] {
        let outcome = acceptor.accept(&call("f", arguments), &Mode::Auto, None);
        assert_eq!(outcome.is_ok(), accepted, "{arguments}: {outcome:?}");
    }
}
