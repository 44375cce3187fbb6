//! The candidate that was not chosen: SQLite, with the same layout of data and the same group commit.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};

use events::{Event, EventRef, EventTime};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use crate::{Candidate, HISTORY};

enum Job {
    Append(Vec<Event>, Sender<Vec<String>>),
    Delete(i64, Sender<bool>),
}

pub(crate) struct Sqlite {
    file: PathBuf,
    jobs: std::sync::Mutex<Sender<Job>>,
    readers: std::sync::Mutex<Vec<Connection>>,
}

fn connect(file: &Path) -> Connection {
    let connection = Connection::open(file).unwrap();
    connection
        .execute_batch(
            "PRAGMA page_size=4096; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA busy_timeout=60000;
             PRAGMA cache_size=-131072; PRAGMA mmap_size=17179869184; PRAGMA wal_autocheckpoint=16384;",
        )
        .unwrap();
    connection.set_prepared_statement_cache_capacity(32);
    connection
}

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS names(id INTEGER PRIMARY KEY, name TEXT UNIQUE);
CREATE TABLE IF NOT EXISTS log(seq INTEGER PRIMARY KEY, event INTEGER, kind INTEGER, entity TEXT, target_kind INTEGER,
  target TEXT, time INTEGER, created INTEGER, id TEXT, properties TEXT);
CREATE TABLE IF NOT EXISTS history(entity INTEGER, time INTEGER, seq INTEGER, PRIMARY KEY(entity, time, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ids(id TEXT PRIMARY KEY, seq INTEGER) WITHOUT ROWID;";

/// Names are few and the same in every process of this program.
const NAMES: [&str; 4] = ["view", "purchase", "user", "item"];

fn number(name: &str) -> u32 {
    u32::try_from(NAMES.iter().position(|known| *known == name).unwrap()).unwrap()
}

fn hash(id: &str) -> i64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in id.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash.cast_signed()
}

impl Sqlite {
    pub(crate) fn open(directory: &Path) -> Self {
        std::fs::create_dir_all(directory).unwrap();
        let file = directory.join("events.db");
        let writer = connect(&file);
        writer.execute_batch(SCHEMA).unwrap();
        let (jobs, queue) = channel();
        std::thread::spawn(move || committer(writer, &queue));
        Self { file, jobs: std::sync::Mutex::new(jobs), readers: std::sync::Mutex::default() }
    }

    /// Runs `body` with a connection of the pool.
    fn read<T>(&self, body: impl FnOnce(&Connection) -> T) -> T {
        let pooled = self.readers.lock().unwrap().pop();
        let connection = pooled.unwrap_or_else(|| connect(&self.file));
        let result = body(&connection);
        self.readers.lock().unwrap().push(connection);
        result
    }

    fn submit<T>(&self, job: impl FnOnce(Sender<T>) -> Job) -> T {
        let (answer, answered) = channel();
        self.jobs.lock().unwrap().send(job(answer)).unwrap();
        answered.recv().unwrap()
    }
}

/// One transaction for all that waits.
fn committer(mut connection: Connection, queue: &Receiver<Job>) {
    while let Ok(first) = queue.recv() {
        let mut group = vec![first];
        group.extend(queue.try_iter().take(1023));
        let transaction =
            connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
        let mut answers: Vec<Box<dyn FnOnce()>> = vec![];
        for job in group {
            match job {
                Job::Append(events, answer) => {
                    let ids = append(&transaction, &events);
                    answers.push(Box::new(move || answer.send(ids).unwrap()));
                }
                Job::Delete(seq, answer) => {
                    let done = delete(&transaction, seq);
                    answers.push(Box::new(move || answer.send(done).unwrap()));
                }
            }
        }
        transaction.commit().unwrap();
        answers.into_iter().for_each(|answer| answer());
    }
}

fn append(transaction: &Transaction<'_>, events: &[Event]) -> Vec<String> {
    let mut log = transaction
        .prepare_cached("INSERT OR REPLACE INTO log VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)")
        .unwrap();
    let mut find = transaction.prepare_cached("SELECT seq FROM ids WHERE id=?1").unwrap();
    let mut next: i64 =
        transaction.query_row("SELECT coalesce(max(seq),0)+1 FROM log", [], |row| row.get(0)).unwrap();
    let (mut ids, mut history, mut new_ids) = (vec![], vec![], vec![]);
    for event in events {
        let old: Option<i64> =
            event.event_id.as_ref().and_then(|id| find.query_row([id], |row| row.get(0)).optional().unwrap());
        if let Some(seq) = old {
            unindex(transaction, seq);
        }
        let seq = old.unwrap_or(next);
        next += i64::from(old.is_none());
        let target = event.target.as_ref().unwrap();
        let properties = (!event.properties.is_empty()).then(|| event.properties.to_string());
        log.execute(params![
            seq,
            number(&event.event),
            number(&event.entity.kind),
            event.entity.id,
            number(&target.kind),
            target.id,
            event.event_time.millis,
            event.creation_time.millis,
            event.event_id,
            properties
        ])
        .unwrap();
        history.push((hash(&event.entity.id), event.event_time.millis, seq));
        if let (Some(id), None) = (&event.event_id, old) {
            new_ids.push((id.clone(), seq));
        }
        ids.push(event.event_id.clone().unwrap_or_else(|| format!("{seq:032x}")));
    }
    insert_sorted(transaction, history, new_ids);
    ids
}

fn insert_sorted(
    transaction: &Transaction<'_>,
    mut history: Vec<(i64, i64, i64)>,
    mut ids: Vec<(String, i64)>,
) {
    history.sort_unstable();
    ids.sort_unstable();
    let mut insert = transaction.prepare_cached("INSERT INTO history VALUES(?1,?2,?3)").unwrap();
    for (entity, time, seq) in history {
        insert.execute(params![entity, time, seq]).unwrap();
    }
    let mut insert = transaction.prepare_cached("INSERT INTO ids VALUES(?1,?2)").unwrap();
    for (id, seq) in ids {
        insert.execute(params![id, seq]).unwrap();
    }
}

/// Removes the history entry of `seq`; `false` if there is no such event.
fn unindex(transaction: &Transaction<'_>, seq: i64) -> bool {
    let mut find = transaction.prepare_cached("SELECT entity, time FROM log WHERE seq=?1").unwrap();
    let found: Option<(String, i64)> =
        find.query_row([seq], |row| Ok((row.get(0)?, row.get(1)?))).optional().unwrap();
    let Some((entity, time)) = found else { return false };
    let mut delete =
        transaction.prepare_cached("DELETE FROM history WHERE entity=?1 AND time=?2 AND seq=?3").unwrap();
    delete.execute(params![hash(&entity), time, seq]).unwrap() == 1
}

fn delete(transaction: &Transaction<'_>, seq: i64) -> bool {
    unindex(transaction, seq)
        && transaction.prepare_cached("DELETE FROM log WHERE seq=?1").unwrap().execute([seq]).unwrap() == 1
}

/// Lends a row of `SELECT event, kind, entity, target_kind, target, time, created, id, properties, seq`.
fn lend(row: &Row<'_>, visit: &mut dyn FnMut(&EventRef<'_>)) {
    let text = |column| row.get_ref(column).unwrap().as_str_or_null().unwrap();
    let name = |column| NAMES[row.get::<_, u32>(column).unwrap() as usize];
    let time = |column| EventTime { millis: row.get(column).unwrap(), offset_seconds: 0 };
    let generated;
    let event_id = match text(7) {
        Some(id) => id,
        None => {
            generated = format!("{:032x}", row.get::<_, i64>(9).unwrap());
            &generated
        }
    };
    visit(&EventRef {
        event_id,
        event: name(0),
        entity_type: name(1),
        entity_id: text(2).unwrap(),
        target: Some((name(3), text(4).unwrap())),
        properties: text(8).unwrap_or("{}"),
        event_time: time(5),
        pr_id: None,
        tags: "",
        creation_time: time(6),
    });
}

const COLUMNS: &str =
    "event, kind, log.entity, target_kind, target, log.time, created, id, properties, log.seq";

impl Candidate for Sqlite {
    fn name(&self) -> &'static str {
        "sqlite"
    }

    fn append(&self, events: &[Event]) -> Vec<String> {
        let events = events.to_vec();
        self.submit(|answer| Job::Append(events, answer))
    }

    fn history(&self, user: &str) -> usize {
        self.read(|connection| {
            let sql = format!(
                "SELECT {COLUMNS} FROM history CROSS JOIN log ON log.seq = history.seq
                 WHERE history.entity=?1 ORDER BY history.time DESC LIMIT {HISTORY}"
            );
            let mut statement = connection.prepare_cached(&sql).unwrap();
            let mut rows = statement.query([hash(user)]).unwrap();
            let mut count = 0;
            while let Some(row) = rows.next().unwrap() {
                lend(row, &mut |event| count += usize::from(event.entity_id == user));
            }
            count
        })
    }

    fn scan(&self, visit: &mut dyn FnMut(&EventRef<'_>)) {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM log")).unwrap();
            let mut rows = statement.query([]).unwrap();
            while let Some(row) = rows.next().unwrap() {
                lend(row, visit);
            }
        });
    }

    fn delete(&self, id: &str) -> bool {
        let seq = i64::from_str_radix(id, 16).unwrap();
        self.submit(|answer| Job::Delete(seq, answer))
    }
}
