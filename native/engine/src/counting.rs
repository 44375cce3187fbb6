//! What a task needs to count: the matrices of a train without their names, and what makes a correlator. It travels to
//! every process that counts, and any partition of the items gives the same correlators.

use std::ops::Range;
use std::sync::OnceLock;

use cco::{Correlators, CrossOccurrence, Interactions, Params, Sums};

use crate::training_set::cross;
use crate::wire::{Reader, Writer};
use crate::{Error, Result};

const WHAT: [u8; 4] = *b"ARBC";
const FORMAT: u8 = 2;

/// The interactions of a train, ready to be counted by ranges of items.
#[derive(Debug)]
pub struct Counting {
    indicators: Vec<Indicator>,
}

#[derive(Debug)]
struct Indicator {
    interactions: Interactions,
    params: Params,
    /// Made by the first who counts; others wait.
    cross: OnceLock<std::result::Result<CrossOccurrence, String>>,
}

impl Counting {
    /// Bytes of these matrices of some users, the primary first: about two a cell, and a bit a thing.
    pub(crate) fn bytes_of<'a>(
        matrices: impl ExactSizeIterator<Item = (&'a Interactions, Params)>,
        users: Range<u32>,
    ) -> Vec<u8> {
        let mut writer = Writer::new(WHAT, FORMAT);
        writer.number(matrices.len() as u64);
        for (interactions, params) in matrices {
            writer.number(u64::from(params.max_correlators));
            writer.number(u64::from(params.positive_only));
            writer.number(u64::from(params.min_llr.is_some()));
            writer.fixed(params.min_llr.unwrap_or_default().to_bits());
            writer.interactions(interactions, users.clone());
        }
        writer.finish()
    }

    /// From what [`Correlating::counting`](crate::Correlating::counting) gave.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::OtherVersion`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes, WHAT, FORMAT)?;
        let mut indicators: Vec<Indicator> = Vec::new();
        for _ in 0..reader.count()? {
            let max_correlators = reader.small()?;
            let positive_only = reader.number()? != 0;
            let has_least = reader.number()? != 0;
            let min_llr = Some(f64::from_bits(reader.fixed()?)).filter(|_| has_least);
            let params = Params { max_correlators, min_llr, positive_only };
            let interactions = reader.interactions()?;
            indicators.push(Indicator { interactions, params, cross: OnceLock::new() });
        }
        reader.finish()?;
        if indicators.is_empty() {
            return Err(Error::Damaged("it has no indicator"));
        }
        Ok(Self { indicators })
    }

    /// Number of indicators, the primary included.
    pub fn indicators(&self) -> usize {
        self.indicators.len()
    }

    /// Number of items: things of the primary indicator.
    pub fn items(&self) -> u32 {
        self.indicators.first().map_or(0, |primary| primary.interactions.things())
    }

    /// The correlators of some items; those beyond the last are ignored. Blocks that follow each other make the whole.
    ///
    /// # Errors
    /// There is no such indicator.
    pub fn block(&self, indicator: usize, items: Range<u32>) -> Result<Block> {
        let counted = self.indicators.get(indicator).ok_or(Error::Damaged("there is no such indicator"))?;
        let matrices: Vec<&Interactions> =
            self.indicators.iter().map(|indicator| &indicator.interactions).collect();
        let cross = counted
            .cross
            .get_or_init(|| cross(&matrices, indicator, counted.params).map_err(|error| error.to_string()));
        let cross = cross.as_ref().map_err(|_| Error::Damaged("its matrices are of different users"))?;
        Ok(Block { indicator, first: items.start, correlators: cross.block(items) })
    }
}

/// Counts of some neighbouring items under one indicator that sum up over parts of the users, for interactions that no process
/// can hold.
#[derive(Debug)]
pub struct Summing {
    indicator: usize,
    first: u32,
    params: Params,
    sums: Sums,
}

impl Summing {
    /// Counters that one may hold: 2 GiB.
    pub const COUNTERS_MAX: u64 = 1 << 29;

    /// Nothing yet; `part` is any of the parts. Items beyond the last are ignored.
    ///
    /// # Errors
    /// There is no such indicator; more counters than [`COUNTERS_MAX`](Self::COUNTERS_MAX).
    pub fn new(part: &Counting, indicator: usize, items: Range<u32>) -> Result<Self> {
        let counted = counted(part, indicator)?;
        let (things, items) = (counted.interactions.things(), within(part, items));
        let counters = u64::from(things) * items.len() as u64;
        if counters > Self::COUNTERS_MAX {
            return Err(Error::Unanswerable(format!(
                "{counters} counters for {} items and {things} things: at most {} fit, use smaller ranges",
                items.len(),
                Self::COUNTERS_MAX
            )));
        }
        let (first, sums) = (items.start, Sums::new(items, things, indicator == 0));
        Ok(Self { indicator, first, params: counted.params, sums })
    }

    /// Bytes of the counters that [`new`](Self::new) would make.
    ///
    /// # Errors
    /// There is no such indicator.
    pub fn bytes(part: &Counting, indicator: usize, items: Range<u32>) -> Result<u64> {
        let things = counted(part, indicator)?.interactions.things();
        Ok(u64::from(things) * within(part, items).len() as u64 * size_of::<u32>() as u64)
    }

    /// Adds what the users of a part did; each part once, in any order.
    ///
    /// # Errors
    /// It is no part of the same train.
    pub fn add(&mut self, part: &Counting) -> Result<()> {
        let wrong = Error::Damaged("a part is of another train");
        let Some(primary) = part.indicators.first() else { return Err(wrong) };
        let other = part.indicators.get(self.indicator).filter(|_| self.indicator > 0);
        if self.indicator > 0 && other.is_none() {
            return Err(wrong);
        }
        self.sums.add(&primary.interactions, other.map(|other| &other.interactions)).map_err(|_| wrong)
    }

    /// The correlators, when all parts are in.
    pub fn block(&self) -> Block {
        let correlators = self.sums.correlators(self.params);
        Block { indicator: self.indicator, first: self.first, correlators }
    }
}

fn counted(part: &Counting, indicator: usize) -> Result<&Indicator> {
    part.indicators.get(indicator).ok_or(Error::Damaged("there is no such indicator"))
}

fn within(part: &Counting, items: Range<u32>) -> Range<u32> {
    items.start.min(part.items())..items.end.min(part.items())
}

/// The correlators of some neighbouring items under one indicator.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    pub(crate) indicator: usize,
    pub(crate) first: u32,
    pub(crate) correlators: Correlators,
}

impl Block {
    const WHAT: [u8; 4] = *b"ARBB";

    /// For the process that puts the blocks together.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::new(Self::WHAT, FORMAT);
        writer.number(self.indicator as u64);
        writer.number(u64::from(self.first));
        writer.correlators(&self.correlators);
        writer.finish()
    }

    /// From [`to_bytes`](Self::to_bytes). `things`: how many each indicator has.
    pub(crate) fn from_bytes(bytes: &[u8], things: &[u32]) -> Result<Self> {
        let mut reader = Reader::new(bytes, Self::WHAT, FORMAT)?;
        let indicator = reader.small()? as usize;
        let first = reader.small()?;
        let things = *things.get(indicator).ok_or(Error::Damaged("there is no such indicator"))?;
        let correlators = reader.correlators(things)?;
        reader.finish()?;
        Ok(Self { indicator, first, correlators })
    }
}
