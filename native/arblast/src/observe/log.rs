//! Log lines on standard error, as text or JSON. Whoever logs uses the macros of `tracing`. Commands that are no servers
//! print their warnings in the form of PredictionIO.
//!
//! Lines are written by a thread of their own: a reader that is slow or gone must not hold up requests. Lines that
//! find the buffer full are dropped and counted.

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
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

/// The target of lines that are written at any level: who deleted what.
pub const AUDIT: &str = "audit";

/// Lines that wait to be written.
const BUFFER_BYTES_MAX: usize = 1 << 20;
/// Lines are collected this long: to wake a thread for each would cost more than the line.
const COLLECT_TIME: Duration = Duration::from_millis(10);
/// How long the end of the program waits for its last lines.
const FLUSH_TIME_MAX: Duration = Duration::from_secs(5);

/// Writes log lines from now on, until it is dropped.
pub struct Log {
    sink: Arc<Sink>,
}

impl Log {
    /// Begins to write the log of a server, panics too; only the first of a process does.
    pub fn start(settings: &LogSettings) -> Self {
        let level = settings.level.parse().unwrap_or(LevelFilter::INFO);
        let form = match settings.format {
            LogFormat::Text => Form::Text,
            LogFormat::Json => Form::Json,
        };
        IS_JSON.store(form == Form::Json, Ordering::Relaxed);
        std::panic::set_hook(Box::new(|panic| tracing::error!(target: "arblast::panic", "{panic}")));
        Self::with(level, form)
    }

    /// Begins to write the warnings of a command.
    pub fn of_command() -> Self {
        Self::with(LevelFilter::WARN, Form::Command)
    }

    fn with(level: LevelFilter, form: Form) -> Self {
        let sink = Arc::new(Sink::default());
        let lines = Lines { level, form, sink: Arc::clone(&sink) };
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

/// Whether this process logs JSON.
static IS_JSON: AtomicBool = AtomicBool::new(false);

/// The last words of a process, on standard error: `error: …`, or a line of the log if that is JSON.
pub fn last_words(text: impl fmt::Display) {
    let mut line = format!("error: {text}\n");
    if IS_JSON.load(Ordering::Relaxed) {
        let time = EventTime::utc(clock::now_ms()).to_string();
        let fields = Fields { form: Form::Json, message: text.to_string(), others: String::new() };
        line = fields.line(&time, Level::ERROR, "arblast");
    }
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
}

/// What lines look like.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Json,
    /// `[WARN] [Logger$] text`
    Command,
}

/// Turns events into lines. Spans carry nothing here: each line says everything itself.
struct Lines {
    level: LevelFilter,
    form: Form,
    sink: Arc<Sink>,
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let target = metadata.target();
        let is_ours = target == "access" || target.starts_with("arblast");
        let level = if is_ours { self.level } else { self.level.min(LevelFilter::WARN) };
        metadata.is_event() && (*metadata.level() <= level || target == AUDIT)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level.max(LevelFilter::INFO))
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let time = EventTime::utc(clock::now_ms());
        self.sink.push(&line(self.form, &time.to_string(), event));
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

fn line(form: Form, time: &str, event: &Event<'_>) -> String {
    let mut fields = Fields { form, message: String::new(), others: String::with_capacity(160) };
    event.record(&mut fields);
    fields.line(time, *event.metadata().level(), event.metadata().target())
}

/// `Query$` of `arblast::query`.
fn logger(target: &str) -> String {
    let word = target.rsplit("::").next().unwrap_or(target);
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}$", first.to_uppercase(), letters.as_str()))
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
    form: Form,
    message: String,
    others: String,
}

impl Fields {
    fn line(&self, time: &str, level: Level, target: &str) -> String {
        let Self { form, message, others } = self;
        let mut line = String::with_capacity(200);
        let _ = match form {
            Form::Text => write!(line, "{time} {level:5} {target}:"),
            Form::Json => {
                let level = name(level);
                write!(line, "{{\"time\":\"{time}\",\"level\":\"{level}\",\"target\":\"{target}\"")
            }
            Form::Command => write!(line, "[{level}] [{}]", logger(target)),
        };
        if *form == Form::Json && !message.is_empty() {
            line.push_str(",\"message\":");
            write_string(message, &mut line);
        } else if !message.is_empty() {
            // A line stays one line.
            line.extend([" ", &message.replace(['\n', '\r'], " ")]);
        }
        line.push_str(others);
        line.push_str(if *form == Form::Json { "}\n" } else { "\n" });
        line
    }

    fn name(&mut self, field: &Field) {
        let _ = match self.form {
            Form::Text | Form::Command => write!(self.others, " {}=", field.name()),
            Form::Json => write!(self.others, ",\"{}\":", field.name()),
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
        if is_word && self.form != Form::Json {
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

    fn logged(form: Form, level: LevelFilter, log: impl FnOnce()) -> String {
        let sink = Arc::new(Sink::default());
        let lines = Lines { level, form, sink: Arc::clone(&sink) };
        tracing::subscriber::with_default(lines, log);
        String::from_utf8(std::mem::take(&mut sink.lock().lines)).unwrap()
    }

    #[test]
    fn text_lines_stay_one_line() {
        let text = logged(Form::Text, LevelFilter::INFO, || {
            tracing::info!(target: "arblast::x", n = 3, a = "b c\n", w = "d/e", "two\nlines");
        });
        let (time, rest) = text.split_once(' ').unwrap();
        assert!(time.ends_with('Z') && time.len() == 24, "{time}");
        assert_eq!(rest, "INFO  arblast::x: two lines n=3 a=\"b c\\n\" w=d/e\n");
    }

    #[test]
    fn json_lines_are_objects() {
        let text = logged(Form::Json, LevelFilter::INFO, || {
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
        let audit = || tracing::info!(target: AUDIT, "5");
        assert_eq!(logged(Form::Text, LevelFilter::INFO, log).lines().count(), 2);
        assert_eq!(logged(Form::Text, LevelFilter::ERROR, log), "");
        assert_eq!(logged(Form::Text, LevelFilter::ERROR, audit).lines().count(), 1);
    }

    #[test]
    fn warnings_of_commands_have_the_form_of_the_original() {
        let log = || tracing::warn!(target: "arblast::query", "it is ignored");
        assert_eq!(logged(Form::Command, LevelFilter::WARN, log), "[WARN] [Query$] it is ignored\n");
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
