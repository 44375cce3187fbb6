//! What other processes do in these tests: this test program starts itself with a role.

use std::process::{Command, Stdio};

use events::{EventStore, NewApp, Registry};
use sql::Sql;

use crate::sight::{SCOPE, event, millis};

pub(crate) const APPENDS: i64 = 60;

/// This program in a role, on a store.
pub(crate) fn command(url: &str, name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child::run", "--ignored", "--nocapture", "--test-threads=1"]);
    command.env("URL", url).env("NAME", name).stdout(Stdio::null());
    command
}

/// Runs when started by [`command`] only: single events, batches, replacements of one that all share, apps and `$set`.
#[test]
#[ignore = "a role for the other tests"]
fn run() {
    let (Ok(url), Ok(name)) = (std::env::var("URL"), std::env::var("NAME")) else { return };
    let store = Sql::open(&url).unwrap();
    store.init(SCOPE).unwrap();
    let start = millis("2020-01-01T00:00:00Z");
    for n in 0..APPENDS {
        store.append(SCOPE, &[event(None, &name, start + n)]).unwrap();
        let batch: Vec<_> = (0..9).map(|_| event(None, &name, start + n)).collect();
        store.append(SCOPE, &batch).unwrap();
        let mut set = event(None, &format!("{name}{n}"), start + n);
        set.event = "$set".into();
        store.append(SCOPE, &[event(Some("shared"), &name, start + n), set]).unwrap();
        if n % 20 == 0 {
            store.create_app(&NewApp { name: format!("{name}{n}"), ..NewApp::default() }).unwrap();
        }
    }
}
