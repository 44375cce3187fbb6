//! The generations of an engine in a place that many machines reach.
//!
//! ```text
//! <engine>/0000000007/info.json      gives a train its number: it is written only if there is none
//!                     model.arblast  the snapshot; a generation is there when both are
//!          CURRENT                   number of the generation that serves
//! ```

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use events::{Error, Kind, Result};

use super::ModelInfo;
use super::files::{CURRENT, DIGITS, INFO, MODEL, TEMPORARY};
use crate::{Object, Objects};

/// What is unfinished for longer was left behind by somebody who died.
const ABANDONED_MS: i64 = 60 * 60 * 1000;

#[derive(Debug, Clone)]
pub(super) struct Shared {
    objects: Arc<dyn Objects>,
    folder: String,
}

impl Shared {
    pub(super) fn new(objects: Arc<dyn Objects>, folder: String) -> Self {
        Self { objects, folder }
    }

    /// For a train.
    pub(super) fn patient(&self) -> Self {
        let objects = self.objects.patient().unwrap_or_else(|| Arc::clone(&self.objects));
        Self::new(objects, self.folder.clone())
    }

    pub(super) fn place(&self) -> String {
        format!("{}/{}", self.objects.place(), self.folder)
    }

    fn name(&self, file: &str) -> String {
        format!("{}/{file}", self.folder)
    }

    fn generation(&self, generation: u64) -> String {
        self.name(&format!("{generation:0DIGITS$}"))
    }

    fn of(&self, generation: u64, file: &str) -> String {
        format!("{}/{file}", self.generation(generation))
    }

    fn corrupt(&self, name: &str, why: &str) -> Error {
        let place = self.objects.place();
        Error::new(
            Kind::Corrupt,
            format!("{place}: {name} {why}; roll back to another generation or retrain"),
        )
    }

    pub(super) fn current(&self) -> Result<Option<u64>> {
        let name = self.name(CURRENT);
        let Some(text) = self.objects.get(&name)? else { return Ok(None) };
        let number = std::str::from_utf8(&text).ok().and_then(|text| text.trim_end().parse().ok());
        number.map(Some).ok_or_else(|| self.corrupt(&name, "holds no number of a generation"))
    }

    /// Numbers of the complete generations, ascending.
    pub(super) fn generations(&self) -> Result<Vec<u64>> {
        let found = self.found()?;
        Ok(found.iter().filter(|(_, found)| found.is_complete()).map(|(number, _)| *number).collect())
    }

    fn found(&self) -> Result<BTreeMap<u64, Found>> {
        Ok(self.look()?.0)
    }

    /// What is there under numbers, and files that are neither of those nor the pointer: unfinished writes have names of their own.
    fn look(&self) -> Result<(BTreeMap<u64, Found>, Vec<Object>)> {
        let (mut found, mut strays) = (BTreeMap::<u64, Found>::new(), Vec::new());
        for object in self.objects.list(&self.folder)? {
            let name = object.name.strip_prefix(&self.folder).unwrap_or_default().trim_start_matches('/');
            let (folder, file) = name.split_once('/').unwrap_or(("", name));
            match (number(folder), file) {
                (Some(number), INFO | MODEL) => {
                    let of_number = found.entry(number).or_default();
                    of_number.has_info |= file == INFO;
                    of_number.has_model |= file == MODEL;
                    of_number.newest_ms = of_number.newest_ms.max(object.modified_ms);
                }
                (None, CURRENT) if folder.is_empty() => {}
                _ => strays.push(object),
            }
        }
        Ok((found, strays))
    }

    pub(super) fn info(&self, generation: u64) -> Result<ModelInfo> {
        let name = self.of(generation, INFO);
        let text = self.objects.get(&name)?.ok_or_else(|| self.corrupt(&name, "is missing"))?;
        ModelInfo::from_json(&text).map_err(|error| self.corrupt(&name, &format!("is wrong: {error}")))
    }

    /// Gives a model the next number, and copies it there; nobody is pointed to it yet.
    pub(super) fn upload(&self, model: &Path, info: &ModelInfo) -> Result<u64> {
        let newest = self.found()?.last_key_value().map_or(0, |(number, _)| *number);
        let current = match self.current() {
            Err(error) if error.kind() == Kind::Corrupt => None,
            current => current?,
        };
        let mut generation = newest.max(current.unwrap_or(0)).saturating_add(1);
        while !self.objects.create(&self.of(generation, INFO), info.to_json().as_bytes())? {
            generation = generation.saturating_add(1);
        }
        let uploaded = self.objects.upload(&self.of(generation, MODEL), model);
        if uploaded.is_err() {
            let _ = self.objects.remove(&self.generation(generation));
        }
        uploaded.map(|()| generation)
    }

    pub(super) fn point_to(&self, generation: u64) -> Result<()> {
        self.objects.put(&self.name(CURRENT), format!("{generation:0DIGITS$}\n").as_bytes())
    }

    /// The same, unless a later train came before: the newest model is to serve, not the one that was slowest to arrive. Does it
    /// serve?
    pub(super) fn point_to_newer(&self, generation: u64) -> Result<bool> {
        if matches!(self.current(), Ok(Some(current)) if current > generation) {
            return Ok(false);
        }
        let mut pointed = generation;
        self.point_to(pointed)?;
        // Another may have pointed between the look and the write; whoever comes last sees both. The model is published by now,
        // and nothing that fails here changes that.
        let newest = || self.generations().ok()?.last().copied();
        while let Some(newer) = newest().filter(|newest| *newest > pointed) {
            if self.point_to(newer).is_err() {
                break;
            }
            pointed = newer;
        }
        Ok(pointed == generation)
    }

    /// Copies a snapshot to a local file; `Kind::NotFound` if it is there no more.
    pub(super) fn download(&self, generation: u64, to: &mut File) -> Result<()> {
        let name = self.of(generation, MODEL);
        if self.objects.download(&name, to)? {
            return Ok(());
        }
        let place = self.objects.place();
        Err(Error::new(Kind::NotFound, format!("{place}: {name} is missing; roll back or retrain")))
    }

    /// Removes all but the newest `keep` generations, the current one and those that are spared, and what trains that died left behind before `now_ms`.
    pub(super) fn prune(&self, keep: usize, spared: &[Option<u64>], now_ms: i64) -> Result<()> {
        let (current, (found, strays)) = (self.current()?, self.look()?);
        let (complete, partial): (Vec<_>, Vec<_>) = found.iter().partition(|(_, found)| found.is_complete());
        let old = complete.iter().rev().skip(keep).map(|(number, _)| **number);
        let is_spared = |number: u64| Some(number) == current || spared.contains(&Some(number));
        for generation in old.filter(|number| !is_spared(*number)) {
            // In this order: what has no model is no generation.
            self.objects.remove(&self.of(generation, MODEL))?;
            self.objects.remove(&self.generation(generation))?;
        }
        let is_abandoned = |newest_ms: i64| newest_ms < now_ms.saturating_sub(ABANDONED_MS);
        for (generation, _) in partial.iter().filter(|(_, found)| is_abandoned(found.newest_ms)) {
            self.objects.remove(&self.generation(**generation))?;
        }
        let abandoned = strays.iter().filter(|stray| is_abandoned(stray.modified_ms));
        abandoned.map(|stray| self.whole(&stray.name, &found)).try_for_each(|name| self.objects.remove(name))
    }

    /// What a left-over is in, if it is all that is there: a temporary folder, or that of a number without a file.
    fn whole<'a>(&self, name: &'a str, found: &BTreeMap<u64, Found>) -> &'a str {
        let inside = self.folder.len() + 1;
        let folder =
            name.get(inside..).and_then(|name| name.split_once('/')).map_or("", |(folder, _)| folder);
        let is_empty = number(folder).is_some_and(|number| !found.contains_key(&number));
        let is_whole = folder.starts_with(TEMPORARY) || is_empty;
        if is_whole { &name[..inside + folder.len()] } else { name }
    }
}

/// The generation whose folder has this name.
fn number(folder: &str) -> Option<u64> {
    folder.parse().ok().filter(|_| folder.len() >= DIGITS)
}

/// Files under a number.
#[derive(Debug, Default)]
struct Found {
    has_info: bool,
    has_model: bool,
    newest_ms: i64,
}

impl Found {
    fn is_complete(&self) -> bool {
        self.has_info && self.has_model
    }
}

#[cfg(test)]
mod tests;
