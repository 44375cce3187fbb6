//! Dithering through HTTP. Its periods are a century, so that none ends while a test runs.

use events::Json;

use crate::program::{Program, at, number, text};
use crate::server::{Server, trained};

fn items(answer: &(u16, Json)) -> Vec<(String, String)> {
    assert_eq!(answer.0, 200, "{}", answer.1);
    let item = |item: &Json| (text(item, "item").to_owned(), at(item, "score").to_string());
    at(&answer.1, "itemScores").as_array().unwrap().iter().map(item).collect()
}

fn ask(server: &Server, members: &str) -> Vec<(String, String)> {
    items(&server.request("POST", "/queries.json", &format!(r#"{{"user":"maya"{members}}}"#)))
}

/// Says so in the engine file.
fn dithers(program: &Program, dither: &str) {
    let engine = std::fs::read_to_string(program.path("engine.json")).unwrap();
    let changed = engine.replacen("\"num\": 8", &format!("\"num\": 8, \"dither\": {dither}"), 1);
    assert_ne!(changed, engine);
    program.write("engine.json", &changed);
}

#[test]
fn a_query_is_dithered_page_by_page_and_the_same_after_a_restart() {
    let program = trained();
    let server = Server::start(&program, &[]);
    let dither = r#","dither":{"sigma":2,"seed":4,"period":"36500 days"}"#;
    let plain = ask(&server, r#","num":60"#);
    let dithered = ask(&server, &format!(r#","num":500{dither}"#));
    assert_ne!(dithered[..60], plain);
    let mut sorted = [dithered.clone(), ask(&server, r#","num":500"#)];
    sorted.iter_mut().for_each(|items| items.sort_unstable());
    assert_eq!(sorted[0], sorted[1], "other places, the same items with the same scores");
    let pages =
        (0..60).step_by(12).flat_map(|from| ask(&server, &format!(r#","from":{from},"num":12{dither}"#)));
    assert_eq!(pages.collect::<Vec<_>>(), dithered[..60]);
    drop(server);
    let server = Server::start(&program, &[]);
    assert_eq!(ask(&server, &format!(r#","num":500{dither}"#)), dithered);
    let told = program.json(&["query", &format!(r#"{{"user":"maya","num":60{dither}}}"#)]);
    assert_eq!(items(&(200, told)), dithered[..60], "the command says the same");
}

#[test]
fn the_engine_file_dithers_and_a_query_can_refuse() {
    let program = trained();
    let server = Server::start(&program, &[]);
    let plain = ask(&server, "");
    dithers(&program, r#"{"sigma": 3, "period": "36500 days"}"#);
    assert_eq!(server.request("POST", "/reload", "").0, 200);
    let dithered = ask(&server, r#","num":60"#);
    assert_ne!(ask(&server, r#","num":60,"dither":false"#), dithered);
    assert_eq!(ask(&server, r#","dither":false"#), plain);
    let (_, answer) = server.request("POST", "/queries.json", r#"{"user":"maya","num":60,"explain":true}"#);
    assert_eq!(at(&answer, "explain.dithered.sigma").to_string(), "3.0");
    assert!(text(&answer, "explain.dithered.until").starts_with("2069-"), "{answer}");
    let unmoved =
        (0..60).filter(|index| number(&answer, &format!("itemScores.{index}.explain.rank")) == index + 1);
    assert!(unmoved.count() < 30, "{answer}");
    let (_, wrong) = server.request("POST", "/queries.json", r#"{"dither":{"sigma":0.5}}"#);
    assert_eq!(text(&wrong, "message"), "dither.sigma must be a number ≥ 1, got 0.5");
    let (status, wrong) = server.request("POST", "/queries.json", r#"{"dither":"yes"}"#);
    assert_eq!((status, text(&wrong, "message")), (400, "dither must be an object or false, got \"yes\""));
}

#[test]
fn a_wrong_engine_file_is_refused_by_its_path() {
    let program = Program::new();
    program.ok(&["sample", "."]);
    dithers(&program, r#"{"sigma": 0, "seed": "x", "period": 0}"#);
    let outcome = program.run(&["check"]);
    assert_ne!(outcome.code, Some(0), "{outcome:?}");
    let all = format!("{}{}", outcome.stdout, outcome.stderr);
    for message in [
        "algorithms[0].params.dither.sigma must be a number ≥ 1, got 0",
        "algorithms[0].params.dither.seed must be a whole number, got \"x\"",
        "algorithms[0].params.dither.period must be a duration such as",
    ] {
        assert!(all.contains(message), "{message}: {all}");
    }
}
