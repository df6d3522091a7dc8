//! Languages of integers and numbers.
//!
//! They are written without exponents and without `-0`. What no bound limits is limited in length: an integer to
//! 18 digits, a number to 15 digits, which is what a double keeps, of which at most 12 are after the point. A value that is
//! written in this way and lies within the bounds can be written, whatever its bounds are.

mod bound;
mod decimal;
mod digits;

use std::sync::{Arc, OnceLock};

use serde_json::Number;

use super::{Language, Valid, error::LanguageError, table::Table};
use bound::{Bound, Range};
use decimal::Decimal;
use digits::{Digits, Divisor, Limits};

/// Digits that an integer has before it counts as unlimited.
const INTEGER_DIGITS: u16 = 18;
/// Digits that every double keeps.
const DOUBLE_DIGITS: u16 = 15;
const PLACES: u16 = 12;
/// A bound with more digits before the point is out of reach.
const MOST_DIGITS: u16 = 64;
const LARGEST_DIVISOR: u64 = 10_000;
/// Digits after a divisor's point.
const MOST_PLACES: i64 = 64;
/// With a larger divisor characters are counted instead of nodes multiplied.
const SMALL_DIVISOR: u64 = 200;
const MOST_NODES: usize = 120_000;

/// What a number has to satisfy, all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct NumberSpec {
    pub minimum: Option<Number>,
    pub maximum: Option<Number>,
    pub exclusive_minimum: Option<Number>,
    pub exclusive_maximum: Option<Number>,
    pub multiple_of: Vec<Number>,
}

impl NumberSpec {
    /// The values that a format of `OpenAPI` stands for; nothing for a format that is not of numbers.
    pub fn of_format(name: &str) -> Option<Self> {
        let (minimum, maximum) = match name {
            "int8" => (Some(i8::MIN.into()), Some(i8::MAX.into())),
            "int16" => (Some(i16::MIN.into()), Some(i16::MAX.into())),
            "int32" => (Some(i32::MIN.into()), Some(i32::MAX.into())),
            "int64" => (Some(i64::MIN.into()), Some(i64::MAX.into())),
            "uint8" => (Some(0.into()), Some(u8::MAX.into())),
            "uint16" => (Some(0.into()), Some(u16::MAX.into())),
            "uint32" => (Some(0.into()), Some(u32::MAX.into())),
            "uint64" => (Some(0.into()), Some(u64::MAX.into())),
            "float" | "double" => (None, None),
            _ => return None,
        };
        Some(Self {
            minimum,
            maximum,
            ..Self::default()
        })
    }

    /// What satisfies both.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        let tighter = |mine: &mut Option<Number>, other: Option<Number>, high: bool| {
            let value = |number: &Number| Decimal::parse(&number.to_string());
            if let Some(other) = other
                && (mine.as_ref()).is_none_or(|mine| (value(mine) > value(&other)) == high)
            {
                *mine = Some(other);
            }
        };
        tighter(&mut self.minimum, other.minimum, false);
        tighter(&mut self.maximum, other.maximum, true);
        tighter(&mut self.exclusive_minimum, other.exclusive_minimum, false);
        tighter(&mut self.exclusive_maximum, other.exclusive_maximum, true);
        self.multiple_of.extend(other.multiple_of);
        self
    }

    fn range(&self) -> Result<Range, LanguageError> {
        let bounds = |closed: &Option<Number>, open: &Option<Number>| {
            let bound = |number: &Number, inclusive| {
                let text = number.to_string();
                let value = Decimal::parse(&text).ok_or(LanguageError::Number(text))?;
                Ok(Bound { value, inclusive })
            };
            let closed = closed
                .as_ref()
                .map(|number| bound(number, true))
                .transpose()?;
            let open = open
                .as_ref()
                .map(|number| bound(number, false))
                .transpose()?;
            Ok::<_, LanguageError>((closed, open))
        };
        let (closed, open) = bounds(&self.minimum, &self.exclusive_minimum)?;
        let low = match (closed, open) {
            (Some(closed), Some(open)) if closed.value > open.value => Some(closed),
            (closed, open) => open.or(closed),
        };
        let (closed, open) = bounds(&self.maximum, &self.exclusive_maximum)?;
        let high = match (closed, open) {
            (Some(closed), Some(open)) if closed.value < open.value => Some(closed),
            (closed, open) => open.or(closed),
        };
        Ok(Range { low, high })
    }

    /// One divisor for all.
    fn divisor(&self) -> Result<Option<Divisor>, LanguageError> {
        let steps: Vec<Decimal> = self
            .multiple_of
            .iter()
            .map(decimal)
            .collect::<Result<_, _>>()?;
        if steps.iter().any(|step| step.is_zero() || step.negative) {
            return Err(LanguageError::NoDivisor);
        }
        let Some(places) = steps.iter().map(Decimal::places).max() else {
            return Ok(None);
        };
        let of = (steps.iter()).try_fold(1, |all, step| {
            let step = step.scaled(places)?;
            (all / divisor_of_both(all, step)).checked_mul(step)
        });
        // Zeros at its end are counted, not multiplied.
        let mut of = of.unwrap_or(u64::MAX);
        let mut zeros = 0;
        while of % 10 == 0 {
            of /= 10;
            zeros += 1;
        }
        if of > LARGEST_DIVISOR || places > MOST_PLACES {
            return Err(LanguageError::Divisor(LARGEST_DIVISOR));
        }
        Ok(Some(Divisor { of, zeros, places }))
    }
}

/// The integers that satisfy `spec`.
pub fn integer(spec: &NumberSpec) -> Result<Language, LanguageError> {
    made(spec, true, &mut 0)
}

/// The numbers that satisfy `spec`, integers among them.
pub fn number(spec: &NumberSpec) -> Result<Language, LanguageError> {
    made(spec, false, &mut 0)
}

/// Only `whole` ones, or all. `spent`: the bytes of tables on the way are added to it.
pub(super) fn made(
    spec: &NumberSpec,
    whole: bool,
    spent: &mut usize,
) -> Result<Language, LanguageError> {
    static FREE: [OnceLock<Language>; 2] = [const { OnceLock::new() }; 2];
    let free = FREE
        .get(usize::from(whole))
        .filter(|_| *spec == NumberSpec::default());
    if let Some(known) = free.and_then(OnceLock::get) {
        return Ok(known.clone());
    }
    let language = fresh(spec, whole, spent)?;
    Ok(match free {
        Some(place) => place.get_or_init(|| language).clone(),
        None => language,
    })
}

fn fresh(spec: &NumberSpec, whole: bool, spent: &mut usize) -> Result<Language, LanguageError> {
    let range = spec.range()?;
    let divisor = spec.divisor()?;
    let limits = limits(&range, divisor, whole);
    let digits = Digits {
        range,
        divisor,
        limits,
    };
    let draft = digits.draft(MOST_NODES);
    *spent += draft
        .as_ref()
        .map_or(MOST_NODES * 48, |draft| draft.next.len() * 4);
    let draft = draft.ok_or(LanguageError::TooLarge)?;
    let all = Language::of_table(Arc::new(Table::of_draft(draft.minimal())));
    let mut language = if limits.whole.is_some() {
        all
    } else {
        all.bounded(0, Some(DOUBLE_DIGITS.into()))?
    };
    let all_valid = Arc::new(AllValid {
        spec: spec.clone(),
        whole,
        table: OnceLock::new(),
    });
    // Where the limits leave nothing there must not be anything without them either.
    if language.is_empty()
        && !digits.range.is_empty()
        && all_valid.table().is_none_or(|table| !table.is_empty())
    {
        return Err(LanguageError::OutOfReach);
    }
    language.valid = Some(Valid::Number(all_valid));
    *spent += language.size();
    Ok(language)
}

/// All numbers, or all whole ones, that satisfy a specification, however many digits they have. Made when it is asked for.
#[derive(Debug)]
pub(super) struct AllValid {
    spec: NumberSpec,
    whole: bool,
    table: OnceLock<Option<Arc<Table>>>,
}

impl AllValid {
    /// Nothing where it is too much.
    pub(super) fn table(&self) -> Option<Arc<Table>> {
        self.table.get_or_init(|| self.made()).clone()
    }

    fn made(&self) -> Option<Arc<Table>> {
        let mut spec = self.spec.clone();
        if self.whole {
            spec.multiple_of.push(1.into());
        }
        let digits = Digits {
            range: spec.range().ok()?,
            divisor: spec.divisor().ok()?,
            limits: Limits {
                whole: None,
                places: None,
                together: None,
            },
        };
        let draft = digits.draft(MOST_NODES)?;
        Some(Arc::new(Table::of_draft(draft.minimal())))
    }
}

fn limits(range: &Range, divisor: Option<Divisor>, integer: bool) -> Limits {
    let places = if integer { 0 } else { PLACES };
    if let Some(divisor) =
        divisor.filter(|divisor| divisor.of * (divisor.zeros + 1) > SMALL_DIVISOR)
    {
        return Limits {
            whole: None,
            places: Some(places.min(u16::try_from(divisor.places).unwrap_or(PLACES))),
            together: None,
        };
    }
    let mut whole = if integer && divisor.is_none() {
        INTEGER_DIGITS
    } else {
        DOUBLE_DIGITS
    };
    // Who divides by a fraction does it in doubles.
    if divisor.is_none_or(|divisor| divisor.places == 0) {
        let digits = |bound: &Bound| u16::try_from(bound.value.whole()).unwrap_or(u16::MAX);
        for side in [range.side(false), range.side(true)].into_iter().flatten() {
            // One more than the nearest value has: it may be that nothing of its own length lies within.
            let near = side.low.as_ref().map_or(0, digits);
            let far = side.high.as_ref().map_or(0, digits);
            whole = (whole.max(near.saturating_add(1).min(MOST_DIGITS)))
                .max(if far > MOST_DIGITS { 0 } else { far });
        }
    }
    Limits {
        whole: Some(whole),
        places: Some(places),
        together: Some(DOUBLE_DIGITS),
    }
}

fn decimal(number: &Number) -> Result<Decimal, LanguageError> {
    let text = number.to_string();
    Decimal::parse(&text).ok_or(LanguageError::Number(text))
}

fn divisor_of_both(one: u64, other: u64) -> u64 {
    if other == 0 {
        one
    } else {
        divisor_of_both(other, one % other)
    }
}
