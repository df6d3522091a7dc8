//! How tokens are drawn. The API's default is a temperature of 1; ours is 0: a tiny model that is to make calls should make
//! the same call each time, and whoever wants variety says so.

use ipc::proto::Sampling;
use serde_json::Value;

use crate::http::{error::ApiError, fields::Fields};

/// Without a temperature the most probable token is taken, unless another field says how to draw: that would mean nothing
/// at temperature 0, so it is 1 then, as in the API.
pub(in crate::http) fn sampling(request: &mut Fields) -> Result<Sampling, ApiError> {
    let temperature = request.number("temperature")?;
    let top_p = request.number("top_p")?;
    let min_p = request.number("min_p")?.unwrap_or(0.0);
    let top_k = request.count("top_k", 0..=u32::MAX)?.unwrap_or(0);
    let seed = seed(request)?;
    let draws = top_p.is_some_and(|p| p < 1.0) || min_p > 0.0 || top_k > 0;
    let temperature = match (temperature, top_p) {
        // Of the smallest set that has no probability one token is left; to the protocol 0 is all of them.
        (_, Some(0.0)) => 0.0,
        (Some(temperature), _) => temperature,
        (None, _) if draws => 1.0,
        (None, _) => 0.0,
    };
    Ok(Sampling {
        temperature: temperature as f32,
        top_k,
        top_p: top_p.unwrap_or(0.0) as f32,
        seed,
        min_p: min_p as f32,
    })
}

fn seed(request: &mut Fields) -> Result<Option<u64>, ApiError> {
    match request.take("seed") {
        None => Ok(None),
        // A negative one is as good as another.
        Some(Value::Number(seed)) => (seed.as_u64())
            .or_else(|| seed.as_i64().map(i64::cast_unsigned))
            .map(Some)
            .ok_or_else(|| request.wrong("seed", "is not a whole number of 64 bits")),
        Some(_) => Err(request.wrong("seed", "is not a whole number of 64 bits")),
    }
}

/// Penalties and their like change which tokens are drawn, and are not to be had: only their neutral values are.
pub(in crate::http) fn nothing_beside(request: &mut Fields) -> Result<(), ApiError> {
    let zero = |value: &Value| value.as_f64() == Some(0.0);
    for name in ["frequency_penalty", "presence_penalty"] {
        request.only(name, zero, "is not supported here: leave it out, or 0")?;
    }
    let empty = |value: &Value| value.as_object().is_some_and(serde_json::Map::is_empty);
    request.only("logit_bias", empty, "is not supported here: leave it out")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn asked(value: Value) -> Sampling {
        let mut fields = Fields::of(value, "").unwrap();
        let sampling = sampling(&mut fields).unwrap();
        fields.end().unwrap();
        sampling
    }

    #[test]
    fn nothing_said_is_greedy_and_what_only_means_something_when_drawing_draws() {
        for (value, temperature) in [
            (json!({}), 0.0),
            (json!({"seed": 7, "top_p": 1}), 0.0),
            (json!({"temperature": 0.5}), 0.5),
            (json!({"top_p": 0.9}), 1.0),
            (json!({"top_k": 5}), 1.0),
            (json!({"min_p": 0.1}), 1.0),
            (json!({"temperature": 0, "top_p": 0.9}), 0.0),
            (json!({"temperature": 1, "top_p": 0}), 0.0),
        ] {
            let got = asked(value.clone()).temperature;
            assert!((got - temperature).abs() < 1e-6, "{value}: {got}");
        }
    }

    #[test]
    fn seeds_are_whole_numbers_of_either_sign() {
        assert_eq!(asked(json!({"seed": u64::MAX})).seed, Some(u64::MAX));
        assert_eq!(asked(json!({"seed": -1})).seed, Some(u64::MAX));
        for wrong in [json!({"seed": 1.5}), json!({"seed": "a"})] {
            assert!(sampling(&mut Fields::of(wrong, "").unwrap()).is_err());
        }
    }

    #[test]
    fn penalties_are_refused_unless_they_do_nothing() {
        let check = |value| nothing_beside(&mut Fields::of(value, "").unwrap());
        let fine = json!({"frequency_penalty": 0, "presence_penalty": 0.0, "logit_bias": {}});
        assert!(check(fine).is_ok());
        for name in ["frequency_penalty", "presence_penalty"] {
            assert_eq!(
                check(json!({name: 0.1})).unwrap_err().param.as_deref(),
                Some(name)
            );
        }
        assert!(check(json!({"logit_bias": {"5": 1}})).is_err());
    }
}
