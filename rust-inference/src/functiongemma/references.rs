//! How far a schema reaches when its references are followed. Two kilobytes of references can unfold to more schemas
//! than can ever be checked, or nest deeper than a thread's stack: such a schema is refused before it is used.

use std::collections::HashMap;

use serde_json::Value;

/// Schemas in one, with all that its references lead to. Each may have to be looked at for each value of a call.
const MOST: usize = 100_000;

/// Levels of JSON in one another, those behind references included.
const DEEPEST: usize = 256;

#[derive(Clone, Copy, Default)]
struct Reach {
    size: usize,
    height: usize,
}

struct Walk<'a> {
    root: &'a Value,
    /// How far what was referred to reaches; nothing while that is being found out.
    known: HashMap<&'a str, Option<Reach>>,
}

/// What is wrong with the references of a schema, if anything is.
pub(super) fn check(schema: &Value) -> Result<(), String> {
    let mut walk = Walk {
        root: schema,
        known: HashMap::from([("#", None)]),
    };
    walk.visit(schema, 0).map(drop)
}

impl<'a> Walk<'a> {
    fn visit(&mut self, node: &'a Value, depth: usize) -> Result<Reach, String> {
        if depth > DEEPEST {
            return Err(too_deep());
        }
        let mut reach = Reach::default();
        let mut add = |part: Reach| {
            reach.size = reach.size.saturating_add(part.size);
            reach.height = reach.height.max(part.height);
        };
        match node {
            Value::Object(map) => {
                add(Reach { size: 1, height: 0 });
                for (key, value) in map {
                    add(match (key.as_str(), value) {
                        ("$ref" | "$dynamicRef", Value::String(to)) => {
                            self.follow(to, depth + 1)?
                        }
                        // It would give the references below it another root.
                        ("$id", Value::String(_)) if depth > 0 => {
                            return Err("$id is understood at the top only".to_owned());
                        }
                        _ => self.visit(value, depth + 1)?,
                    });
                }
            }
            Value::Array(list) => {
                for value in list {
                    add(self.visit(value, depth + 1)?);
                }
            }
            _ => {}
        }
        reach.height += 1;
        if reach.size > MOST {
            return Err(format!(
                "its references unfold to more than {MOST} schemas: write them out, or offer something simpler"
            ));
        }
        if reach.height > DEEPEST {
            return Err(too_deep());
        }
        Ok(reach)
    }

    fn follow(&mut self, to: &'a str, depth: usize) -> Result<Reach, String> {
        match self.known.get(to) {
            Some(Some(reach)) => return Ok(*reach),
            // A reference to what it is part of goes as deep as a call's values do, which are bounded.
            Some(None) => return Ok(Reach { size: 1, height: 1 }),
            None => {}
        }
        let target = pointer(to)
            .and_then(|pointer| self.root.pointer(&pointer))
            .ok_or_else(|| {
                format!("the reference {to:?} leads nowhere: write it as #/$defs/NAME, and NAME into $defs")
            })?;
        self.known.insert(to, None);
        let reach = self.visit(target, depth)?;
        self.known.insert(to, Some(reach));
        Ok(reach)
    }
}

/// The JSON pointer that a reference is, if it is one within the schema: a part of an address, some of whose bytes
/// may be written as %XX.
pub(crate) fn pointer(reference: &str) -> Option<String> {
    let mut rest = reference.strip_prefix('#')?;
    let mut bytes = Vec::new();
    while let Some((before, behind)) = rest.split_once('%') {
        bytes.extend_from_slice(before.as_bytes());
        bytes.push(u8::from_str_radix(behind.get(..2)?, 16).ok()?);
        rest = behind.get(2..)?;
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).ok()
}

fn too_deep() -> String {
    format!("it nests deeper than {DEEPEST} levels, its references included")
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    /// Definitions `a0` to `an`, each made of the next.
    fn chain(n: usize, link: impl Fn(Value) -> Value) -> Value {
        let mut defs = Map::new();
        for i in 0..n {
            let next = json!({"$ref": format!("#/$defs/a{}", i + 1)});
            defs.insert(format!("a{i}"), link(next));
        }
        defs.insert(format!("a{n}"), json!({"type": "string"}));
        json!({"properties": {"x": {"$ref": "#/$defs/a0"}}, "$defs": defs})
    }

    #[test]
    fn references_that_lead_back_or_on_for_a_while_are_fine() {
        let twice = |next: Value| json!({"anyOf": [next, next]});
        for schema in [
            json!({"type": "object", "properties": {"$ref": {"type": "string"}, "$id": {}}}),
            json!({"properties": {"next": {"$ref": "#"}}}),
            json!({"$id": "a", "$defs": {
                "A": {"properties": {"l": {"$ref": "#/$defs/A"}, "r": {"$ref": "#/$defs/B"}}},
                "B": {"items": {"$ref": "#/$defs/A"}}}, "$ref": "#/$defs/A"}),
            json!({"$ref": "#/$defs/per%25cent", "$defs": {"per%cent": {"$ref": "#/$defs/%C3%BC"}, "ü": {}}}),
            chain(100, |next| next),
            chain(10, twice),
        ] {
            assert_eq!(check(&schema), Ok(()), "{schema}");
        }
    }

    #[test]
    fn references_that_unfold_without_end_are_refused() {
        let twice = |next: Value| json!({"anyOf": [next, next]});
        let mut backwards = chain(300, |next| next);
        // Those behind are known before those in front of them are seen.
        let defs = backwards["$defs"].as_object_mut().unwrap();
        *defs = std::mem::take(defs).into_iter().rev().collect();
        for (schema, told) in [
            (chain(20, twice), "more than 100000"),
            (chain(50_000, |next| next), "deeper than 256"),
            (chain(150, |next| json!({"items": next})), "deeper than 256"),
            (backwards, "deeper than 256"),
            (json!({"$ref": "#/$defs/none"}), "leads nowhere"),
            (json!({"$ref": "#anchor"}), "leads nowhere"),
            (json!({"$ref": "http://127.0.0.1/x"}), "leads nowhere"),
            (json!({"$ref": "#/a%62", "a%62": {}}), "leads nowhere"),
            (json!({"$ref": "#/a%6", "a%6": {}}), "leads nowhere"),
            (json!({"$ref": "#/%FF"}), "leads nowhere"),
            (json!({"items": {"$id": "b", "$ref": "#"}}), "$id"),
        ] {
            let error = check(&schema).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
    }
}
