//! What a train reads: files, cut into tasks.

use arblast::failure::{Failure, Result};

use super::folder::Place;
use super::lines::is_packed;
use super::task::{Format, Task};

/// Bounds of what one task reads of a file.
const SPLIT_BYTES_MIN: u64 = 4 << 20;
const SPLIT_BYTES_MAX: u64 = 64 << 20;
/// To open a file takes as long as to read so much.
const OPEN_BYTES: u64 = 64 << 10;
/// What is packed is larger.
const PACKED: u64 = 8;
/// So many tasks a core, that all cores end at about the same time.
const TASKS_PER_CORE: u64 = 3;

/// Files of events.
#[derive(Debug)]
pub struct Inputs {
    files: Vec<(Place, u64)>,
    format: Format,
}

impl Inputs {
    /// By URLs or paths of files, folders (all files in them, without those that begin with `.` or `_`) and patterns.
    ///
    /// # Errors
    /// Nothing is there; whatever the stores report.
    pub async fn find(texts: &[String], format: Option<Format>) -> Result<Self> {
        let mut files = Vec::new();
        for text in texts {
            let found = matching(text).await?;
            if found.is_empty() {
                return Err(Failure::not_found(format!(
                    "--events {text}: nothing is there; give files, folders or patterns, by path or URL"
                )));
            }
            files.extend(found);
        }
        let is_parquet = |(file, _): &(Place, u64)| file.name().ends_with(".parquet");
        let guessed = if files.iter().any(is_parquet) { Format::Parquet } else { Format::Json };
        Ok(Self { files, format: format.unwrap_or(guessed) })
    }

    /// How they are written.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Number of files, and their bytes.
    pub fn size(&self) -> (usize, u64) {
        (self.files.len(), self.files.iter().map(|(_, size)| size).sum())
    }

    /// Tasks that read everything once.
    ///
    /// # Errors
    /// A file cannot be read.
    pub async fn tasks(&self, vcores: usize) -> Result<Vec<Task>> {
        let (_, bytes) = self.size();
        let split = bytes / (TASKS_PER_CORE * vcores.max(1) as u64);
        let split = split.clamp(SPLIT_BYTES_MIN, SPLIT_BYTES_MAX);
        let (mut tasks, mut small) = (Vec::new(), Small::default());
        for (file, size) in &self.files {
            let cuts = match self.format {
                Format::Json => cut(file, *size, split),
                Format::Parquet => super::parquet::cut(file, split).await?,
            };
            let weight =
                if is_packed(file.name()) { size.saturating_mul(PACKED) } else { *size } + OPEN_BYTES;
            if cuts.len() > 1 || small.weight + weight > split {
                tasks.extend(std::mem::take(&mut small).task());
            }
            match cuts[..] {
                [_] => small.push(file.url(), weight),
                _ => tasks.extend(cuts.into_iter().map(|(first, end)| (file.url(), first, end))),
            }
        }
        tasks.extend(small.task());
        let task = |(number, (source, first, end)): (usize, (String, u64, u64))| {
            let name = format!("portion-{number:06}");
            Task { name, source, first, end }
        };
        Ok(tasks.into_iter().enumerate().map(task).collect())
    }
}

/// Files that one task reads, one after the other, since each alone is too little.
#[derive(Default)]
struct Small {
    urls: String,
    weight: u64,
}

impl Small {
    fn push(&mut self, url: String, weight: u64) {
        if !self.urls.is_empty() {
            self.urls.push('\n');
        }
        self.urls.push_str(&url);
        self.weight += weight;
    }

    fn task(self) -> Option<(String, u64, u64)> {
        (!self.urls.is_empty()).then_some((self.urls, 0, u64::MAX))
    }
}

/// Ranges of about equal length; what is packed is one.
fn cut(file: &Place, size: u64, split: u64) -> Vec<(u64, u64)> {
    if is_packed(file.name()) {
        return vec![(0, u64::MAX)];
    }
    let pieces = size.div_ceil(split).max(1);
    (0..pieces).map(|piece| (size * piece / pieces, size * (piece + 1) / pieces)).collect()
}

/// The files that a text names.
async fn matching(text: &str) -> Result<Vec<(Place, u64)>> {
    let place = Place::open(text)?;
    if let Some(size) = place.size().await? {
        return Ok(vec![(place, size)]);
    }
    if let Some(wild) = text.find(['*', '?', '[']) {
        let folder = text[..wild].rfind('/').map_or("", |slash| &text[..=slash]);
        let pattern = &text[folder.len()..];
        let pattern = glob::Pattern::new(pattern)
            .map_err(|error| Failure::invalid(format!("--events {text}: {error}")))?;
        let folder = Place::open(if folder.is_empty() { "." } else { folder })?;
        let files = folder.files().await?;
        let options = glob::MatchOptions { require_literal_separator: true, ..glob::MatchOptions::default() };
        let matches = |file: &Place| pattern.matches_with(&folder.relative(file), options);
        return Ok(files
            .into_iter()
            .filter(|(file, ..)| matches(file))
            .map(|(file, size, _)| (file, size))
            .collect());
    }
    let is_hidden = |file: &Place| place.relative(file).split('/').any(|part| part.starts_with(['.', '_']));
    let files = place.files().await?;
    Ok(files.into_iter().filter(|(file, ..)| !is_hidden(file)).map(|(file, size, _)| (file, size)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn files_folders_and_patterns() {
        let scratch = tempfile::tempdir().unwrap();
        let path = |name: &str| scratch.path().join(name).display().to_string();
        let folder = Place::open(&path("")).unwrap();
        for name in ["a.json", "x[1].json", "b/part-0", "b/part-1", "b/_SUCCESS", "b/.part-0.crc"] {
            folder.put(name, vec![b'x'; 10]).await.unwrap();
        }
        let found = async |text: String| {
            let files = matching(&text).await.unwrap();
            files.iter().map(|(file, _)| folder.relative(file)).collect::<Vec<_>>()
        };
        assert_eq!(found(path("a.json")).await, ["a.json"]);
        assert_eq!(found(path("x[1].json")).await, ["x[1].json"]);
        assert_eq!(found(path("b")).await, ["b/part-0", "b/part-1"]);
        assert_eq!(found(path("b/part-*")).await, ["b/part-0", "b/part-1"]);
        assert_eq!(found(path("*/part-1")).await, ["b/part-1"]);
        assert_eq!(found(format!("file://{}", path("a.*"))).await, ["a.json"]);
        let none = Inputs::find(&[path("none")], None).await.unwrap_err();
        assert!(none.exit_code() == 1 && none.to_string().contains("nothing is there"), "{none}");
    }

    #[tokio::test]
    async fn small_files_share_a_task() {
        let scratch = tempfile::tempdir().unwrap();
        let sizes = [(0, 10), (1, 10), (2, 9 << 20), (3, 10), (4, 3 << 20), (5, 3 << 20), (6, 10)];
        for (number, size) in sizes {
            std::fs::write(scratch.path().join(format!("{number}.json")), vec![b'\n'; size]).unwrap();
        }
        let inputs = Inputs::find(&[scratch.path().display().to_string()], None).await.unwrap();
        let tasks = inputs.tasks(1000).await.unwrap();
        let number = |url: &str| url.strip_suffix(".json").and_then(|url| url.chars().last()).unwrap();
        let files: Vec<String> = tasks.iter().map(|task| task.source.lines().map(number).collect()).collect();
        assert_eq!(files, ["01", "2", "2", "2", "34", "56"]);
        assert_eq!((tasks[1].first, tasks[1].end, tasks[2].end), (0, 3 << 20, 6 << 20));
        assert!(tasks.iter().filter(|task| task.source.lines().count() > 1).all(|task| task.end == u64::MAX));
    }

    #[test]
    fn ranges_cover_a_file() {
        let file = Place::open("/a.json").unwrap();
        for size in [0, 1, SPLIT_BYTES_MIN, 10 * SPLIT_BYTES_MIN + 3] {
            let cuts = cut(&file, size, SPLIT_BYTES_MIN);
            assert_eq!((cuts[0].0, cuts[cuts.len() - 1].1), (0, size));
            assert!(cuts.windows(2).all(|pair| pair[0].1 == pair[1].0));
        }
        assert_eq!(cut(&Place::open("/a.gz").unwrap(), 1 << 40, 1), [(0, u64::MAX)]);
    }
}
