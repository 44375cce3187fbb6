//! Damaged and forged files: a typed error or sound answers, never a panic.

use std::ops::Range;
use std::sync::LazyLock;

use model::{Bounds, Clause, Condition, ErrorKind, FORMAT, Model, Scoring, SearchPlan};
use proptest::prelude::*;

use crate::build::{self, Document, Documents};

const ENTRY: usize = 32;
const TAIL: usize = 32;

static SMALL: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let strings = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
    let document = |things: &[&str], colour: &str, price: &[f64], rank: f32| Document {
        correlators: [("view".to_owned(), strings(things)), ("buy".to_owned(), strings(&things[1..]))].into(),
        keywords: [("colour".to_owned(), strings(&[colour, "blue"]))].into(),
        numbers: [("price".to_owned(), price.to_vec())].into(),
        dates: [("until".to_owned(), vec![1_700_000_000_000])].into(),
        ranks: [("popRank".to_owned(), rank)].into(),
        text: Some(format!(r#"{{"colour":"{colour}"}}"#)),
    };
    let documents: Documents = [
        ("a".to_owned(), document(&["x", "y"], "red", &[1.0], 3.0)),
        ("bé".to_owned(), document(&["y", "z", "w"], "green", &[1.0, 2.0], f32::NAN)),
        ("c".to_owned(), document(&["z"], "red", &[5.0], 1.0)),
        ("d".to_owned(), Document::default()),
    ]
    .into();
    build::bytes(&build::parts(&documents, &["view", "buy"], &["popRank"]))
});

/// Uses everything that a model offers.
fn use_all(model: &Model) {
    let values = |field: &str| Clause {
        field: field.to_owned(),
        values: ["x", "y", "z", "red", "blue"].map(str::to_owned).to_vec(),
        boost: 2.0,
    };
    let bounds =
        |field: &str, dates| Bounds { field: field.to_owned(), dates, gte: Some(1.0), ..Bounds::default() };
    for scoring in [Scoring::Global, Scoring::Es5Compat] {
        for must in [
            Vec::new(),
            vec![Condition::Values(values("colour"))],
            vec![Condition::Within(bounds("until", true))],
        ] {
            let plan = SearchPlan {
                should: vec![values("view"), values("buy"), values("colour")],
                should_within: vec![(bounds("price", false), 1.0)],
                must,
                must_not: vec![Condition::Within(bounds("price", true))],
                exclude_items: vec!["a".to_owned()],
                factors: vec![(Condition::Values(values("colour")), 2.0)],
                by_ranking: true,
                scoring,
                from: 0,
                num: usize::MAX,
            };
            for hit in model.search(&plan) {
                assert!(hit.item < model.items());
                model.explain(&plan, hit.item);
            }
        }
    }
    for row in (0..model.items().min(100)).chain([u32::MAX]) {
        model.item(row).map(|id| model.find(id));
        model.document(row);
        assert!(model.ranks(row).count() <= model.rankings().count());
        assert!(model.indicators().all(|name| model.correlators(name, row).count() < 1000));
    }
    model.counts();
}

#[test]
fn the_sound_file_opens() {
    let model = Model::from_bytes(SMALL.clone()).unwrap();
    use_all(&model);
    assert_eq!(model.document(0), Some(r#"{"colour":"red"}"#));
    assert_eq!(model.document(3), None);
    assert_eq!(model.ranks(1).count(), 0, "NaN is no rank");
    assert_eq!(model.counts().correlators, 6 + 3);
}

#[test]
fn every_flipped_byte_is_noticed() {
    for place in 0..SMALL.len() {
        for bits in [0x01, 0x80, 0xff] {
            let mut bytes = SMALL.clone();
            bytes[place] ^= bits;
            let error = Model::from_bytes(bytes).expect_err("a flipped byte");
            let expected = if (8..12).contains(&place) { ErrorKind::Version } else { ErrorKind::Corrupt };
            assert_eq!(error.kind(), expected, "byte {place}: {error}");
        }
    }
}

#[test]
fn every_truncation_is_noticed() {
    for length in 0..SMALL.len() {
        let error = Model::from_bytes(SMALL[..length].to_vec()).expect_err("a cut file");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{length} bytes: {error}");
    }
    let longer = [SMALL.as_slice(), &[0; 8]].concat();
    assert_eq!(Model::from_bytes(longer).unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn other_formats_say_retrain() {
    for format in [0, FORMAT + 1, u32::MAX] {
        let mut bytes = SMALL.clone();
        bytes[8..12].copy_from_slice(&format.to_le_bytes());
        let error = Model::from_bytes(repaired(bytes)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Version);
        assert!(error.to_string().contains("retrain"), "{error}");
    }
}

#[test]
fn what_is_no_model_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.arblast");
    assert_eq!(Model::open(&path).unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(Model::open(folder.path()).unwrap_err().kind(), ErrorKind::Corrupt);
    for content in [&b""[..], b"hello", &[0; 4096]] {
        std::fs::write(&path, content).unwrap();
        let error = Model::open(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains("model.arblast"), "{error}");
    }
    std::fs::write(&path, &*SMALL).unwrap();
    use_all(&Model::open(&path).unwrap());
}

fn u64_at(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?)).ok()
}

fn table(bytes: &[u8]) -> Option<Range<usize>> {
    let end = bytes.len().checked_sub(TAIL)?;
    let start = u64_at(bytes, end)?;
    (start <= end).then_some(start..end)
}

/// With checksums that fit the content, as a forger would leave them.
fn repaired(mut bytes: Vec<u8>) -> Vec<u8> {
    let Some(table) = table(&bytes) else { return bytes };
    for entry in table.clone().step_by(ENTRY).filter(|entry| entry + ENTRY <= table.end) {
        let (Some(offset), Some(length)) = (u64_at(&bytes, entry + 8), u64_at(&bytes, entry + 16)) else {
            continue;
        };
        let padded = length.checked_next_multiple_of(8).and_then(|length| offset.checked_add(length));
        let Some(section) = padded.and_then(|end| bytes.get(offset..end)) else { continue };
        let crc = crc32fast::hash(section);
        bytes[entry + 24..entry + 28].copy_from_slice(&crc.to_le_bytes());
    }
    let tail = table.end;
    let mut crc = crc32fast::Hasher::new();
    [&bytes[..16], &bytes[table], &bytes[tail..tail + 20]].iter().for_each(|part| crc.update(part));
    bytes[tail + 20..tail + 24].copy_from_slice(&crc.finalize().to_le_bytes());
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Model::from_bytes(bytes).is_err());
    }

    /// Hostile content behind checksums that are right.
    #[test]
    fn forged_files(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut bytes = SMALL.clone();
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        match Model::from_bytes(repaired(bytes)) {
            Ok(model) => use_all(&model),
            Err(error) => prop_assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Version)),
        }
    }
}

/// Ids and rows beyond the end, behind checksums that are right: number of the section kind, and where in it.
#[test]
fn ids_beyond_the_end_are_noticed() {
    for kind in [5u32, 8, 9, 11, 14, 15] {
        let mut bytes = SMALL.clone();
        let table = table(&bytes).unwrap();
        let of_kind =
            |entry: &usize| bytes[*entry..*entry + 4] == kind.to_le_bytes() && bytes[*entry + 16] > 0;
        let entry = table.step_by(ENTRY).find(of_kind).unwrap();
        let end = u64_at(&bytes, entry + 8).unwrap() + u64_at(&bytes, entry + 16).unwrap();
        // The last, so that the order stays as it should be; 4 items, at most 4 things.
        bytes[end - 4..end].copy_from_slice(&4u32.to_le_bytes());
        let error = Model::from_bytes(repaired(bytes)).expect_err("an id beyond the end");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "section {kind}");
        assert!(!error.to_string().contains("checksum"), "section {kind}: {error}");
    }
}

/// Every byte, forged, to a few values that hurt most.
#[test]
fn every_forged_byte() {
    let mut opened = 0;
    for place in 0..SMALL.len() {
        for byte in [0, 1, 7, 0x7f, 0x80, 0xff] {
            let mut bytes = SMALL.clone();
            bytes[place] = byte;
            if let Ok(model) = Model::from_bytes(repaired(bytes)) {
                opened += 1;
                use_all(&model);
            }
        }
    }
    assert!(opened > 100, "the forgery must get past the checksums: {opened}");
}
