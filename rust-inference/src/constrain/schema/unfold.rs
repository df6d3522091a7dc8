//! A conjunction to its alternatives: references followed, `allOf` joined, one branch of each `anyOf` and `oneOf` taken.

use serde_json::Value;

use super::{Compiler, Place, disjoint::Exclusive};
use crate::functiongemma;

/// Alternatives of one place. Several `anyOf` in one conjunction multiply.
const MAX_ALTERNATIVES: usize = 512;

/// The schemas that hold together; of each only its own keywords count.
pub(super) type Alternative<'a> = Vec<Place<'a>>;

impl<'a> Compiler<'a> {
    /// Empty: nothing satisfies the conjunction.
    pub(super) fn alternatives(&mut self, conjunction: &[Place<'a>]) -> Vec<Alternative<'a>> {
        let mut alternatives = vec![Vec::new()];
        for place in conjunction {
            alternatives = self.unfold(place, alternatives, &mut Vec::new());
        }
        alternatives
    }

    /// Adds a schema to each of the alternatives. `chain`: the schemas that are being unfolded, so that one that leads back
    /// to itself is found.
    fn unfold(
        &mut self,
        place: &Place<'a>,
        mut alternatives: Vec<Alternative<'a>>,
        chain: &mut Vec<*const Value>,
    ) -> Vec<Alternative<'a>> {
        match place.schema {
            Value::Bool(true) => return alternatives,
            Value::Object(_) => {}
            // `false`; anything else was refused as no schema before.
            _ => return Vec::new(),
        }
        let this = std::ptr::from_ref(place.schema);
        if chain.contains(&this) {
            let what = "this schema leads back to itself before any value is read";
            self.refuse(place.pointer.clone(), what);
            return Vec::new();
        }
        chain.push(this);
        for alternative in &mut alternatives {
            if !(alternative.iter()).any(|known| std::ptr::eq(known.schema, place.schema)) {
                alternative.push(place.clone());
            }
        }
        if let Some(Value::String(to)) = place.keyword("$ref") {
            if let Some(target) = self.resolve(to) {
                alternatives = self.unfold(&target, alternatives, chain);
            } else {
                let pointer = format!("{}/$ref", place.pointer);
                self.refuse(
                    pointer,
                    format!("the reference {to:?} leads nowhere: write it as #/$defs/NAME"),
                );
            }
        }
        for part in branches(place, "allOf") {
            alternatives = self.unfold(&part, alternatives, chain);
        }
        for keyword in ["anyOf", "oneOf"] {
            let branches = branches(place, keyword);
            if branches.is_empty() {
                continue;
            }
            if keyword == "oneOf" && branches.len() > 1 {
                self.exclusive_branches(place, &branches);
            }
            let mut all = Vec::new();
            for branch in &branches {
                all.extend(self.unfold(branch, alternatives.clone(), chain));
                if all.len() > MAX_ALTERNATIVES {
                    self.refuse(
                        format!("{}/{keyword}", place.pointer),
                        format!("its branches combine to more than {MAX_ALTERNATIVES}"),
                    );
                    all.truncate(1);
                    break;
                }
            }
            alternatives = all;
        }
        chain.pop();
        alternatives
    }

    /// Whether all that says something of properties is the schema itself or what it is composed of: `unevaluatedProperties`
    /// knows of no other.
    pub(super) fn sees_all(&self, place: &Place<'a>, alternative: &[Place<'a>]) -> bool {
        let mut seen: Vec<Place<'a>> = Vec::new();
        let mut open = vec![place.clone()];
        while let Some(place) = open.pop() {
            if seen
                .iter()
                .any(|known| std::ptr::eq(known.schema, place.schema))
            {
                continue;
            }
            if let Some(Value::String(to)) = place.keyword("$ref") {
                open.extend(self.resolve(to));
            }
            for keyword in ["allOf", "anyOf", "oneOf"] {
                open.extend(branches(&place, keyword));
            }
            seen.push(place);
        }
        let speaks = |place: &&Place<'a>| {
            place.keyword("properties").is_some() || place.keyword("additionalProperties").is_some()
        };
        (alternative.iter().filter(speaks)).all(|place| {
            seen.iter()
                .any(|known| std::ptr::eq(known.schema, place.schema))
        })
    }

    fn resolve(&self, to: &str) -> Option<Place<'a>> {
        let root = self.root.as_ref()?;
        let pointer = functiongemma::pointer(to)?;
        Some(Place {
            schema: root.schema.pointer(&pointer)?,
            pointer: format!("{}{pointer}", root.pointer),
        })
    }

    /// Has the branches of a `oneOf` compared once everything is compiled.
    fn exclusive_branches(&mut self, place: &Place<'a>, branches: &[Place<'a>]) {
        let pointer = format!("{}/oneOf", place.pointer);
        if self.exclusive.iter().any(|known| known.pointer == pointer) {
            return;
        }
        let nodes = branches
            .iter()
            .map(|b| self.node(vec![b.clone()]))
            .collect();
        self.exclusive.push(Exclusive {
            pointer,
            branches: nodes,
            typed: place.keyword("type").is_some(),
        });
    }
}

fn branches<'a>(place: &Place<'a>, keyword: &str) -> Vec<Place<'a>> {
    let list = place.keyword(keyword).and_then(Value::as_array);
    (list.into_iter().flatten().enumerate())
        .map(|(i, branch)| place.child(branch, &format!("{keyword}/{i}")))
        .collect()
}

/// What the schemas of an alternative say under a keyword, and where.
pub(super) fn said<'a, 'b>(
    alternative: &'b [Place<'a>],
    keyword: &'static str,
) -> impl Iterator<Item = (&'a Value, String)> + use<'a, 'b> {
    alternative.iter().filter_map(move |place| {
        let value = place.keyword(keyword)?;
        Some((value, format!("{}/{keyword}", place.pointer)))
    })
}
