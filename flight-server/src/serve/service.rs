//! The calls of Flight SQL. Whatever is no SQL goes to the modules of its name.

use std::pin::Pin;
use std::sync::Arc;

use arblast::http::Right;
use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_server::FlightService;
use arrow_flight::sql::server::{FlightSqlService, PeekableFlightDataStream};
use arrow_flight::sql::{
    ActionCancelQueryRequest, ActionCancelQueryResult, ActionClosePreparedStatementRequest,
    ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult, Any, Command,
    CommandGetCatalogs, CommandGetCrossReference, CommandGetDbSchemas, CommandGetExportedKeys,
    CommandGetImportedKeys, CommandGetPrimaryKeys, CommandGetSqlInfo, CommandGetTableTypes, CommandGetTables,
    CommandGetXdbcTypeInfo, CommandPreparedStatementQuery, CommandStatementIngest, CommandStatementQuery,
    DoPutPreparedStatementResult, ProstMessageExt, SqlInfo, TicketStatementQuery,
};
use arrow_flight::{
    Action, ActionType, CancelFlightInfoRequest, CancelFlightInfoResult, FlightData, FlightDescriptor,
    FlightInfo, HandshakeRequest, HandshakeResponse, IpcMessage, SchemaAsIpc, Ticket,
};
use futures::Stream;
use prost::Message;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataValue;
use tonic::{Request, Response, Status, Streaming};

use super::answers::{Answered, Info, Out, info, rows};
use super::client::{self, Client, Head};
use super::listen::Peer;
use super::running::{self, Place};
use super::statements::{Prepared, Waiting};
use super::uploads::Uploads;
use super::{Server, actions, exchange, metadata, models, put};
use crate::errors;
use crate::sql::{self, Bound, CATALOG, SCHEMA, numbered};

/// The action of Flight that ends a statement.
const CANCEL: &str = "CancelFlightInfo";

/// The server as Flight clients meet it.
#[derive(Clone)]
pub struct Front(pub Arc<Server>);

type Rows = Answered<Out<FlightData>>;

fn one(batch: Result<RecordBatch, FlightError>) -> Rows {
    let batch = batch.map_err(Status::from)?;
    Ok(Response::new(rows(batch.schema(), futures::stream::iter([Ok(batch)]))))
}

/// A client that may read.
fn reader<T>(request: &Request<T>) -> Result<Arc<Client>, Status> {
    let client = client::of(request)?;
    client.must(Right::Read)?;
    Ok(client)
}

fn ipc(schema: &Schema) -> Result<prost::bytes::Bytes, Status> {
    let options = arrow::ipc::writer::IpcWriteOptions::default();
    let message: Result<IpcMessage, _> = SchemaAsIpc::new(schema, &options).try_into();
    message.map(|message| message.0).map_err(|error| Status::internal(error.to_string()))
}

impl Front {
    /// Plans a statement and keeps it until it is fetched.
    async fn plan(
        &self,
        client: Arc<Client>,
        sql: String,
        bound: Option<Bound>,
        descriptor: FlightDescriptor,
    ) -> Info {
        let server = Arc::clone(&self.0);
        let planned = self.0.queries.work(async move {
            let session = server.session(&client)?;
            let plan = session.plan(&sql, bound.as_ref()).await;
            let plan = plan.map_err(|error| errors::of_datafusion(&error))?;
            let plan = session.physical(&plan).await.map_err(|error| errors::of_datafusion(&error))?;
            let schema = plan.schema();
            let waiting = Waiting { plan, context: session.context().task_ctx() };
            Ok((schema, server.waiting.put(client.owner(), waiting)?))
        });
        let (schema, handle) = planned.await?;
        let ticket = TicketStatementQuery { statement_handle: handle.into() };
        info(&schema, ticket.as_any().encode_to_vec(), descriptor)
    }

    async fn prepare(
        &self,
        client: Arc<Client>,
        sql: String,
    ) -> Result<ActionCreatePreparedStatementResult, Status> {
        let server = Arc::clone(&self.0);
        let prepared = self.0.queries.work(async move {
            let sql = numbered(&sql).map_err(|error| errors::of_datafusion(&error))?;
            let session = server.session(&client)?;
            let plan = session.plan(&sql, None).await.map_err(|error| errors::of_datafusion(&error))?;
            let parameters = session.parameters(&plan).map_err(|error| errors::of_datafusion(&error))?;
            let schema = if parameters.fields().is_empty() {
                let plan = session.physical(&plan).await;
                plan.map_err(|error| errors::of_datafusion(&error))?.schema()
            } else {
                Arc::clone(plan.schema().inner())
            };
            let prepared = Prepared { sql, parameters: Arc::clone(&parameters), bound: None };
            Ok((schema, parameters, server.prepared.put(client.owner(), prepared)?))
        });
        let (schema, parameters, handle) = prepared.await?;
        Ok(ActionCreatePreparedStatementResult {
            prepared_statement_handle: handle.into(),
            dataset_schema: ipc(&schema)?,
            parameter_schema: ipc(&parameters)?,
        })
    }
}

#[tonic::async_trait]
impl FlightSqlService for Front {
    type FlightService = Self;

    async fn do_handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Answered<Pin<Box<dyn Stream<Item = Result<HandshakeResponse, Status>> + Send>>> {
        let headers = request.metadata().clone().into_headers();
        let key = client::basic_key(&headers).ok_or_else(|| {
            Status::unauthenticated("a handshake shows an access key as password: authorization: Basic …")
        })?;
        let peer = request.extensions().get::<Peer>().cloned();
        let address = peer.as_ref().map_or_else(|| ([0, 0, 0, 0], 0).into(), |peer| peer.address);
        let uri = tonic::codegen::http::Uri::from_static("/");
        self.0.client(&key, &Head { peer: address, uri: &uri, headers: &headers }).await?;
        if let Some(peer) = peer {
            peer.is_known_now();
        }
        let answer = HandshakeResponse { protocol_version: 0, payload: key.clone().into() };
        let mut response: Response<Out<HandshakeResponse>> =
            Response::new(Box::pin(futures::stream::iter([Ok(answer)])));
        let token = MetadataValue::try_from(format!("Bearer {key}"));
        let mut token = token.map_err(|_| Status::unauthenticated("a key that cannot stand in a header"))?;
        token.set_sensitive(true);
        response.metadata_mut().insert("authorization", token);
        Ok(response)
    }

    async fn get_flight_info_statement(
        &self,
        query: CommandStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Info {
        self.plan(reader(&request)?, query.query, None, request.into_inner()).await
    }

    async fn do_get_statement(&self, ticket: TicketStatementQuery, request: Request<Ticket>) -> Rows {
        let client = reader(&request)?;
        // who has to come again finds it there
        let turn = self.0.queries.turn().await?;
        let place = Place::take(&self.0.running, client.owner(), &ticket.statement_handle);
        let Waiting { plan, context } = self.0.waiting.take(client.owner(), &ticket.statement_handle)?;
        let schema = plan.schema();
        let batches = self.0.queries.rows(turn, plan, context, place);
        Ok(Response::new(rows(schema, ReceiverStream::new(batches))))
    }

    async fn do_action_create_prepared_statement(
        &self,
        query: ActionCreatePreparedStatementRequest,
        request: Request<Action>,
    ) -> Result<ActionCreatePreparedStatementResult, Status> {
        self.prepare(reader(&request)?, query.query).await
    }

    async fn do_action_close_prepared_statement(
        &self,
        query: ActionClosePreparedStatementRequest,
        request: Request<Action>,
    ) -> Result<(), Status> {
        let client = client::of(&request)?;
        // what has ended by itself is closed, too
        let _ = self.0.prepared.take(client.owner(), &query.prepared_statement_handle);
        Ok(())
    }

    async fn get_flight_info_prepared_statement(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Info {
        let client = reader(&request)?;
        let handle = &query.prepared_statement_handle;
        let Prepared { sql, bound, parameters } =
            self.0.prepared.with(client.owner(), handle, |kept| kept.clone())?;
        // unbound parameters are told by their names
        let bound = bound.or_else(|| (!parameters.fields().is_empty()).then(Bound::new));
        self.plan(client, sql, bound, request.into_inner()).await
    }

    async fn do_put_prepared_statement_query(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<DoPutPreparedStatementResult, Status> {
        let client = reader(&request)?;
        let mut batches = Uploads::new(request.into_inner().into_peekable());
        let mut bound = None;
        while let Some(batch) = batches.next().await? {
            if bound.is_some() && batch.num_rows() > 0 {
                return Err(Status::invalid_argument("one row of parameters is taken, got several batches"));
            }
            bound = Some(sql::of_batch(&batch).map_err(|error| errors::of_datafusion(&error))?);
        }
        let handle = query.prepared_statement_handle;
        self.0.prepared.with(client.owner(), &handle, |kept| kept.bound = bound)?;
        // the JDBC driver takes an absent handle for an empty one
        Ok(DoPutPreparedStatementResult { prepared_statement_handle: Some(handle) })
    }

    async fn get_flight_info_catalogs(
        &self,
        query: CommandGetCatalogs,
        request: Request<FlightDescriptor>,
    ) -> Info {
        let ticket = query.as_any().encode_to_vec();
        info(&query.into_builder().schema(), ticket, request.into_inner())
    }

    async fn do_get_catalogs(&self, query: CommandGetCatalogs, _: Request<Ticket>) -> Rows {
        let mut builder = query.into_builder();
        builder.append(CATALOG);
        one(builder.build())
    }

    async fn get_flight_info_schemas(
        &self,
        query: CommandGetDbSchemas,
        request: Request<FlightDescriptor>,
    ) -> Info {
        let ticket = query.as_any().encode_to_vec();
        info(&query.into_builder().schema(), ticket, request.into_inner())
    }

    async fn do_get_schemas(&self, query: CommandGetDbSchemas, _: Request<Ticket>) -> Rows {
        let mut builder = query.into_builder();
        builder.append(CATALOG, SCHEMA);
        one(builder.build())
    }

    async fn get_flight_info_tables(
        &self,
        query: CommandGetTables,
        request: Request<FlightDescriptor>,
    ) -> Info {
        let ticket = query.as_any().encode_to_vec();
        info(&query.into_builder().schema(), ticket, request.into_inner())
    }

    async fn do_get_tables(&self, query: CommandGetTables, request: Request<Ticket>) -> Rows {
        let (client, server) = (reader(&request)?, Arc::clone(&self.0));
        let tables = self.0.queries.work(async move {
            let tables = server.session(&client)?.tables().await;
            tables.map_err(|error| errors::of_datafusion(&error))
        });
        let mut builder = query.into_builder();
        for (name, schema) in tables.await? {
            builder.append(CATALOG, SCHEMA, name, metadata::TABLE, &schema).map_err(Status::from)?;
        }
        one(builder.build())
    }

    async fn get_flight_info_table_types(
        &self,
        query: CommandGetTableTypes,
        request: Request<FlightDescriptor>,
    ) -> Info {
        let ticket = query.as_any().encode_to_vec();
        info(&query.into_builder().schema(), ticket, request.into_inner())
    }

    async fn do_get_table_types(&self, query: CommandGetTableTypes, _: Request<Ticket>) -> Rows {
        let mut builder = query.into_builder();
        builder.append(metadata::TABLE);
        one(builder.build())
    }

    async fn get_flight_info_sql_info(
        &self,
        query: CommandGetSqlInfo,
        request: Request<FlightDescriptor>,
    ) -> Info {
        let ticket = query.as_any().encode_to_vec();
        let data = metadata::server().map_err(Status::from)?;
        info(&query.into_builder(data).schema(), ticket, request.into_inner())
    }

    async fn do_get_sql_info(&self, query: CommandGetSqlInfo, _: Request<Ticket>) -> Rows {
        one(query.into_builder(metadata::server().map_err(Status::from)?).build())
    }

    async fn get_flight_info_xdbc_type_info(
        &self,
        query: CommandGetXdbcTypeInfo,
        request: Request<FlightDescriptor>,
    ) -> Info {
        let ticket = query.as_any().encode_to_vec();
        let data = metadata::types().map_err(Status::from)?;
        info(&query.into_builder(data).schema(), ticket, request.into_inner())
    }

    async fn do_get_xdbc_type_info(&self, query: CommandGetXdbcTypeInfo, _: Request<Ticket>) -> Rows {
        one(query.into_builder(metadata::types().map_err(Status::from)?).build())
    }

    async fn get_flight_info_primary_keys(
        &self,
        query: CommandGetPrimaryKeys,
        request: Request<FlightDescriptor>,
    ) -> Info {
        info(&metadata::no_primary_keys().schema(), query.as_any().encode_to_vec(), request.into_inner())
    }

    async fn do_get_primary_keys(&self, _: CommandGetPrimaryKeys, _: Request<Ticket>) -> Rows {
        one(Ok(metadata::no_primary_keys()))
    }

    async fn get_flight_info_exported_keys(
        &self,
        query: CommandGetExportedKeys,
        request: Request<FlightDescriptor>,
    ) -> Info {
        info(&metadata::no_foreign_keys().schema(), query.as_any().encode_to_vec(), request.into_inner())
    }

    async fn do_get_exported_keys(&self, _: CommandGetExportedKeys, _: Request<Ticket>) -> Rows {
        one(Ok(metadata::no_foreign_keys()))
    }

    async fn get_flight_info_imported_keys(
        &self,
        query: CommandGetImportedKeys,
        request: Request<FlightDescriptor>,
    ) -> Info {
        info(&metadata::no_foreign_keys().schema(), query.as_any().encode_to_vec(), request.into_inner())
    }

    async fn do_get_imported_keys(&self, _: CommandGetImportedKeys, _: Request<Ticket>) -> Rows {
        one(Ok(metadata::no_foreign_keys()))
    }

    async fn get_flight_info_cross_reference(
        &self,
        query: CommandGetCrossReference,
        request: Request<FlightDescriptor>,
    ) -> Info {
        info(&metadata::no_foreign_keys().schema(), query.as_any().encode_to_vec(), request.into_inner())
    }

    async fn do_get_cross_reference(&self, _: CommandGetCrossReference, _: Request<Ticket>) -> Rows {
        one(Ok(metadata::no_foreign_keys()))
    }

    async fn get_flight_info_fallback(&self, _: Command, request: Request<FlightDescriptor>) -> Info {
        models::info(&self.0, reader(&request)?, request.into_inner()).await
    }

    async fn do_get_fallback(
        &self,
        request: Request<Ticket>,
        message: Any,
    ) -> Answered<<Self as FlightService>::DoGetStream> {
        models::get(&self.0, reader(&request)?, &message).await.map(Response::new)
    }

    async fn do_put_statement_ingest(
        &self,
        command: CommandStatementIngest,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        put::ingest(&self.0, client::of(&request)?, &command, request.into_inner()).await
    }

    async fn do_put_fallback(
        &self,
        request: Request<PeekableFlightDataStream>,
        _: Any,
    ) -> Answered<<Self as FlightService>::DoPutStream> {
        put::events(&self.0, client::of(&request)?, request.into_inner()).await.map(Response::new)
    }

    async fn do_exchange_fallback(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Answered<<Self as FlightService>::DoExchangeStream> {
        exchange::run(&self.0, reader(&request)?, request.into_inner()).await.map(Response::new)
    }

    async fn do_action_fallback(
        &self,
        request: Request<Action>,
    ) -> Answered<<Self as FlightService>::DoActionStream> {
        let (client, action) = (client::of(&request)?, request.into_inner());
        if action.r#type == CANCEL {
            let asked = CancelFlightInfoRequest::decode(action.body).ok().and_then(|asked| asked.info);
            let info =
                asked.ok_or_else(|| Status::invalid_argument("the body is a CancelFlightInfoRequest"))?;
            let status = running::cancel(&self.0, &client, &info)?.into();
            let body = CancelFlightInfoResult { status }.encode_to_vec().into();
            return Ok(Response::new(Box::pin(futures::stream::iter([Ok(arrow_flight::Result { body })]))));
        }
        actions::run(&self.0, client, action).await.map(Response::new)
    }

    async fn do_action_cancel_query(
        &self,
        query: ActionCancelQueryRequest,
        request: Request<Action>,
    ) -> Result<ActionCancelQueryResult, Status> {
        let info = FlightInfo::decode(query.info)
            .map_err(|error| Status::invalid_argument(format!("info is no FlightInfo: {error}")))?;
        let status = running::cancel(&self.0, &*client::of(&request)?, &info)?;
        // Its numbers mean the same.
        Ok(ActionCancelQueryResult { result: status.into() })
    }

    async fn list_custom_actions(&self) -> Option<Vec<Result<ActionType, Status>>> {
        let description = "Ends a statement: CancelFlightInfoRequest, CancelFlightInfoResult".to_owned();
        let cancel = ActionType { r#type: CANCEL.to_owned(), description };
        Some(actions::all().into_iter().chain([cancel]).map(Ok).collect())
    }

    async fn register_sql_info(&self, _: i32, _: &SqlInfo) {}
}
