//! What answers now: the current generation together with what has become of its items, followed by a thread beside the queries.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use engine::{EngineConfig, LiveItems};
use events::{EventStore, Kind, Scope};
use model::{ItemChanges, View};
use stores::{EngineName, Generation, SearchIndex, SearchServers};

use crate::failure::{Failure, Result};
use crate::serving::Models;

/// How often is looked for changes: they are to be visible within a second.
const INTERVAL: Duration = Duration::from_millis(200);
/// Looking takes at most one part in so many of the time, however much changes.
const PAUSE_RATIO: u32 = 4;

/// One generation and the changes of its items up to a moment. A query holds one from beginning to end.
pub struct Served {
    /// The model.
    pub generation: Arc<Generation>,
    changes: Arc<ItemChanges>,
    /// What answers in the place of the generation's file, and is told of the changes.
    pub index: Option<Arc<dyn SearchIndex>>,
}

impl Served {
    /// What a search reads.
    pub fn view(&self) -> View<'_> {
        View::new(&self.generation.model, &self.changes)
    }

    /// Number of items that changed since the model was trained.
    pub fn changed_items(&self) -> usize {
        self.changes.len()
    }
}

/// Keeps what is served up to date until it is dropped.
pub struct Live(Arc<Shared>);

struct Shared {
    served: RwLock<Arc<Served>>,
    stopped: Mutex<bool>,
    stop: Condvar,
}

impl Live {
    /// Catches up, and follows from then on. A store that cannot be read is told in the log and asked again; until
    /// then items are as they were trained.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn open(
        models: Arc<Models>,
        config: EngineConfig,
        events: Arc<dyn EventStore>,
        scope: Scope,
        search: Option<Arc<dyn SearchServers>>,
    ) -> Result<Self> {
        let generation = models.current();
        let items = items_of(&generation, &config, &events, scope);
        let index = index_of(search.as_ref(), &generation, &config)?;
        let untold = BTreeSet::new();
        let mut follower = Follower {
            models,
            config,
            events,
            scope,
            search,
            generation,
            items,
            index,
            untold,
            failing: false,
        };
        follower.tick();
        let shared = Arc::new(Shared {
            served: RwLock::new(follower.served()),
            stopped: Mutex::default(),
            stop: Condvar::new(),
        });
        let live = Self(Arc::clone(&shared));
        let thread = std::thread::Builder::new().name("item changes".to_owned());
        thread
            .spawn(move || shared.follow(&mut follower))
            .map_err(|error| Failure::io("cannot start a thread that follows changes of items", &error))?;
        Ok(live)
    }

    /// What answers now.
    pub fn served(&self) -> Arc<Served> {
        Arc::clone(&self.0.served.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Live {
    /// The thread ends when it is done with what it is at.
    fn drop(&mut self) {
        *self.0.stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.stop.notify_all();
    }
}

impl Shared {
    fn follow(&self, follower: &mut Follower) {
        let mut pause = INTERVAL;
        while !self.stopped_within(pause) {
            let began = Instant::now();
            if follower.tick() {
                *self.served.write().unwrap_or_else(PoisonError::into_inner) = follower.served();
            }
            pause = INTERVAL.max(began.elapsed() * PAUSE_RATIO);
        }
    }

    fn stopped_within(&self, pause: Duration) -> bool {
        let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.stop.wait_timeout_while(stopped, pause, |stopped| !*stopped);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// The changes of a generation's items, from its training on.
fn items_of(
    generation: &Generation,
    config: &EngineConfig,
    events: &Arc<dyn EventStore>,
    scope: Scope,
) -> LiveItems {
    LiveItems::new(config.clone(), Arc::clone(events), scope, generation.info.trained.position)
}

/// Where the generation is searched, if not in its file.
fn index_of(
    search: Option<&Arc<dyn SearchServers>>,
    generation: &Generation,
    config: &EngineConfig,
) -> Result<Option<Arc<dyn SearchIndex>>> {
    let engine = EngineName { app: &config.app_name, variant: &config.variant };
    Ok(search.map(|servers| servers.open(engine, &generation.info.digest)).transpose()?)
}

struct Follower {
    models: Arc<Models>,
    config: EngineConfig,
    events: Arc<dyn EventStore>,
    scope: Scope,
    search: Option<Arc<dyn SearchServers>>,
    generation: Arc<Generation>,
    /// Of `generation`.
    items: LiveItems,
    /// Of `generation`.
    index: Option<Arc<dyn SearchIndex>>,
    /// Items whose changes `index` has not been told.
    untold: BTreeSet<String>,
    /// The last look failed, and that was told.
    failing: bool,
}

impl Follower {
    fn served(&self) -> Arc<Served> {
        Arc::new(Served {
            generation: Arc::clone(&self.generation),
            changes: Arc::clone(self.items.changes()),
            index: self.index.clone(),
        })
    }

    /// Looks for a new generation and for changes; gives whether there is something new to serve.
    fn tick(&mut self) -> bool {
        let looked = catch_unwind(AssertUnwindSafe(|| self.look()));
        let looked = looked.unwrap_or_else(|_| {
            Err(Failure::new(Kind::Internal, "a defect of the program; please report it"))
        });
        match &looked {
            Err(failure) if !self.failing => tracing::warn!(
                "changes of items cannot be read: {failure}; answers go on with what was read before"
            ),
            Ok(_) if self.failing => tracing::info!("changes of items are read again"),
            _ => {}
        }
        self.failing = looked.is_err();
        looked.unwrap_or(false)
    }

    /// A new generation waits until the changes since its training are known: what was set must not come undone.
    fn look(&mut self) -> Result<bool> {
        let generation = self.models.current();
        if generation.number == self.generation.number {
            let news = self.items.advance(&self.generation.model)?;
            let told = tell(self.index.as_ref(), &self.generation, &mut self.items, &mut self.untold)?;
            return Ok(news || told);
        }
        let index = index_of(self.search.as_ref(), &generation, &self.config)?;
        let mut items = items_of(&generation, &self.config, &self.events, self.scope);
        items.advance(&generation.model)?;
        let mut untold = BTreeSet::new();
        tell(index.as_ref(), &generation, &mut items, &mut untold)?;
        (self.generation, self.items, self.index, self.untold) = (generation, items, index, untold);
        Ok(true)
    }
}

/// Tells an index of changed items, and says whether there were any; those that it could not be told stay `untold`, for the
/// next time.
fn tell(
    index: Option<&Arc<dyn SearchIndex>>,
    generation: &Generation,
    items: &mut LiveItems,
    untold: &mut BTreeSet<String>,
) -> Result<bool> {
    let changed = items.take_changed();
    let Some(index) = index else { return Ok(false) };
    untold.extend(changed);
    if untold.is_empty() {
        return Ok(false);
    }
    let (items, properties) = items.changes().of(&generation.model, untold);
    index.apply(&items, &properties)?;
    untold.clear();
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use events::conformance::{Deviation, Double};
    use events::{Changes, Error, Event, EventTime, Position, VisitEntity};
    use model::{Dictionary, Model, ModelParts};
    use stores::ModelInfo;

    use super::*;

    const SCOPE: Scope = Scope { app: 1, channel: None };

    /// A store that does not tell of changes while it is out of order.
    #[derive(Default)]
    struct Moody {
        out_of_order: AtomicBool,
    }

    impl Deviation for Moody {
        fn changes(
            &self,
            store: &dyn EventStore,
            scope: Scope,
            since: Position,
            visit: VisitEntity<'_>,
        ) -> events::Result<Changes> {
            if self.out_of_order.load(Ordering::Relaxed) {
                return Err(Error::new(Kind::Unavailable, "out of order"));
            }
            store.changes(scope, since, visit)
        }
    }

    fn set(store: &Double<Moody>, item: &str) {
        let json = format!(r#"{{"event":"$set","entityType":"item","entityId":"{item}","properties":{{}}}}"#);
        store.append(SCOPE, &[Event::parse(json.as_bytes(), EventTime::utc(0)).unwrap()]).unwrap();
    }

    fn empty_model() -> Models {
        let parts = ModelParts {
            items: Dictionary::default(),
            indicators: Vec::new(),
            properties: Vec::new(),
            rankings: Vec::new(),
            documents: Vec::new(),
            users: 0,
        };
        let mut bytes = Vec::new();
        model::write(&parts, &mut bytes).unwrap();
        let model = Model::from_bytes(bytes).unwrap();
        Models::Pinned(Arc::new(Generation { number: 1, info: ModelInfo::default(), model }))
    }

    fn config() -> EngineConfig {
        let text = r#"{"id":"default","engineFactory":"com.actionml.RecommendationEngine","datasource":{"params":{"appName":"a","eventNames":["buy"]}},
            "algorithms":[{"name":"ur","params":{"appName":"a","indexName":"a","typeName":"a","eventNames":["buy"]}}]}"#;
        EngineConfig::parse(text.as_bytes(), engine::Leniency::Lenient, &|_| None).unwrap().0
    }

    fn soon(what: &str, holds: impl Fn() -> bool) {
        let began = Instant::now();
        while !holds() {
            assert!(began.elapsed() < Duration::from_secs(20), "{what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_store_out_of_order_is_asked_again_and_the_thread_ends_with_its_owner() {
        let store = Arc::new(Double::new(Moody::default()));
        store.init(SCOPE).unwrap();
        set(&store, "before");
        store.out_of_order.store(true, Ordering::Relaxed);
        let events = Arc::<Double<Moody>>::clone(&store);
        let live = Live::open(Arc::new(empty_model()), config(), events, SCOPE, None).unwrap();
        let knows = |item: &str| live.served().view().find(item).is_some();
        assert!(!knows("before"), "it serves what was trained");
        store.out_of_order.store(false, Ordering::Relaxed);
        soon("what was there is read", || knows("before"));
        let held = live.served();
        set(&store, "after");
        soon("what comes is read", || knows("after"));
        assert_eq!(held.view().find("after"), None, "a query sees one state");
        store.out_of_order.store(true, Ordering::Relaxed);
        soon("what is known stays", || knows("before") && knows("after"));
        drop((live, held));
        soon("the thread ends", || Arc::strong_count(&store) == 1);
    }
}
