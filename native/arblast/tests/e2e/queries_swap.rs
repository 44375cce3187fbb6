//! New models while queries come in: none fails, and each answer is of one generation.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::program::{Program, at};
use crate::queries_client::{Client, send, until};
use crate::server::Server;

const QUERIES: [&str; 4] = [
    r#"{"user":"maya","num":8}"#,
    r#"{"user":"otto","num":8}"#,
    r#"{"num":8}"#,
    r#"{"user":"nobody","num":5}"#,
];
const CONNECTIONS: usize = 4;

/// Generation and number of the query → answers, and how many there were.
type Seen = (BTreeMap<(u64, usize), BTreeSet<String>>, usize);

/// Asks until `ended`, and counts rounds; panics on the first answer that is not one.
fn storm(port: u16, ended: &AtomicBool, rounds: &AtomicUsize) -> Seen {
    let mut client = Client::new(port);
    let mut seen = Seen::default();
    while !ended.load(Ordering::Relaxed) {
        for (number, query) in QUERIES.iter().enumerate() {
            let answer = client.send("POST", "/queries.json", "", query.as_bytes());
            assert_eq!((answer.status, answer.header("x-arblast-degraded")), (200, None), "{answer:?}");
            let generation = answer.header("x-arblast-generation").unwrap().parse().unwrap();
            seen.0.entry((generation, number)).or_default().insert(answer.body);
            seen.1 += 1;
        }
        let batch =
            client.send("POST", "/batch/queries.json", "", format!("[{}]", QUERIES.join(",")).as_bytes());
        assert_eq!(batch.status, 200, "{batch:?}");
        let generation = batch.header("x-arblast-generation").unwrap().parse().unwrap();
        for (number, answer) in batch.json().as_array().unwrap().iter().enumerate() {
            seen.0.entry((generation, number)).or_default().insert(answer.to_string());
        }
        seen.1 += QUERIES.len();
        rounds.fetch_add(1, Ordering::Relaxed);
    }
    seen
}

/// Shoppers who all buy what nobody bought before, so that answers change.
fn import_more(program: &Program, round: usize) {
    let mut lines = String::new();
    for user in 0..400 {
        for item in 0..3 {
            lines.push_str(&format!(
                "{{\"event\":\"purchase\",\"entityType\":\"user\",\"entityId\":\"n{round}-{user}\",\
                 \"targetEntityType\":\"item\",\"targetEntityId\":\"new{round}-{item}\",\"eventTime\":\"{}\"}}\n",
                "2026-01-01T00:00:00Z"
            ));
        }
    }
    program.write("more.jsonl", &lines);
    program.ok(&["import", "--app", "shop", "--input", "more.jsonl"]);
}

fn answers_of(program: &Program, instance: &str) -> Vec<String> {
    program.write("storm.jsonl", &QUERIES.join("\n"));
    let lines = program.ok(&[
        "batchpredict",
        "--input",
        "storm.jsonl",
        "--output",
        "-",
        "--engine-instance-id",
        instance,
    ]);
    let prediction =
        |line: &str| at(&events::json::parse(line.as_bytes()).unwrap(), "prediction").to_string();
    lines.lines().map(prediction).collect()
}

#[test]
fn a_train_publishes_during_a_storm_of_queries() {
    let program = Program::new();
    program.sample_shop();
    program.ok(&["train"]);
    let server = Server::start(&program, &[]);
    let (port, ended) = (server.port, &AtomicBool::new(false));
    let rounds: [AtomicUsize; CONNECTIONS] = Default::default();
    // once a connection ended two rounds, one of them began after the call
    let all_ask = || {
        let count = |rounds: &AtomicUsize| rounds.load(Ordering::Relaxed);
        let before = rounds.each_ref().map(count);
        until("every connection asks all queries", || {
            rounds.iter().zip(before).all(|(rounds, before)| count(rounds) >= before + 2).then_some(())
        });
    };
    let serves = |generation: u64| {
        until("the new generation serves", || {
            let health = send(port, "GET", "/health", "").json();
            (at(&health, "generation").as_i64() == i64::try_from(generation).ok()).then_some(())
        });
        all_ask();
    };
    let (mut seen, mut asked) = (BTreeMap::<(u64, usize), BTreeSet<String>>::new(), 0);
    std::thread::scope(|scope| {
        let begin = |rounds| scope.spawn(move || storm(port, ended, rounds));
        let storms: Vec<_> = rounds.iter().map(begin).collect();
        serves(1);
        for round in 2..=3 {
            import_more(&program, round);
            assert_eq!(send(port, "POST", "/reload", "").status, 200);
            program.ok(&["train"]);
            serves(round as u64);
            assert_eq!(send(port, "GET", "/reload", "").status, 200);
        }
        program.ok(&["rollback", "1"]);
        serves(1);
        ended.store(true, Ordering::Relaxed);
        for (answers, count) in storms.into_iter().map(|storm| storm.join().unwrap()) {
            asked += count;
            answers.into_iter().for_each(|(key, answers)| seen.entry(key).or_default().extend(answers));
        }
    });
    let models = program.json(&["models"]);
    let expected: Vec<Vec<String>> = models
        .as_array()
        .unwrap()
        .iter()
        .map(|model| answers_of(&program, at(model, "engineInstanceId").as_str().unwrap()))
        .collect();
    assert_eq!(expected.len(), 3);
    assert!(
        expected[0] != expected[1] && expected[1] != expected[2],
        "generations must differ: {expected:?}"
    );
    for generation in 1..=3_u64 {
        for (number, query) in QUERIES.iter().enumerate() {
            let expected = &expected[usize::try_from(generation).unwrap() - 1][number];
            let answers = seen.get(&(generation, number)).unwrap_or_else(|| panic!("{generation}: {query}"));
            assert_eq!(answers, &BTreeSet::from([expected.clone()]), "generation {generation}: {query}");
        }
    }
    assert!(asked > 100, "{asked} answers are no storm");
}
