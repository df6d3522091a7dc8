//! Patterns against a regular-expression engine and against the validator that calls are checked with.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::json;

use super::{
    super::{Language, LanguageError, TextSpec, literals, text},
    check_completions, has, walk,
};

pub(super) fn spec(patterns: &[&str]) -> TextSpec {
    TextSpec {
        patterns: patterns.iter().copied().map(str::to_owned).collect(),
        never: vec!["<escape>"],
        ..TextSpec::default()
    }
}

fn of(pattern: &str) -> Language {
    text(&spec(&[pattern])).unwrap_or_else(|error| panic!("{pattern}: {error}"))
}

/// Patterns as schemas have them.
const PATTERNS: &[&str] = &[
    "^[A-Z]{3}-\\d{4}$",
    "foo",
    "^foo",
    "foo$",
    "^$",
    "",
    "^(a|bc)*$",
    "^a|b$",
    "(^a|b)c",
    "a.c",
    "^[^<>]*$",
    "^\\S+@\\S+\\.\\S+$",
    "^\\w+([-.]\\w+)*$",
    "^[a-zA-Z0-9_-]{1,64}$",
    "^https?://[^\\s/$.?#].[^\\s]*$",
    "^(?:[01]\\d|2[0-3]):[0-5]\\d$",
    "^#(?:[0-9a-fA-F]{3}){1,2}$",
    "^\\+?[1-9]\\d{1,14}$",
    "^\\$?[0-9]{1,3}(,[0-9]{3})*(\\.[0-9]{2})?$",
    "\\p{Lu}\\p{Ll}+",
    "^[\\u00e4\\u{1F980}\\x41-\\x43]+$",
    "^[\\w.%+-]+$",
    "^[\\]\\\\^-]+$",
    "^(?<year>\\d{4})-(?<month>\\d{2})$",
    "(?i)^hello",
    "\\s\\S",
    "^\\/api\\/",
    "^.{2,5}$",
    "^\\W\\D$",
    "a{0}b",
    "^[^\\d\\s]$",
    "x*?y+?",
    "^(?!\\s*$).+",
    "^(?=.*[a-z])(?=.*[A-Z1-5]).{2,8}$",
    "(?i)^(?=a|b)(?!.*[)|]|ab)\\S*",
    "^(?!foo)(?!(a|b)c).*$",
    "^(?!\\d)(?=\\S)[^x]*$",
    "^(?!\\w+$)[^x]*$",
];

proptest! {
    #[test]
    fn a_pattern_means_what_it_means_to_an_engine(pattern in prop::sample::select(PATTERNS), text in "[abcfoxyAZ1-5<>@.:/#$+ \\\\^-]{0,12}|foo[ -~]{0,3}|[ä🦀ABC]{1,3}|[A-Z]{3}-[0-9]{4}|https?://[ -~]{1,5}|\\PC{0,6}|[ \r\n]{1,2}\\S") {
        let schema = json!({"type": "string", "pattern": pattern});
        let valid = jsonschema::is_valid(&schema, &json!(text));
        // A dot is no line terminator; the validator's is just no line feed. With lookahead it knows no ECMAScript.
        let dots = pattern.contains('.') && text.contains(['\r', '\u{2028}', '\u{2029}']);
        let disputed = pattern.contains("^(?") && !text.is_ascii();
        if disputed {
            prop_assert!(!has(&of(pattern), &text) || valid, "{} {:?}", pattern, text);
        } else if !dots && !text.contains("<escape>") {
            prop_assert_eq!(has(&of(pattern), &text), valid, "{} {:?}", pattern, text);
        }
    }

    #[test]
    fn what_is_walked_along_a_pattern_matches_it(pattern in prop::sample::select(PATTERNS), other in prop::sample::select(PATTERNS), choices in prop::collection::vec(any::<u8>(), 0..24), min in 0_u32..9, more in prop::option::of(0_u32..9)) {
        let max = more.map(|more| min + more);
        for patterns in [&[pattern][..], &[pattern, other][..]] {
            let language = text(&TextSpec { min, max, ..spec(patterns) }).unwrap();
            if language.is_empty() {
                continue;
            }
            let bytes = walk(&language, &choices);
            check_completions(&language, &bytes);
            let text = String::from_utf8(bytes).unwrap();
            let schema = json!({"allOf": patterns.iter().map(|pattern| json!({"pattern": pattern})).collect::<Vec<_>>(), "minLength": min, "maxLength": max.unwrap_or(u32::MAX)});
            prop_assert!(jsonschema::is_valid(&schema, &json!(text)) && !text.contains("<escape>"), "{:?} {:?}", patterns, text);
        }
    }

    #[test]
    fn arbitrary_patterns_are_refused_or_mean_what_they_mean_to_an_engine(pattern in "([ab]|\\[\\^?[ab-]{0,3}\\]|\\(|\\(\\?:|\\)|\\||[*+?]|\\{[0-2],?[0-2]?\\}|\\^|\\$|\\\\[dwsb.-]){1,8}", text in "[ab1 -]{0,5}") {
        let schema = json!({"pattern": pattern});
        if let (Ok(language), Ok(validator)) = (text_of(&pattern), jsonschema::validator_for(&schema)) {
            // Rust takes a bracket that comes first in a class for a member of it.
            let classes = pattern.contains("[]") || pattern.contains("[^]");
            if !classes {
                prop_assert_eq!(has(&language, &text), validator.is_valid(&json!(text)), "{} {:?}", pattern, text);
            }
        }
    }
}

fn text_of(pattern: &str) -> Result<Language, LanguageError> {
    text(&spec(&[pattern]))
}

#[test]
fn what_is_peculiar_to_ecmascript_is_kept() {
    for (pattern, text, fits) in [
        ("^a$", "a\n", false),
        ("^.$", "\u{2028}", false),
        ("^.$", "🦀", true),
        ("^\\s$", "\u{FEFF}", true),
        ("^\\w$", "ä", false),
        ("^\\d$", "٣", false),
        ("^[^]$", "\n", true),
        ("^a[]b?", "a", false),
        ("^\\uD83E\\uDD80$", "🦀", true),
        ("^\\cJ$", "\n", true),
        ("^[\\b]$", "\u{8}", true),
        ("^a{$", "a{", true),
        ("^{a}]$", "{a}]", true),
        ("^[[a&&b]+$", "[a&b", true),
        ("^[a--]+$", "-a", false),
        ("\\bfoo\\b", "a foo", true),
        ("\\bfoo\\b", "afoo", false),
        ("^(?!\\bfoo\\b)", "afoo", true),
        ("^(?!\\bfoo\\b)", "foo a", false),
        ("^(?!a{9,})a", "aaaaaaaaaaa", false),
        ("^(?=.{9,20}$)a*", "aaaaaaaa", false),
        ("^(?=.{9,20}$)a*", "aaaaaaaaa", true),
        ("^a\\Bb", "ab", true),
        ("^\\0$", "\0", true),
        ("^[\\w-z]+$", "a-z", true),
        ("^[\\d-x]+$", "1-x", true),
    ] {
        match text_of(pattern) {
            Ok(language) => assert_eq!(has(&language, text), fits, "{pattern} {text:?}"),
            Err(error) => assert!(!fits, "{pattern}: {error}"),
        }
    }
}

#[test]
fn what_no_automaton_can_do_is_refused_with_its_reason() {
    for (pattern, reason) in [
        ("(?=a)b", "lookahead"),
        ("^(?=a)b|c", "lookahead"),
        ("^(?=a)*b", "lookahead"),
        ("^(?=a(?=b))", "lookahead"),
        ("^(?=a", "lookahead"),
        ("(?<!a)b", "lookbehind"),
        ("(a)\\1", "backreference"),
        ("(?<n>a)\\k<n>", "backreference"),
        ("a**", "nothing to repeat"),
        ("(*a)", "nothing to repeat"),
        ("(a", ") is missing"),
        ("a)", ") too many"),
        ("[a", "] is missing"),
        ("[b-a]", "before its start"),
        ("\\", "after the last"),
        ("\\p{Nonsense}", "property"),
        ("\\uD800", "hexadecimal number"),
        ("\\Z", "no meaning"),
        ("(?#a)", "not ECMAScript's"),
        ("a{3,2}", "repetition"),
    ] {
        let error = text_of(pattern).expect_err(pattern).to_string();
        assert!(error.contains(reason), "{pattern}: {error}");
    }
}

/// Patterns that would take forever, or all memory.
pub(super) fn catastrophic() -> Vec<String> {
    vec![
        "(a{1000}){1000}".to_owned(),
        "^(.{1,1000}){1,1000}$".to_owned(),
        "(\\p{L}{1,500}){500}".to_owned(),
        "(a|b)*a(a|b){40}".to_owned(),
        "^(.*x.*){30}y.{30}z".to_owned(),
        "((((((((((a{9}){9}){9}){9}){9}){9}){9}){9}){9}){9})".to_owned(),
        "^(([^a]|a.{12})*)(b.{20}|c.{30})$".to_owned(),
        "(".repeat(4000) + "a" + &")".repeat(4000),
        "a".repeat(10_001),
        (0..900)
            .map(|at| at.to_string())
            .collect::<Vec<_>>()
            .join(".*"),
        (0..1000)
            .map(|at| at.to_string())
            .collect::<Vec<_>>()
            .join(".*|.*"),
    ]
}

#[test]
fn a_catastrophic_pattern_is_refused_soon() {
    for pattern in catastrophic() {
        let start = Instant::now();
        let refused = text_of(&pattern);
        let time = start.elapsed();
        assert!(refused.is_err(), "{pattern:.60}");
        // Ten times what it takes, for machines that are busy with other tests.
        assert!(
            time < Duration::from_millis(500),
            "{pattern:.60} took {time:?}"
        );
    }
}

#[test]
fn many_repetitions_of_one_character_are_counted() {
    let language = of("^[\\s\\S]{1,10000}$");
    assert!(language.is_counted());
    assert!(
        has(&language, "ü\n".repeat(5000))
            && !has(&language, "x".repeat(10_001))
            && !has(&language, "")
    );
}

#[test]
fn what_comes_often_among_parts_of_known_length_is_counted() {
    for (pattern, fitting, wrong) in [
        (
            "^0x[a-f\\d]{40}$",
            "0x".to_owned() + &"f0".repeat(20),
            "0x".to_owned() + &"f0".repeat(19),
        ),
        ("^\\p{L}[\\p{L}-]{0,63}$", "ü-".repeat(32), "ü-".repeat(33)),
        (
            "^(?:ab|cd)x{9,}y{2}$",
            "cdxxxxxxxxxyy".to_owned(),
            "cdxxxxxxxxyy".to_owned(),
        ),
        (
            "^(?:[0-9a-f]{2}:){15}[0-9a-f]{2}$",
            "a0:".repeat(15) + "a0",
            "a0:".repeat(14) + "a0",
        ),
    ] {
        let language = of(pattern);
        assert!(
            language.is_counted() && language.table.len() < 1000,
            "{pattern}"
        );
        assert!(
            has(&language, &fitting) && !has(&language, &wrong),
            "{pattern}"
        );
        assert!(
            has(&language, language.shortest(language.start())),
            "{pattern}"
        );
    }
    for pattern in [
        "^(?:a|cd)x{9,}$",
        "^a?x{9,}$",
        "^x{9,}y{9,}$",
        "^x{9,}",
        "x{9,}$",
        "^(?:ab?){9,}$",
    ] {
        assert!(!of(pattern).is_counted(), "{pattern}");
    }
}

#[test]
fn of_too_many_repetitions_fewer_are_written() {
    let url = "^https?:\\/\\/(www\\.)?[-a-zA-Z0-9@:%._\\+~#=]{1,256}\\.[a-zA-Z0-9()]{1,6}\\b([-a-zA-Z0-9()@:%_\\+.~#?&//=]*)$";
    let language = of(url);
    assert!(
        has(&language, "https://www.example.com/a?b=c#d") && !has(&language, "https://example")
    );
    // What it does not write is valid all the same.
    assert!(!language.is_apart_from(&literals(&["never"])));
    // What must not be there must not be there in any number.
    let refused = text_of("^(?!.{0,100}foo.{0,100}bar)a").unwrap_err();
    assert_eq!(refused, LanguageError::TooLarge);
}

#[test]
fn too_many_lengths_are_refused() {
    let spec = TextSpec {
        min: 50_000,
        ..spec(&["^([a-z]{3}-)*$"])
    };
    assert_eq!(text(&spec).unwrap_err(), LanguageError::Lengths);
}

#[test]
fn single_bytes_and_words_may_be_kept_out_of_a_pattern() {
    let spec = TextSpec {
        never: vec!["\0", "\n", "abc", "ü"],
        ..spec(&["^[^x]*$"])
    };
    let language = text(&spec).unwrap();
    assert!(has(&language, "ab c\r ö"));
    for kept_out in ["a\nb", "\0", "aabcd", "x", "ü"] {
        assert!(!has(&language, kept_out), "{kept_out:?}");
    }
}
