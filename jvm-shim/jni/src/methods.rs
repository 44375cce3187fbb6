//! The native methods of `dev.arblast.internal.Native`, one function each: arguments in, work elsewhere, result out.

use std::ffi::c_void;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use engine::{Counting, EngineConfig, Leniency, Recommender, Summing};
use events::{EventTime, MemoryStore, ParsedEvent, Scope};
use jni::objects::{JByteArray, JByteBuffer, JClass, JObjectArray};
use jni::strings::JNIStr;
use jni::sys::{jboolean, jdouble, jint, jlong};
use jni::{Env, EnvUnowned, jni_str};
use model::Model;

use crate::app::{Append, Cursor};
use crate::border::{Fault, Result, enter};
use crate::columns::{self, Buffers};
use crate::handles::{self, Answering, Object};
use crate::requests::Request;
use crate::session::Session;
use crate::tables;

/// Version of the library.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Commit that it was built from.
pub const BUILD: &str = env!("ARBLAST_BUILD");
const TARGET: &str = env!("ARBLAST_TARGET");

/// Name, signature, function.
type Method = (&'static JNIStr, &'static JNIStr, *mut c_void);

/// All of them, `identity` first. Each signature is that of the function beside it.
pub fn all() -> [Method; 31] {
    [
        (jni_str!("identity"), jni_str!("()[B"), identity as *mut c_void),
        (jni_str!("openSession"), jni_str!("([BJZ)J"), open_session as *mut c_void),
        (jni_str!("pushLines"), jni_str!("(JZI[Ljava/nio/ByteBuffer;)J"), push_lines as *mut c_void),
        (jni_str!("pushText"), jni_str!("(JZILjava/nio/ByteBuffer;)J"), push_text as *mut c_void),
        (jni_str!("pushEvents"), jni_str!("(JZI[Ljava/nio/ByteBuffer;)J"), push_events as *mut c_void),
        (jni_str!("pushPairs"), jni_str!("(JII[Ljava/nio/ByteBuffer;)V"), push_pairs as *mut c_void),
        (jni_str!("merge"), jni_str!("(J[B)V"), merge as *mut c_void),
        (jni_str!("portion"), jni_str!("(J)[B"), portion as *mut c_void),
        (jni_str!("start"), jni_str!("(J[B)V"), start as *mut c_void),
        (jni_str!("await"), jni_str!("(JJ)Z"), wait as *mut c_void),
        (jni_str!("stop"), jni_str!("(J)V"), stop as *mut c_void),
        (jni_str!("tell"), jni_str!("(JI)[B"), tell as *mut c_void),
        (jni_str!("count"), jni_str!("(JI)J"), count as *mut c_void),
        (jni_str!("counting"), jni_str!("(JII)[B"), counting as *mut c_void),
        (jni_str!("openSums"), jni_str!("(JIII)J"), open_sums as *mut c_void),
        (jni_str!("addSums"), jni_str!("(JJ)V"), add_sums as *mut c_void),
        (jni_str!("sums"), jni_str!("(J)[B"), sums as *mut c_void),
        (jni_str!("openCounting"), jni_str!("([B)J"), open_counting as *mut c_void),
        (jni_str!("block"), jni_str!("(JIII)[B"), block as *mut c_void),
        (jni_str!("addBlock"), jni_str!("(J[B)V"), add_block as *mut c_void),
        (jni_str!("openModel"), jni_str!("([B[B)J"), open_model as *mut c_void),
        (jni_str!("answer"), jni_str!("(JI[BJ)[B"), answer as *mut c_void),
        (jni_str!("table"), jni_str!("(JIII)[B"), table as *mut c_void),
        (jni_str!("llr"), jni_str!("(JJJJ)D"), llr as *mut c_void),
        (jni_str!("openEvents"), jni_str!("([B[B)J"), open_events as *mut c_void),
        (jni_str!("nextEvents"), jni_str!("(J)[B"), next_events as *mut c_void),
        (jni_str!("openAppend"), jni_str!("([B[BJ)J"), open_append as *mut c_void),
        (jni_str!("checkEvents"), jni_str!("(I[Ljava/nio/ByteBuffer;)V"), check_events as *mut c_void),
        (jni_str!("addEvents"), jni_str!("(JI[Ljava/nio/ByteBuffer;)V"), add_events as *mut c_void),
        (jni_str!("commit"), jni_str!("(J)[B"), commit as *mut c_void),
        (jni_str!("close"), jni_str!("(J)I"), close as *mut c_void),
    ]
}

type Class<'l> = JClass<'l>;
type Columns<'l> = JObjectArray<'l, JByteBuffer<'l>>;

fn bytes(env: &Env<'_>, array: &JByteArray<'_>, name: &str) -> Result<Vec<u8>> {
    if array.is_null() {
        Err(Fault::argument(format!("{name} is null")))
    } else {
        Ok(env.convert_byte_array(array)?)
    }
}

fn given<'l>(env: &mut Env<'l>, bytes: &[u8]) -> Result<JByteArray<'l>> {
    if i32::try_from(bytes.len()).is_err() {
        let text = format!("{} bytes do not fit a Java array: use more, smaller pieces", bytes.len());
        return Err(Fault::argument(text));
    }
    Ok(env.byte_array_from_slice(bytes)?)
}

fn text(env: &Env<'_>, array: &JByteArray<'_>, name: &str) -> Result<String> {
    let text = String::from_utf8(bytes(env, array, name)?);
    text.map_err(|_| Fault::argument(format!("{name} is not UTF-8")))
}

fn index(number: jint, name: &str) -> Result<usize> {
    usize::try_from(number).map_err(|_| Fault::argument(format!("{name} must not be negative, got {number}")))
}

fn number(number: jint, name: &str) -> Result<u32> {
    u32::try_from(number).map_err(|_| Fault::argument(format!("{name} must not be negative, got {number}")))
}

/// Version, commit and target, separated by blanks.
extern "system" fn identity<'l>(env: EnvUnowned<'l>, _: Class<'l>) -> JByteArray<'l> {
    enter(env, |env| given(env, format!("{VERSION} {BUILD} {TARGET}").as_bytes()))
}

extern "system" fn open_session<'l>(
    env: EnvUnowned<'l>,
    _: Class<'l>,
    engine: JByteArray<'l>,
    now_ms: jlong,
    part: jboolean,
) -> jlong {
    enter(env, |env| {
        let engine = bytes(env, &engine, "the engine file")?;
        handles::insert(Object::Session(Arc::new(Session::new(&engine, now_ms, part)?)))
    })
}

/// One column: a line of event JSON each. Gives how many were no events, which is an error unless they may be skipped.
extern "system" fn push_lines<'l>(
    env: EnvUnowned<'l>,
    _: Class<'l>,
    key: jlong,
    skip: jboolean,
    rows: jint,
    columns: Columns<'l>,
) -> jlong {
    enter(env, |env| {
        let session = handles::session(key)?;
        let mut buffers = Buffers::copy(env, rows, &columns, 3)?;
        let lines = buffers.full_texts(0, "a line")?;
        taken_lines(&session, skip, (0..buffers.rows()).filter_map(|row| lines.get(row)).map(str::as_bytes))
    })
}

/// Whole lines in one buffer: event JSON, or for an indicator (not negative) `user,item`. Gives how many were no events.
extern "system" fn push_text<'l>(
    env: EnvUnowned<'l>,
    _: Class<'l>,
    key: jlong,
    skip: jboolean,
    indicator: jint,
    text: JByteBuffer<'l>,
) -> jlong {
    enter(env, |env| {
        let session = handles::session(key)?;
        let text = columns::bytes(env, &text)?;
        match usize::try_from(indicator) {
            Ok(indicator) => session.push_text(indicator, &text).map(|()| 0),
            Err(_) => taken_lines(&session, skip, events::lines(&text).map(|(_, line)| line)),
        }
    })
}

/// Pushes events by their JSON; blank lines do not count. Gives how many were no events.
fn taken_lines<'a>(session: &Session, skip: bool, lines: impl Iterator<Item = &'a [u8]>) -> Result<jlong> {
    let lines = lines.map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    let no_event = |line: &[u8], error: events::Error| {
        let head: String = String::from_utf8_lossy(line).chars().take(160).collect();
        Fault::argument(format!("no event: {error} In: {head}"))
    };
    session.push(|push| {
        let mut bad = 0;
        for line in lines {
            match ParsedEvent::parse(line, session.now()) {
                Ok(event) => event.lend(&mut *push)?,
                Err(_) if skip => bad += 1,
                Err(error) => return Err(no_event(line, error)),
            }
        }
        Ok(bad)
    })
}

/// Columns of events: event, entityType, entityId, targetEntityType, targetEntityId, properties, eventId, and the times as
/// text (eventTime, creationTime), then the times as µs since 1970. Of each time one column or the other may be there.
extern "system" fn push_events<'l>(
    env: EnvUnowned<'l>,
    _: Class<'l>,
    key: jlong,
    skip: jboolean,
    rows: jint,
    columns: Columns<'l>,
) -> jlong {
    enter(env, |env| {
        let session = handles::session(key)?;
        let mut buffers = Buffers::copy(env, rows, &columns, tables::Events::BUFFERS)?;
        let table = tables::Events::read(&mut buffers)?;
        session.push(|push| {
            let mut bad = 0;
            for row in 0..buffers.rows() {
                match table.event(row, session.now()) {
                    Ok(event) => event.lend(&mut *push)?,
                    Err(_) if skip => bad += 1,
                    Err(error) => return Err(error),
                }
            }
            Ok(bad)
        })
    })
}

/// Two columns, user and thing, of one indicator.
extern "system" fn push_pairs<'l>(
    env: EnvUnowned<'l>,
    _: Class<'l>,
    key: jlong,
    indicator: jint,
    rows: jint,
    columns: Columns<'l>,
) {
    enter(env, |env| {
        let session = handles::session(key)?;
        let indicator = index(indicator, "the indicator")?;
        let mut buffers = Buffers::copy(env, rows, &columns, 6)?;
        let (users, things) = (buffers.full_texts(0, "the user")?, buffers.full_texts(3, "the item")?);
        session.push_pairs(indicator, buffers.rows(), &users, &things)
    })
}

extern "system" fn merge<'l>(env: EnvUnowned<'l>, _: Class<'l>, key: jlong, portion: JByteArray<'l>) {
    enter(env, |env| handles::session(key)?.merge(&bytes(env, &portion, "the portion")?))
}

extern "system" fn portion<'l>(env: EnvUnowned<'l>, _: Class<'l>, key: jlong) -> JByteArray<'l> {
    enter(env, |env| {
        let portion = handles::session(key)?.portion()?;
        given(env, &portion)
    })
}

extern "system" fn start<'l>(env: EnvUnowned<'l>, _: Class<'l>, key: jlong, request: JByteArray<'l>) {
    enter(env, |env| {
        let request = Request::parse(&bytes(env, &request, "the request")?)?;
        handles::session(key)?.start(request)
    })
}

/// Has the request ended? Waits for at most ten seconds, however many are asked for.
extern "system" fn wait<'l>(env: EnvUnowned<'l>, _: Class<'l>, key: jlong, millis: jlong) -> jboolean {
    enter(env, |_| {
        let millis = u64::try_from(millis.clamp(0, 10_000)).unwrap_or(0);
        handles::session(key)?.wait(Duration::from_millis(millis))
    })
}

extern "system" fn stop<'l>(env: EnvUnowned<'l>, _: Class<'l>, key: jlong) {
    enter(env, |_| {
        handles::session(key)?.stop();
        Ok(())
    })
}

/// Of a session 0: progress, 1: result of the last request, 2: what will be counted, 5: name of
/// the engine's folder of models, 6: `sparkConf` of the engine file as a table of names and values. Of a model 4: its names.
extern "system" fn tell<'l>(env: EnvUnowned<'l>, _: Class<'l>, key: jlong, what: jint) -> JByteArray<'l> {
    enter(env, |env| {
        let told = match what {
            0 => handles::session(key)?.progress().into_bytes(),
            1 => handles::session(key)?.result()?.into_bytes(),
            2 => handles::session(key)?.summary()?.into_bytes(),
            5 => handles::session(key)?.folder().into_bytes(),
            6 => tables::pairs(handles::session(key)?.spark_conf()),
            4 => tables::names(&handles::answering(key)?.model).into_bytes(),
            other => return Err(Fault::argument(format!("nothing to tell has the number {other}"))),
        };
        given(env, &told)
    })
}

/// Of a session 0: items, 1: indicators, 2: cells, 3: increments, 4: most things of an indicator, 5: does
/// it learn, 6: does it keep correlators (0 or 1). Of a model 10: items, 11: users, 12: correlators. Of what
/// counts 20: items, 21: indicators.
extern "system" fn count<'l>(env: EnvUnowned<'l>, _: Class<'l>, key: jlong, what: jint) -> jlong {
    enter(env, |_| {
        let model = || handles::answering(key).map(|answering| answering.model.counts());
        let long = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        match what {
            10 => Ok(i64::from(model()?.items)),
            11 => Ok(i64::from(model()?.users)),
            12 => Ok(long(model()?.correlators)),
            5 => Ok(i64::from(handles::session(key)?.learns())),
            6 => Ok(i64::from(handles::session(key)?.keeps())),
            20 => Ok(i64::from(handles::counting(key)?.items())),
            21 => Ok(long(handles::counting(key)?.indicators() as u64)),
            other => handles::session(key)?.count(index(other, "the number of a count")?),
        }
    })
}

/// What to count with: one of so many parts of the users.
extern "system" fn counting<'l>(
    env: EnvUnowned<'l>,
    _: Class<'l>,
    key: jlong,
    part: jint,
    parts: jint,
) -> JByteArray<'l> {
    enter(env, |env| {
        let counting = handles::session(key)?
            .counting(number(part, "the part")?, number(parts, "the number of parts")?)?;
        given(env, &counting)
    })
}

/// Counters of some items that sum up over parts of the users; `key` is one of the parts.
extern "system" fn open_sums<'l>(
    env: EnvUnowned<'l>,
    _: Class<'l>,
    key: jlong,
    indicator: jint,
    first: jint,
    end: jint,
) -> jlong {
    enter(env, |_| {
        let items = number(first, "the first item")?..number(end, "the end of the items")?;
        let sums = Summing::new(handles::counting(key)?.as_ref(), index(indicator, "the indicator")?, items)?;
        handles::insert(Object::Sums(Arc::new(Mutex::new(sums))))
    })
}

extern "system" fn add_sums<'l>(env: EnvUnowned<'l>, _: Class<'l>, key: jlong, part: jlong) {
    enter(env, |_| {
        let (sums, part) = (handles::sums(key)?, handles::counting(part)?);
        Ok(sums.lock().unwrap_or_else(PoisonError::into_inner).add(&part)?)
    })
}

extern "system" fn sums<'l>(env: EnvUnowned<'l>, _: Class<'l>, key: jlong) -> JByteArray<'l> {
    enter(env, |env| {
        let block = handles::sums(key)?.lock().unwrap_or_else(PoisonError::into_inner).block();
        given(env, &block.to_bytes())
    })
}

extern "system" fn open_counting<'l>(env: EnvUnowned<'l>, _: Class<'l>, counting: JByteArray<'l>) -> jlong {
    enter(env, |env| {
        let counting = Counting::from_bytes(&bytes(env, &counting, "the interactions")?)?;
        handles::insert(Object::Counting(Arc::new(counting)))
    })
}

extern "system" fn block<'l>(
    env: EnvUnowned<'l>,
    _: Class<'l>,
    key: jlong,
    indicator: jint,
    first: jint,
    end: jint,
) -> JByteArray<'l> {
    enter(env, |env| {
        let counting = handles::counting(key)?;
        let item =
            |item| u32::try_from(item).map_err(|_| Fault::argument(format!("item {item} is negative")));
        let block = counting.block(index(indicator, "the indicator")?, item(first)?..item(end)?)?;
        given(env, &block.to_bytes())
    })
}

extern "system" fn add_block<'l>(env: EnvUnowned<'l>, _: Class<'l>, key: jlong, block: JByteArray<'l>) {
    enter(env, |env| handles::session(key)?.add(&bytes(env, &block, "the block")?))
}

/// A model file, and the engine file to answer queries by; null: only to be read.
extern "system" fn open_model<'l>(
    env: EnvUnowned<'l>,
    _: Class<'l>,
    path: JByteArray<'l>,
    engine: JByteArray<'l>,
) -> jlong {
    enter(env, |env| {
        let path = text(env, &path, "the path")?;
        let recommender = if engine.is_null() {
            None
        } else {
            let variable = |name: &str| Some(std::env::var(name).unwrap_or_default());
            let engine = bytes(env, &engine, "the engine file")?;
            let parsed = EngineConfig::parse(&engine, Leniency::Strict, &variable);
            let (config, _) = parsed.map_err(engine::Error::from)?;
            let scope = Scope { app: 0, channel: None };
            Some(Recommender::new(config, Arc::new(MemoryStore::new()), scope))
        };
        handles::insert(Object::Answering(Arc::new(Answering { model: Model::open(path)?, recommender })))
    })
}

/// Answers a query. `form` 0: JSON; 1: rows, see [`tables::hits`].
extern "system" fn answer<'l>(
    env: EnvUnowned<'l>,
    _: Class<'l>,
    key: jlong,
    form: jint,
    query: JByteArray<'l>,
    now_ms: jlong,
) -> JByteArray<'l> {
    enter(env, |env| {
        let answering = handles::answering(key)?;
        let query = bytes(env, &query, "the query")?;
        let answer = tables::answer(&answering, &query, now_ms)?;
        match form {
            0 => given(env, answer.to_json().as_bytes()),
            1 => given(env, &tables::hits(&answer)),
            other => Err(Fault::argument(format!("no form of an answer has the number {other}"))),
        }
    })
}

/// Rows of a model: `what` 0: correlators, 1: items, 2: rankings, 3: correlators as lines of JSON; of the items from `first` to before `end`.
extern "system" fn table<'l>(
    env: EnvUnowned<'l>,
    _: Class<'l>,
    key: jlong,
    what: jint,
    first: jint,
    end: jint,
) -> JByteArray<'l> {
    enter(env, |env| {
        let answering = handles::answering(key)?;
        let item =
            |item| u32::try_from(item).map_err(|_| Fault::argument(format!("item {item} is negative")));
        let rows = tables::of_model(&answering.model, what, item(first)?..item(end)?)?;
        given(env, &rows)
    })
}

extern "system" fn llr<'l>(
    env: EnvUnowned<'l>,
    _: Class<'l>,
    k11: jlong,
    k12: jlong,
    k21: jlong,
    k22: jlong,
) -> jdouble {
    enter(env, |_| {
        let count = |count: jlong| {
            u64::try_from(count)
                .map_err(|_| Fault::argument(format!("llr: counts must not be negative, got {count}")))
        };
        Ok(engine::llr(count(k11)?, count(k12)?, count(k21)?, count(k22)?))
    })
}

/// All events of an app in the embedded store of a home, as they are now.
extern "system" fn open_events<'l>(
    env: EnvUnowned<'l>,
    _: Class<'l>,
    home: JByteArray<'l>,
    app: JByteArray<'l>,
) -> jlong {
    enter(env, |env| {
        let cursor = Cursor::open(&text(env, &home, "the home")?, &text(env, &app, "the app")?)?;
        handles::insert(Object::Cursor(Arc::new(cursor)))
    })
}

/// The next rows of events, see [`tables::EventRows`]; no rows: that was all.
extern "system" fn next_events<'l>(env: EnvUnowned<'l>, _: Class<'l>, key: jlong) -> JByteArray<'l> {
    enter(env, |env| {
        let batch = handles::cursor(key)?.next()?;
        given(env, &batch)
    })
}

/// Events to be stored in an app of a home. `now_ms`: creation time of those that have none.
extern "system" fn open_append<'l>(
    env: EnvUnowned<'l>,
    _: Class<'l>,
    home: JByteArray<'l>,
    app: JByteArray<'l>,
    now_ms: jlong,
) -> jlong {
    enter(env, |env| {
        let (home, app) = (text(env, &home, "the home")?, text(env, &app, "the app")?);
        handles::insert(Object::Append(Arc::new(Append::open(&home, &app, now_ms)?)))
    })
}

/// Are these events, in the columns of [`push_events`]? The error says which is not, and why.
extern "system" fn check_events<'l>(env: EnvUnowned<'l>, _: Class<'l>, rows: jint, columns: Columns<'l>) {
    enter(env, |env| {
        let mut buffers = Buffers::copy(env, rows, &columns, tables::Events::BUFFERS)?;
        let table = tables::Events::read(&mut buffers)?;
        (0..buffers.rows()).try_for_each(|row| table.event(row, EventTime::utc(0)).map(drop))
    })
}

/// Adds events, in the columns of [`push_events`]: all, or none if one is wrong.
extern "system" fn add_events<'l>(
    env: EnvUnowned<'l>,
    _: Class<'l>,
    key: jlong,
    rows: jint,
    columns: Columns<'l>,
) {
    enter(env, |env| {
        let append = handles::append(key)?;
        let mut buffers = Buffers::copy(env, rows, &columns, tables::Events::BUFFERS)?;
        let table = tables::Events::read(&mut buffers)?;
        append.add((0..buffers.rows()).map(|row| Ok(table.event(row, append.now())?.into_event())))
    })
}

/// Stores all that was added, durably, or nothing. Gives a warning, or an empty text.
extern "system" fn commit<'l>(env: EnvUnowned<'l>, _: Class<'l>, key: jlong) -> JByteArray<'l> {
    enter(env, |env| {
        let warning = handles::append(key)?.commit()?;
        given(env, warning.as_bytes())
    })
}

/// Gives how many objects are still open. To close twice, or what never was open, is no error.
extern "system" fn close<'l>(env: EnvUnowned<'l>, _: Class<'l>, key: jlong) -> jint {
    enter(env, |_| {
        handles::close(key);
        Ok(i32::try_from(handles::open()).unwrap_or(i32::MAX))
    })
}
