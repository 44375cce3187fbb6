use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn offsets(offsets: &[u64]) -> Vec<u8> {
    offsets.iter().flat_map(|offset| offset.to_le_bytes()).collect()
}

#[test]
fn ids_follow_the_bytes() {
    let dictionary = Dictionary::from_strings(["b", "", "ä", "a", "b", "aa", "🙂"]).unwrap();
    assert_eq!(dictionary.iter().collect::<Vec<_>>(), ["", "a", "aa", "b", "ä", "🙂"]);
    assert_eq!((dictionary.find("aa"), dictionary.find("c"), dictionary.get(6)), (Some(2), None, ""));
    assert_eq!(Dictionary::default(), Dictionary::from_strings([]).unwrap());
}

#[test]
fn the_key_never_changes() {
    // Computed apart from this code.
    assert_eq!(key(b""), 0xf52a_15e9_a9b5_e89b);
    assert_eq!(key(b"i1"), 0xa4fa_d3c5_239b_3a65);
    assert_eq!(key("🙂".as_bytes()), 0x4b58_a8eb_c14e_f4b5);
}

#[test]
fn damaged_sections_are_errors_and_never_panic() {
    let parts = |text: &[u8], starts: &[u64]| Dictionary::from_sorted_parts(text.to_vec(), offsets(starts));
    assert!(parts(b"ab", &[0, 1, 2]).is_ok());
    assert_eq!(parts(b"ba", &[0, 1, 2]), Err(DictionaryError::Order(1)));
    assert_eq!(parts(b"aa", &[0, 1, 2]), Err(DictionaryError::Order(1)));
    assert_eq!(parts(b"\xff", &[0, 1]), Err(DictionaryError::Utf8(0)));
    for starts in [&[][..], &[1, 2], &[0, 1], &[0, 3], &[0, 2, 1, 2], &[0, u64::MAX, 2]] {
        assert!(matches!(parts(b"ab", starts), Err(DictionaryError::Offsets(_))), "{starts:?}");
    }
    let starts = offsets(&[0, u64::MAX, 1, 2]);
    let view = DictionaryView::new(b"ab", &starts).unwrap();
    assert_eq!((view.get(0), view.get(1), view.get(2), view.find("b").is_some()), ("", "", "b", false));
}

#[test]
fn many_strings_with_a_common_prefix() {
    let names: Vec<String> = (0..20_000).map(|number| format!("user-{}", number * 7919 % 20_011)).collect();
    let dictionary = Dictionary::from_strings(names.iter().map(String::as_str)).unwrap();
    let sorted: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    assert!(dictionary.iter().eq(sorted.iter().copied()));
    dictionary.view().validate().unwrap();
    assert!(names.iter().all(|name| dictionary.find(name).map(|id| dictionary.get(id)) == Some(name)));
}

proptest! {
    #[test]
    fn equals_a_sorted_set(strings in prop::collection::vec("[ab\u{e4}]{0,12}", 0..150), kept in any::<u8>()) {
        let mut builder = DictionaryBuilder::new();
        let first: Vec<u32> = strings.iter().map(|string| builder.intern(string).unwrap()).collect();
        let mut batched = DictionaryBuilder::new();
        for batch in strings.chunks(DictionaryBuilder::BATCH) {
            let full = std::array::from_fn(|index| batch.get(index).map_or("", String::as_str));
            let ids = batched.intern_batch(&full).unwrap();
            for (id, string) in ids.iter().zip(full) {
                prop_assert_eq!(batched.get(*id), string);
            }
        }
        for (id, string) in first.iter().zip(&strings) {
            prop_assert_eq!(builder.get(*id), string);
        }
        let keep = |string: &str| string.len() & usize::from(kept) != 0;
        let expected: BTreeSet<&str> = strings.iter().map(String::as_str).filter(|string| keep(string)).collect();
        let names: Vec<String> = (0..builder.len()).map(|id| builder.get(id).to_owned()).collect();
        let (dictionary, ids) = builder.finish_kept(|id| keep(&names[id as usize]));
        prop_assert!(dictionary.iter().eq(expected.iter().copied()));
        for (name, id) in names.iter().zip(ids) {
            let found = if keep(name) { dictionary.find(name).unwrap() } else { DictionaryBuilder::DROPPED };
            prop_assert_eq!(id, found);
        }
        let again = Dictionary::from_sorted_parts(dictionary.bytes().to_vec(), dictionary.offsets().to_vec());
        prop_assert_eq!(again, Ok(dictionary));
    }
}
