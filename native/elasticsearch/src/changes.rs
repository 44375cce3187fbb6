//! What becomes of items after their model was published.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use events::json::Object;
use events::{Error, Json, Kind, Result};
use model::{ChangedItem, PropertyPart};
use ureq::http::Method;

use crate::cluster::{Ask, Pace};
use crate::documents::{self, Guard, Properties};
use crate::indexes::items_alias;
use crate::mapping::{self, Field};
use crate::{Index, failure, names};

/// Items of one bulk request.
const BATCH: usize = 500;
/// Others who write the same items at the same time are given way so often.
const PATIENCE: usize = 10;

impl Index {
    /// Takes in what has become of `items`, of which the last of equal ids counts; `properties` are their fields, with rows
    /// that are indexes into `items`: as `ItemChanges::with` of the embedded index takes them. Searches see it when this returns.
    ///
    /// Several programs may do so at once, if each goes on until it has told the newest state of each item: what is
    /// written is always the whole state of an item, in the place of the one that was read.
    ///
    /// # Errors
    /// Those of the cluster. Some of the items may have been taken in; a repetition does no harm.
    pub fn apply(&self, items: &[ChangedItem], properties: &[PropertyPart]) -> Result<()> {
        if items.is_empty() {
            return Ok(());
        }
        let properties = Properties::of_parts(properties);
        self.add_fields(properties.fields())?;
        let last: BTreeMap<&str, u32> = items.iter().map(|item| item.id.as_str()).zip(0..).collect();
        let rows: Vec<u32> = last.into_values().collect();
        for batch in rows.chunks(BATCH) {
            let batch = batch.iter().filter_map(|row| Some((*row, items.get(*row as usize)?))).collect();
            self.apply_batch(batch, &properties)?;
        }
        Ok(())
    }

    /// A field that the model does not have.
    fn add_fields(&self, fields: BTreeSet<Field>) -> Result<()> {
        let mut known = self.added.lock().unwrap_or_else(PoisonError::into_inner);
        let new: BTreeSet<Field> = fields.difference(&known).cloned().collect();
        if new.is_empty() {
            return Ok(());
        }
        let (index, what) = (&self.name, format!("add fields to {}", self.name));
        self.cluster.do_it(Method::PUT, &format!("/{index}/_mapping"), &mapping::addition(&new), &what)?;
        known.extend(new);
        Ok(())
    }

    fn apply_batch(&self, mut batch: Vec<(u32, &ChangedItem)>, properties: &Properties<'_>) -> Result<()> {
        for _ in 0..PATIENCE {
            let states = self.states(&batch)?;
            let mut body = String::new();
            for ((row, item), state) in batch.iter().zip(&states) {
                let (before, guard) = match state {
                    None => (None, Guard::Absent),
                    Some((source, guard)) => (Some(source), *guard),
                };
                let document = documents::of_change(before, item, properties, &self.meta.rankings, *row)?;
                documents::push_line(&mut body, &item.id, &document, Some(guard));
            }
            let outdated = self.write(&body)?;
            let mut outdated = outdated.into_iter();
            batch.retain(|_| outdated.next().unwrap_or(true));
            if batch.is_empty() {
                return Ok(());
            }
        }
        let text = format!("{}: others change the same items all the time", self.name);
        Err(Error::new(Kind::Unavailable, text))
    }

    /// What the index has of the items now, searchable or not, and how to say that it was this.
    fn states(&self, batch: &[(u32, &ChangedItem)]) -> Result<Vec<Option<(Json, Guard)>>> {
        let ids: Vec<Json> =
            batch.iter().map(|(_, item)| Json::from(names::document(&item.id).into_owned())).collect();
        let body = Object::new().with("ids", Json::Array(ids)).to_string();
        let what = format!("read items of {}", self.name);
        let json = self.cluster.do_it(Method::POST, &format!("/{}/_mget", self.name), &body, &what)?;
        let documents = json.get("docs").and_then(Json::as_array).unwrap_or_default();
        let state = |document: &Json| {
            let number = |name: &str| document.get(name).and_then(Json::as_i64);
            let guard = Guard::At { seq_no: number("_seq_no")?, primary_term: number("_primary_term")? };
            Some((document.get("_source")?.clone(), guard))
        };
        if documents.len() != batch.len() || documents.iter().any(|document| document.get("error").is_some())
        {
            let reason = documents.iter().find_map(|document| document.get("error")).map(failure::reason);
            let text = format!("cannot {what}: {}", reason.unwrap_or_else(|| "some are missing".to_owned()));
            return Err(Error::new(Kind::Unavailable, text));
        }
        Ok(documents.iter().map(state).collect())
    }

    /// Writes, and says of each document whether somebody else was quicker.
    fn write(&self, body: &str) -> Result<Vec<bool>> {
        let what = format!("change items of {}", self.name);
        let alias = items_alias(&self.name);
        let path = format!(
            "/{alias}/_bulk?require_alias=true&refresh=true&filter_path=items.*.status,items.*.error,error"
        );
        let ask = Ask { method: Method::POST, path: &path, body, pace: Pace::Write, what: &what };
        let answer = self.cluster.ask(&ask)?;
        if !answer.is_ok() {
            return Err(failure::of(&what, &answer));
        }
        let results = answer.json.get("items").and_then(Json::as_array).unwrap_or_default();
        let mut outdated = Vec::with_capacity(results.len());
        for result in results.iter().filter_map(Json::as_object).filter_map(|result| result.iter().next()) {
            let conflict = result.1.get("status").and_then(Json::as_i64) == Some(409);
            if let Some(error) = result.1.get("error").filter(|_| !conflict) {
                let reason = failure::reason(error);
                let (kind, remedy) =
                    failure::known(&reason).unwrap_or((Kind::Unavailable, "the server refuses items"));
                let text =
                    format!("{}: cannot {what}: {remedy} ({})", answer.host, failure::first_line(&reason));
                return Err(Error::new(kind, text));
            }
            outdated.push(conflict);
        }
        Ok(outdated)
    }
}
