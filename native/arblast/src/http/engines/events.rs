//! Events of an engine, in the form of Harness: what the engine does not use is not stored, and the answer says so.

use std::ops::ControlFlow;
use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use engine::EngineConfig;
use events::json::{self, Object};
use events::{Entity, Event, EventFilter, EventTime, Json, MAX_EVENT_BYTES};

use super::mirror::mirror;
use super::{Admin, Answered, Engine, Server, comment};
use crate::clock;
use crate::failure::{Failure, Result};
use crate::http::ingest::stored;
use crate::http::queries::{QueryServer, Sender, blocking, parameter, read};
use crate::http::refused::Refused;
use crate::http::reply;

/// Events of a user in one answer.
const PAGE_MAX: usize = 10_000;

/// What becomes of an event.
#[derive(Debug, PartialEq)]
enum Fate {
    Stored,
    /// All events of this user go.
    Forgets(String),
    /// Not stored, for this reason.
    Ignored(&'static str),
    Unsupported(&'static str),
}

/// Who may write and read events: who may control the server, and who shows a key of the engine's app.
async fn admit(
    server: &Arc<QueryServer>,
    engine: &Engine,
    request: &Parts,
) -> std::result::Result<Option<Vec<String>>, Refused> {
    let (uri, headers) = (&request.uri, &request.headers);
    let peer = crate::http::peer(&request.extensions);
    let refused = match server.may_control(peer, uri, headers) {
        Ok(()) => return Ok(None),
        Err(refused) => refused,
    };
    let Some(key) = (Sender { peer, uri, headers }).key() else { return Err(refused) };
    let (server, app) = (Arc::clone(server), engine.config().app_name.clone());
    let known = blocking(move || {
        let registry = &server.storage().registry;
        let Some(known) = registry.access_key(&key)? else { return Ok(None) };
        Ok(registry.app_by_name(&app)?.filter(|app| app.id == known.app).map(|_| known.events))
    });
    known.await?.map(Some).ok_or(refused)
}

pub(super) async fn add(State(server): Server, Path(id): Path<String>, request: Request) -> Answered {
    let engine = server.engine(&id)?;
    let (request, body) = request.into_parts();
    let allowed = admit(&server, &engine, &request).await?;
    let text = read(body, MAX_EVENT_BYTES).await?;
    mirror(&engine, &text).await;
    let event = parsed(&text)?;
    if allowed.is_some_and(|allowed| !allowed.is_empty() && !allowed.contains(&event.event)) {
        return Err(Refused::new(StatusCode::FORBIDDEN, format!("{} events are not allowed", event.event)));
    }
    match fate(engine.config(), &event) {
        Fate::Unsupported(why) => Err(Refused::new(StatusCode::NOT_IMPLEMENTED, why)),
        Fate::Ignored(why) => {
            let described = Object::new().with("comment", why).with("stored", false);
            Ok(reply::json(StatusCode::OK, described.to_string()))
        }
        Fate::Forgets(user) => {
            forget_user(server, engine, user).await?;
            Ok(comment(StatusCode::CREATED, "All events of the user are deleted."))
        }
        Fate::Stored => {
            let id = store(server, engine, event).await?;
            let described =
                Object::new().with("comment", "Event processed successfully.").with("stored", true);
            Ok(reply::json(StatusCode::CREATED, described.with("eventId", id).to_string()))
        }
    }
}

/// Makes an event durable, together with those that arrive meanwhile, and gives its id. 429 if too many wait.
async fn store(
    server: Arc<QueryServer>,
    engine: Engine,
    event: Event,
) -> std::result::Result<String, Refused> {
    let keeper = Arc::clone(&server);
    let scope = blocking(move || engine.scope(keeper.storage())).await?;
    let ingest = server.engines().ingest();
    let ids = stored(ingest.submit(scope, vec![event])?.await).map_err(|error| {
        let told = ingest.outage().told(&error);
        told.map_or_else(|| Failure::from(error).into(), Refused::busy)
    })?;
    Ok(ids.into_iter().next().unwrap_or_default())
}

/// An event of Harness: `eventTime` is required, with its offset, and targets are items.
fn parsed(text: &[u8]) -> std::result::Result<Event, Refused> {
    let wrong = |why: String| Refused::from(Failure::invalid(why));
    let json = json::parse(text).map_err(|error| wrong(format!("the event is not JSON: {error}")))?;
    let Json::Object(mut object) = json else {
        return Err(wrong(format!("an event is an object, got {}", json.excerpt())));
    };
    let time = object.get("eventTime").and_then(Json::as_str);
    let has_offset = |time: &str| {
        time.ends_with(['Z', 'z']) || time.get(10..).is_some_and(|clock| clock.contains(['+', '-']))
    };
    if !time.is_some_and(has_offset) {
        return Err(wrong(
            "eventTime is required, as a time with an offset, e.g. 2026-01-31T12:00:00Z".to_owned(),
        ));
    }
    if object.get("targetEntityId").is_some_and(|id| !id.is_null()) {
        object.insert("targetEntityType", "item");
    }
    let now = EventTime::utc(clock::now_ms());
    Event::from_json(&Json::Object(object), now).map_err(|error| Failure::from(error).into())
}

fn fate(config: &EngineConfig, event: &Event) -> Fate {
    let Entity { kind, id } = &event.entity;
    match (event.event.as_str(), kind.as_str()) {
        ("$set" | "$unset" | "$delete", "item") => Fate::Stored,
        ("$delete", "user") => Fate::Forgets(id.clone()),
        ("$set", "user") => {
            Fate::Unsupported("properties of users are not supported: send them as events of an indicator")
        }
        (name, _) if config.indicator_of(name).is_some() && event.target.is_some() => Fate::Stored,
        (name, _) if config.indicator_of(name).is_some() => {
            Fate::Ignored("Not stored: an event of an indicator needs targetEntityId.")
        }
        (name, _) if name.starts_with('$') => Fate::Ignored("Not stored: it has no effect on this engine."),
        _ => Fate::Ignored("Not stored: unknown event; the engine has no indicator of this name."),
    }
}

pub(super) async fn show(
    State(server): Server,
    _: Admin,
    Path((id, event)): Path<(String, String)>,
) -> Answered {
    let engine = server.engine(&id)?;
    let found = blocking(move || {
        let scope = engine.scope(server.storage())?;
        Ok(server.storage().events.get(scope, &event)?)
    });
    let found = found.await?.ok_or_else(|| Refused::new(StatusCode::NOT_FOUND, "there is no such event"))?;
    let mut text = String::new();
    found.write_json(&mut text);
    Ok(reply::json(StatusCode::OK, text))
}

/// A user's events, newest first; parameters `num` (100) and `from` (0).
pub(super) async fn of_user(
    State(server): Server,
    Path((id, user)): Path<(String, String)>,
    request: Request,
) -> Answered {
    let engine = server.engine(&id)?;
    let (request, _) = request.into_parts();
    admit(&server, &engine, &request).await?;
    let (num, from) = (count(&request.uri, "num", 100)?, count(&request.uri, "from", 0)?);
    if num.saturating_add(from) > PAGE_MAX {
        return Err(Failure::invalid(format!("from + num must be at most {PAGE_MAX}")).into());
    }
    let text = blocking(move || {
        let scope = engine.scope(server.storage())?;
        let filter = EventFilter {
            entity_type: Some("user".to_owned()),
            entity_id: Some(user),
            limit: Some(num + from),
            reversed: true,
            ..EventFilter::default()
        };
        let (mut text, mut seen) = (String::from("["), 0);
        server.storage().events.find(scope, &filter, &mut |event| {
            seen += 1;
            if seen > from {
                if text.len() > 1 {
                    text.push(',');
                }
                event.write_json(&mut text);
            }
            ControlFlow::Continue(())
        })?;
        text.push(']');
        Ok(text)
    });
    Ok(reply::json(StatusCode::OK, text.await?))
}

fn count(uri: &Uri, name: &str, default: usize) -> Result<usize> {
    let Some(text) = parameter(uri, name) else { return Ok(default) };
    text.parse().map_err(|_| Failure::invalid(format!("{name} must be a whole number, got {text:?}")))
}

pub(super) async fn forget(
    State(server): Server,
    Path((id, user)): Path<(String, String)>,
    request: Request,
) -> Answered {
    let engine = server.engine(&id)?;
    let (request, _) = request.into_parts();
    admit(&server, &engine, &request).await?;
    forget_user(server, engine, user).await
}

async fn forget_user(
    server: Arc<QueryServer>,
    engine: Engine,
    user: String,
) -> std::result::Result<Response, Refused> {
    blocking(move || {
        let scope = engine.scope(server.storage())?;
        Ok(server.storage().events.delete_entity(scope, "user", &user)?)
    })
    .await?;
    Ok(comment(StatusCode::OK, "All data deleted"))
}
