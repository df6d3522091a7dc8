//! `enum` and `const`: values that are written as they stand.

use serde_json::{Map, Value};

use super::{
    Compiler, Place,
    facts::Types,
    keywords::{Keyword, keyword},
    shape,
    unfold::said,
};
use crate::{
    constrain::{
        grammar::{ArrayForm, Field, Form, NodeId, ObjectForm, Shape},
        language,
        options::{ArgumentOrder, Notation, Note},
    },
    functiongemma::number_text,
};

/// The values that an alternative lists, if it lists any: those in all of its lists. And where.
pub(super) fn listed<'a>(alternative: &[Place<'a>]) -> Option<(Vec<&'a Value>, String)> {
    let lists = said(alternative, "enum")
        .filter_map(|(value, pointer)| Some((value.as_array()?.iter().collect(), pointer)))
        .chain(said(alternative, "const").map(|(value, pointer)| (vec![value], pointer)));
    let mut lists: Vec<(Vec<&Value>, String)> = lists.collect();
    let (mut values, pointer) = lists.pop()?;
    for (other, _) in &lists {
        values.retain(|value| other.iter().any(|other| same(value, other)));
    }
    Some((values, pointer))
}

/// Equal as JSON values: 1 is 1.0, and the order of keys does not count.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => {
            x == y || x.as_f64().is_some_and(|x| Some(x) == y.as_f64())
        }
        (Value::Array(x), Value::Array(y)) => {
            x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same(x, y))
        }
        (Value::Object(x), Value::Object(y)) => {
            let same_in_y = |(key, x)| y.get(key).is_some_and(|y| same(x, y));
            x.len() == y.len() && x.iter().all(same_in_y)
        }
        _ => a == b,
    }
}

impl<'a> Compiler<'a> {
    /// The shapes of listed values, those that the alternative's other keywords leave.
    pub(super) fn listed_shapes(
        &mut self,
        mut values: Vec<&'a Value>,
        pointer: &str,
        alternative: &[Place<'a>],
        types: Types,
    ) -> Vec<Shape> {
        values.retain(|value| types.has(Types::of(value)));
        if alternative.iter().any(says_more) {
            match self.validator(alternative) {
                Ok(validator) => values.retain(|value| validator.is_valid(value)),
                Err(error) => self.refuse(pointer.to_owned(), error),
            }
        }
        self.value_shapes(&values, pointer)
    }

    fn validator(&self, alternative: &[Place<'a>]) -> Result<jsonschema::Validator, String> {
        let mut schema = Map::new();
        for key in ["$defs", "definitions"] {
            if let Some(defs) = self.root.as_ref().and_then(|root| root.keyword(key)) {
                schema.insert(key.to_owned(), defs.clone());
            }
        }
        let all = alternative.iter().map(|place| place.schema.clone());
        schema.insert("allOf".to_owned(), all.collect());
        jsonschema::draft202012::new(&Value::Object(schema)).map_err(|error| error.to_string())
    }

    fn value_shapes(&mut self, values: &[&'a Value], pointer: &str) -> Vec<Shape> {
        let (mut texts, mut words, mut shapes) = (Vec::new(), Vec::new(), Vec::new());
        for value in values {
            match value {
                Value::String(text) => match self.unwritable(text) {
                    Some(what) => self.cannot(Note::new(pointer, what)),
                    None => texts.push(text.as_bytes()),
                },
                Value::Number(number) => match number_text(number) {
                    Ok(text) => words.push(text.into_bytes()),
                    Err(error) => self.cannot(Note::new(pointer, error.to_string())),
                },
                Value::Bool(value) => words.push(value.to_string().into_bytes()),
                Value::Null => words.push(self.null().as_bytes().to_vec()),
                Value::Array(items) => {
                    let first: Vec<NodeId> = (items.iter())
                        .map(|item| self.value_node(item, pointer))
                        .collect();
                    shapes.push(shape(
                        Form::Array(ArrayForm {
                            least: first.len(),
                            most: first.len(),
                            first,
                            rest: None,
                        }),
                        "",
                    ));
                }
                Value::Object(map) => shapes.extend(self.object_value(map, pointer)),
            }
        }
        let lengths = texts.iter().copied().chain(words.iter().map(Vec::as_slice));
        let longest = lengths.map(<[u8]>::len).max().unwrap_or(0) as u32;
        self.longest = self.longest.max(longest);
        if !texts.is_empty() {
            let language = language::literals(&texts);
            shapes.push(shape(Form::Text { language }, one_of("string", &texts)));
        }
        if !words.is_empty() {
            // 5 and 5.0 are one value in two spellings.
            let exact = !words.iter().any(|word| word.contains(&b'.'));
            let language = language::literals(&words);
            shapes.push(shape(
                Form::Word { language, exact },
                one_of("word", &words),
            ));
        }
        shapes
    }

    fn object_value(&mut self, map: &'a Map<String, Value>, pointer: &str) -> Option<Shape> {
        let mut fields = Vec::new();
        for (key, value) in map {
            fields.push(Field {
                literal: self.key(key, pointer)?,
                key: key.clone(),
                value: self.value_node(value, pointer),
                required: true,
            });
        }
        self.put_in_order(&mut fields);
        Some(shape(
            Form::Object(ObjectForm {
                declared: map.keys().cloned().collect(),
                fields,
                extra: None,
                closed: true,
            }),
            "",
        ))
    }

    fn value_node(&mut self, value: &'a Value, pointer: &str) -> NodeId {
        let id = self.new_node();
        let shapes = self.value_shapes(&[value], pointer);
        if let Some(node) = self.nodes.get_mut(id) {
            node.shapes = shapes;
        }
        id
    }

    /// Why a text cannot be written, if it cannot.
    pub(super) fn unwritable(&self, text: &str) -> Option<String> {
        match self.notation {
            Notation::Call => text
                .contains("<escape>")
                .then(|| format!("{text:?} holds <escape>, which ends every text of a call")),
            Notation::Json => (super::scalars::NOT_IN_JSON.iter())
                .any(|control| text.contains(control))
                .then(|| format!("{text:?} holds a control character")),
        }
    }

    pub(super) fn null(&self) -> &'static str {
        match self.notation {
            Notation::Call => "None",
            Notation::Json => "null",
        }
    }

    /// Fields in the order in which they are written.
    pub(super) fn put_in_order(&self, fields: &mut [Field]) {
        if self.options.order == ArgumentOrder::Sorted {
            fields.sort_by_cached_key(|field| field.key.to_lowercase());
        }
    }
}

/// Values that are shown.
const SHOWN: usize = 12;

fn one_of(kind: &str, values: &[impl AsRef<[u8]>]) -> String {
    let text = |value: &[u8]| match kind {
        "string" => format!("{:?}", String::from_utf8_lossy(value)),
        _ => String::from_utf8_lossy(value).into_owned(),
    };
    let shown = values.iter().take(SHOWN).map(|value| text(value.as_ref()));
    let shown = shown.collect::<Vec<_>>().join(", ");
    match values.len() {
        1 => shown,
        n if n > SHOWN => format!("one of {shown} and {} more", n - SHOWN),
        _ => format!("one of {shown}"),
    }
}

/// Whether a schema says more about a listed value than its type.
fn says_more(place: &Place<'_>) -> bool {
    (place.schema.as_object().into_iter().flatten()).any(|(key, value)| {
        !matches!(key.as_str(), "type" | "enum" | "const")
            && !matches!(keyword(key, value), Keyword::Annotation | Keyword::Unknown)
    })
}
