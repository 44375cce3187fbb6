//! Progress bars, on standard error and only on a terminal.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often counters are looked at.
const REFRESH: Duration = Duration::from_millis(200);

const OF_BYTES: &str =
    "{spinner} {wide_bar} {bytes}/{total_bytes}  {binary_bytes_per_sec}  {msg}  {eta} left";
const BYTES: &str = "{spinner} {bytes}  {binary_bytes_per_sec}  {msg}";
const OF_STEPS: &str = "{prefix:22} {wide_bar} {human_pos}/{human_len}  {elapsed}";
const STEPS: &str = "{prefix:22} {spinner} {human_pos}  {elapsed}";

/// A bar over bytes; `total` 0 = unknown.
pub fn bytes(total: u64) -> ProgressBar {
    bar(total, OF_BYTES, BYTES)
}

/// A bar over steps; `total` 0 = unknown.
pub fn steps(total: u64) -> ProgressBar {
    bar(total, OF_STEPS, STEPS)
}

fn bar(total: u64, known: &str, unknown: &str) -> ProgressBar {
    let (bar, template) =
        if total == 0 { (ProgressBar::no_length(), unknown) } else { (ProgressBar::new(total), known) };
    bar.set_draw_target(ProgressDrawTarget::stderr());
    // A template that does not parse would show in the first run of the program; the default is good enough then.
    bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// Moves a bar along with a counter until it is dropped.
pub struct Follow {
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Follow {
    /// `message` makes the text beside the bar.
    pub fn new(
        bar: ProgressBar,
        counter: Arc<AtomicU64>,
        message: impl Fn() -> String + Send + 'static,
    ) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&ended);
        let thread = thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                bar.set_position(counter.load(Ordering::Relaxed));
                bar.set_message(message());
                thread::park_timeout(REFRESH);
            }
            bar.finish_and_clear();
        });
        Self { ended, thread: Some(thread) }
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

/// `1234567` as `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_come_in_threes() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn templates_parse() {
        for template in [OF_BYTES, BYTES, OF_STEPS, STEPS] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
