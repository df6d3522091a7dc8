//! Where a number that is read digit by digit lies of a bound.

use std::cmp::Ordering;

use super::decimal::Decimal;

/// An end of a range of magnitudes.
#[derive(Clone, Debug)]
pub(super) struct Bound {
    pub(super) value: Decimal,
    pub(super) inclusive: bool,
}

/// How a number compares to a bound as far as it has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Progress(Ordering);

impl Progress {
    pub(super) const START: Self = Self(Ordering::Equal);

    /// After one more digit before the point, which is the one at `at`.
    pub(super) fn whole(self, bound: &Bound, at: i64, digit: u8) -> Self {
        if at >= bound.value.whole() {
            return Self(Ordering::Greater);
        }
        Self(self.0.then(digit.cmp(&bound.value.whole_digit(at))))
    }

    /// After all digits before the point, of which there were so many.
    pub(super) fn pointed(self, bound: &Bound, whole: i64) -> Self {
        Self(whole.cmp(&bound.value.whole()).then(self.0))
    }

    /// After one more digit after the point.
    pub(super) fn place(self, bound: &Bound, at: i64, digit: u8) -> Self {
        Self(self.0.then_with(|| digit.cmp(&bound.value.place(at))))
    }

    /// How the number compares when it ends after so many digits after the point.
    pub(super) fn end(self, bound: &Bound, places: i64) -> Ordering {
        self.0.then_with(|| {
            if bound.value.goes_on(places) {
                Ordering::Less
            } else {
                Ordering::Equal
            }
        })
    }
}

/// A range of magnitudes.
#[derive(Clone, Debug)]
pub(super) struct Side {
    pub(super) low: Option<Bound>,
    pub(super) high: Option<Bound>,
}

/// The bounds of a value, open where there is none.
#[derive(Clone, Debug, Default)]
pub(super) struct Range {
    pub(super) low: Option<Bound>,
    pub(super) high: Option<Bound>,
}

impl Range {
    /// No value lies within.
    pub(super) fn is_empty(&self) -> bool {
        match (&self.low, &self.high) {
            (Some(low), Some(high)) => match low.value.cmp(&high.value) {
                Ordering::Less => false,
                Ordering::Equal => !(low.inclusive && high.inclusive),
                Ordering::Greater => true,
            },
            _ => false,
        }
    }

    /// The magnitudes of its values of one sign, if it has such values. Zero is not negative.
    pub(super) fn side(&self, negative: bool) -> Option<Side> {
        let magnitude = |bound: &Bound| Bound {
            value: bound.value.magnitude(),
            inclusive: bound.inclusive,
        };
        let (near, far) = if negative {
            (&self.high, &self.low)
        } else {
            (&self.low, &self.high)
        };
        let is_on_side =
            |bound: &&Bound| bound.value.negative == negative && !bound.value.is_zero();
        let is_beyond = |bound: &Bound| {
            if negative {
                !bound.value.negative
            } else {
                bound.value.negative
            }
        };
        if far.as_ref().is_some_and(is_beyond) {
            return None;
        }
        let least = Bound {
            value: Decimal::zero(),
            inclusive: !negative
                && near
                    .as_ref()
                    .is_none_or(|near| near.inclusive || near.value.negative),
        };
        let low = near.as_ref().filter(is_on_side).map_or(least, magnitude);
        Some(Side {
            low: Some(low),
            high: far.as_ref().map(magnitude),
        })
    }
}
