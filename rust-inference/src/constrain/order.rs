//! Whether the arguments of a call stand in the order that was asked for.
//!
//! In declared order the schema says which: of an object its `properties`, then those of what it refers to and is
//! composed of. Where there are alternatives (`anyOf`, `oneOf`) the order of any of them will do.

use std::{cell::Cell, collections::HashMap, ptr};

use serde_json::{Map, Value};

use super::{ArgumentOrder, Refusal};
use crate::functiongemma::{Spans, escaped};

/// Alternatives that are looked at; beyond them an order is not told from another.
const MOST: usize = 256;

/// Schemas that are looked at, likewise.
const STEPS: usize = 1 << 20;

/// Schemas that apply to one value together.
type Together<'a> = Vec<&'a Value>;

struct Check<'a> {
    root: &'a Value,
    order: ArgumentOrder,
    spans: &'a Spans,
    steps: Cell<usize>,
}

/// Checks the arguments of a call and all objects in them.
pub(super) fn check(
    order: ArgumentOrder,
    schema: &Value,
    arguments: &Value,
    spans: &Spans,
) -> Result<(), Refusal> {
    if order == ArgumentOrder::Any {
        return Ok(());
    }
    let check = Check {
        root: schema,
        order,
        spans,
        steps: Cell::default(),
    };
    check.value(arguments, &check.alternatives(&[schema]), "")
}

impl<'a> Check<'a> {
    fn value(&self, value: &Value, schemas: &[Together<'a>], pointer: &str) -> Result<(), Refusal> {
        match value {
            Value::Object(map) => {
                self.object(map, schemas, pointer)?;
                for (key, value) in map {
                    let below = self.below(schemas, |schema| property(schema, key));
                    self.value(value, &below, &format!("{pointer}/{}", escaped(key)))?;
                }
            }
            Value::Array(values) => {
                for (i, value) in values.iter().enumerate() {
                    let below = self.below(schemas, |schema| item(schema, i));
                    self.value(value, &below, &format!("{pointer}/{i}"))?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn object(
        &self,
        map: &Map<String, Value>,
        schemas: &[Together<'a>],
        pointer: &str,
    ) -> Result<(), Refusal> {
        let wrong = if self.order == ArgumentOrder::Sorted {
            out_of_place(map, str::to_lowercase)
        } else if schemas.len() >= MOST || self.exhausted() {
            None
        } else {
            let wrong = schemas.iter().map(|together| {
                let places = declared(together);
                // What is not declared stands behind, in any order.
                out_of_place(map, |key| places.get(key).copied().unwrap_or(usize::MAX))
            });
            // Nothing is wrong if one of them finds nothing.
            wrong.reduce(Option::and).flatten()
        };
        let Some((key, before)) = wrong else {
            return Ok(());
        };
        let at = self.spans.of(&format!("{pointer}/{}", escaped(key)));
        Err(Refusal {
            at: at.map_or(0, |span| span.key),
            expected: format!("the key {key:?} before {before:?}"),
            message: format!(
                "the key {key:?} stands behind {before:?}, which is not the {} order",
                if self.order == ArgumentOrder::Sorted {
                    "sorted"
                } else {
                    "declared"
                }
            ),
        })
    }

    fn below(
        &self,
        schemas: &[Together<'a>],
        part: impl Fn(&'a Value) -> Option<&'a Value>,
    ) -> Vec<Together<'a>> {
        let mut below: Vec<Together<'a>> = Vec::new();
        if self.order == ArgumentOrder::Sorted {
            return below;
        }
        for together in schemas {
            let parts: Together<'a> = together.iter().filter_map(|schema| part(schema)).collect();
            for more in self.alternatives(&parts) {
                if below.len() < MOST
                    && !below.iter().any(|known| {
                        known.len() == more.len()
                            && known.iter().zip(&more).all(|(a, b)| ptr::eq(*a, *b))
                    })
                {
                    below.push(more);
                }
            }
        }
        below
    }

    /// What schemas that apply together come to: each alternative is a list of schemas without references.
    fn alternatives(&self, schemas: &[&'a Value]) -> Vec<Together<'a>> {
        let mut found = vec![Vec::new()];
        for schema in schemas {
            self.add(schema, &mut Vec::new(), &mut found);
        }
        found
    }

    /// Adds a schema and what it is composed of to each alternative; `within` are those that it is part of.
    fn add(&self, schema: &'a Value, within: &mut Together<'a>, found: &mut Vec<Together<'a>>) {
        let steps = self.steps.get() + found.len();
        self.steps.set(steps);
        // One that refers to itself says nothing more the second time.
        if steps > STEPS || within.iter().any(|other| ptr::eq(*other, schema)) {
            return;
        }
        within.push(schema);
        for together in found.iter_mut() {
            together.push(schema);
        }
        let target = schema.get("$ref").and_then(Value::as_str);
        let target = target
            .and_then(|to| to.strip_prefix('#'))
            .and_then(|at| self.root.pointer(at));
        for part in target.into_iter().chain(list(schema, "allOf")) {
            self.add(part, within, found);
        }
        for key in ["anyOf", "oneOf"] {
            let before = found.clone();
            for (i, branch) in list(schema, key).iter().enumerate() {
                let mut with = before.clone();
                self.add(branch, within, &mut with);
                if i == 0 {
                    found.clear();
                }
                found.extend(with);
            }
        }
        within.pop();
    }

    /// There is too much to look at to tell one order from another.
    fn exhausted(&self) -> bool {
        self.steps.get() > STEPS
    }
}

/// The parts of a schema that a keyword lists.
fn list<'a>(schema: &'a Value, key: &str) -> &'a [Value] {
    schema
        .get(key)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn property<'a>(schema: &'a Value, key: &str) -> Option<&'a Value> {
    let declared = schema.get("properties").and_then(|known| known.get(key));
    declared.or_else(|| schema.get("additionalProperties"))
}

fn item(schema: &Value, i: usize) -> Option<&Value> {
    let placed = schema.get("prefixItems").and_then(|items| items.get(i));
    placed.or_else(|| schema.get("items"))
}

/// The first key that stands behind one that should follow it, and that one.
fn out_of_place<K: Ord>(
    map: &Map<String, Value>,
    place: impl Fn(&str) -> K,
) -> Option<(&str, &str)> {
    let mut last: Option<(K, &str)> = None;
    for key in map.keys() {
        let now = place(key);
        if let Some((before, name)) = &last
            && now < *before
        {
            return Some((key, name));
        }
        last = Some((now, key));
    }
    None
}

/// The properties that schemas declare together, each once, in their order.
fn declared<'a>(together: &[&'a Value]) -> HashMap<&'a str, usize> {
    let mut places = HashMap::new();
    let properties = together
        .iter()
        .filter_map(|schema| schema.get("properties")?.as_object());
    for key in properties.flat_map(Map::keys) {
        let next = places.len();
        places.entry(key.as_str()).or_insert(next);
    }
    places
}
