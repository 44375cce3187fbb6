//! What the master does: namespaces and tables come and go, regions split and move.

use std::time::{Duration, Instant};

use prost::Message;

use super::connection::Answer;
use super::error::{Cause, Error, Result};
use super::messages::{
    BY_ENCODED_NAME, BytesBytesPair, ColumnFamilySchema, CreateNamespaceRequest, CreateTableRequest,
    MoveRegionRequest, NamespaceDescriptor, ProcedureRequest, ProcedureResponse, ProcedureResult, RUNNING,
    RegionSpecifier, SplitRegionRequest, TableRequest, TableSchema,
};
use super::regions::{Region, TableName};
use super::{Client, MASTER_SERVICE, address};

/// A family of a table to be made; what is not said is as the servers' defaults are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Family {
    /// Its name.
    pub name: String,
    /// Attributes by HBase's names, as `VERSIONS`.
    pub attributes: Vec<(String, String)>,
}

impl Client {
    /// Makes a namespace, if it is not there.
    ///
    /// # Errors
    /// `Denied`; `Unavailable` if no master answers.
    pub fn create_namespace(&self, name: &str) -> Result<()> {
        let descriptor = NamespaceDescriptor { name: name.as_bytes().to_vec() };
        let made = self.procedure("CreateNamespace", &CreateNamespaceRequest { descriptor });
        unless(made, "NamespaceExistException")
    }

    /// Makes a table, if it is not there, in regions that begin at `splits` (none: one region).
    ///
    /// # Errors
    /// `Refused`, e.g. without its namespace; `Denied`; `Unavailable` if no master answers.
    pub fn create_table(&self, table: &TableName, families: &[Family], splits: &[Vec<u8>]) -> Result<()> {
        let pair = |(name, value): &(String, String)| BytesBytesPair {
            first: name.clone().into_bytes(),
            second: value.clone().into_bytes(),
        };
        let family = |family: &Family| ColumnFamilySchema {
            name: family.name.clone().into_bytes(),
            attributes: family.attributes.iter().map(pair).collect(),
        };
        let table_schema = TableSchema {
            table_name: Some(table.proto()),
            column_families: families.iter().map(family).collect(),
        };
        let request = CreateTableRequest { table_schema, split_keys: splits.to_vec() };
        unless(self.procedure("CreateTable", &request), "TableExistsException")
    }

    /// Disables and deletes a table, if it is there.
    ///
    /// # Errors
    /// `Denied`; `Unavailable` if no master answers.
    pub fn delete_table(&self, table: &TableName) -> Result<()> {
        let disabled = self.disable_table(table);
        if disabled.as_ref().is_err_and(|error| error.cause() == Cause::NoTable) {
            return Ok(());
        }
        disabled?;
        let request = TableRequest { table_name: table.proto() };
        let deleted = self.procedure("DeleteTable", &request);
        super::lock(&self.regions).remove(table);
        unless(deleted, "TableNotFoundException")
    }

    /// Takes a table out of service, unless it is.
    ///
    /// # Errors
    /// `NoTable`; `Denied`; `Unavailable` if no master answers.
    pub fn disable_table(&self, table: &TableName) -> Result<()> {
        let request = TableRequest { table_name: table.proto() };
        unless(self.procedure("DisableTable", &request), "TableNotEnabledException")
    }

    /// Splits the region that has `key`, before `key`.
    ///
    /// # Errors
    /// `NoTable`; `Refused` if a region begins there already; `Unavailable` if no master answers.
    pub fn split(&self, table: &TableName, key: &[u8]) -> Result<()> {
        let region = self.region_now(table, key)?;
        let request = SplitRegionRequest { region_info: region.info, split_row: Some(key.to_vec()) };
        self.procedure("SplitRegion", &request)
    }

    /// Moves the region that has `key` to another server of the master's choice.
    ///
    /// # Errors
    /// `NoTable`; `Unavailable` if no master answers, or there is no other server.
    pub fn move_region(&self, table: &TableName, key: &[u8]) -> Result<()> {
        let region = self.region_now(table, key)?;
        let value = region.encoded_name().to_vec();
        let region = RegionSpecifier { kind: BY_ENCODED_NAME, value };
        self.procedure("MoveRegion", &MoveRegionRequest { region, destination: None })
    }

    fn region_now(&self, table: &TableName, key: &[u8]) -> Result<Region> {
        super::lock(&self.regions).remove(table);
        self.retrying(table, |client| client.regions(table)?.of(key).cloned())
    }

    /// Asks the master for something, and waits until it is done.
    fn procedure(&self, method: &str, request: &impl Message) -> Result<()> {
        let started: ProcedureResponse = self.ask_master(method, request)?;
        let Some(id) = started.id else { return Ok(()) };
        let since = Instant::now();
        loop {
            let result: ProcedureResult = self.ask_master("getProcedureResult", &ProcedureRequest { id })?;
            if result.state != RUNNING {
                let thrown = result.exception.and_then(|exception| exception.generic);
                let thrown = thrown.map(|thrown| Error::thrown(thrown.class_name(), thrown.message(), true));
                return thrown.map_or(Ok(()), Err);
            }
            if since.elapsed() > self.config.operation_timeout {
                return Err(Error::new(
                    Cause::Unavailable,
                    format!("the master is still busy with {method}"),
                ));
            }
            std::thread::sleep(Duration::from_millis(25));
        }
    }

    fn ask_master<T: Message + Default>(&self, method: &str, request: &impl Message) -> Result<T> {
        self.retrying(&TableName::new("hbase", "meta"), |client| {
            let master = address(&client.server_in_zookeeper("master")?);
            let answer: Answer<T> = client.call(MASTER_SERVICE, &master, method, request, &[])?;
            Ok(answer.message)
        })
    }
}

/// An error of this class is none.
fn unless(result: Result<()>, class: &str) -> Result<()> {
    match result {
        Err(error) if error.is_thrown(class) => Ok(()),
        result => result,
    }
}
