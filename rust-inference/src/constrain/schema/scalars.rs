//! Numbers and strings.

use serde_json::Value;

use super::{Compiler, Place, facts::counts, shape, unfold::said};
use crate::constrain::{
    grammar::{Form, Shape},
    language::{Format, Language, LanguageError, NumberSpec, TextSpec},
    options::{Notation, Note},
};

/// Control characters for which JSON has no escape of two characters: they are not written.
pub(super) const NOT_IN_JSON: [&str; 27] = [
    "\0", "\u{1}", "\u{2}", "\u{3}", "\u{4}", "\u{5}", "\u{6}", "\u{7}", "\u{b}", "\u{e}", "\u{f}",
    "\u{10}", "\u{11}", "\u{12}", "\u{13}", "\u{14}", "\u{15}", "\u{16}", "\u{17}", "\u{18}",
    "\u{19}", "\u{1a}", "\u{1b}", "\u{1c}", "\u{1d}", "\u{1e}", "\u{1f}",
];

const BOUNDS: [&str; 5] = [
    "multipleOf",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
];

impl<'a> Compiler<'a> {
    /// `None`: there is no such number.
    pub(super) fn number(&mut self, alternative: &[Place<'a>], fractions: bool) -> Option<Shape> {
        let mut spec = NumberSpec::default();
        for place in alternative {
            let number = |keyword| place.keyword(keyword)?.as_number().cloned();
            spec = spec.and(NumberSpec {
                minimum: number("minimum"),
                maximum: number("maximum"),
                exclusive_minimum: number("exclusiveMinimum"),
                exclusive_maximum: number("exclusiveMaximum"),
                multiple_of: number("multipleOf").into_iter().collect(),
            });
        }
        // A validator takes a format of numbers for a mere remark.
        let exact = said(alternative, "format").next().is_none();
        for (format, pointer) in said(alternative, "format") {
            let name = format.as_str().unwrap_or_default();
            match NumberSpec::of_format(name) {
                Some(format) => spec = spec.and(format),
                None => self.note(Note::new(
                    pointer,
                    format!("the format {name:?} says nothing about numbers"),
                )),
            }
        }
        let mut language = self.digits(&spec, fractions);
        if let Err(error) = &language
            && self.leaves_out("multipleOf", alternative, error)
        {
            spec.multiple_of.clear();
            language = self.digits(&spec, fractions);
        }
        let language = self.language(language, alternative, &BOUNDS)?;
        let kind = if fractions { "number" } else { "integer" };
        let told = told(
            kind,
            alternative,
            &[BOUNDS.as_slice(), &["format"]].concat(),
        );
        Some(shape(Form::Word { language, exact }, told))
    }

    /// `None`: there is no such text.
    pub(super) fn text(&mut self, alternative: &[Place<'a>]) -> Option<Shape> {
        let (min, max) = counts(alternative, "minLength", "maxLength");
        let limit = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let mut formats = Vec::new();
        for (format, pointer) in said(alternative, "format") {
            let name = format.as_str().unwrap_or_default();
            match Format::parse(name) {
                Some(format) => formats.push(format),
                None => self.note(Note::new(
                    pointer,
                    format!("the format {name:?} is unknown and says nothing"),
                )),
            }
        }
        let patterns = said(alternative, "pattern").filter_map(|(value, _)| value.as_str());
        let mut spec = TextSpec {
            patterns: patterns.map(str::to_owned).collect(),
            formats,
            min: limit(min),
            max: max.map(limit),
            never: match self.notation {
                Notation::Call => vec!["<escape>"],
                Notation::Json => NOT_IN_JSON.to_vec(),
            },
        };
        let keywords = ["pattern", "minLength", "maxLength", "format"];
        let mut language = self.languages.text(&spec);
        if let Err(error) = &language
            && self.leaves_out("pattern", alternative, error)
        {
            spec.patterns.clear();
            language = self.languages.text(&spec);
        }
        let language = self.language(language, alternative, &keywords)?;
        Some(shape(
            Form::Text { language },
            told("string", alternative, &keywords),
        ))
    }

    fn digits(&mut self, spec: &NumberSpec, fractions: bool) -> Result<Language, LanguageError> {
        if fractions {
            self.languages.number(spec)
        } else {
            self.languages.integer(spec)
        }
    }

    /// Whether a keyword that makes too much of a language, or none, may be left out: it is told of then.
    fn leaves_out(
        &mut self,
        keyword: &'static str,
        alternative: &[Place<'a>],
        error: &LanguageError,
    ) -> bool {
        if !self.options.lenient {
            return false;
        }
        for (_, pointer) in said(alternative, keyword) {
            self.note(Note::new(pointer, error.to_string()));
        }
        said(alternative, keyword).next().is_some()
    }

    fn language(
        &mut self,
        language: Result<Language, LanguageError>,
        alternative: &[Place<'a>],
        keywords: &[&'static str],
    ) -> Option<Language> {
        match language {
            Ok(language) => (!language.is_empty()).then_some(language),
            Err(error) => {
                let at = (keywords.iter()).find_map(|keyword| said(alternative, keyword).next());
                let pointer: (&Value, String) = at?;
                self.refuse(pointer.1, error.to_string());
                None
            }
        }
    }
}

/// `string, maxLength 5, format date`.
fn told(kind: &str, alternative: &[Place<'_>], keywords: &[&'static str]) -> String {
    let said = keywords.iter().flat_map(|keyword| {
        said(alternative, keyword).map(move |(value, _)| match value {
            Value::String(text) => format!(", {keyword} {text}"),
            other => format!(", {keyword} {other}"),
        })
    });
    std::iter::once(kind.to_owned()).chain(said).collect()
}
