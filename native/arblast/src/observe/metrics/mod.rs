//! Metrics in the text format of Prometheus (version 0.0.4). Counting takes atomic additions only, no lock.

mod histogram;
mod process;
mod requests;
#[cfg(test)]
mod tests;

pub use histogram::Histogram;
pub use requests::{Requests, Server};

use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};

/// All metrics of the process.
#[derive(Default)]
pub struct Metrics {
    families: Mutex<Vec<Family>>,
    requests: Requests,
}

/// Metrics of one name.
struct Family {
    name: String,
    help: String,
    kind: &'static str,
    series: Vec<(Labels, Reader)>,
}

/// Names and values; values of any text.
pub type Labels = Vec<(&'static str, String)>;

enum Reader {
    Value(Box<dyn Fn() -> f64 + Send + Sync>),
    Histogram(Arc<Histogram>),
}

impl Metrics {
    /// Metrics of the process itself, and none else yet.
    pub fn new() -> Arc<Self> {
        let metrics = Arc::new(Self::default());
        process::register(&metrics);
        metrics
    }

    /// A value that `read` gives whenever somebody looks; it should be quick.
    pub fn gauge(
        &self,
        name: &str,
        help: &str,
        labels: &[(&'static str, &str)],
        read: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        self.register(name, help, "gauge", labels, Reader::Value(Box::new(read)));
    }

    /// The same for a value that only grows; `name` ends in `_total`.
    pub fn counted(
        &self,
        name: &str,
        help: &str,
        labels: &[(&'static str, &str)],
        read: impl Fn() -> u64 + Send + Sync + 'static,
    ) {
        #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
        let read = move || read() as f64;
        self.register(name, help, "counter", labels, Reader::Value(Box::new(read)));
    }

    /// Times that `histogram` counts; `name` ends in `_seconds`.
    pub fn times(&self, name: &str, help: &str, labels: &[(&'static str, &str)], histogram: Arc<Histogram>) {
        self.register(name, help, "histogram", labels, Reader::Histogram(histogram));
    }

    /// Counts of HTTP requests.
    pub fn requests(&self) -> &Requests {
        &self.requests
    }

    fn register(
        &self,
        name: &str,
        help: &str,
        kind: &'static str,
        labels: &[(&'static str, &str)],
        read: Reader,
    ) {
        let labels: Labels = labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let mut families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(family) = families.iter_mut().find(|family| family.name == name) {
            // The newest reader of the same labels is the one that lives.
            family.series.retain(|(known, _)| *known != labels);
            family.series.push((labels, read));
        } else {
            let (name, help) = (name.to_owned(), help.to_owned());
            families.push(Family { name, help, kind, series: vec![(labels, read)] });
        }
    }

    /// The text of all.
    pub fn text(&self) -> String {
        let mut out = String::new();
        let families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
        for family in families.iter() {
            header(&mut out, &family.name, &family.help, family.kind);
            for (labels, read) in &family.series {
                match read {
                    Reader::Value(read) => sample(&mut out, &family.name, labels, read()),
                    Reader::Histogram(histogram) => histogram.write(&mut out, &family.name, labels),
                }
            }
        }
        drop(families);
        self.requests.write(&mut out);
        out
    }
}

fn header(out: &mut String, name: &str, help: &str, kind: &str) {
    let help = help.replace('\\', "\\\\").replace('\n', "\\n");
    let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
}

fn sample(out: &mut String, name: &str, labels: &Labels, value: f64) {
    out.push_str(name);
    for (i, (label, text)) in labels.iter().enumerate() {
        let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let _ = write!(out, "{}{label}=\"{text}\"", if i == 0 { '{' } else { ',' });
    }
    out.push_str(if labels.is_empty() { " " } else { "} " });
    if value.is_finite() {
        let _ = writeln!(out, "{value}");
    } else {
        let sign = if value.is_sign_negative() { "-" } else { "+" };
        let _ = if value.is_nan() { writeln!(out, "NaN") } else { writeln!(out, "{sign}Inf") };
    }
}
