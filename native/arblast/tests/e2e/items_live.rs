//! What is set on items counts in a running query server without a train.

use std::io::{BufRead, BufReader};
use std::process::Child;

use events::{Json, json};

use crate::program::{Program, at, http, number, text};
use crate::queries_client::until;

/// A shop with its server.
struct Shop {
    program: Program,
    server: Child,
    port: u16,
    imported: usize,
}

impl Shop {
    fn open() -> Self {
        let program = Program::new();
        program.sample_shop();
        program.ok(&["train"]);
        let mut server = program.start(&["deploy", "--ip", "127.0.0.1", "--port", "0"]);
        let stdout = BufReader::new(server.stdout.take().unwrap());
        let line = stdout.lines().map_while(Result::ok).find(|line| line.contains("Engine API is live at"));
        let port = line.unwrap().trim_end_matches('.').rsplit(':').next().unwrap().parse().unwrap();
        Self { program, server, port, imported: 0 }
    }

    /// Stores events: name, item, seconds from the first of January 2026, properties.
    fn set(&mut self, events: &[(&str, &str, i64, &str)]) {
        let line = |(name, item, seconds, properties): &(&str, &str, i64, &str)| {
            let time = 1_767_225_600_000 + seconds * 1000;
            format!(
                r#"{{"event":"{name}","entityType":"item","entityId":"{item}","properties":{properties},"eventTime":{time}}}"#
            ) + "\n"
        };
        self.imported += 1;
        let file = format!("set{}.jsonl", self.imported);
        self.program.write(&file, &events.iter().map(line).collect::<String>());
        self.program.ok(&["import", "--app", "shop", "--input", &file]);
    }

    fn ask(&self, query: &str) -> Json {
        let (status, answer) = http(self.port, "POST", "/queries.json", query).unwrap();
        assert_eq!(status, 200, "{answer}");
        json::parse(answer.as_bytes()).unwrap()
    }

    fn items(&self, query: &str) -> Vec<String> {
        let answer = self.ask(query);
        at(&answer, "itemScores")
            .as_array()
            .unwrap()
            .iter()
            .map(|item| text(item, "item").to_owned())
            .collect()
    }

    /// Waits until the query finds these items.
    fn soon(&self, query: &str, expected: &[&str]) {
        until(&format!("{query} finds {expected:?}"), || (self.items(query) == expected).then_some(()));
    }

    /// Items that changed since the train: as the status and as the metrics have it.
    fn changed(&self) -> (i64, String) {
        let get = |path| http(self.port, "GET", path, "").unwrap().1;
        let status = json::parse(get("/status.json").as_bytes()).unwrap();
        let metrics = get("/metrics");
        let line = metrics.lines().find_map(|line| line.strip_prefix("arblast_model_changed_items "));
        (number(&status, "model.changedItems"), line.unwrap_or(&metrics).to_owned())
    }

    fn generation(&self) -> i64 {
        let (_, health) = http(self.port, "GET", "/health", "").unwrap();
        number(&json::parse(health.as_bytes()).unwrap(), "generation")
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Later than anything in the sample shop.
const LATE: i64 = 86_400 * 3650;
const SALE: &str = r#"{"fields": [{"name": "sale", "values": ["yes"], "bias": -1}], "resultProps": ["*"]}"#;
const OPEN: &str = r#""available": "2026-01-01T00:00:00Z", "expires": "2100-01-01T00:00:00Z""#;

#[test]
fn what_is_set_on_items_is_visible_soon() {
    let mut shop = Shop::open();
    let [first, second]: [String; 2] = shop.items("{\"num\": 2}").try_into().unwrap();
    assert_eq!(shop.items(SALE), [""; 0]);
    assert_eq!(shop.changed(), (0, "0".to_owned()), "what was trained is no change");

    shop.set(&[
        ("$set", &second, LATE, r#"{"sale": "yes"}"#),
        ("$set", &first, LATE, r#"{"sale": ["yes"]}"#),
    ]);
    shop.soon(SALE, &[&first, &second]);
    assert_eq!(shop.changed(), (2, "2".to_owned()));
    assert_eq!(text(&shop.ask(SALE), "itemScores.1.properties.sale"), "yes", "resultProps are those of now");

    let new = format!(r#"{{"sale": "yes", {OPEN}}}"#);
    shop.set(&[("$set", "brand new", LATE, &new)]);
    shop.soon(SALE, &[&first, &second, "brand new"]);

    shop.set(&[
        ("$set", &first, LATE - 9, r#"{"sale": "no"}"#),
        ("$unset", &second, LATE + 9, r#"{"sale": ""}"#),
    ]);
    shop.soon(SALE, &[&first, "brand new"]);

    shop.set(&[("$set", &first, LATE + 1, r#"{"expires": "2026-01-01T00:00:00Z"}"#)]);
    shop.soon(SALE, &["brand new"]);
    assert!(!shop.items("{}").contains(&first), "it is past its date");

    shop.set(&[("$delete", "brand new", LATE + 1, "{}")]);
    shop.soon(SALE, &[]);
    assert_eq!(shop.generation(), 1, "all of that without a train");
}

/// The command and a server started later see the same, and another train changes nothing of it.
#[test]
fn changes_outlive_a_restart_and_agree_with_a_train() {
    let mut shop = Shop::open();
    let popular = shop.items(r#"{"num": 6}"#);
    let changes: Vec<(&str, &str, i64, &str)> = vec![
        ("$set", &popular[0], LATE, r#"{"sale": "yes", "categories": ["tents", "new kind"]}"#),
        ("$set", &popular[1], LATE, r#"{"price": 1}"#),
        ("$delete", &popular[2], LATE, "{}"),
        ("$set", "brand new", LATE, r#"{"categories": ["tents"], "sale": "yes"}"#),
    ];
    shop.set(&changes);
    let queries = [
        r#"{"user": "maya", "num": 20, "resultProps": ["*"], "currentDate": "2026-10-01T00:00:00Z"}"#,
        r#"{"num": 400, "currentDate": "2026-10-01T00:00:00Z"}"#,
        r#"{"user": "maya", "fields": [{"name": "categories", "values": ["tents", "new kind"], "bias": 3}]}"#,
        r#"{"ranges": [{"name": "price", "lt": 2}]}"#,
    ];
    shop.soon(queries[3], &[&popular[1]]);
    let before = queries.map(|query| shop.ask(query));
    for (query, answer) in queries.iter().zip(&before) {
        assert_eq!(shop.program.json(&["query", query]), *answer, "{query}");
    }
    shop.program.ok(&["train"]);
    until("the new model serves", || (shop.generation() == 2).then_some(()));
    for (query, answer) in queries.iter().zip(before) {
        let now = shop.ask(query);
        let items = |answer: &Json| -> Vec<String> {
            let items = at(answer, "itemScores").as_array().unwrap();
            items.iter().map(|item| text(item, "item").to_owned()).collect()
        };
        assert_eq!(items(&now), items(&answer), "{query}");
        assert_eq!(now, answer, "{query}");
    }
}
