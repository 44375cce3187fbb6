//! Layout of keys: how positions, times, entities and ids become bytes that sort as wanted.

use events::EventTime;
use sha2::{Digest, Sha256};

/// Position of an event in the log of its scope: 48 bits, given out in order, never reused.
pub(super) type Seq = u64;

/// One past the greatest position.
pub(super) const SEQ_END: Seq = 1 << 48;

pub(super) const SEQ_BYTES: usize = 6;

/// Bytes of a position, big-endian, so that the log sorts by arrival.
pub(super) fn log_key(seq: Seq) -> [u8; SEQ_BYTES] {
    last_bytes(seq)
}

/// Reverse of [`log_key`]; `None` if it has another length.
pub(super) fn seq_of(key: &[u8]) -> Option<Seq> {
    let bytes: [u8; SEQ_BYTES] = key.try_into().ok()?;
    Some(from_bytes(&bytes))
}

fn last_bytes(value: u64) -> [u8; 6] {
    let [_, _, bytes @ ..] = value.to_be_bytes();
    bytes
}

fn from_bytes(bytes: &[u8; 6]) -> u64 {
    bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// The history index is cut into epochs by position, so that inserting touches the pages of the current epoch only, however
/// large the store is (a page is written whole per commit, and 4 KiB per event would bound a long import). Epochs
/// grow with the store, eight per doubling, so that a lookup, which visits each of them, stays short: 16 up to
/// 2²⁴ events, 24 up to 2²⁵, 64 up to 2³⁰.
pub(super) fn epoch(seq: Seq) -> u16 {
    const EPOCH_BITS: u32 = 20;
    let unit = seq >> EPOCH_BITS;
    if unit < 16 {
        return u16::try_from(unit).unwrap_or(u16::MAX);
    }
    let octave = unit.ilog2();
    let within = (unit >> (octave - 3)) & 7;
    u16::try_from(u64::from(octave - 2) * 8 + within).unwrap_or(u16::MAX)
}

/// Bytes of an [`EntityHash`].
const HASH_BYTES: usize = 12;

/// Names an entity in the history index: the first 96 bits of a SHA-256. No two entities share one, by accident or on
/// purpose, so a reader need not open the event to know whose it is.
pub(super) type EntityHash = [u8; HASH_BYTES];

/// Hash of an entity.
pub(super) fn entity_hash(kind: &str, id: &str) -> EntityHash {
    // 0xFF is in no UTF-8 text, so ("ab", "c") and ("a", "bc") differ
    let digest: [u8; 32] =
        Sha256::new().chain_update(kind).chain_update([0xFF]).chain_update(id).finalize().into();
    let mut hash = EntityHash::default();
    hash.copy_from_slice(&digest[..HASH_BYTES]);
    hash
}

const TIME_AT: usize = HASH_BYTES;
const SEQ_AT: usize = TIME_AT + 6;

/// Bytes of an [`EntryKey`].
pub(super) const ENTRY_BYTES: usize = SEQ_AT + SEQ_BYTES;

/// Entity, time and position: what sorts the entries of the history index.
pub(super) type EntryKey = [u8; ENTRY_BYTES];

/// Entry of an event in the history of the entity with this hash.
pub(super) fn entry_key(entity: EntityHash, time: EventTime, seq: Seq) -> EntryKey {
    entry_bound(entity, time_bits(time.millis), seq)
}

/// Any key of an entry, for ranges.
pub(super) fn entry_bound(entity: EntityHash, time_bits: u64, seq: Seq) -> EntryKey {
    let mut key = [0; ENTRY_BYTES];
    key[..TIME_AT].copy_from_slice(&entity);
    key[TIME_AT..SEQ_AT].copy_from_slice(&last_bytes(time_bits));
    key[SEQ_AT..].copy_from_slice(&log_key(seq));
    key
}

/// Position in a key of an entry.
pub(super) fn entry_seq(key: &EntryKey) -> Seq {
    key.last_chunk().map_or(0, from_bytes)
}

/// Epoch and entry; its value is a [`history_value`].
pub(super) type HistoryKey = [u8; 2 + ENTRY_BYTES];

/// Key of an entry in the trees of the history index.
pub(super) fn history_key(epoch: u16, entry: &EntryKey) -> HistoryKey {
    let mut key = [0; 2 + ENTRY_BYTES];
    key[..2].copy_from_slice(&epoch.to_be_bytes());
    key[2..].copy_from_slice(entry);
    key
}

/// Longer target ids stand in the record only.
const TARGET_BYTES_MAX: usize = 64;

/// The id of a target as the history index keeps it.
pub(super) fn history_target(target: &[u8]) -> &[u8] {
    if target.len() <= TARGET_BYTES_MAX { target } else { &[] }
}

/// What the history index says of an event: number of its shape (0: it stands in the record), then the id of its target
/// (empty: there is none, or it stands in the record).
pub(super) fn history_value<'a>(shape: u16, target: &[u8], out: &'a mut Vec<u8>) -> &'a [u8] {
    out.clear();
    out.extend_from_slice(&shape.to_be_bytes());
    out.extend_from_slice(target);
    out
}

/// An entry of the history index, in its order within one entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct HistoryEntry<'a> {
    pub(super) time: u64,
    pub(super) seq: Seq,
    pub(super) shape: u16,
    pub(super) target: &'a str,
}

impl<'a> HistoryEntry<'a> {
    /// From the trees; `None` if it is malformed.
    pub(super) fn read(key: &[u8], value: &'a [u8]) -> Option<Self> {
        let (shape, target) = value.split_first_chunk()?;
        Self::new(key.get(2..)?.try_into().ok()?, u16::from_be_bytes(*shape), target)
    }

    /// `None` if it is malformed.
    pub(super) fn new(key: &EntryKey, shape: u16, target: &'a [u8]) -> Option<Self> {
        Some(Self {
            time: from_bytes(key.get(TIME_AT..SEQ_AT)?.try_into().ok()?),
            seq: entry_seq(key),
            shape,
            target: std::str::from_utf8(target).ok()?,
        })
    }

    /// Event time in ms; `None` if [`time_bits`] had to cut it.
    pub(super) fn millis(&self) -> Option<i64> {
        (1..TIME_BITS_MAX).contains(&self.time).then(|| self.time.wrapping_sub(ZERO_TIME).cast_signed())
    }
}

/// Greatest [`time_bits`].
pub(super) const TIME_BITS_MAX: u64 = (1 << 48) - 1;

/// Milliseconds in 48 bits that sort like them. Times more than 4 400 years from 1970 share the ends; who needs their
/// order compares the events.
pub(super) fn time_bits(millis: i64) -> u64 {
    const ZERO: i64 = ZERO_TIME.cast_signed();
    millis.clamp(-ZERO, ZERO - 1).wrapping_add(ZERO).unsigned_abs()
}

/// [`time_bits`] of 1970.
const ZERO_TIME: u64 = 1 << 47;

/// Hash and position of an event with an id of the client's: one entry each, no value.
pub(super) const ID_BYTES: usize = 8 + SEQ_BYTES;

pub(super) type IdKey = [u8; ID_BYTES];

/// Key of the id index.
pub(super) fn id_key(hash: u64, seq: Seq) -> IdKey {
    let mut key = [0; ID_BYTES];
    key[..8].copy_from_slice(&hash.to_be_bytes());
    key[8..].copy_from_slice(&log_key(seq));
    key
}

/// Position in a key of the id index.
pub(super) fn id_entry(key: &[u8]) -> Option<Seq> {
    seq_of(key.get(8..)?)
}

/// Hash of a client's event id; readers compare the event itself, so a collision costs time only.
pub(super) fn id_hash(id: &str) -> u64 {
    mix(fnv(FNV_BASIS, id.as_bytes()))
}

const FNV_BASIS: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a, <https://www.rfc-editor.org/rfc/rfc9923>.
fn fnv(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// Finalizer of SplitMix64: spreads the last bytes, to which FNV is weak, over all bits.
fn mix(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// Random part of the ids that a scope generates: with it an id says by itself whether and where its event is.
pub(super) type Tag = [u8; 10];

/// Generated id: the scope's tag and the position as 32 lower-case hex digits.
#[derive(Default)]
pub(super) struct GeneratedId([u8; 32]);

impl GeneratedId {
    pub(super) fn new(tag: Tag, seq: Seq) -> Self {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut digits = [0; 32];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(tag.into_iter().chain(log_key(seq))) {
            pair[0] = HEX[usize::from(byte >> 4)];
            pair[1] = HEX[usize::from(byte & 15)];
        }
        Self(digits)
    }

    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The position in an id that this scope could have generated.
    pub(super) fn parse(tag: Tag, id: &str) -> Option<Seq> {
        let digits: &[u8; 32] = id.as_bytes().try_into().ok()?;
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = hex(pair[0])? << 4 | hex(pair[1])?;
        }
        (bytes[..10] == tag).then(|| seq_of(&bytes[10..]))?
    }
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn epochs_grow_with_the_store_and_never_go_back() {
        let unit = 1 << 20;
        assert_eq!([0, 1, 15, 16, 17, 18].map(|units| epoch(units * unit)), [0, 1, 15, 16, 16, 17]);
        assert_eq!([epoch((1 << 25) - 1), epoch(1 << 25), epoch((1 << 30) - 1)], [23, 24, 63]);
        let mut last = 0;
        for seq in (0..1u64 << 32).step_by(1 << 19) {
            let next = epoch(seq);
            assert!(next == last || next == last + 1, "{seq}");
            last = next;
        }
        assert!(epoch(SEQ_END - 1) < 256);
    }

    proptest! {
        #[test]
        fn histories_sort_by_time_then_position(a in any::<(i32, u32)>(), b in any::<(i32, u32)>()) {
            let key = |(millis, seq): (i32, u32)| {
                history_key(0, &entry_bound([7; HASH_BYTES], time_bits(i64::from(millis)), u64::from(seq)))
            };
            prop_assert_eq!(key(a).cmp(&key(b)), a.cmp(&b));
            let (mut value, time) = (Vec::new(), time_bits(i64::from(a.0)));
            let entry = HistoryEntry { time, seq: u64::from(a.1), shape: 258, target: "tea" };
            prop_assert_eq!(HistoryEntry::read(&key(a), history_value(258, b"tea", &mut value)), Some(entry));
            prop_assert_eq!(entry.millis(), Some(i64::from(a.0)));
        }

        #[test]
        fn a_generated_id_names_its_position(tag in any::<Tag>(), other in any::<Tag>(), seq in 0..SEQ_END) {
            let id = GeneratedId::new(tag, seq);
            prop_assert_eq!(GeneratedId::parse(tag, id.as_str()), Some(seq));
            prop_assert_eq!(GeneratedId::parse(other, id.as_str()).is_some(), tag == other);
            prop_assert_eq!(GeneratedId::parse(tag, &id.as_str().to_uppercase()).is_some(),
                !id.as_str().contains(|c: char| c.is_ascii_lowercase()));
        }
    }

    #[test]
    fn times_beyond_48_bits_saturate() {
        assert_eq!(time_bits(i64::MIN), 0);
        assert_eq!(time_bits(i64::MAX), TIME_BITS_MAX);
        assert!(time_bits(-1) < time_bits(0));
    }
}
