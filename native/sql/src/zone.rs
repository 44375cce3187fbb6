//! Times as the columns have them: a date and time of day in a zone that is not in the column, and the name of a zone for display.

use chrono::{DateTime, NaiveDateTime, Offset, TimeZone};
use chrono_tz::Tz;
use events::EventTime;

/// No zone is further from UTC.
pub(crate) const WIDEST_MS: i64 = 26 * 3_600_000;
const DAY_MS: i64 = 86_400_000;

/// Date and time of day, as milliseconds from 1970-01-01 00:00 of the same clock.
pub(crate) fn civil(zone: Tz, millis: i64) -> Option<i64> {
    if zone == Tz::UTC {
        return Some(millis);
    }
    millis.checked_add(offset_ms(zone, millis)?)
}

/// The instant of a date and time of day. A time that a clock skipped is taken with the offset before the gap, of one
/// that it had twice the first.
pub(crate) fn instant(zone: Tz, civil: i64) -> Option<i64> {
    if zone == Tz::UTC {
        return Some(civil);
    }
    let local = naive(civil)?;
    let offset = match zone.offset_from_local_datetime(&local).earliest() {
        Some(offset) => i64::from(offset.fix().local_minus_utc()) * 1000,
        None => offset_ms(zone, civil.checked_sub(DAY_MS)?)?,
    };
    civil.checked_sub(offset)
}

/// Does the civil time of this zone tell each instant apart from every other?
pub(crate) fn is_fixed(zone: Tz) -> bool {
    zone == Tz::UTC
}

fn naive(millis: i64) -> Option<NaiveDateTime> {
    DateTime::from_timestamp_millis(millis).map(|time| time.naive_utc())
}

fn offset_ms(zone: Tz, millis: i64) -> Option<i64> {
    let offset = zone.offset_from_utc_datetime(&naive(millis)?);
    Some(i64::from(offset.fix().local_minus_utc()) * 1000)
}

/// The name of a fixed offset: `UTC`, `+01:00`, `-08:00:01`.
pub(crate) fn name(offset_seconds: i32) -> String {
    let (sign, seconds) = (if offset_seconds < 0 { '-' } else { '+' }, offset_seconds.unsigned_abs());
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (seconds, rest) {
        (0, _) => "UTC".to_owned(),
        (_, 0) => format!("{sign}{hours:02}:{minutes:02}"),
        _ => format!("{sign}{hours:02}:{minutes:02}:{rest:02}"),
    }
}

/// An instant shown in the zone of this name, which is a fixed offset or a region; in UTC if it is neither.
pub(crate) fn shown(millis: i64, name: &str) -> EventTime {
    let seconds = fixed(name).or_else(|| region(millis, name)).unwrap_or(0);
    EventTime { millis, offset_seconds: seconds }
}

fn region(millis: i64, name: &str) -> Option<i32> {
    let zone: Tz = name.parse().ok()?;
    Some(zone.offset_from_utc_datetime(&naive(millis)?).fix().local_minus_utc())
}

fn fixed(name: &str) -> Option<i32> {
    if name == "UTC" || name == "Z" {
        return Some(0);
    }
    let sign = match name.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let mut seconds = 0;
    for (part, unit) in name.get(1..)?.split(':').zip([3600, 60, 1]) {
        // Of "01.500" the fraction is dropped.
        seconds += part.split('.').next()?.parse::<u16>().ok().map(i32::from)? * unit;
    }
    Some(sign * seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        EventTime::parse(text).unwrap().millis
    }

    #[test]
    fn civil_times_come_back() {
        let berlin = Tz::Europe__Berlin;
        let summer = at("2020-07-01T10:00:00.123Z");
        assert_eq!(civil(berlin, summer), Some(at("2020-07-01T12:00:00.123Z")));
        assert_eq!(instant(berlin, at("2020-07-01T12:00:00.123Z")), Some(summer));
        assert_eq!((civil(Tz::UTC, i64::MAX), instant(Tz::UTC, i64::MIN)), (Some(i64::MAX), Some(i64::MIN)));
        assert_eq!((civil(berlin, i64::MAX), instant(berlin, i64::MIN)), (None, None));
    }

    #[test]
    fn gaps_and_folds_are_resolved() {
        let berlin = Tz::Europe__Berlin;
        assert_eq!(instant(berlin, at("2020-03-29T02:30:00Z")), Some(at("2020-03-29T01:30:00Z")), "skipped");
        assert_eq!(instant(berlin, at("2020-10-25T02:30:00Z")), Some(at("2020-10-25T00:30:00Z")), "twice");
    }

    #[test]
    fn zones_have_names() {
        for (seconds, text) in [(0, "UTC"), (3600, "+01:00"), (-28_801, "-08:00:01"), (20_700, "+05:45")] {
            assert_eq!(name(seconds), text);
            assert_eq!(shown(5, text), EventTime { millis: 5, offset_seconds: seconds });
        }
        assert_eq!(shown(at("2020-07-01T00:00:00Z"), "America/New_York").offset_seconds, -4 * 3600);
        for odd in ["", "Mars/City", "+", "+x", "+99999"] {
            assert_eq!(shown(0, odd).offset_seconds, 0, "{odd}");
        }
    }
}
