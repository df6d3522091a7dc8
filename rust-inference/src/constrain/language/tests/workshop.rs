//! Many languages at once.

use std::time::{Duration, Instant};

use super::{
    super::{Language, LanguageError, TextSpec, Workshop},
    numbers::spec as number_spec,
    patterns,
};

#[test]
fn what_is_asked_for_twice_is_made_once() {
    let mut workshop = Workshop::default();
    let spec = TextSpec {
        max: Some(20),
        ..patterns::spec(&["^a+b"])
    };
    let once = workshop.text(&spec).unwrap();
    assert_eq!(once.id(), workshop.text(&spec).unwrap().id());
    let bounded = number_spec(&[("minimum", "1")]);
    let once = workshop.number(&bounded).unwrap();
    assert_eq!(once.id(), workshop.number(&bounded).unwrap().id());
    assert_ne!(once.id(), workshop.integer(&bounded).unwrap().id());
}

/// What thousands of these cost.
fn check(what: &str, make: impl Fn(&mut Workshop, usize) -> Result<Language, LanguageError>) {
    let mut workshop = Workshop::default();
    let start = Instant::now();
    let made: Vec<_> = (0..20_000).map(|at| make(&mut workshop, at)).collect();
    let time = start.elapsed();
    assert!(
        made.first().is_some_and(
            |first| *first.as_ref().err().unwrap_or(&LanguageError::TooLarge)
                == LanguageError::TooLarge
        ),
        "{what}"
    );
    assert_eq!(
        made.last().and_then(|last| last.as_ref().err()),
        Some(&LanguageError::Spent),
        "{what}"
    );
    let size: usize = made.iter().flatten().map(Language::size).sum();
    assert!(size < 100 << 20, "{what}: {size} bytes");
    assert!(time < Duration::from_secs(20), "{what}: {time:?}");
    println!(
        "{what:12} {time:>12.1?} {size:>10} {}",
        made.iter().flatten().count()
    );
    // What costs nothing is there all the same.
    assert!(workshop.text(&patterns::spec(&[])).is_ok());
}

#[test]
fn thousands_of_expensive_languages_are_refused_in_bounded_time_and_memory() {
    check("refused", |workshop, at| {
        workshop.text(&patterns::spec(&[&format!(
            "^(([^a]|a.{{12}})*)(b.{{20}}|c.{{30}}){at}$"
        )]))
    });
    check("large", |workshop, at| {
        workshop.text(&patterns::spec(&[&format!(
            "^[^,]{{1,40}}(,[^,]{{1,40}}){{0,5}}{at}$"
        )]))
    });
    check("counted", |workshop, at| {
        workshop.text(&TextSpec {
            min: 100,
            max: Some(2000),
            ..patterns::spec(&[&format!("^(a|bc|{at})*(ab{{3}})?(:c{{1,60}})*$")])
        })
    });
    check("numbers", |workshop, at| {
        workshop.number(&number_spec(&[("maximum", &format!("{at}.5"))]))
    });
    check("divided", |workshop, at| {
        workshop.integer(&number_spec(&[
            ("multipleOf", "9999"),
            ("maximum", &at.to_string()),
        ]))
    });
}

#[test]
fn comparisons_have_a_limit_together() {
    let mut workshop = Workshop::default();
    let one = workshop
        .text(&TextSpec {
            max: Some(900),
            ..patterns::spec(&["^(ab)*$"])
        })
        .unwrap();
    let other = workshop
        .text(&TextSpec {
            min: 1,
            ..patterns::spec(&["^(abb)*$"])
        })
        .unwrap();
    let start = Instant::now();
    let apart = (0..1_000_000)
        .filter(|_| workshop.disjoint(&one, &other))
        .count();
    assert!(apart > 0 && apart < 1_000_000, "{apart}");
    assert!(start.elapsed() < Duration::from_secs(20));
}
