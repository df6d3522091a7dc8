//! Whether the arguments of a call stand in the order that was asked for, in all objects of them.
//!
//! Sorted are they by name, ignoring case; in declared order as the schema lists them, where there are alternatives
//! (`anyOf`) as any of them does. Keys that no schema declares are written behind the others, in any order; where the
//! order is by name they may stand in their place, too, as in what is rendered.

use serde_json::{Map, Value};

use super::{
    ArgumentOrder, Refusal,
    grammar::{ArrayForm, Form, NodeId, ObjectForm, Rules},
};
use crate::functiongemma::{Spans, escaped};

/// Checks the arguments of a call, which are values of a node.
pub(super) fn check(
    rules: &Rules,
    node: NodeId,
    arguments: &Value,
    spans: &Spans,
) -> Result<(), Refusal> {
    if rules.order == ArgumentOrder::Any {
        return Ok(());
    }
    Check { rules, spans }.value(arguments, &[node], "")
}

struct Check<'a> {
    rules: &'a Rules,
    spans: &'a Spans,
}

impl Check<'_> {
    /// `nodes`: what the value may be a value of; none of what is valid without ever being written.
    fn value(&self, value: &Value, nodes: &[NodeId], pointer: &str) -> Result<(), Refusal> {
        let shapes = nodes.iter().filter_map(|id| self.rules.node(*id));
        let forms = || {
            shapes
                .clone()
                .flat_map(|node| &node.shapes)
                .map(|shape| &shape.form)
        };
        match value {
            Value::Object(map) => {
                let objects: Vec<&ObjectForm> = forms()
                    .filter_map(|form| match form {
                        Form::Object(object) => Some(object),
                        _ => None,
                    })
                    .collect();
                self.object(map, &objects, pointer)?;
                for (key, value) in map {
                    let below = objects.iter().filter_map(|object| {
                        let declared = object.fields.iter().find(|field| field.key == *key);
                        declared.map(|field| field.value).or(object.extra)
                    });
                    self.value(
                        value,
                        &once_each(below),
                        &format!("{pointer}/{}", escaped(key)),
                    )?;
                }
            }
            Value::Array(values) => {
                let arrays: Vec<&ArrayForm> = forms()
                    .filter_map(|form| match form {
                        Form::Array(array) => Some(array),
                        _ => None,
                    })
                    .collect();
                for (i, value) in values.iter().enumerate() {
                    let below = arrays.iter().filter_map(|array| array.item(i));
                    self.value(value, &once_each(below), &format!("{pointer}/{i}"))?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn object(
        &self,
        map: &Map<String, Value>,
        objects: &[&ObjectForm],
        pointer: &str,
    ) -> Result<(), Refusal> {
        let sorted = self.rules.order == ArgumentOrder::Sorted;
        // What is not declared stands behind.
        let as_written = objects
            .iter()
            .filter(|object| !sorted || object.extra.is_some())
            .map(|object| {
                out_of_place(map, |key| {
                    let place = object.fields.iter().position(|field| field.key == key);
                    place.unwrap_or(object.fields.len())
                })
            });
        let by_name = sorted.then(|| out_of_place(map, str::to_lowercase));
        // Nothing is wrong if one of the ways finds nothing.
        let Some((key, before)) = by_name
            .into_iter()
            .chain(as_written)
            .reduce(Option::and)
            .flatten()
        else {
            return Ok(());
        };
        let at = self.spans.of(&format!("{pointer}/{}", escaped(key)));
        let order = if sorted { "sorted" } else { "declared" };
        Err(Refusal {
            at: at.map_or(0, |span| span.key),
            expected: format!("the key {key:?} before {before:?}"),
            message: format!(
                "the key {key:?} stands behind {before:?}, which is not the {order} order"
            ),
        })
    }
}

fn once_each(nodes: impl Iterator<Item = NodeId>) -> Vec<NodeId> {
    let mut nodes: Vec<NodeId> = nodes.collect();
    nodes.sort_unstable();
    nodes.dedup();
    nodes
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
