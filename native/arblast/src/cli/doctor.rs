//! `arblast doctor`

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use engine::EngineConfig;
use events::json::{self, Object};
use events::{EngineInstance, EventFilter, EventTime, InstanceStatus, Json, Scope};
use stores::Storage;

use super::console::Console;
use super::context::{Context, EngineFile};
use super::progress::grouped;
use crate::failure::Result;
use crate::serving::Serving;

/// A store of a million event names is not looked at in full.
const NAMES_MAX: usize = 10_000;

/// Find out why results are empty or scores are zero.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Goes from the engine file through events, model and history to an answer, and says at each step what is missing.

Examples:
  arblast doctor
  arblast doctor --user u1")]
pub struct Args {
    /// A user whose results are poor
    #[arg(long, value_name = "ID")]
    user: Option<String>,
}

pub fn run(args: &Args, context: &Context) -> Result<()> {
    let engine = context.engine()?;
    let storage = context.storage()?;
    let mut findings = Findings::default();
    let visit = Visit { engine: &engine, storage: &storage, user: args.user.as_deref() };
    visit.all(&mut findings)?;
    findings.print(context.console);
    Ok(())
}

/// How serious a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Good,
    Doubtful,
    Bad,
}

#[derive(Debug, Default)]
struct Findings(Vec<(Level, String)>);

impl Findings {
    fn add(&mut self, level: Level, text: impl Into<String>) {
        self.0.push((level, text.into()));
    }

    fn good(&mut self, text: impl Into<String>) {
        self.add(Level::Good, text);
    }

    fn doubtful(&mut self, text: impl Into<String>) {
        self.add(Level::Doubtful, text);
    }

    fn bad(&mut self, text: impl Into<String>) {
        self.add(Level::Bad, text);
    }

    fn print(&self, console: Console) {
        if console.json() {
            let name = |level| match level {
                Level::Good => "ok",
                Level::Doubtful => "warning",
                Level::Bad => "problem",
            };
            let finding = |(level, text): &(Level, String)| {
                Object::new().with("level", name(*level)).with("text", text.as_str()).into()
            };
            console.value(Json::Array(self.0.iter().map(finding).collect()));
            return;
        }
        for (level, text) in &self.0 {
            let mark = match level {
                Level::Good => "ok       ",
                Level::Doubtful => "warning  ",
                Level::Bad => "PROBLEM  ",
            };
            console.line(format_args!("{mark}{text}"));
        }
        let worst = self.0.iter().map(|(level, _)| *level).max();
        console.line(match worst {
            Some(Level::Bad) => "Start with the first PROBLEM.",
            Some(Level::Doubtful) => "It works; look at the warnings.",
            _ => "All is well.",
        });
    }
}

struct Visit<'a> {
    engine: &'a EngineFile,
    storage: &'a Storage,
    user: Option<&'a str>,
}

impl Visit<'_> {
    fn config(&self) -> &EngineConfig {
        &self.engine.config
    }

    /// Every step, until one fails so that the next make no sense.
    fn all(&self, findings: &mut Findings) -> Result<()> {
        let config = self.config();
        findings.good(format!("{} is valid (\"{}\")", self.engine.path.display(), config.variant));
        let Some(app) = self.storage.registry.app_by_name(&config.app_name)? else {
            findings.bad(format!(
                "app \"{0}\" does not exist: `arblast app new {0}`, then import events",
                config.app_name
            ));
            return Ok(());
        };
        let scope = Scope { app: app.id, channel: None };
        self.events(scope, findings)?;
        self.last_run(findings)?;
        if let Some(serving) = self.model(findings)? {
            self.history(&serving, scope, findings)?;
        }
        Ok(())
    }

    /// Are there events of each indicator?
    fn events(&self, scope: Scope, findings: &mut Findings) -> Result<()> {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        self.storage.events.scan(scope, &mut |event| {
            if let Some(count) = counts.get_mut(event.event) {
                *count += 1;
            } else if counts.len() < NAMES_MAX {
                counts.insert(event.event.to_owned(), 1);
            }
            ControlFlow::Continue(())
        })?;
        let of = |name: &str| counts.get(name).copied().unwrap_or(0);
        for (index, indicator) in self.config().indicators.iter().enumerate() {
            let count: u64 = indicator.event_names().map(of).sum();
            let name = &indicator.name;
            match (count, index) {
                (0, 0) => {
                    findings.bad(format!("no \"{name}\" events: the primary indicator; {}", present(&counts)))
                }
                (0, _) => findings.doubtful(format!("no \"{name}\" events; {}", present(&counts))),
                _ => findings.good(format!("{} \"{name}\" events", grouped(count))),
            }
        }
        let unused: Vec<&str> = counts
            .keys()
            .map(String::as_str)
            .filter(|name| !name.starts_with('$') && self.config().indicator_of(name).is_none())
            .take(20)
            .collect();
        if !unused.is_empty() {
            findings.doubtful(format!("events that no indicator uses: {}", unused.join(", ")));
        }
        if of("$set") == 0 {
            findings
                .doubtful("no \"$set\" events: items have no properties, so rules and dates match nothing");
        }
        Ok(())
    }

    /// How did the last training run end, and with which configuration?
    fn last_run(&self, findings: &mut Findings) -> Result<()> {
        let config = self.config();
        let instances = self.storage.registry.instances()?;
        let mine =
            instances.into_iter().find(|run| run.app == config.app_name && run.variant == config.variant);
        let Some(run) = mine else { return Ok(()) };
        let start = EventTime::utc(run.start_ms);
        match &run.status {
            InstanceStatus::Completed => findings.good(format!("last train: completed, {start}")),
            InstanceStatus::Init => {
                findings.doubtful(format!("last train, {start}: still running, or its process died"))
            }
            InstanceStatus::Failed(reason) => findings.bad(format!("last train, {start}, failed: {reason}")),
        }
        self.configuration_changed(&run, findings)
    }

    fn configuration_changed(&self, run: &EngineInstance, findings: &mut Findings) -> Result<()> {
        let then = json::parse(run.config.as_bytes()).ok();
        let now = engine::redacted(self.engine.text.as_bytes()).map_err(engine::Error::from)?;
        if run.status == InstanceStatus::Completed && then != json::parse(now.as_bytes()).ok() {
            findings.doubtful("the engine file changed after the last train: train again");
        }
        Ok(())
    }

    /// Is there a model, with correlators?
    fn model(&self, findings: &mut Findings) -> Result<Option<Serving>> {
        let serving = match Serving::open(self.storage, self.config().clone(), None) {
            Ok(serving) => serving,
            Err(failure) => {
                findings.bad(failure.to_string());
                return Ok(None);
            }
        };
        let current = serving.current();
        let counts = current.model.counts();
        let number = current.number;
        let sizes = format!(
            "{} items, {} correlators",
            grouped(u64::from(counts.items)),
            grouped(counts.correlators)
        );
        if counts.correlators == 0 {
            findings.bad(format!("model, generation {number}: {sizes}: all scores are 0; users need several events, and items several users"));
        } else {
            findings.good(format!("model, generation {number}: {sizes}"));
        }
        let known: Vec<&str> = current.model.indicators().collect();
        for name in self.config().indicator_names().filter(|name| !known.contains(name)) {
            findings.doubtful(format!("the model has no indicator \"{name}\": train again"));
        }
        Ok(Some(serving))
    }

    /// Does the user have a history, and does it lead to results?
    fn history(&self, serving: &Serving, scope: Scope, findings: &mut Findings) -> Result<()> {
        let Some(user) = self.user else {
            findings.good("to look at one user: `arblast doctor --user ID`");
            return Ok(());
        };
        let names =
            self.config().indicators.iter().flat_map(|indicator| indicator.event_names()).map(str::to_owned);
        let filter = EventFilter {
            entity_type: Some("user".to_owned()),
            entity_id: Some(user.to_owned()),
            events: Some(names.collect()),
            limit: Some(10_000),
            ..EventFilter::default()
        };
        let mut events = 0u64;
        self.storage.events.find(scope, &filter, &mut |_| {
            events += 1;
            ControlFlow::Continue(())
        })?;
        if events == 0 {
            findings.bad(format!("user \"{user}\" has no history: results are only what is popular; check the id and entityType \"user\""));
        } else {
            findings.good(format!("user \"{user}\" has {} events", grouped(events)));
        }
        let query = Object::new().with("user", user).to_string();
        let items = serving.answer(query.as_bytes())?.items;
        let scored = items.iter().filter(|item| item.score > 0.0).count();
        match (items.len(), scored) {
            (0, _) => findings.bad(
                "no results: rules, dates or the blacklist exclude every item; ask with \"explain\": true",
            ),
            (all, 0) => findings.doubtful(format!(
                "{all} results, all only popular: nothing in the history is a correlator of an item"
            )),
            (all, scored) => findings.good(format!("{all} results, {scored} of them by correlation")),
        }
        Ok(())
    }
}

fn present(counts: &BTreeMap<String, u64>) -> String {
    if counts.is_empty() {
        return "the app has no events at all".to_owned();
    }
    let names: Vec<&str> = counts.keys().map(String::as_str).take(20).collect();
    format!("the app has: {}", names.join(", "))
}
