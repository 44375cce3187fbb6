//! Who did something with what: a boolean matrix, users × things, by rows.

use std::ops::Range;

use sprs::CsMatI;

/// Why numbers are not interactions.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// A pair lies outside the matrix.
    #[error("interaction ({user}, {thing}) lies outside {users} users × {things} things")]
    OutOfRange {
        /// Row of the pair.
        user: u32,
        /// Column of the pair.
        thing: u32,
        /// Number of rows.
        users: u32,
        /// Number of columns.
        things: u32,
    },
    /// Offsets or columns break the rules of a row.
    #[error("interactions by rows: {0}")]
    Rows(String),
    /// There is not one key for each row and each column.
    #[error("{found} keys for {expected} {what}")]
    Keys {
        /// `users` or `things`.
        what: &'static str,
        /// Rows or columns of the matrix.
        expected: usize,
        /// Keys given.
        found: usize,
    },
}

/// A boolean matrix, users × things. Rows are sorted, without repetitions.
#[derive(Debug, Clone, PartialEq)]
pub struct Interactions {
    cells: CsMatI<(), u32, usize>,
}

impl Interactions {
    /// From (user, thing) pairs in any order; repetitions count once. The iterator is run twice.
    ///
    /// # Errors
    /// [`Error::OutOfRange`].
    pub fn from_pairs<P>(users: u32, things: u32, pairs: P) -> Result<Self, Error>
    where
        P: Iterator<Item = (u32, u32)> + Clone,
    {
        let mut ends = vec![0_usize; users as usize + 1];
        for (user, thing) in pairs.clone() {
            if user >= users || thing >= things {
                return Err(Error::OutOfRange { user, thing, users, things });
            }
            ends[user as usize] += 1;
        }
        let mut total = 0;
        for end in &mut ends {
            total += std::mem::replace(end, total);
        }
        // Now `ends[u]` is where row u begins; filling moves it to where the row ends.
        let mut columns = vec![0_u32; total];
        for (user, thing) in pairs {
            let end = &mut ends[user as usize];
            columns[*end] = thing;
            *end += 1;
        }
        Ok(Self::from_buckets(things, ends, columns))
    }

    /// `ends[u]` is where the unsorted row u ends in `columns`; the last element of `ends` is the total.
    fn from_buckets(things: u32, ends: Vec<usize>, mut columns: Vec<u32>) -> Self {
        let mut offsets = ends;
        let (mut start, mut kept) = (0, 0);
        for offset in &mut offsets {
            let row = start..std::mem::replace(offset, kept);
            start = row.end;
            columns[row.clone()].sort_unstable();
            let first = kept;
            for position in row {
                let thing = columns[position];
                if kept == first || columns[kept - 1] != thing {
                    columns[kept] = thing;
                    kept += 1;
                }
            }
        }
        columns.truncate(kept);
        Self::trusted(things, offsets, columns)
    }

    /// Puts the rows of several matrices under each other.
    ///
    /// # Errors
    /// [`Error::Rows`] unless all have the same number of things.
    pub fn stack(parts: Vec<Self>) -> Result<Self, Error> {
        let mut parts = parts.into_iter();
        let Some(first) = parts.next() else { return Ok(Self::trusted(0, vec![0], Vec::new())) };
        let things = first.things();
        let (mut offsets, mut columns) = first.into_rows();
        columns.reserve_exact(parts.as_slice().iter().map(Self::len).sum());
        for part in parts {
            if part.things() != things {
                return Err(Error::Rows(format!("{} things beside {things}", part.things())));
            }
            offsets.extend(part.offsets().iter().skip(1).map(|offset| columns.len() + offset));
            columns.extend_from_slice(part.columns());
        }
        Ok(Self::trusted(things, offsets, columns))
    }

    /// From rows one after another: row u is `columns[offsets[u]..offsets[u + 1]]`.
    ///
    /// # Errors
    /// [`Error::Rows`] if offsets do not ascend from 0 to the number of columns, or a row is not strictly ascending or
    /// names a column beyond `things`.
    pub fn from_rows(things: u32, offsets: Vec<usize>, columns: Vec<u32>) -> Result<Self, Error> {
        let users = offsets.len().checked_sub(1).ok_or_else(|| Error::Rows("no offsets".to_owned()))?;
        let data = vec![(); columns.len()];
        CsMatI::try_new((users, things as usize), offsets, columns, data)
            .map(|cells| Self { cells })
            .map_err(|(_, _, _, error)| Error::Rows(error.to_string()))
    }

    /// As [`from_rows`](Self::from_rows), for parts that are right by construction.
    pub(crate) fn trusted(things: u32, offsets: Vec<usize>, columns: Vec<u32>) -> Self {
        let data = vec![(); columns.len()];
        Self { cells: CsMatI::new((offsets.len() - 1, things as usize), offsets, columns, data) }
    }

    /// The rows of some users; those beyond the last are ignored.
    #[must_use]
    pub fn of_users(&self, users: Range<u32>) -> Self {
        let offsets = self.offsets();
        let end = users.end.min(self.users()) as usize;
        let start = (users.start as usize).min(end);
        let first = offsets[start];
        let own = offsets[start..=end].iter().map(|offset| offset - first).collect();
        Self::trusted(self.things(), own, self.columns()[first..offsets[end]].to_vec())
    }

    /// Offsets and columns as [`from_rows`](Self::from_rows) takes them.
    pub(crate) fn into_rows(self) -> (Vec<usize>, Vec<u32>) {
        let (offsets, columns, _) = self.cells.into_raw_storage();
        (offsets, columns)
    }

    /// Number of rows.
    #[must_use]
    pub fn users(&self) -> u32 {
        small(self.cells.rows())
    }

    /// Number of columns.
    #[must_use]
    pub fn things(&self) -> u32 {
        small(self.cells.cols())
    }

    /// Number of interactions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.cells.nnz()
    }

    /// True without interactions.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The things of a user, ascending.
    ///
    /// # Panics
    /// If there is no such user.
    #[must_use]
    pub fn row(&self, user: u32) -> &[u32] {
        let offsets = self.offsets();
        &self.columns()[offsets[user as usize]..offsets[user as usize + 1]]
    }

    /// For each thing the number of its users.
    #[must_use]
    pub fn thing_counts(&self) -> Vec<u32> {
        let mut counts = vec![0; self.cells.cols()];
        for &thing in self.columns() {
            counts[thing as usize] += 1;
        }
        counts
    }

    /// Where each row starts in [`columns`](Self::columns), and where the last one ends.
    #[must_use]
    pub fn offsets(&self) -> &[usize] {
        self.cells.indptr().into_raw_storage()
    }

    /// The things of all users, one row after another.
    #[must_use]
    pub fn columns(&self) -> &[u32] {
        self.cells.indices()
    }
}

/// Dimensions came in as `u32`.
fn small(dimension: usize) -> u32 {
    u32::try_from(dimension).unwrap_or(u32::MAX)
}
