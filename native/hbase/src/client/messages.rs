//! The messages of HBase's protocol, as far as this client sends and reads them; fields that it has no use for are left
//! out, which protobuf allows. Names, tags and types are those of HBase 1.2 to 2.6.

use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct UserInformation {
    #[prost(string, required, tag = "1")]
    pub(crate) effective_user: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct VersionInfo {
    #[prost(string, required, tag = "1")]
    pub(crate) version: String,
    #[prost(string, required, tag = "2")]
    pub(crate) url: String,
    #[prost(string, required, tag = "3")]
    pub(crate) revision: String,
    #[prost(string, required, tag = "4")]
    pub(crate) user: String,
    #[prost(string, required, tag = "5")]
    pub(crate) date: String,
    #[prost(string, required, tag = "6")]
    pub(crate) src_checksum: String,
    #[prost(uint32, optional, tag = "7")]
    pub(crate) version_major: Option<u32>,
    #[prost(uint32, optional, tag = "8")]
    pub(crate) version_minor: Option<u32>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ConnectionHeader {
    #[prost(message, optional, tag = "1")]
    pub(crate) user_info: Option<UserInformation>,
    #[prost(string, optional, tag = "2")]
    pub(crate) service_name: Option<String>,
    #[prost(string, optional, tag = "3")]
    pub(crate) cell_block_codec_class: Option<String>,
    #[prost(message, optional, tag = "5")]
    pub(crate) version_info: Option<VersionInfo>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct CellBlockMeta {
    #[prost(uint32, optional, tag = "1")]
    pub(crate) length: Option<u32>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RequestHeader {
    #[prost(uint32, optional, tag = "1")]
    pub(crate) call_id: Option<u32>,
    #[prost(string, optional, tag = "3")]
    pub(crate) method_name: Option<String>,
    #[prost(bool, optional, tag = "4")]
    pub(crate) request_param: Option<bool>,
    #[prost(message, optional, tag = "5")]
    pub(crate) cell_block_meta: Option<CellBlockMeta>,
    #[prost(uint32, optional, tag = "7")]
    pub(crate) timeout: Option<u32>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ExceptionResponse {
    #[prost(string, optional, tag = "1")]
    pub(crate) exception_class_name: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub(crate) stack_trace: Option<String>,
    #[prost(bool, optional, tag = "5")]
    pub(crate) do_not_retry: Option<bool>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ResponseHeader {
    #[prost(uint32, optional, tag = "1")]
    pub(crate) call_id: Option<u32>,
    #[prost(message, optional, tag = "2")]
    pub(crate) exception: Option<ExceptionResponse>,
    #[prost(message, optional, tag = "3")]
    pub(crate) cell_block_meta: Option<CellBlockMeta>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct NameBytesPair {
    #[prost(string, required, tag = "1")]
    pub(crate) name: String,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub(crate) value: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct BytesBytesPair {
    #[prost(bytes = "vec", required, tag = "1")]
    pub(crate) first: Vec<u8>,
    #[prost(bytes = "vec", required, tag = "2")]
    pub(crate) second: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ServerName {
    #[prost(string, required, tag = "1")]
    pub(crate) host_name: String,
    #[prost(uint32, optional, tag = "2")]
    pub(crate) port: Option<u32>,
    #[prost(uint64, optional, tag = "3")]
    pub(crate) start_code: Option<u64>,
}

/// In the znode `meta-region-server`, and with the same field in `master`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ServerInZooKeeper {
    #[prost(message, required, tag = "1")]
    pub(crate) server: ServerName,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TableNameProto {
    #[prost(bytes = "vec", required, tag = "1")]
    pub(crate) namespace: Vec<u8>,
    #[prost(bytes = "vec", required, tag = "2")]
    pub(crate) qualifier: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RegionInfo {
    #[prost(uint64, required, tag = "1")]
    pub(crate) region_id: u64,
    #[prost(message, required, tag = "2")]
    pub(crate) table_name: TableNameProto,
    #[prost(bytes = "vec", optional, tag = "3")]
    pub(crate) start_key: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "4")]
    pub(crate) end_key: Option<Vec<u8>>,
    #[prost(bool, optional, tag = "5")]
    pub(crate) offline: Option<bool>,
    #[prost(bool, optional, tag = "6")]
    pub(crate) split: Option<bool>,
    #[prost(int32, optional, tag = "7")]
    pub(crate) replica_id: Option<i32>,
}

/// `REGION_NAME` of the enum of specifiers.
pub(crate) const BY_NAME: i32 = 1;
/// `ENCODED_REGION_NAME`.
pub(crate) const BY_ENCODED_NAME: i32 = 2;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RegionSpecifier {
    #[prost(int32, required, tag = "1")]
    pub(crate) kind: i32,
    #[prost(bytes = "vec", required, tag = "2")]
    pub(crate) value: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct TimeRange {
    #[prost(uint64, optional, tag = "1")]
    pub(crate) from: Option<u64>,
    #[prost(uint64, optional, tag = "2")]
    pub(crate) to: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Column {
    #[prost(bytes = "vec", required, tag = "1")]
    pub(crate) family: Vec<u8>,
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub(crate) qualifier: Vec<Vec<u8>>,
}

/// Filters and comparators: a Java class and its own message.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Named {
    #[prost(string, required, tag = "1")]
    pub(crate) name: String,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub(crate) serialized: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Comparable {
    #[prost(bytes = "vec", optional, tag = "1")]
    pub(crate) value: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct BinaryComparator {
    #[prost(message, required, tag = "1")]
    pub(crate) comparable: Comparable,
}

/// `EQUAL` of the comparisons.
pub(crate) const EQUAL: i32 = 2;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SingleColumnValueFilter {
    #[prost(bytes = "vec", optional, tag = "1")]
    pub(crate) family: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub(crate) qualifier: Option<Vec<u8>>,
    #[prost(int32, required, tag = "3")]
    pub(crate) compare: i32,
    #[prost(message, required, tag = "4")]
    pub(crate) comparator: Named,
    #[prost(bool, optional, tag = "5")]
    pub(crate) filter_if_missing: Option<bool>,
    #[prost(bool, optional, tag = "6")]
    pub(crate) latest_version_only: Option<bool>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct FilterList {
    #[prost(int32, required, tag = "1")]
    pub(crate) operator: i32,
    #[prost(message, repeated, tag = "2")]
    pub(crate) filters: Vec<Named>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Get {
    #[prost(bytes = "vec", required, tag = "1")]
    pub(crate) row: Vec<u8>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) column: Vec<Column>,
}

/// A cell outside a cell block; servers send these where there is no block.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct CellProto {
    #[prost(bytes = "vec", optional, tag = "1")]
    pub(crate) row: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub(crate) family: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "3")]
    pub(crate) qualifier: Option<Vec<u8>>,
    #[prost(uint64, optional, tag = "4")]
    pub(crate) timestamp: Option<u64>,
    #[prost(int32, optional, tag = "5")]
    pub(crate) cell_type: Option<i32>,
    #[prost(bytes = "vec", optional, tag = "6")]
    pub(crate) value: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ResultProto {
    #[prost(message, repeated, tag = "1")]
    pub(crate) cell: Vec<CellProto>,
    #[prost(int32, optional, tag = "2")]
    pub(crate) associated_cell_count: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Condition {
    #[prost(bytes = "vec", required, tag = "1")]
    pub(crate) row: Vec<u8>,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub(crate) family: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "3")]
    pub(crate) qualifier: Option<Vec<u8>>,
    #[prost(int32, optional, tag = "4")]
    pub(crate) compare: Option<i32>,
    #[prost(message, optional, tag = "5")]
    pub(crate) comparator: Option<Named>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MutationProto {
    #[prost(bytes = "vec", optional, tag = "1")]
    pub(crate) row: Option<Vec<u8>>,
    #[prost(int32, optional, tag = "2")]
    pub(crate) mutate_type: Option<i32>,
    #[prost(uint64, optional, tag = "4")]
    pub(crate) timestamp: Option<u64>,
    #[prost(int32, optional, tag = "6")]
    pub(crate) durability: Option<i32>,
    #[prost(int32, optional, tag = "8")]
    pub(crate) associated_cell_count: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MutateRequest {
    #[prost(message, required, tag = "1")]
    pub(crate) region: RegionSpecifier,
    #[prost(message, required, tag = "2")]
    pub(crate) mutation: MutationProto,
    #[prost(message, optional, tag = "3")]
    pub(crate) condition: Option<Condition>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MutateResponse {
    #[prost(bool, optional, tag = "2")]
    pub(crate) processed: Option<bool>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Action {
    #[prost(uint32, optional, tag = "1")]
    pub(crate) index: Option<u32>,
    #[prost(message, optional, tag = "2")]
    pub(crate) mutation: Option<MutationProto>,
    #[prost(message, optional, tag = "3")]
    pub(crate) get: Option<Get>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RegionAction {
    #[prost(message, required, tag = "1")]
    pub(crate) region: RegionSpecifier,
    #[prost(bool, optional, tag = "2")]
    pub(crate) atomic: Option<bool>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) action: Vec<Action>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MultiRequest {
    #[prost(message, repeated, tag = "1")]
    pub(crate) region_action: Vec<RegionAction>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ResultOrException {
    #[prost(uint32, optional, tag = "1")]
    pub(crate) index: Option<u32>,
    #[prost(message, optional, tag = "2")]
    pub(crate) result: Option<ResultProto>,
    #[prost(message, optional, tag = "3")]
    pub(crate) exception: Option<NameBytesPair>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RegionActionResult {
    #[prost(message, repeated, tag = "1")]
    pub(crate) result_or_exception: Vec<ResultOrException>,
    #[prost(message, optional, tag = "2")]
    pub(crate) exception: Option<NameBytesPair>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MultiResponse {
    #[prost(message, repeated, tag = "1")]
    pub(crate) region_action_result: Vec<RegionActionResult>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ScanProto {
    #[prost(message, repeated, tag = "1")]
    pub(crate) column: Vec<Column>,
    #[prost(bytes = "vec", optional, tag = "3")]
    pub(crate) start_row: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "4")]
    pub(crate) stop_row: Option<Vec<u8>>,
    #[prost(message, optional, tag = "5")]
    pub(crate) filter: Option<Named>,
    #[prost(message, optional, tag = "6")]
    pub(crate) time_range: Option<TimeRange>,
    #[prost(bool, optional, tag = "8")]
    pub(crate) cache_blocks: Option<bool>,
    #[prost(uint64, optional, tag = "10")]
    pub(crate) max_result_size: Option<u64>,
    #[prost(bool, optional, tag = "15")]
    pub(crate) reversed: Option<bool>,
    #[prost(uint32, optional, tag = "17")]
    pub(crate) caching: Option<u32>,
    #[prost(uint64, optional, tag = "20")]
    pub(crate) mvcc_read_point: Option<u64>,
    #[prost(bool, optional, tag = "21")]
    pub(crate) include_start_row: Option<bool>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ScanRequest {
    #[prost(message, optional, tag = "1")]
    pub(crate) region: Option<RegionSpecifier>,
    #[prost(message, optional, tag = "2")]
    pub(crate) scan: Option<ScanProto>,
    #[prost(uint64, optional, tag = "3")]
    pub(crate) scanner_id: Option<u64>,
    #[prost(uint32, optional, tag = "4")]
    pub(crate) number_of_rows: Option<u32>,
    #[prost(bool, optional, tag = "5")]
    pub(crate) close_scanner: Option<bool>,
    #[prost(uint64, optional, tag = "6")]
    pub(crate) next_call_seq: Option<u64>,
    #[prost(bool, optional, tag = "7")]
    pub(crate) client_handles_partials: Option<bool>,
    #[prost(bool, optional, tag = "8")]
    pub(crate) client_handles_heartbeats: Option<bool>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ScanResponse {
    #[prost(uint64, optional, tag = "2")]
    pub(crate) scanner_id: Option<u64>,
    #[prost(bool, optional, tag = "3")]
    pub(crate) more_results: Option<bool>,
    #[prost(message, repeated, tag = "5")]
    pub(crate) results: Vec<ResultProto>,
    #[prost(bool, optional, tag = "8")]
    pub(crate) more_results_in_region: Option<bool>,
    #[prost(uint64, optional, tag = "11")]
    pub(crate) mvcc_read_point: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ColumnFamilySchema {
    #[prost(bytes = "vec", required, tag = "1")]
    pub(crate) name: Vec<u8>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) attributes: Vec<BytesBytesPair>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TableSchema {
    #[prost(message, optional, tag = "1")]
    pub(crate) table_name: Option<TableNameProto>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) column_families: Vec<ColumnFamilySchema>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct CreateTableRequest {
    #[prost(message, required, tag = "1")]
    pub(crate) table_schema: TableSchema,
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub(crate) split_keys: Vec<Vec<u8>>,
}

/// `DisableTable` and `DeleteTable`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct TableRequest {
    #[prost(message, required, tag = "1")]
    pub(crate) table_name: TableNameProto,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct NamespaceDescriptor {
    #[prost(bytes = "vec", required, tag = "1")]
    pub(crate) name: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct CreateNamespaceRequest {
    #[prost(message, required, tag = "1")]
    pub(crate) descriptor: NamespaceDescriptor,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SplitRegionRequest {
    #[prost(message, required, tag = "1")]
    pub(crate) region_info: RegionInfo,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub(crate) split_row: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MoveRegionRequest {
    #[prost(message, required, tag = "1")]
    pub(crate) region: RegionSpecifier,
    #[prost(message, optional, tag = "2")]
    pub(crate) destination: Option<ServerName>,
}

/// What the master answers to whatever runs as a procedure.
#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct ProcedureResponse {
    #[prost(uint64, optional, tag = "1")]
    pub(crate) id: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct ProcedureRequest {
    #[prost(uint64, required, tag = "1")]
    pub(crate) id: u64,
}

/// `RUNNING` of the states of a procedure.
pub(crate) const RUNNING: i32 = 1;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ProcedureResult {
    #[prost(int32, required, tag = "1")]
    pub(crate) state: i32,
    #[prost(message, optional, tag = "5")]
    pub(crate) exception: Option<ForeignException>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ForeignException {
    #[prost(message, optional, tag = "2")]
    pub(crate) generic: Option<GenericException>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct GenericException {
    #[prost(string, optional, tag = "1")]
    pub(crate) class_name: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub(crate) message: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct TableState {
    #[prost(int32, required, tag = "1")]
    pub(crate) state: i32,
}
