//! Storage that PredictionIO's variables name, as far as it is not ours.

use std::fmt::Write;

const REPOSITORIES: [&str; 3] = ["METADATA", "EVENTDATA", "MODELDATA"];

/// A type of storage → what a person may expect.
const COMING: [(&str, &str); 5] = [
    ("jdbc", "PostgreSQL and MySQL come with a later version"),
    ("elasticsearch", "Elasticsearch comes with a later version"),
    ("hbase", "HBase comes with a later version"),
    ("hdfs", "HDFS comes with a later version"),
    ("s3", "models in S3 are not planned yet"),
];

/// Says which repositories are configured to be elsewhere; `None` if there are none. Credentials are left out.
pub fn elsewhere(variable: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let mut text = String::new();
    for repository in REPOSITORIES {
        let source = variable(&format!("PIO_STORAGE_REPOSITORIES_{repository}_SOURCE"));
        let Some(source) = source.filter(|source| !source.is_empty()) else { continue };
        let of_source = |key: &str| variable(&format!("PIO_STORAGE_SOURCES_{source}_{key}"));
        let Some(kind) = of_source("TYPE") else {
            let _ = write!(text, "{repository}: {source} is not a configured storage source. ");
            continue;
        };
        // Model files are ours wherever they are.
        if kind == "localfs" {
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

    fn found(variables: &[(&str, &str)]) -> Option<String> {
        elsewhere(&|name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn foreign_storage_is_named_without_its_credentials() {
        let text = found(&[
            ("PIO_STORAGE_REPOSITORIES_METADATA_SOURCE", "PGSQL"),
            ("PIO_STORAGE_REPOSITORIES_EVENTDATA_SOURCE", "GONE"),
            ("PIO_STORAGE_REPOSITORIES_MODELDATA_SOURCE", "LOCALFS"),
            ("PIO_STORAGE_SOURCES_PGSQL_TYPE", "jdbc"),
            ("PIO_STORAGE_SOURCES_PGSQL_URL", "jdbc:postgresql://u:hunter2@db:5432/pio?password=hunter2"),
            ("PIO_STORAGE_SOURCES_PGSQL_PASSWORD", "hunter2"),
            ("PIO_STORAGE_SOURCES_LOCALFS_TYPE", "localfs"),
        ])
        .unwrap();
        assert_eq!(
            text,
            "METADATA is in PGSQL of type jdbc at jdbc:postgresql://db:5432/pio (PostgreSQL and MySQL come with a \
             later version). EVENTDATA: GONE is not a configured storage source."
        );
        assert_eq!(found(&[]), None);
    }
}
