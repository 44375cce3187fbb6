//! Interactions on their way to correlators: counted here, or block by block in other processes.

use std::ops::ControlFlow;

use cco::{Correlators, Params};

use crate::counting::{Block, Counting};
use crate::{Error, Prepared, Result};

/// Prepared interactions, and their correlators as far as they have been counted: here by [`count`](Self::count), or elsewhere,
/// from [`counting`](Self::counting) to [`add`](Self::add).
pub struct Correlating {
    prepared: Prepared,
    /// Per indicator, as the two below.
    params: Vec<Params>,
    /// From the first item on.
    counted: Vec<Correlators>,
}

impl Correlating {
    /// With what makes a correlator, per indicator.
    pub fn new(prepared: Prepared, params: Vec<Params>) -> Self {
        let counted = vec![Correlators::new(); params.len()];
        Self { prepared, params, counted }
    }

    /// What is counted.
    pub fn prepared(&self) -> &Prepared {
        &self.prepared
    }

    /// Number of indicators, the primary included.
    pub fn indicators(&self) -> usize {
        self.params.len()
    }

    /// Items that correlators are counted for.
    pub fn items(&self) -> u32 {
        self.prepared.things(0).len()
    }

    /// Most things that an indicator has.
    pub fn things(&self) -> u32 {
        self.prepared.matrices().iter().map(|matrix| matrix.things()).max().unwrap_or(0)
    }

    /// Interactions after sampling.
    pub fn cells(&self) -> u64 {
        self.prepared.statistics().map(|statistics| statistics.sampled).sum()
    }

    /// Steps that counting takes: for each user the pairs of what he did under the primary and what under any indicator.
    pub fn increments(&self) -> u64 {
        let matrices = self.prepared.matrices();
        let lengths = |user: u32| matrices.iter().map(move |matrix| matrix.row(user).len() as u64);
        let pairs = |user| lengths(user).sum::<u64>() * lengths(user).next().unwrap_or(0);
        (0..self.prepared.users()).map(pairs).sum()
    }

    /// Bytes of a [`Counting`], for processes that count: of all users, or of one of several parts with about equally many of
    /// them, for [`Summing`](crate::Summing). `None` if there is no such part.
    pub fn counting(&self, part: u32, parts: u32) -> Option<Vec<u8>> {
        let users = u64::from(self.prepared.users());
        let bound = |part: u32| users * u64::from(part) / u64::from(parts.max(1));
        let bound = |part: u32| u32::try_from(bound(part)).unwrap_or(u32::MAX);
        let matrices = self.prepared.matrices().into_iter().zip(self.params.iter().copied());
        (part < parts).then(|| Counting::bytes_of(matrices, bound(part)..bound(part + 1)))
    }

    /// Takes the bytes of a [`Block`]. Blocks of an indicator come in the order of items, without gaps.
    ///
    /// # Errors
    /// [`Error::Damaged`]: the bytes are, or the block is not the next one.
    pub fn add(&mut self, block: &[u8]) -> Result<()> {
        let things: Vec<u32> = self.prepared.matrices().iter().map(|matrix| matrix.things()).collect();
        let block = Block::from_bytes(block, &things)?;
        let counted = &mut self.counted[block.indicator];
        let rows = counted.rows() + block.correlators.rows();
        if block.first as usize != counted.rows() || rows > self.prepared.things(0).len() as usize {
            return Err(Error::Damaged("a block is not the one that comes next"));
        }
        counted.append(&block.correlators);
        Ok(())
    }

    /// Counts an indicator here. `progress` hears how many items of how many are done.
    ///
    /// # Errors
    /// More cells than fit; [`Error::Stopped`] after `progress` said `Break`.
    pub fn count(
        &mut self,
        indicator: usize,
        threads: usize,
        progress: &(dyn Fn(u64, u64) -> ControlFlow<()> + Sync),
    ) -> Result<()> {
        let params = self.params[indicator];
        self.counted[indicator] = self.prepared.correlators(indicator, params, threads, progress)?;
        Ok(())
    }

    /// What was counted, with the correlators per indicator.
    ///
    /// # Errors
    /// [`Error::Damaged`] if correlators of some items have not been counted.
    pub fn finish(self) -> Result<(Prepared, Vec<Correlators>)> {
        let items = self.items() as usize;
        if self.counted.iter().any(|counted| counted.rows() != items) {
            return Err(Error::Damaged("blocks are missing"));
        }
        Ok((self.prepared, self.counted))
    }
}
