//! What can be set. The checks, the names of environment variables, `arblast config` and the reference in
//! `docs/configuration.md` are made of this table.

/// Members that belong together.
pub struct Section {
    /// Names the section in the reference.
    pub title: &'static str,
    /// In the order of the reference.
    pub members: &'static [Member],
}

/// Something that can be set.
#[derive(Debug)]
pub struct Member {
    /// Name in the file; a number has its unit in it.
    pub name: &'static str,
    /// Type and range.
    pub kind: Kind,
    /// What holds if nobody sets it, as JSON.
    pub default: &'static str,
    /// Another environment variable that sets it, less strong than its own.
    pub alias: Option<&'static str>,
    /// For the reference.
    pub meaning: &'static str,
}

/// Type and range of a value.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// `true` or `false`
    Flag,
    /// A whole number, both bounds included.
    Whole(i64, i64),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// An address of this machine.
    Ip,
    /// A path; relative to the directory of the configuration file, elsewhere to the working directory.
    Path,
    /// Any text.
    Text,
    /// Text that is never shown.
    Secret,
    /// Strings; with commas between them in the environment and on the command line.
    Texts,
}

const fn member(name: &'static str, kind: Kind, default: &'static str, meaning: &'static str) -> Member {
    Member { name, kind, default, alias: None, meaning }
}

impl Member {
    const fn or_from(self, alias: &'static str) -> Self {
        Self { alias: Some(alias), ..self }
    }

    /// Its environment variable: `queryBytesMax` → `ARBLAST_QUERY_BYTES_MAX`.
    pub fn variable(&self) -> String {
        let mut variable = "ARBLAST_".to_owned();
        for c in self.name.chars() {
            if c.is_ascii_uppercase() {
                variable.push('_');
            }
            variable.push(c.to_ascii_uppercase());
        }
        variable
    }
}

/// All members with their sections.
pub static SECTIONS: &[Section] =
    &[LISTENING, LIMITS, EVENTS, QUERIES, KEYS, FEEDBACK, FLIGHT, TIMES, TLS, CORS, LOGS, STORAGE, INDEX];

/// All members.
pub fn members() -> impl Iterator<Item = &'static Member> {
    SECTIONS.iter().flat_map(|section| section.members)
}

const COUNT: Kind = Kind::Whole(1, 1_000_000);
const SECONDS: Kind = Kind::Whole(1, 86_400);

const LISTENING: Section = Section {
    title: "Listening",
    members: &[
        member("eventServerIp", Kind::Ip, r#""0.0.0.0""#, "Address of the event server."),
        member("eventServerPort", Kind::Whole(0, 65_535), "7070", "0 = a free one.").or_from("PORT"),
        member("queryServerIp", Kind::Ip, r#""0.0.0.0""#, "Address of the query server."),
        member("queryServerPort", Kind::Whole(0, 65_535), "8000", "0 = a free one.").or_from("PORT"),
        member(
            "reusePort",
            Kind::Flag,
            "false",
            "`true`: several processes may listen on the port (SO_REUSEPORT), so that a new one can start before the old one stops.",
        ),
    ],
};

const LIMITS: Section = Section {
    title: "Limits",
    members: &[
        member("connectionsMax", COUNT, "1000", "Open connections per server; more get 503 and are closed."),
        member(
            "headerBytesMax",
            Kind::Whole(1024, 1 << 20),
            "32768",
            "Request line and headers; more get 431.",
        ),
    ],
};

/// Larger events cannot be stored.
#[expect(clippy::cast_possible_wrap, reason = "some megabytes")]
const EVENT_BYTES_MAX: i64 = events::MAX_EVENT_BYTES as i64;

const EVENTS: Section = Section {
    title: "Events",
    members: &[
        member("maxBatch", COUNT, "50", "Events in one batch; more get 400."),
        member(
            "eventBytesMax",
            Kind::Whole(1, EVENT_BYTES_MAX),
            "1048576",
            "One event, or one line of a stream; more get 413, a line an error of its own.",
        ),
        member("batchBytesMax", Kind::Whole(1, 1 << 30), "8388608", "Body of a batch; more get 413."),
        member(
            "bufferedBytesMax",
            Kind::Whole(1 << 20, 1 << 40),
            "134217728",
            "Bodies that are in memory at the same time; more get 429.",
        ),
        member("queuedEventsMax", COUNT, "65536", "Events that wait to become durable; more get 429."),
        member("uploadsMax", COUNT, "8", "Streams of events at the same time; more get 429."),
        member("readsMax", COUNT, "64", "Reads and deletions at the same time; more get 429."),
        member(
            "webhooksFile",
            Kind::Path,
            "null",
            "[Mapping file](webhooks.md) with more webhooks than those built in.",
        ),
        member(
            "lenientJson",
            Kind::Flag,
            "true",
            "Events may lack commas or have too many, as those of old clients; the log names each such client once. `false`: they get 400.",
        ),
        member("stats", Kind::Flag, "false", "Counts events for `/stats.json`."),
    ],
};

const QUERIES: Section = Section {
    title: "Queries",
    members: &[
        member("queryBytesMax", Kind::Whole(1, 1 << 30), "1048576", "Body of a query; more get 413."),
        member("maxQueryBatch", COUNT, "100", "Queries in one batch; more get 400."),
        member(
            "queryBatchBytesMax",
            Kind::Whole(1, 1 << 30),
            "4194304",
            "Body of a batch of queries; more get 413.",
        ),
        member("queriesMax", COUNT, "1024", "Queries in work or waiting for a thread; more get 503."),
        member(
            "historyMsMax",
            Kind::Whole(1, 60_000),
            "200",
            "Reading a user's history; if it takes longer the answer does without, and says so.",
        ),
    ],
};

const KEYS: Section = Section {
    title: "Keys of the query server",
    members: &[
        member(
            "serverKey",
            Kind::Secret,
            "null",
            "Who shows it may reload, stop, and manage engines from anywhere; without it this machine may. Needed behind any proxy.",
        ),
        member("queryKey", Kind::Secret, "null", "If set, only who shows it may ask."),
    ],
};

const FEEDBACK: Section = Section {
    title: "Feedback of the query server",
    members: &[
        member(
            "feedback",
            Kind::Flag,
            "false",
            "Posts each prediction as an event to an event server; needs `feedbackKey`.",
        ),
        member("feedbackKey", Kind::Secret, "null", "Access key for that event server."),
        member(
            "feedbackUrl",
            Kind::Text,
            "null",
            "That event server, such as `https://events.example.com`; else the one of `eventServerIp` and `eventServerPort`, without TLS.",
        ),
        member(
            "withPrId",
            Kind::Flag,
            "false",
            "Puts the prediction's id into every answer, not only where the query says `withPrId`. Needs `feedback`.",
        ),
        member(
            "withDegraded",
            Kind::Flag,
            "false",
            "Says in every answer if it is degraded, not only where the query says `withDegraded`.",
        ),
        member(
            "logUrl",
            Kind::Secret,
            "null",
            "Each query that fails is posted there. Not shown, since such addresses hold keys.",
        ),
        member("logPrefix", Kind::Text, r#""""#, "Text before the JSON of a failed query."),
    ],
};

const FLIGHT: Section = Section {
    title: "Flight server",
    members: &[
        member(
            "flightIp",
            Kind::Ip,
            r#""127.0.0.1""#,
            "Address of `arblast flight serve`; one that others reach needs TLS.",
        ),
        member("flightPort", Kind::Whole(0, 65_535), "8815", "0 = a free one."),
        member(
            "flightQueriesMax",
            Kind::Whole(1, 1000),
            "8",
            "Statements in work; more wait, then get `UNAVAILABLE`.",
        ),
        member(
            "flightQuerySecondsMax",
            SECONDS,
            "300",
            "From the start of a statement to its last row; then `DEADLINE_EXCEEDED`.",
        ),
        member(
            "flightQueryBytesMax",
            Kind::Whole(1 << 20, 1 << 40),
            "268435456",
            "Memory that a statement may take: sorting and grouping go to disk beyond it; joining, counting, windows and what expressions make get `RESOURCE_EXHAUSTED`.",
        ),
        member(
            "flightSpillBytesMax",
            Kind::Whole(0, 1 << 44),
            "4294967296",
            "Temporary files of a statement; then `RESOURCE_EXHAUSTED`.",
        ),
        member(
            "flightRowsMax",
            Kind::Whole(1, 1 << 40),
            "50000000",
            "Rows of a result; then `RESOURCE_EXHAUSTED`.",
        ),
        member(
            "flightExportDirectory",
            Kind::Path,
            "null",
            "Folder where `COPY … TO` may write; without it, it may not.",
        ),
        member(
            "flightExportBytesMax",
            Kind::Whole(0, 1 << 50),
            "17179869184",
            "What an app's folder there holds at most, 16 GiB; then `RESOURCE_EXHAUSTED`.",
        ),
    ],
};

const TIMES: Section = Section {
    title: "Times",
    members: &[
        member(
            "headerSecondsMax",
            SECONDS,
            "10",
            "From the first byte of a request (of a new connection: from its beginning, TLS included) to the end of its headers; then the connection is closed.",
        ),
        member("bodyIdleSecondsMax", SECONDS, "20", "Between two pieces of a request's body."),
        member("idleSecondsMax", SECONDS, "75", "Between an answer and the next request of a connection."),
        member(
            "requestSecondsMax",
            SECONDS,
            "30",
            "From the headers of a request to its answer; then 503. Requests that stream have no such limit.",
        ),
        member(
            "drainSecondsMax",
            Kind::Whole(0, 3600),
            "10",
            "How long requests in work may take after the server was asked to stop.",
        ),
        member(
            "stopDelaySeconds",
            Kind::Whole(0, 3600),
            "0",
            "How long a server that was asked to stop still takes requests, while `/ready` says 503: as long as a load balancer needs to see it.",
        ),
    ],
};

const TLS: Section = Section {
    title: "TLS",
    members: &[
        member(
            "tlsCertificateFile",
            Kind::Path,
            "null",
            "PEM: the certificate, then those that lead to its authority. With it the servers speak HTTPS only. Read again within 5 s of a change, and on SIGHUP.",
        ),
        member("tlsKeyFile", Kind::Path, "null", "PEM: the private key of the certificate."),
    ],
};

const CORS: Section = Section {
    title: "CORS",
    members: &[
        member(
            "corsOrigins",
            Kind::Texts,
            "[]",
            r#"Web origins whose pages may call the servers, such as `"https://shop.example"`; `["*"]` = all. Cookies play no part."#,
        ),
        member("corsSeconds", Kind::Whole(0, 86_400), "600", "How long browsers may remember that."),
    ],
};

const LOGS: Section = Section {
    title: "Logs and metrics",
    members: &[
        member(
            "logFormat",
            Kind::Choice(&["text", "json"]),
            r#""text""#,
            "Log lines on standard error; `json` = one object per line.",
        ),
        member(
            "logLevel",
            Kind::Choice(&["error", "warn", "info", "debug", "trace"]),
            r#""info""#,
            "Lines below it are left out.",
        ),
        member("accessLog", Kind::Flag, "true", "A line at level `info` for each request."),
        member(
            "metricsKey",
            Kind::Secret,
            "null",
            "If set, `GET /metrics` needs `Authorization: Bearer <key>`.",
        ),
    ],
};

const STORAGE: Section = Section {
    title: "Storage",
    members: &[
        member(
            "registryUrl",
            Kind::Secret,
            "null",
            "[Database](operations.md#shared-stores) of apps, keys and training runs, such as `postgresql://user:password@host/database`; without it they are in the home directory, where they also are with `embedded`, whatever PredictionIO's variables say. Not shown, as it holds a password.",
        ),
        member("eventsUrl", Kind::Secret, "null", "The same for events; `hbase://…`, too."),
        member(
            "modelsUrl",
            Kind::Secret,
            "null",
            "[Where models are](operations.md#where-models-are): a path or `file://…`; or, for several machines, `hdfs://name/path`, `s3://bucket/path`, a database; without it `models` in the home directory.",
        ),
        member(
            "storage",
            Kind::Choice(&["auto", "embedded"]),
            r#""auto""#,
            "`auto`: where the three URLs say, else where the variables of PredictionIO or `DATABASE_URL` say, else in the home directory. `embedded`: in the home directory, whatever those variables say.",
        ),
    ],
};

const INDEX: Section = Section {
    title: "Search servers",
    members: &[
        member(
            "indexUrl",
            Kind::Secret,
            "null",
            "Elasticsearch or OpenSearch that models are published to and that answers: `http(s)://[user:password@]host[:9200][,host…]`. Else that of `PIO_STORAGE_SOURCES_ELASTICSEARCH_HOSTS`; `embedded` = neither.",
        ),
        member("indexApiKey", Kind::Secret, "null", "API key for it, instead of user and password."),
        member(
            "indexCaFile",
            Kind::Path,
            "null",
            "PEM: authorities of its certificates, instead of those of the system.",
        ),
        member("indexShards", Kind::Whole(1, 1024), "1", "Shards of each new index; answers are the same."),
    ],
};
