//! What can go wrong between a client and a cluster.

use std::fmt;

/// Result of a call.
pub type Result<T> = std::result::Result<T, Error>;

/// What the caller can do about an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The request can never succeed as it is.
    Refused,
    /// The user has no right to it.
    Denied,
    /// No such table.
    NoTable,
    /// Nobody answers, or the cluster is busy: it may work later.
    Unavailable,
    /// The answer is not of this protocol.
    Protocol,
}

/// A failed call: one line that says what, where and, where that is known, how to fix it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    cause: Cause,
    retry: Retry,
    message: String,
}

/// What to do before the call is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retry {
    /// It is not.
    Never,
    /// Look where the region is now.
    Locate,
    /// Leave the server in peace for a while.
    Wait,
    /// Open the scanner anew.
    Reopen,
}

impl Error {
    pub(crate) fn new(cause: Cause, message: impl Into<String>) -> Self {
        Self { cause, retry: Retry::Never, message: message.into() }
    }

    pub(crate) fn protocol(what: impl fmt::Display) -> Self {
        let message = format!("the answer is not of HBase's protocol: {what}");
        Self { cause: Cause::Protocol, retry: Retry::Locate, message }
    }

    /// A connection that could not be made or broke; whoever sees it looks for the region again.
    pub(crate) fn connection(address: &str, error: &std::io::Error) -> Self {
        let what = match error.kind() {
            std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => "no answer in time".to_owned(),
            _ => error.to_string(),
        };
        Self::locate(format!("{address}: {what}"))
    }

    pub(crate) fn locate(message: impl Into<String>) -> Self {
        Self { cause: Cause::Unavailable, retry: Retry::Locate, message: message.into() }
    }

    /// What a server threw: the Java class, its text (the first line is kept) and whether it says that trying again is in vain.
    pub(crate) fn thrown(class: &str, text: &str, do_not_retry: bool) -> Self {
        let short = class.rsplit(['.', '$']).next().unwrap_or(class);
        let line = text.lines().next().unwrap_or_default();
        let line = line.strip_prefix(class).unwrap_or(line).trim_start_matches([':', ' ']);
        let line: String = line.chars().take(300).collect();
        let (cause, retry) = classify(short, do_not_retry);
        Self { cause, retry, message: format!("{short}: {line}") }
    }

    pub(crate) fn after(mut self, attempts: u32, seconds: u64) -> Self {
        self.message = format!("{} (gave up after {attempts} attempts in {seconds} s)", self.message);
        self.retry = Retry::Never;
        self
    }

    pub(crate) fn within(mut self, context: impl fmt::Display) -> Self {
        self.message = format!("{context}: {}", self.message);
        self
    }

    pub(crate) fn retry(&self) -> Retry {
        self.retry
    }

    pub(crate) fn is_thrown(&self, class: &str) -> bool {
        self.message.contains(class)
    }

    /// What the caller can do.
    pub fn cause(&self) -> Cause {
        self.cause
    }
}

fn classify(class: &str, do_not_retry: bool) -> (Cause, Retry) {
    match class {
        "NotServingRegionException"
        | "RegionMovedException"
        | "RegionOpeningException"
        | "WrongRegionException"
        | "RegionServerStoppedException"
        | "RegionServerAbortedException"
        | "ServerNotRunningYetException"
        | "RegionServerRunningException"
        | "RegionInRecoveryException"
        | "FailedServerException" => (Cause::Unavailable, Retry::Locate),
        "UnknownScannerException"
        | "ScannerResetException"
        | "OutOfOrderScannerNextException"
        | "LeaseException"
        | "ScannerTimeoutException" => (Cause::Unavailable, Retry::Reopen),
        "RegionTooBusyException"
        | "CallQueueTooBigException"
        | "CallDroppedException"
        | "ThrottlingException"
        | "RpcThrottlingException"
        | "PleaseHoldException"
        | "MasterNotRunningException"
        | "MasterStoppedException"
        | "NotServingException" => (Cause::Unavailable, Retry::Wait),
        "TableNotFoundException" => (Cause::NoTable, Retry::Never),
        "AccessDeniedException" => (Cause::Denied, Retry::Never),
        "DoNotRetryIOException"
        | "NoSuchColumnFamilyException"
        | "FailedSanityCheckException"
        | "IllegalArgumentException"
        | "NamespaceNotFoundException"
        | "NamespaceExistException"
        | "TableExistsException"
        | "TableNotDisabledException"
        | "TableNotEnabledException"
        | "InvalidFamilyOperationException"
        | "UnsupportedOperationException" => (Cause::Refused, Retry::Never),
        _ if do_not_retry => (Cause::Refused, Retry::Never),
        _ => (Cause::Unavailable, Retry::Locate),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_servers_throw_is_told_in_one_line() {
        let class = "org.apache.hadoop.hbase.NotServingRegionException";
        let error = Error::thrown(class, &format!("{class}: t,,1 is not online\n\tat x.y\n"), false);
        assert_eq!(error.to_string(), "NotServingRegionException: t,,1 is not online");
        assert_eq!((error.cause(), error.retry()), (Cause::Unavailable, Retry::Locate));
        let denied = Error::thrown("o.AccessDeniedException", "", true);
        assert_eq!((denied.cause(), denied.retry()), (Cause::Denied, Retry::Never));
        assert_eq!(Error::thrown("a.Strange", "x", true).retry(), Retry::Never);
        assert_eq!(Error::thrown("a.Strange", "x", false).retry(), Retry::Locate);
        assert!(Error::thrown("a.B", &"x".repeat(9999), false).to_string().len() < 400);
    }
}
