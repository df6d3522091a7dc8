//! Tools as a grammar in llguidance's Lark-like language: the calls' syntax around the values, and for numbers the JSON
//! Schema that llguidance understands itself.

use std::fmt::Write as _;

use rust_inference::functiongemma::Tool;
use serde_json::{Map, Value, json};

/// Which texts a string may hold.
#[derive(Clone, Copy)]
pub enum Strings {
    /// All but those that spell the delimiter, as with ours.
    Exact,
    /// None with a `<`: of these llguidance can use what it prepared for the vocabulary.
    Plain,
}

struct Grammar {
    strings: Strings,
    rules: String,
    count: usize,
}

/// One or more calls, and the token that hands them over.
pub fn grammar(tools: &[Tool], strings: Strings) -> String {
    let mut grammar = Grammar {
        strings,
        rules: String::new(),
        count: 0,
    };
    let calls: Vec<String> = tools
        .iter()
        .map(|tool| {
            let parameters = tool.parameters.clone().unwrap_or_default();
            let arguments = grammar.object(&parameters);
            let name = quoted(&tool.name);
            grammar.rule(&format!("{name} {arguments}"))
        })
        .collect();
    format!(
        "start: call+ <start_function_response>\ncall: <start_function_call> \"call:\" ({}) <end_function_call>\n{}",
        calls.join(" | "),
        grammar.rules
    )
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

impl Grammar {
    fn rule(&mut self, body: &str) -> String {
        self.count += 1;
        let name = format!("r{}", self.count);
        let _ = writeln!(self.rules, "{name}: {body}");
        name
    }

    fn terminal(&mut self, body: &str) -> String {
        self.count += 1;
        let name = format!("T{}", self.count);
        let _ = writeln!(self.rules, "{name}: {body}");
        name
    }

    fn value(&mut self, schema: &Value) -> String {
        let of = |key: &str| schema.get(key);
        if let Some(choices) = of("anyOf").and_then(Value::as_array) {
            let choices: Vec<_> = choices.iter().map(|choice| self.value(choice)).collect();
            return format!("({})", choices.join(" | "));
        }
        if let Some(Value::Array(types)) = of("type") {
            let one = |name: &Value| {
                let mut one = schema.clone();
                one["type"] = name.clone();
                one
            };
            let choices: Vec<_> = types.iter().map(|name| self.value(&one(name))).collect();
            return format!("({})", choices.join(" | "));
        }
        match of("type").and_then(Value::as_str) {
            Some("string") => self.string(schema),
            Some("integer" | "number") => {
                let mut number = schema.clone();
                if let Some(keywords) = number.as_object_mut() {
                    keywords.remove("description");
                }
                self.rule(&format!("%json {number}"))
            }
            Some("boolean") => "(\"true\" | \"false\")".to_owned(),
            Some("null") => "(\"None\" | \"null\")".to_owned(),
            Some("array") => self.array(schema),
            _ => self.object(schema.as_object().unwrap_or(&Map::new())),
        }
    }

    fn string(&mut self, schema: &Value) -> String {
        let number = |key: &str| schema.get(key).and_then(Value::as_u64);
        if let Some(choices) = schema.get("enum").and_then(Value::as_array) {
            let choices: Vec<_> = choices.iter().map(Value::to_string).collect();
            return format!("<escape> ({}) <escape>", choices.join(" | "));
        }
        let format = match schema.get("format").and_then(Value::as_str) {
            Some("date") => Some("[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"),
            Some("email") => Some("[A-Za-z0-9._+-]+@[A-Za-z0-9-]+(\\.[A-Za-z0-9-]+)+"),
            _ => None,
        };
        let pattern = schema.get("pattern").and_then(Value::as_str);
        if let Some(pattern) = format.or(pattern) {
            let pattern = pattern.trim_start_matches('^').trim_end_matches('$');
            let text = self.terminal(&format!("/{}/", pattern.replace('/', "\\/")));
            return format!("<escape> {text} <escape>");
        }
        let least = number("minLength").unwrap_or(0).max(1);
        let most = number("maxLength").map_or(String::new(), |most| most.to_string());
        let text = self.terminal(&match self.strings {
            Strings::Exact => format!("/(?s:.{{{least},{most}}})/ & ~/(?s:.*)<escape>(?s:.*)/"),
            Strings::Plain => format!("/[^<]{{{least},{most}}}/"),
        });
        if number("minLength").unwrap_or(0) == 0 {
            format!("<escape> {text}? <escape>")
        } else {
            format!("<escape> {text} <escape>")
        }
    }

    fn array(&mut self, schema: &Value) -> String {
        let number = |key: &str| schema.get(key).and_then(Value::as_u64);
        let items = schema.get("items").cloned().unwrap_or(json!({}));
        let item = self.value(&items);
        let item = self.rule(&item);
        let least = number("minItems").unwrap_or(0);
        let most = number("maxItems").map_or(String::new(), |most| (most - 1).to_string());
        let more = self.rule(&format!("\",\" {item}"));
        let some = format!("{item} {more}{{{},{most}}}", least.saturating_sub(1));
        let some = self.rule(&some);
        format!("\"[\" {some}{} \"]\"", if least == 0 { "?" } else { "" })
    }

    /// The members in their order; a comma stands before each but the first that is there.
    fn object(&mut self, schema: &Map<String, Value>) -> String {
        let empty = Map::new();
        let members = (schema.get("properties").and_then(Value::as_object)).unwrap_or(&empty);
        let mut members: Vec<_> = members.iter().collect();
        members.sort_by_key(|(key, _)| key.to_lowercase());
        let required = |key: &str| {
            let listed = schema.get("required").and_then(Value::as_array);
            listed.is_some_and(|listed| listed.iter().any(|name| name == key))
        };
        // From the last to the first: what may follow when nothing, or something, was written before.
        let (mut first, mut rest) = (String::new(), String::new());
        for (key, schema) in members.into_iter().rev() {
            let value = self.value(schema);
            let value = self.rule(&value);
            let name = quoted(&format!("{key}:"));
            let after_comma = quoted(&format!(",{key}:"));
            let with = format!("{name} {value} {rest}");
            first = if required(key) {
                with
            } else if first.is_empty() {
                format!("({with})?")
            } else {
                let first = self.rule(&first);
                self.rule(&format!("{with} | {first}"))
            };
            rest = if required(key) {
                format!("{after_comma} {value} {rest}")
            } else {
                format!("({after_comma} {value})? {rest}")
            };
            rest = self.rule(&rest);
        }
        format!("\"{{\" {first} \"}}\"")
    }
}
