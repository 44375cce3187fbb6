//! Log lines on standard error, as text or JSON. Whoever logs uses the macros of `tracing`.
//!
//! Lines are written by a thread of their own: a reader that is slow or gone must not hold up requests. Lines that
//! find the buffer full are dropped and counted.

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use events::EventTime;
use events::json::write_string;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span;
use tracing::{Event, Level, Metadata, Subscriber};

use crate::clock;
use crate::settings::{LogFormat, LogSettings};

/// Lines that wait to be written.
const BUFFER_BYTES_MAX: usize = 1 << 20;
/// Lines are collected this long: to wake a thread for each would cost more than the line.
const COLLECT_TIME: Duration = Duration::from_millis(10);
/// How long the end of the program waits for its last lines.
const FLUSH_TIME_MAX: Duration = Duration::from_secs(1);

/// Writes log lines from now on, until it is dropped.
pub struct Log {
    sink: Arc<Sink>,
}

impl Log {
    /// Begins to write; only the first of a process does.
    pub fn start(settings: &LogSettings) -> Self {
        let sink = Arc::new(Sink::default());
        let level = settings.level.parse().unwrap_or(LevelFilter::INFO);
        let lines = Lines { level, format: settings.format, sink: Arc::clone(&sink) };
        if tracing::subscriber::set_global_default(lines).is_ok() {
            let writing = Arc::clone(&sink);
            // Without the thread there are no lines, and still a server.
            let _ = std::thread::Builder::new().name("log".to_owned()).spawn(move || writing.run());
        }
        Self { sink }
    }

    /// Reads how many lines were dropped so far.
    pub fn dropped(&self) -> impl Fn() -> u64 + Send + Sync + 'static {
        let sink = Arc::clone(&self.sink);
        move || sink.dropped.load(Ordering::Relaxed)
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.sink.flush();
    }
}

#[derive(Default)]
struct Sink {
    state: Mutex<Waiting>,
    changed: Condvar,
    dropped: AtomicU64,
}

#[derive(Default)]
struct Waiting {
    lines: Vec<u8>,
    is_writing: bool,
}

impl Sink {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: &str) {
        let mut waiting = self.lock();
        if waiting.lines.len() + line.len() > BUFFER_BYTES_MAX {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let was_empty = waiting.lines.is_empty();
        waiting.lines.extend_from_slice(line.as_bytes());
        drop(waiting);
        if was_empty {
            self.changed.notify_all();
        }
    }

    fn run(&self) {
        let mut lines = Vec::new();
        loop {
            let mut waiting = self.lock();
            while waiting.lines.is_empty() {
                waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
            drop(waiting);
            std::thread::sleep(COLLECT_TIME);
            let mut waiting = self.lock();
            std::mem::swap(&mut waiting.lines, &mut lines);
            waiting.is_writing = true;
            drop(waiting);
            let _ = std::io::stderr().lock().write_all(&lines);
            lines.clear();
            self.lock().is_writing = false;
            self.changed.notify_all();
        }
    }

    fn flush(&self) {
        let waiting = self.lock();
        let busy = |waiting: &mut Waiting| waiting.is_writing || !waiting.lines.is_empty();
        let _ = self.changed.wait_timeout_while(waiting, FLUSH_TIME_MAX, busy);
    }
}

/// Turns events into lines. Spans carry nothing here: each line says everything itself.
struct Lines {
    level: LevelFilter,
    format: LogFormat,
    sink: Arc<Sink>,
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let is_ours = metadata.target() == "access" || metadata.target().starts_with("arblast");
        let level = if is_ours { self.level } else { self.level.min(LevelFilter::WARN) };
        metadata.is_event() && *metadata.level() <= level
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level)
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let time = EventTime::utc(clock::now_ms());
        self.sink.push(&line(self.format, &time.to_string(), event));
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

fn line(format: LogFormat, time: &str, event: &Event<'_>) -> String {
    let (level, target) = (event.metadata().level(), event.metadata().target());
    let mut line = String::with_capacity(200);
    let mut fields = Fields { format, message: String::new(), others: String::with_capacity(160) };
    event.record(&mut fields);
    let _ = match format {
        LogFormat::Text => {
            write!(line, "{time} {level:5} {target}:")
        }
        LogFormat::Json => {
            write!(line, "{{\"time\":\"{time}\",\"level\":\"{}\",\"target\":\"{target}\"", name(*level))
        }
    };
    if !fields.message.is_empty() {
        match format {
            // A line stays one line.
            LogFormat::Text => line.extend([" ", &fields.message.replace(['\n', '\r'], " ")]),
            LogFormat::Json => {
                line.push_str(",\"message\":");
                write_string(&fields.message, &mut line);
            }
        }
    }
    line.push_str(&fields.others);
    line.push_str(if format == LogFormat::Json { "}\n" } else { "\n" });
    line
}

fn name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

struct Fields {
    format: LogFormat,
    message: String,
    others: String,
}

impl Fields {
    fn name(&mut self, field: &Field) {
        let _ = match self.format {
            LogFormat::Text => write!(self.others, " {}=", field.name()),
            LogFormat::Json => write!(self.others, ",\"{}\":", field.name()),
        };
    }

    fn plain(&mut self, field: &Field, value: impl fmt::Display) {
        self.name(field);
        let _ = write!(self.others, "{value}");
    }

    fn text(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
            return;
        }
        self.name(field);
        let is_word = !value.is_empty() && value.bytes().all(|b| b.is_ascii_graphic() && b != b'"');
        if is_word && self.format == LogFormat::Text {
            self.others.push_str(value);
        } else {
            write_string(value, &mut self.others);
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.plain(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.plain(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.plain(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logged(format: LogFormat, level: LevelFilter, log: impl FnOnce()) -> String {
        let sink = Arc::new(Sink::default());
        let lines = Lines { level, format, sink: Arc::clone(&sink) };
        tracing::subscriber::with_default(lines, log);
        String::from_utf8(std::mem::take(&mut sink.lock().lines)).unwrap()
    }

    #[test]
    fn text_lines_stay_one_line() {
        let text = logged(LogFormat::Text, LevelFilter::INFO, || {
            tracing::info!(target: "arblast::x", n = 3, a = "b c\n", w = "d/e", "two\nlines");
        });
        let (time, rest) = text.split_once(' ').unwrap();
        assert!(time.ends_with('Z') && time.len() == 24, "{time}");
        assert_eq!(rest, "INFO  arblast::x: two lines n=3 a=\"b c\\n\" w=d/e\n");
    }

    #[test]
    fn json_lines_are_objects() {
        let text = logged(LogFormat::Json, LevelFilter::INFO, || {
            tracing::warn!(target: "arblast", n = 3_u64, ok = true, a = "q\"", why = ?Some(1), "it {}", "\"is\"");
        });
        let object = events::json::parse(text.as_bytes()).unwrap();
        let members = r#""level":"warn","target":"arblast","message":"it \"is\"","n":3,"ok":true,"a":"q\"","why":"Some(1)"}"#;
        assert!(text.trim_end().ends_with(members), "{text}");
        assert!(object.get("time").is_some());
    }

    #[test]
    fn levels_are_kept() {
        let log = || {
            tracing::debug!(target: "arblast", "1");
            tracing::info!(target: "rustls::server", "2");
            tracing::warn!(target: "rustls::server", "3");
            tracing::info!(target: "access", "4");
        };
        assert_eq!(logged(LogFormat::Text, LevelFilter::INFO, log).lines().count(), 2);
        assert_eq!(logged(LogFormat::Text, LevelFilter::ERROR, log), "");
    }

    #[test]
    fn a_full_buffer_drops_lines_and_counts_them() {
        let sink = Sink::default();
        let line = "x".repeat(BUFFER_BYTES_MAX / 2);
        (0..5).for_each(|_| sink.push(&line));
        assert_eq!(sink.dropped.load(Ordering::Relaxed), 3);
        assert!(sink.lock().lines.len() <= BUFFER_BYTES_MAX);
    }
}
