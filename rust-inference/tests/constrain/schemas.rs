//! Arbitrary schemas, all of whose keywords are supported.

use rand::{RngExt, rngs::StdRng};
use rust_inference::{
    constrain::{ArgumentOrder, Grammar, Options},
    functiongemma::{Conversation, Tool},
};
use serde_json::{Map, Value, json};

/// One to four tools, as they are sent, and as they are understood.
pub fn tools(random: &mut StdRng) -> (Value, Vec<Tool>) {
    let names = ["one", "one_more", "two.three", "vier-fünf"];
    let tools: Vec<Value> = (names.iter().take(random.random_range(1..=names.len())))
        .map(|name| tool(random, name))
        .collect();
    let tools = Value::from(tools);
    let text = json!({"messages": [], "tools": tools}).to_string();
    (tools, Conversation::from_json(&text).unwrap().tools)
}

pub fn grammar(tools: &[Tool], order: ArgumentOrder) -> Grammar {
    let options = Options {
        order,
        lenient: false,
    };
    Grammar::of_tools(tools, &options).unwrap_or_else(|notes| panic!("{notes:?}\n{tools:?}"))
}

pub fn order(random: &mut StdRng) -> ArgumentOrder {
    let word = ArgumentOrder::WORDS[random.random_range(0..ArgumentOrder::WORDS.len())];
    ArgumentOrder::parse(word).unwrap()
}

/// A tool with arbitrary parameters, all of whose keywords are supported.
fn tool(random: &mut StdRng, name: &str) -> Value {
    let mut schema = object(random, 0);
    if random.random_bool(0.3) {
        schema["$defs"] = json!({
            "Node": {
                "type": "object",
                "properties": {"value": scalar(random), "next": {"$ref": "#/$defs/Node"}, "all": {"type": "array", "items": {"$ref": "#/$defs/Node"}}},
                "required": ["value"],
            },
        });
        schema["properties"]["node"] = json!({"$ref": "#/$defs/Node"});
    }
    json!({"name": name, "description": "A tool.", "parameters": schema})
}

const KEYS: [&str; 14] = [
    "a",
    "ab",
    "abc",
    "b",
    "Bb",
    "room",
    "level",
    "über",
    "with-dash",
    "with.dot",
    "type",
    "q,r",
    "x:y",
    "zz",
];

fn object(random: &mut StdRng, depth: usize) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for _ in 0..random.random_range(0..6) {
        let key = KEYS[random.random_range(0..KEYS.len())];
        properties.insert(key.to_owned(), schema(random, depth + 1));
        if random.random_bool(0.5) && !required.contains(&key) {
            required.push(key);
        }
    }
    let mut schema = json!({"type": "object", "properties": properties, "required": required});
    match random.random_range(0..8) {
        0 => schema["additionalProperties"] = json!(false),
        1 => schema["additionalProperties"] = json!(true),
        2 => schema["additionalProperties"] = scalar(random),
        3 => {
            schema["allOf"] = json!([{"properties": {"both": {"type": "string", "maxLength": 5}}}]);
        }
        _ => {}
    }
    schema
}

pub fn schema(random: &mut StdRng, depth: usize) -> Value {
    if depth > 3 {
        return scalar(random);
    }
    match random.random_range(0..12) {
        0 => object(random, depth),
        1 => {
            let least = random.random_range(0..3);
            let mut schema =
                json!({"type": "array", "items": schema(random, depth + 1), "minItems": least});
            if random.random_bool(0.5) {
                schema["maxItems"] = json!(least + random.random_range(0..3));
            }
            if random.random_bool(0.3) {
                schema["prefixItems"] = json!([scalar(random), scalar(random)]);
            }
            schema
        }
        2 => json!({"anyOf": [schema(random, depth + 1), schema(random, depth + 1)]}),
        3 => json!({"oneOf": [
            {"type": "object", "properties": {"kind": {"const": "one"}, "v": scalar(random)}, "required": ["kind"]},
            {"type": "object", "properties": {"kind": {"const": "two"}, "w": scalar(random)}, "required": ["kind", "w"]},
            {"type": "null"},
        ]}),
        _ => scalar(random),
    }
}

fn scalar(random: &mut StdRng) -> Value {
    match random.random_range(0..20) {
        0 => json!({"type": "string"}),
        1 => {
            json!({"type": "string", "enum": ["celsius", "fahrenheit", "", "with space", "a\"b\\c\nd", "é漢🦀"]})
        }
        2 => {
            let least = random.random_range(0..4);
            json!({"type": "string", "minLength": least, "maxLength": least + random.random_range(0..8)})
        }
        3 => json!({"type": "string", "pattern": "^[A-Z]{3}-\\d{2,4}$"}),
        4 => json!({"type": "string", "pattern": "b+", "maxLength": 6}),
        5 => {
            json!({"type": "string", "format": (["date", "time", "date-time", "email", "uuid", "ipv4"][random.random_range(0..6usize)])})
        }
        6 => json!({"type": "integer"}),
        7 => {
            let least = random.random_range(-200..200);
            json!({"type": "integer", "minimum": least, "maximum": least + random.random_range(0..500)})
        }
        8 => json!({"type": "integer", "multipleOf": random.random_range(2..40), "minimum": 0}),
        9 => json!({"type": "number"}),
        10 => json!({"type": "number", "exclusiveMinimum": 0, "maximum": 1.5}),
        11 => json!({"type": "boolean"}),
        12 => json!({"type": "null"}),
        13 => json!({"type": ["string", "null"]}),
        14 => json!({"type": ["integer", "boolean", "null"]}),
        15 => json!({"enum": [1, "two", null, true, 2.5, [1, 2], {"k": "v"}]}),
        16 => json!({"const": "fixed value"}),
        17 => json!({"type": "string", "enum": ["low", "lower", "lowest"]}),
        18 => {
            json!({"anyOf": [{"type": "integer", "minimum": 3}, {"type": "string", "maxLength": 3}]})
        }
        _ => json!({}),
    }
}
