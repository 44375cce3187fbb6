//! The tables of the catalog `arblast`, as far as a client sees them.

mod events;
mod interactions;
mod models;
mod records;

use std::sync::Arc;

use ::events::Scope;
use arblast::deployable::Deployable;
use arblast::failure::Result;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::logical_expr::Expr;
use stores::Storage;

use super::filters;
use super::rows::Table;
use crate::engines::Engines;

/// What a client sees.
#[derive(Clone)]
pub struct Sight {
    /// Where everything is.
    pub storage: Storage,
    /// Apps with their scopes.
    pub apps: Vec<SeenApp>,
    /// Is it what the key of an app shows?
    pub is_of_one_app: bool,
    /// Engines of these apps.
    pub engines: Vec<Arc<Deployable>>,
    /// The engine that functions ask, if they name none.
    pub engine: Option<String>,
}

/// An app that a client sees.
#[derive(Debug, Clone)]
pub struct SeenApp {
    /// Its name.
    pub name: String,
    /// Its channels, `None` = the default one.
    pub scopes: Vec<(Option<String>, Scope)>,
}

impl std::fmt::Debug for Sight {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Sight").field("apps", &self.apps).finish_non_exhaustive()
    }
}

impl Sight {
    /// Of one app, or of all.
    ///
    /// # Errors
    /// Whatever the registry reports.
    pub fn new(engines: &Engines, app: Option<(String, u32)>, engine: Option<String>) -> Result<Self> {
        let storage = engines.storage().clone();
        let registry = &storage.registry;
        let is_of_one_app = app.is_some();
        let apps = match app {
            Some(app) => vec![app],
            None => registry.apps()?.into_iter().map(|app| (app.name, app.id)).collect(),
        };
        let apps = apps.into_iter().map(|(name, id)| {
            let named = registry.channels(id)?.into_iter();
            let named =
                named.map(|channel| (Some(channel.name), Scope { app: id, channel: Some(channel.id) }));
            let scopes = std::iter::once((None, Scope { app: id, channel: None })).chain(named).collect();
            Ok(SeenApp { name, scopes })
        });
        let apps = apps.collect::<Result<Vec<SeenApp>>>()?;
        let engines = engines.all(|app| apps.iter().any(|seen| seen.name == app))?;
        Ok(Self { storage, apps, is_of_one_app, engines, engine })
    }

    /// The folder of the only app, for files that it writes; `None` for who sees all.
    pub fn folder(&self) -> Option<String> {
        let app = self.apps.first().filter(|_| self.is_of_one_app)?;
        let safe = |letter: char| if letter.is_ascii_alphanumeric() || letter == '-' { letter } else { '_' };
        let name: String = app.name.chars().map(safe).collect();
        let id = app.scopes.first().map_or(0, |(_, scope)| scope.app);
        Some(if name == app.name { name } else { format!("{name}-{id}") })
    }

    /// The default channel of an app.
    fn scope(&self, app: &str) -> Option<Scope> {
        let app = self.apps.iter().find(|seen| seen.name == app)?;
        app.scopes.iter().find(|(channel, _)| channel.is_none()).map(|(_, scope)| *scope)
    }

    /// The engines for which filters on `app` and `engine` hold.
    fn engines_for(&self, filters: &[Expr]) -> Vec<Arc<Deployable>> {
        let (apps, engines) = (filters::among(filters, "app"), filters::among(filters, "engine"));
        let wanted = self.engines.iter().filter(|engine| {
            apps.as_ref().is_none_or(|apps| apps.contains(&engine.config.app_name))
                && engines.as_ref().is_none_or(|engines| engines.contains(&engine.config.variant))
        });
        wanted.cloned().collect()
    }
}

/// All tables, by name.
pub fn all(sight: &Arc<Sight>) -> Vec<(&'static str, Arc<dyn TableProvider>)> {
    let models = |of| Arc::new(Table(models::OfModels::new(Arc::clone(sight), of))) as Arc<dyn TableProvider>;
    let records =
        |of| Arc::new(Table(records::Records::new(Arc::clone(sight), of))) as Arc<dyn TableProvider>;
    vec![
        ("events", Arc::new(Table(events::Events::new(Arc::clone(sight))))),
        ("interactions", Arc::new(Table(interactions::Interactions::new(Arc::clone(sight))))),
        ("items", models(models::Of::Items)),
        ("rankings", models(models::Of::Rankings)),
        ("correlators", models(models::Of::Correlators)),
        ("models", records(records::Of::Models)),
        ("engine_instances", records(records::Of::Instances)),
    ]
}

/// A schema with more text columns in front.
fn with_columns(before: &[(&str, bool)], schema: &Schema) -> SchemaRef {
    let before = before.iter().map(|(name, nullable)| Arc::new(Field::new(*name, DataType::Utf8, *nullable)));
    Arc::new(Schema::new(before.chain(schema.fields().iter().cloned()).collect::<Vec<_>>()))
}

/// The condition of a filter, if it is on one of these columns and a choice of texts.
fn is_choice(filter: &Expr, columns: &[&str]) -> bool {
    matches!(filters::test(filter), Some((column, filters::Test::Among(_))) if columns.contains(&column))
}
