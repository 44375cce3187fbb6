//! Things by falling frequency: the frequent ones sit close together, and neighbours share a bound on their LLR.

use std::cmp::Reverse;
use std::ops::Range;

use crate::interactions::Interactions;
use crate::llr::{LlrTable, Margin};

/// The things that occur, most frequent first; equally frequent ones by number.
#[derive(Debug)]
pub(crate) struct ByFrequency {
    pub ranked: Vec<Ranked>,
    pub classes: Vec<Class>,
    pub blocks: Vec<Block>,
}

/// A thing at its rank.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ranked {
    pub thing: u32,
    /// Position in [`ByFrequency::classes`].
    pub class: u32,
    pub margin: Margin,
}

/// Things of about the same frequency, neighbours by rank.
#[derive(Debug)]
pub(crate) struct Class {
    pub most: Margin,
    pub least: Margin,
}

/// A few neighbours of one class, looked at together.
#[derive(Debug)]
pub(crate) struct Block {
    pub ranks: Range<usize>,
    /// Position in [`ByFrequency::classes`].
    pub class: usize,
}

/// Ranks of a block.
pub(crate) const BLOCK: usize = 64;

/// Things of a class differ by less than one part in this.
const CLASS_SPREAD: u64 = 8;

impl ByFrequency {
    pub fn new(interactions: &Interactions, table: &LlrTable) -> Self {
        let counts = interactions.thing_counts();
        let mut order: Vec<u32> =
            (0..interactions.things()).filter(|&thing| counts[thing as usize] > 0).collect();
        order.sort_by_key(|&thing| Reverse(counts[thing as usize]));
        let margin = |thing: u32| table.margin(u64::from(counts[thing as usize]));
        let ranked = order.iter().map(|&thing| Ranked { thing, class: 0, margin: margin(thing) }).collect();
        Self { ranked, classes: Vec::new(), blocks: Vec::new() }.classified()
    }

    /// How many things occur.
    pub fn len(&self) -> usize {
        self.ranked.len()
    }

    /// How many blocks have a rank below this one.
    pub fn blocks_before(&self, rank: usize) -> usize {
        self.blocks.partition_point(|block| block.ranks.start < rank)
    }

    /// The rank of each of `things` things; 0 for those that do not occur.
    pub fn ranks(&self, things: u32) -> Vec<u32> {
        let mut ranks = vec![0; things as usize];
        for (rank, ranked) in (0_u32..).zip(&self.ranked) {
            ranks[ranked.thing as usize] = rank;
        }
        ranks
    }

    fn classified(mut self) -> Self {
        let mut start = 0;
        while let Some(first) = self.ranked.get(start) {
            let most = first.margin;
            let alike = self.ranked[start..]
                .iter()
                .take_while(|ranked| ranked.margin.count * CLASS_SPREAD > most.count * (CLASS_SPREAD - 1))
                .count();
            let ranks = start..start + alike;
            let class = u32::try_from(self.classes.len()).unwrap_or(u32::MAX);
            let mut least = most;
            for ranked in &mut self.ranked[ranks.clone()] {
                (ranked.class, least) = (class, ranked.margin);
            }
            for first in ranks.clone().step_by(BLOCK) {
                let ranks = first..ranks.end.min(first + BLOCK);
                self.blocks.push(Block { ranks, class: self.classes.len() });
            }
            start = ranks.end;
            self.classes.push(Class { most, least });
        }
        self
    }
}
