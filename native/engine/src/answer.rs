//! The wire form of an answer: `{"itemScores":[…]}`, as clients of the Universal Recommender know it.

use std::fmt::Write;

use events::EventTime;
use events::json::write_string;

use crate::dither::Dithered;
use crate::explain::{Explained, Reason, Reasons};
use crate::{Recommendation, Recommendations};

impl Recommendations {
    /// Compact JSON: `itemScores` in order; per item `ranks`, `properties` and `explain` only if asked for.
    /// Scores are printed as the shortest text that reads back as the same 32-bit float. `degraded` only if true.
    pub fn to_json(&self) -> String {
        let mut out = String::from("{\"itemScores\":");
        list(&mut out, &self.items, recommendation);
        if self.degraded {
            out.push_str(",\"degraded\":true");
        }
        if let Some(explained) = &self.explanation {
            explanation(&mut out, explained);
        }
        out.push('}');
        out
    }
}

fn recommendation(out: &mut String, item: &Recommendation) {
    out.push_str("{\"item\":");
    write_string(&item.item, out);
    member(out, "score", item.score);
    if let Some(ranks) = &item.ranks {
        out.push_str(",\"ranks\":");
        object(out, ranks);
    }
    if let Some(properties) = &item.properties {
        let _ = write!(out, ",\"properties\":{properties}");
    }
    if let Some(reasons) = &item.reasons {
        out.push_str(",\"explain\":");
        item_reasons(out, reasons);
    }
    out.push('}');
}

fn item_reasons(out: &mut String, reasons: &Reasons) {
    out.push_str("{\"because\":");
    list(out, &reasons.because, reason);
    if !reasons.factors.is_empty() {
        out.push_str(",\"factors\":");
        object(out, &reasons.factors);
    }
    if let Some(rank) = reasons.rank {
        let _ = write!(out, ",\"rank\":{rank}");
    }
    out.push('}');
}

fn reason(out: &mut String, reason: &Reason) {
    out.push_str("{\"field\":");
    write_string(&reason.field, out);
    out.push_str(",\"value\":");
    write_string(&reason.value, out);
    member(out, "weight", reason.weight);
    if let Some(llr) = reason.llr {
        let _ = write!(out, ",\"llr\":{llr:?}");
    }
    out.push_str(",\"from\":");
    list(out, &reason.from, |out, origin| write_string(origin, out));
    if let Some(millis) = reason.when {
        let _ = write!(out, ",\"eventTime\":\"{}\"", EventTime { millis, offset_seconds: 0 });
    }
    out.push('}');
}

fn explanation(out: &mut String, explained: &Explained) {
    out.push_str(",\"explain\":{\"history\":{");
    for (index, (indicator, items)) in explained.history.iter().enumerate() {
        separate(out, index);
        write_string(indicator, out);
        out.push(':');
        strings(out, items);
    }
    out.push_str("},\"excludedItems\":");
    strings(out, &explained.excluded);
    out.push_str(",\"conditions\":");
    strings(out, &explained.conditions);
    out.push_str(",\"filtered\":");
    list(out, &explained.filtered, |out, (item, score, failed)| {
        out.push_str("{\"item\":");
        write_string(item, out);
        member(out, "score", *score);
        out.push_str(",\"by\":");
        strings(out, failed);
        out.push('}');
    });
    if let Some(Dithered { dither, until_ms, window }) = &explained.dithered {
        let until = EventTime { millis: *until_ms, offset_seconds: 0 };
        let _ = write!(
            out,
            ",\"dithered\":{{\"sigma\":{:?},\"seed\":{},\"until\":\"{until}\",\"first\":{window}}}",
            dither.sigma, dither.seed
        );
    }
    out.push('}');
}

fn member(out: &mut String, name: &str, value: f32) {
    let _ = write!(out, ",\"{name}\":{value:?}");
}

fn object(out: &mut String, members: &[(String, f32)]) {
    out.push('{');
    for (index, (name, value)) in members.iter().enumerate() {
        separate(out, index);
        write_string(name, out);
        let _ = write!(out, ":{value:?}");
    }
    out.push('}');
}

fn strings(out: &mut String, values: &[String]) {
    list(out, values, |out, value| write_string(value, out));
}

fn list<T>(out: &mut String, values: &[T], mut write: impl FnMut(&mut String, &T)) {
    out.push('[');
    for (index, value) in values.iter().enumerate() {
        separate(out, index);
        write(out, value);
    }
    out.push(']');
}

fn separate(out: &mut String, index: usize) {
    if index > 0 {
        out.push(',');
    }
}
