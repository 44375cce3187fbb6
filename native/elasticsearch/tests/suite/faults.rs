//! A server with keys and HTTPS, killed while a model is published.

use std::cell::RefCell;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use elasticsearch::{Cluster, Indexes, Options};
use events::Kind;
use model::{ChangedItem, ModelIndex, SearchPlan};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use crate::answers::Silent;
use crate::publishing::{at_first, model, top};
use crate::server::Node;

const PASSWORD: &str = "geheim1";

/// An authority and a certificate of it for this machine; the PEM of the authority.
fn certify(node: &Node) -> String {
    let key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::<String>::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = authority.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(authority, key);
    let server_key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&server_key, &issuer).unwrap();
    std::fs::write(node.path().join("conf/server.pem"), certificate.pem()).unwrap();
    std::fs::write(node.path().join("conf/server.key"), server_key.serialize_pem()).unwrap();
    pem
}

/// The password of the first user, as an operator would set it.
fn set_password(node: &Node) {
    for arguments in [&["create"][..], &["add", "-x", "bootstrap.password"]] {
        let mut keystore = node.program("elasticsearch-keystore");
        let mut keystore =
            keystore.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        keystore.stdin.take().unwrap().write_all(PASSWORD.as_bytes()).unwrap();
        assert!(keystore.wait().unwrap().success());
    }
}

/// A user with the rights that the documentation asks for.
fn add_restricted_user(node: &Node) {
    let role = "arblast:\n  indices:\n    - names: ['arblast-*']\n      privileges: [create_index, delete_index, read, write, view_index_metadata, manage]\n";
    std::fs::write(node.path().join("conf/roles.yml"), role).unwrap();
    for empty in ["conf/users", "conf/users_roles"] {
        std::fs::write(node.path().join(empty), "").unwrap();
    }
    let mut users = node.program("elasticsearch-users");
    let arguments = ["useradd", "restricted", "-p", PASSWORD, "-r", "arblast"];
    assert!(users.args(arguments).stdout(Stdio::null()).status().unwrap().success());
}

#[test]
fn a_secured_node_is_killed_in_the_middle() {
    let ca = RefCell::new(String::new());
    let mut node = Node::prepared(
        "elasticsearch-8.19.21",
        &[
            "xpack.security.enabled: true",
            "xpack.security.authc.api_key.enabled: true",
            "xpack.security.http.ssl.enabled: true",
            "xpack.security.http.ssl.certificate: server.pem",
            "xpack.security.http.ssl.key: server.key",
        ],
        |node| {
            *ca.borrow_mut() = certify(node);
            set_password(node);
            add_restricted_user(node);
        },
    );
    let ca_file = node.path().join("ca.pem");
    std::fs::write(&ca_file, ca.borrow().as_str()).unwrap();
    let port = node.port;
    let options = |user: &str, api_key: Option<String>| Options {
        ca_file: Some(ca_file.clone()),
        api_key,
        ..Options::new(format!("https://{user}127.0.0.1:{port}"))
    };
    let connect = |options: &Options| Arc::new(Cluster::new(options).unwrap());
    let trusted = options(&format!("elastic:{PASSWORD}@"), None);
    let made = administer(&node, "POST", KEY);
    assert_eq!(connect(&trusted).version().unwrap(), "Elasticsearch 8.19.21");

    rights(&options, &trusted);

    // Killed in the middle.
    let indexes = Indexes::of(connect(&trusted), "a", "killed");
    indexes.publish(&model(2), &Silent).unwrap();
    let index = indexes.current().unwrap().unwrap();
    let running = RefCell::new(node);
    let error = indexes.publish(&model(6_000), &at_first(|| running.borrow_mut().kill())).unwrap_err();
    node = running.into_inner();
    assert_eq!(error.kind(), Kind::Unavailable, "{error}");
    assert!(!error.to_string().contains(PASSWORD) && !error.to_string().contains('\n'), "{error}");
    let plan = SearchPlan { by_ranking: true, num: 1, ..SearchPlan::default() };
    assert_eq!(index.search(&plan).unwrap_err().kind(), Kind::Unavailable);

    node.run();
    administer(&node, "GET", "{}");
    assert_eq!(top(&index), ["item 1", "item 0"], "the same handle answers again");
    let complete: Vec<bool> = indexes.list().unwrap().iter().map(|listed| listed.complete).collect();
    assert_eq!(complete, [true, false]);
    assert_eq!(indexes.publish(&model(3), &Silent).unwrap(), 3);
    let left: Vec<u64> = indexes.list().unwrap().iter().map(|listed| listed.generation).collect();
    assert_eq!(
        (left, top(&indexes.current().unwrap().unwrap())),
        (vec![1, 3], vec!["item 2".into(), "item 1".into()])
    );

    keys(&node, &made, &options);
}

/// A key with the rights that the documentation asks for.
const KEY: &str = r#"{"name": "arblast", "role_descriptors": {"arblast": {"indices": [{"names": ["arblast-*"],
    "privileges": ["create_index", "delete_index", "read", "write", "view_index_metadata", "manage"]}]}}}"#;

/// What an administrator asks of the server. It knows nobody before it has its own index of keys, which comes after it answers.
fn administer(node: &Node, method: &str, body: &str) -> serde_json::Value {
    let began = Instant::now();
    loop {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--fail-with-body", "--max-time", "60", "--request", method]);
        curl.args(["--insecure", "--user", &format!("elastic:{PASSWORD}")]);
        curl.args(["--header", "Content-Type: application/json", "--data", body]);
        let path = if method == "GET" { "_search" } else { "_security/api_key" };
        let output = curl.arg(format!("https://127.0.0.1:{}/{path}", node.port)).output().unwrap();
        if output.status.success() {
            return serde_json::from_slice(&output.stdout).unwrap();
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{output:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Who has a key that the server made.
fn keys(node: &Node, made: &serde_json::Value, options: &dyn Fn(&str, Option<String>) -> Options) {
    let text = |member: &str| made[member].as_str().unwrap().to_owned();
    let with = |key: String| Arc::new(Cluster::new(&options("", Some(key))).unwrap());
    // Id and key as they were told, and in the form in which they travel.
    let (told, encoded) = (with(format!("{}:{}", text("id"), text("api_key"))), with(text("encoded")));
    let indexes = Indexes::of(told, "a", "keys");
    indexes.publish(&model(1), &Silent).unwrap();
    let reader = Indexes::of(encoded, "a", "keys");
    assert_eq!(top(&reader.current().unwrap().unwrap()), ["item 0"]);
    reader.publish(&model(2), &Silent).unwrap();
    assert_eq!((indexes.rollback(None).unwrap(), indexes.list().unwrap().len()), (1, 2));

    let refused = |error: events::Error, words: &str| {
        let text = error.to_string();
        assert_eq!(error.kind(), Kind::Denied, "{text}");
        assert!(text.contains(words) && !text.contains(made["api_key"].as_str().unwrap()), "{text}");
    };
    let other = Indexes::named(with(text("encoded")), "other");
    refused(other.publish(&model(1), &Silent).unwrap_err(), "the user or API key lacks the right");
    administer(node, "DELETE", &format!(r#"{{"ids": ["{}"]}}"#, text("id")));
    refused(indexes.publish(&model(1), &Silent).unwrap_err(), "the API key, are missing or wrong");
}

/// Who may publish, and who is told that he may not.
fn rights(options: &dyn Fn(&str, Option<String>) -> Options, trusted: &Options) {
    let connect = |options: &Options| Arc::new(Cluster::new(options).unwrap());
    // A user that may do no more than it must.
    let restricted = options(&format!("restricted:{PASSWORD}@"), None);
    let indexes = Indexes::of(connect(&restricted), "a", "restricted");
    indexes.publish(&model(1), &Silent).unwrap();
    let index = indexes.current().unwrap().unwrap();
    index
        .apply(&[ChangedItem { id: "new".into(), ranks: vec![Some(9.0)], ..ChangedItem::default() }], &[])
        .unwrap();
    indexes.publish(&model(1), &Silent).unwrap();
    assert_eq!(
        (indexes.rollback(None).unwrap(), top(&index)),
        (1, vec!["new".to_owned(), "item 0".to_owned()])
    );

    let error = Indexes::named(connect(&restricted), "other").publish(&model(1), &Silent).unwrap_err();
    assert!(error.to_string().contains("lacks the right"), "{error}");
    assert_eq!(error.kind(), Kind::Denied);

    // Not who we say.
    for (options, kind, words) in [
        (options("elastic:wrong@", None), Kind::Denied, "user and password, or the API key"),
        (options("", None), Kind::Denied, "user and password, or the API key"),
        (options("", Some("id:wrong".into())), Kind::Denied, "user and password, or the API key"),
        (Options { ca_file: None, ..trusted.clone() }, Kind::Unavailable, "TLS"),
    ] {
        let error = Indexes::of(connect(&options), "a", "b").publish(&model(1), &Silent).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        let text = error.to_string();
        assert!(text.contains(words) && !text.contains(PASSWORD) && !text.contains('\n'), "{text}");
    }
}
