//! Errors as Flight clients see them: one table over kinds, as every border has.

use arblast::failure::Failure;
use arblast::http::Refusal;
use datafusion::error::DataFusionError;
use events::Kind;
use tonic::{Code, Status};

fn code(kind: Kind) -> Code {
    match kind {
        Kind::Invalid => Code::InvalidArgument,
        Kind::Denied => Code::Unauthenticated,
        Kind::NotFound => Code::NotFound,
        Kind::Unavailable => Code::Unavailable,
        Kind::Version => Code::FailedPrecondition,
        Kind::Corrupt => Code::DataLoss,
        Kind::Internal => Code::Internal,
    }
}

/// What a client can mend is told; what the operator must mend is logged, and the client gets the number of that line.
pub fn of_failure(failure: &Failure) -> Status {
    match failure.kind() {
        Kind::Invalid | Kind::Denied | Kind::NotFound => {
            Status::new(code(failure.kind()), failure.to_string())
        }
        kind => logged(code(kind), failure),
    }
}

fn logged(code: Code, why: &dyn std::fmt::Display) -> Status {
    let id = getrandom::u64().unwrap_or_default();
    tracing::error!("error {id:016x}: {why}");
    let text = match code {
        Code::Unavailable => "a part of the server is not available",
        Code::FailedPrecondition => "made by another version",
        Code::DataLoss => "something stored is damaged",
        _ => "the server failed",
    };
    Status::new(code, format!("{text}; the log of the server says why: error {id:016x}"))
}

/// A refusal of the event API.
pub fn of_refusal(refusal: Refusal) -> Status {
    let code = match refusal.status.as_u16() {
        400 => Code::InvalidArgument,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::NotFound,
        413 => Code::ResourceExhausted,
        429 | 503 => Code::Unavailable,
        _ => Code::Internal,
    };
    Status::new(code, refusal.message)
}

/// An error of planning or executing a statement.
pub fn of_datafusion(error: &DataFusionError) -> Status {
    use DataFusionError::{
        ArrowError, Configuration, Execution, External, NotImplemented, Plan, ResourcesExhausted, SQL,
        SchemaError,
    };
    let root = error.find_root();
    match root {
        External(own) => match own.downcast_ref::<Failure>() {
            Some(failure) => of_failure(failure),
            None => logged(Code::Internal, own),
        },
        ResourcesExhausted(_) => Status::resource_exhausted(told(root)),
        ArrowError(error, _) if matches!(error.as_ref(), arrow::error::ArrowError::IoError(..)) => {
            of_files(root)
        }
        SQL(..) | Plan(_) | SchemaError(..) | NotImplemented(_) | Configuration(_) | Execution(_)
        | ArrowError(..) => Status::invalid_argument(told(root)),
        DataFusionError::ObjectStore(_) | DataFusionError::IoError(_) => logged(Code::Unavailable, root),
        _ => logged(Code::Internal, root),
    }
}

/// Temporary files: more than allowed, or a disk that does not take them.
fn of_files(error: &DataFusionError) -> Status {
    let text = told(error);
    if text.contains("max_temp_directory_size") {
        return Status::resource_exhausted(
            "the statement needs more temporary files than the setting flightSpillBytesMax allows",
        );
    }
    logged(Code::Unavailable, error)
}

/// One line without the traces that DataFusion may add.
fn told(error: &DataFusionError) -> String {
    let text = error.strip_backtrace();
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Our failure on its way through DataFusion.
pub fn external(failure: impl Into<Failure>) -> DataFusionError {
    DataFusionError::External(Box::new(failure.into()))
}
