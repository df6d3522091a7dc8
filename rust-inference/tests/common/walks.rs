//! Random schemas, and random ways through their grammar: a model at its worst.

use rand::{RngExt, rngs::StdRng};
use rust_inference::constrain::{Candidates, Guide, Next};
use serde_json::{Map, Value, json};

/// How a walk came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Complete,
    Length,
}

/// Lets chance choose, as the decoding loop lets the model: a stop token needs no room. Gives the tokens, the stop
/// token included. Control tokens are chosen more often than by their number, or a text would never end.
pub fn walk(
    guide: &mut dyn Guide,
    random: &mut StdRng,
    mut left: usize,
    is_control: impl Fn(u32) -> bool,
    is_stop: impl Fn(u32) -> bool,
) -> (Vec<u32>, End) {
    let mut tokens = Vec::new();
    loop {
        match guide.next(left) {
            Next::End => return (tokens, End::Complete),
            Next::Forced(forced) => {
                for token in forced {
                    if is_stop(token) {
                        tokens.push(token);
                        return (tokens, End::Complete);
                    }
                    if left == 0 {
                        return (tokens, End::Length);
                    }
                    left -= 1;
                    tokens.push(token);
                }
            }
            Next::Choose { candidates, .. } => {
                if left == 0 {
                    return (tokens, End::Length);
                }
                let token = choose(&candidates, random, &is_control);
                assert!(candidates.contains(token));
                guide.push(token);
                tokens.push(token);
                if is_stop(token) {
                    return (tokens, End::Complete);
                }
                left -= 1;
            }
        }
    }
}

fn choose(candidates: &Candidates, random: &mut StdRng, is_control: impl Fn(u32) -> bool) -> u32 {
    let ids: Vec<u32> = match candidates {
        Candidates::All => panic!("nothing is constrained"),
        Candidates::List(ids) => ids.clone(),
        Candidates::Mask(bits) => (0..bits.len() as u32 * 64)
            .filter(|id| bits[*id as usize / 64] >> (id % 64) & 1 == 1)
            .collect(),
    };
    assert!(!ids.is_empty(), "a dead end");
    let controls: Vec<u32> = ids.iter().copied().filter(|id| is_control(*id)).collect();
    if !controls.is_empty() && random.random_bool(0.25) {
        return controls[random.random_range(0..controls.len())];
    }
    ids[random.random_range(0..ids.len())]
}

/// A tool with arbitrary parameters, all of whose keywords are supported.
pub fn tool(random: &mut StdRng, name: &str) -> Value {
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

pub fn object(random: &mut StdRng, depth: usize) -> Value {
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
            let mut schema = json!({"type": "array", "items": self::schema(random, depth + 1), "minItems": least});
            if random.random_bool(0.5) {
                schema["maxItems"] = json!(least + random.random_range(0..3));
            }
            if random.random_bool(0.3) {
                schema["prefixItems"] = json!([scalar(random), scalar(random)]);
            }
            schema
        }
        2 => json!({"anyOf": [self::schema(random, depth + 1), self::schema(random, depth + 1)]}),
        3 => json!({"oneOf": [
            {"type": "object", "properties": {"kind": {"const": "one"}, "v": scalar(random)}, "required": ["kind"]},
            {"type": "object", "properties": {"kind": {"const": "two"}, "w": scalar(random)}, "required": ["kind", "w"]},
            {"type": "null"},
        ]}),
        _ => scalar(random),
    }
}

pub fn scalar(random: &mut StdRng) -> Value {
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
