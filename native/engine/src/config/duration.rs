//! Lengths of time as `engine.json` writes them.

/// The longest duration: what a 64-bit count of nanoseconds can hold, some 292 years.
const LONGEST_MS: f64 = 9_223_372_036_854.0;

/// Milliseconds of a duration: a number, blanks if any, and a unit — days, hours, minutes, seconds, milliseconds,
/// microseconds or nanoseconds, as Scala's `Duration` spells them. Without a unit the number counts seconds.
/// Fractions of a millisecond are cut. `None` if the text is anything else, or not from 1 ms to 292 years.
pub(crate) fn parse_duration(text: &str) -> Option<i64> {
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    // The unit is the longest tail of letters; an exponent (`1e3`) ends in a digit.
    let number = text.trim_end_matches(char::is_alphabetic);
    let ms_per_unit = match &text[number.len()..] {
        "d" | "day" | "days" => 86_400_000.0,
        "h" | "hour" | "hours" => 3_600_000.0,
        "min" | "minute" | "minutes" => 60_000.0,
        "" | "s" | "sec" | "secs" | "second" | "seconds" => 1_000.0,
        "ms" | "milli" | "millis" | "millisecond" | "milliseconds" => 1.0,
        // Both letters that look like mu.
        "\u{b5}s" | "\u{3bc}s" | "micro" | "micros" | "microsecond" | "microseconds" => 1e-3,
        "ns" | "nano" | "nanos" | "nanosecond" | "nanoseconds" => 1e-6,
        _ => return None,
    };
    let ms = number.parse::<f64>().ok()? * ms_per_unit;
    #[expect(clippy::cast_possible_truncation, reason = "within the range just checked")]
    (1.0..=LONGEST_MS).contains(&ms).then_some(ms as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_units_as_scala_spells_them() {
        let day = 86_400_000;
        for (text, ms) in [
            ("3650 days", 3650 * day),
            ("1day", day),
            ("2 d", 2 * day),
            (" 12 hours ", day / 2),
            ("1.5 h", 5_400_000),
            ("30 min", 1_800_000),
            ("90 seconds", 90_000),
            ("1e3 millis", 1_000),
            ("2500 µs", 2),
            ("3000000 nanos", 3),
            ("259200", 3 * day),
        ] {
            assert_eq!(parse_duration(text), Some(ms), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "days",
            "3 weeks",
            "3 m",
            "-1 day",
            "0 s",
            "1 ns",
            "1 day 2 hours",
            "inf",
            "NaN s",
            "1e30 d",
            "٣ days",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}
