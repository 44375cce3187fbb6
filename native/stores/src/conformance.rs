//! What every [`Objects`] must do: run it against each. Fails by panicking, as tests do. And models that are quickly made.
#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "panics are how a suite says no")]

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use model::{Dictionary, ModelParts, RankingPart};

use crate::Objects;

/// A model with so many items, which tells it from others; each has a document of so many bytes.
pub fn model(items: u32, bytes_each: usize) -> ModelParts {
    let ids: Vec<String> = (0..items).map(|item| format!("item {item:05}")).collect();
    let document = |item| (item, format!("{{\"text\":\"{}\"}}", "x".repeat(bytes_each)));
    ModelParts {
        items: Dictionary::from_strings(ids.iter().map(String::as_str)).unwrap(),
        indicators: Vec::new(),
        properties: Vec::new(),
        rankings: vec![RankingPart { name: "popRank".into(), values: vec![(0, 1.0)] }],
        documents: (0..items).filter(|_| bytes_each > 0).map(document).collect(),
        users: 7,
    }
}

/// Checks `objects`, which is empty under `conformance`, and empties it again. `scratch` is a folder for local files.
pub fn objects(objects: &dyn Objects, scratch: &Path) {
    small_files(objects);
    names_are_any(objects);
    large_files(objects, scratch);
    folders(objects);
    one_of_many_creates(objects);
    nobody_reads_half(objects);
    objects.remove("conformance").unwrap();
    assert_eq!(objects.list("conformance").unwrap(), []);
}

fn small_files(objects: &dyn Objects) {
    let name = "conformance/small/file";
    assert_eq!(objects.get(name).unwrap(), None);
    assert!(objects.create(name, b"one").unwrap());
    assert!(!objects.create(name, b"two").unwrap());
    assert_eq!(objects.get(name).unwrap().unwrap(), b"one");
    objects.put(name, b"three").unwrap();
    assert_eq!(objects.get(name).unwrap().unwrap(), b"three");
    objects.put(name, b"").unwrap();
    assert_eq!(objects.get(name).unwrap().unwrap(), b"");
    objects.remove(name).unwrap();
    assert_eq!(objects.get(name).unwrap(), None);
    assert!(objects.create(name, b"four").unwrap(), "a name is free again");
}

/// As the folders of engines have them: `%` is a character of the name.
fn names_are_any(objects: &dyn Objects) {
    for name in ["shop%40shop", "%", "a-b_c.d", "%c3%bc%25", "%%0123456789abcdef"] {
        let name = format!("conformance/names/{name}/CURRENT");
        objects.put(&name, name.as_bytes()).unwrap();
        assert_eq!(objects.get(&name).unwrap().unwrap(), name.as_bytes());
    }
    let listed: Vec<String> =
        objects.list("conformance/names").unwrap().into_iter().map(|object| object.name).collect();
    assert_eq!(listed.len(), 5);
    for name in listed {
        assert_eq!(objects.get(&name).unwrap().unwrap(), name.as_bytes(), "a listed name is a name");
    }
}

fn large_files(objects: &dyn Objects, scratch: &Path) {
    let (from, name) = (scratch.join("from"), "conformance/large/model.arblast");
    let mut to =
        File::options().create(true).truncate(true).read(true).write(true).open(scratch.join("to")).unwrap();
    assert!(!objects.download(name, &mut to).unwrap());
    for bytes in [0, 1, 1 << 20, 21_234_567_usize] {
        let content: Vec<u8> =
            (0..bytes).map(|at| (at.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0]).collect();
        std::fs::write(&from, &content).unwrap();
        objects.upload(name, &from).unwrap();
        to.set_len(0).unwrap();
        to.rewind().unwrap();
        assert!(objects.download(name, &mut to).unwrap());
        let mut read = Vec::new();
        to.rewind().unwrap();
        to.read_to_end(&mut read).unwrap();
        assert!(read == content, "{bytes} bytes");
        let listed = objects.list("conformance/large").unwrap();
        assert_eq!((listed.len(), usize::try_from(listed[0].bytes).unwrap()), (1, bytes));
    }
    let missing = objects.upload(name, &scratch.join("missing")).unwrap_err().to_string();
    assert!(missing.contains("missing"), "{missing}");
}

fn folders(objects: &dyn Objects) {
    for name in ["a/1/x", "a/1/y", "a/2", "ab/1", "b"] {
        objects.put(&format!("conformance/folders/{name}"), name.as_bytes()).unwrap();
    }
    let names = |folder: &str| -> Vec<String> {
        let listed = objects.list(&format!("conformance/folders{folder}")).unwrap();
        let names = listed.into_iter().map(|object| object.name["conformance/folders/".len()..].to_owned());
        names.collect()
    };
    assert_eq!(names(""), ["a/1/x", "a/1/y", "a/2", "ab/1", "b"]);
    assert_eq!(names("/a"), ["a/1/x", "a/1/y", "a/2"], "a folder, not a beginning of names");
    assert_eq!(names("/nothing"), [""; 0]);
    objects.remove("conformance/folders/a").unwrap();
    assert_eq!(names(""), ["ab/1", "b"]);
    objects.remove("conformance/folders/a").unwrap();
    let listed = objects.list("conformance/folders").unwrap();
    assert!(listed.iter().all(|object| object.modified_ms > 1_600_000_000_000), "{listed:?}");
}

fn one_of_many_creates(objects: &dyn Objects) {
    let created = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..8_u8 {
            let created = &created;
            scope.spawn(move || {
                if objects.create("conformance/claimed", &[thread]).unwrap() {
                    created.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(created.into_inner(), 1);
    assert_eq!(objects.get("conformance/claimed").unwrap().unwrap().len(), 1);
}

fn nobody_reads_half(objects: &dyn Objects) {
    let name = "conformance/replaced";
    objects.put(name, &[b'a'; 10_000]).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for byte in *b"bcdefgh" {
                objects.put(name, &vec![byte; 10_000 + usize::from(byte)]).unwrap();
            }
        });
        for _ in 0..30 {
            let read = objects.get(name).unwrap().unwrap();
            let all_same = read.iter().all(|byte| *byte == read[0]);
            assert!(all_same && (read.len() == 10_000 || read.len() == 10_000 + usize::from(read[0])));
        }
    });
}
