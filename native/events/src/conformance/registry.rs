//! What every registry must do.

use crate::{
    AccessKey, App, DeclaredEvents, EngineInstance, InstanceStatus, Kind, NewApp, NewChannel, OnUnknown,
    Registry, Result, Rights,
};

/// Runs the suite. `fresh` makes an empty registry; `reopen` closes one and opens it again.
pub fn registry<R: Registry>(fresh: impl Fn() -> R, reopen: impl Fn(R) -> R) {
    apps(fresh(), &reopen);
    app_ids(fresh(), &reopen);
    declared_events(fresh(), &reopen);
    access_keys(fresh(), &reopen);
    rights_and_expiry(fresh(), &reopen);
    rotation(fresh(), &reopen);
    channels(fresh(), &reopen);
    deleted_app(fresh(), &reopen);
    instances(fresh(), &reopen);
    concurrent_creation(&fresh());
}

fn named(name: &str) -> NewApp {
    NewApp { name: name.into(), ..NewApp::default() }
}

fn assert_invalid<T: std::fmt::Debug>(result: Result<T>, what: &str) {
    assert_eq!(result.expect_err(what).kind(), Kind::Invalid, "{what}");
}

fn apps<R: Registry>(registry: R, reopen: impl Fn(R) -> R) {
    assert_eq!(registry.apps().unwrap(), []);
    let described = NewApp { description: Some("für alle".into()), ..named("with blank ü") };
    let first = registry.create_app(&described).unwrap();
    let expected =
        App { id: 1, name: "with blank ü".into(), description: Some("für alle".into()), declared: None };
    assert_eq!(first, expected, "the first id is 1");
    let second = registry.create_app(&named("second")).unwrap();
    assert_invalid(registry.create_app(&named("second")), "a name that is taken");
    assert_invalid(registry.create_app(&named("")), "an empty name");
    let registry = reopen(registry);
    assert_eq!(registry.apps().unwrap(), [first.clone(), second.clone()]);
    assert_eq!(registry.app_by_name("second").unwrap(), Some(second.clone()));
    assert_eq!(registry.app_by_name("Second").unwrap(), None, "names are case-sensitive");
    assert!(registry.delete_app(first.id).unwrap());
    assert!(!registry.delete_app(first.id).unwrap());
    let registry = reopen(registry);
    assert_eq!(registry.apps().unwrap(), [second]);
    registry.create_app(&named("with blank ü")).unwrap();
}

/// Explicit ids advance the sequence; ids are never given twice.
fn app_ids<R: Registry>(registry: R, reopen: impl Fn(R) -> R) {
    let with_id = |id, name: &str| NewApp { id: Some(id), ..named(name) };
    assert_eq!(registry.create_app(&with_id(7, "seven")).unwrap().id, 7);
    assert_invalid(registry.create_app(&with_id(7, "other")), "an id that is taken");
    assert_invalid(registry.create_app(&with_id(8, "seven")), "a name that is taken");
    assert_invalid(registry.create_app(&with_id(0, "zero")), "id 0");
    assert_eq!(registry.create_app(&named("next")).unwrap().id, 8);
    assert_eq!(registry.create_app(&with_id(3, "three")).unwrap().id, 3, "a free lower id");
    assert_eq!(registry.create_app(&named("after")).unwrap().id, 9);
    assert!(registry.delete_app(9).unwrap());
    let registry = reopen(registry);
    assert_eq!(registry.create_app(&named("fresh")).unwrap().id, 10, "an id does not come again");
    let ids: Vec<u32> = registry.apps().unwrap().iter().map(|app| app.id).collect();
    assert_eq!(ids, [3, 7, 8, 10], "sorted by id");
    registry.create_app(&with_id(u32::MAX, "last")).unwrap();
    assert_invalid(registry.create_app(&named("none left")), "no id is left");
}

fn access_keys<R: Registry>(registry: R, reopen: impl Fn(R) -> R) {
    let one = registry.create_app(&named("one")).unwrap().id;
    let two = registry.create_app(&named("two")).unwrap().id;
    let key = |key: &str, app, events: &[&str]| {
        let events = events.iter().map(|event| (*event).to_owned()).collect();
        AccessKey { events, ..AccessKey::new(key, app) }
    };
    let b = key("b", one, &["buy", "view, with comma", "ü"]);
    let a = key("a", two, &[]);
    let c = key("c", one, &[]);
    for key in [&b, &a, &c] {
        registry.create_access_key(key).unwrap();
    }
    assert_invalid(registry.create_access_key(&key("a", one, &[])), "a key that exists");
    let registry = reopen(registry);
    assert_eq!(registry.access_keys(None).unwrap(), [a.clone(), b.clone(), c.clone()], "sorted by key");
    assert_eq!(registry.access_keys(Some(one)).unwrap(), [b.clone(), c.clone()]);
    assert_eq!(registry.access_keys(Some(99)).unwrap(), []);
    assert_eq!(registry.access_key("b").unwrap(), Some(b));
    assert_eq!(registry.access_key("B").unwrap(), None);
    assert!(registry.delete_access_key("b").unwrap());
    assert!(!registry.delete_access_key("b").unwrap());
    let registry = reopen(registry);
    assert_eq!(registry.access_keys(None).unwrap(), [a, c]);
}

fn declared_events<R: Registry>(registry: R, reopen: impl Fn(R) -> R) {
    let app = registry.create_app(&NewApp { description: Some("d".into()), ..named("one") }).unwrap();
    registry.create_app(&named("two")).unwrap();
    let names = ["view", "buy", "view", "ü"].map(str::to_owned);
    let warn = DeclaredEvents::new(names.clone(), OnUnknown::Warn).unwrap();
    assert_eq!(warn.names(), ["buy", "view", "ü"]);
    assert!(registry.declare_events(app.id, Some(&warn)).unwrap());
    assert!(!registry.declare_events(99, Some(&warn)).unwrap());
    let registry = reopen(registry);
    let declared = App { declared: Some(warn), ..app.clone() };
    assert_eq!(registry.app_by_name("one").unwrap(), Some(declared), "the rest of the app stays");
    assert_eq!(registry.app_by_name("two").unwrap().unwrap().declared, None);
    let reject = DeclaredEvents::new(names, OnUnknown::Reject).unwrap();
    assert!(registry.declare_events(app.id, Some(&reject)).unwrap());
    let registry = reopen(registry);
    assert_eq!(registry.apps().unwrap()[0].declared, Some(reject));
    assert!(registry.declare_events(app.id, None).unwrap());
    assert_eq!(reopen(registry).apps().unwrap()[0], app);
}

fn rights_and_expiry<R: Registry>(registry: R, reopen: impl Fn(R) -> R) {
    let app = registry.create_app(&named("one")).unwrap().id;
    let mut keys = Vec::new();
    for bits in 0..8 {
        let rights = Rights { read: bits & 1 != 0, write: bits & 2 != 0, delete: bits & 4 != 0 };
        let expires_ms = [None, Some(0), Some(1 << 45), Some(-1)][bits % 4];
        let key = AccessKey { rights, expires_ms, ..AccessKey::new(format!("k{bits}"), app) };
        registry.create_access_key(&key).unwrap();
        keys.push(key);
    }
    assert_eq!(reopen(registry).access_keys(None).unwrap(), keys);
}

fn rotation<R: Registry>(registry: R, reopen: impl Fn(R) -> R) {
    let app = registry.create_app(&named("one")).unwrap().id;
    let old = AccessKey { events: vec!["buy".into()], ..AccessKey::new("old", app) };
    let soon = AccessKey { expires_ms: Some(5), ..AccessKey::new("soon", app) };
    registry.create_access_key(&old).unwrap();
    registry.create_access_key(&soon).unwrap();
    let new = |key: &str| AccessKey { key: key.into(), ..old.clone() };
    assert!(registry.rotate_access_key("old", &new("new"), 10).unwrap());
    assert!(registry.rotate_access_key("soon", &new("later"), 10).unwrap());
    assert!(!registry.rotate_access_key("none", &new("more"), 10).unwrap());
    assert_invalid(registry.rotate_access_key("new", &new("old"), 1), "a key that exists");
    let registry = reopen(registry);
    let expected = [new("later"), new("new"), AccessKey { expires_ms: Some(10), ..old.clone() }, soon];
    assert_eq!(registry.access_keys(None).unwrap(), expected);
}

fn channels<R: Registry>(registry: R, reopen: impl Fn(R) -> R) {
    let one = registry.create_app(&named("one")).unwrap().id;
    let two = registry.create_app(&named("two")).unwrap().id;
    let web = registry.create_channel(&NewChannel::named(one, "web")).unwrap();
    let app = registry.create_channel(&NewChannel::named(one, "App-0123456789ab")).unwrap();
    let other = registry.create_channel(&NewChannel::named(two, "web")).unwrap();
    assert!(web.id > 0 && web.id < app.id && app.id < other.id, "ids are unique over all apps");
    assert_eq!((web.name.as_str(), web.app), ("web", one));
    assert_invalid(
        registry.create_channel(&NewChannel::named(one, "web")),
        "a name that is taken in this app",
    );
    for name in ["", "0123456789abcdefg", "a b", "a_b", "ü", "a\n", "a.b"] {
        assert_invalid(registry.create_channel(&NewChannel::named(one, name)), "a malformed name");
    }
    let registry = reopen(registry);
    assert_eq!(registry.channels(one).unwrap(), [web, app.clone()]);
    assert_eq!(registry.channels(99).unwrap(), []);
    assert!(registry.delete_channel(app.id).unwrap());
    assert!(!registry.delete_channel(app.id).unwrap());
    let registry = reopen(registry);
    let again = registry.create_channel(&NewChannel::named(one, "App-0123456789ab")).unwrap();
    assert!(again.id > other.id, "an id does not come again: it names stored events");
    assert_eq!(registry.channels(two).unwrap(), [other]);
    let with = |name: &str, id| NewChannel { id: Some(id), ..NewChannel::named(two, name) };
    assert_invalid(registry.create_channel(&with("a", 0)), "id 0");
    assert_invalid(registry.create_channel(&with("a", again.id)), "an id that is taken by another app");
    let (far, near) = (again.id + 50, again.id + 20);
    assert_eq!(registry.create_channel(&with("far", far)).unwrap().id, far);
    assert_eq!(registry.create_channel(&with("near", near)).unwrap().id, near);
    let registry = reopen(registry);
    assert_eq!(registry.create_channel(&NewChannel::named(one, "next")).unwrap().id, far + 1);
}

/// An app takes its channels and keys with it, and only those.
fn deleted_app<R: Registry>(registry: R, reopen: impl Fn(R) -> R) {
    let one = registry.create_app(&named("one")).unwrap().id;
    let two = registry.create_app(&named("two")).unwrap().id;
    for (app, key) in [(one, "k1"), (one, "k2"), (two, "k3")] {
        registry.create_access_key(&AccessKey::new(key, app)).unwrap();
        registry.create_channel(&NewChannel::named(app, key)).unwrap();
    }
    assert!(registry.delete_app(one).unwrap());
    let registry = reopen(registry);
    let keys = registry.access_keys(None).unwrap();
    assert_eq!(keys.iter().map(|key| key.key.as_str()).collect::<Vec<_>>(), ["k3"]);
    assert_eq!(registry.access_key("k1").unwrap(), None);
    assert_eq!(registry.channels(one).unwrap(), []);
    assert_eq!(registry.channels(two).unwrap().len(), 1);
}

fn instances<R: Registry>(registry: R, reopen: impl Fn(R) -> R) {
    let instance = |id: &str, start_ms| EngineInstance {
        id: id.into(),
        status: InstanceStatus::Init,
        start_ms,
        end_ms: start_ms,
        app: "shop ü".into(),
        variant: "default".into(),
        engine_factory: "com.actionml.RecommendationEngine".into(),
        batch: String::new(),
        generation: None,
        config: "{\"id\":\"default\"}".into(),
        report: "{}".into(),
    };
    let mut first = instance("00000000000000000000000000000001", 1000);
    let second = instance("00000000000000000000000000000002", 2000);
    let twin = instance("00000000000000000000000000000000", 2000);
    for one in [&first, &second, &twin] {
        registry.put_instance(one).unwrap();
    }
    let registry = reopen(registry);
    assert_eq!(registry.instances().unwrap(), [twin.clone(), second.clone(), first.clone()]);
    first.status = InstanceStatus::Completed;
    first.generation = Some(u64::from(u32::MAX) + 1);
    first.end_ms = 5000;
    first.report = "{\"stage\":\"ü\"}".into();
    registry.put_instance(&first).unwrap();
    let mut failed = second;
    failed.status = InstanceStatus::Failed("no events: \"buy\"".into());
    registry.put_instance(&failed).unwrap();
    let registry = reopen(registry);
    assert_eq!(registry.instances().unwrap(), [twin, failed, first], "replaced by id, newest start first");
}

/// Two creators never get the same id, and one name has one winner.
fn concurrent_creation(registry: &impl Registry) {
    let wins: usize = std::thread::scope(|threads| {
        let creator = |thread: usize| {
            move || {
                let own = |i: usize| registry.create_app(&named(&format!("own {thread} {i}"))).unwrap();
                (0..5).for_each(|i| drop(own(i)));
                usize::from(registry.create_app(&named("contested")).is_ok())
            }
        };
        let creators: Vec<_> = (0..4).map(|thread| threads.spawn(creator(thread))).collect();
        creators.into_iter().map(|creator| creator.join().unwrap()).sum()
    });
    assert_eq!(wins, 1);
    let ids: Vec<u32> = registry.apps().unwrap().iter().map(|app| app.id).collect();
    assert_eq!(ids, (1..=21).collect::<Vec<_>>());
}
