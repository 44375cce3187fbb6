//! String ↔ dense `u32`, sorted by bytes: an id depends on the set of strings only, never on their arrival.
//!
//! Layout, in memory and in a snapshot: the strings one after another, and `len + 1` offsets (`u64`, little-endian),
//! so that string `id` is `bytes[offsets[id]..offsets[id + 1]]`. That is 8 bytes per id beside the text itself.

mod builder;

use std::cmp::Ordering;

pub use builder::DictionaryBuilder;

/// Why two byte sections are not a dictionary.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DictionaryError {
    /// The offsets section has no meaning.
    #[error("dictionary offsets: {0}")]
    Offsets(&'static str),
    /// A string does not follow its predecessor.
    #[error("dictionary entry {0} is not greater than the entry before it")]
    Order(u32),
    /// A string is not UTF-8.
    #[error("dictionary entry {0} is not UTF-8")]
    Utf8(u32),
    /// There are no more ids.
    #[error("a dictionary holds at most {} strings", DictionaryBuilder::LEN_MAX)]
    Full,
}

/// Distinct strings with the ids 0, 1, 2… in byte order.
#[derive(Clone, PartialEq, Eq)]
pub struct Dictionary {
    bytes: Vec<u8>,
    offsets: Vec<u8>,
}

/// A dictionary over borrowed sections, for instance of a mapped file. Checked for shape, not for content:
/// see [`DictionaryView::validate`]. No content makes it panic.
#[derive(Clone, Copy)]
pub struct DictionaryView<'a> {
    bytes: &'a [u8],
    offsets: &'a [u8],
}

const OFFSET_BYTES: usize = size_of::<u64>();

impl Dictionary {
    /// From sections as [`bytes`](Self::bytes) and [`offsets`](Self::offsets) give them, fully checked.
    ///
    /// # Errors
    /// Names the first thing that is wrong.
    pub fn from_sorted_parts(bytes: Vec<u8>, offsets: Vec<u8>) -> Result<Self, DictionaryError> {
        DictionaryView::new(&bytes, &offsets)?.validate()?;
        Ok(Self { bytes, offsets })
    }

    /// From any strings, in any order, repeated or not.
    ///
    /// # Errors
    /// [`DictionaryError::Full`].
    pub fn from_strings<'s>(strings: impl IntoIterator<Item = &'s str>) -> Result<Self, DictionaryError> {
        let mut builder = DictionaryBuilder::new();
        for string in strings {
            builder.intern(string)?;
        }
        Ok(builder.finish().0)
    }

    /// The same, borrowed.
    #[must_use]
    pub fn view(&self) -> DictionaryView<'_> {
        DictionaryView { bytes: &self.bytes, offsets: &self.offsets }
    }

    /// Number of strings.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.view().len()
    }

    /// True without strings.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The string of an id; `""` for an id that does not exist.
    #[must_use]
    pub fn get(&self, id: u32) -> &str {
        self.view().get(id)
    }

    /// The id of a string.
    #[must_use]
    pub fn find(&self, string: &str) -> Option<u32> {
        self.view().find(string)
    }

    /// All strings in the order of their ids.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        self.view().iter()
    }

    /// See [`DictionaryView::key`].
    #[must_use]
    pub fn key(&self, id: u32) -> u64 {
        self.view().key(id)
    }

    /// The strings one after another.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// `len + 1` offsets into [`bytes`](Self::bytes), `u64` little-endian.
    #[must_use]
    pub fn offsets(&self) -> &[u8] {
        &self.offsets
    }
}

impl Default for Dictionary {
    fn default() -> Self {
        Self { bytes: Vec::new(), offsets: vec![0; OFFSET_BYTES] }
    }
}

impl std::fmt::Debug for Dictionary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.view().fmt(f)
    }
}

impl<'a> DictionaryView<'a> {
    /// Over sections laid out as the module says. Takes constant time: looks at the ends only.
    ///
    /// # Errors
    /// [`DictionaryError::Offsets`] if the sections do not fit each other.
    pub fn new(bytes: &'a [u8], offsets: &'a [u8]) -> Result<Self, DictionaryError> {
        let fail = |reason| Err(DictionaryError::Offsets(reason));
        if offsets.is_empty() || !offsets.len().is_multiple_of(OFFSET_BYTES) {
            return fail("the section must hold a positive number of 8-byte integers");
        }
        if u32::try_from(offsets.len() / OFFSET_BYTES - 1).is_err() {
            return fail("more ids than fit 32 bits");
        }
        let view = Self { bytes, offsets };
        if view.offset(0) != Some(0) || view.offset(view.count()) != Some(bytes.len()) {
            return fail("the first must be 0 and the last the length of the text");
        }
        Ok(view)
    }

    /// Checks every entry: offsets ascend, strings ascend strictly, text is UTF-8.
    ///
    /// # Errors
    /// The first entry that is wrong.
    pub fn validate(&self) -> Result<(), DictionaryError> {
        let mut previous: Option<&[u8]> = None;
        for id in 0..self.len() {
            let string = self.slice(id).ok_or(DictionaryError::Offsets("they must ascend"))?;
            if std::str::from_utf8(string).is_err() {
                return Err(DictionaryError::Utf8(id));
            }
            if previous.is_some_and(|previous| previous >= string) {
                return Err(DictionaryError::Order(id));
            }
            previous = Some(string);
        }
        Ok(())
    }

    /// Number of strings.
    #[must_use]
    pub fn len(&self) -> u32 {
        u32::try_from(self.count()).unwrap_or(u32::MAX)
    }

    /// True without strings.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// The string of an id; `""` for an id that does not exist (or whose entry is damaged).
    #[must_use]
    pub fn get(&self, id: u32) -> &'a str {
        self.slice(id).and_then(|string| std::str::from_utf8(string).ok()).unwrap_or("")
    }

    /// The id of a string, by binary search.
    #[must_use]
    pub fn find(&self, string: &str) -> Option<u32> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.slice(middle)?.cmp(string.as_bytes()) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Some(middle),
            }
        }
        None
    }

    /// All strings in the order of their ids.
    pub fn iter(self) -> impl ExactSizeIterator<Item = &'a str> {
        (0..self.len()).map(move |id| self.get(id))
    }

    /// A 64-bit key of the string that never changes: see [`key`].
    #[must_use]
    pub fn key(&self, id: u32) -> u64 {
        key(self.slice(id).unwrap_or_default())
    }

    /// The strings one after another.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// `len + 1` offsets into [`bytes`](Self::bytes), `u64` little-endian.
    #[must_use]
    pub fn offsets(&self) -> &'a [u8] {
        self.offsets
    }

    fn count(&self) -> usize {
        (self.offsets.len() / OFFSET_BYTES).saturating_sub(1)
    }

    fn offset(&self, index: usize) -> Option<usize> {
        let (offset, _) = self.offsets.get(index * OFFSET_BYTES..)?.split_first_chunk()?;
        usize::try_from(u64::from_le_bytes(*offset)).ok()
    }

    fn slice(&self, id: u32) -> Option<&'a [u8]> {
        let index = id as usize;
        self.bytes.get(self.offset(index)?..self.offset(index + 1)?)
    }
}

impl std::fmt::Debug for DictionaryView<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Dictionary({} strings, {} bytes)", self.len(), self.bytes.len())
    }
}

/// The key of a string: FNV-1a with 64 bits over its bytes (offset basis `cbf29ce484222325`, prime `100000001b3`), then the
/// finalizer of SplitMix64 so that all bits depend on all bytes. Sampling depends on it: it stays as it is for ever.
#[must_use]
pub fn key(bytes: &[u8]) -> u64 {
    let fnv = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let mixed = (fnv ^ (fnv >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests;
