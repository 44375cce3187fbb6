//! `arblast prune`

use engine::{EventWindow, PruneOptions, PruneReport, Pruned};
use events::json::Object;
use events::{EventTime, Json, Scope};
use stores::Storage;

use super::Context;
use super::console::{self, Console};
use super::context::EngineFile;
use super::progress::grouped;
use super::train::{self, Stages};
use crate::clock;
use crate::failure::Result;
use crate::jobs;

const LOGGER: &str = "Prune$";

/// Remove the events that the engine's eventWindow leaves out, for good
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Removes from the default channel of the engine's app, as eventWindow in engine.json says: events older than its
duration; with removeDuplicates all but the newest of events equal in all but id and times; with compressProperties all
$set, $unset and $delete of an entity but one that says the same. Models come out the same as before. May be interrupted
at any time: run it again.

Examples:
  arblast prune --dry-run             what would go?
  arblast prune --force               for scripts: does not ask")]
pub struct Args {
    /// Only show what would go
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    force: bool,
    /// The end of the window, e.g. 2026-01-31T00:00:00Z [default: now]
    #[arg(long, value_name = "TIME", value_parser = train::time)]
    now: Option<i64>,
}

pub fn run(args: &Args, context: &Context) -> Result<()> {
    let engine = context.engine()?;
    let storage = context.storage()?;
    let app = jobs::app_of(&storage, &engine.config)?;
    let run = Run {
        console: context.console,
        storage: &storage,
        window: &engine.config.window,
        scope: Scope { app: app.id, channel: None },
        now_ms: args.now.unwrap_or_else(clock::now_ms),
    };
    run.announce(&engine);
    if args.dry_run || !args.force {
        let survey = run.prune(true)?;
        if args.dry_run || survey.removed.total() == 0 {
            run.conclude(&survey, true);
            return Ok(());
        }
        run.show(&survey);
        run.console.info(LOGGER, "These events will be removed. Are you sure?");
        if !console::confirmed() {
            run.console.info(LOGGER, "Aborted.");
            return Ok(());
        }
    }
    run.conclude(&run.prune(false)?, false);
    Ok(())
}

struct Run<'a> {
    console: Console,
    storage: &'a Storage,
    window: &'a EventWindow,
    scope: Scope,
    now_ms: i64,
}

impl Run<'_> {
    fn prune(&self, dry_run: bool) -> Result<PruneReport> {
        let stages = Stages::new(self.console, None);
        let options = PruneOptions { now_ms: self.now_ms, dry_run };
        let report = engine::prune(self.window, self.storage.events.as_ref(), self.scope, options, &stages)?;
        stages.finish();
        Ok(report)
    }

    /// Says what the window leaves out.
    fn announce(&self, engine: &EngineFile) {
        let mut goes = Vec::new();
        if let Some(duration) = self.window.duration_ms {
            let start = EventTime::utc(self.now_ms.saturating_sub(duration));
            goes.push(format!("events until {start}"));
        }
        if self.window.remove_duplicates {
            goes.push("all but the newest of equal events".to_owned());
        }
        if self.window.compress_properties {
            goes.push("all but one of the special events of each entity".to_owned());
        }
        let app = &engine.config.app_name;
        self.console.info(
            LOGGER,
            if goes.is_empty() {
                format!("eventWindow in {} leaves nothing out.", engine.path.display())
            } else {
                format!("eventWindow leaves out of app \"{app}\": {}.", goes.join("; "))
            },
        );
    }

    /// The numbers of a dry run, per event name.
    fn show(&self, survey: &PruneReport) {
        let line = |name: &str, age: &str, duplicates: &str, folded: &str| {
            let text = format!("{name:>20} | {age:>12} | {duplicates:>12} | {folded:>12}");
            self.console.info(LOGGER, text);
        };
        line("Event", "Too old", "Duplicates", "Folded");
        for (name, events) in &survey.by_event {
            line(name, &grouped(events.by_age), &grouped(events.duplicates), &grouped(events.folded));
        }
    }

    fn conclude(&self, report: &PruneReport, dry_run: bool) {
        if self.console.json() {
            self.console.value(described(report, dry_run));
            return;
        }
        if dry_run && report.removed.total() > 0 {
            self.show(report);
        }
        self.console.info(LOGGER, counts(report, dry_run));
        self.console.info(LOGGER, if dry_run { "Nothing was removed." } else { "Done." });
    }
}

/// One sentence.
pub(super) fn counts(report: &PruneReport, dry_run: bool) -> String {
    let Pruned { by_age, duplicates, folded } = report.removed;
    format!(
        "{} events; {} removed by age, {} as duplicates, {} folded into others; {} {}.",
        grouped(report.before),
        grouped(by_age),
        grouped(duplicates),
        grouped(folded),
        grouped(report.after()),
        if dry_run { "would be left" } else { "left" }
    )
}

/// The report as JSON; of a dry run also by event name.
pub(super) fn described(report: &PruneReport, dry_run: bool) -> Object {
    let removed = |events: &Pruned| {
        Object::new()
            .with("age", events.by_age)
            .with("duplicates", events.duplicates)
            .with("folded", events.folded)
    };
    let object = Object::new()
        .with("dryRun", dry_run)
        .with("before", report.before)
        .with("removed", removed(&report.removed))
        .with("after", report.after());
    if !dry_run {
        return object;
    }
    let by_event: Object =
        report.by_event.iter().map(|(name, events)| (name.clone(), Json::from(removed(events)))).collect();
    object.with("byEvent", by_event)
}
