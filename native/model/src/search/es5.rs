//! How Elasticsearch 5.5 spreads and scores documents, for answers equal to the original's to the last bit.

use super::order::Permutation;
use crate::Model;
use crate::bits::Bits;
use crate::format::FieldAt;

/// Shards of an index in the original's default settings.
pub(crate) const SHARDS: usize = 5;

/// Where each item would live in an index of five shards, and what follows from it. Made at the first query that needs it.
#[derive(Debug)]
pub(crate) struct Shards {
    /// Shard of each item row.
    of: Vec<u8>,
    /// By ranking, then shard, then id.
    pub(super) ranked: Permutation,
    /// By shard, then id.
    pub(super) unranked: Permutation,
    /// Per field of the model: documents with a value, by shard.
    pub(super) documents: Vec<[u32; SHARDS]>,
}

impl Shards {
    pub(crate) fn new(model: &Model) -> Self {
        let of: Vec<u8> = (0..model.items()).map(|row| shard(model.item(row).unwrap_or_default())).collect();
        let shard_of = |row: &u32| of.get(*row as usize).copied();
        // The sorts are stable, and rows are in the order of ids.
        let mut unranked: Vec<u32> = (0..model.items()).collect();
        unranked.sort_by_key(shard_of);
        let mut ranked: Vec<u32> = model.order().iter().collect();
        for ties in ranked.chunk_by_mut(|a, b| model.same_ranks(*a, *b)) {
            ties.sort_by_key(shard_of);
        }
        let [ranked, unranked] = [ranked, unranked].map(Permutation::new);
        let of_field = |field: &FieldAt| {
            let rows: Bits = field.postings(model.as_bytes()).rows.iter().collect();
            count(&of, rows.iter())
        };
        let documents = model.fields().iter().map(of_field).collect();
        Self { of, ranked, unranked, documents }
    }

    /// Shard of an item of the model.
    #[inline]
    pub(crate) fn of(&self, row: u32) -> Option<u8> {
        self.of.get(row as usize).copied()
    }
}

/// How many of `rows` lie in each shard.
fn count(of: &[u8], rows: impl Iterator<Item = u32>) -> [u32; SHARDS] {
    let mut counts = [0; SHARDS];
    for row in rows {
        if let Some(count) = of.get(row as usize).and_then(|shard| counts.get_mut(usize::from(*shard))) {
            *count += 1;
        }
    }
    counts
}

/// The shard, of five, in which the systems that we succeed keep an item.
pub fn es5_shard(id: &str) -> u8 {
    shard(id)
}

/// The shard of a document: hash of its id's UTF-16 bytes, modulo.
pub(crate) fn shard(id: &str) -> u8 {
    let bytes: Vec<u8> = id.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let remainder = murmur3(&bytes).cast_signed().rem_euclid(5); // SHARDS
    u8::try_from(remainder).unwrap_or(0)
}

/// MurmurHash3 x86 32 bit with seed 0, after Austin Appleby's public domain description.
fn murmur3(bytes: &[u8]) -> u32 {
    let mix = |block: u32| block.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    let (blocks, tail) = bytes.as_chunks::<4>();
    let mut hash = 0u32;
    for block in blocks {
        hash = (hash ^ mix(u32::from_le_bytes(*block)))
            .rotate_left(13)
            .wrapping_mul(5)
            .wrapping_add(0xe654_6b64);
    }
    let rest = tail.iter().rev().fold(0, |rest, byte| rest << 8 | u32::from(*byte));
    // Ids are far shorter than 4 GiB.
    hash ^= mix(rest) ^ u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    hash ^ hash >> 16
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hashes and shards as running servers reported them.
    #[test]
    fn hashes_of_servers() {
        for (id, hash, place) in [
            ("Galaxy", 557_155_236, 1),
            ("Ipad-retina", 1_093_406_162, 2),
            ("Iphone 4", 546_465_667, 2),
            ("Iphone 5", 282_050_689, 4),
            ("Iphone 6", -1_481_330_850, 0),
            ("Nexus", -1_919_046_675, 0),
            ("Surface", 984_761_778, 3),
        ] {
            let bytes: Vec<u8> = id.encode_utf16().flat_map(u16::to_le_bytes).collect();
            assert_eq!(murmur3(&bytes).cast_signed(), hash, "{id}");
            assert_eq!(shard(id), place, "{id}");
        }
    }

    /// Published vectors of MurmurHash3_x86_32, one per tail length.
    #[test]
    fn murmur_vectors() {
        for (text, hash) in
            [("", 0), ("a", 0x3c25_69b2), ("ab", 0x9bbf_d75f), ("abc", 0xb3dd_93fa), ("abcd", 0x43ed_676a)]
        {
            assert_eq!(murmur3(text.as_bytes()), hash, "{text}");
        }
    }
}
