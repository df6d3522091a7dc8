//! A grammar in people's words, for whoever wonders how a schema was understood.

use serde_json::{Map, Value, json};

use super::grammar::{Form, NodeId, Rules};

/// Places that are written out of each schema: those that contain one another in many ways have no end.
const PLACES: usize = 10_000;

impl Rules {
    /// `{"functions": [{"name", "arguments"}]}` or `{"value"}`. A value is a text, `{"object": {KEY: value}}` with a ? behind the
    /// keys that may be missing and `…` for keys that are not declared, `{"array": value}`, or `{"any of": [values]}`.
    pub(super) fn describe(&self) -> Value {
        if let Some(root) = self.root {
            return json!({"value": Told::new(self).value(root)});
        }
        let functions = self.functions.iter().map(|function| {
            json!({"name": function.name, "arguments": Told::new(self).value(function.arguments)})
        });
        json!({"functions": functions.collect::<Vec<_>>()})
    }
}

/// What is being told of one schema.
struct Told<'a> {
    rules: &'a Rules,
    /// The places that the present one is within.
    within: Vec<NodeId>,
    places: usize,
}

impl<'a> Told<'a> {
    fn new(rules: &'a Rules) -> Self {
        Self {
            rules,
            within: Vec::new(),
            places: 0,
        }
    }

    fn value(&mut self, node: NodeId) -> Value {
        if self.within.contains(&node) {
            return json!("… (as above)");
        }
        self.places += 1;
        if self.places > PLACES {
            return json!("… (it goes on)");
        }
        self.within.push(node);
        let told = self.shapes(node);
        self.within.pop();
        told
    }

    fn shapes(&mut self, node: NodeId) -> Value {
        let Some(node) = self.rules.node(node) else {
            return Value::Null;
        };
        let mut shapes: Vec<Value> = (node.shapes.iter())
            .map(|shape| match &shape.form {
                Form::Text { .. } | Form::Word { .. } => json!(shape.told),
                Form::Array(array) => {
                    let mut told = Map::new();
                    if !array.first.is_empty() {
                        let first = array.first.iter().take(array.most);
                        let first: Vec<Value> = first.map(|item| self.value(*item)).collect();
                        told.insert("first".to_owned(), first.into());
                    }
                    let rest = array.rest.filter(|_| array.most > array.first.len());
                    if let Some(rest) = rest {
                        told.insert("array".to_owned(), self.value(rest));
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
                    let mut told = Map::new();
                    for field in &object.fields {
                        let mark = if field.required { "" } else { "?" };
                        told.insert(format!("{}{mark}", field.key), self.value(field.value));
                    }
                    if let Some(extra) = object.extra {
                        told.insert("…".to_owned(), self.value(extra));
                    }
                    json!({"object": told})
                }
            })
            .collect();
        match shapes.len() {
            1 => shapes.remove(0),
            _ => json!({"any of": shapes}),
        }
    }
}
