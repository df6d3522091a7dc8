//! The automaton of numbers: digit by digit, with a range, a divisor and limits on length.

use std::cmp::Ordering;

use super::{
    super::draft::{Classes, Draft},
    bound::{Bound, Progress, Range, Side},
};

/// What numbers are to be, in all.
#[derive(Debug)]
pub(super) struct Digits {
    pub(super) range: Range,
    pub(super) divisor: Option<Divisor>,
    pub(super) limits: Limits,
}

/// A number is a multiple if it is one of `of` and ends in so many zeros, after being multiplied by ten `places` times.
#[derive(Clone, Copy, Debug)]
pub(super) struct Divisor {
    pub(super) of: u64,
    pub(super) zeros: u64,
    pub(super) places: i64,
}

/// What is left of a number that has been read so far: the remainder without the zeros at its end, as far as they matter,
/// and how many these are. Zero ends in as many as one likes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Rest {
    remainder: u64,
    zeros: u64,
}

const NO_REST: Rest = Rest {
    remainder: 0,
    zeros: 0,
};

impl Divisor {
    fn start(&self) -> Rest {
        Rest {
            remainder: 0,
            zeros: self.zeros,
        }
    }

    fn appended(&self, rest: Rest, digit: u8) -> Rest {
        if digit == 0 && rest.zeros < self.zeros {
            return Rest {
                zeros: rest.zeros + 1,
                ..rest
            };
        }
        let shifted = (0..=rest.zeros).fold(rest.remainder, |sum, _| sum * 10 % self.of);
        if digit == 0 {
            return Rest {
                remainder: rest.remainder * 10 % self.of,
                ..rest
            };
        }
        Rest {
            remainder: (shifted + u64::from(digit)) % self.of,
            zeros: 0,
        }
    }

    fn divides(&self, rest: Rest) -> bool {
        rest.remainder == 0 && rest.zeros == self.zeros
    }
}

/// How many digits there may be; none for a limit that does not exist.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) whole: Option<u16>,
    pub(super) places: Option<u16>,
    /// Before and after the point, where there are digits after it.
    pub(super) together: Option<u16>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum At {
    Start,
    Minus,
    /// After a zero that nothing but a point can follow.
    Zero,
    Whole,
    Point,
    Places,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Place {
    at: At,
    negative: bool,
    whole: u16,
    places: u16,
    low: Progress,
    high: Progress,
    rest: Rest,
}

impl Digits {
    /// Nothing where it takes more than `most` nodes.
    pub(super) fn draft(&self, most: usize) -> Option<Draft> {
        let reading = Reading {
            digits: self,
            sides: [self.range.side(false), self.range.side(true)],
            matters: self.matters(),
        };
        let start = Place {
            at: At::Start,
            negative: false,
            whole: 0,
            places: 0,
            low: Progress::START,
            high: Progress::START,
            rest: self.divisor.map_or(NO_REST, |divisor| divisor.start()),
        };
        let classes = Classes::by(|byte| match byte {
            b'-' | b'.' | b'0'..=b'9' => byte,
            _ => 0,
        });
        Draft::explore(
            classes,
            start,
            most,
            |place| reading.ends(place),
            |place, byte| reading.step(*place, byte),
        )
    }

    /// How many digits before and after the point can make a difference.
    fn matters(&self) -> (i64, i64) {
        let bounds = || self.range.low.iter().chain(&self.range.high);
        let whole = bounds().map(|bound| bound.value.whole()).max();
        let places = bounds().map(|bound| bound.value.places()).max();
        let divided = self.divisor.map(|divisor| divisor.places);
        (whole.unwrap_or(0), places.max(divided).unwrap_or(0))
    }
}

struct Reading<'a> {
    digits: &'a Digits,
    /// Of numbers without and with a sign.
    sides: [Option<Side>; 2],
    matters: (i64, i64),
}

impl Reading<'_> {
    fn side(&self, negative: bool) -> Option<&Side> {
        self.sides.get(usize::from(negative))?.as_ref()
    }

    fn step(&self, place: Place, byte: u8) -> Option<Place> {
        if (place.at, byte) == (At::Start, b'-') {
            return Some(Place {
                at: At::Minus,
                negative: true,
                ..place
            });
        }
        let side = self.side(place.negative)?;
        match (place.at, byte) {
            (At::Start | At::Minus, b'0') => Some(Place {
                at: At::Zero,
                ..place
            }),
            (At::Start | At::Minus | At::Whole, b'0'..=b'9') => {
                self.whole(place, side, byte - b'0')
            }
            (At::Zero | At::Whole, b'.') => (self.digits.limits.places != Some(0)).then(|| Place {
                at: At::Point,
                low: pointed(place.low, side.low.as_ref(), place.whole),
                high: pointed(place.high, side.high.as_ref(), place.whole),
                ..place
            }),
            (At::Point | At::Places, b'0'..=b'9') => self.place(place, side, byte - b'0'),
            _ => None,
        }
    }

    fn whole(&self, place: Place, side: &Side, digit: u8) -> Option<Place> {
        let limits = &self.digits.limits;
        if limits.whole.is_some_and(|most| place.whole >= most) {
            return None;
        }
        let at = place.whole.into();
        let whole = if limits.whole.is_none() && at > self.matters.0 {
            place.whole
        } else {
            place.whole.checked_add(1)?
        };
        Some(Place {
            at: At::Whole,
            whole,
            low: (side.low.as_ref()).map_or(place.low, |low| place.low.whole(low, at, digit)),
            high: (side.high.as_ref()).map_or(place.high, |high| place.high.whole(high, at, digit)),
            rest: self.appended(place.rest, digit),
            ..place
        })
    }

    fn place(&self, place: Place, side: &Side, digit: u8) -> Option<Place> {
        let limits = &self.digits.limits;
        let places = place.places.checked_add(1)?;
        if limits.places.is_some_and(|most| places > most)
            || limits
                .together
                .is_some_and(|most| place.whole + places > most)
        {
            return None;
        }
        let at = place.places.into();
        let rest = match self.digits.divisor {
            // Beyond the divisor's last place there can be nothing but zeros.
            Some(divisor) if at >= divisor.places => (digit == 0).then_some(place.rest)?,
            _ => self.appended(place.rest, digit),
        };
        Some(Place {
            at: At::Places,
            // Where nothing limits the places, those beyond all that matters are one.
            places: if limits.places.is_none() && at > self.matters.1 {
                place.places
            } else {
                places
            },
            low: (side.low.as_ref()).map_or(place.low, |low| place.low.place(low, at, digit)),
            high: (side.high.as_ref()).map_or(place.high, |high| place.high.place(high, at, digit)),
            rest,
            ..place
        })
    }

    fn appended(&self, rest: Rest, digit: u8) -> Rest {
        (self.digits.divisor).map_or(rest, |divisor| divisor.appended(rest, digit))
    }

    fn ends(&self, place: &Place) -> bool {
        if !matches!(place.at, At::Zero | At::Whole | At::Places) {
            return false;
        }
        let Some(side) = self.side(place.negative) else {
            return false;
        };
        let compared = |progress: Progress, bound: &Bound| {
            let progress = if place.at == At::Places {
                progress
            } else {
                progress.pointed(bound, place.whole.into())
            };
            progress.end(bound, place.places.into())
        };
        let beyond = |bound: Option<&Bound>, progress, wrong: Ordering| {
            bound.is_some_and(|bound| match compared(progress, bound) {
                Ordering::Equal => !bound.inclusive,
                other => other == wrong,
            })
        };
        !beyond(side.low.as_ref(), place.low, Ordering::Less)
            && !beyond(side.high.as_ref(), place.high, Ordering::Greater)
            && self.divides(place)
    }

    fn divides(&self, place: &Place) -> bool {
        let Some(divisor) = self.digits.divisor else {
            return true;
        };
        let left = divisor.places - i64::from(place.places);
        let rest = (0..left).fold(place.rest, |rest, _| divisor.appended(rest, 0));
        divisor.divides(rest)
    }
}

fn pointed(progress: Progress, bound: Option<&Bound>, whole: u16) -> Progress {
    bound.map_or(progress, |bound| progress.pointed(bound, whole.into()))
}
