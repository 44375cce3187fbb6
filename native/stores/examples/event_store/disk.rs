//! What the disk allows, whatever a store does: small writes, each followed by `fdatasync`.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

use crate::report_latency;

const PAGE: usize = 4096;
/// Size of the file, pages.
const PAGES: usize = 1 << 14;
const REPEATS: usize = 300;

/// Latency of making so many pages durable: in one piece, and each somewhere else.
pub(crate) fn limits(directory: &Path) {
    let path = directory.join("fsync");
    let file = File::create(&path).unwrap();
    file.write_all_at(&vec![1; PAGES * PAGE], 0).unwrap();
    file.sync_all().unwrap();
    for pages in [1, 16, 64] {
        report(&file, &format!("fsync_bare_limit_{pages}_pages"), |round| {
            let bytes = vec![2; pages * PAGE];
            file.write_all_at(&bytes, ((round * pages) % (PAGES - pages) * PAGE) as u64).unwrap();
        });
    }
    for pages in [4, 16] {
        report(&file, &format!("fsync_bare_limit_{pages}_scattered_pages"), |round| {
            for i in 0..pages {
                let page = ((round * pages + i) * 7919) % PAGES;
                file.write_all_at(&[3; PAGE], (page * PAGE) as u64).unwrap();
            }
        });
    }
    std::fs::remove_file(&path).unwrap();
}

fn report(file: &File, figure: &str, write: impl Fn(usize)) {
    let time = |round| {
        let begin = Instant::now();
        write(round);
        file.sync_data().unwrap();
        u64::try_from(begin.elapsed().as_nanos()).unwrap()
    };
    let mut times: Vec<u64> = (0..REPEATS).map(time).collect();
    report_latency("disk", figure, &mut times);
}
