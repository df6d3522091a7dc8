//! How much work it is to check arguments against a schema. A schema comes from tool code, and is checked by a process
//! that all tools share: one whose parts refer to each other over and over would keep it busy for ever.

use serde_json::Value;

/// Parts of a schema, each counted as often as it is referred to.
const MOST_PARTS: u32 = 10_000;
/// Parts within parts.
const DEEPEST: usize = 64;

/// A schema refers to a part from within that part: its arguments can be as deep as they like.
pub(super) struct Recursive(pub(super) bool);

/// What of a schema makes it too much work.
pub(super) fn bounded(schema: &Value) -> Result<Recursive, &'static str> {
    let mut walk = Walk {
        whole: schema,
        parts: 0,
        within: Vec::new(),
        recursive: false,
    };
    walk.visit(schema, 0)?;
    Ok(Recursive(walk.recursive))
}

struct Walk<'a> {
    whole: &'a Value,
    parts: u32,
    /// The parts that were referred to on the way here.
    within: Vec<&'a str>,
    recursive: bool,
}

impl<'a> Walk<'a> {
    fn visit(&mut self, part: &'a Value, depth: usize) -> Result<(), &'static str> {
        self.parts += 1;
        if self.parts > MOST_PARTS {
            return Err("it refers to its own parts too often");
        }
        if depth > DEEPEST {
            return Err("its parts are too deep within each other");
        }
        match part {
            Value::Array(parts) => parts
                .iter()
                .try_for_each(|part| self.visit(part, depth + 1)),
            Value::Object(members) => members.iter().try_for_each(|(key, value)| {
                match (key.as_str(), value) {
                    // Parts that are counted where they are referred to, and values.
                    ("$defs" | "definitions" | "const" | "default" | "enum" | "examples", _) => {
                        Ok(())
                    }
                    // Their keys are names, not keywords.
                    (
                        "properties" | "patternProperties" | "dependentSchemas",
                        Value::Object(named),
                    ) => named
                        .values()
                        .try_for_each(|part| self.visit(part, depth + 1)),
                    ("$ref", Value::String(to)) => self.follow(to, depth),
                    ("$dynamicRef" | "$recursiveRef" | "$id" | "$anchor" | "$dynamicAnchor", _) => {
                        Err("it refers to its parts by other means than $ref")
                    }
                    _ => self.visit(value, depth + 1),
                }
            }),
            _ => Ok(()),
        }
    }

    fn follow(&mut self, to: &'a str, depth: usize) -> Result<(), &'static str> {
        if to == "#" || self.within.contains(&to) {
            self.recursive = true;
            return Ok(());
        }
        let pointer = to.strip_prefix('#').unwrap_or_default();
        let part = self.whole.pointer(pointer);
        let part =
            part.filter(|_| pointer.starts_with("/$defs/") || pointer.starts_with("/definitions/"));
        let part = part.ok_or("it refers to something that is not in its $defs")?;
        self.within.push(to);
        self.visit(part, depth + 1)?;
        self.within.pop();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(schema: &Value) -> Result<bool, &'static str> {
        bounded(schema).map(|recursive| recursive.0)
    }

    #[test]
    fn what_tools_say_is_little_work_and_what_refers_to_itself_is_known() {
        let point = json!({"type": "object", "properties": {"x": {"type": "number"}}});
        let plain = json!({"properties": {"a": {"$ref": "#/$defs/p"}, "b": {"$ref": "#/$defs/p"}}, "$defs": {"p": point}});
        assert_eq!(told(&plain), Ok(false));
        let tree = json!({"properties": {"left": {"anyOf": [{"$ref": "#/$defs/tree"}, {"type": "null"}]}}});
        let tree =
            json!({"properties": {"root": {"$ref": "#/$defs/tree"}}, "$defs": {"tree": tree}});
        assert_eq!(told(&tree), Ok(true));
        // Parameters can be named like keywords.
        assert_eq!(
            told(&json!({"properties": {"$ref": {"type": "string"}}})),
            Ok(false)
        );
    }

    #[test]
    fn what_would_never_end_is_told() {
        let hidden = json!({"properties": {"$defs": {"$ref": "#/$defs/none"}}});
        assert!(told(&hidden).is_err());
        let twice = |n: u32| json!({"allOf": [{"$ref": format!("#/$defs/d{n}")}, {"$ref": format!("#/$defs/d{n}")}]});
        let defs: serde_json::Map<_, _> = (0..12)
            .map(|n| (format!("d{n}"), twice((n + 1) % 12)))
            .collect();
        let much = json!({"$ref": "#/$defs/d0", "$defs": defs});
        assert_eq!(told(&much), Err("it refers to its own parts too often"));
        let once = |n: u32| json!({"$ref": format!("#/$defs/d{n}")});
        let defs: serde_json::Map<_, _> = (0..99).map(|n| (format!("d{n}"), once(n + 1))).collect();
        let deep = json!({"$ref": "#/$defs/d0", "$defs": defs});
        assert_eq!(told(&deep), Err("its parts are too deep within each other"));
        for away in ["#/properties/x", "other.json", "#/$defs/none"] {
            let away = told(&json!({"$ref": away}));
            assert_eq!(away, Err("it refers to something that is not in its $defs"));
        }
        assert!(told(&json!({"$dynamicRef": "#x"})).is_err());
    }
}
