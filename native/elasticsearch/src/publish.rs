//! Publishing: a model becomes an index, complete or not at all.

use std::collections::BTreeSet;

use events::json::Object;
use events::{Error, Json, Kind, Result};
use model::Model;
use ureq::http::Method;

use crate::cluster::{Ask, Pace};
use crate::documents::{self, Properties};
use crate::indexes::{Indexes, Listed, building_alias};
use crate::mapping::{self, Field, Meta};
use crate::{Cluster, failure};

/// A bulk request has about so many bytes.
const BULK_BYTES: usize = 4 << 20;
/// An overloaded server is asked again so often, each time after a longer pause.
const PATIENCE: u32 = 8;
const PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

/// Follows a publish.
pub trait Observer {
    /// So many of all items are in the index.
    fn progress(&self, done: u64, total: u64);
    /// Should it end without a new generation? Asked at each progress.
    fn is_stopped(&self) -> bool {
        false
    }
}

/// A generation that is complete, and that nobody asks yet. Dropped without [`make_current`](Self::make_current) it is
/// left behind, for the next publish to remove.
#[derive(Debug)]
pub struct Built<'a> {
    indexes: &'a Indexes,
    generation: u64,
}

impl Built<'_> {
    /// Its number.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// From now on it answers. Then the oldest generations go, down to the number kept; what cannot be removed now is in
    /// nobody's way, and the next publish tries again.
    ///
    /// # Errors
    /// `Kind::Unavailable`, and the generation before still answers: also if another publish has removed this one as
    /// left behind.
    pub fn make_current(self) -> Result<u64> {
        self.indexes.point_to(self.generation, true).map_err(|error| match error.kind() {
            Kind::NotFound => taken_over(&self.indexes.index(self.generation)),
            _ => error,
        })?;
        let _ = self.indexes.prune();
        Ok(self.generation)
    }

    /// Removes it again.
    ///
    /// # Errors
    /// Those of the cluster.
    pub fn discard(self) -> Result<()> {
        self.indexes.remove(self.generation)
    }
}

impl Indexes {
    /// Writes the model as a new generation and makes it current; gives its number. One publish of an engine at a time: a
    /// second one takes over, and the first fails.
    ///
    /// # Errors
    /// `Kind::Version`: the server is too old; `Denied`; `Unavailable`: no server, no space, stopped by the observer;
    /// `Invalid`: an index of the alias' name, a conflicting template. The generation before still answers then.
    pub fn publish(&self, model: &Model, observer: &dyn Observer) -> Result<u64> {
        self.build(model, observer)?.make_current()
    }

    /// The same up to the moment before it becomes current. First removes what was left behind by publishes that died.
    ///
    /// # Errors
    /// As [`publish`](Self::publish); nothing of the new generation is left then, if the cluster can be reached.
    pub fn build(&self, model: &Model, observer: &dyn Observer) -> Result<Built<'_>> {
        let known = self.begin()?;
        for orphan in known.iter().filter(|listed| !listed.complete && !listed.current) {
            self.remove(orphan.generation)?;
        }
        let newest = known.last().map_or(0, |listed| listed.generation);
        let properties = Properties::of_model(model);
        let generation = self.create(model, &properties, newest.saturating_add(1))?;
        let written = self.fill(model, &properties, generation, observer);
        match written {
            Ok(()) => Ok(Built { indexes: self, generation }),
            Err(error) => {
                // Else the next publish does it.
                let _ = self.remove(generation);
                Err(error)
            }
        }
    }

    /// Could a model be published now? Better known before a long train than after.
    ///
    /// # Errors
    /// As [`publish`](Self::publish), as far as that is known without writing.
    pub fn check(&self) -> Result<()> {
        self.begin().map(drop)
    }

    /// What every publish begins with; gives the generations there are.
    fn begin(&self) -> Result<Vec<Listed>> {
        // Who may write here need not be allowed to ask for that.
        if let Err(error) = self.cluster.version()
            && error.kind() != Kind::Denied
        {
            return Err(error);
        }
        self.refuse_foreign_index()?;
        self.list()
    }

    /// An index that has the name of our alias would make the last step fail.
    fn refuse_foreign_index(&self) -> Result<()> {
        let name = &self.name;
        let what = format!("look for an index {name}");
        let answer = self.cluster.get(&format!("/{name}/_alias"), &what)?;
        if !answer.is_ok() && answer.status != 404 {
            return Err(failure::of(&what, &answer));
        }
        if answer.is_ok() && answer.json.get(name).is_some() {
            let text = format!(
                "{}: there is an index {name}, and an alias of this name is needed: remove or rename the index",
                answer.host
            );
            return Err(Error::new(Kind::Invalid, text));
        }
        Ok(())
    }

    fn create(&self, model: &Model, properties: &Properties<'_>, first: u64) -> Result<u64> {
        let mut fields: BTreeSet<Field> = documents::fields_of_model(model);
        fields.extend(properties.fields());
        let mut meta = Meta {
            generation: first,
            note: self.note.clone(),
            items: u64::from(model.items()),
            indicators: model.indicators().map(str::to_owned).collect(),
            rankings: model.rankings().map(str::to_owned).collect(),
        };
        // Somebody else may take the number; a repeated request may meet its own index, which is left to be cleaned up.
        for _ in 0..10 {
            let index = self.index(meta.generation);
            let body = mapping::creation(self.layout, &meta, &fields, &building_alias(&index));
            let what = format!("create index {index}");
            let ask = Ask {
                method: Method::PUT,
                path: &format!("/{index}"),
                body: &body,
                pace: Pace::Write,
                what: &what,
            };
            let answer = self.cluster.ask(&ask)?;
            let acknowledged = answer.json.get("shards_acknowledged").and_then(Json::as_bool);
            if answer.is_ok() && acknowledged != Some(false) {
                return Ok(meta.generation);
            }
            if answer.is_ok() {
                let _ = self.remove(meta.generation);
                let text = format!(
                    "{}: cannot {what}: no node takes its shards; are disks beyond the high watermark, or nodes missing?",
                    answer.host
                );
                return Err(Error::new(Kind::Unavailable, text));
            }
            if !failure::reason(&answer.json).contains("resource_already_exists") {
                return Err(failure::of(&what, &answer));
            }
            meta.generation = meta.generation.saturating_add(1);
        }
        Err(Error::new(Kind::Unavailable, format!("others create indexes {}-* all the time", self.name)))
    }

    fn fill(
        &self,
        model: &Model,
        properties: &Properties<'_>,
        generation: u64,
        observer: &dyn Observer,
    ) -> Result<()> {
        let index = self.index(generation);
        let target = building_alias(&index);
        let total = u64::from(model.items());
        let mut body = String::new();
        for row in 0..model.items() {
            let document = documents::of_model(model, properties, row)?;
            documents::push_line(&mut body, model.item(row).unwrap_or_default(), &document, None);
            if body.len() >= BULK_BYTES || row + 1 == model.items() {
                send(&self.cluster, &target, &body, &index)?;
                body.clear();
                observer.progress(u64::from(row) + 1, total);
                if observer.is_stopped() {
                    return Err(Error::new(Kind::Unavailable, "stopped before the index was complete"));
                }
            }
        }
        let what = format!("complete index {index}");
        let settings =
            Object::new().with("index", Object::new().with("refresh_interval", Json::Null)).to_string();
        self.cluster.do_it(Method::PUT, &format!("/{index}/_settings"), &settings, &what)?;
        self.cluster.do_it(Method::POST, &format!("/{index}/_refresh"), "", &what)?;
        let counted = self.cluster.do_it(Method::GET, &format!("/{index}/_count"), "", &what)?;
        let counted = counted.get("count").and_then(Json::as_i64);
        if counted != i64::try_from(total).ok() {
            let text = format!("index {index} has {} of {total} items", counted.unwrap_or_default());
            return Err(Error::new(Kind::Unavailable, text));
        }
        Ok(())
    }

    fn prune(&self) -> Result<()> {
        let complete = self.list()?.into_iter().filter(|listed| listed.complete).rev();
        let old: Vec<u64> = complete
            .skip(self.keep)
            .filter(|listed| !listed.current)
            .map(|listed| listed.generation)
            .collect();
        old.into_iter().try_for_each(|generation| self.remove(generation))
    }
}

/// Writes documents through an alias; waits for a server that has too much to do.
fn send(cluster: &Cluster, alias: &str, body: &str, index: &str) -> Result<()> {
    let what = format!("write items to {index}");
    let path = format!("/{alias}/_bulk?require_alias=true&filter_path=errors,items.*.error");
    for attempt in 0.. {
        let ask = Ask { method: Method::POST, path: &path, body, pace: Pace::Write, what: &what };
        let answer = cluster.ask(&ask)?;
        let refusal = refusal_of(&answer.json);
        if answer.is_ok() && refusal.is_none() {
            return Ok(());
        }
        let reason = refusal.unwrap_or_else(|| failure::reason(&answer.json));
        let busy = reason.contains("rejected_execution") || reason.contains("circuit_breaking");
        if busy && attempt < PATIENCE {
            std::thread::sleep(PAUSE * 2u32.saturating_pow(attempt));
            continue;
        }
        if reason.contains("index_not_found") || reason.contains("is not an alias") {
            return Err(taken_over(index));
        }
        if !answer.is_ok() {
            return Err(failure::of(&what, &answer));
        }
        let (kind, remedy) =
            failure::known(&reason).unwrap_or((Kind::Unavailable, "the server refuses items"));
        let text = format!("{}: cannot {what}: {remedy} ({})", answer.host, failure::first_line(&reason));
        return Err(Error::new(kind, text));
    }
    Err(Error::new(Kind::Internal, "no attempt"))
}

/// Why the first document that was not taken was not.
fn refusal_of(json: &Json) -> Option<String> {
    let items = json.get("items")?.as_array()?.iter();
    let mut errors = items.filter_map(|item| item.as_object()?.iter().next()?.1.get("error"));
    errors.next().map(failure::reason)
}

fn taken_over(index: &str) -> Error {
    let text = format!("index {index} was removed while it was written: another train has begun since");
    Error::new(Kind::Unavailable, text)
}
