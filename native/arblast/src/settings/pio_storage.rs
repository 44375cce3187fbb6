//! Storage that PredictionIO's variables name: what we open, and what we cannot.

use std::fmt::Write;

const REPOSITORIES: [&str; 3] = ["METADATA", "EVENTDATA", "MODELDATA"];

/// A type of storage → what a person may expect.
const COMING: [(&str, &str); 5] = [
    ("jdbc", "its URL must be one of PostgreSQL or MySQL"),
    (
        "elasticsearch",
        "Elasticsearch can answer queries, by indexUrl; apps are brought over by `arblast app import`, events by `pio export`",
    ),
    ("hbase", "events can be there, if hbase-site.xml or HOSTS name ZooKeeper; nothing else"),
    ("hdfs", "models can be there, if core-site.xml in HADOOP_CONF_DIR has fs.defaultFS; nothing else"),
    ("s3", "models can be there, if BUCKET_NAME names the bucket; nothing else"),
];

type LookUp<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A URL that variables make up.
#[derive(Clone, PartialEq, Eq)]
pub struct Found {
    /// The URL, with its password.
    pub url: String,
    /// The variable that decided.
    pub variable: String,
}

/// Where PredictionIO keeps everything, as far as we can open it.
#[derive(Default)]
pub struct Storage {
    /// Apps and keys.
    pub registry: Option<Found>,
    /// Events.
    pub events: Option<Found>,
    /// Models; not those on a file system of its own.
    pub models: Option<Found>,
    /// What S3 must be told beside the URL of models.
    pub models_options: Vec<(String, String)>,
}

impl Storage {
    /// What the variables of repositories say; if they say nothing, all is where `DATABASE_URL` is, and models in the bucket of the
    /// buildpack's variables, if there is one.
    pub fn of(variable: LookUp<'_>) -> Self {
        let (bucket, models_options) = bucket(variable);
        if REPOSITORIES.iter().any(|repository| source(variable, repository).is_some()) {
            let registry = jdbc(variable, "METADATA");
            let events = jdbc(variable, "EVENTDATA").or_else(|| hbase(variable));
            let models = jdbc(variable, "MODELDATA").or_else(|| hdfs(variable)).or(bucket);
            return Self { registry, events, models, models_options };
        }
        let found = database_url(variable);
        let models = bucket.or_else(|| found.clone());
        Self { registry: found.clone(), events: found, models, models_options }
    }
}

/// The URL of models in S3: the source of type `s3`, or the variables of the buildpack; and keys, as far as they are not Amazon's own.
fn bucket(variable: LookUp<'_>) -> (Option<Found>, Vec<(String, String)>) {
    let source = source(variable, "MODELDATA").unwrap_or_default();
    let of_source = |key: &str| variable(&format!("PIO_STORAGE_SOURCES_{source}_{key}"));
    let of_buildpack = |key: &str| variable(&format!("PIO_S3_{key}"));
    let is_source = of_source("TYPE").as_deref() == Some("s3");
    let name = "BUCKET_NAME";
    let (found, decided_by) = match is_source {
        true => (of_source(name), "PIO_STORAGE_REPOSITORIES_MODELDATA_SOURCE"),
        false if source.is_empty() => (of_buildpack(name), "PIO_S3_BUCKET_NAME"),
        false => (None, ""),
    };
    let path = of_source("BASE_PATH").filter(|_| is_source).unwrap_or_default();
    let found = found.map(|bucket| Found {
        url: format!("s3://{bucket}/{}", path.trim_matches('/')),
        variable: decided_by.to_owned(),
    });
    let options = [
        ("access_key_id", of_buildpack("AWS_ACCESS_KEY_ID")),
        ("secret_access_key", of_buildpack("AWS_SECRET_ACCESS_KEY")),
        ("region", of_source("REGION").filter(|_| is_source)),
        ("endpoint", of_source("ENDPOINT").filter(|_| is_source)),
    ];
    let options = options.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    let options = if found.is_some() { options.collect() } else { Vec::new() };
    (found, options)
}

/// The URL of models in the file system that Hadoop's configuration names.
fn hdfs(variable: LookUp<'_>) -> Option<Found> {
    let source = source(variable, "MODELDATA")?;
    let of_source = |key: &str| variable(&format!("PIO_STORAGE_SOURCES_{source}_{key}"));
    of_source("TYPE").filter(|kind| kind == "hdfs")?;
    let site = std::path::Path::new(&variable("HADOOP_CONF_DIR")?).join("core-site.xml");
    let root = objects::hadoop_property(&std::fs::read_to_string(site).ok()?, "fs.defaultFS")?;
    let path = of_source("PATH").unwrap_or_default();
    let url = format!("{}/{}", root.trim_end_matches('/'), path.trim_matches('/'));
    Some(Found { url, variable: "PIO_STORAGE_REPOSITORIES_MODELDATA_SOURCE".to_owned() })
}

/// The search servers of the source that is called ELASTICSEARCH, where the Universal Recommender keeps its models, or of the buildpack.
pub fn search_servers(variable: LookUp<'_>) -> Option<Found> {
    let names = ["PIO_STORAGE_SOURCES_ELASTICSEARCH_HOSTS", "PIO_ELASTICSEARCH_URL"];
    let decides = names.into_iter().find(|name| variable(name).is_some())?;
    Some(Found { url: elasticsearch::pio_url(variable)?, variable: decides.to_owned() })
}

/// As the platforms give it: TLS is wanted there, whoever the server is.
fn database_url(variable: LookUp<'_>) -> Option<Found> {
    let mut url = variable("DATABASE_URL").filter(|url| sql::Sql::understands(url))?;
    let optional = variable("PIO_POSTGRES_OPTIONAL_SSL").is_some_and(|text| text == "true");
    if url.starts_with("postgres") && !optional && !url.contains("sslmode=") {
        url.push(if url.contains('?') { '&' } else { '?' });
        url.push_str("sslmode=require");
    }
    Some(Found { url, variable: "DATABASE_URL".to_owned() })
}

fn source(variable: LookUp<'_>, repository: &str) -> Option<String> {
    variable(&format!("PIO_STORAGE_REPOSITORIES_{repository}_SOURCE")).filter(|source| !source.is_empty())
}

/// The URL of a repository's source of type `jdbc`, with what other variables say as parameters.
fn jdbc(variable: LookUp<'_>, repository: &str) -> Option<Found> {
    let source = source(variable, repository)?;
    let of_source = |key: &str| variable(&format!("PIO_STORAGE_SOURCES_{source}_{key}"));
    let mut url = of_source("URL").filter(|_| of_source("TYPE").as_deref() == Some("jdbc"))?;
    if !sql::Sql::understands(&url) {
        return None;
    }
    let name = |repository: &str| variable(&format!("PIO_STORAGE_REPOSITORIES_{repository}_NAME"));
    let parameters = [
        ("user", of_source("USERNAME")),
        ("password", of_source("PASSWORD")),
        ("connections", of_source("CONNECTIONS")),
        ("index", of_source("INDEX")),
        // No key of PredictionIO's, which passes over it.
        ("timestampZone", of_source("TIMESTAMPZONE")),
        // All, so that one source is one database.
        ("meta", name("METADATA")),
        ("event", name("EVENTDATA")),
        ("model", name("MODELDATA")),
    ];
    let mut separator = if url.contains('?') { '&' } else { '?' };
    for (name, value) in parameters {
        let Some(value) = value else { continue };
        let _ = write!(url, "{separator}{name}={}", escaped(&value));
        separator = '&';
    }
    Some(Found { url, variable: format!("PIO_STORAGE_REPOSITORIES_{repository}_SOURCE") })
}

/// The URL of events in HBase: its own configuration tells where ZooKeeper is, else the hosts of the source.
fn hbase(variable: LookUp<'_>) -> Option<Found> {
    let source = source(variable, "EVENTDATA")?;
    let of_source = |key: &str| variable(&format!("PIO_STORAGE_SOURCES_{source}_{key}"));
    of_source("TYPE").filter(|kind| kind == "hbase")?;
    let site = variable("HBASE_CONF_DIR").map(|folder| std::path::Path::new(&folder).join("hbase-site.xml"));
    let site = site.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
    let property = |name: &str| objects::hadoop_property(&site, name);
    let hosts = property("hbase.zookeeper.quorum").or_else(|| of_source("HOSTS"))?;
    let port = property("hbase.zookeeper.property.clientPort").unwrap_or_else(|| "2181".to_owned());
    let with_port = |host: &str| if host.contains(':') { host.to_owned() } else { format!("{host}:{port}") };
    let hosts: Vec<String> = hosts.split(',').map(|host| with_port(host.trim())).collect();
    let znode = property("zookeeper.znode.parent").unwrap_or_else(|| "/hbase".to_owned());
    let namespace =
        variable("PIO_STORAGE_REPOSITORIES_EVENTDATA_NAME").unwrap_or_else(|| "pio_event".to_owned());
    let url = format!("hbase://{}{znode}?namespace={namespace}", hosts.join(","));
    Some(Found { url, variable: "PIO_STORAGE_REPOSITORIES_EVENTDATA_SOURCE".to_owned() })
}

/// As it may stand in a URL.
fn escaped(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes().fold(String::new(), |mut out, byte| {
        if is_plain(byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

/// Says which repositories are configured to be where we cannot go; `None` if there are none. Credentials are left out.
pub fn elsewhere(variable: LookUp<'_>) -> Option<String> {
    let mut text = String::new();
    for repository in REPOSITORIES {
        let Some(source) = source(variable, repository) else { continue };
        let of_source = |key: &str| variable(&format!("PIO_STORAGE_SOURCES_{source}_{key}"));
        let Some(kind) = of_source("TYPE") else {
            let _ = write!(text, "{repository}: {source} is not a configured storage source. ");
            continue;
        };
        let is_ours = match repository {
            "EVENTDATA" => hbase(variable).is_some(),
            // Models in files are ours wherever they are.
            "MODELDATA" => kind == "localfs" || hdfs(variable).is_some() || bucket(variable).0.is_some(),
            _ => false,
        };
        if is_ours || jdbc(variable, repository).is_some() {
            continue;
        }
        let place = of_source("URL").or_else(|| of_source("HOSTS")).map(|place| without_credentials(&place));
        let place = place.map_or_else(String::new, |place| format!(" at {place}"));
        let coming = COMING.iter().find(|(known, _)| *known == kind);
        let coming = coming.map_or("this type is not known", |(_, coming)| coming);
        let _ = write!(text, "{repository} is in {source} of type {kind}{place} ({coming}). ");
    }
    (!text.is_empty()).then(|| text.trim_end().to_owned())
}

/// A URL without what stands before its `@` and behind its `?` or `;`.
fn without_credentials(url: &str) -> String {
    let url = url.split(['?', ';']).next().unwrap_or_default();
    match url.rsplit_once('@') {
        None => url.to_owned(),
        Some((before, host)) => {
            let scheme = before.find("//").map_or("", |end| &before[..end + 2]);
            format!("{scheme}{host}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look_up<'a>(variables: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
        |name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn foreign_storage_is_named_without_its_credentials() {
        let variables = [
            ("PIO_STORAGE_REPOSITORIES_METADATA_SOURCE", "ORA"),
            ("PIO_STORAGE_REPOSITORIES_EVENTDATA_SOURCE", "GONE"),
            ("PIO_STORAGE_REPOSITORIES_MODELDATA_SOURCE", "LOCALFS"),
            ("PIO_STORAGE_SOURCES_ORA_TYPE", "jdbc"),
            ("PIO_STORAGE_SOURCES_ORA_URL", "jdbc:oracle://u:hunter2@db:1521/pio?password=hunter2"),
            ("PIO_STORAGE_SOURCES_ORA_PASSWORD", "hunter2"),
            ("PIO_STORAGE_SOURCES_LOCALFS_TYPE", "localfs"),
        ];
        assert_eq!(
            elsewhere(&look_up(&variables)).unwrap(),
            "METADATA is in ORA of type jdbc at jdbc:oracle://db:1521/pio (its URL must be one of PostgreSQL or \
             MySQL). EVENTDATA: GONE is not a configured storage source."
        );
        let found = Storage::of(&look_up(&variables));
        assert!(found.registry.is_none() && found.events.is_none() && found.models.is_none());
        assert_eq!(elsewhere(&look_up(&[])), None);
    }

    #[test]
    fn events_in_hbase_are_where_its_configuration_says() {
        let folder = tempfile::tempdir().unwrap();
        let site = "<configuration><property><name>hbase.zookeeper.quorum</name>\n <value>z1, z2:9</value></property>\
                    <property><name>zookeeper.znode.parent</name><value>/own</value></property></configuration>";
        std::fs::write(folder.path().join("hbase-site.xml"), site).unwrap();
        let configuration = folder.path().display().to_string();
        let mut variables = vec![
            ("PIO_STORAGE_REPOSITORIES_EVENTDATA_SOURCE", "HB"),
            ("PIO_STORAGE_REPOSITORIES_EVENTDATA_NAME", "e"),
            ("PIO_STORAGE_SOURCES_HB_TYPE", "hbase"),
            ("PIO_STORAGE_SOURCES_HB_HOSTS", "h1"),
        ];
        let url = |variables: &[(&str, &str)]| Storage::of(&look_up(variables)).events.map(|found| found.url);
        assert_eq!(url(&variables).unwrap(), "hbase://h1:2181/hbase?namespace=e");
        assert_eq!(elsewhere(&look_up(&variables)), None);
        variables.push(("HBASE_CONF_DIR", &configuration));
        assert_eq!(url(&variables).unwrap(), "hbase://z1:2181,z2:9/own?namespace=e");
    }

    #[test]
    fn a_database_of_predictionio_becomes_one_url() {
        let variables = [
            ("PIO_STORAGE_REPOSITORIES_METADATA_SOURCE", "PGSQL"),
            ("PIO_STORAGE_REPOSITORIES_METADATA_NAME", "m"),
            ("PIO_STORAGE_REPOSITORIES_EVENTDATA_SOURCE", "PGSQL"),
            ("PIO_STORAGE_REPOSITORIES_EVENTDATA_NAME", "e"),
            ("PIO_STORAGE_REPOSITORIES_MODELDATA_SOURCE", "PGSQL"),
            ("PIO_STORAGE_SOURCES_PGSQL_TYPE", "jdbc"),
            ("PIO_STORAGE_SOURCES_PGSQL_URL", "jdbc:postgresql://db/pio"),
            ("PIO_STORAGE_SOURCES_PGSQL_USERNAME", "pio"),
            ("PIO_STORAGE_SOURCES_PGSQL_PASSWORD", "a&b"),
            ("PIO_STORAGE_SOURCES_PGSQL_INDEX", "enabled"),
            ("PIO_STORAGE_SOURCES_PGSQL_TIMESTAMPZONE", "Europe/Berlin"),
            ("DATABASE_URL", "postgres://other"),
        ];
        let url = "jdbc:postgresql://db/pio?user=pio&password=a%26b&index=enabled&timestampZone=Europe%2FBerlin&meta=m&event=e";
        let found = Storage::of(&look_up(&variables));
        for found in [found.registry, found.events, found.models] {
            assert_eq!(found.unwrap().url, url);
        }
        assert_eq!(elsewhere(&look_up(&variables)), None);
    }

    #[test]
    fn the_database_of_a_platform_is_the_last_choice() {
        let url =
            |variables: &[(&str, &str)]| Storage::of(&look_up(variables)).registry.map(|found| found.url);
        let given = ("DATABASE_URL", "postgres://u:p@h/d");
        assert_eq!(url(&[given]).unwrap(), "postgres://u:p@h/d?sslmode=require");
        assert_eq!(url(&[given, ("PIO_POSTGRES_OPTIONAL_SSL", "true")]).unwrap(), "postgres://u:p@h/d");
        assert_eq!(url(&[("DATABASE_URL", "sqlite:x")]), None);
        assert_eq!(url(&[given, ("PIO_STORAGE_REPOSITORIES_METADATA_SOURCE", "ES")]), None);
    }

    #[test]
    fn models_are_where_hadoop_or_a_bucket_is() {
        let folder = tempfile::tempdir().unwrap();
        let site = "<property><name>fs.defaultFS</name><value>hdfs://ns/</value></property>";
        std::fs::write(folder.path().join("core-site.xml"), site).unwrap();
        let configuration = folder.path().display().to_string();
        let url = |variables: &[(&str, &str)]| {
            let found = Storage::of(&look_up(variables));
            (found.models.map(|found| found.url).unwrap_or_default(), found.models_options)
        };
        let none: Vec<(String, String)> = Vec::new();
        let mut variables = vec![
            ("PIO_STORAGE_REPOSITORIES_MODELDATA_SOURCE", "M"),
            ("PIO_STORAGE_SOURCES_M_TYPE", "hdfs"),
            ("PIO_STORAGE_SOURCES_M_PATH", "/models"),
        ];
        assert_eq!(url(&variables).0, "");
        assert!(elsewhere(&look_up(&variables)).unwrap().contains("HADOOP_CONF_DIR"));
        variables.push(("HADOOP_CONF_DIR", &configuration));
        assert_eq!(url(&variables), ("hdfs://ns/models".to_owned(), none.clone()));
        assert_eq!(elsewhere(&look_up(&variables)), None);
        let variables = [
            ("PIO_STORAGE_REPOSITORIES_MODELDATA_SOURCE", "M"),
            ("PIO_STORAGE_SOURCES_M_TYPE", "s3"),
            ("PIO_STORAGE_SOURCES_M_BUCKET_NAME", "b"),
            ("PIO_STORAGE_SOURCES_M_BASE_PATH", "a/b/"),
            ("PIO_STORAGE_SOURCES_M_REGION", "eu-west-1"),
        ];
        let region = vec![("region".to_owned(), "eu-west-1".to_owned())];
        assert_eq!(url(&variables), ("s3://b/a/b".to_owned(), region));
        let platform =
            [("DATABASE_URL", "mysql://h/d"), ("PIO_S3_BUCKET_NAME", "b"), ("PIO_S3_AWS_ACCESS_KEY_ID", "k")];
        assert_eq!(url(&platform[..1]), ("mysql://h/d".to_owned(), none));
        assert_eq!(
            url(&platform),
            ("s3://b/".to_owned(), vec![("access_key_id".to_owned(), "k".to_owned())])
        );
    }
}
