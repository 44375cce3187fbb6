//! Views over little-endian bytes of a snapshot: numbers, lists of rows, columns. No copy, no alignment needed, no panic.

use std::marker::PhantomData;
use std::ops::Range;

/// A number with a fixed little-endian form.
pub(crate) trait Scalar: Copy {
    type Bytes: Copy + std::fmt::Debug + 'static;
    fn split(bytes: &[u8]) -> &[Self::Bytes];
    fn read(bytes: Self::Bytes) -> Self;
}

macro_rules! scalars {
    ($($number:ty: $size:literal),*) => {$(
        impl Scalar for $number {
            type Bytes = [u8; $size];
            fn split(bytes: &[u8]) -> &[Self::Bytes] {
                bytes.as_chunks().0
            }
            #[inline]
            fn read(bytes: Self::Bytes) -> Self {
                <$number>::from_le_bytes(bytes)
            }
        }
    )*};
}
scalars!(u32: 4, u64: 8, i64: 8, f32: 4, f64: 8);

/// An array of numbers.
#[derive(Debug)]
pub(crate) struct Array<'a, T: Scalar> {
    chunks: &'a [T::Bytes],
    number: PhantomData<T>,
}

impl<T: Scalar> Clone for Array<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T: Scalar> Copy for Array<'_, T> {}

impl<'a, T: Scalar> Array<'a, T> {
    /// Trailing bytes that make no whole number are not seen.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { chunks: T::split(bytes), number: PhantomData }
    }

    pub(crate) fn len(self) -> usize {
        self.chunks.len()
    }

    #[inline]
    pub(crate) fn get(self, index: usize) -> Option<T> {
        self.chunks.get(index).map(|bytes| T::read(*bytes))
    }

    /// Empty where `range` is out of bounds.
    #[inline]
    pub(crate) fn slice(self, range: Range<usize>) -> Self {
        Self { chunks: self.chunks.get(range).unwrap_or_default(), number: PhantomData }
    }

    #[inline]
    pub(crate) fn iter(self) -> impl DoubleEndedIterator<Item = T> + ExactSizeIterator + 'a {
        self.chunks.iter().map(|bytes| T::read(*bytes))
    }

    /// Index of the first number for which `less` does not hold, in an array sorted by that.
    pub(crate) fn partition_point(self, less: impl Fn(T) -> bool) -> usize {
        self.chunks.partition_point(|bytes| less(T::read(*bytes)))
    }
}

/// Where each of n lists begins in one long list; n + 1 numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Starts<'a>(pub(crate) Array<'a, u64>);

impl Starts<'_> {
    /// Empty for an index out of bounds.
    #[inline]
    pub(crate) fn range(self, index: usize) -> Range<usize> {
        let end = |index| self.0.get(index).and_then(|start| usize::try_from(start).ok());
        match (end(index), end(index.wrapping_add(1))) {
            (Some(start), Some(end)) => start..end,
            _ => 0..0,
        }
    }
}

/// Lists of ascending item rows, one per value of a field.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Postings<'a> {
    pub(crate) starts: Starts<'a>,
    pub(crate) rows: Array<'a, u32>,
}

impl<'a> Postings<'a> {
    #[inline]
    pub(crate) fn of(self, value: u32) -> Array<'a, u32> {
        self.rows.slice(self.starts.range(value as usize))
    }
}

/// Values of a numeric or date property: ascending item rows (repeated where an item has several) and a value beside each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column<'a, T: Scalar> {
    pub(crate) rows: Array<'a, u32>,
    pub(crate) values: Array<'a, T>,
    /// No item has several.
    pub(crate) single: bool,
}

impl<'a, T: Scalar> Column<'a, T> {
    /// The values of one item.
    #[inline]
    pub(crate) fn of(self, row: u32) -> impl Iterator<Item = T> + 'a {
        // Where every item has one value, as is common for prices and dates, no search is needed.
        let direct = self.single && self.rows.get(row as usize) == Some(row);
        let range = if direct {
            row as usize..row as usize + 1
        } else {
            let start = self.rows.partition_point(|other| other < row);
            let rest = self.rows.slice(start..self.rows.len());
            start..start + rest.iter().take_while(|other| *other == row).count()
        };
        self.values.slice(range).iter()
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = (u32, T)> + 'a {
        self.rows.iter().zip(self.values.iter())
    }
}
