//! The forms in which services write a time.

use events::{EventTime, Json};

/// How a time is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeFormat {
    /// ISO 8601 with its zone, as in events.
    Iso,
    /// Seconds since 1970, with or without a fraction; a number or its text.
    Seconds,
    /// Milliseconds since 1970; a whole number or its text.
    Milliseconds,
    /// `2015-10-21 16:29:00`, in UTC.
    DateAndTime,
}

/// Their names in a mapping file.
const NAMES: [(&str, TimeFormat); 4] = [
    ("iso", TimeFormat::Iso),
    ("seconds", TimeFormat::Seconds),
    ("milliseconds", TimeFormat::Milliseconds),
    ("yyyy-MM-dd HH:mm:ss", TimeFormat::DateAndTime),
];

impl TimeFormat {
    /// The format of that name, else the names there are.
    pub fn of_name(name: &str) -> Result<Self, String> {
        let found = NAMES.iter().find(|(known, _)| *known == name).map(|(_, format)| *format);
        found.ok_or_else(|| {
            let names = NAMES.map(|(name, _)| format!("\"{name}\"")).join(", ");
            format!("\"{name}\" is not a format of times; there are {names}")
        })
    }

    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(_, format)| *format == self).map_or("", |(name, _)| name)
    }

    /// The time as an event writes it; `None` if `value` is not written so.
    pub fn read(self, value: &Json) -> Option<String> {
        let utc = |millis: i64| EventTime::utc(millis).to_string();
        match self {
            Self::Iso => value.as_str().filter(|text| EventTime::parse(text).is_some()).map(str::to_owned),
            Self::Seconds => seconds(value).map(utc),
            Self::Milliseconds => whole(value).map(utc),
            Self::DateAndTime => value.as_str().and_then(date_and_time).map(utc),
        }
    }
}

fn whole(value: &Json) -> Option<i64> {
    match value {
        Json::String(text) => text.parse().ok(),
        other => other.as_i64(),
    }
}

/// Milliseconds; fractions are cut to them.
fn seconds(value: &Json) -> Option<i64> {
    if let Some(whole) = whole(value) {
        return whole.checked_mul(1000);
    }
    let seconds: f64 = value.as_str().map_or_else(|| value.as_f64(), |text| text.parse().ok())?;
    // Half a microsecond more, since 1.001 is a little less than it says.
    let millis = seconds * 1000.0 + 0.0005;
    #[expect(clippy::cast_possible_truncation, reason = "within 2⁵³")]
    (millis.abs() < 9e15).then(|| millis.floor() as i64)
}

/// Milliseconds of `2015-10-21 16:29:00`, in UTC.
pub fn date_and_time(text: &str) -> Option<i64> {
    const LENGTH: usize = "2015-10-21 16:29:00".len();
    let (date, time) = text.split_once(' ').filter(|_| text.len() == LENGTH)?;
    EventTime::parse(&format!("{date}T{time}Z")).map(|time| time.millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_each_format() {
        use TimeFormat::{DateAndTime, Iso, Milliseconds, Seconds};
        let cases: [(TimeFormat, Json, Option<&str>); 18] = [
            (Iso, "2015-10-21T16:29:00+02:00".into(), Some("2015-10-21T16:29:00+02:00")),
            (Iso, "2015-10-21T16:29:00".into(), None),
            (Iso, 1.into(), None),
            (Seconds, 1_445_444_940.into(), Some("2015-10-21T16:29:00.000Z")),
            (Seconds, "1445444940".into(), Some("2015-10-21T16:29:00.000Z")),
            (Seconds, "1445444940.001".into(), Some("2015-10-21T16:29:00.001Z")),
            (
                Seconds,
                Json::Number(events::json::Number::real(-0.5).unwrap()),
                Some("1969-12-31T23:59:59.500Z"),
            ),
            (Seconds, i64::MAX.into(), None),
            (Seconds, "nan".into(), None),
            (Seconds, "1e300".into(), None),
            (Seconds, true.into(), None),
            (Milliseconds, 1_445_444_940_001_i64.into(), Some("2015-10-21T16:29:00.001Z")),
            (Milliseconds, "x".into(), None),
            (DateAndTime, "2015-10-21 16:29:00".into(), Some("2015-10-21T16:29:00.000Z")),
            (DateAndTime, "2015-10-21T16:29:00".into(), None),
            (DateAndTime, "2015-10-21 16:29:00Z".into(), None),
            (DateAndTime, "2015-02-29 16:29:00".into(), None),
            (DateAndTime, "2015-10-21 16:29:0ü".into(), None),
        ];
        for (format, value, expected) in cases {
            assert_eq!(format.read(&value).as_deref(), expected, "{format:?} {value}");
        }
    }

    #[test]
    fn names_are_found() {
        for (name, format) in NAMES {
            assert_eq!(TimeFormat::of_name(name), Ok(format));
            assert_eq!(format.name(), name);
        }
        assert!(TimeFormat::of_name("rfc2822").unwrap_err().contains("\"iso\", \"seconds\""));
    }
}
