//! Time zones as PredictionIO writes them: `+05:30`, or a name. Only what events show depends on them.

/// What is written for an offset; nothing for UTC.
pub(crate) fn written(offset_seconds: i32) -> Option<String> {
    if offset_seconds == 0 {
        return None;
    }
    let sign = if offset_seconds < 0 { '-' } else { '+' };
    let offset = offset_seconds.unsigned_abs();
    let mut text = format!("{sign}{:02}:{:02}", offset / 3600, offset / 60 % 60);
    if !offset.is_multiple_of(60) {
        text += &format!(":{:02}", offset % 60);
    }
    Some(text)
}

/// Offset of a zone at an instant, in seconds. Names are looked up in the system's database; what is not known is UTC.
pub(crate) fn offset(zone: &str, millis: i64) -> i32 {
    match zone.as_bytes().first() {
        Some(b'+' | b'-') => fixed(zone).unwrap_or(0),
        Some(byte) if byte.is_ascii_alphabetic() => named(zone, millis).unwrap_or(0),
        _ => 0,
    }
}

/// `±hh:mm`, `±hh:mm:ss` or that with milliseconds.
fn fixed(zone: &str) -> Option<i32> {
    let (sign, rest) = zone.split_at_checked(1)?;
    let whole = rest.split('.').next()?;
    let mut seconds = 0_i32;
    for (field, weight) in whole.split(':').zip([3600, 60, 1]) {
        let digits = field.len() == 2 && field.bytes().all(|byte| byte.is_ascii_digit());
        seconds += field.parse::<i32>().ok().filter(|_| digits)? * weight;
    }
    Some(if sign == "-" { -seconds } else { seconds })
}

fn named(zone: &str, millis: i64) -> Option<i32> {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "/_+-".contains(c);
    if !zone.chars().all(harmless) || zone.contains("//") {
        return None;
    }
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex, PoisonError};
    static FILES: Mutex<BTreeMap<String, Option<Arc<Vec<u8>>>>> = Mutex::new(BTreeMap::new());
    // A table can name as many as it likes; what is remembered is not without limit.
    const FILES_MAX: usize = 1000;
    let file = {
        let mut files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = files.get(zone) {
            file.clone()
        } else {
            let file = std::fs::read(format!("/usr/share/zoneinfo/{zone}")).ok().map(Arc::new);
            if files.len() < FILES_MAX {
                files.insert(zone.to_owned(), file.clone());
            }
            file
        }
    };
    offset_in(&file?, millis.div_euclid(1000))
}

/// Offset at a second, from a file of the time zone database (RFC 9636), version 2 or later. After its last change the
/// offset of that holds: good for instants that lie in the past.
fn offset_in(file: &[u8], second: i64) -> Option<i32> {
    let header = |at: usize| -> Option<[usize; 6]> {
        let fields = file.get(at..)?.strip_prefix(b"TZif")?.get(16..40)?;
        let mut counts = [0; 6];
        for (count, field) in counts.iter_mut().zip(fields.chunks_exact(4)) {
            *count = usize::try_from(u32::from_be_bytes(field.try_into().ok()?)).ok()?;
        }
        Some(counts)
    };
    // The first part has short times, for old readers.
    let [utc, standard, leaps, times, types, letters] = header(0)?;
    let skip = [times * 5, types * 6, letters, leaps * 8, standard, utc];
    let second_part = 44 + skip.iter().sum::<usize>();
    let [.., times, types, _] = header(second_part)?;
    let body = file.get(second_part + 44..)?;
    let changes = body.get(..times.checked_mul(8)?)?;
    let kinds = body.get(changes.len()..changes.len() + times)?;
    let offsets = body.get(changes.len() + times..)?.get(..types.checked_mul(6)?)?;
    let at = |chunk: &[u8]| chunk.try_into().map_or(i64::MAX, i64::from_be_bytes);
    let before = changes.chunks_exact(8).take_while(|chunk| at(chunk) <= second).count();
    let kind = before.checked_sub(1).and_then(|last| kinds.get(last)).copied().unwrap_or(0);
    let offset = offsets.get(usize::from(kind) * 6..)?.get(..4)?;
    Some(i32::from_be_bytes(offset.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn offsets_are_written_as_joda_does() {
        let written = [0, 19_800, -28_800, -28_801, 3600].map(written);
        let expected = [None, Some("+05:30"), Some("-08:00"), Some("-08:00:01"), Some("+01:00")];
        assert_eq!(written.each_ref().map(Option::as_deref), expected);
        for offset in [19_800, -28_800, -28_801] {
            assert_eq!(super::offset(&super::written(offset).unwrap(), 0), offset);
        }
        assert_eq!(super::offset("+01:00:30.500", 0), 3630);
        for unknown in ["", "+1", "+ab:cd", "Nowhere/Land", "../../etc/passwd", "ü", "Etc//UTC"] {
            assert_eq!(super::offset(unknown, 0), 0, "{unknown}");
        }
    }

    #[test]
    fn a_file_of_the_database() {
        let header = |times: u8, types: u8| {
            let mut header = b"TZif2".to_vec();
            header.extend([0; 15]);
            for count in [0, 0, 0, times, types, 4] {
                header.extend([0, 0, 0, count]);
            }
            header
        };
        let types =
            [&3600_i32.to_be_bytes()[..], &[0, 0], &7200_i32.to_be_bytes(), &[1, 0], b"ABC\0"].concat();
        let mut file = [header(0, 2), types.clone(), header(2, 2)].concat();
        file.extend(10_i64.to_be_bytes());
        file.extend(20_i64.to_be_bytes());
        file.extend([1, 0]);
        file.extend(types);
        let offsets = [-5, 9, 10, 19, 20, i64::MAX].map(|second| offset_in(&file, second));
        assert_eq!(offsets, [3600, 3600, 7200, 7200, 3600, 3600].map(Some));
        for length in 0..file.len() - 4 {
            assert_eq!(offset_in(&file[..length], 15), None, "cut at {length}");
        }
    }

    proptest! {
        #[test]
        fn any_file_is_an_offset_or_nothing(tail in proptest::collection::vec(any::<u8>(), 0..200), second: i64) {
            _ = offset_in(&[b"TZif2".to_vec(), tail].concat(), second);
        }

        #[test]
        fn any_text_is_an_offset(text: String) {
            _ = offset(&text, 0);
        }
    }
}
