//! Servers of HDFS that refuse, die and freeze.

use std::sync::Arc;
use std::time::{Duration, Instant};

use events::Kind;
use objects::Patience;
use stores::Objects;

use crate::machine::{Machine, complaint, content, models, soon};
use crate::servers::{Hdfs, Servers};

/// Many enough to be on its way for a second.
const MANY: u32 = 12_000;
const SHORT: Patience = Patience { read: Duration::from_secs(2), write: Duration::from_secs(2) };

/// Publishes on one machine, and once the model is on its way does `fault`; another machine follows.
fn in_mid_publish(hdfs: &Hdfs, path: &str, fault: impl FnOnce()) {
    let place = hdfs.place(path);
    let (trains, serves) = (Machine::new(&place), Machine::new(&place));
    let first = trains.publish(1).unwrap();
    let reader = serves.models.reader().unwrap();
    let since = Instant::now();
    let next = std::thread::scope(|scope| {
        let publishing = scope.spawn(|| trains.publish(MANY));
        while !is_on_its_way(&place) {
            assert!(since.elapsed() < Duration::from_secs(30), "no model comes");
            assert!(!publishing.is_finished(), "too quick to be disturbed: {:?}", publishing.join());
        }
        fault();
        assert_eq!(reader.current().number, first);
        publishing.join().unwrap().unwrap()
    });
    println!("  published after {:.1} s", since.elapsed().as_secs_f64());
    assert_eq!(soon(&reader, next).0, MANY);
    assert_eq!(trains.numbers(), [first, next]);
}

fn is_on_its_way(place: &Arc<dyn Objects>) -> bool {
    let found = place.list("default%40shop").unwrap();
    found.iter().any(|object| object.name.ends_with(".model.arblast.tmp.1"))
}

pub(crate) fn safe_mode_is_waited_out(servers: &Servers) {
    let Servers { hdfs, .. } = servers;
    let place = hdfs.place("safe");
    let (trains, serves) = (Machine::new(&place), Machine::new(&place));
    trains.publish(1).unwrap();
    let reader = serves.models.reader().unwrap();
    hdfs.script("admin", &["-safemode", "enter"]);
    let hasty = Machine::new(&hdfs.place_with("safe", SHORT));
    let error = hasty.publish(2).unwrap_err();
    let text = error.to_string();
    assert_eq!(error.kind(), Kind::Unavailable, "{text}");
    assert!(
        text.starts_with("cannot write hdfs://arb/safe/default%40shop/") && text.contains("safe mode"),
        "{text}"
    );
    assert!(!text.contains('\n'), "{text}");
    let next = std::thread::scope(|scope| {
        let publishing = scope.spawn(|| trains.publish(3));
        std::thread::sleep(Duration::from_secs(1));
        assert!(!publishing.is_finished(), "{:?}", publishing.join());
        assert!(reader.refused().is_none(), "what is there can be read");
        hdfs.script("admin", &["-safemode", "leave"]);
        publishing.join().unwrap().unwrap()
    });
    assert_eq!(soon(&reader, next).0, 3);
}

pub(crate) fn a_data_node_dies(servers: &Servers) {
    let Servers { hdfs, .. } = servers;
    in_mid_publish(hdfs, "node", || {
        hdfs.script("kill", &["dn1"]);
    });
    // What it had is on the other one; what is written now goes there, once the name node knows.
    let late = Machine::new(&hdfs.place("node"));
    assert_eq!(late.models.reader().unwrap().current().model.items(), MANY);
    let since = Instant::now();
    late.publish(2).unwrap();
    println!("  published with one data node after {:.1} s", since.elapsed().as_secs_f64());
}

pub(crate) fn no_data_node_is_left(servers: &Servers) {
    let Servers { hdfs, .. } = servers;
    let (trains, serves) = (Machine::new(&hdfs.place("none")), Machine::new(&hdfs.place_with("none", SHORT)));
    trains.publish(1).unwrap();
    let reader = serves.models.reader().unwrap();
    hdfs.script("kill", &["dn1", "dn2"]);
    let error = Machine::new(&hdfs.place_with("none", SHORT)).publish(2).unwrap_err();
    let text = error.to_string();
    assert_eq!(error.kind(), Kind::Unavailable, "{text}");
    assert!(text.contains("hdfs://arb/none/") && !text.contains('\n') && text.len() < 300, "{text}");
    println!("  {text}");
    println!("  {}", complaint(&reader));
    let next = std::thread::scope(|scope| {
        let publishing = scope.spawn(|| trains.publish(3));
        std::thread::sleep(Duration::from_secs(1));
        assert!(!publishing.is_finished(), "{:?}", publishing.join());
        hdfs.script("start", &["dn1", "dn2"]);
        publishing.join().unwrap().unwrap()
    });
    assert_eq!(soon(&reader, next).0, 3);
    hdfs.script("ready", &["2"]);
}

pub(crate) fn the_active_name_node_dies(servers: &Servers) {
    let Servers { hdfs, .. } = servers;
    let active = hdfs.active();
    in_mid_publish(hdfs, "active", || {
        hdfs.script("kill", &[&active]);
    });
    hdfs.script("start", &[&active]);
    hdfs.script("ready", &["2"]);
    assert_ne!(hdfs.active(), active);
}

/// It holds its connections and answers nothing.
pub(crate) fn the_active_name_node_freezes(servers: &Servers) {
    let Servers { hdfs, .. } = servers;
    let active = hdfs.active();
    let place = hdfs.place("frozen");
    let (trains, serves) = (Machine::new(&place), Machine::new(&place));
    trains.publish(1).unwrap();
    let reader = serves.models.reader().unwrap();
    hdfs.signal("-STOP", &active);
    let since = Instant::now();
    let next = trains.publish(2).unwrap();
    println!("  published after {:.1} s", since.elapsed().as_secs_f64());
    assert_eq!(soon(&reader, next).0, 2);
    hdfs.script("kill", &[&active]);
    hdfs.script("start", &[&active]);
    hdfs.script("ready", &["2"]);
}

pub(crate) fn all_of_hdfs_dies(servers: &Servers) {
    let Servers { hdfs, .. } = servers;
    let place = hdfs.place_with("all", SHORT);
    let (trains, serves) = (Machine::new(&place), Machine::new(&place));
    trains.publish(1).unwrap();
    let reader = serves.models.reader().unwrap();
    let all = ["zkfc1", "zkfc2", "nn1", "nn2", "dn1", "dn2", "jn", "zk"];
    hdfs.script("kill", &all);
    let told = complaint(&reader);
    assert!(told.starts_with("cannot read hdfs://arb/all/") && told.contains("refused"), "{told}");
    assert_eq!(reader.current().model.items(), 1);
    let late = models(&place, serves.copies.path()).reader().unwrap();
    assert_eq!(late.current().model.items(), 1, "a copy serves after a restart");
    assert_eq!(late.refused().unwrap().kind(), Kind::Unavailable);
    assert_eq!(Machine::new(&place).models.reader().unwrap_err().kind(), Kind::Unavailable);
    assert_eq!(trains.publish(2).unwrap_err().kind(), Kind::Unavailable);
    hdfs.script("start", &["zk", "jn", "nn1", "nn2", "dn1", "dn2", "zkfc1", "zkfc2"]);
    hdfs.script("ready", &["2"]);
    let next = trains.publish(3).unwrap();
    assert_eq!((soon(&reader, next).0, soon(&late, next).0), (3, 3));
    content(&reader);
}
