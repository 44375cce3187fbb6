//! `arblast version`

use events::json::Object;

use super::Context;
use crate::failure::Result;
use crate::identity::{BUILD, TARGET, VERSION};

pub fn run(context: &Context) -> Result<()> {
    if context.console.json() {
        context
            .console
            .value(Object::new().with("version", VERSION).with("build", BUILD).with("target", TARGET));
    } else {
        context.console.line(format_args!("arblast {VERSION} ({BUILD}, {TARGET})"));
    }
    Ok(())
}
