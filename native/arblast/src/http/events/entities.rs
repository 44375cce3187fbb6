//! `/entities/<type>/<id>…`: everything about one entity, to see, to hand over, and to erase.

use std::ops::ControlFlow;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use events::json::Object;
use events::properties::{EntityProperties, PropertyFold};
use events::{EventFilter, EventStore, EventTime, Json, Scope};

use super::about::About;
use super::auth::{Caller, Right};
use super::params::Params;
use super::refusal::Refusal;
use super::stream::{IfNone, Writer};
use super::{EventServer, Server, params};
use crate::http::reply;

/// `GET /entities/<type>/<id>.json`: its properties.
pub async fn properties(State(server): Server, request: Request) -> Result<Response, Refusal> {
    let (parts, _) = request.into_parts();
    let caller = server.caller_with(Right::Read, &parts).await?;
    let (kind, id) = entity(&parts, ".json")?;
    let about = About { kind, id, as_target: false };
    let store = Arc::clone(&server.store);
    let answer = server.reading(move || {
        let state = fold(store.as_ref(), caller.scope, &about)?.ok_or_else(Refusal::not_found)?;
        Ok(Object::new()
            .with("entityType", about.kind)
            .with("entityId", about.id)
            .with("properties", state.properties)
            .with("firstUpdated", EventTime::utc(state.first_updated).to_string())
            .with("lastUpdated", EventTime::utc(state.last_updated).to_string()))
    });
    Ok(reply::json(StatusCode::OK, answer.await?.to_string()))
}

fn fold(store: &dyn EventStore, scope: Scope, about: &About) -> events::Result<Option<EntityProperties>> {
    let special = ["$set", "$unset", "$delete"].map(str::to_owned).to_vec();
    let filter = EventFilter { events: Some(special), ..about.own() };
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

/// `GET /entities/<type>/<id>/events.json`: everything that it did, oldest first; of all channels, one after the other.
pub async fn export(State(server): Server, request: Request) -> Result<Response, Refusal> {
    let (parts, _) = request.into_parts();
    let caller = server.caller_with(Right::Read, &parts).await?;
    let Wanted { about, all_channels } = Wanted::of(&parts, "/events.json")?;
    let reader = Arc::clone(&server);
    let write = move |out: &mut Writer| {
        let store = reader.store.as_ref();
        if !all_channels {
            return out.array(|visit| about.visit(store, caller.scope, visit)).map(|_| ());
        }
        out.push("{\"channels\":[");
        for (index, (name, scope)) in
            reader.intake.directory.scopes(caller.scope.app)?.into_iter().enumerate()
        {
            if out.is_lost() {
                break;
            }
            let (comma, name) = (if index == 0 { "" } else { "," }, name.map_or(Json::Null, Json::from));
            out.push(&format!("{comma}{{\"channel\":{name},\"events\":"));
            let count = out.array(|visit| about.visit(store, scope, visit))?;
            let none = if count == 0 { "[]" } else { "" };
            out.push(&format!("{none},\"count\":{count}}}"));
        }
        out.push("]}");
        Ok(())
    };
    server.written(IfNone::EmptyArray, write).await
}

/// `DELETE /entities/<type>/<id>.json`: erases everything that it did.
pub async fn delete(State(server): Server, request: Request) -> Result<Response, Refusal> {
    let (parts, _) = request.into_parts();
    let caller = server.caller_with(Right::Delete, &parts).await?;
    let wanted = Wanted::of(&parts, ".json")?;
    let name = Params::of(&parts.uri).text("channel")?;
    let eraser = Arc::clone(&server);
    let answer = server.reading(move || erase(&eraser, &caller, &wanted, name));
    Ok(reply::json(StatusCode::OK, answer.await?.to_string()))
}

fn erase(
    server: &EventServer,
    caller: &Caller,
    wanted: &Wanted,
    channel: Option<String>,
) -> Result<Object, Refusal> {
    let intake = &server.intake;
    let Wanted { about, all_channels } = wanted;
    let scopes = match all_channels {
        true => intake.outcome(intake.directory.scopes(caller.scope.app))?,
        false => vec![(channel, caller.scope)],
    };
    let (mut deleted, mut channels) = (0, Vec::new());
    for (name, scope) in scopes {
        let erased = intake.erase(caller, about, scope, name.as_deref())?;
        let sum = erased.own + erased.as_target;
        deleted += sum;
        let counts = Object::new().with("channel", name.map_or(Json::Null, Json::from)).with("deleted", sum);
        channels.push(Json::from(counts.with("asTarget", erased.as_target)));
    }
    let answer = Object::new().with("deleted", deleted);
    let is_plain = !all_channels && !about.as_target;
    Ok(if is_plain { answer } else { answer.with("channels", channels) })
}

/// What a request about one entity wants.
struct Wanted {
    about: About,
    all_channels: bool,
}

impl Wanted {
    /// By the path, which ends with `end`, and the parameters `asTarget` and `allChannels`.
    fn of(parts: &Parts, end: &str) -> Result<Self, Refusal> {
        let (kind, id) = entity(parts, end)?;
        let params = Params::of(&parts.uri);
        let (as_target, all_channels) = (params.flag("asTarget")?, params.flag("allChannels")?);
        if all_channels && params.first("channel")?.is_some() {
            return Err(Refusal::invalid("allChannels=true covers every channel: leave out channel"));
        }
        Ok(Self { about: About { kind, id, as_target }, all_channels })
    }
}

/// Type and id of the path, which ends with `end`.
fn entity(parts: &Parts, end: &str) -> Result<(String, String), Refusal> {
    let raw = parts.uri.path().strip_prefix("/entities/").and_then(|path| path.strip_suffix(end));
    let names = raw.and_then(|raw| raw.split_once('/'));
    let decoded = names.and_then(|(kind, id)| Some((params::segment(kind)?, params::segment(id)?)));
    decoded.filter(|(kind, id)| !kind.is_empty() && !id.is_empty()).ok_or_else(Refusal::not_found)
}
