//! Formats against the validator.

use proptest::prelude::*;
use serde_json::json;

use super::{
    super::{Format, Language, TextSpec, format::all, integer, literals, number, text},
    after, check_completions, has,
    numbers::spec as number_spec,
    patterns::spec as pattern_spec,
    walk,
};

fn of(formats: &[Format]) -> Language {
    let spec = TextSpec {
        formats: formats.to_vec(),
        ..pattern_spec(&[])
    };
    text(&spec).unwrap()
}

fn is_valid(name: &str, text: &str) -> bool {
    let schema = json!({"type": "string", "format": name});
    let validator = jsonschema::options()
        .should_validate_formats(true)
        .should_ignore_unknown_formats(false)
        .build(&schema)
        .unwrap();
    validator.is_valid(&json!(text))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_walked_of_a_format_is_valid(which in 0_usize..13, choices in prop::collection::vec(any::<u8>(), 0..90)) {
        let (name, format) = all().nth(which).unwrap();
        let language = of(&[format]);
        let bytes = walk(&language, &choices);
        for end in 0..=bytes.len() {
            let text = String::from_utf8_lossy(&bytes[..end]);
            if has(&language, &bytes[..end]) {
                prop_assert!(is_valid(name, &text), "{} {:?}", name, text);
            }
        }
    }
}

#[test]
fn the_usual_forms_are_there() {
    for (name, texts) in [
        (
            "date",
            &["2024-02-29", "2023-12-31", "1999-04-30", "2000-02-29"][..],
        ),
        ("time", &["08:30:06Z", "23:59:59.123+05:30"]),
        (
            "date-time",
            &["1963-06-19T08:30:06.283185Z", "2024-02-29T00:00:00-08:00"],
        ),
        (
            "duration",
            &["P4DT12H30M5S", "P1Y", "PT0S", "P2W", "P1M", "PT36H"],
        ),
        (
            "email",
            &[
                "joe.bloggs@example.com",
                "te~st@example.com",
                "a@b",
                "x+y@mail.co.uk",
            ],
        ),
        (
            "hostname",
            &[
                "www.example.com",
                "xn4gbwdl",
                "a.b-c.d",
                "localhost",
                "1host",
            ],
        ),
        ("ipv4", &["192.168.0.1", "255.255.255.255", "0.0.0.0"]),
        (
            "ipv6",
            &[
                "::1",
                "::",
                "2001:db8::ff00:42:8329",
                "1:2:3:4:5:6:7:8",
                "::ffff:192.168.0.1",
                "1:2:3:4:5:6:7::",
                "1::8",
            ],
        ),
        (
            "uri",
            &[
                "http://foo.bar/?baz=qux#quux",
                "mailto:a@b.de",
                "urn:oasis:names",
                "https://u:p@h:8080/a/b.c?x=%20#y",
                "http://[::1]/",
                "file:///etc/hosts",
            ],
        ),
        (
            "uri-reference",
            &["/abc", "a/b?c", "#x", "", "//h/p", "http://a.b", "./a:b"],
        ),
        (
            "uuid",
            &[
                "2EB8AA08-AA98-11EA-B4AA-73B441D16380",
                "00000000-0000-0000-0000-000000000000",
            ],
        ),
        ("json-pointer", &["", "/foo/0/a~1b/ü~0"]),
        ("relative-json-pointer", &["1", "0#", "2/a/b", "120/foo"]),
    ] {
        let language = of(&[Format::parse(name).unwrap()]);
        for text in texts {
            assert!(has(&language, text), "{name} {text}");
            check_completions(&language, text.as_bytes());
        }
    }
}

#[test]
fn what_is_no_date_or_address_is_refused() {
    for (name, texts) in [
        (
            "date",
            &[
                "2023-02-29",
                "1900-02-29",
                "2024-04-31",
                "2024-13-01",
                "2024-1-01",
                "0000-01-01",
            ][..],
        ),
        ("time", &["24:00:00Z", "08:30:06", "23:59:60Z"]),
        ("duration", &["P", "PT", "P1", "P1YT", "P1D2H", "P2W1D"]),
        ("email", &["a", "@b", ".a@b", "a.@b", "a..b@c", "a@b@c"]),
        ("hostname", &["", "-a", "a-", "a..b", "a_b", "ab--cd"]),
        ("ipv4", &["256.0.0.1", "01.2.3.4", "1.2.3"]),
        (
            "ipv6",
            &[
                "1:2:3:4:5:6:7:8::",
                "1::2::3",
                ":1",
                "12345::",
                "1:2:3:4:5:6:7",
            ],
        ),
        ("uri", &["/abc", "http:// a", "a b:c", "http://a/%g"]),
        (
            "uuid",
            &[
                "2eb8aa08aa9811eab4aa73b441d16380",
                "2eb8aa08-aa98-11ea-b4aa-73b441d1638",
            ],
        ),
    ] {
        let language = of(&[Format::parse(name).unwrap()]);
        for text in texts {
            assert!(!has(&language, text), "{name} {text}");
        }
    }
    let long = of(&[Format::Hostname]);
    assert!(has(&long, vec!["a".repeat(63); 3].join(".")) && !has(&long, "a".repeat(64)));
    assert!(after(&long, vec!["a".repeat(63); 4].join(".").as_bytes()).is_none());
}

#[test]
fn a_format_and_a_pattern_hold_together() {
    let spec = TextSpec {
        formats: vec![Format::Date],
        max: Some(10),
        ..pattern_spec(&["^20", "-29$"])
    };
    let language = text(&spec).unwrap();
    assert!(
        has(&language, "2024-02-29")
            && !has(&language, "2023-02-29")
            && !has(&language, "1999-01-29")
    );
    assert!(of(&[Format::Ipv4, Format::Date]).is_empty());
}

#[test]
fn one_format_is_one_table() {
    assert_eq!(of(&[Format::DateTime]).id(), of(&[Format::DateTime]).id());
    assert_eq!(Format::parse("iri"), None);
}

#[test]
fn what_is_valid_but_never_written_keeps_languages_from_being_disjoint() {
    // Formats are annotations to some: any text is valid for them.
    assert!(!of(&[Format::Ipv4]).is_apart_from(&of(&[Format::Date])));
    assert!(!of(&[Format::Ipv4]).is_apart_from(&literals(&["leap"])));
    let large = integer(&number_spec(&[("minimum", "1e20")])).unwrap();
    assert!(!large.is_apart_from(&integer(&number_spec(&[])).unwrap()));
    assert!(!literals(&["3.00"]).is_apart_from(&integer(&number_spec(&[])).unwrap()));
    assert!(
        !integer(&number_spec(&[]))
            .unwrap()
            .is_apart_from(&number(&number_spec(&[])).unwrap())
    );
}

#[test]
fn numbers_of_other_ranges_or_kinds_are_disjoint() {
    let low = integer(&number_spec(&[("maximum", "10")])).unwrap();
    let high = number(&number_spec(&[("exclusiveMinimum", "10")])).unwrap();
    assert!(
        low.is_apart_from(&high)
            && high.is_apart_from(&low)
            && low.is_apart_from(&literals(&["3.5", "11"]))
    );
    assert!(!low.is_apart_from(&literals(&["3.5", "-11"])));
    let odd = |text: &str| text_of(text).is_apart_from(&text_of("^b"));
    assert!(odd("^a") && !odd("a"));
}

fn text_of(pattern: &str) -> Language {
    text(&pattern_spec(&[pattern])).unwrap()
}
