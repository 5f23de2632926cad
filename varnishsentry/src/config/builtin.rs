// SPDX-License-Identifier: BSD-2-Clause
//! What is reported without any filter of the operator's.

use event::capture::level::Level;
use event::lifecycle::settings::Lifecycle;

/// At which level each of them is; `None` of those that are off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Builtin {
    pub delivered: Option<Level>,
    pub fetch_error: Option<Level>,
    pub guru_meditation: Option<Level>,
    pub vcl_error: Option<Level>,
    pub error: Option<Level>,
    pub workspace_overflow: Option<Level>,
    pub backend_sick: Option<Level>,
    pub backend_healthy: Option<Level>,
    pub threads: Option<Level>,
    pub log_lost: Option<Level>,
}

impl Default for Builtin {
    fn default() -> Builtin {
        let (error, warning) = (Some(Level::Error), Some(Level::Warning));
        Builtin {
            delivered: error,
            fetch_error: error,
            guru_meditation: error,
            vcl_error: error,
            error,
            workspace_overflow: error,
            backend_sick: error,
            backend_healthy: None,
            threads: warning,
            log_lost: warning,
        }
    }
}

impl Builtin {
    /// The level of the rule of [`event::vsl::builtin`] with this name.
    pub fn of_rule(&self, name: &str) -> Option<Level> {
        match name {
            "5xx" => self.delivered,
            "fetch_error" => self.fetch_error,
            "guru_meditation" => self.guru_meditation,
            "vcl_error" => self.vcl_error,
            "error" => self.error,
            "workspace_overflow" => self.workspace_overflow,
            _ => None,
        }
    }
}

/// From when on counters are an alarm; 0 is never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Of a length.
    pub thread_queue_len: u64,
    /// Of what is added in a second.
    pub sess_queued: u64,
    pub sess_dropped: u64,
    pub req_dropped: u64,
    pub threads_limited: u64,
    pub threads_failed: u64,
}

impl Default for Thresholds {
    fn default() -> Thresholds {
        Thresholds {
            thread_queue_len: 20,
            sess_queued: 0,
            sess_dropped: 1,
            req_dropped: 1,
            threads_limited: 1,
            threads_failed: 1,
        }
    }
}

/// What of the child's life is reported by default.
pub const LIFECYCLE: Lifecycle = Lifecycle { vcl: false, start: false, death: true };
