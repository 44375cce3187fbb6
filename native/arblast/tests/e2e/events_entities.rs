//! `/entities/…`: properties, export and erasure of one entity.

use crate::events_client::{EventServer, buy, shop};
use crate::program::{at, number, text};

const POST: &str = "/events.json?accessKey=key";

#[test]
fn properties_are_folded() {
    let program = shop();
    let server = EventServer::start(&program, &[]);
    let special = |name: &str, id: &str, day: u32, properties: &str| {
        format!(
            r#"{{"event":"{name}","entityType":"item","entityId":"{id}","eventTime":"2020-01-0{day}T00:00:00Z","properties":{properties}}}"#
        )
    };
    for event in [
        special("$set", "a/b", 3, r#"{"x":2}"#),
        special("$set", "a/b", 1, r#"{"x":1,"y":[1],"z":1}"#),
        special("$unset", "a/b", 2, r#"{"z":null}"#),
        special("$set", "gone", 1, r#"{"x":1}"#),
        special("$delete", "gone", 2, "{}"),
        special("$set", "bare", 1, "{}"),
    ] {
        server.stored(POST, &event);
    }
    server.stored(POST, &buy("bought", "a/b"));
    let properties = |id: &str| server.get(&format!("/entities/item/{id}.json?accessKey=key"));
    assert_eq!(
        properties("a%2Fb").body,
        r#"{"entityType":"item","entityId":"a/b","properties":{"x":2,"y":[1]},"firstUpdated":"2020-01-01T00:00:00.000Z","lastUpdated":"2020-01-03T00:00:00.000Z"}"#
    );
    assert_eq!(properties("bare").status, 200);
    for absent in ["gone", "none", "%zz"] {
        assert_eq!(properties(absent).refusal(), (404, "Not Found".to_owned()), "{absent}");
    }
    assert_eq!(server.get("/entities/user/bought.json?accessKey=key").status, 404, "it has no properties");
    for path in ["/entities/item/x", "/entities/item/.json", "/entities//x.json"] {
        assert_eq!(server.get(&format!("{path}?accessKey=key")).status, 404, "{path}");
    }
}

#[test]
fn one_person_is_handed_over_and_erased() {
    let program = shop();
    program.ok(&["app", "channel-new", "shop", "web"]);
    let server = EventServer::start(&program, &[]);
    for (channel, user) in [("", "ann"), ("", "bob"), ("", "ann"), ("&channel=web", "ann")] {
        server.stored(&format!("{POST}{channel}"), &buy(user, "i"));
    }
    server.stored(POST, r#"{"event":"follow","entityType":"user","entityId":"bob","targetEntityType":"user","targetEntityId":"ann"}"#);
    let export =
        |channel: &str| server.found(&format!("/entities/user/ann/events.json?accessKey=key{channel}"));
    assert_eq!((export(""), export("&channel=web")), (2, 1));
    let own = "/events.json?accessKey=key&entityType=user&entityId=ann";
    let (by_export, by_filter) =
        (server.get("/entities/user/ann/events.json?accessKey=key"), server.get(own));
    assert_eq!(by_export.body, by_filter.body);
    let erased = server.delete("/entities/user/ann.json?accessKey=key");
    assert_eq!((erased.status, number(&erased.json(), "deleted")), (200, 2));
    assert_eq!((export(""), export("&channel=web")), (0, 1));
    assert_eq!(server.get("/entities/user/ann/events.json?accessKey=key").body, "[]");
    server.delete("/entities/user/nobody.json?accessKey=key&channel=web");
    server.told("audit: deleted 0 events of entity \"user\" \"nobody\": app 1 \"shop\", channel web, client");
    let again = server.delete("/entities/user/ann.json?accessKey=key");
    assert_eq!((again.status, number(&again.json(), "deleted")), (200, 0));
    let left = server.get("/events.json?accessKey=key").json();
    assert_eq!((text(&left, "0.entityId"), text(&left, "1.targetEntityId")), ("bob", "ann"));
    assert_eq!(
        server.told(" audit: ").matches("audit: deleted 2 events of entity \"user\" \"ann\"").count(),
        1
    );
}

/// An event of `bob` that targets `ann`, and a prediction that was made for `user`.
fn follow() -> &'static str {
    r#"{"event":"follow","entityType":"user","entityId":"bob","targetEntityType":"user","targetEntityId":"ann"}"#
}

fn predict(user: &str) -> String {
    format!(
        r#"{{"event":"predict","entityType":"pio_pr","entityId":"p","properties":{{"query":{{"user":"{user}","num":3}},"prediction":{{"itemScores":[]}}}}}}"#
    )
}

#[test]
fn a_person_is_found_and_erased_in_every_channel_and_where_others_name_him() {
    let program = shop();
    program.ok(&["app", "channel-new", "shop", "web"]);
    let server = EventServer::start(&program, &[]);
    let own = r#"{"event":"like","entityType":"user","entityId":"ann","targetEntityType":"user","targetEntityId":"ann"}"#;
    let same_name = buy("cleo", "ann");
    for event in
        [&buy("ann", "i"), own, follow(), &predict("ann"), &predict("bob"), &same_name, &buy("bob", "i")]
    {
        server.stored(POST, event);
    }
    for event in [&buy("ann", "i"), follow()] {
        server.stored(&format!("{POST}&channel=web"), event);
    }
    let path = "/entities/user/ann/events.json?accessKey=key";
    let export = |more: &str| server.get(&format!("{path}{more}"));
    assert_eq!((server.found(path), server.found(&format!("{path}&asTarget=true"))), (2, 4));
    assert_eq!(server.found(&format!("{path}&asTarget=true&channel=web")), 2);
    let all = export("&allChannels=true&asTarget=true").json();
    let counts: Vec<(String, i64, usize)> = at(&all, "channels")
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (
                at(one, "channel").to_string(),
                number(one, "count"),
                at(one, "events").as_array().unwrap().len(),
            )
        })
        .collect();
    assert_eq!(counts, [("null".to_owned(), 4, 4), ("\"web\"".to_owned(), 2, 2)]);
    assert_eq!(number(&export("&allChannels=true").json(), "channels.1.count"), 1);
    for (wrong, word) in
        [("&asTarget=perhaps", "asTarget"), ("&allChannels=true&channel=web", "leave out channel")]
    {
        let refusal = export(wrong).refusal();
        assert!(refusal.0 == 400 && refusal.1.contains(word), "{refusal:?}");
    }
    let erase = "/entities/user/ann.json?accessKey=key&asTarget=true&allChannels=true";
    let erased = r#"{"deleted":6,"channels":[{"channel":null,"deleted":4,"asTarget":2},{"channel":"web","deleted":2,"asTarget":1}]}"#;
    assert_eq!(server.delete(erase).body, erased);
    let nothing = r#"{"deleted":0,"channels":[{"channel":null,"deleted":0,"asTarget":0},{"channel":"web","deleted":0,"asTarget":0}]}"#;
    assert_eq!(server.delete(erase).body, nothing);
    let empty =
        r#"{"channels":[{"channel":null,"events":[],"count":0},{"channel":"web","events":[],"count":0}]}"#;
    assert_eq!(export("&allChannels=true&asTarget=true").body, empty);
    assert_eq!(server.found("/events.json?accessKey=key&limit=-1"), 3, "others stay");
}

#[test]
fn the_longest_names_can_be_erased() {
    let program = shop();
    let server = EventServer::start(&program, &[]);
    let long = "ü".repeat(2048);
    server.stored(POST, &format!(r#"{{"event":"buy","entityType":"{long}","entityId":"{long}"}}"#));
    let encoded = "%C3%BC".repeat(2048);
    let erased = server.delete(&format!("/entities/{encoded}/{encoded}.json?accessKey=key"));
    assert_eq!(erased.body, r#"{"deleted":1}"#);
}
