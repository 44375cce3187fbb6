//! A task that counts: the block of a range of items under an indicator.

use std::ops::Range;
use std::sync::Arc;

use arblast::failure::{Failure, Result};
use engine::{Counting, Summing};
use events::Kind;

use super::folder::Place;
use super::interactions::{BYTES_PER_CELL, Shared};
use super::read::panicked;
use super::task::Task;

/// File of all interactions.
pub const ALL: &str = "interactions";

/// File of a part of them.
pub fn part_file(part: u32) -> String {
    format!("interactions-{part:05}")
}

/// The bytes of a task's block, with all interactions in memory, once for all tasks of this process.
///
/// # Errors
/// They do not fit; a file is missing or damaged.
pub async fn whole(task: &Task, folder: &Place, cells: u64, shared: &Arc<Shared>) -> Result<Vec<u8>> {
    let (indicator, items) = range(task)?;
    let file = folder.inside(ALL);
    let lent = shared.lend(&file.url(), cells * BYTES_PER_CELL, counting(&file)).await?;
    let count = move || Ok::<_, Failure>(lent.counting()?.block(indicator, items)?.to_bytes());
    tokio::task::spawn_blocking(count).await.map_err(panicked)?
}

/// The same bytes, with one part of the users in memory after the other. `grow` is told how many bytes the counters take.
///
/// # Errors
/// As [`whole`]; whatever `grow` reports.
pub async fn summed(
    task: &Task,
    folder: &Place,
    parts: u32,
    grow: impl Fn(usize) -> Result<()>,
) -> Result<Vec<u8>> {
    let (indicator, items) = range(task)?;
    let mut sums: Option<Summing> = None;
    for part in 0..parts {
        let counting = counting(&folder.inside(&part_file(part))).await?;
        let items = items.clone();
        if sums.is_none() {
            let bytes = Summing::bytes(&counting, indicator, items.clone())?;
            grow(usize::try_from(bytes).unwrap_or(usize::MAX))?;
        }
        let add = move || {
            let mut sums = match sums {
                Some(sums) => sums,
                None => Summing::new(&counting, indicator, items)?,
            };
            sums.add(&counting)?;
            Ok::<_, engine::Error>(sums)
        };
        sums = Some(tokio::task::spawn_blocking(add).await.map_err(panicked)??);
    }
    let none = || Failure::new(Kind::Internal, "counts over no parts");
    Ok(sums.ok_or_else(none)?.block().to_bytes())
}

async fn counting(file: &Place) -> Result<Counting> {
    let bytes = file.get().await?;
    let read = tokio::task::spawn_blocking(move || Counting::from_bytes(&bytes)).await;
    read.map_err(panicked)?.map_err(|error| Failure::from(error).of(&file.url()))
}

fn range(task: &Task) -> Result<(usize, Range<u32>)> {
    let item = |item: u64| u32::try_from(item).ok();
    let range = || Some((task.source.parse().ok()?, item(task.first)?..item(task.end)?));
    range().ok_or_else(|| Failure::new(Kind::Internal, format!("{}: no range of items", task.name)))
}
