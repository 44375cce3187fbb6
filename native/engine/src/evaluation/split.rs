//! Where the past ends, who is asked about the future, and what he did in it.

use std::collections::BTreeMap;

use events::{EventRef, EventStore, EventTime, Scope};
use model::DictionaryBuilder;

use super::metrics::real;
use super::{Cut, Options, primary};
use crate::hash::Hash;
use crate::items::ITEM;
use crate::{EngineConfig, Error, Observer, Result, scan};

/// The events, divided in time.
#[derive(Debug, PartialEq)]
pub(super) struct Split {
    /// Training sees what was before, ms since 1970.
    pub cut_ms: i64,
    /// End of the test: just after its last primary event, or where the options end it.
    pub end_ms: i64,
    /// Sorted by id.
    pub users: Vec<TestUser>,
    /// Users with a primary event in the test.
    pub active: u64,
    /// Of these, who did nothing that could be recommended: only what he had done before.
    pub nothing_new: u64,
}

/// Somebody who did something in the test.
#[derive(Debug, PartialEq)]
pub(super) struct TestUser {
    pub id: String,
    /// Items that would have been right: sorted, at least one.
    pub right: Vec<String>,
}

/// Primary events as they come.
#[derive(Default)]
struct Choices {
    users: DictionaryBuilder,
    items: DictionaryBuilder,
    all: Vec<Choice>,
}

#[derive(Clone, Copy)]
struct Choice {
    millis: i64,
    user: u32,
    item: u32,
    /// Who has done this does not get the item again.
    blocks: bool,
}

/// Reads all primary events and divides them.
///
/// # Errors
/// [`Error::Unmeasurable`] says why there is nothing to train on or nobody to ask; whatever the store reports.
pub(super) fn split(
    config: &EngineConfig,
    store: &dyn EventStore,
    scope: Scope,
    options: &Options,
    observer: &dyn Observer,
) -> Result<Split> {
    let mut choices = Choices::default();
    let until_ms = options.until_ms.unwrap_or(i64::MAX);
    scan::all(store, scope, "split", observer, &mut |event| {
        if event.event_time.millis < until_ms { choices.push(config, event) } else { Ok(()) }
    })?;
    let cut_ms = choices.cut(config, options)?;
    let last_ms = choices.all.iter().map(|choice| choice.millis).max().unwrap_or(cut_ms);
    let end_ms = options.until_ms.unwrap_or(last_ms.saturating_add(1));
    Ok(choices.divided(cut_ms, end_ms, options))
}

impl Choices {
    /// Takes what training takes for a primary interaction.
    fn push(&mut self, config: &EngineConfig, event: &EventRef<'_>) -> Result<()> {
        let (Some((ITEM, item)), "user") = (event.target, event.entity_type) else { return Ok(()) };
        if config.indicator_of(event.event) != Some(0) {
            return Ok(());
        }
        let blocks = |name: &str| config.blacklist_events.iter().any(|event| event == name);
        self.all.push(Choice {
            millis: event.event_time.millis,
            user: self.users.intern(event.entity_id)?,
            item: self.items.intern(item)?,
            blocks: blocks(event.event) || blocks(primary(config)),
        });
        Ok(())
    }

    /// The first instant of the test.
    fn cut(&self, config: &EngineConfig, options: &Options) -> Result<i64> {
        let unmeasurable = |text| Err(Error::Unmeasurable(text));
        let name = primary(config);
        let mut times: Vec<i64> = self.all.iter().map(|choice| choice.millis).collect();
        let (Some(&first), Some(&last)) = (times.iter().min(), times.iter().max()) else {
            let until = options.until_ms.map(|until| format!(" before {}", time(until))).unwrap_or_default();
            return unmeasurable(format!(
                "app \"{}\" has no \"{name}\" event of a user on an item{until}: \"{name}\" is the engine's primary event, \
                 and what is predicted; check its spelling and the app",
                config.app_name
            ));
        };
        let between = format!("the \"{name}\" events are from {} to {}", time(first), time(last));
        let cut_ms = match options.cut {
            Cut::At(cut_ms) => cut_ms,
            Cut::Share(share) => {
                let index = place(times.len(), share);
                *times.select_nth_unstable(index).1
            }
        };
        if cut_ms <= first {
            return unmeasurable(match options.cut {
                Cut::At(_) => format!("nothing is left to train on before {}: {between}", time(cut_ms)),
                Cut::Share(share) => {
                    format!("the last share of {share} leaves nothing to train on: {between}; take less")
                }
            });
        }
        if cut_ms > last {
            return unmeasurable(format!("nothing is left to test from {} on: {between}", time(cut_ms)));
        }
        Ok(cut_ms)
    }

    fn divided(self, cut_ms: i64, end_ms: i64, options: &Options) -> Split {
        let pair = |choice: &Choice| (choice.user, choice.item);
        let mut chosen: Vec<(u32, u32)> =
            self.all.iter().filter(|choice| choice.millis >= cut_ms).map(pair).collect();
        chosen.sort_unstable();
        chosen.dedup();
        let old = |choice: &&Choice| {
            let after = chosen.partition_point(|(user, _)| *user < choice.user);
            choice.blocks
                && choice.millis < cut_ms
                && chosen.get(after).is_some_and(|(user, _)| *user == choice.user)
        };
        let mut known: Vec<(u32, u32)> = self.all.iter().filter(old).map(pair).collect();
        known.sort_unstable();
        let mut active = 0;
        let mut users = BTreeMap::new();
        for of_user in chosen.chunk_by(|one, other| one.0 == other.0) {
            active += 1;
            let new = of_user.iter().filter(|pair| known.binary_search(pair).is_err());
            let mut right: Vec<String> = new.map(|(_, item)| self.items.get(*item).to_owned()).collect();
            right.sort_unstable();
            if let (Some((user, _)), false) = (of_user.first(), right.is_empty()) {
                users.insert(self.users.get(*user).to_owned(), right);
            }
        }
        let nothing_new = active - users.len() as u64;
        let users = users.into_iter().map(|(id, right)| TestUser { id, right });
        Split { cut_ms, end_ms, users: sampled(users.collect(), options), active, nothing_new }
    }
}

/// The first of the last `share` of `number` things in order: at least one is left before it, if there are two.
fn place(number: usize, share: f64) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the number")]
    let tested = libm::round(real(number) * share.clamp(0.0, 1.0)) as usize;
    number - tested.clamp(1, number)
}

/// As many users as the options allow, by a hash of their ids: nobody's place depends on who else is there.
fn sampled(mut users: Vec<TestUser>, options: &Options) -> Vec<TestUser> {
    if let Some(number) = options.users_max.filter(|number| *number < users.len()) {
        users.sort_by_cached_key(|user| {
            Hash::new(options.seed).with(b"test user").with(user.id.as_bytes()).bits()
        });
        users.truncate(number);
        users.sort_unstable_by(|one, other| one.id.cmp(&other.id));
    }
    users
}

pub(super) fn time(millis: i64) -> EventTime {
    EventTime::utc(millis)
}
