//! A grammar in people's words, for whoever wonders how a schema was understood.

use serde_json::{Map, Value, json};

use super::grammar::{Form, NodeId, Rules};

/// Levels that are written out: a schema that contains itself has no end.
const DEPTH: usize = 16;

impl Rules {
    /// `{"functions": [{"name", "arguments"}]}` or `{"value"}`. A value is a text, `{"object": {KEY: value}}` with a ? behind the
    /// keys that may be missing and `…` for keys that are not declared, `{"array": value}`, or `{"any of": [values]}`.
    pub(super) fn describe(&self) -> Value {
        if let Some(root) = self.root {
            return json!({"value": self.described(root, 0)});
        }
        let functions = self.functions.iter().map(|function| {
            json!({"name": function.name, "arguments": self.described(function.arguments, 0)})
        });
        json!({"functions": functions.collect::<Vec<_>>()})
    }

    fn described(&self, node: NodeId, depth: usize) -> Value {
        if depth > DEPTH {
            return json!("… (it goes on)");
        }
        let Some(node) = self.node(node) else {
            return Value::Null;
        };
        let mut shapes: Vec<Value> = (node.shapes.iter())
            .map(|shape| match &shape.form {
                Form::Text { .. } | Form::Word { .. } => json!(shape.told),
                Form::Array(array) => {
                    let mut told = Map::new();
                    if !array.first.is_empty() {
                        let first = array.first.iter().take(array.most);
                        let first: Vec<Value> =
                            first.map(|item| self.described(*item, depth + 1)).collect();
                        told.insert("first".to_owned(), first.into());
                    }
                    let rest = array.rest.filter(|_| array.most > array.first.len());
                    if let Some(rest) = rest {
                        told.insert("array".to_owned(), self.described(rest, depth + 1));
                    }
                    if array.least > 0 {
                        told.insert("least".to_owned(), array.least.into());
                    }
                    if array.most < usize::MAX {
                        told.insert("most".to_owned(), array.most.into());
                    }
                    Value::Object(told)
                }
                Form::Object(object) => {
                    let fields = object.fields.iter().map(|field| {
                        let key = if field.required {
                            field.key.clone()
                        } else {
                            format!("{}?", field.key)
                        };
                        (key, self.described(field.value, depth + 1))
                    });
                    let extra = object
                        .extra
                        .map(|extra| ("…".to_owned(), self.described(extra, depth + 1)));
                    json!({"object": fields.chain(extra).collect::<Map<_, _>>()})
                }
            })
            .collect();
        match shapes.len() {
            1 => shapes.remove(0),
            _ => json!({"any of": shapes}),
        }
    }
}
