//! Numbers against arithmetic and against the validator that calls are checked with.

use proptest::prelude::*;
use serde_json::{Number, Value, json};

use super::{
    super::{Language, LanguageError, NumberSpec, integer, number},
    check_completions, has, walk,
};

fn parsed(text: &str) -> Number {
    serde_json::from_str(text).expect("a number")
}

/// A specification from texts, by keyword.
pub(super) fn spec(keywords: &[(&str, &str)]) -> NumberSpec {
    let mut spec = NumberSpec::default();
    for (keyword, text) in keywords {
        let value = Some(parsed(text));
        match *keyword {
            "minimum" => spec.minimum = value,
            "maximum" => spec.maximum = value,
            "exclusiveMinimum" => spec.exclusive_minimum = value,
            "exclusiveMaximum" => spec.exclusive_maximum = value,
            _ => spec.multiple_of.extend(value),
        }
    }
    spec
}

fn schema(kind: &str, spec: &NumberSpec) -> Value {
    let mut schema = json!({"type": kind});
    for (keyword, value) in [
        ("minimum", &spec.minimum),
        ("maximum", &spec.maximum),
        ("exclusiveMinimum", &spec.exclusive_minimum),
        ("exclusiveMaximum", &spec.exclusive_maximum),
    ] {
        if let Some(value) = value {
            schema[keyword] = Value::Number(value.clone());
        }
    }
    let divisors = spec.multiple_of.iter().map(|of| json!({"multipleOf": of}));
    schema["allOf"] = divisors.chain([json!(true)]).collect();
    schema
}

/// Every end that the walk of `choices` comes to is valid.
fn check_walk(language: &Language, kind: &str, spec: &NumberSpec, choices: &[u8]) {
    if language.is_empty() {
        return;
    }
    let validator = jsonschema::validator_for(&schema(kind, spec)).expect("a schema");
    let text = walk(language, choices);
    for end in 1..=text.len() {
        let text = std::str::from_utf8(&text[..end]).expect("ASCII");
        if has(language, text) {
            let value: Value = serde_json::from_str(text).expect("a JSON number");
            assert!(validator.is_valid(&value), "{text} with {spec:?}");
            assert!(
                !text.starts_with("-0") || text.bytes().any(|byte| matches!(byte, b'1'..=b'9')),
                "{text}"
            );
        }
    }
}

/// Beyond 64 bits the validator compares doubles.
const WIDE: std::ops::Range<i64> = -(1 << 57)..1 << 57;

prop_compose! {
    fn decimal()(whole in prop_oneof![Just(0_i64), -20_i64..20, WIDE], places in prop_oneof![Just(String::new()), "\\.[0-9]{1,4}", "\\.0{1,3}[1-9]"], exponent in prop_oneof![4 => Just(""), 1 => Just("e-2"), 1 => Just("E+1")]) -> String {
        format!("{whole}{places}{exponent}")
    }
}

fn keywords() -> impl Strategy<Value = NumberSpec> {
    let keyword = prop::sample::select(vec![
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
    ]);
    let divisor = prop::sample::select(vec![
        "1", "2", "5", "7", "12", "2.5", "0.5", "0.01", "0.1", "0.03", "1e2", "1e-3", "1200",
        "0.25", "30",
    ]);
    (
        prop::collection::vec((keyword, decimal()), 0..4),
        prop::option::of(divisor),
    )
        .prop_map(|(bounds, divisor)| {
            let mut all: Vec<(&str, &str)> = bounds
                .iter()
                .map(|(keyword, text)| (*keyword, text.as_str()))
                .collect();
            all.extend(divisor.map(|divisor| ("multipleOf", divisor)));
            spec(&all)
        })
}

proptest! {
    #[test]
    fn in_a_window_exactly_the_integers_that_fit_are_written(low in -120_i64..120, more in -3_i64..130, open_low: bool, open_high: bool, of in prop::option::of(1_i64..13)) {
        let high = low + more;
        let mut spec = NumberSpec::default();
        *(if open_low { &mut spec.exclusive_minimum } else { &mut spec.minimum }) = Some(low.into());
        *(if open_high { &mut spec.exclusive_maximum } else { &mut spec.maximum }) = Some(high.into());
        spec.multiple_of.extend(of.map(Number::from));
        let language = integer(&spec).unwrap();
        let wider = number(&spec).unwrap();
        let fits = |value: i64| {
            (if open_low { value > low } else { value >= low })
                && (if open_high { value < high } else { value <= high })
                && of.is_none_or(|of| value % of == 0)
        };
        for value in -300..300 {
            prop_assert_eq!(has(&language, value.to_string()), fits(value), "{}", value);
            prop_assert_eq!(has(&wider, format!("{value}.0")), fits(value), "{}.0", value);
        }
        prop_assert_eq!(language.is_empty(), !(-300..300).any(fits));
    }

    #[test]
    fn in_a_window_exactly_the_decimals_that_fit_are_written(low in -250_i64..250, more in 0_i64..300, open_low: bool, open_high: bool, of in prop::option::of(1_i64..40)) {
        let hundredths = |value: i64| format!("{}{}.{:02}", if value < 0 { "-" } else { "" }, value.abs() / 100, value.abs() % 100);
        let high = low + more;
        let mut spec = NumberSpec::default();
        *(if open_low { &mut spec.exclusive_minimum } else { &mut spec.minimum }) = Some(parsed(&hundredths(low)));
        *(if open_high { &mut spec.exclusive_maximum } else { &mut spec.maximum }) = Some(parsed(&hundredths(high)));
        spec.multiple_of.extend(of.map(|of| parsed(&hundredths(of))));
        let language = number(&spec).unwrap();
        for value in -600..600 {
            let fits = (if open_low { value > low } else { value >= low })
                && (if open_high { value < high } else { value <= high })
                && of.is_none_or(|of| value % of == 0);
            let text = hundredths(value);
            prop_assert_eq!(has(&language, &text), fits, "{}", text);
            prop_assert_eq!(has(&language, format!("{text}000")), fits, "{}000", text);
        }
    }

    #[test]
    fn whatever_the_bounds_are_what_is_written_is_valid(spec in keywords(), choices in prop::collection::vec(any::<u8>(), 0..30)) {
        for (kind, language) in [("integer", integer(&spec)), ("number", number(&spec))] {
            if let Ok(language) = language {
                check_walk(&language, kind, &spec, &choices);
            }
        }
    }

    #[test]
    fn a_number_is_completed_by_as_few_digits_as_can_be(spec in keywords(), choices in prop::collection::vec(any::<u8>(), 0..12)) {
        for language in [integer(&spec), number(&spec)].into_iter().flatten().filter(|language| !language.is_empty()) {
            check_completions(&language, &walk(&language, &choices));
        }
    }
}

#[test]
fn an_integer_has_no_other_spelling() {
    let language = integer(&NumberSpec::default()).unwrap();
    for text in [
        "0",
        "7",
        "-7",
        "10",
        "999999999999999999",
        "-999999999999999999",
    ] {
        assert!(has(&language, text), "{text}");
    }
    for text in [
        "",
        "-",
        "-0",
        "01",
        "1.0",
        "1e3",
        "+1",
        "1000000000000000000",
        "1,000",
        " 1",
    ] {
        assert!(!has(&language, text), "{text}");
    }
}

#[test]
fn a_number_has_at_most_the_digits_of_a_double() {
    let language = number(&NumberSpec::default()).unwrap();
    for text in [
        "0",
        "0.5",
        "-0.5",
        "1.50",
        "-12.25",
        "123456789012345",
        "0.123456789012",
        "0.0",
        "12345678901234.5",
    ] {
        assert!(has(&language, text), "{text}");
    }
    for text in [
        "-0",
        "-0.0",
        "1.",
        ".5",
        "00.5",
        "0.1234567890123",
        "123456789012345.1",
        "1e5",
        "1234567890123456",
    ] {
        assert!(!has(&language, text), "{text}");
    }
}

#[test]
fn bounds_of_many_digits_are_exact() {
    let language = integer(&NumberSpec::of_format("uint64").unwrap()).unwrap();
    assert!(has(&language, "18446744073709551615") && !has(&language, "18446744073709551616"));
    assert!(!has(&language, "-1"));
    let language = integer(&spec(&[
        ("exclusiveMinimum", "-100000000000000000000000000000000"),
        ("maximum", "30000000000000000000000000000000"),
    ]))
    .unwrap();
    assert!(
        has(&language, "-99999999999999999999999999999999")
            && !has(&language, "-100000000000000000000000000000000")
    );
    assert!(
        has(&language, "30000000000000000000000000000000")
            && !has(&language, "30000000000000000000000000000001")
    );
    let language = integer(&spec(&[("minimum", "1e20")])).unwrap();
    assert!(has(&language, "100000000000000000000") && !has(&language, "99999999999999999999"));
    // For a double there is no difference between this and its whole part.
    let language = integer(&spec(&[("maximum", "-4503599627370496.1")])).unwrap();
    assert!(has(&language, "-4503599627370497") && !has(&language, "-4503599627370496"));
}

#[test]
fn bounds_out_of_reach_are_passed_over_or_refused() {
    let free = spec(&[("minimum", "-1e300"), ("maximum", "1e999999999999")]);
    assert!(has(&number(&free).unwrap(), "-12.5") && has(&integer(&free).unwrap(), "12"));
    let tiny = spec(&[("exclusiveMinimum", "5e-324")]);
    assert!(has(&number(&tiny).unwrap(), "0.000000000001") && !has(&number(&tiny).unwrap(), "0"));
    for far in [spec(&[("minimum", "1e300")]), spec(&[("maximum", "-1e70")])] {
        assert_eq!(number(&far).unwrap_err(), LanguageError::OutOfReach);
        assert_eq!(integer(&far).unwrap_err(), LanguageError::OutOfReach);
    }
    let narrow = spec(&[("minimum", "1e-30"), ("maximum", "2e-30")]);
    assert_eq!(number(&narrow).unwrap_err(), LanguageError::OutOfReach);
    assert!(integer(&narrow).unwrap().is_empty());
}

#[test]
fn divisors_are_together_and_bounded() {
    let language = integer(&spec(&[
        ("multipleOf", "4"),
        ("multipleOf", "6"),
        ("multipleOf", "0.5"),
    ]))
    .unwrap();
    assert!(
        has(&language, "12")
            && has(&language, "-24")
            && has(&language, "0")
            && !has(&language, "6")
    );
    for (of, error) in [
        ("10001", LanguageError::Divisor(10_000)),
        ("3e-999999999", LanguageError::Divisor(10_000)),
        ("7e300", LanguageError::Divisor(10_000)),
        ("0", LanguageError::NoDivisor),
        ("-2", LanguageError::NoDivisor),
    ] {
        assert_eq!(number(&spec(&[("multipleOf", of)])).unwrap_err(), error);
    }
    let fine = number(&spec(&[("multipleOf", "1e-60")])).unwrap();
    assert!(has(&fine, "0.25"));
    assert!(has(
        &integer(&spec(&[("multipleOf", "9999")])).unwrap(),
        "19998"
    ));
}

#[test]
fn a_round_divisor_may_be_large() {
    for (of, multiples) in [(1_000_000, 50), (86_400, 300), (3600, 300), (20_000_000, 3)] {
        let language = integer(&spec(&[("multipleOf", &of.to_string())])).unwrap();
        for value in (-multiples..=multiples).map(|at| at * of) {
            assert!(has(&language, value.to_string()), "{value} of {of}");
            for near in [value - 1, value + 10, value + of / 10, value + of / 2] {
                assert_eq!(
                    has(&language, near.to_string()),
                    near % of == 0,
                    "{near} of {of}"
                );
            }
        }
    }
}

#[test]
fn of_two_specifications_the_tighter_bounds_hold() {
    let one = spec(&[("minimum", "1"), ("maximum", "10"), ("multipleOf", "2")]);
    let other = spec(&[
        ("minimum", "3.5"),
        ("maximum", "1e3"),
        ("exclusiveMaximum", "8"),
        ("multipleOf", "3"),
    ]);
    let language = integer(&one.and(other)).unwrap();
    let all: Vec<i32> = (-20..20)
        .filter(|value| has(&language, value.to_string()))
        .collect();
    assert_eq!(all, [6]);
}
