//! Numbers that survive a round trip.

use std::fmt;

/// An integer of any size or a finite double. `1` and `1.0` differ, as they do in their text.
#[derive(Debug, Clone, PartialEq)]
pub struct Number(Repr);

#[derive(Debug, Clone, PartialEq)]
enum Repr {
    Integer(i64),
    /// Beyond `i64`: optional `-`, digits without leading zeros.
    Big(Box<str>),
    Real(f64),
}

impl Number {
    /// A real; `None` if it is not finite, since JSON cannot say that.
    pub fn real(value: f64) -> Option<Self> {
        value.is_finite().then_some(Self(Repr::Real(value)))
    }

    /// A single-precision real that prints with the shortest digits of its own precision; `None` if not finite.
    pub fn real32(value: f32) -> Option<Self> {
        // The shortest decimal of the f32, read as f64, prints as the same digits.
        format!("{value:e}").parse().ok().and_then(Self::real)
    }

    /// As a double, always finite: integers beyond 2⁵³ are rounded, those beyond its range become its largest.
    #[expect(clippy::cast_precision_loss, reason = "documented")]
    pub fn as_f64(&self) -> f64 {
        match &self.0 {
            Repr::Integer(value) => *value as f64,
            Repr::Big(digits) => digits.parse().unwrap_or(0.0f64).clamp(f64::MIN, f64::MAX),
            Repr::Real(value) => *value,
        }
    }

    /// As an integer, if the number is whole and exact: an integer in range, or a real like `3.0` or `1e3` within ±2⁵³.
    pub fn as_i64(&self) -> Option<i64> {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        match self.0 {
            Repr::Integer(value) => Some(value),
            Repr::Big(_) => None,
            #[expect(clippy::cast_possible_truncation, reason = "whole and within ±2⁵³")]
            Repr::Real(value) => (value.trunc() == value && value.abs() <= EXACT).then_some(value as i64),
        }
    }

    /// Was it written as an integer?
    pub fn is_integer(&self) -> bool {
        !matches!(self.0, Repr::Real(_))
    }

    /// From the text of a number token: `[+-]digits[.digits][(e|E)[+-]digits]`, leading zeros allowed.
    /// `None` if it is beyond the range of a double.
    pub(super) fn from_token(token: &str, is_integer: bool) -> Option<Self> {
        if !is_integer {
            return token.parse().ok().and_then(Self::real);
        }
        if let Ok(value) = token.parse() {
            return Some(Self(Repr::Integer(value)));
        }
        let (sign, digits) = match token.as_bytes().first()? {
            b'-' => ("-", &token[1..]),
            b'+' => ("", &token[1..]),
            _ => ("", token),
        };
        let digits = digits.trim_start_matches('0');
        Some(Self(Repr::Big(format!("{sign}{digits}").into_boxed_str())))
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Self(Repr::Integer(value))
    }
}

impl From<i32> for Number {
    fn from(value: i32) -> Self {
        i64::from(value).into()
    }
}

impl From<u32> for Number {
    fn from(value: u32) -> Self {
        i64::from(value).into()
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        match i64::try_from(value) {
            Ok(value) => value.into(),
            Err(_) => Self(Repr::Big(value.to_string().into_boxed_str())),
        }
    }
}

impl From<usize> for Number {
    fn from(value: usize) -> Self {
        (value as u64).into()
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Integer(value) => write!(f, "{value}"),
            Repr::Big(digits) => f.write_str(digits),
            Repr::Real(value) => write_java_double(f, *value),
        }
    }
}

/// As `Double.toString` of Java 19 and later: shortest digits; plain in [10⁻³, 10⁷), else `d.dE±n`; always a fraction.
/// Differs for some of the smallest subnormals, where Java prefers a second digit (`4.9E-324` to `5.0E-324`).
fn write_java_double(f: &mut fmt::Formatter<'_>, value: f64) -> fmt::Result {
    let magnitude = value.abs();
    if magnitude == 0.0 || (1e-3..1e7).contains(&magnitude) {
        return write!(f, "{value:?}");
    }
    let text = format!("{value:e}");
    match text.split_once('e') {
        Some((digits, exponent)) if digits.contains('.') => write!(f, "{digits}E{exponent}"),
        Some((digits, exponent)) => write!(f, "{digits}.0E{exponent}"),
        None => f.write_str(&text),
    }
}
