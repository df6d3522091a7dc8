//! The official JSON Schema test suite, draft 2020-12 (github.com/json-schema-org/JSON-Schema-Test-Suite, MIT): each schema
//! as that of a tool's argument. Left out is format.json, which holds that formats are no assertions: here they are.

use std::{fs, path::Path};

use rust_inference::{
    constrain::{Acceptor, Mode, Options},
    functiongemma::{Tool, tools_from_json},
};
use serde_json::{Map, Value, json};

use crate::{notation, walks::Words};

/// One schema with its instances.
struct Group {
    name: String,
    tools: Vec<Tool>,
    /// The instances: what they are, the value, and whether it is valid.
    tests: Vec<(String, Value, bool)>,
}

/// All groups of the suite, in the order of their names.
fn groups() -> Vec<Group> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/json-schema-suite");
    let mut groups = Vec::new();
    for place in ["", "optional", "optional/format"] {
        let mut files: Vec<_> = fs::read_dir(root.join(place))
            .unwrap()
            .map(|file| file.unwrap().path())
            .collect();
        files.retain(|file| file.extension().is_some_and(|kind| kind == "json"));
        files.sort();
        for file in files {
            let stem = Path::new(place).join(file.file_stem().unwrap());
            let list: Vec<Value> =
                serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
            for group in list {
                let text = |value: &Value| value["description"].as_str().unwrap().to_owned();
                let tests = group["tests"].as_array().unwrap().iter();
                groups.push(Group {
                    name: format!("{}: {}", stem.display(), text(&group)),
                    tools: tools(&group["schema"]),
                    tests: tests
                        .map(|test| (text(test), test["data"].clone(), test["valid"] == true))
                        .collect(),
                });
            }
        }
    }
    groups
}

/// A tool whose one argument has this schema.
fn tools(schema: &Value) -> Vec<Tool> {
    let parameters = json!({"type": "object", "properties": {"value": moved(schema, false)},
        "required": ["value"], "additionalProperties": false});
    tools_from_json(&json!([{"name": "f", "parameters": parameters}]).to_string()).unwrap()
}

/// The schema as it reads one level down: what it refers to stands there too. `names`: its keys are names, no keywords.
fn moved(schema: &Value, names: bool) -> Value {
    match schema {
        Value::Object(map) => {
            let moved = map.iter().map(|(key, value)| {
                let moved = match (key.as_str(), value) {
                    ("$ref", Value::String(to))
                        if !names && (to == "#" || to.starts_with("#/")) =>
                    {
                        Value::from(format!("#/properties/value{}", &to[1..]))
                    }
                    ("enum" | "const" | "default" | "examples", data) if !names => data.clone(),
                    (
                        "properties" | "$defs" | "dependentSchemas" | "patternProperties",
                        schemas,
                    ) if !names => moved(schemas, true),
                    (_, value) => moved(value, false),
                };
                (key.clone(), moved)
            });
            Value::Object(moved.collect::<Map<_, _>>())
        }
        Value::Array(list) => list.iter().map(|schema| moved(schema, false)).collect(),
        other => other.clone(),
    }
}

/// Keywords that cannot be kept to while a value is written: what has them is refused, and they are named.
const UNSUPPORTED: [&str; 16] = [
    "$dynamicRef",
    "contains",
    "dependentRequired",
    "dependentSchemas",
    "else",
    "if",
    "maxContains",
    "maxProperties",
    "minContains",
    "minProperties",
    "not",
    "patternProperties",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "uniqueItems",
];

/// Groups of supported keywords that are refused all the same, by what is said of them.
const REFUSED: [(&str, &[&str]); 7] = [
    // Nothing satisfies them: such a tool could never be called.
    (
        "no value satisfies",
        &[
            "allOf: allOf with boolean schemas, some false",
            "allOf: allOf with boolean schemas, all false",
            "anyOf: anyOf with boolean schemas, all false",
            "boolean_schema: boolean schema 'false'",
            "oneOf: oneOf with boolean schemas, all false",
            "ref: $ref to boolean schema false",
        ],
    ),
    // Their references lead out of the schema, to an anchor or into another document.
    (
        "leads nowhere",
        &[
            "anchor: Location-independent identifier",
            "anchor: Location-independent identifier with absolute URI",
            "defs: validate definition against metaschema",
            "dynamicRef: $ref to $dynamicRef finds detached $dynamicAnchor",
            "dynamicRef: $dynamicRef points to a boolean schema",
            "ref: remote ref, containing refs itself",
            "ref: naive replacement of $ref with its destination is not correct",
            "ref: URN ref with nested pointer ref",
            "ref: ref to if",
            "ref: ref to then",
            "ref: ref to else",
            "refRemote: remote ref",
            "refRemote: fragment within remote ref",
            "refRemote: anchor within remote ref",
            "refRemote: ref within remote ref",
            "refRemote: Location-independent identifier in remote ref",
            "refRemote: remote HTTP ref with different $id",
            "refRemote: remote HTTP ref with different URN $id",
            "refRemote: remote HTTP ref with nested absolute ref",
            "refRemote: $ref to $ref finds detached $anchor",
        ],
    ),
    // They give a part of the schema an address of its own, which references would be relative to.
    (
        "$id is understood",
        &[
            "anchor: Location-independent identifier with base URI change in subschema",
            "anchor: same $anchor with different base uri",
            "dynamicRef: A $dynamicRef to a $dynamicAnchor in the same schema resource behaves like a normal $ref to an $anchor",
            "dynamicRef: A $dynamicRef to an $anchor in the same schema resource behaves like a normal $ref to an $anchor",
            "dynamicRef: A $ref to a $dynamicAnchor in the same schema resource behaves like a normal $ref to an $anchor",
            "dynamicRef: A $dynamicRef resolves to the first $dynamicAnchor still in scope that is encountered when the schema is evaluated",
            "dynamicRef: A $dynamicRef without anchor in fragment behaves identical to $ref",
            "dynamicRef: A $dynamicRef with intermediate scopes that don't include a matching $dynamicAnchor does not affect dynamic scope resolution",
            "dynamicRef: An $anchor with the same name as a $dynamicAnchor is not used for dynamic scope resolution",
            "dynamicRef: A $dynamicRef without a matching $dynamicAnchor in the same schema resource behaves like a normal $ref to $anchor",
            "dynamicRef: A $dynamicRef with a non-matching $dynamicAnchor in the same schema resource behaves like a normal $ref to $anchor",
            "dynamicRef: A $dynamicRef that initially resolves to a schema with a matching $dynamicAnchor resolves to the first $dynamicAnchor in the dynamic scope",
            "dynamicRef: A $dynamicRef that initially resolves to a schema without a matching $dynamicAnchor behaves like a normal $ref to $anchor",
            "dynamicRef: multiple dynamic paths to the $dynamicRef keyword",
            "dynamicRef: after leaving a dynamic scope, it is not used by a $dynamicRef",
            "dynamicRef: strict-tree schema, guards against misspelled properties",
            "dynamicRef: tests for implementation dynamic anchor and reference link",
            "dynamicRef: $ref and $dynamicAnchor are independent of order - $defs first",
            "dynamicRef: $ref and $dynamicAnchor are independent of order - $ref first",
            "dynamicRef: $dynamicRef skips over intermediate resources - direct reference",
            "ref: Recursive references between schemas",
            "ref: refs with relative uris and defs",
            "ref: relative refs with absolute uris and defs",
            "ref: $id must be resolved against nearest parent, not just immediate parent",
            "ref: order of evaluation: $id and $ref",
            "ref: order of evaluation: $id and $anchor and $ref",
            "ref: simple URN base URI with $ref via the URN",
            "ref: simple URN base URI with JSON pointer",
            "ref: URN base URI with NSS",
            "ref: URN base URI with r-component",
            "ref: URN base URI with q-component",
            "ref: URN base URI with URN and JSON pointer ref",
            "ref: URN base URI with URN and anchor ref",
            "ref: ref with absolute-path-reference",
            "ref: $id with file URI still resolves pointers - *nix",
            "ref: $id with file URI still resolves pointers - windows",
            "refRemote: base URI change",
            "refRemote: base URI change - change folder",
            "refRemote: base URI change - change folder in subschema",
            "refRemote: root ref in remote ref",
            "refRemote: remote ref with ref to defs",
            "refRemote: retrieved nested refs resolve relative to their URI not $id",
            "unevaluatedItems: unevaluatedItems with $dynamicRef",
            "unevaluatedProperties: unevaluatedProperties with $dynamicRef",
            "vocabulary: schema that uses custom metaschema with with no validation vocabulary",
        ],
    ),
    // One value can satisfy several branches, or it cannot be shown that none can.
    (
        "may both hold",
        &[
            "oneOf: oneOf",
            "oneOf: oneOf with base schema",
            "oneOf: oneOf with boolean schemas, all true",
            "oneOf: oneOf with boolean schemas, one true",
            "oneOf: oneOf with boolean schemas, more than one true",
            "oneOf: oneOf complex types",
            "oneOf: oneOf with empty schema",
            "oneOf: oneOf with required",
            "oneOf: oneOf with missing optional property",
            "unevaluatedProperties: unevaluatedProperties with oneOf",
            "unevaluatedProperties: unevaluatedProperties + ref inside allOf / oneOf",
        ],
    ),
    // Properties that nobody speaks of may have values, which are not written.
    (
        "supported as true or false only",
        &[
            "unevaluatedProperties: unevaluatedProperties schema",
            "unevaluatedProperties: unevaluatedProperties with nested unevaluatedProperties",
            "unevaluatedProperties: unevaluatedProperties with null valued instance properties",
        ],
    ),
    // What is unevaluated depends on schemas beside it, which it does not see.
    (
        "does not see the properties beside it",
        &[
            "ref: ref creates new scope when adjacent to keywords",
            "unevaluatedProperties: unevaluatedProperties can't see inside cousins",
            "unevaluatedProperties: unevaluatedProperties can't see inside cousins (reverse order)",
            "unevaluatedProperties: nested unevaluatedProperties, outer true, inner false, properties outside",
            "unevaluatedProperties: cousin unevaluatedProperties, true and false, true with properties",
            "unevaluatedProperties: property is evaluated in an uncle schema to unevaluatedProperties",
            "unevaluatedProperties: in-place applicator siblings, allOf has unevaluated",
            "unevaluatedProperties: in-place applicator siblings, anyOf has unevaluated",
        ],
    ),
    // The divisor has too many digits for what counts remainders digit by digit.
    (
        "multipleOf is too large",
        &["multipleOf: float division = inf"],
    ),
];

/// Formats that are asserted. Others say nothing.
const FORMATS: [&str; 13] = [
    "date",
    "date-time",
    "duration",
    "email",
    "hostname",
    "ipv4",
    "ipv6",
    "json-pointer",
    "relative-json-pointer",
    "time",
    "uri",
    "uri-reference",
    "uuid",
];

impl Group {
    /// It is about a format that says nothing here: everything is valid.
    fn says_nothing(&self) -> bool {
        let format = self
            .name
            .strip_prefix("optional/format/")
            .and_then(|rest| rest.split(':').next());
        format.is_some_and(|format| !FORMATS.contains(&format))
    }

    /// Its numbers have more digits than the renderer writes of a fraction, which are Python's.
    fn is_too_precise(&self) -> bool {
        (self.name).starts_with("optional/bignum: float comparison with high precision")
    }

    /// What is said of it if it is one of the exceptions.
    fn exception(&self) -> Option<&'static str> {
        let all = REFUSED.iter();
        all.clone()
            .find(|(_, names)| names.contains(&self.name.as_str()))
            .map(|(told, _)| *told)
    }
}

/// The groups whose schemas are supported.
fn supported() -> Vec<(Group, Acceptor)> {
    let supported = groups().into_iter().filter_map(|group| {
        let acceptor = Acceptor::new(&group.tools, Options::default()).ok()?;
        Some((group, acceptor))
    });
    supported.collect()
}

#[test]
fn what_is_refused_has_an_unsupported_keyword_or_is_a_known_exception() {
    let mut exceptions = 0;
    for group in groups() {
        let refused = Acceptor::new(&group.tools, Options::default())
            .err()
            .unwrap_or_default();
        let names_unsupported = refused.iter().any(|note| {
            let keyword = note.pointer.rsplit('/').next().unwrap_or_default();
            UNSUPPORTED.contains(&keyword)
        });
        match (refused.first(), group.exception()) {
            (None, None) => {}
            (None, Some(_)) => panic!("{} is no exception any more", group.name),
            (Some(note), None) => assert!(names_unsupported, "{}: {note}", group.name),
            (Some(note), Some(told)) => {
                assert!(note.what.contains(told), "{}: {note}", group.name);
                exceptions += 1;
            }
        }
    }
    let listed: usize = REFUSED.iter().map(|(_, names)| names.len()).sum();
    assert_eq!(
        exceptions, listed,
        "an exception is listed twice, or has another name"
    );
}

#[test]
fn valid_instances_are_accepted_and_invalid_ones_refused() {
    let (mut accepted, mut refused) = (0, 0);
    for (group, acceptor) in supported() {
        if group.is_too_precise() {
            continue;
        }
        for (what, value, valid) in &group.tests {
            let text = notation::call("f", &json!({"value": value}));
            let outcome = acceptor.accept(&text, &Mode::Required, Some(1));
            let expected = *valid || group.says_nothing();
            assert_eq!(
                outcome.is_ok(),
                expected,
                "{} / {what}: {text}: {outcome:?}",
                group.name
            );
            *(if expected {
                &mut accepted
            } else {
                &mut refused
            }) += 1;
        }
    }
    // So that a suite that is not found is no suite that is passed.
    assert!(accepted > 600 && refused > 400, "{accepted} and {refused}");
}

#[test]
fn whatever_is_generated_is_accepted() {
    let words = Words::default_model();
    for (group, acceptor) in supported() {
        for seed in 0..20 {
            let text = words.call(acceptor.grammar(), "f", seed, 200);
            let outcome = acceptor.accept(&text, &Mode::Required, Some(1));
            assert!(outcome.is_ok(), "{}: {outcome:?}: {text}", group.name);
        }
    }
}
