//! The directory that holds everything Arblast keeps: events, registry, models, progress of imports.

use std::path::{Path, PathBuf};

use crate::failure::{Failure, Result};

/// Finds the home: `--home`, else `ARBLAST_HOME`, else `arblast` in PredictionIO's `PIO_FS_BASEDIR`, else `arblast` in
/// the XDG data directory.
pub fn resolve(option: Option<&Path>, env: impl Fn(&str) -> Option<String>) -> Result<PathBuf> {
    let set = |name: &str| env(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    option
        .map(Path::to_path_buf)
        .or_else(|| set("ARBLAST_HOME"))
        .or_else(|| set("PIO_FS_BASEDIR").filter(|path| path.is_absolute()).map(|base| base.join("arblast")))
        .or_else(|| set("XDG_DATA_HOME").filter(|path| path.is_absolute()).map(|data| data.join("arblast")))
        .or_else(|| set("HOME").map(|home| home.join(".local/share/arblast")))
        .ok_or_else(|| {
            Failure::invalid(
                "no place to keep data: none of ARBLAST_HOME, XDG_DATA_HOME and HOME is set; give --home DIR",
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(option: Option<&str>, env: &[(&str, &str)]) -> Option<PathBuf> {
        let lookup =
            |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        resolve(option.map(Path::new), lookup).ok()
    }

    #[test]
    fn the_nearest_setting_wins() {
        let all = [("ARBLAST_HOME", "/a"), ("PIO_FS_BASEDIR", "/p"), ("XDG_DATA_HOME", "/x"), ("HOME", "/h")];
        assert_eq!(resolved(Some("/o"), &all), Some("/o".into()));
        assert_eq!(resolved(None, &all), Some("/a".into()));
        assert_eq!(resolved(None, &all[1..]), Some("/p/arblast".into()));
        assert_eq!(resolved(None, &all[2..]), Some("/x/arblast".into()));
        assert_eq!(resolved(None, &all[3..]), Some("/h/.local/share/arblast".into()));
        assert_eq!(resolved(None, &[]), None);
    }

    #[test]
    fn empty_and_relative_settings_are_ignored() {
        let env = [("ARBLAST_HOME", ""), ("XDG_DATA_HOME", "relative"), ("HOME", "/h")];
        assert_eq!(resolved(None, &env), Some("/h/.local/share/arblast".into()));
    }
}
