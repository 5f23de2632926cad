// SPDX-License-Identifier: BSD-2-Clause
//! Files and folders as VCL names them.

use std::fmt;
use std::path::PathBuf;

/// A file or folder that is not named by an absolute path: varnishd's child has no folder of its own to start from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelativePath {
    argument: &'static str,
    got: String,
}

impl fmt::Display for RelativePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} must be an absolute path, got {:?}", self.argument, self.got)
    }
}

impl std::error::Error for RelativePath {}

/// The file or folder that `text` names; an empty one names none.
pub fn path(argument: &'static str, text: &str) -> Result<Option<PathBuf>, RelativePath> {
    match text {
        "" => Ok(None),
        _ if text.starts_with('/') => Ok(Some(PathBuf::from(text))),
        _ => Err(RelativePath { argument, got: text.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_absolute_or_none() {
        assert_eq!(path("folder", ""), Ok(None));
        assert_eq!(path("folder", "/var/spool/x"), Ok(Some(PathBuf::from("/var/spool/x"))));
        let refused = path("folder", "spool/x").map_err(|error| error.to_string());
        assert_eq!(refused, Err("folder must be an absolute path, got \"spool/x\"".to_owned()));
    }
}
