//! What training keeps of some of the events: enough to train on, and small enough to travel.
//!
//! One process reads all events into one portion. Several read some each, wherever the events are, and send the bytes of
//! their portions to the one that trains. The model is the same.

use std::sync::Arc;

use events::properties::PropertyFold;
use events::{EventRef, EventStore, EventTime, Scope};
use model::{DictionaryBuilder, Model};

use crate::assemble::Correlated;
use crate::config::{RankingKind, RecsModel};
use crate::itemsimilarity::read::{Bad, push_lines};
use crate::ranking::RankingCounter;
use crate::window::Window;
use crate::wire::{Reader, Writer};
use crate::{EngineConfig, Error, Observer, Result, Training, TrainingSet, items, scan};

const WHAT: [u8; 4] = *b"ARBP";
const FORMAT: u8 = 1;
/// So much of a wrong line is shown.
const HEAD_CHARS: usize = 160;

/// Interactions, item properties and counts of rankings, collected from events in any order.
pub struct Portion {
    config: Arc<EngineConfig>,
    now_ms: i64,
    window: Window,
    training: TrainingSet,
    properties: PropertyFold,
    rankings: Vec<RankingCounter>,
    events: u64,
}

impl Portion {
    /// Nothing yet, for a training at `now_ms` (ms since 1970), where windows end.
    pub fn new(config: Arc<EngineConfig>, now_ms: i64) -> Self {
        let counted = |kind| !matches!(kind, RankingKind::UserDefined);
        let rankings = match config.recs_model {
            RecsModel::CollabFiltering => Vec::new(),
            RecsModel::All | RecsModel::Backfill => config
                .rankings
                .iter()
                .filter(|ranking| counted(ranking.kind))
                .map(|ranking| RankingCounter::new(ranking.clone(), now_ms))
                .collect(),
        };
        Self {
            window: Window::new(&config.window, now_ms),
            training: TrainingSet::new(config.indicators.len()),
            properties: PropertyFold::new(),
            rankings,
            events: 0,
            now_ms,
            config,
        }
    }

    /// What it is for.
    pub fn config(&self) -> &EngineConfig {
        &self.config
    }

    /// Events pushed and merged.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Must every event go through [`learn`](Self::learn) before the first is pushed? So it is with `removeDuplicates`, and
    /// then equal events must meet in one portion.
    pub fn learns(&self) -> bool {
        self.window.learns()
    }

    /// Takes note of an event that will be pushed.
    pub fn learn(&mut self, event: &EventRef<'_>) {
        self.window.learn(event);
    }

    /// Does an event count that is not special? Asked after all were [learned](Self::learn), if they must be.
    pub(crate) fn holds(&self, event: &EventRef<'_>) -> bool {
        self.window.holds(event)
    }

    /// Adds all events of a scope of a store.
    ///
    /// # Errors
    /// Whatever the store reports; [`Error::Stopped`] if the observer says so.
    pub fn read(&mut self, store: &dyn EventStore, scope: Scope, observer: &dyn Observer) -> Result<()> {
        self.window.learn_all(store, scope)?;
        scan::all(store, scope, "read", observer, &mut |event| self.push(event))
    }

    /// Adds an event.
    ///
    /// # Errors
    /// Its properties are no JSON object; more distinct ids than a dictionary holds.
    pub fn push(&mut self, event: &EventRef<'_>) -> Result<()> {
        self.events += 1;
        if event.event.starts_with('$') {
            return Ok(items::describe(&mut self.properties, event)?);
        }
        if !self.window.holds(event) {
            return Ok(());
        }
        for ranking in &mut self.rankings {
            ranking.push(event)?;
        }
        if let (Some((items::ITEM, thing)), "user") = (event.target, event.entity_type)
            && let Some(indicator) = self.config.indicator_of(event.event)
        {
            self.training.push(indicator, event.entity_id, thing)?;
        }
        Ok(())
    }

    /// Adds interactions that are no events: (user, thing) under the indicator at this place. They have no time, so rankings
    /// do not count them.
    ///
    /// # Errors
    /// There is no such indicator; more distinct ids than a dictionary holds.
    pub fn push_pairs<'a>(
        &mut self,
        indicator: usize,
        mut pairs: impl ExactSizeIterator<Item = (&'a str, &'a str)>,
    ) -> Result<()> {
        if indicator >= self.config.indicators.len() {
            let number = self.config.indicators.len();
            return Err(Error::Unanswerable(format!("there is no indicator {indicator}, only {number}")));
        }
        self.events += pairs.len() as u64;
        while pairs.len() >= DictionaryBuilder::BATCH {
            let batch = std::array::from_fn(|_| pairs.next().unwrap_or_default());
            self.training.push_batch(indicator, &batch)?;
        }
        pairs.try_for_each(|(user, thing)| self.training.push(indicator, user, thing))
    }

    /// Adds interactions by lines `user,item`, as [`itemsimilarity`](crate::itemsimilarity) reads them. The text begins with a line.
    ///
    /// # Errors
    /// As [`push_pairs`](Self::push_pairs); [`Error::Line`] shows the first line that is wrong.
    pub fn push_text(&mut self, indicator: usize, text: &[u8]) -> Result<()> {
        self.push_pairs(indicator, std::iter::empty())?;
        let before = self.training.pushed(indicator);
        let pushed = push_lines(text, indicator, &mut self.training);
        self.events += self.training.pushed(indicator) - before;
        pushed.map_err(|bad| match bad {
            Bad::Counting(error) => error,
            Bad::Line { position, reason } => {
                let line = text[position..].split(|&byte| byte == b'\n').next().unwrap_or_default();
                let head = String::from_utf8_lossy(line).chars().take(HEAD_CHARS).collect();
                Error::Line { reason, head }
            }
        })
    }

    /// For another process of the same job: about two bytes an interaction, and the texts of ids and properties.
    pub fn into_bytes(self) -> Vec<u8> {
        let mut writer = Writer::new(WHAT, FORMAT);
        writer.fixed(self.purpose());
        writer.number(self.events);
        self.training.write_to(&mut writer);
        self.rankings.iter().for_each(|ranking| ranking.write_to(&mut writer));
        let mut described = Writer::default();
        let mut number = 0;
        self.properties.into_events(|event| {
            number += 1;
            write_special(&mut described, event);
        });
        writer.number(number);
        writer.append(described);
        writer.finish()
    }

    /// Adds what [`into_bytes`](Self::into_bytes) gave of a portion of other events.
    ///
    /// # Errors
    /// [`Error::Damaged`]; [`Error::OtherVersion`]; [`Error::OtherEngine`]: it was read for another configuration or time.
    /// The portion is of no use after an error.
    pub fn merge(&mut self, bytes: &[u8]) -> Result<()> {
        let mut reader = Reader::new(bytes, WHAT, FORMAT)?;
        if reader.fixed()? != self.purpose() {
            return Err(Error::OtherEngine);
        }
        self.events = self.events.saturating_add(reader.number()?);
        self.training.read_from(&mut reader)?;
        for ranking in &mut self.rankings {
            ranking.read_from(&mut reader)?;
        }
        for _ in 0..reader.count()? {
            read_special(&mut reader, &mut self.properties)?;
        }
        reader.finish()
    }

    /// Ends reading: matrices of the users that count. `current` is the model in use, needed by `recsModel: "backfill"` only,
    /// which keeps its correlators.
    ///
    /// # Errors
    /// [`Error::Untrainable`] if there is no model whose correlators could be kept, or they are of other indicators;
    /// [`Error::Stopped`] if the observer says so.
    pub fn prepare(
        self,
        current: Option<&Model>,
        threads: usize,
        observer: &dyn Observer,
    ) -> Result<Training> {
        let Self { config, training, properties, rankings, events, .. } = self;
        let properties = properties.finish();
        if config.recs_model == RecsModel::Backfill {
            let correlated = Correlated::of_current(&config, current)?;
            return Ok(Training::again(config, correlated, properties, rankings, events));
        }
        let prepared =
            training.finish(threads, &Training::preparation(&config), &|| observer.is_stopped())?;
        Ok(Training::new(config, prepared, properties, rankings, events))
    }

    /// A number for all that decides what is kept of an event.
    fn purpose(&self) -> u64 {
        let EngineConfig { indicators, window, rankings, recs_model, .. } = &*self.config;
        let (after, rankings) = (window.duration_ms, rankings);
        let all = format!(
            "{indicators:?} {after:?} {} {rankings:?} {recs_model:?} {}",
            window.remove_duplicates, self.now_ms
        );
        model::key(all.as_bytes())
    }
}

fn write_special(writer: &mut Writer, event: &EventRef<'_>) {
    writer.text(event.event);
    writer.text(event.entity_id);
    writer.text(event.properties);
    writer.text(event.event_id);
    writer.signed(event.event_time.millis);
    writer.signed(event.creation_time.millis);
}

fn read_special(reader: &mut Reader<'_>, properties: &mut PropertyFold) -> Result<()> {
    let (event, entity_id) = (reader.text()?, reader.text()?);
    let (text, event_id) = (reader.text()?, reader.text()?);
    let (event_time, creation_time) = (reader.signed()?, reader.signed()?);
    Ok(properties.push(&EventRef {
        event_id,
        event,
        entity_type: items::ITEM,
        entity_id,
        target: None,
        properties: text,
        event_time: EventTime::utc(event_time),
        pr_id: None,
        tags: "",
        creation_time: EventTime::utc(creation_time),
    })?)
}
