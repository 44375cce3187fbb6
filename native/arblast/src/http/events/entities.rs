//! `/entities/<type>/<id>…`: everything about one entity, to see, to hand over, and to erase.

use std::ops::ControlFlow;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use events::json::Object;
use events::properties::{EntityProperties, PropertyFold};
use events::{EventFilter, EventStore, EventTime, Scope};

use super::auth::Right;
use super::refusal::Refusal;
use super::stream::IfNone;
use super::{Server, notes, params};
use crate::http::reply;

/// `GET /entities/<type>/<id>.json`: its properties.
pub async fn properties(State(server): Server, request: Request) -> Result<Response, Refusal> {
    let (parts, _) = request.into_parts();
    let caller = server.caller_with(Right::Read, &parts).await?;
    let (kind, id) = entity(&parts, ".json")?;
    let store = Arc::clone(&server.store);
    let answer = server.reading(move || {
        let state = fold(store.as_ref(), caller.scope, &kind, &id)?.ok_or_else(Refusal::not_found)?;
        Ok(Object::new()
            .with("entityType", kind)
            .with("entityId", id)
            .with("properties", state.properties)
            .with("firstUpdated", EventTime::utc(state.first_updated).to_string())
            .with("lastUpdated", EventTime::utc(state.last_updated).to_string()))
    });
    Ok(reply::json(StatusCode::OK, answer.await?.to_string()))
}

fn fold(
    store: &dyn EventStore,
    scope: Scope,
    kind: &str,
    id: &str,
) -> events::Result<Option<EntityProperties>> {
    let special = ["$set", "$unset", "$delete"].map(str::to_owned).to_vec();
    let filter = EventFilter { events: Some(special), ..everything(kind, id) };
    let mut fold = PropertyFold::new();
    let mut failed = None;
    store.find(scope, &filter, &mut |event| match fold.push(event) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            failed = Some(error);
            ControlFlow::Break(())
        }
    })?;
    failed.map_or_else(|| Ok(fold.finish().into_iter().next()), Err)
}

/// `GET /entities/<type>/<id>/events.json`: everything that it did, oldest first.
pub async fn export(State(server): Server, request: Request) -> Result<Response, Refusal> {
    let (parts, _) = request.into_parts();
    let caller = server.caller_with(Right::Read, &parts).await?;
    let (kind, id) = entity(&parts, "/events.json")?;
    server.stream(caller.scope, everything(&kind, &id), IfNone::EmptyArray).await
}

/// `DELETE /entities/<type>/<id>.json`: erases everything that it did.
pub async fn delete(State(server): Server, request: Request) -> Result<Response, Refusal> {
    let (parts, _) = request.into_parts();
    let caller = server.caller_with(Right::Delete, &parts).await?;
    let (kind, id) = entity(&parts, ".json")?;
    let own = Arc::clone(&server);
    let scope = caller.scope;
    let answer = server.reading(move || {
        let deleted = own.written(own.store.delete_entity(scope, &kind, &id))?;
        let client = caller.client.map_or_else(|| "unknown".to_owned(), |client| client.to_string());
        let channel = scope.channel.map_or_else(|| "default".to_owned(), |channel| channel.to_string());
        let app = &caller.access.app;
        notes::audit(format_args!(
            "deleted {deleted} events of entity {kind:?} {id:?}: app {} {:?}, channel {channel}, client {client}",
            app.id, app.name
        ));
        Ok(Object::new().with("deleted", deleted))
    });
    Ok(reply::json(StatusCode::OK, answer.await?.to_string()))
}

fn everything(kind: &str, id: &str) -> EventFilter {
    EventFilter {
        entity_type: Some(kind.to_owned()),
        entity_id: Some(id.to_owned()),
        ..EventFilter::default()
    }
}

/// Type and id of the path, which ends with `end`.
fn entity(parts: &Parts, end: &str) -> Result<(String, String), Refusal> {
    let raw = parts.uri.path().strip_prefix("/entities/").and_then(|path| path.strip_suffix(end));
    let names = raw.and_then(|raw| raw.split_once('/'));
    let decoded = names.and_then(|(kind, id)| Some((params::segment(kind)?, params::segment(id)?)));
    decoded.filter(|(kind, id)| !kind.is_empty() && !id.is_empty()).ok_or_else(Refusal::not_found)
}
