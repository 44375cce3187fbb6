//! A session: what one statement of a client is planned and executed in.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use arblast::failure::Failure;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::context::SQLOptions;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::LogicalPlan;
use datafusion::logical_expr::dml::CopyTo;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::parser::Statement;

use super::bounds::{self, TablesRead, check_shape, check_size, limited};
use super::correlators::top_correlators;
use super::cross_occurrence::{self, CrossOccurrence};
use super::files::{Folder, place};
use super::functions::{self, Noted};
use super::parameters::{Bound, bind, queries_as_text};
use super::quota::Quota;
use super::tables::{self, Sight};
use crate::counting::Counter;

/// Name of the only catalog.
pub const CATALOG: &str = "arblast";
/// Name of its only schema.
pub const SCHEMA: &str = "public";

/// Functions that make much of little, or compute without end on it.
const GREEDY: [&str; 10] = [
    "repeat",
    "lpad",
    "rpad",
    "range",
    "generate_series",
    "array_repeat",
    "array_resize",
    "list_repeat",
    "arrays_zip",
    "levenshtein",
];

/// What a statement may take.
#[derive(Clone)]
pub struct Limits {
    /// Memory before it spills.
    pub bytes_max: usize,
    /// Temporary files.
    pub spill_bytes_max: u64,
    /// Where these are.
    pub spill_directory: PathBuf,
    /// Who counts; its threads are parts that run at the same time.
    pub counter: Counter,
    /// Where `COPY` writes, if it may.
    pub export: Arc<Folder>,
}

impl Limits {
    /// `COPY` may write into this folder, up to so many bytes.
    ///
    /// # Errors
    /// It cannot be used.
    pub fn with_export(
        mut self,
        path: Option<&std::path::Path>,
        bytes_max: u64,
    ) -> std::result::Result<Self, Failure> {
        self.export =
            Arc::new(Folder(path.map(|path| Quota::open(path, bytes_max).map(Arc::new)).transpose()?));
        Ok(self)
    }
}

/// Plans and executes a statement of one client.
pub struct Session {
    context: SessionContext,
    noted: Arc<Noted>,
    has_folder: bool,
    /// Where in the folder the client writes.
    app: Option<String>,
}

impl Session {
    /// With all tables and functions, as far as `sight` goes.
    ///
    /// # Errors
    /// There is no place for temporary files.
    pub fn new(sight: Sight, limits: &Limits) -> Result<Self> {
        let mut config = SessionConfig::new()
            .with_default_catalog_and_schema(CATALOG, SCHEMA)
            .with_information_schema(true)
            .with_batch_size(bounds::ROWS_MAX)
            .with_extension(Arc::<TablesRead>::default())
            .with_target_partitions(limits.counter.threads);
        // JDBC clients know no views of text.
        let options = config.options_mut();
        options.sql_parser.map_string_types_to_utf8view = false;
        options.execution.parquet.schema_force_view_types = false;
        options.catalog.has_header = true;
        let disk = DiskManagerBuilder::default()
            .with_mode(DiskManagerMode::Directories(vec![limits.spill_directory.clone()]))
            .with_max_temp_directory_size(limits.spill_bytes_max);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(limits.bytes_max)))
            .with_disk_manager_builder(disk)
            .with_object_store_registry(Arc::clone(&limits.export) as _)
            .build_arc()?;
        let state = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(runtime)
            .with_default_features()
            .build();
        let context = SessionContext::new_with_state(state);
        for name in GREEDY {
            context.deregister_udf(name);
        }
        let app = sight.folder();
        let (sight, noted) = (Arc::new(sight), Arc::<Noted>::default());
        for (name, table) in tables::all(&sight) {
            context.register_table(name, table)?;
        }
        for (name, function) in functions::tables(&sight, &noted) {
            context.register_udtf(name, function);
        }
        let counts = CrossOccurrence::new(limits.counter.clone(), Arc::clone(&noted));
        context.register_udtf(cross_occurrence::NAME, Arc::new(counts));
        context.register_udf(functions::llr());
        context.register_udf(functions::property());
        context.register_udaf(top_correlators());
        Ok(Self { context, noted, has_folder: limits.export.0.is_some(), app })
    }

    /// Parses one statement.
    ///
    /// # Errors
    /// It is no SQL, or more than one statement.
    fn parse(&self, sql: &str) -> Result<Statement> {
        check_size(sql)?;
        let state = self.context.state();
        let dialect = state.config().options().sql_parser.dialect;
        state.sql_to_statement(sql, &dialect)
    }

    /// Plans a statement, with these parameters bound.
    ///
    /// # Errors
    /// It is no SQL, names what is not there, or does what clients may not.
    pub async fn plan(&self, sql: &str, parameters: Option<&Bound>) -> Result<LogicalPlan> {
        let mut statement = self.parse(sql)?;
        if let Some(values) = parameters {
            bind(&mut statement, values)?;
        }
        for parameter in queries_as_text(&mut statement, cross_occurrence::NAME) {
            self.noted.note(&parameter, DataType::Utf8);
        }
        check_shape(&mut statement)?;
        let state = self.context.state();
        let plan = limited(state.statement_to_plan(statement).await?, &state)?;
        let options = SQLOptions::new().with_allow_ddl(false).with_allow_statements(false);
        let plan = match plan {
            LogicalPlan::Copy(copy) => {
                options.with_allow_dml(false).verify_plan(&copy.input)?;
                let output_url = place(&copy.output_url, self.app.as_deref(), self.has_folder)?;
                return Ok(LogicalPlan::Copy(CopyTo { output_url, ..copy }));
            }
            plan => plan,
        };
        options.with_allow_dml(false).verify_plan(&plan)?;
        Ok(plan)
    }

    /// The plan that will be executed, whose schema is that of the result.
    ///
    /// # Errors
    /// Parameters are not bound, or what a table looks for is not there.
    pub async fn physical(&self, plan: &LogicalPlan) -> Result<Arc<dyn ExecutionPlan>> {
        let (plan, rows_max) = bounds::physical(&self.context.state(), plan).await?;
        let state = self.context.state_ref();
        let mut state = state.write();
        *state.config_mut() = state.config().clone().with_batch_size(rows_max);
        Ok(plan)
    }

    /// The parameters of a plan, `$1` first, with the types that their places want.
    ///
    /// # Errors
    /// Their names are not `$1`, `$2`, …
    pub fn parameters(&self, plan: &LogicalPlan) -> Result<SchemaRef> {
        let mut types: BTreeMap<usize, DataType> = BTreeMap::new();
        let of_plan = plan.get_parameter_types()?;
        let noted = self.noted.types().into_iter().map(|(name, kind)| (name, Some(kind)));
        for (name, kind) in of_plan.into_iter().chain(noted) {
            let number =
                name.strip_prefix('$').and_then(|number| number.parse().ok()).filter(|number| *number > 0);
            let number = number.ok_or_else(|| {
                DataFusionError::Plan(format!("parameter {name}: parameters are ? or $1, $2, …"))
            })?;
            let kind = kind.unwrap_or(DataType::Utf8);
            types.insert(number, kind);
        }
        let last = types.keys().next_back().copied().unwrap_or(0);
        let field = |number| {
            let kind = types.get(&number).cloned().unwrap_or(DataType::Utf8);
            Field::new(format!("${number}"), kind, true)
        };
        Ok(Arc::new(Schema::new((1..=last).map(field).collect::<Vec<_>>())))
    }

    /// Its tables with their schemas, by name.
    ///
    /// # Errors
    /// Never for tables that are there.
    pub async fn tables(&self) -> Result<Vec<(String, SchemaRef)>> {
        let catalog = self.context.catalog(CATALOG);
        let Some(schema) = catalog.and_then(|catalog| catalog.schema(SCHEMA)) else { return Ok(Vec::new()) };
        let mut tables = Vec::new();
        for name in schema.table_names() {
            if let Some(table) = schema.table(&name).await? {
                tables.push((name, table.schema()));
            }
        }
        tables.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(tables)
    }

    /// What plans are executed in.
    pub fn context(&self) -> &SessionContext {
        &self.context
    }
}
