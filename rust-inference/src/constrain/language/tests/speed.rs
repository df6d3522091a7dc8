//! How long languages take to be made: `cargo test --lib -- --ignored --nocapture how_long`.

use std::time::{Duration, Instant};

use super::{
    super::{Language, LanguageError, TextSpec, format, integer, literals, number, text},
    numbers::spec,
    patterns,
};

/// The least of a few times.
fn time(name: &str, make: impl Fn() -> Result<Language, LanguageError>) -> Duration {
    let time = (0..5).map(|_| {
        let start = Instant::now();
        let made = make();
        let time = start.elapsed();
        (time, made.map(|language| language.table.len()))
    });
    let (time, made) = time.min_by_key(|(time, _)| *time).unwrap();
    println!("{name:40} {time:>12.1?} {made:?}");
    time
}

#[test]
#[ignore = "it measures"]
fn how_long_languages_take() {
    let values: Vec<String> = (0..10_000)
        .map(|value| format!("value number {}", value * 7919))
        .collect();
    time("10 literals", || Ok(literals(&values[..10])));
    time("10,000 literals", || Ok(literals(&values)));
    time("integer 0..100", || {
        integer(&spec(&[("minimum", "0"), ("maximum", "100")]))
    });
    time("integer from 1", || integer(&spec(&[("minimum", "1")])));
    time("number 0..1", || {
        number(&spec(&[("minimum", "0"), ("maximum", "1")]))
    });
    time("number from 0", || {
        number(&spec(&[("exclusiveMinimum", "0")]))
    });
    time("number -90..90", || {
        number(&spec(&[("minimum", "-90"), ("maximum", "90")]))
    });
    time("number of 0.01", || {
        number(&spec(&[("multipleOf", "0.01")]))
    });
    time("integer of 12", || integer(&spec(&[("multipleOf", "12")])));
    time("integer of 9999", || {
        integer(&spec(&[("multipleOf", "9999")]))
    });
    time("integer of 9999 to 1000000", || {
        integer(&spec(&[
            ("multipleOf", "9999"),
            ("minimum", "0"),
            ("maximum", "1e6"),
        ]))
    });
    for pattern in [
        "^[A-Z]{3}-\\d{4}$",
        "foo",
        "^[a-z0-9-]{1,64}$",
        "^\\S+@\\S+\\.\\S+$",
        "^https?://",
        "^.{1,60}$",
    ] {
        time(pattern, || text(&patterns::spec(&[pattern])));
    }
    for pattern in patterns::catastrophic() {
        time(pattern.get(..40).unwrap_or(&pattern), || {
            text(&patterns::spec(&[&pattern]))
        });
    }
    for (name, format) in format::all() {
        let start = Instant::now();
        let nodes = format.draft().len();
        println!("{name:40} {:>12.1?} {nodes} once", start.elapsed());
        let spec = TextSpec {
            formats: vec![format],
            ..patterns::spec(&[])
        };
        time(name, || text(&spec));
    }
    time("number of 99.99", || {
        number(&spec(&[("multipleOf", "99.99")]))
    });
}
