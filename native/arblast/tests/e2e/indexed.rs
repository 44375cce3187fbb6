//! Answers from a search server, which this test starts and kills.

use events::{Json, json};

use crate::handmade::give_the_published_answers;
use crate::operation::{Deployed, wait_for};
use crate::program::{Program, http, text};
use crate::search_server::{self, Node};

const QUERIES: [&str; 8] = [
    r#"{"num":7}"#,
    r#"{"user":"maya","num":9,"explain":true,"withRanks":true,"resultProps":["*"]}"#,
    r#"{"item":"Ravenholt Climbing Shoes Velcro","num":5,"explain":true}"#,
    r#"{"itemSet":["Ravenholt Climbing Shoes Velcro","Cragsworth Chalk Bag Classic"],"num":5,"from":2,"resultProps":["categories"]}"#,
    r#"{"user":"maya","rules":[{"name":"categories","values":["climbing"],"bias":5}],"num":6,"explain":true}"#,
    r#"{"user":"maya","rules":[{"name":"categories","values":["climbing"],"bias":-1}],"num":6}"#,
    r#"{"user":"maya","num":6,"from":3}"#,
    r#"{"user":"maya","blacklistItems":["Cragsworth Chalk Bag Classic"],"ranges":[{"name":"price","gte":5,"bias":-1}],"num":6}"#,
];

/// The answers of `arblast query`, where the settings say or in the model file.
fn answers(program: &Program, embedded: bool) -> Vec<String> {
    let answer = |query: &&str| {
        // Else an explanation names the moment.
        let query = &query.replacen('{', r#"{"currentDate":"2026-11-30T00:00:00Z","#, 1);
        let mut command = program.command(&["query", query, "--json"]);
        if embedded {
            command.env("ARBLAST_INDEX_URL", "embedded");
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{query}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    QUERIES.iter().map(answer).collect()
}

/// Both give the same, to the last letter.
fn same(program: &Program, when: &str) {
    for (found, expected) in answers(program, false).iter().zip(answers(program, true)) {
        assert_eq!(found, &expected, "{when}");
    }
}

fn ask(port: u16, query: &str) -> (u16, Json) {
    let (status, answer) = http(port, "POST", "/queries.json", query).unwrap();
    (status, json::parse(answer.as_bytes()).unwrap())
}

#[test]
fn a_search_server_gives_the_answers_of_the_file() {
    let mut node = Node::prepared("elasticsearch-8.19.21", &[], |_| {});
    let settings = format!(r#"{{"indexUrl":"http://user:hunter2@127.0.0.1:{}","indexShards":2}}"#, node.port);
    give_the_published_answers(&Program::new(), &settings);

    let program = Program::new();
    program.sample_shop();
    program.ok(&["train"]);
    program.write("home/arblast.json", &settings);
    let line = program.refused(1, &["query", QUERIES[0]]);
    assert!(line.contains("train again with this indexUrl"), "{line}");
    program.ok(&["train"]);
    same(&program, "trained");
    items_count_at_once(&program);
    same(&program, "a new process is told of changes");

    program.ok(&["train"]);
    program.ok(&["rollback"]);
    same(&program, "after a rollback");

    let shards_max = |number: &str| {
        let body = format!(r#"{{"persistent":{{"cluster.max_shards_per_node":{number}}}}}"#);
        assert_eq!(search_server::http(node.port, "PUT", "/_cluster/settings", &body).unwrap().0, 200);
    };
    shards_max("1");
    let line = program.refused(75, &["train"]);
    assert!(line.contains("as many shards as it may"), "{line}");
    shards_max("null");
    same(&program, "after a train that could not be published");

    node.kill();
    for command in [&["query", QUERIES[0]][..], &["train"], &["deploy", "--port", "0"]] {
        let line = program.refused(75, command);
        assert!(line.contains("nothing listens there") && !line.contains("hunter2"), "{line}");
    }
    assert!(!program.ok(&["config"]).contains("hunter2"));
    node.run();
    // A node answers before its shards do.
    let ready = http(node.port, "GET", "/_cluster/health?wait_for_status=yellow&timeout=60s", "").unwrap();
    assert_eq!(ready.0, 200, "{}", ready.1);
    same(&program, "what answered before the failed train answers");
}

/// A running server tells the index of changes, and says 503 as long as nothing answers.
fn items_count_at_once(program: &Program) {
    let server = Deployed::start(program, &[], &[]);
    let red = r#"{"rules":[{"name":"colour","values":["very red"],"bias":-1}],"num":3}"#;
    let items = |query: &str| {
        let (status, answer) = ask(server.port, query);
        assert_eq!(status, 200, "{answer}");
        let items = answer.get("itemScores").unwrap().as_array().unwrap().iter();
        items.map(|item| text(item, "item").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(items(red), Vec::<String>::new());
    let line = r#"{"event":"$set","entityType":"item","entityId":"quite new","properties":{"colour":"very red","available":"2020-01-01T00:00:00Z","expires":"2099-01-01T00:00:00Z"},"eventTime":"2026-01-01T00:00:00Z"}"#;
    program.write("set.jsonl", line);
    program.ok(&["import", "--app", "shop", "--input", "set.jsonl"]);
    assert!(wait_for(|| (items(red) == ["quite new"]).then_some(())).is_some());
}
