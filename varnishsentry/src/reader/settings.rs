// SPDX-License-Identifier: BSD-2-Clause
//! What is to be read of which log: the options of the server's own readers.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use transaction::group::Grouping;

/// Most transactions under way that `-L` may allow: a group of all of them has to find room on a stack.
pub const MOST_TRANSACTIONS: u32 = 100_000;

#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub input: Input,
    /// `-q`: which groups to read.
    pub query: Option<String>,
    /// `-g`
    pub grouping: Grouping,
    /// `-d`: what is in the log already, and then the end.
    pub old_only: bool,
    /// `-k`: so many groups, and then the end.
    pub limit: Option<u64>,
    /// `-t`
    pub patience: Patience,
    /// `-L`, 1 to [`MOST_TRANSACTIONS`]
    pub max_transactions: u32,
    /// `-T`
    pub transaction_timeout: Duration,
    /// `-b`
    pub backend: bool,
    /// `-c`
    pub client: bool,
    /// `-E`
    pub esi: bool,
    /// `-C`
    pub caseless: bool,
    /// The file in which it is remembered how far a server's log was read; for one reader only. Without it, reading begins at the end of the log.
    pub state: Option<PathBuf>,
}

/// Where records come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The running server's instance of this name, `-n`; the default one without a name.
    Server(Option<OsString>),
    /// A file that varnishlog has written, `-r`; `-` for standard input.
    File(PathBuf),
}

/// How long to wait for a server that is not there when reading is to begin. Once it was there, it is waited for without end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    Limited(Duration),
    Endless,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            input: Input::Server(None),
            query: None,
            grouping: Grouping::default(),
            old_only: false,
            limit: None,
            patience: Patience::Limited(Duration::from_secs(5)),
            max_transactions: 1000,
            transaction_timeout: Duration::from_secs(120),
            backend: false,
            client: false,
            esi: false,
            caseless: false,
            state: None,
        }
    }
}
