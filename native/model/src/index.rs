//! What whoever answers needs of an index of one model, wherever that is.

use std::borrow::Cow;
use std::convert::Infallible;
use std::sync::Arc;

use crate::{Explanation, SearchPlan, View};

/// A found item.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Found {
    /// Its id.
    pub item: String,
    /// As in [`Hit`](crate::Hit).
    pub score: f32,
}

/// What an index keeps of an item for its readers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Described<'a> {
    /// JSON text of all its properties; `None` if it has none.
    pub document: Option<Cow<'a, str>>,
    /// Every ranking in which it has a value, in sort order.
    pub ranks: Vec<(String, f32)>,
}

/// Per indicator of the model, in its order: things that correlate with an item, strongest first, with their LLR.
pub type IndexCorrelators = Vec<(String, Vec<(String, f64)>)>;

/// One model, and what has become of its items since: the same answers from a mapped file and from a search server.
///
/// Boosts and factors of plans are finite and not negative; an index may refuse others.
pub trait ModelIndex {
    /// Why there is no answer.
    type Error: std::error::Error;

    /// The page of items that the plan describes: by score descending, then by ranking (`by_ranking`), then by item id.
    ///
    /// # Errors
    /// The index cannot be reached, or refuses.
    fn search(&self, plan: &SearchPlan) -> Result<Vec<Found>, Self::Error>;

    /// What the plan did with each of `items`. Slower than a search: for people.
    ///
    /// # Errors
    /// As [`search`](Self::search). An unknown item is none: its explanation says so.
    fn explain(&self, plan: &SearchPlan, items: &[&str]) -> Result<Vec<Explanation>, Self::Error>;

    /// What is known of each of `items`; nothing of unknown ones.
    ///
    /// # Errors
    /// As [`search`](Self::search).
    fn describe(&self, items: &[&str]) -> Result<Vec<Described<'_>>, Self::Error>;

    /// The correlators of an item; none of an unknown one.
    ///
    /// # Errors
    /// As [`search`](Self::search).
    fn correlators(&self, item: &str) -> Result<IndexCorrelators, Self::Error>;
}

impl ModelIndex for View<'_> {
    type Error = Infallible;

    fn search(&self, plan: &SearchPlan) -> Result<Vec<Found>, Infallible> {
        let found = |hit: crate::Hit| Found {
            item: View::item(*self, hit.item).unwrap_or_default().to_owned(),
            score: hit.score,
        };
        Ok(View::search(*self, plan).into_iter().map(found).collect())
    }

    fn explain(&self, plan: &SearchPlan, items: &[&str]) -> Result<Vec<Explanation>, Infallible> {
        let explain = |id: &&str| match self.find(id) {
            Some(row) => View::explain(*self, plan, row),
            None => Explanation::of_unknown(id),
        };
        Ok(items.iter().map(explain).collect())
    }

    fn describe(&self, items: &[&str]) -> Result<Vec<Described<'_>>, Infallible> {
        Ok(items.iter().map(|id| self.described(id)).collect())
    }

    fn correlators(&self, item: &str) -> Result<IndexCorrelators, Infallible> {
        let Some(row) = self.model.find(item) else { return Ok(Vec::new()) };
        let of = |name: &str| {
            let things = self.model.correlators(name, row).map(|(thing, llr)| (thing.to_owned(), llr));
            (name.to_owned(), things.collect())
        };
        Ok(self.model.indicators().map(of).collect())
    }
}

impl<I: ModelIndex + ?Sized> ModelIndex for Arc<I> {
    type Error = I::Error;

    fn search(&self, plan: &SearchPlan) -> Result<Vec<Found>, Self::Error> {
        (**self).search(plan)
    }

    fn explain(&self, plan: &SearchPlan, items: &[&str]) -> Result<Vec<Explanation>, Self::Error> {
        (**self).explain(plan, items)
    }

    fn describe(&self, items: &[&str]) -> Result<Vec<Described<'_>>, Self::Error> {
        (**self).describe(items)
    }

    fn correlators(&self, item: &str) -> Result<IndexCorrelators, Self::Error> {
        (**self).correlators(item)
    }
}

impl<'a> View<'a> {
    /// What is known of an item; nothing of an unknown one.
    pub fn described(self, id: &str) -> Described<'a> {
        let Some(row) = self.find(id) else { return Described::default() };
        let ranks = self.ranks(row).map(|(name, rank)| (name.to_owned(), rank)).collect();
        Described { document: self.document(row).map(Cow::Borrowed), ranks }
    }
}

impl Explanation {
    /// Why an item without a score is not returned.
    pub const NO_SCORE: &str = "it has no score, and results are not filled up by ranking";

    /// Of an item that no index has.
    pub fn of_unknown(item: &str) -> Self {
        Self { rejected_by: vec![format!("the model has no item {item}")], ..Self::default() }
    }
}
