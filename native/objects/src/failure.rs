//! What went wrong, whether it may pass, and what a person can do.

use std::error::Error as _;

use events::{Error, Kind};
use hdfs_native::HdfsError;

use crate::wait::Silence;

/// What Hadoop throws while it cannot yet: classes of its exceptions, or words in them, and what to say.
const PASSING: [(&str, &str); 6] = [
    (
        "SafeModeException",
        "its name node is in safe mode, until its data nodes have reported or `hdfs dfsadmin -safemode leave`",
    ),
    ("StandbyException", "no name node is active"),
    ("RetriableException", "its name node is not ready yet"),
    ("NotReplicatedYetException", "a block is not replicated yet"),
    (
        "does not have any open files",
        "another name node took over, or somebody removed it while it was written",
    ),
    ("minReplication", "no data node takes blocks; are they running, and have they space?"),
];
/// Classes of Hadoop, codes of S3.
const FORBIDDEN: [&str; 5] = [
    "AccessControlException",
    "QuotaExceededException",
    "AccessDenied",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
];
const NO_BUCKET: &str = "NoSuchBucket";

/// May the same work a moment later? Of S3 the client has tried that already.
pub(crate) fn may_pass(error: &object_store::Error) -> bool {
    match hdfs(error) {
        Some(
            HdfsError::IOError(_)
            | HdfsError::DataTransferError(_)
            | HdfsError::BlocksNotFound(_)
            | HdfsError::OperationFailed(_),
        ) => true,
        Some(HdfsError::RPCError(..) | HdfsError::FatalRPCError(..)) => passing(error).is_some(),
        _ => is_silence(error),
    }
}

/// Was nothing heard?
pub(crate) fn is_silence(error: &object_store::Error) -> bool {
    error.source().is_some_and(|source| source.is::<Silence>())
}

/// Is there no such file? A bucket that does not exist is another matter.
pub(crate) fn is_missing(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::NotFound { .. }) && code(error) != NO_BUCKET
}

/// What Hadoop or S3 call it; empty if they do not.
fn code(error: &object_store::Error) -> String {
    let of_s3 = || element(&error.to_string(), "Code").map(str::to_owned);
    rpc(error).map(|(class, _)| class.to_owned()).or_else(of_s3).unwrap_or_default()
}

fn passing(error: &object_store::Error) -> Option<&'static str> {
    let (class, text) = rpc(error)?;
    let says = |name: &str| class.ends_with(name) || text.contains(name);
    PASSING.iter().find(|(name, _)| says(name)).map(|(_, text)| *text)
}

fn hdfs(error: &object_store::Error) -> Option<&HdfsError> {
    error.source()?.downcast_ref()
}

/// Class and text of what a name node threw.
fn rpc(error: &object_store::Error) -> Option<(&str, &str)> {
    match hdfs(error)? {
        HdfsError::RPCError(class, text) | HdfsError::FatalRPCError(class, text) => Some((class, text)),
        _ => None,
    }
}

/// In the words of stores; `doing` what to which file.
pub(crate) fn told(doing: &str, error: &object_store::Error) -> Error {
    use object_store::Error::{NotFound, PermissionDenied, Unauthenticated};
    let code = code(error);
    let is_forbidden = FORBIDDEN.iter().any(|name| code.ends_with(name));
    let kind = match error {
        NotFound { .. } => Kind::NotFound,
        _ if code == NO_BUCKET => Kind::NotFound,
        PermissionDenied { .. } | Unauthenticated { .. } => Kind::Denied,
        _ if is_forbidden => Kind::Denied,
        _ => Kind::Unavailable,
    };
    let text = match (passing(error), error) {
        (Some(text), _) => text.to_owned(),
        _ if code == NO_BUCKET => "its bucket does not exist".to_owned(),
        (None, NotFound { .. }) => "its folder does not exist".to_owned(),
        _ => cause(error),
    };
    Error::new(kind, format!("cannot {doing}: {text}"))
}

/// Without the layers that wrap it.
fn cause(error: &object_store::Error) -> String {
    match hdfs(error) {
        // What stands behind it are structures of the protocol.
        Some(HdfsError::DataTransferError(text)) => {
            format!("its data nodes do not answer ({})", text.split(": [").next().unwrap_or_default())
        }
        Some(HdfsError::IOError(error)) => format!("a name node or data node does not answer: {error}"),
        _ => {
            let text = error.source().map_or_else(|| error.to_string(), ToString::to_string);
            s3_says(&text).unwrap_or_else(|| one_line(&text))
        }
    }
}

/// The code and message in an answer of S3.
fn s3_says(text: &str) -> Option<String> {
    let (code, message) = (element(text, "Code")?, element(text, "Message").unwrap_or_default());
    Some(one_line(&format!("{code}: {message}")))
}

fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, after) = xml.split_once(&format!("<{name}>"))?;
    Some(after.split_once("</")?.0)
}

/// Java tells with a stack trace.
fn one_line(text: &str) -> String {
    let first = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    first.chars().take(600).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_hadoop(error: HdfsError) -> object_store::Error {
        object_store::Error::Generic { store: "HDFS", source: Box::new(error) }
    }

    #[test]
    fn what_hadoop_says_is_understood() {
        let rpc = |class: &str| {
            of_hadoop(HdfsError::RPCError(format!("org.apache.hadoop.{class}"), "x\n\tat y".into()))
        };
        for (error, passes, kind, words) in [
            (rpc("hdfs.server.namenode.SafeModeException"), true, Kind::Unavailable, "safe mode"),
            (rpc("ipc.StandbyException"), true, Kind::Unavailable, "no name node is active"),
            (rpc("security.AccessControlException"), false, Kind::Denied, "AccessControlException x"),
            (of_hadoop(HdfsError::DataTransferError("all dead".into())), true, Kind::Unavailable, "all dead"),
            (of_hadoop(HdfsError::ChecksumError), false, Kind::Unavailable, "checksums"),
        ] {
            let told = told("write hdfs://n/f", &error);
            assert_eq!((may_pass(&error), told.kind()), (passes, kind), "{told}");
            let text = told.to_string();
            assert!(text.starts_with("cannot write hdfs://n/f: ") && text.contains(words), "{text}");
            assert!(!text.contains('\n'), "{text}");
        }
    }
}
