//! Events of an engine, in the form of Harness: what the engine does not use is not stored, and the answer says so.

use std::ops::ControlFlow;
use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use engine::EngineConfig;
use events::json::Object;
use events::{Entity, Event, EventFilter, EventTime, Json};

use super::mirror::mirror;
use super::{Answered, Engine, Server, comment};
use crate::clock;
use crate::failure::{Failure, Result};
use crate::harness;
use crate::http::events::{About, Caller, Right};
use crate::http::queries::{QueryServer, blocking, parameter, read};
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

/// The engine and who asks, if he may do that with its events: who may control the server, and who shows a key of the
/// engine's app that has the right. Who shows a known key gets what that allows, wherever he is. Others do not learn which
/// engines there are.
async fn admit(
    server: &Arc<QueryServer>,
    id: &str,
    request: &Parts,
    right: Right,
) -> std::result::Result<(Engine, Caller), Refused> {
    let control = server.may_control(crate::http::peer(&request.extensions), &request.uri, &request.headers);
    let shows_server_key = control.is_ok() && server.settings().server_key.is_some();
    if !shows_server_key && let Some(caller) = server.engines().intake().known_caller(request).await? {
        let app = caller.access.app.name.as_str();
        let engine = server.engine(id).ok().filter(|engine| engine.config().app_name == app);
        let foreign =
            || Refused::new(StatusCode::UNAUTHORIZED, "the key is not one of the app of this engine");
        let engine = engine.ok_or_else(foreign)?;
        caller.must(right)?;
        return Ok((engine, caller));
    }
    control?;
    let engine = server.engine(id)?;
    let (keeper, config) = (Arc::clone(server), engine.config().clone());
    let app = blocking(move || crate::jobs::app_of(keeper.storage(), &config)).await?;
    Ok((engine, Caller::without_key(app, request)))
}

pub(super) async fn add(State(server): Server, Path(id): Path<String>, request: Request) -> Answered {
    let (request, body) = request.into_parts();
    let (engine, caller) = admit(&server, &id, &request, Right::Write).await?;
    let text = read(body, server.settings().event_bytes_max).await?;
    mirror(&engine, &text).await;
    let intake = server.engines().intake();
    let object = intake.tolerated(&caller, harness::event(&text)).map_err(Failure::from)?;
    if let Some(why) = useless(&object) {
        return Ok(not_stored(why));
    }
    let event = Event::from_json(&Json::Object(object), EventTime::utc(clock::now_ms()));
    let event = intake.admit(&caller, event)?;
    match fate(engine.config(), &event) {
        Fate::Unsupported(why) => Err(Refused::new(StatusCode::NOT_IMPLEMENTED, why)),
        Fate::Ignored(why) => Ok(not_stored(why)),
        Fate::Forgets(user) => {
            caller.must(Right::Delete)?;
            forget_user(&server, caller, user).await?;
            Ok(comment(StatusCode::CREATED, "All events of the user are deleted."))
        }
        Fate::Stored => {
            let id = intake.store(&caller, vec![event]).await?.into_iter().next().unwrap_or_default();
            let described =
                Object::new().with("comment", "Event processed successfully.").with("stored", true);
            Ok(reply::json(StatusCode::CREATED, described.with("eventId", id).to_string()))
        }
    }
}

fn not_stored(why: &str) -> Response {
    let described = Object::new().with("comment", why).with("stored", false);
    reply::json(StatusCode::OK, described.to_string())
}

/// Why an event that Harness takes, and the rules of events do not, is taken here and not stored.
fn useless(event: &Object) -> Option<&'static str> {
    let is_reserved = |name: &str| name.starts_with('$') || name.starts_with("pio_");
    let name = event.get("event").and_then(Json::as_str).unwrap_or_default();
    let properties = event.get("properties").and_then(Json::as_object);
    match name {
        "$set" | "$unset" | "$delete" => {}
        name if is_reserved(name) => {
            return Some("Not stored: this reserved name of an event has no effect.");
        }
        _ => {}
    }
    if name == "$unset" && properties.is_none_or(Object::is_empty) {
        return Some("Not stored: $unset has no effect without properties.");
    }
    let has_reserved = properties.is_some_and(|all| all.iter().any(|(name, _)| is_reserved(name)));
    has_reserved.then_some("Not stored: names of properties that begin with pio_ or $ are reserved.")
}

fn fate(config: &EngineConfig, event: &Event) -> Fate {
    let Entity { kind, id } = &event.entity;
    match (event.event.as_str(), kind.as_str()) {
        ("$set" | "$unset" | "$delete", "item") => Fate::Stored,
        ("$delete", "user") => Fate::Forgets(id.clone()),
        ("$set", "user") => {
            Fate::Unsupported("properties of users are not supported: send them as events of an indicator")
        }
        (name, _) if config.indicator_of(name).is_some() && event.target.is_none() => {
            Fate::Ignored("Not stored: an event of an indicator needs targetEntityId.")
        }
        (name, "user") if config.indicator_of(name).is_some() => Fate::Stored,
        (name, _) if config.indicator_of(name).is_some() => {
            Fate::Ignored("Not stored: events of an indicator count only with the entityType user.")
        }
        (name, _) if name.starts_with('$') => Fate::Ignored("Not stored: it has no effect on this engine."),
        _ => Fate::Ignored("Not stored: unknown event; the engine has no indicator of this name."),
    }
}

pub(super) async fn show(
    State(server): Server,
    Path((id, event)): Path<(String, String)>,
    request: Request,
) -> Answered {
    let (request, _) = request.into_parts();
    let (_, caller) = admit(&server, &id, &request, Right::Read).await?;
    let found = blocking(move || Ok(server.storage().events.get(caller.scope, &event)?));
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
    let (request, _) = request.into_parts();
    let (_, caller) = admit(&server, &id, &request, Right::Read).await?;
    let (num, from) = (count(&request.uri, "num", 100)?, count(&request.uri, "from", 0)?);
    if num.saturating_add(from) > PAGE_MAX {
        return Err(Failure::invalid(format!("from + num must be at most {PAGE_MAX}")).into());
    }
    let text = blocking(move || {
        let filter = EventFilter {
            entity_type: Some("user".to_owned()),
            entity_id: Some(user),
            limit: Some(num + from),
            reversed: true,
            ..EventFilter::default()
        };
        let (mut text, mut seen) = (String::from("["), 0);
        server.storage().events.find(caller.scope, &filter, &mut |event| {
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
    let (request, _) = request.into_parts();
    let (_, caller) = admit(&server, &id, &request, Right::Delete).await?;
    forget_user(&server, caller, user).await?;
    Ok(comment(StatusCode::OK, "All data deleted"))
}

async fn forget_user(
    server: &Arc<QueryServer>,
    caller: Caller,
    user: String,
) -> std::result::Result<(), Refused> {
    let server = Arc::clone(server);
    let about = About { kind: "user".to_owned(), id: user, as_target: false };
    blocking(move || Ok(server.engines().intake().erase(&caller, &about, caller.scope, None))).await??;
    Ok(())
}
