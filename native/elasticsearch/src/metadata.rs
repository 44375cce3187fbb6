//! Apps, access keys and channels as PredictionIO keeps them in Elasticsearch: read once, to bring them over.

use events::{AccessKey, App, Channel, Error, Json, Kind, Result};

use crate::Cluster;
use crate::failure;

/// More are not read at once by a search.
const DOCUMENTS_MAX: usize = 10_000;

/// What the repository `METADATA` knows.
#[derive(Debug, Default)]
pub struct Metadata {
    /// By id.
    pub apps: Vec<App>,
    /// By app and key.
    pub keys: Vec<AccessKey>,
    /// By id.
    pub channels: Vec<Channel>,
}

impl Metadata {
    /// All of a repository of this name, from any version of Elasticsearch.
    ///
    /// # Errors
    /// `Kind::NotFound`: no apps are there; `Kind::Corrupt`: a document is none of PredictionIO's; `Kind::Unavailable`, `Kind::Denied`: no
    /// answer.
    pub fn read(cluster: &Cluster, name: &str) -> Result<Self> {
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        {
            let text = format!("{name:?} is no name of a repository: letters, digits, -, _ and .");
            return Err(Error::new(Kind::Invalid, text));
        }
        let Some(apps) = documents(cluster, name, "apps", app)? else {
            let text = format!(
                "Elasticsearch has no index {name}_apps and no {name}/apps: is {name} what PIO_STORAGE_REPOSITORIES_METADATA_NAME says?"
            );
            return Err(Error::new(Kind::NotFound, text));
        };
        let keys = documents(cluster, name, "accesskeys", key)?.unwrap_or_default();
        let channels = documents(cluster, name, "channels", channel)?.unwrap_or_default();
        let mut found = Self { apps, keys, channels };
        found.apps.sort_by_key(|app| app.id);
        found.keys.sort_by(|one, other| (one.app, &one.key).cmp(&(other.app, &other.key)));
        found.channels.sort_by_key(|channel| channel.id);
        Ok(found)
    }
}

/// All documents of a kind, which newer versions of PredictionIO keep in an index, older ones in a type of one; `None` if neither is there.
fn documents<T>(
    cluster: &Cluster,
    name: &str,
    kind: &str,
    read: fn(&Json) -> Option<T>,
) -> Result<Option<Vec<T>>> {
    let what = format!("read PredictionIO's {kind}");
    for place in [format!("{name}_{kind}"), format!("{name}/{kind}")] {
        let answer = cluster.get(&format!("/{place}/_search?size={DOCUMENTS_MAX}"), &what)?;
        // Newer servers do not know types: to them that is no path.
        if matches!(answer.status, 400 | 404 | 405) {
            continue;
        }
        if !answer.is_ok() {
            return Err(failure::of(&what, &answer));
        }
        return read_all(&answer.json, &place, read).map(Some);
    }
    Ok(None)
}

fn read_all<T>(answer: &Json, place: &str, read: fn(&Json) -> Option<T>) -> Result<Vec<T>> {
    let damaged = |text: &str| Error::new(Kind::Corrupt, format!("{place} in Elasticsearch: {text}"));
    let hits = answer.get("hits");
    let found = hits.and_then(|hits| hits.get("hits")).and_then(Json::as_array);
    let found = found.ok_or_else(|| damaged("the answer has no hits"))?;
    // Newer servers say how exact the number is.
    let total = hits.and_then(|hits| hits.get("total"));
    let total = total.and_then(|total| total.get("value").unwrap_or(total).as_i64());
    if total.is_some_and(|total| usize::try_from(total).is_ok_and(|total| total > found.len())) {
        return Err(damaged(&format!(
            "there are more than {DOCUMENTS_MAX} documents, which is not foreseen"
        )));
    }
    let one = |hit: &Json| {
        let source = hit.get("_source");
        let excerpt = || source.map(Json::excerpt).unwrap_or_default();
        source.and_then(read).ok_or_else(|| damaged(&format!("this is not PredictionIO's: {}", excerpt())))
    };
    found.iter().map(one).collect()
}

fn text(json: &Json, name: &str) -> Option<String> {
    json.get(name).and_then(Json::as_str).map(str::to_owned)
}

fn id(json: &Json, name: &str) -> Option<u32> {
    json.get(name)?.as_i64()?.try_into().ok()
}

fn app(json: &Json) -> Option<App> {
    let description = text(json, "description");
    Some(App { id: id(json, "id")?, name: text(json, "name")?, description, declared: None })
}

fn key(json: &Json) -> Option<AccessKey> {
    let events = match json.get("events") {
        None | Some(Json::Null) => Vec::new(),
        Some(names) => {
            names.as_array()?.iter().map(|name| name.as_str().map(str::to_owned)).collect::<Option<_>>()?
        }
    };
    Some(AccessKey { events, ..AccessKey::new(text(json, "key")?, id(json, "appid")?) })
}

fn channel(json: &Json) -> Option<Channel> {
    Some(Channel { id: id(json, "id")?, name: text(json, "name")?, app: id(json, "appid")? })
}

#[cfg(test)]
mod tests {
    use events::json;

    use super::*;

    fn hits(total: &str, sources: &str) -> Json {
        json::parse(format!(r#"{{"hits":{{"total":{total},"hits":[{sources}]}}}}"#).as_bytes()).unwrap()
    }

    #[test]
    fn answers_of_all_versions_are_read() {
        let one = r#"{"_source":{"id":7,"name":"shop","description":null}}"#;
        for total in ["1", r#"{"value":1,"relation":"eq"}"#] {
            let found = read_all(&hits(total, one), "pio_meta_apps", app).unwrap();
            assert_eq!((found[0].id, found[0].name.as_str()), (7, "shop"));
        }
        let more = read_all(&hits("2", one), "pio_meta_apps", app).unwrap_err();
        assert!(more.to_string().contains("more than 10000"), "{more}");
        let keys = r#"{"_source":{"key":"k","appid":7,"events":["view"]}},{"_source":{"key":"l","appid":7,"events":[]}}"#;
        let found = read_all(&hits("2", keys), "pio_meta_accesskeys", key).unwrap();
        assert_eq!(found.iter().map(|key| key.events.len()).collect::<Vec<_>>(), [1, 0]);
    }

    #[test]
    fn what_is_not_predictionios_is_told() {
        for source in [r#"{"id":"x","name":"shop"}"#, r#"{"name":"shop"}"#, r#"{"id":-1,"name":"shop"}"#, "3"]
        {
            let refused = read_all(&hits("1", &format!(r#"{{"_source":{source}}}"#)), "pio_meta_apps", app);
            let refused = refused.unwrap_err();
            assert!(
                refused.kind() == Kind::Corrupt && refused.to_string().contains("pio_meta_apps"),
                "{refused}"
            );
        }
    }
}
