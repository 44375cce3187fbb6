//! `hbase://host[:port][,host[:port]…][/znode][?name=value&…]`

use std::time::Duration;

use events::Result;

use super::failure::invalid;
use crate::client::{Config, Durability};

/// What a URL says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) client: Config,
    pub(crate) namespace: String,
    /// Is every change of a special event recorded?
    pub(crate) journal: bool,
}

const FORM: &str = "as in hbase://zk1:2181,zk2:2181/hbase?namespace=pio_event";

/// `Kind::Invalid` with the part that is wrong.
pub(crate) fn parse(url: &str) -> Result<Address> {
    let rest = url.strip_prefix("hbase://");
    let rest = rest.ok_or_else(|| invalid(format!("the URL does not begin with hbase://, {FORM}")))?;
    if rest.contains('@') {
        // Without showing what may be a password.
        return Err(invalid(format!("HBase's URL has no user and password before the hosts, {FORM}")));
    }
    let (place, options) = rest.split_once('?').unwrap_or((rest, ""));
    let (hosts, znode) = place.split_once('/').unwrap_or((place, "hbase"));
    let hosts: Vec<String> = hosts.split(',').map(host).collect::<Result<_>>()?;
    let znode = if znode.is_empty() { "hbase" } else { znode.trim_end_matches('/') };
    let client = Config { znode: format!("/{znode}"), ..Config::new(hosts) };
    let mut address = Address { client, namespace: "pio_event".into(), journal: true };
    for option in options.split('&').filter(|option| !option.is_empty()) {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        set(&mut address, name, value)?;
    }
    Ok(address)
}

fn host(text: &str) -> Result<String> {
    let wrong = || invalid(format!("\"{text}\" is no host of ZooKeeper with a port, {FORM}"));
    let harmless = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#".contains(&byte));
    if text.is_empty() || !harmless(text) {
        return Err(wrong());
    }
    match text.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')) {
        None => Ok(format!("{text}:2181")),
        Some((name, port)) => {
            let port = port.parse::<u16>().ok().filter(|port| *port > 0 && !name.is_empty());
            port.map(|_| text.to_owned()).ok_or_else(wrong)
        }
    }
}

fn set(address: &mut Address, name: &str, value: &str) -> Result<()> {
    let wrong = |right: &str| invalid(format!("option {name}={value} of the URL of HBase: {right}"));
    let is_name = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
    };
    match name {
        "namespace" if is_name(value) => value.clone_into(&mut address.namespace),
        "namespace" => return Err(wrong("a namespace has letters, digits and _ only")),
        "user" if is_name(value) => value.clone_into(&mut address.client.user),
        "user" => return Err(wrong("a user has letters, digits and ._- only")),
        "durability" => {
            address.client.durability = match value {
                "fsync" => Durability::Fsync,
                "sync" => Durability::Sync,
                _ => return Err(wrong("it is fsync or sync")),
            };
        }
        "timeout" => {
            let seconds = value.parse().ok().filter(|seconds| (1..=3600).contains(seconds));
            let seconds = seconds.ok_or_else(|| wrong("seconds from 1 to 3600"))?;
            address.client.operation_timeout = Duration::from_secs(seconds);
        }
        "journal" => address.journal = value.parse().map_err(|_| wrong("it is true or false"))?,
        _ => return Err(wrong("there are namespace, user, durability, timeout and journal")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_can_be_said() {
        let url = "hbase://zk1,zk2:2182,[::1]/hbase-unsecure?namespace=n&user=u&durability=sync&timeout=5&journal=false";
        let Address { client, namespace, journal } = parse(url).unwrap();
        assert_eq!(client.zookeeper, ["zk1:2181", "zk2:2182", "[::1]:2181"]);
        assert_eq!((client.znode.as_str(), client.user.as_str()), ("/hbase-unsecure", "u"));
        assert_eq!((client.durability, client.operation_timeout.as_secs()), (Durability::Sync, 5));
        assert_eq!((namespace.as_str(), journal), ("n", false));
    }

    #[test]
    fn little_needs_to_be_said() {
        for url in ["hbase://zk", "hbase://zk/", "hbase://zk/hbase", "hbase://zk:2181/hbase/?"] {
            let Address { client, namespace, journal } = parse(url).unwrap();
            assert_eq!(client, Config::new(vec!["zk:2181".into()]), "{url}");
            assert_eq!((namespace.as_str(), journal), ("pio_event", true));
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (url, part) in [
            ("http://zk", "hbase://"),
            ("hbase://", "no host"),
            ("hbase://zk:x", "\"zk:x\""),
            ("hbase://zk:0", "\"zk:0\""),
            ("hbase://:1", "\":1\""),
            ("hbase://a,,b", "\"\""),
            ("hbase://zk?namespace=a:b", "namespace=a:b"),
            ("hbase://zk?namespace=", "namespace="),
            ("hbase://zk?timeout=0", "from 1 to 3600"),
            ("hbase://zk?durability=none", "fsync or sync"),
            ("hbase://zk?journal=1", "true or false"),
            ("hbase://zk?colour=red", "colour"),
            ("hbase://me:secret@zk", "no user and password"),
        ] {
            let error = parse(url).unwrap_err();
            assert!(error.to_string().contains(part), "{url}: {error}");
        }
    }
}
