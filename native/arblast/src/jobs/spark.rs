//! The road through Spark: this process reads the events, wherever the settings say that they are; `spark-submit` runs the jar,
//! which counts on the cluster and publishes in the folder of models; search servers are told here again.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use engine::{EngineConfig, Observer, Portion, TrainReport};
use events::json;
use events::{EventStore, Json, Kind, Position, Scope};

use crate::failure::{Failure, Result};

const MAIN: &str = "dev.arblast.spark.TrainJob";
const JAR: &str = "arblast-spark.jar";
/// Variable that names the jar.
pub const JAR_VARIABLE: &str = "ARBLAST_SPARK_JAR";
/// How often a wish to stop is looked for.
const LOOK: Duration = Duration::from_millis(200);
/// What the job says begins so; the rest is Spark's.
const TOLD: &str = "[TrainJob] ";
const ERROR: &str = "[ERROR] ";
/// Folders of trains begin so.
const SCRATCH: &str = "spark-";
/// Of a job that failed without a word of ours: so many of its last lines are shown.
const LAST_LINES: usize = 8;

/// A way to start jobs on a cluster.
#[derive(Debug, Clone)]
pub struct SparkSubmit {
    program: PathBuf,
    jar: PathBuf,
    /// Options for `spark-submit`.
    passed: Vec<String>,
}

/// One train on it.
pub struct SparkTrain<'a> {
    /// Where events are.
    pub events: &'a dyn EventStore,
    /// Those of the app.
    pub scope: Scope,
    /// Where the store was before they are read.
    pub position: Position,
    /// Folder of all models.
    pub models: &'a Path,
    /// Folder of the engine's models.
    pub directory: &'a Path,
    /// Engine, and the text of its file.
    pub config: &'a EngineConfig,
    /// Text of the engine file.
    pub config_text: &'a str,
    /// Id of the run.
    pub run: &'a str,
    /// The time that windows end at.
    pub now_ms: i64,
    /// Publish even a model that shrank.
    pub force: bool,
}

impl SparkSubmit {
    /// Looks for Spark where `SPARK_HOME` says, and for the jar where [`JAR_VARIABLE`] says or beside this program.
    ///
    /// # Errors
    /// One of them is not there; `passed` wants the driver elsewhere, where this home is not.
    pub fn find(passed: &[String], variable: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        if wants(passed, "--deploy-mode", "cluster") {
            return Err(Failure::invalid(
                "--deploy-mode cluster: the driver would run where this home is not. Use client mode, or give the events as \
                 files to spark-submit yourself: docs/spark.md",
            ));
        }
        let spark = variable("SPARK_HOME").ok_or_else(|| {
            Failure::not_found(
                "SPARK_HOME is not set: a --master other than local needs a Spark distribution, and SPARK_HOME names its \
                 folder (that of the pyspark package will do). Without --master, arblast trains on this machine by itself",
            )
        })?;
        let program = Path::new(&spark).join("bin/spark-submit");
        if !program.is_file() {
            return Err(Failure::not_found(format!(
                "{} does not exist; SPARK_HOME names that folder",
                program.display()
            )));
        }
        Ok(Self { program, jar: jar(variable(JAR_VARIABLE))?, passed: passed.to_vec() })
    }

    /// Trains; gives the number of the new generation and the report. `told` hears what the job says.
    ///
    /// # Errors
    /// The job fails: with its own words and kind; [`engine::Error::Stopped`] if the observer says so.
    pub fn train(
        &self,
        train: &SparkTrain<'_>,
        observer: &dyn Observer,
        told: &dyn Fn(&str),
    ) -> Result<(u64, TrainReport)> {
        let scratch = Scratch::new(train)?;
        scratch.write_events(train, observer)?;
        observer.stage("spark", 0);
        let mut child = self.start(train, &scratch)?;
        let stderr = child.stderr.take();
        let (status, lines) = std::thread::scope(|scope| {
            let listener = scope.spawn(move || stderr.map(listen).unwrap_or_default());
            let status = wait(&mut child, observer);
            (status, listener.join().unwrap_or_default())
        });
        let status = status?;
        lines.iter().filter_map(|line| Some(line.split_once(TOLD)?.1)).for_each(told);
        if observer.is_stopped() {
            return Err(engine::Error::Stopped.into());
        }
        if !status.success() {
            return Err(failed(status, &lines));
        }
        scratch.result()
    }

    fn start(&self, train: &SparkTrain<'_>, scratch: &Scratch) -> Result<Child> {
        let mut command = Command::new(&self.program);
        // What a driver must know before it runs; the rest of sparkConf it reads itself. The command line comes after.
        for name in ["spark.driver.memory", "spark.driver.extraJavaOptions", "spark.driver.extraClassPath"] {
            if let Some(value) = train.config.spark_conf.get(name) {
                command.args(["--conf", &format!("{name}={value}")]);
            }
        }
        let mut events = OsString::from("portion:");
        events.push(&scratch.events);
        // The driver runs here, whatever spark-defaults.conf says, and ends when this process does, which is told by its input.
        command.args(&self.passed).args(["--deploy-mode", "client", "--class", MAIN]).arg(&self.jar);
        command.arg("--attached").arg("--engine").arg(&scratch.engine).arg("--events").arg(events);
        command.args(["--position", &train.position.to_string()]);
        command.arg("--models").arg(train.models).arg("--result").arg(&scratch.result);
        command.args(["--run", train.run, "--now", &train.now_ms.to_string(), "--index", "embedded"]);
        if train.force {
            command.arg("--force");
        }
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
            .spawn()
            .map_err(|error| Failure::io(format_args!("cannot run {}", self.program.display()), &error))
    }
}

/// The engine file and the events as the job reads them, and what it leaves behind; gone in the end.
struct Scratch {
    folder: PathBuf,
    engine: PathBuf,
    events: PathBuf,
    result: PathBuf,
}

impl Scratch {
    fn new(train: &SparkTrain<'_>) -> Result<Self> {
        remove_orphans(train.directory);
        let folder = train.directory.join(format!("{SCRATCH}{}", train.run));
        let scratch = Self {
            engine: folder.join("engine.json"),
            events: folder.join("events"),
            result: folder.join("result.json"),
            folder,
        };
        let made = std::fs::create_dir_all(&scratch.folder);
        made.map_err(|error| Failure::io(format_args!("cannot make {}", scratch.folder.display()), &error))?;
        write(&scratch.engine, train.config_text.as_bytes())?;
        Ok(scratch)
    }

    /// About two bytes an event, and the texts of ids.
    fn write_events(&self, train: &SparkTrain<'_>, observer: &dyn Observer) -> Result<()> {
        let mut portion = Portion::new(Arc::new(train.config.clone()), train.now_ms);
        portion.read(train.events, train.scope, observer)?;
        write(&self.events, &portion.into_bytes())
    }

    fn result(&self) -> Result<(u64, TrainReport)> {
        let read = || {
            let json = json::parse(&std::fs::read(&self.result).ok()?).ok()?;
            let generation = u64::try_from(json.get("generation").and_then(Json::as_i64)?).ok()?;
            Some((generation, TrainReport::from_json(json.get("report")?)?))
        };
        read().ok_or_else(|| {
            Failure::new(
                Kind::Internal,
                "spark-submit ended well, but the job left no result: see the log of Spark",
            )
        })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Whatever stays is in nobody's way.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// What killed trains left behind. This one has its turn, so nobody else's is among it.
fn remove_orphans(directory: &Path) {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let is_orphan = |name: &OsStr| name.to_str().is_some_and(|name| name.starts_with(SCRATCH));
    for orphan in entries.filter(|entry| is_orphan(&entry.file_name())) {
        // Whatever stays is in nobody's way.
        let _ = std::fs::remove_dir_all(orphan.path());
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let written = std::fs::write(path, bytes);
    written.map_err(|error| Failure::io(format_args!("cannot write {}", path.display()), &error))
}

/// The jar: where it was told to be, beside the program, or where the sources build it.
fn jar(told: Option<String>) -> Result<PathBuf> {
    if let Some(told) = told {
        let jar = PathBuf::from(told);
        let missing =
            || Failure::not_found(format!("{} does not exist, and {JAR_VARIABLE} names it", jar.display()));
        return if jar.is_file() { Ok(jar) } else { Err(missing()) };
    }
    let program = std::env::current_exe().unwrap_or_default();
    let folder = program.parent().unwrap_or(Path::new("."));
    let places =
        [folder.join(JAR), folder.join("../lib").join(JAR), folder.join("../../jvm-shim/target").join(JAR)];
    places.iter().find(|jar| jar.is_file()).cloned().ok_or_else(|| {
        Failure::not_found(format!(
            "{JAR} is not beside this program ({}): {JAR_VARIABLE} may name it; from the sources, `make jar` builds it",
            folder.display()
        ))
    })
}

/// Do the options say `name value`, with a blank or `=` between?
fn wants(passed: &[String], name: &str, value: &str) -> bool {
    let joined = |word: &String| word.split_once('=') == Some((name, value));
    passed.iter().any(joined) || passed.windows(2).any(|pair| pair[0] == name && pair[1] == value)
}

/// All lines of ours, and the last ones of Spark.
fn listen(stderr: impl std::io::Read) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut foreign = 0;
    for line in BufReader::new(stderr).lines().map_while(std::result::Result::ok) {
        if is_ours(&line) {
            lines.push(line);
            continue;
        }
        foreign += 1;
        if foreign > LAST_LINES
            && let Some(oldest) = lines.iter().position(|line| !is_ours(line))
        {
            lines.remove(oldest);
        }
        lines.push(line);
    }
    lines
}

fn is_ours(line: &str) -> bool {
    line.contains(TOLD) || line.starts_with(ERROR)
}

fn wait(child: &mut Child, observer: &dyn Observer) -> Result<ExitStatus> {
    let lost = |error| Failure::io("cannot wait for spark-submit", &error);
    loop {
        if let Some(status) = child.try_wait().map_err(lost)? {
            return Ok(status);
        }
        if observer.is_stopped() {
            // It may have ended by itself meanwhile.
            let _ = child.kill();
            return child.wait().map_err(lost);
        }
        std::thread::sleep(LOOK);
    }
}

/// The table of this border: the job's exit codes are those of this program.
fn failed(status: ExitStatus, lines: &[String]) -> Failure {
    let kind = match status.code() {
        Some(1) => Kind::Invalid,
        Some(75) => Kind::Unavailable,
        Some(78) => Kind::Version,
        Some(65) => Kind::Corrupt,
        _ => Kind::Internal,
    };
    let own = lines.iter().find_map(|line| line.strip_prefix(ERROR));
    match own {
        Some(text) => Failure::new(kind, format!("on Spark: {text}")),
        None => {
            let last: Vec<&str> = lines.iter().map(|line| line.trim()).collect();
            Failure::new(Kind::Unavailable, format!("spark-submit ended with {status}: {}", last.join(" | ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_of_spark_and_all_of_ours_are_kept() {
        let text: String = (0..40).map(|n| format!("spark {n}\n")).collect();
        let text = format!("[INFO] [TrainJob] one\n{text}[ERROR] wrong\n");
        let lines = listen(text.as_bytes());
        assert_eq!(lines.len(), LAST_LINES + 2);
        assert_eq!((lines[0].as_str(), lines[1].as_str()), ("[INFO] [TrainJob] one", "spark 32"));
        assert_eq!(lines[LAST_LINES + 1], "[ERROR] wrong");
    }

    #[test]
    fn options_are_found_in_both_forms() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert!(wants(&words("--x --deploy-mode cluster"), "--deploy-mode", "cluster"));
        assert!(wants(&words("--deploy-mode=cluster"), "--deploy-mode", "cluster"));
        assert!(!wants(&words("--deploy-mode client cluster"), "--deploy-mode", "cluster"));
    }
}
