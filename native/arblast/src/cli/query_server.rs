//! What all commands that start a query server have in common: its options, and what the settings say of it.

use super::console::Console;
use super::deploy::LOGGER;
use crate::failure::Result;
use crate::http::{self, FailureLog, Identity, Limits, Target};
use crate::settings::Settings;

/// Who may do what, and what is told to other servers. Each is a setting, too.
#[derive(clap::Args)]
pub struct QueryOptions {
    /// Whoever shows this key may control the query server, from anywhere [default: $ARBLAST_SERVER_KEY]
    #[arg(long, value_name = "KEY")]
    server_key: Option<String>,
    /// Only who shows this key may ask [default: $ARBLAST_QUERY_KEY]
    #[arg(long, value_name = "KEY")]
    query_key: Option<String>,
    /// Post each prediction as an event to the event server; needs --accesskey
    #[arg(long)]
    feedback: bool,
    /// Host of the event server [default: the setting feedbackUrl, else eventServerIp]
    #[arg(long, value_name = "HOST")]
    event_server_ip: Option<String>,
    /// Port of the event server [default: 7070 with --event-server-ip]
    #[arg(long, value_name = "PORT")]
    event_server_port: Option<u16>,
    /// The event server, instead of its host and port; https:// too
    #[arg(long, value_name = "URL", conflicts_with_all = ["event_server_ip", "event_server_port"])]
    event_server_url: Option<String>,
    /// Access key for the event server [default: $ARBLAST_FEEDBACK_KEY]
    #[arg(long, value_name = "KEY")]
    accesskey: Option<String>,
    /// Post each query that fails to this URL
    #[arg(long, value_name = "URL")]
    log_url: Option<String>,
    /// Text before the JSON of a failed query
    #[arg(long, value_name = "TEXT")]
    log_prefix: Option<String>,
    /// Put the prediction's id into every answer, not only where the query says withPrId
    #[arg(long)]
    with_pr_id: bool,
    /// Say in every answer if it is degraded, not only where the query says withDegraded
    #[arg(long)]
    with_degraded: bool,
}

/// They hold keys.
impl std::fmt::Debug for QueryOptions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("QueryOptions")
    }
}

impl QueryOptions {
    /// Member, value if it was given, option.
    pub(super) fn settings(&self) -> Vec<(&'static str, Option<String>, &'static str)> {
        let flag = |given: bool| given.then(|| "true".to_owned());
        let text = |given: &Option<String>| given.clone().filter(|text| !text.is_empty());
        vec![
            ("serverKey", self.server_key.clone(), "--server-key"),
            ("queryKey", self.query_key.clone(), "--query-key"),
            ("feedback", flag(self.feedback), "--feedback"),
            ("feedbackKey", text(&self.accesskey), "--accesskey"),
            (
                "feedbackUrl",
                text(&self.event_server_url).or_else(|| self.event_server()),
                "--event-server-url",
            ),
            ("logUrl", text(&self.log_url), "--log-url"),
            ("logPrefix", self.log_prefix.clone(), "--log-prefix"),
            ("withPrId", flag(self.with_pr_id), "--with-pr-id"),
            ("withDegraded", flag(self.with_degraded), "--with-degraded"),
        ]
    }

    /// Says what was asked for and cannot be.
    pub(super) fn warn(&self, settings: &Settings, console: Console) {
        if settings.feedback.enabled && settings.feedback.key.is_none() {
            console.warn(LOGGER, "Feedback loop cannot be enabled because accessKey is empty.");
        }
        if self.event_server_url.is_some() && !settings.feedback.enabled {
            console.warn(LOGGER, "--event-server-url is ignored: no --feedback is given.");
        }
    }

    /// The event server by host and port, as `pio deploy` takes them.
    fn event_server(&self) -> Option<String> {
        let (host, port) = (self.event_server_ip.as_deref(), self.event_server_port);
        (host.is_some() || port.is_some()).then(|| {
            let host = host.filter(|host| *host != "0.0.0.0").unwrap_or("127.0.0.1");
            format!("http://{host}:{}", port.unwrap_or(7070))
        })
    }
}

/// What the settings say of a query server that introduces itself so.
pub(super) fn settings(settings: &Settings, identity: Identity) -> Result<http::Settings> {
    let (queries, feedback) = (&settings.queries, &settings.feedback);
    let key = feedback.key.as_deref().filter(|_| feedback.enabled);
    let events = key.map(|key| format!("{}/events.json?accessKey={}", feedback.url, escaped(key)));
    let target =
        |url: &str| Target::parse(url).map_err(|failure| failure.of("feedbackUrl (--event-server-url)"));
    let log = |url: &String| -> Result<FailureLog> {
        let target = Target::parse(url).map_err(|failure| failure.of("logUrl (--log-url)"))?;
        Ok(FailureLog { target, prefix: feedback.log_prefix.clone() })
    };
    Ok(http::Settings {
        query_bytes_max: queries.query_bytes_max,
        event_bytes_max: settings.events.event_bytes_max,
        lenient_json: settings.events.lenient_json,
        batch_bytes_max: queries.batch_bytes_max,
        batch_queries_max: queries.batch_queries_max,
        answering: Limits {
            history_timeout_ms: queries.history_ms_max,
            queries_max: queries.queries_max,
            ..Limits::default()
        },
        server_key: settings.server_key.clone(),
        query_key: settings.query_key.clone(),
        with_degraded: feedback.with_degraded,
        with_pr_id: feedback.with_pr_id,
        feedback: events.as_deref().map(target).transpose()?,
        identity,
        failure_log: feedback.log_url.as_ref().map(log).transpose()?,
    })
}

/// A text as the value of a parameter.
fn escaped(text: &str) -> String {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| if safe(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
