//! `arblast app import`

use std::path::PathBuf;

use elasticsearch::{Cluster, Metadata, Options, pio_url};
use events::json::Object;
use stores::Storage;

use crate::cli::context::Context;
use crate::failure::{Failure, Result};
use crate::takeover::Takeover;

#[derive(Debug, clap::Args)]
pub struct Import {
    /// Where PredictionIO keeps METADATA: http(s)://[user:password@]host[:9200][,host…] [default: as the source ELASTICSEARCH of
    /// pio-env.sh says]
    #[arg(value_name = "URL")]
    url: Option<String>,
    /// Name of the repository [default: PIO_STORAGE_REPOSITORIES_METADATA_NAME, else pio_meta]
    #[arg(long)]
    name: Option<String>,
    /// PEM file of the authorities of its certificates [default: those of the system]
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

/// Creates apps, keys and channels under the ids that they have there.
pub fn import(args: Import, context: &Context, storage: &Storage) -> Result<()> {
    let none = || {
        Failure::invalid(
            "which Elasticsearch? Give its URL, as in http://host:9200, or set PIO_HOME to where conf/pio-env.sh names it",
        )
    };
    let url = args.url.or_else(|| pio_url(&|name| context.variable(name))).ok_or_else(none)?;
    let name = args.name.or_else(|| context.variable("PIO_STORAGE_REPOSITORIES_METADATA_NAME"));
    let cluster = Cluster::new(&Options { ca_file: args.ca_file, ..Options::new(url) })?;
    let there = Metadata::read(&cluster, name.as_deref().unwrap_or("pio_meta"))?;
    let new = Takeover::plan(storage, &there)?;
    new.create(storage)?;
    let console = context.console;
    for app in &new.apps {
        console.info("Pio$", format_args!("App {} has the ID {}.", app.name, app.id));
    }
    let counted = [
        ("apps", new.apps.len(), there.apps.len()),
        ("accessKeys", new.keys.len(), there.keys.len()),
        ("channels", new.channels.len(), there.channels.len()),
    ];
    let [apps, keys, channels] = counted.map(|(_, new, all)| format!("{new} of {all}"));
    console.info(
        "Pio$",
        format_args!("Created {apps} apps, {keys} access keys, {channels} channels; the others were here."),
    );
    if console.json() {
        console
            .value(counted.iter().fold(Object::new(), |told, (name, new, _)| told.with(*name, *new as u64)));
    }
    Ok(())
}
