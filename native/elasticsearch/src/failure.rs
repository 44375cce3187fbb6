//! What servers refuse, in a line that says what to do.

use std::time::Duration;

use events::{Error, Json, Kind};

use crate::cluster::Answer;

/// A refusal that somebody can act on: a mark in the server's words, its kind, what to do.
const KNOWN: [(&str, Kind, &str); 13] = [
    (
        "read-only-allow-delete",
        Kind::Unavailable,
        "its disk is full (flood stage): free space or add disk; the block goes with the next check of the server",
    ),
    (
        "read_only_allow_delete",
        Kind::Unavailable,
        "its disk is full (flood stage): free space or add disk; the block goes with the next check of the server",
    ),
    ("FORBIDDEN/", Kind::Unavailable, "the index or cluster is blocked for writing: remove the block"),
    (
        "too_many_clauses",
        Kind::Invalid,
        "the query has more values than the server takes: lower maxQueryEvents or raise indices.query.bool.max_clause_count",
    ),
    (
        "too_many_nested_clauses",
        Kind::Invalid,
        "the query has more values than the server takes: lower maxQueryEvents or raise indices.query.bool.max_clause_count",
    ),
    (
        "maxClauseCount",
        Kind::Invalid,
        "the query has more values than the server takes: lower maxQueryEvents or raise indices.query.bool.max_clause_count",
    ),
    (
        "maximum shards open",
        Kind::Unavailable,
        "the cluster has as many shards as it may: remove old indexes or raise cluster.max_shards_per_node",
    ),
    (
        "maximum normal shards open",
        Kind::Unavailable,
        "the cluster has as many shards as it may: remove old indexes or raise cluster.max_shards_per_node",
    ),
    (
        "Limit of total fields",
        Kind::Invalid,
        "items have more different properties than an index may have fields: see index.mapping.total_fields.limit",
    ),
    (
        "parsing_exception",
        Kind::Invalid,
        "the mapping conflicts with the items: does an index template of this cluster change the mapping?",
    ),
    (
        "can't merge a non object mapping",
        Kind::Invalid,
        "the mapping conflicts with the items: does an index template of this cluster change the mapping?",
    ),
    (
        "cannot be changed from type",
        Kind::Invalid,
        "the mapping conflicts with the items: did somebody change the mapping of this index?",
    ),
    (
        "circuit_breaking_exception",
        Kind::Unavailable,
        "the server has too little memory for this just now: give it more heap",
    ),
];

/// A status that is no success.
pub(crate) fn of(what: &str, answer: &Answer) -> Error {
    let Answer { host, status, json } = answer;
    let reason = reason(json);
    if let Some((kind, remedy)) = known(&reason) {
        return Error::new(kind, format!("{host}: cannot {what}: {remedy} ({})", first_line(&reason)));
    }
    let (kind, remedy) = match status {
        401 => (Kind::Denied, "user and password, or the API key, are missing or wrong"),
        403 => (Kind::Denied, "the user or API key lacks the right"),
        404 => (Kind::NotFound, "there is no such index"),
        429 => (Kind::Unavailable, "the server is overloaded"),
        400..=499 => (Kind::Invalid, "the server refuses"),
        _ => (Kind::Unavailable, "the server has failed"),
    };
    let said = if reason.is_empty() { format!("status {status}") } else { first_line(&reason) };
    Error::new(kind, format!("{host}: cannot {what}: {remedy} ({said})"))
}

/// The kind and remedy of what one document of a bulk request, or a whole request, was refused for.
pub(crate) fn known(reason: &str) -> Option<(Kind, &'static str)> {
    KNOWN.iter().find(|(mark, ..)| reason.contains(mark)).map(|(_, kind, remedy)| (*kind, *remedy))
}

/// Types and reasons of an error and its causes.
pub(crate) fn reason(json: &Json) -> String {
    let error = json.get("error").unwrap_or(json);
    let mut said: Vec<String> = Vec::new();
    gather(error, 0, &mut said);
    said.join("; ")
}

fn gather(error: &Json, depth: usize, said: &mut Vec<String>) {
    if let Some(text) = error.as_str() {
        said.push(text.to_owned());
    }
    let text = |name: &str| error.get(name).and_then(Json::as_str).unwrap_or_default();
    let line = [text("type"), text("reason")].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>();
    let line = line.join(": ");
    if !line.is_empty() && !said.contains(&line) {
        said.push(line);
    }
    if depth > 8 {
        return;
    }
    let causes = error.get("root_cause").and_then(Json::as_array).unwrap_or_default().iter();
    for cause in error.get("caused_by").into_iter().chain(causes) {
        gather(cause, depth + 1, said);
    }
    let failed = error.get("failed_shards").and_then(Json::as_array).unwrap_or_default().iter();
    for cause in failed.filter_map(|shard| shard.get("reason")) {
        gather(cause, depth + 1, said);
    }
}

/// One line of moderate length.
pub(crate) fn first_line(text: &str) -> String {
    const CHARACTERS: usize = 300;
    let line: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(CHARACTERS + 1).collect();
    if line.chars().count() > CHARACTERS {
        line.chars().take(CHARACTERS).chain(['…']).collect()
    } else {
        line
    }
}

/// No answer at all.
pub(crate) fn of_connection(what: &str, origin: &str, limit: Duration, error: ureq::Error) -> Error {
    let why = match &error {
        ureq::Error::Timeout(ureq::Timeout::Connect) => "no connection in time".to_owned(),
        ureq::Error::Timeout(_) => format!("no answer within {} s", limit.as_secs_f32()),
        ureq::Error::HostNotFound => "no host of this name".to_owned(),
        ureq::Error::Rustls(error) => format!("TLS: {error}; a CA of your own needs its file"),
        ureq::Error::Io(error) => match error.kind() {
            std::io::ErrorKind::ConnectionRefused => "nothing listens there".to_owned(),
            _ if error.to_string().contains("certificate") => {
                format!("TLS: {error}; a CA of your own needs its file")
            }
            _ => error.to_string(),
        },
        other => other.to_string(),
    };
    Error::new(Kind::Unavailable, format!("{origin}: cannot {what}: {why}")).with_source(error)
}
