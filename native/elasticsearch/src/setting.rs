//! Where the models of all engines go, as settings and PredictionIO's variables say.

use std::path::PathBuf;
use std::sync::Arc;

use events::Result;

use crate::{Cluster, Indexes, Options};

/// Says that there are no search servers, whatever PredictionIO's variables say.
const EMBEDDED: &str = "embedded";

/// What settings say.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Setting {
    /// Hosts, user and password; `embedded` = nowhere.
    pub url: Option<String>,
    /// Instead of user and password.
    pub api_key: Option<String>,
    /// Authorities of the servers' certificates.
    pub ca_file: Option<PathBuf>,
    /// Shards of an index.
    pub shards: u32,
}

/// A cluster, and how models are kept there.
#[derive(Debug, Clone)]
pub struct Place {
    cluster: Arc<Cluster>,
    shards: u32,
}

impl Setting {
    /// The place, if there is one; nobody is asked yet.
    ///
    /// # Errors
    /// `Kind::Invalid`: the URL, the key or the file is none.
    pub fn place(&self) -> Result<Option<Place>> {
        let Some(url) = self.url.as_ref().filter(|url| *url != EMBEDDED) else { return Ok(None) };
        let (api_key, ca_file) = (self.api_key.clone(), self.ca_file.clone());
        let options = Options { api_key, ca_file, ..Options::new(url.as_str()) };
        Ok(Some(Place { cluster: Arc::new(Cluster::new(&options)?), shards: self.shards }))
    }
}

impl Place {
    /// The servers.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The models of a variant of an engine of an app.
    pub fn indexes(&self, app: &str, variant: &str) -> Indexes {
        Indexes::of(Arc::clone(&self.cluster), app, variant).spread(self.shards, None)
    }
}

/// The URL that PredictionIO's variables of a source called ELASTICSEARCH make, or the variable of its buildpack.
pub fn pio_url(variable: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    pio_source_url(variable).or_else(|| variable("PIO_ELASTICSEARCH_URL").map(|url| with_port(&url)))
}

/// As everywhere else: 443 is the port of `https://`, if none is given.
fn with_port(url: &str) -> String {
    let url = url.trim_end_matches('/');
    let host = url.rsplit(['@', '/']).next().unwrap_or_default();
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    if url.starts_with("https://") && !has_port { format!("{url}:443") } else { url.to_owned() }
}

fn pio_source_url(variable: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let of_source = |key: &str| variable(&format!("PIO_STORAGE_SOURCES_ELASTICSEARCH_{key}"));
    let list = |text: Option<String>| -> Vec<String> {
        text.iter().flat_map(|text| text.split(',')).map(|part| part.trim().to_owned()).collect()
    };
    let hosts = list(Some(of_source("HOSTS")?));
    let (ports, schemes) = (list(of_source("PORTS")), list(of_source("SCHEMES")));
    let port = |at: usize| ports.get(at).or(ports.first()).map_or("9200", String::as_str);
    let hosts = (0..).zip(&hosts).map(|(at, host)| format!("{host}:{}", port(at)));
    let scheme = schemes.first().map_or("http", String::as_str);
    let user = of_source("USERNAME").map(|user| {
        let password = of_source("PASSWORD").unwrap_or_default();
        format!("{}:{}@", encoded(&user), encoded(&password))
    });
    Some(format!("{scheme}://{}{}", user.unwrap_or_default(), hosts.collect::<Vec<_>>().join(",")))
}

/// As part of a URL.
fn encoded(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric();
    text.bytes()
        .map(|byte| if is_plain(byte) { char::from(byte).into() } else { format!("%{byte:02x}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_of_the_buildpack_has_the_port_of_its_scheme() {
        for (given, expected) in [
            ("https://u:p@h.example/", "https://u:p@h.example:443"),
            ("https://u:p@h.example:9243", "https://u:p@h.example:9243"),
            ("http://h", "http://h"),
        ] {
            let url = pio_url(&|name| (name == "PIO_ELASTICSEARCH_URL").then(|| given.to_owned()));
            assert_eq!(url.unwrap(), expected);
        }
    }

    #[test]
    fn variables_of_predictionio_make_a_url() {
        let url = |variables: &[(&str, &str)]| {
            pio_url(&|name| {
                let key = name.strip_prefix("PIO_STORAGE_SOURCES_ELASTICSEARCH_")?;
                variables.iter().find(|(other, _)| *other == key).map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(url(&[("PORTS", "9200")]), None);
        assert_eq!(url(&[("HOSTS", "localhost")]).unwrap(), "http://localhost:9200");
        let all = [
            ("HOSTS", "h1, h2"),
            ("PORTS", "9201,9202"),
            ("SCHEMES", "https,https"),
            ("USERNAME", "el@stic"),
            ("PASSWORD", "p:a/ss,"),
        ];
        assert_eq!(url(&all).unwrap(), "https://el%40stic:p%3aa%2fss%2c@h1:9201,h2:9202");
    }
}
