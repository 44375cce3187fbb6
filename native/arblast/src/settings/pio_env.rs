//! PredictionIO's `pio-env.sh`: lines `NAME=value`, read but never executed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::failure::{Failure, Result};

/// Longer ones are no settings.
const FILE_BYTES_MAX: usize = 1 << 20;
/// `A=$B$B`, `B=$C$C`, … doubles with each line.
const VALUE_BYTES_MAX: usize = 64 << 10;

/// The variables of a file.
#[derive(Debug, Clone, Default)]
pub struct PioEnv {
    /// Where it is; `None` = there is none.
    pub path: Option<PathBuf>,
    /// Name → value and line number.
    pub variables: BTreeMap<String, (String, usize)>,
}

impl PioEnv {
    /// Reads `pio-env.sh` in `$PIO_CONF_DIR`, else in `$PIO_HOME/conf`, else in `/etc/predictionio`, if there is one.
    ///
    /// # Errors
    /// It cannot be read, or has a line that is more than an assignment; the message names the line.
    pub fn find(env: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let set = |name: &str| env(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let places = [
            set("PIO_CONF_DIR"),
            set("PIO_HOME").map(|home| home.join("conf")),
            Some(PathBuf::from("/etc/predictionio")),
        ];
        let found =
            places.into_iter().flatten().map(|place| place.join("pio-env.sh")).find(|path| path.is_file());
        let Some(path) = found else { return Ok(Self::default()) };
        let named = "PIO_CONF_DIR, PIO_HOME or its default";
        let bytes = std::fs::read(&path).map_err(Failure::file("read", named, &path))?;
        let text = String::from_utf8(bytes).ok().filter(|text| text.len() <= FILE_BYTES_MAX);
        let text = text.ok_or_else(|| {
            Failure::invalid(format!("{} must be UTF-8 text of at most 1 MiB", path.display()))
        })?;
        let variables = parse(&text, env).map_err(|(line, why)| {
            Failure::invalid(format!(
                "{} line {line}: {why}; the file is read, not executed: only NAME=value with $NAME in it is understood",
                path.display()
            ))
        })?;
        Ok(Self { path: Some(path), variables })
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(|(value, _)| value.as_str())
    }
}

type Variables = BTreeMap<String, (String, usize)>;

/// Reads the lines; `$NAME` is a variable set above, else one of the environment, else nothing, as in a shell.
///
/// # Errors
/// Line number, and what is wrong with the line; values are not told, they may be passwords.
pub fn parse(
    text: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> std::result::Result<Variables, (usize, String)> {
    let mut variables = Variables::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let assignment = line.strip_prefix("export ").map_or(line, str::trim_start);
        let named = assignment.split_once('=').filter(|(name, _)| is_name(name));
        let Some((name, value)) = named else {
            return Err((number, "this is not NAME=value".to_owned()));
        };
        let look_up = |name: &str| {
            let above = variables.get(name).map(|(value, _): &(String, usize)| value.clone());
            above.or_else(|| env(name)).unwrap_or_default()
        };
        let value = expanded(value, &look_up).map_err(|why| (number, format!("{name}: {why}")))?;
        variables.insert(name.to_owned(), (value, number));
    }
    Ok(variables)
}

fn is_name(text: &str) -> bool {
    !text.starts_with(|c: char| c.is_ascii_digit()) && !text.is_empty() && text.chars().all(is_name_char)
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The value of one word of a shell: quotes removed, variables put in.
fn expanded(text: &str, look_up: &dyn Fn(&str) -> String) -> std::result::Result<String, String> {
    let mut value = String::new();
    let mut rest = text;
    let mut in_quotes = false;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '"' => in_quotes = !in_quotes,
            '$' => rest = variable(rest, look_up, &mut value)?,
            '`' => return Err("commands are not run".to_owned()),
            '\\' => rest = escaped(rest, in_quotes, &mut value)?,
            '\'' if !in_quotes => {
                let (quoted, after) = rest.split_once('\'').ok_or("the quote ' does not end on this line")?;
                value.push_str(quoted);
                rest = after;
            }
            c if c.is_whitespace() && !in_quotes => return nothing_follows(rest).map(|()| value),
            ';' | '&' | '|' | '<' | '>' | '(' | ')' if !in_quotes => {
                return Err(format!("put a value with {c} in quotes"));
            }
            '~' if value.is_empty() && !in_quotes => return Err("write $HOME instead of ~".to_owned()),
            c => value.push(c),
        }
        if value.len() > VALUE_BYTES_MAX {
            return Err(format!("the value has more than {VALUE_BYTES_MAX} bytes"));
        }
    }
    if in_quotes { Err("the quote \" does not end on this line".to_owned()) } else { Ok(value) }
}

/// Appends the value of the variable that `rest` (behind its `$`) begins with, and gives what follows it.
fn variable<'t>(
    rest: &'t str,
    look_up: &dyn Fn(&str) -> String,
    value: &mut String,
) -> std::result::Result<&'t str, String> {
    if rest.starts_with('(') {
        return Err("commands are not run".to_owned());
    }
    let (name, after) = match rest.strip_prefix('{') {
        Some(inner) => inner.split_once('}').ok_or("${ without }")?,
        None => rest.split_at(rest.find(|c| !is_name_char(c)).unwrap_or(rest.len())),
    };
    if !is_name(name) {
        return Err("after $ a NAME or {NAME} must follow".to_owned());
    }
    value.push_str(&look_up(name));
    Ok(after)
}

fn escaped<'t>(rest: &'t str, in_quotes: bool, value: &mut String) -> std::result::Result<&'t str, String> {
    let Some(c) = rest.chars().next() else {
        return Err("a line cannot be continued on the next".to_owned());
    };
    if in_quotes && !['$', '`', '"', '\\'].contains(&c) {
        value.push('\\');
    }
    value.push(c);
    Ok(&rest[c.len_utf8()..])
}

fn nothing_follows(rest: &str) -> std::result::Result<(), String> {
    let rest = rest.trim_start();
    if rest.is_empty() || rest.starts_with('#') {
        Ok(())
    } else {
        Err("put a value with blanks in quotes".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> std::result::Result<Vec<(String, String)>, (usize, String)> {
        let env = |name: &str| (name == "HOME").then(|| "/h".to_owned());
        let variables = parse(text, &env)?;
        Ok(variables.into_iter().map(|(name, (value, _))| (name, value)).collect())
    }

    #[test]
    fn assignments_are_read_as_a_shell_does() {
        let cases = [
            ("A=b", "b"),
            ("  export A=b  # c", "b"),
            ("A=", ""),
            ("A=$HOME/.pio_store", "/h/.pio_store"),
            ("A=${HOME}x", "/hx"),
            ("A=$UNSET/x", "/x"),
            ("A=\"b c $HOME \\$x \\n\"", "b c /h $x \\n"),
            ("A='b $HOME \"c'", "b $HOME \"c"),
            ("A=b'c d'\"e\"f#g", "bc def#g"),
            ("A=jdbc:postgresql://localhost/pio?a=b", "jdbc:postgresql://localhost/pio?a=b"),
            ("A=b\\ c", "b c"),
            ("A=a~b", "a~b"),
        ];
        for (text, value) in cases {
            assert_eq!(read(text), Ok(vec![("A".to_owned(), value.to_owned())]), "{text}");
        }
    }

    #[test]
    fn later_lines_see_earlier_ones() {
        let read = read("# x\n\nA=1\nB=${A}2\nA=3\n").unwrap();
        assert_eq!(read, [("A".to_owned(), "3".to_owned()), ("B".to_owned(), "12".to_owned())]);
    }

    #[test]
    fn everything_else_is_refused_with_its_line() {
        let wrong = [
            "source /etc/x",
            "A=$(id)",
            "A=`id`",
            "A=\"$(id)\"",
            "A=\"`id`\"",
            "A=1; rm -rf /",
            "A=1 B=2",
            "A=1 && x",
            "A=${B:-c}",
            "A=$1",
            "A=\"x",
            "A='x",
            "A=${HOME",
            "A=x\\",
            "A=~/x",
            "A =1",
            "1A=1",
            "=1",
            "if [ -f x ]; then",
            "A=(1 2)",
            "A+=1",
            "export A",
        ];
        for line in wrong {
            let error = read(&format!("OK=1\n{line}\n")).unwrap_err();
            assert_eq!(error.0, 2, "{line}: {error:?}");
        }
    }

    #[test]
    fn values_do_not_grow_without_limit() {
        let mut text = "A0=0123456789\n".to_owned();
        for i in 1..40 {
            text.push_str(&format!("A{i}=$A{0}$A{0}\n", i - 1));
        }
        assert!(read(&text).unwrap_err().1.contains("bytes"));
    }
}
