// SPDX-License-Identifier: BSD-2-Clause
//! What is wrong with a configuration, and where.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Where something stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub file: Arc<Path>,
    /// Counted from 1; 0 is the file as a whole.
    pub line: usize,
}

/// One thing that is wrong: a sentence that names the key, what is expected and what is there, but never a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub place: Place,
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { file, line } = &self.place;
        match line {
            0 => write!(f, "{}: {}", file.display(), self.text),
            line => write!(f, "{}:{line}: {}", file.display(), self.text),
        }
    }
}

/// All that is wrong, in the order it was found. What several workers have from the same line is said once.
#[derive(Debug, Default)]
pub struct Problems(Vec<Problem>);

impl Problems {
    pub fn add(&mut self, place: &Place, text: impl Into<String>) {
        let problem = Problem { place: place.clone(), text: text.into() };
        if !self.0.contains(&problem) {
            self.0.push(problem);
        }
    }

    /// `made`, if nothing is wrong.
    pub fn or<T>(self, made: T) -> Result<T, Vec<Problem>> {
        if self.0.is_empty() { Ok(made) } else { Err(self.0) }
    }
}

impl Place {
    /// Of what no file says.
    pub fn nowhere() -> Place {
        Place { file: Arc::from(Path::new("")), line: 0 }
    }

    /// Of what a variable of the environment says.
    pub fn environment() -> Place {
        Place { file: Arc::from(Path::new("environment")), line: 0 }
    }
}
