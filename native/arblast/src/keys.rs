//! Access keys.

use crate::failure::{Failure, Result};

const KEY_CHARS_MAX: usize = 64;

/// A new random key.
pub fn generate() -> Result<String> {
    Ok(stores::new_access_key()?)
}

/// A key that a person chose.
pub fn checked(key: String) -> Result<String> {
    if key.is_empty() || key.chars().count() > KEY_CHARS_MAX {
        return Err(Failure::invalid(format!("an access key has 1 to {KEY_CHARS_MAX} characters")));
    }
    if key.contains(':') || key.trim() != key || key.contains(char::is_control) {
        return Err(Failure::invalid(
            "an access key has no colon, no control character, and no blank at its ends: it could not be shown in a header",
        ));
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chosen_keys_have_a_limit() {
        assert!(checked("ä".repeat(64)).is_ok());
        assert!(checked("a".repeat(65)).is_err());
        assert!(checked(String::new()).is_err());
        for unshown in ["a:b", " a", "a ", "a\n", "a\u{0}b"] {
            assert!(checked(unshown.to_owned()).is_err(), "{unshown:?}");
        }
        assert!(checked("a b-_.~".to_owned()).is_ok());
    }
}
