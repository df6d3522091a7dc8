//! One alternative's keywords to the shapes of its values.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{
    Compiler, Place,
    facts::{Types, counts, types},
    keywords::{Keyword, keyword},
    pointer_step, shape,
    unfold::said,
    values,
};
use crate::{
    constrain::{
        grammar::{ArrayForm, Field, Form, NodeId, ObjectForm, Shape, Symbol},
        language,
        options::{Notation, Note},
    },
    functiongemma::is_bare_key,
};

static ANYTHING: Value = Value::Bool(true);

impl<'a> Compiler<'a> {
    /// The shapes of a conjunction, and whether values of other types are valid too. `only`: the types that are possible
    /// at this place.
    pub(super) fn shapes(
        &mut self,
        conjunction: &[Place<'a>],
        only: Option<Types>,
    ) -> (Vec<Shape>, bool) {
        let (mut shapes, mut loose) = (Vec::new(), false);
        for alternative in self.alternatives(conjunction) {
            self.report(&alternative);
            let (types, inferred) = types(&alternative);
            let types = only.map_or(types, |only| types.and(only));
            if let Some((values, pointer)) = values::listed(&alternative) {
                let types = if inferred { Types::ALL } else { types };
                shapes.extend(self.listed_shapes(values, &pointer, &alternative, types));
                continue;
            }
            loose |= inferred && only.is_none();
            let mut words = Vec::new();
            if types.has(Types::NULL) {
                words.push(self.null());
            }
            if types.has(Types::BOOLEAN) {
                words.extend(["true", "false"]);
            }
            if !words.is_empty() {
                let (language, exact) = (language::literals(&words), true);
                shapes.push(shape(Form::Word { language, exact }, words.join(" or ")));
            }
            if types.has(Types::INTEGER) {
                shapes.extend(self.number(&alternative, types.has(Types::FRACTION)));
            }
            if types.has(Types::STRING) {
                shapes.extend(self.text(&alternative));
            }
            if types.has(Types::ARRAY) {
                shapes.push(self.array(&alternative));
            }
            if types.has(Types::OBJECT) {
                shapes.extend(self.object(&alternative));
            }
        }
        (shapes, loose)
    }

    /// Tells of the keywords that are not honoured.
    fn report(&mut self, alternative: &[Place<'a>]) {
        for place in alternative {
            for (name, value) in place.schema.as_object().into_iter().flatten() {
                let pointer = || format!("{}/{}", place.pointer, pointer_step(name));
                match keyword(name, value) {
                    Keyword::Unsupported => {
                        let what = format!("the keyword {name} is not supported");
                        self.cannot(Note::new(pointer(), what));
                    }
                    Keyword::Unknown => {
                        let what = format!("the keyword {name} is unknown and says nothing");
                        self.note(Note::new(pointer(), what));
                    }
                    Keyword::Known | Keyword::Annotation => {}
                }
            }
        }
    }

    fn array(&mut self, alternative: &[Place<'a>]) -> Shape {
        let (least, most) = counts(alternative, "minItems", "maxItems");
        for (value, pointer) in said(alternative, "uniqueItems") {
            if *value == Value::Bool(true) && most.is_none_or(|most| most > 1) {
                let what = "the keyword uniqueItems is not supported";
                self.cannot(Note::new(pointer, what));
            }
        }
        let prefix = |place: &Place<'a>| place.keyword("prefixItems")?.as_array();
        let longest = (alternative
            .iter()
            .filter_map(|place| prefix(place).map(Vec::len)))
        .max();
        let longest = longest.unwrap_or(0);
        let item = |place: &Place<'a>, index: usize| {
            if let Some(own) = prefix(place).and_then(|list| list.get(index)) {
                return Some(place.child(own, &format!("prefixItems/{index}")));
            }
            Some(place.child(place.keyword("items")?, "items"))
        };
        let mut node = |index| {
            let schemas = alternative.iter().filter_map(|place| item(place, index));
            self.node_or_any(schemas.collect())
        };
        let first = (0..longest).map(&mut node).collect();
        shape(
            Form::Array(ArrayForm {
                first,
                rest: Some(node(longest)),
                least,
                most: most.unwrap_or(usize::MAX),
            }),
            "",
        )
    }

    /// `None` if a required key can never be written.
    fn object(&mut self, alternative: &[Place<'a>]) -> Option<Shape> {
        let properties = |place: &Place<'a>| -> Option<&'a Map<String, Value>> {
            place.keyword("properties")?.as_object()
        };
        let required: Vec<&'a str> = said(alternative, "required")
            .filter_map(|(value, _)| value.as_array())
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let declared = alternative.iter().filter_map(properties).flatten();
        let mut seen = HashSet::new();
        let keys: Vec<&'a str> = (declared.map(|(key, _)| key.as_str()))
            .chain(required.iter().copied())
            .filter(|key| seen.insert(*key))
            .collect();
        let required: HashSet<&str> = required.into_iter().collect();
        let pointer = alternative.first().map(|place| place.pointer.clone());
        let pointer = pointer.unwrap_or_default();
        let mut fields = Vec::new();
        for key in &keys {
            let schemas: Vec<Place<'a>> = (alternative.iter())
                .filter_map(|place| {
                    if let Some(own) = properties(place).and_then(|list| list.get(*key)) {
                        let path = format!("properties/{}", pointer_step(key));
                        return Some(place.child(own, &path));
                    }
                    let others = place.keyword("additionalProperties")?;
                    Some(place.child(others, "additionalProperties"))
                })
                .collect();
            let required = required.contains(key);
            match self.key(key, &pointer) {
                Some(literal) => fields.push(Field {
                    key: (*key).to_owned(),
                    literal,
                    value: self.node_or_any(schemas),
                    required,
                }),
                None if required => return None,
                None => {}
            }
        }
        self.put_in_order(&mut fields);
        let (extra, closed) = self.extra(alternative);
        Some(shape(
            Form::Object(ObjectForm {
                fields,
                extra,
                declared: keys.into_iter().map(str::to_owned).collect(),
                closed,
            }),
            "",
        ))
    }

    /// The values of undeclared keys, and whether such keys are forbidden.
    fn extra(&mut self, alternative: &[Place<'a>]) -> (Option<NodeId>, bool) {
        let additional: Vec<Place<'a>> = (alternative.iter())
            .filter_map(|place| {
                let schema = place.keyword("additionalProperties")?;
                Some(place.child(schema, "additionalProperties"))
            })
            .collect();
        let mut unevaluated = false;
        for place in alternative {
            let Some(value) = place.keyword("unevaluatedProperties") else {
                continue;
            };
            let pointer = format!("{}/unevaluatedProperties", place.pointer);
            if *value != Value::Bool(true) && !self.sees_all(place, alternative) {
                let what = "unevaluatedProperties does not see the properties beside it: write it where all of them are below it";
                self.cannot(Note::new(pointer.clone(), what));
            }
            if !value.is_boolean() {
                let what = "unevaluatedProperties is supported as true or false only";
                self.cannot(Note::new(pointer, what));
            }
            unevaluated |= *value != Value::Bool(true);
        }
        if (additional.iter()).any(|place| *place.schema == Value::Bool(false)) {
            return (None, true);
        }
        // Where properties are listed and nothing is said of others, a model had better not invent any.
        let listed = (alternative.iter()).any(|place| place.keyword("properties").is_some());
        if additional.is_empty() && (listed || unevaluated) {
            return (None, false);
        }
        (Some(self.node_or_any(additional)), false)
    }

    /// The literal of a key and its colon; `None` if it cannot be written.
    pub(super) fn key(&mut self, key: &str, pointer: &str) -> Option<usize> {
        if let Some(what) = self.unwritable(key) {
            self.cannot(Note::new(pointer, what));
            return None;
        }
        let bytes = |text: &str| text.bytes().map(Symbol::Byte).collect::<Vec<_>>();
        let mut symbols = match self.notation {
            Notation::Json => bytes(&Value::from(key).to_string()),
            Notation::Call if is_bare_key(key) => bytes(key),
            Notation::Call => [vec![Symbol::Escape], bytes(key), vec![Symbol::Escape]].concat(),
        };
        symbols.push(Symbol::Byte(b':'));
        Some(self.literal(symbols))
    }

    /// The node of all these schemas together; of anything, if there is none.
    fn node_or_any(&mut self, mut schemas: Vec<Place<'a>>) -> NodeId {
        if schemas.is_empty() {
            schemas.push(Place {
                schema: &ANYTHING,
                pointer: String::new(),
            });
        }
        self.node(schemas)
    }
}
