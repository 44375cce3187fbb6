//! A scan of a whole table: its regions are read by several threads, and visited by one.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};

use events::Result;

use super::failure::told;
use crate::client::{Client, Row, Scan, TableName};

const THREADS_MAX: usize = 4;
const BATCH_ROWS: usize = 256;
const BATCH_BYTES: usize = 1 << 20;
/// Batches that wait for the visitor.
const QUEUE: usize = 2 * THREADS_MAX;

type Batch = std::result::Result<Vec<Row>, crate::client::Error>;

/// Visits all rows that `what` selects, in no order; what it says of the range of keys is not looked at. `Break` ends the scan.
pub(crate) fn scan_table(
    client: &Client,
    table: &TableName,
    what: &Scan,
    visit: &mut dyn FnMut(Row) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let starts = client.region_starts(table).map_err(told)?;
    let ends = starts.iter().skip(1).cloned().chain([Vec::new()]);
    let ranges: Vec<Scan> = starts
        .iter()
        .zip(ends)
        .map(|(start, stop)| Scan { start: start.clone(), stop, ..what.clone() })
        .collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|threads| {
        let (sender, receiver) = sync_channel::<Batch>(QUEUE);
        for _ in 0..ranges.len().min(THREADS_MAX) {
            let (sender, next, ranges) = (sender.clone(), &next, &ranges);
            threads.spawn(move || {
                while let Some(range) = ranges.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if scan_range(client, table, range, &sender).is_break() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        // Whoever leaves here takes the receiver along, which ends the threads.
        for batch in receiver {
            for row in batch.map_err(told)? {
                if visit(row)?.is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    })
}

/// `Break` if nobody wants more.
fn scan_range(
    client: &Client,
    table: &TableName,
    range: &Scan,
    sender: &SyncSender<Batch>,
) -> ControlFlow<()> {
    let (mut batch, mut bytes, mut wanted) = (Vec::new(), 0, true);
    let collect = &mut |row: &Row| {
        bytes += row.size();
        batch.push(row.clone());
        if batch.len() >= BATCH_ROWS || bytes >= BATCH_BYTES {
            bytes = 0;
            wanted = sender.send(Ok(std::mem::take(&mut batch))).is_ok();
        }
        if wanted { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    let scanned = client.scan(table, range, collect);
    if !wanted {
        return ControlFlow::Break(());
    }
    // Also before an error: what was read is right.
    let sent = sender.send(Ok(batch));
    let failed = scanned.is_err();
    if sent.is_err() || scanned.is_err_and(|error| sender.send(Err(error)).is_err() || failed) {
        return ControlFlow::Break(());
    }
    ControlFlow::Continue(())
}
