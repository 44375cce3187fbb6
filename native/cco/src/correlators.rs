//! The result: for each thing of the primary indicator its strongest correlators.

/// Rows of (thing, LLR), strongest first; equal LLR by thing, ascending. LLR is positive.
#[derive(Debug, Clone, PartialEq)]
pub struct Correlators {
    /// Row r is `offsets[r]..offsets[r + 1]` of the other two.
    pub offsets: Vec<u64>,
    /// Columns of the indicator.
    pub things: Vec<u32>,
    /// Their log-likelihood ratios.
    pub llr: Vec<f64>,
}

impl Correlators {
    /// Without rows.
    #[must_use]
    pub fn new() -> Self {
        Self { offsets: vec![0], things: Vec::new(), llr: Vec::new() }
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Number of correlators in all rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.things.len()
    }

    /// True without correlators.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.things.is_empty()
    }

    /// One row, strongest first.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row(&self, row: usize) -> impl ExactSizeIterator<Item = (u32, f64)> {
        let range = index(self.offsets[row])..index(self.offsets[row + 1]);
        self.things[range.clone()].iter().copied().zip(self.llr[range].iter().copied())
    }

    /// Adds a row.
    pub fn push_row(&mut self, row: impl IntoIterator<Item = (u32, f64)>) {
        for (thing, llr) in row {
            self.things.push(thing);
            self.llr.push(llr);
        }
        self.offsets.push(self.things.len() as u64);
    }

    /// Adds the rows of a later block.
    pub fn append(&mut self, later: &Self) {
        let base = self.things.len() as u64;
        self.offsets.extend(later.offsets.iter().skip(1).map(|offset| base + offset));
        self.things.extend_from_slice(&later.things);
        self.llr.extend_from_slice(&later.llr);
    }

    /// Puts blocks that follow each other together.
    #[must_use]
    pub fn concat(blocks: impl IntoIterator<Item = Self>) -> Self {
        let mut blocks = blocks.into_iter();
        let mut all = blocks.next().unwrap_or_default();
        for block in blocks {
            all.append(&block);
        }
        all
    }
}

impl Default for Correlators {
    fn default() -> Self {
        Self::new()
    }
}

/// Offsets are lengths of a `Vec`.
fn index(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}
