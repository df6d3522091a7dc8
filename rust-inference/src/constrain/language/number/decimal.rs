//! Numbers as they are written in a schema, exactly: no double comes near a bound.

use std::cmp::Ordering;

/// `0.d₁d₂d₃… × 10^point`, without zeros at either end of the digits; zero has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    pub(super) negative: bool,
    digits: Vec<u8>,
    point: i64,
}

impl Decimal {
    /// Of a JSON number's text.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits: Vec<u8> = (whole.bytes().chain(fraction.bytes()))
            .map(|byte| byte.is_ascii_digit().then(|| byte - b'0'))
            .collect::<Option<_>>()?;
        let leading = digits.iter().take_while(|&&digit| digit == 0).count();
        let end = digits
            .iter()
            .rposition(|&digit| digit != 0)
            .map_or(leading, |last| last + 1);
        let digits = digits.get(leading..end)?.to_vec();
        if digits.is_empty() {
            return Some(Self::zero());
        }
        // Far from what anyone writes, and far from where sums of places would overflow.
        let exponent = exponent.clamp(-1_000_000_000, 1_000_000_000);
        Some(Self {
            negative,
            digits,
            point: exponent + whole.len() as i64 - leading as i64,
        })
    }

    pub(super) fn zero() -> Self {
        Self {
            negative: false,
            digits: Vec::new(),
            point: 0,
        }
    }

    pub(super) fn magnitude(&self) -> Self {
        Self {
            negative: false,
            ..self.clone()
        }
    }

    pub(super) fn is_zero(&self) -> bool {
        self.digits.is_empty()
    }

    /// How many digits it has before the point; none for what is less than one.
    pub(super) fn whole(&self) -> i64 {
        self.point.max(0)
    }

    /// How many digits it has after the point.
    pub(super) fn places(&self) -> i64 {
        (self.digits.len() as i64 - self.point).max(0)
    }

    /// The digit so many places after the first digit before the point.
    pub(super) fn whole_digit(&self, at: i64) -> u8 {
        self.digit(at)
    }

    /// The digit so many places after the point, from 0.
    pub(super) fn place(&self, at: i64) -> u8 {
        self.digit(self.point.saturating_add(at))
    }

    /// Whether it has digits other than zero after so many places.
    pub(super) fn goes_on(&self, places: i64) -> bool {
        self.places() > places
    }

    fn digit(&self, at: i64) -> u8 {
        (usize::try_from(at).ok())
            .and_then(|at| self.digits.get(at).copied())
            .unwrap_or(0)
    }

    /// Its value times so many tens, if that is whole and not too large.
    pub(super) fn scaled(&self, places: i64) -> Option<u64> {
        let zeros =
            u32::try_from(places.checked_add(self.point)? - self.digits.len() as i64).ok()?;
        let digits = (self.digits.iter()).try_fold(0_u64, |sum, &digit| {
            sum.checked_mul(10)?.checked_add(digit.into())
        })?;
        digits.checked_mul(10_u64.checked_pow(zeros)?)
    }

    fn compare_magnitude(&self, other: &Self) -> Ordering {
        match (self.is_zero(), other.is_zero()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => self
                .point
                .cmp(&other.point)
                .then_with(|| self.digits.cmp(&other.digits)),
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, false) => self.compare_magnitude(other),
            (true, true) => other.compare_magnitude(self),
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
        }
    }
}
