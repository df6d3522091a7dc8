//! JSON values in the format's notation, which is that of the reference template's Python.

use serde_json::{Map, Number, Value};

use super::{MAX_DEPTH, control, prompt::Writer, render::RenderError};

/// How the keys of an object are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keys {
    /// In calls and responses.
    Bare,
    /// In the parts of a declaration that have no rule of their own.
    Escaped,
}

pub(super) fn write(
    out: &mut Writer,
    value: &Value,
    keys: Keys,
    depth: usize,
) -> Result<(), RenderError> {
    if depth > MAX_DEPTH {
        return Err(RenderError::TooDeep(MAX_DEPTH));
    }
    match value {
        Value::String(text) => out.escaped(text),
        Value::Bool(true) => out.text("true"),
        Value::Bool(false) => out.text("false"),
        Value::Null => out.text("None"),
        Value::Number(number) => out.text(&number_text(number)?),
        Value::Array(values) => {
            out.text("[");
            for (i, value) in values.iter().enumerate() {
                if i > 0 {
                    out.text(",");
                }
                write(out, value, keys, depth + 1)?;
            }
            out.text("]");
        }
        Value::Object(map) => object(out, map, keys, depth)?,
    }
    Ok(())
}

/// `{key:value,…}` in the order of [`sorted`].
pub(super) fn object(
    out: &mut Writer,
    map: &Map<String, Value>,
    keys: Keys,
    depth: usize,
) -> Result<(), RenderError> {
    out.text("{");
    for (i, (key, value)) in sorted(map).into_iter().enumerate() {
        if i > 0 {
            out.text(",");
        }
        match keys {
            Keys::Escaped => out.escaped(key),
            Keys::Bare => write_key(out, key),
        }
        out.text(":");
        write(out, value, keys, depth + 1)?;
    }
    out.text("}");
    Ok(())
}

/// Jinja's `dictsort`: by key, ignoring case, ties in the order they came in.
pub(super) fn sorted(map: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut pairs: Vec<_> = map.iter().collect();
    pairs.sort_by_cached_key(|(key, _)| key.to_lowercase());
    pairs
}

/// A key stands bare before its colon.
///
/// *Repair*: one that could not be read back, which the reference writes bare too, is delimited like a text. What a tool
/// gives has such keys (`10:30`, `Price, EUR`), and must not end the conversation.
pub(super) fn write_key(out: &mut Writer, key: &str) {
    if is_bare_key(key) {
        out.text(key);
    } else {
        out.escaped(key);
    }
}

/// A key that can be read back without delimiters.
pub(crate) fn is_bare_key(key: &str) -> bool {
    !(key.is_empty()
        || key != key.trim()
        || key.contains([':', ',', '{', '}', '[', ']'])
        || control::ALL.iter().any(|token| key.contains(token)))
}

/// Python's `str()` of what `json.loads` makes of a number: integers of any size as they are, floats shortest.
pub(crate) fn number_text(number: &Number) -> Result<String, RenderError> {
    let text = number.to_string();
    if !text.contains(['.', 'e', 'E']) {
        return Ok(if text == "-0" { "0".to_owned() } else { text });
    }
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(python_float(value)),
        _ => Err(RenderError::Number(text)),
    }
}

/// `repr` of a Python float: fixed notation from 1e-4 to below 1e16, else an exponent of at least two digits.
fn python_float(value: f64) -> String {
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let fixed = value.to_string();
        return if fixed.contains('.') {
            fixed
        } else {
            fixed + ".0"
        };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_python_writes_them() {
        for (json, python) in [
            ("0", "0"),
            ("-0", "0"),
            ("-4.5", "-4.5"),
            ("1000.0", "1000.0"),
            ("1e-5", "1e-05"),
            ("0.0001", "0.0001"),
            ("1e15", "1000000000000000.0"),
            ("1e16", "1e+16"),
            ("1.5E300", "1.5e+300"),
            ("9007199254740993", "9007199254740993"),
            (
                "123456789012345678901234567890",
                "123456789012345678901234567890",
            ),
            ("0.1", "0.1"),
            ("-0.0", "-0.0"),
        ] {
            let number: Number = serde_json::from_str(json).unwrap();
            assert_eq!(number_text(&number).unwrap(), python, "{json}");
        }
        let huge: Number = serde_json::from_str("1e999").unwrap();
        assert!(number_text(&huge).is_err());
    }
}
