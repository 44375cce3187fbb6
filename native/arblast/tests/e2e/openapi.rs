//! The OpenAPI documents name every route of the servers, with its methods, and no other.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::Path;

use events::Json;

use crate::events_client::EventServer;
use crate::program::{Program, http, text};
use crate::server::{Server, trained};

const METHODS: [&str; 5] = ["get", "post", "put", "delete", "patch"];

/// Method and path, as in the document.
type Operation = (String, String);

fn operations(document: &Json) -> BTreeSet<Operation> {
    let paths = document.get("paths").unwrap().as_object().unwrap();
    let of_path = |(path, item): (&str, &Json)| {
        let methods =
            item.as_object().unwrap().iter().map(|(method, _)| (method.to_owned(), path.to_owned()));
        methods.collect::<Vec<_>>()
    };
    paths.iter().flat_map(of_path).collect()
}

/// The document that a server shows.
fn document(port: u16, path: &str) -> Json {
    let (status, body) = http(port, "GET", path, "").unwrap();
    assert_eq!(status, 200, "{body}");
    events::json::parse(body.as_bytes()).unwrap()
}

/// A path with whatever stands for its variables.
fn filled(path: &str) -> String {
    let parts = path.split('{').map(|part| part.split_once('}').map_or(part, |(_, rest)| rest));
    parts.collect::<Vec<_>>().join("x")
}

/// Does a route take this, rather than what answers all the rest?
fn is_known(port: u16, method: &str, path: &str) -> bool {
    const OF_THE_REST: [&str; 3] = ["nothing here", "does not know that method", "method not allowed"];
    let (status, body) = http(port, &method.to_uppercase(), &filled(path), "").unwrap();
    !([404, 405].contains(&status) && OF_THE_REST.iter().any(|words| body.contains(words)))
}

/// Operations of a document are known to the server, and its paths with other methods are not.
fn check(port: u16, documented: &BTreeSet<Operation>) {
    assert!(!is_known(port, "get", "/nonsense") && !is_known(port, "patch", "/metrics"));
    let paths: BTreeSet<&String> = documented.iter().map(|(_, path)| path).collect();
    for path in paths {
        for method in METHODS {
            let is_documented = documented.contains(&(method.to_owned(), path.clone()));
            assert_eq!(is_known(port, method, path), is_documented, "{method} {path}");
        }
    }
}

/// Segments with a variable as `*`.
fn template(path: &str) -> String {
    let segments = path.split('/').map(|segment| if segment.contains('{') { "*" } else { segment });
    segments.collect::<Vec<_>>().join("/")
}

/// The paths of the routes that a source file makes.
fn routes(file: &str) -> BTreeSet<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http").join(file);
    let source = std::fs::read_to_string(&file).unwrap();
    let made = source.split(".route(").skip(1).map(|made| {
        let path = made.trim_start().strip_prefix('"').and_then(|made| made.split_once('"'));
        template(path.unwrap_or_else(|| panic!("{}: a route without a literal path", file.display())).0)
    });
    made.collect()
}

/// The paths of a document are those of the routes in these files; the front answers `/health` without a route.
fn check_sources(documented: &BTreeSet<Operation>, files: &[&str]) {
    let mut made: BTreeSet<String> = files.iter().flat_map(|file| routes(file)).collect();
    made.insert("/health".to_owned());
    let documented: BTreeSet<String> = documented.iter().map(|(_, path)| template(path)).collect();
    assert_eq!(documented, made);
}

#[test]
fn the_document_of_the_event_server_names_its_routes() {
    let program = Program::new();
    let server = EventServer::start(&program, &[]);
    let shown = document(server.port, "/openapi.json");
    assert_eq!(text(&shown, "openapi"), "3.1.0");
    let documented = operations(&shown);
    check_sources(&documented, &["events/mod.rs", "front/mod.rs"]);
    check(server.port, &documented);
    assert_eq!(document(server.port, "/openapi/events.json"), shown);
}

#[test]
fn the_document_of_the_query_server_names_its_routes() {
    let program = trained();
    // Nobody shows the key: routes refuse, and do nothing.
    let server = Server::start(&program, &["--server-key", "k"]);
    let documented = operations(&document(server.port, "/openapi.json"));
    check_sources(&documented, &["queries/mod.rs", "engines/mod.rs", "front/mod.rs", "page/mod.rs"]);
    check(server.port, &documented);
}

#[test]
fn one_port_has_the_documents_of_both() {
    let program = trained();
    // With port 0 each server would have its own.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let server = Server::of(program.start(&["serve", "--ip", "127.0.0.1", "--port", &free]));
    let title = |path: &str| text(&document(server.port, path), "info.title").to_owned();
    assert_eq!(title("/openapi.json"), "Arblast Query API");
    assert_eq!(title("/openapi/events.json"), "Arblast Event API");
    for (method, path) in operations(&document(server.port, "/openapi/events.json")) {
        assert!(is_known(server.port, &method, &path), "{method} {path}");
    }
}

/// Every `$ref` leads to something.
#[test]
fn references_lead_somewhere() {
    for server in ["events", "queries"] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http").join(server).join("openapi.json");
        let source = std::fs::read_to_string(file).unwrap();
        let document = events::json::parse(source.as_bytes()).unwrap();
        for reference in source.split("\"$ref\": \"#/").skip(1) {
            let path = reference.split('"').next().unwrap();
            let found = path.split('/').try_fold(&document, |json, name| json.get(name));
            assert!(found.is_some(), "{server}: {path}");
        }
    }
}
