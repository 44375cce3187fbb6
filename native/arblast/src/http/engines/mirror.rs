//! A copy of every event body that an engine gets, valid or not, as Harness keeps it: a line each, a file a day.
//!
//! ```text
//! <mirrorContainer>/<engineId>/yy-MM-dd.json
//! ```

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use events::EventTime;

use super::Engine;
use super::catalogue::escaped;
use crate::clock;
use crate::failure::{Failure, Result};
use crate::http::queries::blocking;

/// Appends a body to the mirror, if the engine has one. What fails is logged: the event matters more than its copy.
pub(super) async fn mirror(engine: &Engine, body: &[u8]) {
    let config = engine.config();
    let Some(container) = config.mirror_container.clone() else { return };
    let directory = container.join(escaped(&config.variant));
    let line = line(body);
    if let Err(failure) = blocking(move || append(&directory, &line)).await {
        tracing::error!("engine {}: an event is not mirrored: {failure}", config.variant);
    }
}

/// Ends of lines are blanks in JSON, wherever they may be.
fn line(body: &[u8]) -> Vec<u8> {
    let mut line: Vec<u8> =
        body.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }).collect();
    line.push(b'\n');
    line
}

fn append(directory: &Path, line: &[u8]) -> Result<()> {
    let today = EventTime::utc(clock::now_ms()).to_string();
    let path = directory.join(format!("{}.json", today.get(2..10).unwrap_or_default()));
    let written = fs::create_dir_all(directory)
        .and_then(|()| OpenOptions::new().create(true).append(true).open(&path))
        // One call, so that lines of requests at the same time do not mix.
        .and_then(|mut file| file.write_all(line));
    written.map_err(Failure::file("write", "mirrorContainer", &path))
}
