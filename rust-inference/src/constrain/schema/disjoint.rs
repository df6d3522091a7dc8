//! `oneOf`: exactly one branch may hold. That is kept only where no value can satisfy two of them, which is shown by
//! their types, by a listed value (`"kind": {"const": "circle"}`), or by the texts that they allow.

use crate::constrain::{
    grammar::{Form, NodeId, ObjectForm, Rules},
    language::Workshop,
    options::Note,
};

/// Levels of objects that are looked into.
const DEPTH: usize = 4;

/// The branches of one `oneOf`.
#[derive(Debug)]
pub(super) struct Exclusive {
    pub(super) pointer: String,
    pub(super) branches: Vec<NodeId>,
    /// Beside the branches a type is named.
    pub(super) typed: bool,
}

impl Exclusive {
    /// Which two branches may both hold, if any.
    pub(super) fn check(&self, rules: &Rules, languages: &mut Workshop) -> Option<Note> {
        for (i, a) in self.branches.iter().enumerate() {
            for (j, b) in self.branches.iter().enumerate().skip(i + 1) {
                let loose = |id: &NodeId| rules.node(*id).is_some_and(|node| node.loose);
                let told = self.typed || !(loose(a) || loose(b));
                if !(told && disjoint(rules, languages, *a, *b, DEPTH)) {
                    let what = format!(
                        "branches {i} and {j} may both hold for one value: use anyOf, or tell them apart by a required property with a const"
                    );
                    return Some(Note::new(self.pointer.clone(), what));
                }
            }
        }
        None
    }
}

/// Surely no value is of both.
fn disjoint(rules: &Rules, languages: &mut Workshop, a: NodeId, b: NodeId, depth: usize) -> bool {
    let (Some(a), Some(b)) = (rules.node(a), rules.node(b)) else {
        return false;
    };
    let mut apart = |a: &Form, b: &Form| match (a, b) {
        (Form::Text { language }, Form::Text { language: other }) => {
            languages.disjoint(language, other)
        }
        (
            Form::Word { language, exact },
            Form::Word {
                language: other,
                exact: also,
            },
        ) => *exact && *also && languages.disjoint(language, other),
        (Form::Array(_), Form::Array(_)) => false,
        (Form::Object(a), Form::Object(b)) => {
            depth > 0
                && (told_apart(rules, languages, a, b, depth - 1)
                    || told_apart(rules, languages, b, a, depth - 1))
        }
        _ => true,
    };
    (a.shapes.iter()).all(|a| b.shapes.iter().all(|b| apart(&a.form, &b.form)))
}

/// Whether a key that `a` requires cannot have in `b` what it has in `a`.
fn told_apart(
    rules: &Rules,
    languages: &mut Workshop,
    a: &ObjectForm,
    b: &ObjectForm,
    depth: usize,
) -> bool {
    (a.fields.iter().filter(|field| field.required)).any(|field| {
        match b.fields.iter().find(|other| other.key == field.key) {
            Some(other) => {
                let loose = |id| rules.node(id).is_some_and(|node| node.loose);
                !(loose(field.value) || loose(other.value))
                    && disjoint(rules, languages, field.value, other.value, depth)
            }
            None => b.closed || b.declared.contains(&field.key),
        }
    })
}
