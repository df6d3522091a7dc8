//! What the schemas of one alternative say together about the type of a value.

use serde_json::{Map, Value};

use super::{
    Place,
    keywords::{Keyword, keyword},
    unfold::said,
};

/// A set of JSON types; `number` is integers and fractions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Types(u8);

impl Types {
    pub(super) const NULL: Self = Self(1);
    pub(super) const BOOLEAN: Self = Self(2);
    pub(super) const INTEGER: Self = Self(4);
    pub(super) const FRACTION: Self = Self(8);
    pub(super) const STRING: Self = Self(16);
    pub(super) const ARRAY: Self = Self(32);
    pub(super) const OBJECT: Self = Self(64);
    const NUMBER: Self = Self(4 | 8);
    pub(super) const ALL: Self = Self(127);

    fn named(name: &str) -> Self {
        match name {
            "null" => Self::NULL,
            "boolean" => Self::BOOLEAN,
            "integer" => Self::INTEGER,
            "number" => Self::NUMBER,
            "string" => Self::STRING,
            "array" => Self::ARRAY,
            "object" => Self::OBJECT,
            _ => Self(0),
        }
    }

    /// The types that one `type` keyword allows.
    fn said(value: &Value) -> Self {
        let names = std::slice::from_ref(value);
        let names = value.as_array().map_or(names, Vec::as_slice);
        (names.iter().filter_map(Value::as_str))
            .fold(Self(0), |all, name| Self(all.0 | Self::named(name).0))
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(super) fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Of a value.
    pub(super) fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::NULL,
            Value::Bool(_) => Self::BOOLEAN,
            Value::Number(number) => {
                let whole = |value: f64| value.fract() == 0.0;
                if number.is_i64() || number.is_u64() || number.as_f64().is_none_or(whole) {
                    Self::INTEGER
                } else {
                    Self::FRACTION
                }
            }
            Value::String(_) => Self::STRING,
            Value::Array(_) => Self::ARRAY,
            Value::Object(_) => Self::OBJECT,
        }
    }
}

/// The keywords that speak of one type only.
const SPEAKERS: [(Types, &[&str]); 4] = [
    (
        Types::OBJECT,
        &["properties", "required", "additionalProperties"],
    ),
    (
        Types::ARRAY,
        &[
            "items",
            "prefixItems",
            "minItems",
            "maxItems",
            "uniqueItems",
        ],
    ),
    (
        Types::STRING,
        &["pattern", "minLength", "maxLength", "format"],
    ),
    (
        Types::NUMBER,
        &[
            "minimum",
            "maximum",
            "exclusiveMinimum",
            "exclusiveMaximum",
            "multipleOf",
        ],
    ),
];

/// The types that all of `type` allow. Where no type is named, a keyword that speaks of one only is taken to mean it: then
/// `true` is given too.
pub(super) fn types(alternative: &[Place<'_>]) -> (Types, bool) {
    let mut named = said(alternative, "type").peekable();
    if named.peek().is_some() {
        let all = named.fold(Types::ALL, |all, (value, _)| all.and(Types::said(value)));
        return (all, false);
    }
    let speaks = |keywords: &[&str]| {
        (keywords.iter()).any(|name| {
            alternative
                .iter()
                .any(|place| place.keyword(name).is_some())
        })
    };
    let meant = SPEAKERS.iter().find(|(_, keywords)| speaks(keywords));
    (meant.map_or(Types::ALL, |(types, _)| *types), true)
}

/// A schema with no word on values beyond their type.
pub(super) fn says_nothing(schema: &Map<String, Value>) -> bool {
    (schema.iter()).all(|(key, value)| {
        key == "type" || matches!(keyword(key, value), Keyword::Annotation | Keyword::Unknown)
    })
}

/// The largest of the lower bounds and the smallest of the upper ones, of counts.
pub(super) fn counts(
    alternative: &[Place<'_>],
    least: &'static str,
    most: &'static str,
) -> (usize, Option<usize>) {
    // A count may be spelt 2.0.
    let count = |(value, _): (&Value, String)| value.as_f64().map(|count| count as usize);
    let least = said(alternative, least).filter_map(count).max();
    let most = said(alternative, most).filter_map(count).min();
    (least.unwrap_or(0), most)
}
