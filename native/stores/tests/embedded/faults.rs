//! Damage, full disks and places that cannot be written.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;

use events::{EventFilter, EventStore, Kind};
use stores::Embedded;

use crate::child::{SCOPE, command, event};

fn filled(directory: &Path) {
    let store = Embedded::open(directory).unwrap();
    store.init(SCOPE).unwrap();
    let batch: Vec<_> = (0..3000).map(|n| event(Some(format!("id{n}")), &format!("entity{n}"), n)).collect();
    store.append(SCOPE, &batch).unwrap();
}

/// Opens and reads everything in every way; the first error.
fn read_everything(directory: &Path) -> Result<u64, Kind> {
    let read = || -> events::Result<u64> {
        let store = Embedded::open(directory)?;
        let mut count = 0;
        store.scan(SCOPE, &mut |_| {
            count += 1;
            ControlFlow::Continue(())
        })?;
        for n in 0..3000 {
            store.get(SCOPE, &format!("id{n}"))?;
            let filter = EventFilter {
                entity_type: Some("user".into()),
                entity_id: Some(format!("entity{n}")),
                ..EventFilter::default()
            };
            store.find(SCOPE, &filter, &mut |_| ControlFlow::Continue(()))?;
        }
        Ok(count)
    };
    read().map_err(|error| error.kind())
}

#[test]
fn a_changed_record_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    filled(directory.path());
    assert_eq!(read_everything(directory.path()), Ok(3000));
    let file = directory.path().join("data.mdb");
    let mut bytes = fs::read(&file).unwrap();
    let places: Vec<usize> = bytes
        .windows(10)
        .enumerate()
        .filter(|(_, window)| *window == b"entity1234")
        .map(|(at, _)| at)
        .collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at + 3] ^= 1;
    }
    fs::write(&file, bytes).unwrap();
    assert_eq!(read_everything(directory.path()), Err(Kind::Corrupt));
}

#[test]
fn a_truncated_file_is_noticed() {
    let whole = tempfile::tempdir().unwrap();
    filled(whole.path());
    let bytes = fs::read(whole.path().join("data.mdb")).unwrap();
    for part in [1, 2, 3, 5, 7] {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("data.mdb"), &bytes[..bytes.len() * part / 8]).unwrap();
        assert_eq!(read_everything(directory.path()), Err(Kind::Corrupt), "{part}/8 of the file");
    }
}

#[test]
fn another_file_is_no_store() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("data.mdb"), "something else ".repeat(1000)).unwrap();
    let error = Embedded::open(directory.path()).err().unwrap();
    assert_eq!(error.kind(), Kind::Corrupt);
    assert!(error.to_string().contains(directory.path().to_str().unwrap()), "{error}");
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    // A file that is in the way does not go by itself.
    for (path, kind) in [
        (file.join("store"), Kind::Invalid),
        ("/proc/no/store".into(), Kind::Unavailable),
        ("/sys/store".into(), Kind::Unavailable),
    ] {
        let error = Embedded::open(&path).err().unwrap();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
}

/// Readers write to its map, and where there is no space for that the system ends the process.
#[test]
fn the_lock_file_has_all_its_space_from_the_beginning() {
    use std::os::unix::fs::MetadataExt;
    let directory = tempfile::tempdir().unwrap();
    filled(directory.path());
    let lock = fs::metadata(directory.path().join("lock.mdb")).unwrap();
    assert_eq!(lock.len(), 192 + 64 * 1023, "the length that the storage engine wants");
    assert!(lock.blocks() * 512 >= lock.len(), "{} blocks for {} bytes", lock.blocks(), lock.len());
    assert_eq!(lock.mode() & 0o777, 0o600, "nobody else may hold locks");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2, "nothing else is left");
}

/// A limit of the file size stands for a full disk: writes fail in the middle of a commit.
#[test]
fn a_full_disk_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let child = command("fill", directory.path(), "f");
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "trap '' XFSZ; ulimit -f 8192; exec \"$0\" \"$@\""])
        .arg(child.get_program())
        .args(child.get_args());
    for (name, value) in child.get_envs() {
        shell.env(name, value.unwrap());
    }
    let output = shell.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let failure = text.lines().find(|line| line.starts_with('!')).expect("an error");
    assert!(
        failure.starts_with("! Unavailable no space left for") || failure.contains("disk is full"),
        "{failure}"
    );
    let stored: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("+ ")?.split(' ').next()).collect();
    assert!(stored.len() > 10);
    let store = Embedded::open(directory.path()).unwrap();
    for id in &stored {
        assert!(store.get(SCOPE, id).unwrap().is_some(), "{id} is lost");
    }
    assert_eq!(store.count(SCOPE).unwrap(), stored.len() as u64);
    store.append(SCOPE, &[event(None, "u", 1)]).unwrap();
}
