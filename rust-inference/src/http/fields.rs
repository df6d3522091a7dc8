//! A JSON object taken apart field by field, so that at its end whatever nobody took is refused by its name: a field that
//! means something and is not honoured must not be passed over.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::error::ApiError;

/// What is left of an object, and where it stands in the request.
#[derive(Debug)]
pub(super) struct Fields {
    map: Map<String, Value>,
    path: String,
}

impl Fields {
    /// The object at `path`; the request itself has the path "".
    pub(super) fn of(value: Value, path: impl Into<String>) -> Result<Self, ApiError> {
        let path = path.into();
        match value {
            Value::Object(map) => Ok(Self { map, path }),
            _ if path.is_empty() => Err(ApiError::bad_request("the body is not a JSON object")),
            _ => Err(ApiError::invalid(
                path.clone(),
                format!("{path} is not an object"),
            )),
        }
    }

    /// The whole name of a field here.
    pub(super) fn path(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    /// The field is wrong.
    pub(super) fn wrong(&self, name: &str, what: &str) -> ApiError {
        let path = self.path(name);
        ApiError::invalid(path.clone(), format!("{path} {what}"))
    }

    /// The field asks for what this server does not do.
    pub(super) fn unsupported(&self, name: &str, what: &str) -> ApiError {
        self.wrong(name, what).with_code("unsupported_parameter")
    }

    /// A field's value; null is as good as nothing.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.map.shift_remove(name).filter(|value| !value.is_null())
    }

    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, ApiError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong(name, "is not a string")),
        }
    }

    pub(super) fn needed_text(&mut self, name: &str) -> Result<String, ApiError> {
        self.text(name)?
            .ok_or_else(|| self.wrong(name, "is missing"))
    }

    pub(super) fn flag(&mut self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(_) => Err(self.wrong(name, "is neither true nor false")),
        }
    }

    pub(super) fn number(&mut self, name: &str) -> Result<Option<f64>, ApiError> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let number = value.as_f64().filter(|number| number.is_finite());
        (number.map(Some)).ok_or_else(|| self.wrong(name, "is not a number"))
    }

    /// A whole number of this range.
    pub(super) fn count(
        &mut self,
        name: &str,
        range: RangeInclusive<u32>,
    ) -> Result<Option<u32>, ApiError> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let count = value.as_u64().and_then(|n| u32::try_from(n).ok());
        match count.filter(|n| range.contains(n)) {
            Some(count) => Ok(Some(count)),
            None if *range.end() == u32::MAX => {
                let what = format!("is not a whole number from {} on", range.start());
                Err(self.wrong(name, &what))
            }
            None => {
                let (from, to) = range.into_inner();
                let what = format!("is not a whole number from {from} to {to}");
                Err(self.wrong(name, &what))
            }
        }
    }

    pub(super) fn object(&mut self, name: &str) -> Result<Option<Self>, ApiError> {
        let path = self.path(name);
        self.take(name)
            .map(|value| Self::of(value, path))
            .transpose()
    }

    pub(super) fn needed_object(&mut self, name: &str) -> Result<Self, ApiError> {
        self.object(name)?
            .ok_or_else(|| self.wrong(name, "is missing"))
    }

    pub(super) fn list(&mut self, name: &str) -> Result<Option<Vec<Value>>, ApiError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Array(list)) => Ok(Some(list)),
            Some(_) => Err(self.wrong(name, "is not a list")),
        }
    }

    /// All that is left, to be taken by somebody else.
    pub(super) fn rest(&mut self) -> Self {
        Self {
            map: std::mem::take(&mut self.map),
            path: self.path.clone(),
        }
    }

    /// Fields that change nothing of an answer of this server, whatever they say.
    pub(super) fn without_effect(&mut self, names: &[&str]) {
        for name in names {
            self.map.shift_remove(*name);
        }
    }

    /// A field of which only what is done anyway may be asked for.
    pub(super) fn only(
        &mut self,
        name: &str,
        fine: impl Fn(&Value) -> bool,
        why: &str,
    ) -> Result<(), ApiError> {
        match self.take(name) {
            Some(value) if !fine(&value) => Err(self.unsupported(name, why)),
            _ => Ok(()),
        }
    }

    /// There is nothing left, but nulls.
    pub(super) fn end(self) -> Result<(), ApiError> {
        let mut left = self.map.iter().filter(|(_, value)| !value.is_null());
        let Some((name, _)) = left.next() else {
            return Ok(());
        };
        let error = self.wrong(name, "is not a field that this server knows: leave it out");
        Err(error.with_code("unknown_parameter"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields() -> Fields {
        let value = json!({"text": "a", "flag": true, "number": 0.5, "count": 3, "none": null});
        Fields::of(value, "at").unwrap()
    }

    #[test]
    fn what_is_not_taken_is_named() {
        let mut fields = fields();
        assert_eq!(fields.text("text").unwrap().as_deref(), Some("a"));
        assert_eq!(fields.flag("flag").unwrap(), Some(true));
        assert_eq!(fields.number("number").unwrap(), Some(0.5));
        let error = fields.end().unwrap_err();
        assert_eq!(error.param.as_deref(), Some("at.count"));
        assert_eq!(error.code, Some("unknown_parameter"));
    }

    #[test]
    fn nulls_are_as_good_as_nothing() {
        let mut fields = fields();
        assert_eq!(fields.text("none").unwrap(), None);
        fields.without_effect(&["text", "flag", "number", "count"]);
        assert!(fields.end().is_ok());
    }

    #[test]
    fn a_value_of_another_type_is_refused_by_its_place() {
        let mut fields = fields();
        for error in [
            fields.flag("text").unwrap_err(),
            Fields::of(json!({"text": 1}), "at")
                .unwrap()
                .text("text")
                .unwrap_err(),
        ] {
            assert_eq!(error.param.as_deref(), Some("at.text"));
        }
        assert!(
            fields
                .count("count", 4..=5)
                .unwrap_err()
                .message
                .contains("4 to 5")
        );
        let fraction = Fields::of(json!({"n": 1.5}), "").unwrap().count("n", 0..=9);
        assert_eq!(fraction.unwrap_err().param.as_deref(), Some("n"));
        assert!(Fields::of(json!([]), "").is_err());
    }
}
