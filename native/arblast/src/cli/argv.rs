//! The command line before clap sees it: the part after `--` and PredictionIO's many-lettered short options.

/// A command line in two parts.
#[derive(Debug, PartialEq, Eq)]
pub struct Argv {
    /// For clap: program name, options, command.
    pub own: Vec<String>,
    /// What follows `--`; PredictionIO hands it to Spark.
    pub passed: Vec<String>,
}

/// PredictionIO's short options of several letters, which no option parser of today accepts.
const LONG_FORMS: [(&str, &str); 8] = [
    ("-ed", "--engine-dir"),
    ("-ei", "--engine-id"),
    ("-ev", "--engine-version"),
    ("-mp", "--metrics-params"),
    ("-ssc", "--skip-sanity-check"),
    ("-sar", "--stop-after-read"),
    ("-sap", "--stop-after-prepare"),
    ("-sk", "--spark-kryo"),
];

/// Splits at `--` and writes the short options of several letters in full.
pub fn split(args: impl IntoIterator<Item = String>) -> Argv {
    let mut args = args.into_iter();
    let own = args.by_ref().take_while(|arg| arg != "--").map(in_full).collect();
    Argv { own, passed: args.collect() }
}

fn in_full(arg: String) -> String {
    LONG_FORMS.iter().find(|(short, _)| *short == arg).map_or(arg, |(_, long)| (*long).to_owned())
}

/// The part after `--`: all of it for Spark, if it names a cluster; else as far as it has a meaning here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Passed {
    /// `--driver-memory`, bytes.
    pub memory_bytes_max: Option<u64>,
    /// `--master local[n]`; `local[*]` and `local` leave the default.
    pub threads: Option<usize>,
    /// `--master` names something that is not this machine.
    pub names_cluster: bool,
    /// Everything that has no meaning without Spark.
    pub ignored: Vec<String>,
    /// Everything.
    pub all: Vec<String>,
}

impl Passed {
    /// Reads `--driver-memory 4g` and `--master local[4]`, both also with `=`; the rest is collected as ignored.
    pub fn parse(args: &[String]) -> Self {
        let mut passed = Self { all: args.to_vec(), ..Self::default() };
        let mut args = args.iter().map(String::as_str).peekable();
        while let Some(arg) = args.next() {
            let (name, mut value) = match arg.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (arg, None),
            };
            if name.starts_with("--") && value.is_none() {
                value = args.next_if(|next| !next.starts_with("--"));
            }
            if !passed.take(name, value) {
                passed.ignored.extend([name, value.unwrap_or_default()].map(str::to_owned));
                passed.ignored.retain(|word| !word.is_empty());
            }
        }
        passed
    }

    fn take(&mut self, name: &str, value: Option<&str>) -> bool {
        match (name, value) {
            ("--driver-memory", Some(value)) => {
                self.memory_bytes_max = memory(value);
                self.memory_bytes_max.is_some()
            }
            ("--master", Some("local" | "local[*]")) => true,
            ("--master", Some(value)) if !value.starts_with("local") => {
                self.names_cluster = true;
                false
            }
            ("--master", Some(value)) => {
                let threads = value.strip_prefix("local[").and_then(|rest| rest.strip_suffix(']'));
                self.threads = threads.and_then(|n| n.parse().ok()).filter(|&n| n > 0);
                self.threads.is_some()
            }
            _ => false,
        }
    }
}

/// Bytes of a JVM memory size: `512m`, `20g`, `1024k`, `1t`, or a bare number of MiB as Spark reads it.
fn memory(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match &text[digits.len()..] {
        "k" | "kb" => 10,
        "" | "m" | "mb" => 20,
        "g" | "gb" => 30,
        "t" | "tb" => 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    #[test]
    fn the_second_part_begins_at_the_first_double_dash() {
        let argv = split(words("pio train -ed /e -- --master local[2] -- x"));
        assert_eq!(argv.own, words("pio train --engine-dir /e"));
        assert_eq!(argv.passed, words("--master local[2] -- x"));
    }

    #[test]
    fn threads_and_memory_have_a_meaning_without_spark() {
        let passed = Passed::parse(&words("--master local[4] --driver-memory=2g --conf spark.x=1 --verbose"));
        assert_eq!(passed.threads, Some(4));
        assert_eq!(passed.memory_bytes_max, Some(2 << 30));
        assert_eq!(passed.ignored, words("--conf spark.x=1 --verbose"));
    }

    #[test]
    fn a_cluster_is_noticed_and_nonsense_ignored() {
        let passed = Passed::parse(&words("--master spark://h:7077 --driver-memory much --master local[0]"));
        assert!(passed.names_cluster && passed.all == passed.ignored);
        assert_eq!(passed.threads, None);
        assert_eq!(passed.memory_bytes_max, None);
        assert_eq!(passed.ignored, words("--master spark://h:7077 --driver-memory much --master local[0]"));
        let local = Passed::parse(&words("--master local[*]"));
        assert!(!local.names_cluster && local.ignored.is_empty() && local.threads.is_none());
    }

    #[test]
    fn memory_sizes_are_read_as_the_jvm_does() {
        assert_eq!(memory("512"), Some(512 << 20));
        assert_eq!(memory("1T"), Some(1 << 40));
        assert_eq!(memory("99999999999999999999g"), None);
        assert_eq!(memory("9999999999999999g"), None);
        assert_eq!(memory("g"), None);
    }
}
