//! A train in pieces: portions read apart, items counted apart, the same model.

use std::ops::ControlFlow;
use std::sync::Arc;

use engine::{Counting, Error, Portion, Summing, Trained};
use events::{EventStore, Kind};
use proptest::prelude::*;

use super::shop::{NOW, SCOPE, Shop, Silent, bytes, config, outdoor};

/// Every event of the shop goes to the portion that `of` names; portions travel, and so do the blocks.
fn in_pieces(shop: &Shop, parameters: &str, of: impl Fn(usize) -> usize, block: u32) -> Trained {
    let config = Arc::new(config(parameters));
    let mut portions: Vec<Portion> = (0..4).map(|_| Portion::new(Arc::clone(&config), NOW)).collect();
    let mut number = 0;
    shop.store
        .scan(SCOPE, &mut |event| {
            portions[of(number) % 4].push(event).unwrap();
            number += 1;
            ControlFlow::Continue(())
        })
        .unwrap();
    let mut all = Portion::new(config, NOW);
    portions.into_iter().rev().for_each(|portion| all.merge(&portion.into_bytes()).unwrap());
    let mut training = all.prepare(None, 2, &Silent).unwrap();
    training.check().unwrap();
    let correlating = training.correlating().unwrap();
    let counting = Counting::from_bytes(&correlating.counting(0, 1).unwrap()).unwrap();
    let parts: Vec<Counting> =
        (0..3).map(|part| Counting::from_bytes(&correlating.counting(part, 3).unwrap()).unwrap()).collect();
    for indicator in 0..counting.indicators() {
        for first in (0..counting.items()).step_by(block as usize) {
            let counted = counting.block(indicator, first..first + block).unwrap();
            let mut sums = Summing::new(&parts[1], indicator, first..first + block).unwrap();
            parts.iter().for_each(|part| sums.add(part).unwrap());
            assert_eq!(sums.block(), counted);
            correlating.add(&counted.to_bytes()).unwrap();
        }
    }
    assert!(correlating.counting(3, 3).is_none());
    training.assemble().unwrap()
}

const RANKED: &str = r#""rankings":[{"name":"pop","type":"popular"},{"name":"t","type":"trending"},{"name":"r","type":"random"},
    {"name":"price","type":"userDefined"}],"maxEventsPerEventType":2"#;

#[test]
fn pieces_make_the_same_model_and_report() {
    let shop = outdoor().stored();
    let pieces = in_pieces(&shop, RANKED, |number| number, 2);
    let whole = shop.train(RANKED, 1).unwrap();
    assert_eq!(pieces.report, whole.report);
    assert_eq!(bytes(&pieces), bytes(&whole));
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let portion = |parameters: &str, now| Portion::new(Arc::new(config(parameters)), now);
    let mut own = portion("", NOW);
    for (parameters, now) in [("", NOW + 1), (RANKED, NOW)] {
        let error = own.merge(&portion(parameters, now).into_bytes()).unwrap_err();
        assert!(matches!(error, Error::OtherEngine), "{error}");
        assert_eq!(error.kind(), Kind::Version);
    }
    let mut bytes = portion("", NOW).into_bytes();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    assert_eq!(own.merge(&bytes).unwrap_err().kind(), Kind::Corrupt);
    assert!(Counting::from_bytes(&bytes).is_err());
}

#[test]
fn blocks_must_follow_each_other_and_be_complete() {
    let mut portion = Portion::new(Arc::new(config("")), NOW);
    portion.push_pairs(0, [("u", "a"), ("u", "b"), ("v", "c")].into_iter()).unwrap();
    assert_eq!(portion.push_pairs(2, [("u", "a")].into_iter()).unwrap_err().kind(), Kind::Invalid);
    let mut training = portion.prepare(None, 1, &Silent).unwrap();
    let correlating = training.correlating().unwrap();
    let counting = Counting::from_bytes(&correlating.counting(0, 1).unwrap()).unwrap();
    let block = |indicator, items| counting.block(indicator, items).unwrap().to_bytes();
    assert!(correlating.add(&block(0, 1..3)).is_err(), "the first is missing");
    correlating.add(&block(0, 0..1)).unwrap();
    assert!(correlating.add(&block(0, 0..1)).is_err(), "twice");
    correlating.add(&block(0, 1..9)).unwrap();
    assert!(counting.block(2, 0..1).is_err());
    assert_eq!(training.assemble().unwrap_err().kind(), Kind::Corrupt, "the second indicator is missing");
}

#[test]
fn lines_are_interactions() {
    let mut portion = Portion::new(Arc::new(config("")), NOW);
    portion.push_text(0, b"u,a\r\nu\tb\n\nv,c").unwrap();
    assert_eq!(portion.events(), 3);
    let error = portion.push_text(1, b"u,a\nno separator\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "not user,item (comma or tab, no quoting): there is no separator, in: no separator"
    );
    assert!(portion.push_text(2, b"").is_err(), "there is no third indicator");
    let training = portion.prepare(None, 1, &Silent).unwrap();
    assert_eq!(training.report().indicators[0].cells, 3);
}

proptest! {
    #[test]
    fn any_pieces_make_the_same_model(
        deeds in prop::collection::vec((0_u8..9, any::<bool>(), 0_u8..9), 1..60),
        places in prop::collection::vec(0_usize..4, 100),
        block in 1_u32..5,
    ) {
        let mut shop = Shop::new().does("u", "buy", &["a"]).item("a", r#"{"p":[1,"x"]}"#);
        for (user, bought, item) in deeds {
            let event = if bought { "buy" } else { "view" };
            shop = shop.does(&format!("u{user}"), event, &[&format!("i{item}")]);
        }
        let shop = shop.stored();
        let pieces = in_pieces(&shop, RANKED, |number| places[number], block);
        prop_assert_eq!(bytes(&pieces), shop.bytes(RANKED, 1));
    }
}
