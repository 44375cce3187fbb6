//! Same parts, same bytes; contradictory parts, a reason.

use cco::Correlators;
use model::{ErrorKind, ModelParts, PropertyPart, RankingPart};

use crate::build::{self, Document, Documents};

fn parts() -> ModelParts {
    let things = |list: &[&str]| list.iter().map(|thing| (*thing).to_owned()).collect();
    let document = |list: &[&str]| Document {
        correlators: [("view".to_owned(), things(list))].into(),
        ..Document::default()
    };
    let documents: Documents =
        [("a".to_owned(), document(&["x", "y"])), ("b".to_owned(), document(&["y"]))].into();
    let mut parts = build::parts(&documents, &["view"], &["popRank"]);
    parts.properties = vec![PropertyPart {
        name: "colour".into(),
        keywords: vec![(0, "red".into()), (1, "red".into()), (0, "blue".into())],
        numbers: vec![(0, 2.0), (0, -1.0), (1, 0.5)],
        dates: vec![(1, 9), (0, 3), (1, -9)],
    }];
    parts.documents = vec![(1, "{}".into())];
    parts
}

#[test]
fn the_order_of_pairs_does_not_matter() {
    let expected = build::bytes(&parts());
    let mut shuffled = parts();
    let property = &mut shuffled.properties[0];
    property.keywords.reverse();
    property.keywords.push((1, "red".into()));
    property.numbers.rotate_left(1);
    property.numbers.push((1, f64::NAN));
    property.dates.reverse();
    assert_eq!(build::bytes(&shuffled), expected);
    let zero = |zero: f32| {
        let mut parts = parts();
        parts.rankings[0].values = vec![(0, zero), (1, f32::NAN)];
        build::bytes(&parts)
    };
    assert_eq!(zero(-0.0), zero(0.0));
    let mut other = parts();
    other.properties[0].dates[0].1 += 1;
    assert_ne!(build::bytes(&other), expected);
}

#[test]
fn the_digest_is_that_of_sha256() {
    let mut bytes = Vec::new();
    let written = model::write(&parts(), &mut bytes).unwrap();
    let digest = <sha2::Sha256 as sha2::Digest>::digest(&bytes);
    let expected: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(written.digest, expected);
}

#[test]
fn an_empty_model_is_a_model() {
    let empty = ModelParts {
        items: build::dictionary([]),
        indicators: Vec::new(),
        properties: Vec::new(),
        rankings: Vec::new(),
        documents: Vec::new(),
        users: 0,
    };
    let model = build::model(&empty);
    assert_eq!(model.items(), 0);
    let plan = model::SearchPlan { by_ranking: true, num: 10, ..model::SearchPlan::default() };
    assert_eq!(model.search(&plan), []);
}

#[test]
fn contradictions_are_named() {
    let ranking = |values| RankingPart { name: "popRank".into(), values };
    type Spoil = Box<dyn Fn(&mut ModelParts)>;
    let cases: Vec<(&str, Spoil)> = vec![
        ("view", Box::new(|parts| parts.indicators[0].rows = vec![0, 2])),
        ("view", Box::new(|parts| parts.indicators[0].rows = vec![1, 0])),
        ("view", Box::new(|parts| parts.indicators[0].rows = vec![1])),
        ("thing 7", Box::new(|parts| parts.indicators[0].correlators.things[0] = 7)),
        ("twice", Box::new(|parts| parts.indicators[0].correlators.things[0] = 1)),
        ("LLR", Box::new(|parts| parts.indicators[0].correlators.llr[0] = f64::INFINITY)),
        ("LLR", Box::new(|parts| parts.indicators[0].correlators.llr[1] = 1e9)),
        ("offsets", Box::new(|parts| parts.indicators[0].correlators.offsets[1] = 9)),
        ("offsets", Box::new(|parts| parts.indicators[0].correlators.offsets.clear())),
        ("number", Box::new(|parts| parts.indicators[0].correlators = Correlators::new())),
        ("colour", Box::new(|parts| parts.properties[0].dates.push((2, 1)))),
        ("colour", Box::new(|parts| parts.properties[0].keywords.push((u32::MAX, String::new())))),
        (
            "sorted",
            Box::new(|parts| parts.properties.push(PropertyPart { name: "a".into(), ..Default::default() })),
        ),
        ("popRank", Box::new(move |parts| parts.rankings = vec![ranking(vec![(1, 1.0), (1, 1.0)])])),
        ("popRank", Box::new(move |parts| parts.rankings = vec![ranking(vec![]), ranking(vec![])])),
        ("documents", Box::new(|parts| parts.documents.push((0, "{}".into())))),
    ];
    for (number, (word, spoil)) in cases.iter().enumerate() {
        let mut parts = parts();
        spoil(&mut parts);
        let error = model::write(&parts, Vec::new()).expect_err("a contradiction");
        assert_eq!(error.kind(), ErrorKind::Invalid, "case {number}: {error}");
        assert!(error.to_string().contains(word), "case {number}: {error}");
    }
}

/// A disk that is full after some bytes.
struct Full(usize);

impl std::io::Write for Full {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let taken = bytes.len().min(self.0);
        self.0 -= taken;
        if taken == 0 && !bytes.is_empty() { Err(std::io::ErrorKind::StorageFull.into()) } else { Ok(taken) }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_is_an_error() {
    let length = build::bytes(&parts()).len();
    for space in 0..length {
        assert_eq!(model::write(&parts(), Full(space)).unwrap_err().kind(), ErrorKind::Io);
    }
    model::write(&parts(), Full(length)).unwrap();
}
