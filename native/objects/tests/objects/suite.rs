//! What both do while all is well, and what is said of wrong names.

use std::sync::Arc;
use std::time::Duration;

use events::Kind;
use stores::{Objects, conformance};

use crate::machine::{Machine, soon};
use crate::servers::{Hdfs, Servers};

const HOUR_MS: i64 = 60 * 60 * 1000;

pub(crate) fn hdfs_conforms(servers: &Servers) {
    conforms(&servers.hdfs.place("suite/of%20HDFS"));
}

pub(crate) fn s3_conforms(servers: &Servers) {
    conforms(&servers.s3.place("suite/of%20S3"));
    conforms(&servers.s3.place(""));
}

fn conforms(place: &Arc<dyn Objects>) {
    conformance::objects(&**place, tempfile::tempdir().unwrap().path());
}

pub(crate) fn hdfs_is_followed(servers: &Servers) {
    is_followed(&servers.hdfs.place("followed"));
}

pub(crate) fn s3_is_followed(servers: &Servers) {
    is_followed(&servers.s3.place("followed"));
}

fn is_followed(place: &Arc<dyn Objects>) {
    let (trains, serves) = (Machine::new(place), Machine::new(place));
    assert_eq!(serves.models.reader().unwrap_err().kind(), Kind::NotFound);
    assert_eq!(trains.publish(1).unwrap(), 1);
    let reader = serves.models.reader().unwrap();
    for items in 2..=5 {
        assert_eq!(trains.publish(items).unwrap(), u64::from(items));
        let (served, took) = soon(&reader, u64::from(items));
        assert_eq!(served, items);
        assert!(took < Duration::from_secs(5), "a new generation serves after {took:?}");
    }
    assert_eq!(serves.models.rollback(None).unwrap(), 4);
    assert_eq!((trains.models.current().unwrap(), soon(&reader, 4).0), (Some(4), 4));
    assert_eq!((trains.numbers(), serves.numbers()), (vec![3, 4, 5], vec![3, 4, 5]));
    let large = trains.publish(4000).unwrap();
    let (items, took) = soon(&reader, large);
    println!(
        "  {} MB served {:.1} s after they were published",
        reader.current().info.bytes / 1_000_000,
        took.as_secs_f64()
    );
    assert_eq!(items, 4000);
    crowd(place);
}

/// Machines that publish at the same time get a number each.
fn crowd(place: &Arc<dyn Objects>) {
    // What is old would be removed under the feet of who still tries to take its number.
    let machines: Vec<Machine> = (0..3).map(|_| Machine::new(place).keeping(100)).collect();
    std::thread::scope(|scope| {
        for machine in &machines {
            scope.spawn(|| (1..=2).for_each(|items| assert!(machine.publish(items).unwrap() > 6)));
        }
    });
    assert_eq!(machines[0].models.current().unwrap(), Some(12), "the newest serves, not the slowest");
    assert_eq!(machines[1].numbers(), (4..=12).collect::<Vec<_>>());
}

/// As writers leave them that are killed: Hadoop's client writes under another name first.
pub(crate) fn left_overs_are_no_models(servers: &Servers) {
    let Servers { hdfs, .. } = servers;
    let place = hdfs.place("left");
    let trains = Machine::new(&place);
    trains.publish(1).unwrap();
    let engine = "default%40shop";
    let left = [
        "0000000009/.model.arblast.tmp.3",
        "tmp-run/deep/model.arblast",
        ".CURRENT.tmp.1",
        "0000000008/info.json",
    ];
    for name in left {
        place.put(&format!("{engine}/{name}"), b"half").unwrap();
    }
    // One that is still open, since its writer never closed it.
    interrupted(hdfs, &hdfs.url(format!("left/{engine}/0000000007/.model.arblast.tmp.1")));
    assert_eq!((trains.numbers(), trains.models.current().unwrap()), (vec![1], Some(1)));
    assert_eq!(trains.models.rollback(Some(9)).unwrap_err().kind(), Kind::NotFound);
    let files = |place: &Arc<dyn Objects>| place.list(engine).unwrap().into_iter().map(|object| object.name);
    trains.publish(2).unwrap();
    assert_eq!(files(&place).count(), 5 + left.len() + 1, "they may still be at work");
    let now_ms = place.list(engine).unwrap().iter().map(|object| object.modified_ms).max().unwrap();
    let number = trains.publish_at(3, now_ms + HOUR_MS + 1).unwrap();
    let found: Vec<String> = files(&place).collect();
    assert!(!found.iter().any(|name| name.contains("tmp") || name.contains("0000000008")), "{found:?}");
    assert_eq!((trains.numbers(), found.len()), (vec![1, 9, number], 7));
    let folders = hdfs.script("shell", &["-ls", &format!("/left/{engine}")]);
    assert!(!folders.contains("tmp-run") && !folders.contains("0000000007"), "{folders}");
}

/// Hadoop's own client is killed in the middle of a file.
fn interrupted(hdfs: &Hdfs, url: &str) {
    let shell = "head -c 3000000 /dev/zero; sleep 600";
    let script = format!(
        "exec {} shell {} -put - '{url}'",
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/hdfs"),
        hdfs.folder().display()
    );
    let mut source = std::process::Command::new("sh");
    let mut source = source.args(["-c", shell]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let input = source.stdout.take().unwrap();
    let mut put = std::process::Command::new("sh");
    let mut put = put.args(["-c", &script]).stdin(input).stderr(std::process::Stdio::null()).spawn().unwrap();
    let path = url.trim_start_matches("hdfs://arb");
    let since = std::time::Instant::now();
    while !hdfs.script("shell", &["-ls", "-R", "/left"]).contains(path.rsplit('/').next().unwrap()) {
        assert!(since.elapsed() < Duration::from_secs(30), "{url} does not appear");
    }
    put.kill().unwrap();
    put.wait().unwrap();
    source.kill().unwrap();
    source.wait().unwrap();
}

pub(crate) fn what_is_wrong_with_hdfs_is_told(_: &Servers) {
    let refused = |url: &str| objects::open(url, &[]).unwrap_err();
    for url in ["hdfs://nowhere/models", "hdfs:///models"] {
        let error = refused(url);
        assert_eq!(error.kind(), Kind::Invalid, "{error}");
        assert!(!error.to_string().contains('\n'), "{error}");
    }
    let error = refused("hdfs://nowhere/models").to_string();
    assert!(error.contains("hdfs://nowhere") && error.contains("HADOOP_CONF_DIR"), "{error}");
    // Nothing listens there.
    let patience = objects::Patience { read: Duration::from_secs(1), write: Duration::from_secs(1) };
    let gone = objects::open_with("hdfs://127.0.0.1:1/models", &[], patience).unwrap();
    let error = Machine::new(&gone).publish(1).unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable, "{error}");
    let text = error.to_string();
    assert!(text.contains("hdfs://127.0.0.1:1/models") && text.contains("refused"), "{text}");
    assert!(!text.contains('\n'), "{text}");
}
