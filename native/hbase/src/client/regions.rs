//! Where the rows of a table are: its regions, as the table `hbase:meta` tells.

use std::fmt;

use prost::Message;

use super::cell::Row;
use super::error::{Error, Result};
use super::messages::{BY_NAME, RegionInfo, RegionSpecifier, TableNameProto};

/// Name of a table within its namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName {
    namespace: String,
    name: String,
}

impl TableName {
    /// A table of a namespace; `default` is the one without a name.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    pub(crate) fn proto(&self) -> TableNameProto {
        TableNameProto {
            namespace: self.namespace.clone().into_bytes(),
            qualifier: self.name.clone().into_bytes(),
        }
    }
}

/// As HBase writes it: `namespace:table`, or `table` in the default namespace.
impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace == "default" {
            f.write_str(&self.name)
        } else {
            write!(f, "{}:{}", self.namespace, self.name)
        }
    }
}

/// A range of keys that one server serves.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Region {
    pub(crate) name: Vec<u8>,
    pub(crate) start: Vec<u8>,
    /// Empty: up to the last.
    pub(crate) end: Vec<u8>,
    /// `host:port`; empty while it is moved.
    pub(crate) server: String,
    pub(crate) info: RegionInfo,
}

impl Region {
    /// Of a row of `hbase:meta`; `None` for regions that are no more, and for read replicas.
    fn parse(row: &Row) -> Result<Option<Self>> {
        let malformed = || Error::protocol("a row of hbase:meta that is no region");
        let Some(info) = row.value(b"info", b"regioninfo") else { return Ok(None) };
        let info = info.strip_prefix(b"PBUF").ok_or_else(malformed)?;
        let info = RegionInfo::decode(info).map_err(Error::protocol)?;
        if info.offline() || info.split() || info.replica_id() != 0 {
            return Ok(None);
        }
        let server = row.value(b"info", b"server").unwrap_or_default();
        Ok(Some(Self {
            name: row.key().to_vec(),
            start: info.start_key().to_vec(),
            end: info.end_key().to_vec(),
            server: str::from_utf8(server).map_err(|_| malformed())?.to_owned(),
            info,
        }))
    }

    pub(crate) fn specifier(&self) -> RegionSpecifier {
        RegionSpecifier { kind: BY_NAME, value: self.name.clone() }
    }

    /// The hash at the end of the name: `table,start,id.HASH.`
    pub(crate) fn encoded_name(&self) -> &[u8] {
        let name = self.name.strip_suffix(b".").unwrap_or(&self.name);
        name.rsplit(|byte| *byte == b'.').next().unwrap_or_default()
    }

    /// The server; an error that is worth waiting for if there is none.
    pub(crate) fn server(&self) -> Result<&str> {
        if self.server.is_empty() {
            return Err(Error::locate("a region is not assigned to any region server"));
        }
        Ok(&self.server)
    }
}

/// All regions of a table in order, without gap and overlap.
#[derive(Debug, PartialEq)]
pub(crate) struct Regions {
    list: Vec<Region>,
}

impl Regions {
    /// `None` if there is no region at all: there is no such table. While a region is split or merged, an error that is worth waiting for.
    pub(crate) fn parse(rows: &[Row]) -> Result<Option<Self>> {
        let mut list = Vec::new();
        for row in rows {
            list.extend(Region::parse(row)?);
        }
        list.sort_by(|a, b| a.start.cmp(&b.start));
        let (Some(first), Some(last)) = (list.first(), list.last()) else { return Ok(None) };
        let joined = list.windows(2).all(|pair| matches!(pair, [a, b] if a.end == b.start));
        if !joined || !first.start.is_empty() || !last.end.is_empty() {
            return Err(Error::locate("the regions of the table are just being changed"));
        }
        Ok(Some(Self { list }))
    }

    pub(crate) fn all(&self) -> &[Region] {
        &self.list
    }

    /// The region that has `key`.
    pub(crate) fn of(&self, key: &[u8]) -> Result<&Region> {
        let after = self.list.partition_point(|region| region.start.as_slice() <= key);
        self.at(after)
    }

    /// The region that has the greatest keys before `key`; an empty `key` is after all.
    pub(crate) fn before(&self, key: &[u8]) -> Result<&Region> {
        if key.is_empty() {
            return self.at(self.list.len());
        }
        self.at(self.list.partition_point(|region| region.start.as_slice() < key))
    }

    fn at(&self, after: usize) -> Result<&Region> {
        let region = after.checked_sub(1).and_then(|at| self.list.get(at));
        region.ok_or_else(|| Error::locate("the table has no region there"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::cell::{Cell, CellKind};
    use super::*;

    fn row(start: &str, end: &str, change: impl Fn(&mut RegionInfo)) -> Row {
        let mut info = RegionInfo {
            region_id: 1,
            table_name: TableName::new("n", "t").proto(),
            start_key: Some(start.into()),
            end_key: Some(end.into()),
            ..RegionInfo::default()
        };
        change(&mut info);
        let value = [b"PBUF".to_vec(), info.encode_to_vec()].concat();
        let key = format!("n:t,{start},1.abc.");
        let cell = |qualifier, value| Cell {
            row: key.as_bytes(),
            family: b"info",
            qualifier,
            timestamp: 1,
            kind: CellKind::Put,
            value,
        };
        let mut row = Row::default();
        row.push(&cell(b"regioninfo", &value));
        row.push(&cell(b"server", b"host:1"));
        row
    }

    #[test]
    fn keys_are_found_in_their_regions() {
        let split = |info: &mut RegionInfo| info.split = Some(true);
        let replica = |info: &mut RegionInfo| info.replica_id = Some(1);
        let rows = [
            row("", "g", |_| {}),
            row("", "", split),
            row("g", "p", |_| {}),
            row("p", "", |_| {}),
            row("p", "", replica),
        ];
        let regions = Regions::parse(&rows).unwrap().unwrap();
        let start = |region: Result<&Region>| String::from_utf8(region.unwrap().start.clone()).unwrap();
        assert_eq!(
            ["", "f", "g", "gz", "p", "z"].map(|key| start(regions.of(key.as_bytes()))),
            ["", "", "g", "g", "p", "p"]
        );
        assert_eq!(
            ["", "f", "g", "ga", "p", "z"].map(|key| start(regions.before(key.as_bytes()))),
            ["p", "", "", "g", "g", "p"]
        );
        assert_eq!(regions.all().len(), 3);
        assert_eq!(regions.all()[1].encoded_name(), b"abc");
    }

    #[test]
    fn gaps_are_waited_for_and_nothing_is_no_table() {
        assert_eq!(Regions::parse(&[]).unwrap(), None);
        for rows in [vec![row("", "g", |_| {})], vec![row("", "g", |_| {}), row("h", "", |_| {})]] {
            assert!(Regions::parse(&rows).is_err());
        }
    }

    #[test]
    fn names_are_written_as_hbase_does() {
        assert_eq!(TableName::new("n", "t").to_string(), "n:t");
        assert_eq!(TableName::new("default", "t").to_string(), "t");
    }
}
