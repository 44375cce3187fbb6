//! Strings in order of arrival, on their way to a dictionary.

use super::{Dictionary, DictionaryError, OFFSET_BYTES};

/// Collects strings in any order, then sorts them once.
///
/// Memory for n strings of b bytes in all: b + at most 36 n while collecting, 2 b + at most 28 n while sorting.
#[derive(Default)]
pub struct DictionaryBuilder {
    text: Vec<u8>,
    /// Where each string ends in `text`.
    ends: Vec<u64>,
    /// Open addressing, linear probing, a power of two long. Slot = hash (high half), id + 1 (low half); 0 = free.
    slots: Vec<u64>,
}

impl DictionaryBuilder {
    /// No more strings than this.
    pub const LEN_MAX: u32 = 1 << 31;

    /// Strings that [`intern_batch`](Self::intern_batch) takes.
    pub const BATCH: usize = 32;

    /// What [`finish_kept`](Self::finish_kept) puts in the place of an id that was not kept.
    pub const DROPPED: u32 = u32::MAX;

    /// Empty.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of distinct strings so far.
    #[must_use]
    pub fn len(&self) -> u32 {
        u32::try_from(self.ends.len()).unwrap_or(u32::MAX)
    }

    /// True without strings.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The provisional id of a string: 0, 1, 2… in order of first appearance.
    ///
    /// # Errors
    /// [`DictionaryError::Full`].
    #[inline]
    pub fn intern(&mut self, string: &str) -> Result<u32, DictionaryError> {
        self.reserve(1)?;
        Ok(self.intern_hashed(string, hash(string.as_bytes())))
    }

    /// As [`intern`](Self::intern) for [`BATCH`](Self::BATCH) strings at once: several times faster where the dictionary
    /// exceeds the cache, for the memory is asked for many entries at a time.
    ///
    /// # Errors
    /// [`DictionaryError::Full`].
    pub fn intern_batch(
        &mut self,
        strings: &[&str; Self::BATCH],
    ) -> Result<[u32; Self::BATCH], DictionaryError> {
        self.reserve(Self::BATCH)?;
        let hashes = strings.map(|string| hash(string.as_bytes()));
        let guesses = hashes.map(|hash| self.guess(hash));
        let spans = guesses.map(|guess| guess.map(|id| self.span(id)));
        let mut ids = [0; Self::BATCH];
        for (index, id) in ids.iter_mut().enumerate() {
            let string = strings[index];
            *id = match (guesses[index], &spans[index]) {
                (Some(id), Some(span)) if &self.text[span.clone()] == string.as_bytes() => id,
                _ => self.intern_hashed(string, hashes[index]),
            };
        }
        Ok(ids)
    }

    /// Where there is room for one more.
    #[inline]
    fn intern_hashed(&mut self, string: &str, hash: u64) -> u32 {
        let mask = self.slots.len() - 1;
        let mut position = home(hash, self.slots.len());
        loop {
            let slot = self.slots[position];
            if slot == 0 {
                break;
            }
            if slot >> 32 == hash >> 32 {
                let id = low_half(slot) - 1;
                if self.text_of(id) == string.as_bytes() {
                    return id;
                }
            }
            position = (position + 1) & mask;
        }
        let id = self.len();
        self.slots[position] = (hash & !0xffff_ffff) | u64::from(id + 1);
        self.text.extend_from_slice(string.as_bytes());
        self.ends.push(self.text.len() as u64);
        id
    }

    /// The id that has this hash, if one of the first slots does. Without branches, so that nothing waits for a slot.
    #[inline]
    fn guess(&self, hash: u64) -> Option<u32> {
        let mask = self.slots.len() - 1;
        let first = home(hash, self.slots.len());
        let [one, two] = [self.slots[first], self.slots[(first + 1) & mask]];
        let slot = if one >> 32 == hash >> 32 { one } else { two };
        if slot >> 32 == hash >> 32 { low_half(slot).checked_sub(1) } else { None }
    }

    /// The string of a provisional id; `""` for an id that was not given.
    #[must_use]
    pub fn get(&self, id: u32) -> &str {
        if id >= self.len() {
            return "";
        }
        std::str::from_utf8(self.text_of(id)).unwrap_or("")
    }

    /// Bytes held now.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.text.capacity() + size_of::<u64>() * (self.ends.capacity() + self.slots.capacity())
    }

    /// The dictionary, and the final id of each provisional one.
    #[must_use]
    pub fn finish(self) -> (Dictionary, Vec<u32>) {
        self.finish_kept(|_| true)
    }

    /// As [`finish`](Self::finish), with those provisional ids only for which `keep` holds; the others map to
    /// [`DROPPED`](Self::DROPPED).
    #[must_use]
    pub fn finish_kept(mut self, keep: impl Fn(u32) -> bool) -> (Dictionary, Vec<u32>) {
        self.slots = Vec::new();
        let order = self.sorted(keep);
        let mut final_ids = vec![Self::DROPPED; self.ends.len()];
        let size = order.iter().map(|&id| self.text_of(id).len()).sum();
        let mut bytes = Vec::with_capacity(size);
        let mut offsets = Vec::with_capacity((order.len() + 1) * OFFSET_BYTES);
        offsets.extend_from_slice(&0_u64.to_le_bytes());
        for (final_id, &id) in (0_u32..).zip(&order) {
            final_ids[id as usize] = final_id;
            bytes.extend_from_slice(self.text_of(id));
            offsets.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        }
        (Dictionary { bytes, offsets }, final_ids)
    }

    /// Kept ids in byte order. The eight bytes after the prefix that all strings share decide most comparisons.
    fn sorted(&self, keep: impl Fn(u32) -> bool) -> Vec<u32> {
        let kept = || (0..self.len()).filter(|&id| keep(id));
        let shared = self.shared_prefix(kept());
        let mut keyed = Vec::with_capacity(kept().count());
        keyed.extend(kept().map(|id| (leading(&self.text_of(id)[shared..]), id)));
        keyed.sort_unstable_by(|&(left_key, left), &(right_key, right)| {
            left_key.cmp(&right_key).then_with(|| self.text_of(left).cmp(self.text_of(right)))
        });
        keyed.into_iter().map(|(_, id)| id).collect::<Vec<_>>()
    }

    fn shared_prefix(&self, ids: impl Iterator<Item = u32>) -> usize {
        let mut strings = ids.map(|id| self.text_of(id));
        let Some(first) = strings.next() else { return 0 };
        strings.fold(first.len(), |shared, string| {
            first[..shared].iter().zip(string).take_while(|(left, right)| left == right).count()
        })
    }

    fn text_of(&self, id: u32) -> &[u8] {
        &self.text[self.span(id)]
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "lengths of a Vec, widened before")]
    fn span(&self, id: u32) -> std::ops::Range<usize> {
        let index = id as usize;
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        start as usize..self.ends[index] as usize
    }

    /// Room for some more, with at least one slot in eight free.
    #[inline]
    fn reserve(&mut self, more: usize) -> Result<(), DictionaryError> {
        while (self.ends.len() + more) * 8 > self.slots.len() * 7 {
            self.grow()?;
        }
        Ok(())
    }

    #[cold]
    fn grow(&mut self) -> Result<(), DictionaryError> {
        if self.len() >= Self::LEN_MAX {
            return Err(DictionaryError::Full);
        }
        let mut slots = vec![0; (self.slots.len() * 2).max(64)];
        let mask = slots.len() - 1;
        for &slot in self.slots.iter().filter(|&&slot| slot != 0) {
            let mut position = home(slot, slots.len());
            while slots[position] != 0 {
                position = (position + 1) & mask;
            }
            slots[position] = slot;
        }
        self.slots = slots;
        Ok(())
    }
}

impl std::fmt::Debug for DictionaryBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DictionaryBuilder({} strings, {} bytes)", self.len(), self.text.len())
    }
}

/// First slot to look at: the leading bits of the hash, so that the stored half is enough to rehash.
#[inline]
fn home(hash: u64, slots: usize) -> usize {
    let bits = slots.trailing_zeros();
    #[expect(clippy::cast_possible_truncation, reason = "at most 32 bits are left")]
    let position = (hash >> (64 - bits)) as usize;
    position
}

#[inline]
fn low_half(slot: u64) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "the low half is wanted")]
    let low = slot as u32;
    low
}

/// The first eight bytes as a number that compares like them; shorter strings are filled with zeros.
fn leading(bytes: &[u8]) -> u64 {
    match bytes.first_chunk() {
        Some(chunk) => u64::from_be_bytes(*chunk),
        None => u64::from_be_bytes(filled(bytes)),
    }
}

fn filled(bytes: &[u8]) -> [u8; 8] {
    let mut filled = [0; 8];
    filled[..bytes.len()].copy_from_slice(bytes);
    filled
}

/// For the table only; free to change. Folds 128-bit products of eight-byte words.
#[inline]
fn hash(bytes: &[u8]) -> u64 {
    const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
    let fold = |state: u64, word: u64| {
        let product = u128::from(state ^ word) * u128::from(MULTIPLIER);
        #[expect(clippy::cast_possible_truncation, reason = "both halves are used")]
        let folded = (product >> 64) as u64 ^ product as u64;
        folded
    };
    let (words, rest) = bytes.as_chunks::<8>();
    let state = words.iter().fold(bytes.len() as u64 ^ 0x2545_f491_4f6c_dd1d, |state, word| {
        fold(state, u64::from_le_bytes(*word))
    });
    fold(fold(state, tail(rest)), MULTIPLIER)
}

/// Fewer than eight bytes as one number, without a loop.
#[inline]
fn tail(rest: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (rest.first_chunk::<4>(), rest.last_chunk::<4>()) {
        return u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last));
    }
    match *rest {
        [a, b, c] => u64::from(a) | u64::from(b) << 8 | u64::from(c) << 16,
        [a, b] => u64::from(a) | u64::from(b) << 8,
        [a] => u64::from(a),
        _ => 0,
    }
}
