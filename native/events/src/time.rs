//! Event times.
//!
//! Written out instead of taken from a time library: the grammar that existing data needs (one-digit fields, years of
//! up to nine digits, 1–9 fraction digits truncated, offsets with seconds) is none that `jiff` or `time` reads, and
//! their calendars end at ±9999 years, so a library would add a dependency and leave the same code to write.

use std::fmt;

/// An instant with the offset it was given in. Ordered and compared by instant first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventTime {
    /// Milliseconds since 1970-01-01T00:00Z.
    pub millis: i64,
    /// Offset from UTC in seconds, for display.
    pub offset_seconds: i32,
}

const MILLIS_PER_DAY: i64 = 86_400_000;

impl EventTime {
    /// An instant shown in UTC.
    pub const fn utc(millis: i64) -> Self {
        Self { millis, offset_seconds: 0 }
    }

    /// Reads `[±]Y…-M-DTh:m:s[.f…]zone`. `T` and `Z` in either case; month, day, hour, minute and second with one or two
    /// digits, the year with one to nine, the fraction with one to nine, truncated to milliseconds; `zone` is `Z`, `±hh`,
    /// `±hh:mm`, `±hhmm` or `±hh:mm:ss`. The calendar is the proleptic Gregorian one.
    pub fn parse(text: &str) -> Option<Self> {
        let common = text.as_bytes().try_into().ok().and_then(common_form);
        common.or_else(|| Reader { rest: text.as_bytes() }.event_time(false))
    }

    /// [`parse`](Self::parse) for query parameters, where an unescaped `+` of the zone arrives as a space.
    pub fn parse_query(text: &str) -> Option<Self> {
        Reader { rest: text.as_bytes() }.event_time(true)
    }

    /// Reads any ISO 8601 calendar date for item properties and rules: all of [`parse`](Self::parse), and also without
    /// zone (taken as UTC), seconds, minutes, time, day or month (the earliest instant), with a space for the `T` or a
    /// comma before the fraction. The year has at least four digits.
    pub fn parse_date(text: &str) -> Option<Self> {
        Reader { rest: text.as_bytes() }.date()
    }
}

/// Shows `yyyy-MM-ddTHH:mm:ss.SSS±hh:mm` in its own offset; zero is `Z`, seconds of an offset show if there are any.
impl fmt::Display for EventTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let offset_millis = i64::from(self.offset_seconds) * 1000;
        let local = self.millis.rem_euclid(MILLIS_PER_DAY) + offset_millis;
        let day = self.millis.div_euclid(MILLIS_PER_DAY) + local.div_euclid(MILLIS_PER_DAY);
        let milli = local.rem_euclid(MILLIS_PER_DAY).unsigned_abs();
        let (year, month, day) = civil_from_days(day);
        if year < 0 {
            f.write_str("-")?;
        }
        let (year, month, day) = (year.unsigned_abs(), month.unsigned_abs(), day.unsigned_abs());
        if year > 9999 {
            write!(f, "{}", year / 10_000)?;
        }
        // By hand: exports write two of these per event, and padded `write!` costs more than all the rest.
        let mut text = *b"0000-00-00T00:00:00.000";
        let fields = [
            (0, 4, year),
            (5, 2, month),
            (8, 2, day),
            (11, 2, milli / 3_600_000),
            (14, 2, milli / 60_000 % 60),
            (17, 2, milli / 1000 % 60),
            (20, 3, milli % 1000),
        ];
        for (start, length, value) in fields {
            put_digits(&mut text[start..start + length], value);
        }
        f.write_str(str::from_utf8(&text).unwrap_or_default())?;
        self.write_zone(f)
    }
}

impl EventTime {
    fn write_zone(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.offset_seconds == 0 {
            return f.write_str("Z");
        }
        let sign = if self.offset_seconds < 0 { '-' } else { '+' };
        let offset = self.offset_seconds.unsigned_abs();
        write!(f, "{sign}{:02}:{:02}", offset / 3600, offset / 60 % 60)?;
        if offset.is_multiple_of(60) { Ok(()) } else { write!(f, ":{:02}", offset % 60) }
    }
}

/// Fills `digits` with the last decimal digits of `value`.
fn put_digits(digits: &mut [u8], mut value: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789"[usize::try_from(value % 10).unwrap_or_default()];
        value /= 10;
    }
}

/// Reads `yyyy-MM-ddTHH:mm:ss.SSSZ`, which most programs write, several times as fast as [`Reader`]; `None` = it is to look.
fn common_form(text: &[u8; 24]) -> Option<EventTime> {
    let mut deviates = text[4] ^ b'-' | text[7] ^ b'-' | text[10] ^ b'T' | text[13] ^ b':';
    deviates |= text[16] ^ b':' | text[19] ^ b'.' | text[23] ^ b'Z';
    let mut number = |start: usize, length: usize| {
        text[start..start + length].iter().fold(0, |value, byte| {
            let digit = byte.wrapping_sub(b'0');
            deviates |= u8::from(digit > 9);
            value * 10 + i64::from(digit)
        })
    };
    let (year, month, day) = (number(0, 4), number(5, 2), number(8, 2));
    let (hour, minute, second, milli) = (number(11, 2), number(14, 2), number(17, 2), number(20, 3));
    if deviates != 0 || !(1..=12).contains(&month) || day == 0 || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = days_from_civil(year, month, day)?;
    Some(EventTime::utc(days * MILLIS_PER_DAY + ((hour * 60 + minute) * 60 + second) * 1000 + milli))
}

/// What is left to read. Every method takes what it names, or gives `None`.
struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn event_time(mut self, space_is_plus: bool) -> Option<EventTime> {
        let year = self.year(1)?;
        self.byte(b"-")?;
        let month = self.field(1, 12)?;
        self.byte(b"-")?;
        let day = self.field(1, 31)?;
        let days = days_from_civil(year, month, day)?;
        self.byte(b"Tt")?;
        let mut milli = self.field(0, 23)? * 3_600_000;
        self.byte(b":")?;
        milli += self.field(0, 59)? * 60_000;
        self.byte(b":")?;
        milli += self.field(0, 59)? * 1000;
        if self.byte(b".").is_some() {
            milli += self.fraction()?;
        }
        if space_is_plus && self.byte(b" ").is_some() {
            let offset = self.offset_after_sign()?;
            return self.finish(days, milli, offset);
        }
        let offset = self.zone()?;
        self.finish(days, milli, offset)
    }

    fn date(mut self) -> Option<EventTime> {
        let year = self.year(4)?;
        let (mut month, mut day, mut milli, mut offset) = (1, 1, 0, 0);
        if self.byte(b"-").is_some() {
            month = self.field(1, 12)?;
            if self.byte(b"-").is_some() {
                day = self.field(1, 31)?;
                if self.byte(b"Tt ").is_some() {
                    milli = self.time_of_day()?;
                    if !self.rest.is_empty() {
                        offset = self.zone()?;
                    }
                }
            }
        }
        let days = days_from_civil(year, month, day)?;
        self.finish(days, milli, offset)
    }

    /// Hour, with optional minute, second and fraction.
    fn time_of_day(&mut self) -> Option<i64> {
        let mut milli = self.field(0, 23)? * 3_600_000;
        if self.byte(b":").is_some() {
            milli += self.field(0, 59)? * 60_000;
            if self.byte(b":").is_some() {
                milli += self.field(0, 59)? * 1000;
                if self.byte(b".,").is_some() {
                    milli += self.fraction()?;
                }
            }
        }
        Some(milli)
    }

    fn finish(self, days: i64, milli: i64, offset_seconds: i32) -> Option<EventTime> {
        if !self.rest.is_empty() {
            return None;
        }
        let within = milli - i64::from(offset_seconds) * 1000;
        // Wide, because the first day of the range begins before it.
        let millis = i128::from(days) * i128::from(MILLIS_PER_DAY) + i128::from(within);
        Some(EventTime { millis: i64::try_from(millis).ok()?, offset_seconds })
    }

    /// Takes one byte of `set`.
    fn byte(&mut self, set: &[u8]) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        set.contains(first).then(|| {
            self.rest = rest;
            *first
        })
    }

    /// Takes at least `min` and at most `max` digits; more than `max` in a row fail later, at what must follow.
    fn digits(&mut self, min: usize, max: usize) -> Option<(i64, usize)> {
        let (mut value, mut count) = (0, 0);
        while count < max
            && let Some(digit) = self.rest.get(count).filter(|byte| byte.is_ascii_digit())
        {
            value = value * 10 + i64::from(digit - b'0');
            count += 1;
        }
        self.rest = &self.rest[count..];
        (count >= min).then_some((value, count))
    }

    fn year(&mut self, min_digits: usize) -> Option<i64> {
        let sign = self.byte(b"+-");
        let (year, _) = self.digits(min_digits, 9)?;
        Some(if sign == Some(b'-') { -year } else { year })
    }

    /// A number of one or two digits within bounds.
    fn field(&mut self, min: i64, max: i64) -> Option<i64> {
        let (value, _) = self.digits(1, 2)?;
        (min..=max).contains(&value).then_some(value)
    }

    /// The digits after the point, in milliseconds.
    fn fraction(&mut self) -> Option<i64> {
        let (mut value, count) = self.digits(1, 9)?;
        for _ in count..3 {
            value *= 10;
        }
        for _ in 3..count {
            value /= 10;
        }
        Some(value)
    }

    fn zone(&mut self) -> Option<i32> {
        match self.byte(b"Zz+-")? {
            b'+' => self.offset_after_sign(),
            b'-' => self.offset_after_sign().map(|offset| -offset),
            _ => Some(0),
        }
    }

    /// `hh`, `hhmm`, `hh:mm` or `hh:mm:ss` in seconds.
    fn offset_after_sign(&mut self) -> Option<i32> {
        let two = |reader: &mut Self, max: i64| {
            let (value, _) = reader.digits(2, 2)?;
            if value > max { None } else { i32::try_from(value).ok() }
        };
        let mut seconds = two(self, 23)? * 3600;
        if self.byte(b":").is_some() {
            seconds += two(self, 59)? * 60;
            if self.byte(b":").is_some() {
                seconds += two(self, 59)?;
            }
        } else if !self.rest.is_empty() {
            seconds += two(self, 59)? * 60;
        }
        Some(seconds)
    }
}

/// Days since 1970-01-01 of a proleptic Gregorian date; `None` if the month has no such day. `year` within ±10⁹.
///
/// Years are counted from March, so that the leap day ends the year, in eras of 400 years = 146 097 days.
fn days_from_civil(year: i64, month: i64, day: i64) -> Option<i64> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if day > length {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

/// The inverse of [`days_from_civil`]: year, month, day.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> Option<String> {
        EventTime::parse(text).map(|time| time.to_string())
    }

    #[test]
    fn reads_the_grammar_of_existing_data() {
        let cases = [
            ("2014-09-09T16:17:42.937-08:00", "2014-09-09T16:17:42.937-08:00"),
            ("2014-09-09T16:17:42-08:00", "2014-09-09T16:17:42.000-08:00"),
            ("2014-09-09T16:17:42.937+0000", "2014-09-09T16:17:42.937Z"),
            ("2014-09-09T16:17:42.937+00:00", "2014-09-09T16:17:42.937Z"),
            ("2014-09-09T16:17:42.937-00", "2014-09-09T16:17:42.937Z"),
            ("2014-09-09T16:17:42.9Z", "2014-09-09T16:17:42.900Z"),
            ("2014-09-09T16:17:42.93Z", "2014-09-09T16:17:42.930Z"),
            ("2014-09-09T16:17:42.937999999Z", "2014-09-09T16:17:42.937Z"),
            ("2014-09-09T16:17:42+01", "2014-09-09T16:17:42.000+01:00"),
            ("2014-09-09T16:17:42+0130", "2014-09-09T16:17:42.000+01:30"),
            ("2014-09-09T16:17:42-23:59:59", "2014-09-09T16:17:42.000-23:59:59"),
            ("2014-9-9T6:7:2Z", "2014-09-09T06:07:02.000Z"),
            ("2014-09-09t16:17:42z", "2014-09-09T16:17:42.000Z"),
            ("+2014-09-09T16:17:42Z", "2014-09-09T16:17:42.000Z"),
            ("12345-01-01T00:00:00Z", "12345-01-01T00:00:00.000Z"),
            ("292278994-08-17T07:12:55.807Z", "292278994-08-17T07:12:55.807Z"),
            ("-292275055-05-16T16:47:04.192Z", "-292275055-05-16T16:47:04.192Z"),
            ("0-01-01T00:00:00Z", "0000-01-01T00:00:00.000Z"),
            ("-1-12-31T23:59:59.999Z", "-0001-12-31T23:59:59.999Z"),
            ("1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z"),
            ("2000-02-29T00:00:00Z", "2000-02-29T00:00:00.000Z"),
            ("2016-01-01T00:30:00+01:00", "2016-01-01T00:30:00.000+01:00"),
        ];
        for (text, expected) in cases {
            assert_eq!(shown(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn refuses_everything_else() {
        let cases = "2014-09-09T16:17:42|2014-09-09|2014-09-09T16:17Z|2014-W37-2T16:17:42Z|2014-09-09 16:17:42Z|\
            2014-09-09T16:17:42,937Z|2014-09-09T16:17:42.Z|2014-09-09T16:17:42.1234567890Z|2014-09-09T24:00:00Z|\
            2014-09-09T16:17:60Z|2014-09-09T16:60:00Z|2014-02-29T16:17:42Z|1900-02-29T16:17:42Z|2014-04-31T16:17:42Z|\
            2014-13-09T16:17:42Z|2014-00-09T16:17:42Z|2014-09-00T16:17:42Z|2014-09-09T16:17:42-25:00|\
            2014-09-09T16:17:42-24:00|2014-09-09T16:17:42+1|2014-09-09T16:17:42+01:|2014-09-09T16:17:42+010|\
            2014-09-09T16:17:42+01:60|2014-09-09T16:17:42Z |2014-09-09T16:17:42ZZ| 2014-09-09T16:17:42Z|\
            2014-009-09T16:17:42Z|2014-09-09T016:17:42Z|2014-09-09T16:17:42 01:00|2014-09-09T16:17:42−01:00||Z|\
            1234567890-01-01T00:00:00Z|292278994-08-17T07:12:55.808Z|-292275055-05-16T16:47:04.191Z|\
            999999999-01-01T00:00:00Z|1410279462937|--2014-09-09T16:17:42Z|2014-+9-09T16:17:42Z";
        for text in cases.split('|') {
            assert_eq!(shown(text), None, "{text}");
        }
    }

    #[test]
    fn a_space_stands_for_plus_only_in_query_parameters() {
        let query = |text: &str| EventTime::parse_query(text).map(|time| time.to_string());
        assert_eq!(query("2014-09-09T16:17:42 01:00").unwrap(), "2014-09-09T16:17:42.000+01:00");
        assert_eq!(query("2014-09-09T16:17:42.5 0100").unwrap(), "2014-09-09T16:17:42.500+01:00");
        assert_eq!(query("2014-09-09T16:17:42-01:00").unwrap(), "2014-09-09T16:17:42.000-01:00");
        assert_eq!(query("2014-09-09 16:17:42Z"), None);
        assert_eq!(query("2014-09-09T16:17:42 Z"), None);
    }

    #[test]
    fn dates_may_be_shorter() {
        let cases = [
            ("2016-03-01", "2016-03-01T00:00:00.000Z"),
            ("2016-03", "2016-03-01T00:00:00.000Z"),
            ("2016", "2016-01-01T00:00:00.000Z"),
            ("2016-03-01T05", "2016-03-01T05:00:00.000Z"),
            ("2016-03-01T05:06", "2016-03-01T05:06:00.000Z"),
            ("2016-03-01 05:06:07", "2016-03-01T05:06:07.000Z"),
            ("2016-03-01T05:06:07.123456", "2016-03-01T05:06:07.123Z"),
            ("2016-03-01T05:06:07,5+02:00", "2016-03-01T05:06:07.500+02:00"),
            ("2016-03-01T05:06+02", "2016-03-01T05:06:00.000+02:00"),
            ("2014-09-09T16:17:42.937-08:00", "2014-09-09T16:17:42.937-08:00"),
        ];
        for (text, expected) in cases {
            let time = EventTime::parse_date(text).map(|time| time.to_string());
            assert_eq!(time.as_deref(), Some(expected), "{text}");
        }
        for text in ["", "5", "516", "2016-", "2016-02-30", "2016-03-01T", "2016-03-01Z", "phone", "12:00"] {
            assert_eq!(EventTime::parse_date(text), None, "{text}");
        }
    }

    #[test]
    fn the_calendar_counts_every_day() {
        // A walk of 800 years by the rules of a child's calendar, around year 0 and today.
        let (mut year, mut month, mut day) = (-400, 1, 1);
        let start = days_from_civil(year, month, day).unwrap();
        for count in 0..2 * 146_097 {
            assert_eq!(civil_from_days(start + count), (year, month, day));
            assert_eq!(days_from_civil(year, month, day), Some(start + count));
            day += 1;
            if days_from_civil(year, month, day).is_none() {
                (month, day) = (month + 1, 1);
            }
            if month == 13 {
                (year, month) = (year + 1, 1);
            }
        }
        assert_eq!((year, month, day), (400, 1, 1));
        assert_eq!(days_from_civil(1970, 1, 1), Some(0));
        assert_eq!(days_from_civil(2000, 3, 1), Some(11_017));
    }

    proptest! {
        #[test]
        fn every_time_survives_its_text(millis: i64, offset_seconds in -86_399..=86_399) {
            let time = EventTime { millis, offset_seconds };
            let text = time.to_string();
            prop_assert_eq!(EventTime::parse(&text), Some(time), "{}", text);
            if !text.starts_with('-') && !text.starts_with('0') {
                prop_assert_eq!(EventTime::parse_date(&text), Some(time), "{}", text);
            }
        }

        #[test]
        fn the_common_form_is_read_as_any(text in "[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9][.][0-9]{3}Z", at in 0..24_usize, byte in 0..128_u8) {
            let slowly = |text: &str| Reader { rest: text.as_bytes() }.event_time(false);
            prop_assert_eq!(EventTime::parse(&text), slowly(&text), "{}", text);
            let mut bytes = text.into_bytes();
            bytes[at] = byte;
            let text = String::from_utf8(bytes).unwrap();
            prop_assert_eq!(EventTime::parse(&text), slowly(&text), "{}", text);
        }

        #[test]
        fn no_text_does_harm(text in "[0-9TtZz:+. ,-]{0,32}|\\PC*") {
            for read in [EventTime::parse, EventTime::parse_query, EventTime::parse_date] {
                if let Some(time) = read(&text) {
                    prop_assert_eq!(EventTime::parse(&time.to_string()), Some(time));
                }
            }
        }
    }

    #[test]
    fn the_ends_of_time_survive_their_text() {
        for millis in [i64::MIN, i64::MIN + 1, -1, 0, i64::MAX] {
            for offset_seconds in [-86_399, 0, 1, 86_399] {
                let time = EventTime { millis, offset_seconds };
                assert_eq!(EventTime::parse(&time.to_string()), Some(time), "{time}");
            }
        }
        // An offset that no text gives must still not panic.
        let _ = EventTime { millis: i64::MIN, offset_seconds: i32::MIN }.to_string();
    }
}
