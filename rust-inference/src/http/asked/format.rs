//! `response_format`, and what responses call `text.format`: prose or JSON.

use ipc::proto::ResponseFormat;

use crate::http::{error::ApiError, fields::Fields};

/// The form of an answer's text.
#[derive(Debug, Default, PartialEq)]
pub(in crate::http) struct Format {
    pub(in crate::http) format: Option<ResponseFormat>,
    /// A schema that cannot be guaranteed is to be refused.
    pub(in crate::http) strict: bool,
}

/// Where a schema stands.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) enum Wrapped {
    /// In an object `json_schema` of its own, as in chat completions.
    Yes,
    /// Beside the type, as in responses.
    No,
}

pub(in crate::http) fn format(asked: Option<Fields>, wrapped: Wrapped) -> Result<Format, ApiError> {
    let Some(mut fields) = asked else {
        return Ok(Format::default());
    };
    let kind = fields.needed_text("type")?;
    let mut strict = false;
    let mut schema = String::new();
    match kind.as_str() {
        "text" | "json_object" => {}
        "json_schema" => {
            let mut inner = match wrapped {
                Wrapped::Yes => fields.needed_object("json_schema")?,
                Wrapped::No => fields.rest(),
            };
            strict = inner.flag("strict")?.unwrap_or(false);
            schema = match inner.take("schema") {
                Some(schema) => schema.to_string(),
                None => return Err(inner.wrong("schema", "is missing")),
            };
            inner.text("name")?;
            inner.text("description")?;
            inner.end()?;
        }
        other => {
            let what = format!("is {other:?}: possible are text, json_object and json_schema");
            return Err(fields.wrong("type", &what));
        }
    }
    fields.end()?;
    let format = (kind != "text").then_some(ResponseFormat {
        r#type: kind,
        schema,
    });
    Ok(Format { format, strict })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn asked(value: &Value, wrapped: Wrapped) -> Result<Format, ApiError> {
        let fields = Fields::of(value.clone(), "response_format")?;
        format(Some(fields), wrapped)
    }

    #[test]
    fn a_schema_is_read_from_either_place_as_it_was_written() {
        let schema = json!({"type": "object", "properties": {"z": {}, "a": {}}});
        let expected = Format {
            format: Some(ResponseFormat {
                r#type: "json_schema".to_owned(),
                schema: schema.to_string(),
            }),
            strict: true,
        };
        let inner = json!({"name": "n", "schema": schema, "strict": true});
        let chat = json!({"type": "json_schema", "json_schema": inner});
        assert_eq!(asked(&chat, Wrapped::Yes).unwrap(), expected);
        let flat = json!({"type": "json_schema", "name": "n", "schema": schema, "strict": true});
        assert_eq!(asked(&flat, Wrapped::No).unwrap(), expected);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (value, param) in [
            (json!({}), "response_format.type"),
            (json!({"type": "grammar"}), "response_format.type"),
            (
                json!({"type": "json_schema"}),
                "response_format.json_schema",
            ),
            (
                json!({"type": "json_schema", "json_schema": {"name": "n"}}),
                "response_format.json_schema.schema",
            ),
            (json!({"type": "text", "more": 1}), "response_format.more"),
        ] {
            let error = asked(&value, Wrapped::Yes).unwrap_err();
            assert_eq!(error.param.as_deref(), Some(param), "{value}");
        }
        assert_eq!(
            asked(&json!({"type": "text"}), Wrapped::Yes).unwrap(),
            Format::default()
        );
    }
}
