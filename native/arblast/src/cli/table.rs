//! The tables that people's scripts parse.

use events::AccessKey;

/// `%20s | %4d | %64s | %s`
pub fn app_row(name: &str, id: &str, key: &str, events: &str) -> String {
    format!("{name:>20} | {id:>4} | {key:>64} | {events}")
}

/// `%64s | %6d | %s`
pub fn key_row(key: &str, app: &str, events: &str) -> String {
    format!("{key:>64} | {app:>6} | {events}")
}

/// `%16s | %10s`
pub fn channel_row(name: &str, id: &str) -> String {
    format!("{name:>16} | {id:>10}")
}

/// The events that a key may write: sorted, comma-joined, `(all)` for an empty list.
pub fn allowed_events(key: &AccessKey) -> String {
    if key.events.is_empty() {
        return "(all)".to_owned();
    }
    let mut events: Vec<&str> = key.events.iter().map(String::as_str).collect();
    events.sort_unstable();
    events.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_have_the_documented_widths() {
        assert_eq!(
            app_row("myapp", "1", "k", "(all)"),
            format!("{}myapp |    1 | {}k | (all)", " ".repeat(15), " ".repeat(63))
        );
        assert_eq!(key_row("k", "12", "buy"), format!("{}k |     12 | buy", " ".repeat(63)));
        assert_eq!(channel_row("mobile", "3"), "          mobile |          3");
    }

    #[test]
    fn events_are_sorted() {
        let key = |events: &[&str]| AccessKey {
            events: events.iter().map(|event| (*event).to_owned()).collect(),
            ..AccessKey::new("k", 1)
        };
        assert_eq!(allowed_events(&key(&[])), "(all)");
        assert_eq!(allowed_events(&key(&["view", "buy"])), "buy,view");
    }
}
