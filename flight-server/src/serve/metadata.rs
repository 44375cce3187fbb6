//! What BI tools ask before they ask for rows: the server, its types, and tables' keys, of which there are none.

use std::sync::{Arc, LazyLock};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow_flight::sql::metadata::{
    SqlInfoData, SqlInfoDataBuilder, XdbcTypeInfo, XdbcTypeInfoData, XdbcTypeInfoDataBuilder,
};
use arrow_flight::sql::{Nullable, Searchable, SqlInfo, XdbcDataType};

use arblast::identity::VERSION;

/// The only kind of table.
pub const TABLE: &str = "TABLE";

type Built<T> = std::result::Result<T, arrow_flight::error::FlightError>;

/// Properties of the server and its SQL.
pub fn server() -> Built<&'static SqlInfoData> {
    static DATA: LazyLock<Built<SqlInfoData>> = LazyLock::new(|| {
        let mut data = SqlInfoDataBuilder::new();
        data.append(SqlInfo::FlightSqlServerName, "Arblast");
        data.append(SqlInfo::FlightSqlServerVersion, VERSION);
        data.append(SqlInfo::FlightSqlServerArrowVersion, "1.3");
        data.append(SqlInfo::FlightSqlServerReadOnly, true);
        data.append(SqlInfo::FlightSqlServerSql, true);
        data.append(SqlInfo::FlightSqlServerSubstrait, false);
        // none
        data.append(SqlInfo::FlightSqlServerTransaction, 0_i32);
        data.append(SqlInfo::FlightSqlServerCancel, true);
        data.append(SqlInfo::FlightSqlServerBulkIngestion, true);
        data.append(SqlInfo::FlightSqlServerIngestTransactionsSupported, false);
        data.append(SqlInfo::SqlDdlCatalog, false);
        data.append(SqlInfo::SqlDdlSchema, false);
        data.append(SqlInfo::SqlDdlTable, false);
        // unquoted names are taken as lower case, quoted ones as they are
        data.append(SqlInfo::SqlIdentifierCase, 3_i32);
        data.append(SqlInfo::SqlQuotedIdentifierCase, 1_i32);
        data.append(SqlInfo::SqlIdentifierQuoteChar, "\"");
        data.append(SqlInfo::SqlAllTablesAreSelectable, true);
        data.append(SqlInfo::SqlNullOrdering, 0_i32);
        data.append(SqlInfo::SqlSupportsColumnAliasing, true);
        data.append(SqlInfo::SqlSupportedGroupBy, 3_i32);
        data.append(SqlInfo::SqlSupportedUnions, 3_i32);
        data.append(SqlInfo::SqlSchemaTerm, "schema");
        data.append(SqlInfo::SqlCatalogTerm, "catalog");
        data.append(SqlInfo::SqlTransactionsSupported, false);
        data.build()
    });
    as_built(&DATA)
}

/// Types of columns.
pub fn types() -> Built<&'static XdbcTypeInfoData> {
    static DATA: LazyLock<Built<XdbcTypeInfoData>> = LazyLock::new(|| {
        use XdbcDataType::{
            XdbcBigint, XdbcBit, XdbcDouble, XdbcInteger, XdbcReal, XdbcTimestamp, XdbcVarchar,
        };
        let mut data = XdbcTypeInfoDataBuilder::new();
        for (name, kind, size, quoted) in [
            ("VARCHAR", XdbcVarchar, None, true),
            ("BOOLEAN", XdbcBit, Some(1), false),
            ("INTEGER", XdbcInteger, Some(32), false),
            ("BIGINT", XdbcBigint, Some(64), false),
            ("REAL", XdbcReal, Some(24), false),
            ("DOUBLE", XdbcDouble, Some(53), false),
            ("TIMESTAMP", XdbcTimestamp, Some(24), true),
        ] {
            data.append(kind_of(name, kind, size, quoted));
        }
        data.build()
    });
    as_built(&DATA)
}

fn kind_of(name: &str, kind: XdbcDataType, size: Option<i32>, quoted: bool) -> XdbcTypeInfo {
    let quote = quoted.then(|| "'".to_owned());
    XdbcTypeInfo {
        type_name: name.to_owned(),
        data_type: kind,
        column_size: size,
        literal_prefix: quote.clone(),
        literal_suffix: quote,
        create_params: None,
        nullable: Nullable::NullabilityNullable,
        case_sensitive: quoted,
        searchable: Searchable::Full,
        unsigned_attribute: Some(false),
        fixed_prec_scale: false,
        auto_increment: Some(false),
        local_type_name: Some(name.to_owned()),
        minimum_scale: None,
        maximum_scale: None,
        sql_data_type: kind,
        datetime_subcode: None,
        num_prec_radix: (!quoted).then_some(2),
        interval_precision: None,
    }
}

fn as_built<T>(built: &'static Built<T>) -> Built<&'static T> {
    built.as_ref().map_err(|error| arrow_flight::error::FlightError::DecodeError(error.to_string()))
}

fn text(name: &str, nullable: bool) -> Field {
    Field::new(name, DataType::Utf8, nullable)
}

/// Primary keys: none.
pub fn no_primary_keys() -> RecordBatch {
    RecordBatch::new_empty(Arc::new(Schema::new(vec![
        text("catalog_name", true),
        text("db_schema_name", true),
        text("table_name", false),
        text("column_name", false),
        Field::new("key_sequence", DataType::Int32, false),
        text("key_name", true),
    ])))
}

/// Keys that refer to others: none.
pub fn no_foreign_keys() -> RecordBatch {
    RecordBatch::new_empty(foreign_keys())
}

fn foreign_keys() -> SchemaRef {
    let side = |side: &str| {
        [("catalog_name", true), ("db_schema_name", true), ("table_name", false), ("column_name", false)]
            .map(|(name, nullable)| text(&format!("{side}_{name}"), nullable))
    };
    let mut columns: Vec<Field> = side("pk").into_iter().chain(side("fk")).collect();
    columns.extend([
        Field::new("key_sequence", DataType::Int32, false),
        text("fk_key_name", true),
        text("pk_key_name", true),
        Field::new("update_rule", DataType::UInt8, false),
        Field::new("delete_rule", DataType::UInt8, false),
    ]);
    Arc::new(Schema::new(columns))
}
