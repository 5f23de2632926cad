// SPDX-License-Identifier: BSD-2-Clause
//! Types of items, and what they count as. <https://develop.sentry.dev/sdk/data-model/envelope-items/>; quantities are those of Relay's rate limits.

use protocol::category::Category;

/// What an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Event,
    Transaction,
    Security,
    RawSecurity,
    UnrealReport,
    Feedback,
    UserReport,
    Attachment,
    FormData,
    Session,
    Sessions,
    Log,
    TraceMetric,
    Profile,
    ProfileChunk,
    ReplayEvent,
    ReplayRecording,
    ReplayVideo,
    CheckIn,
    Span,
    ClientReport,
    /// One that is not known here, and is passed on.
    Other,
}

impl Kind {
    /// What a word of the wire means.
    pub fn of(word: &str) -> Kind {
        match word {
            "event" => Kind::Event,
            "transaction" => Kind::Transaction,
            "security" => Kind::Security,
            "raw_security" => Kind::RawSecurity,
            "unreal_report" => Kind::UnrealReport,
            "feedback" => Kind::Feedback,
            "user_report" => Kind::UserReport,
            "attachment" => Kind::Attachment,
            "form_data" => Kind::FormData,
            "session" => Kind::Session,
            "sessions" => Kind::Sessions,
            "log" => Kind::Log,
            "trace_metric" => Kind::TraceMetric,
            "profile" => Kind::Profile,
            "profile_chunk" | "profile_chunk_ui" => Kind::ProfileChunk,
            "replay_event" => Kind::ReplayEvent,
            "replay_recording" => Kind::ReplayRecording,
            "replay_video" => Kind::ReplayVideo,
            "check_in" => Kind::CheckIn,
            "span" => Kind::Span,
            "client_report" => Kind::ClientReport,
            _ => Kind::Other,
        }
    }

    pub fn category(self) -> Category {
        match self {
            Kind::Event | Kind::UnrealReport => Category::Error,
            Kind::Transaction => Category::Transaction,
            Kind::Security | Kind::RawSecurity => Category::Security,
            Kind::Feedback | Kind::UserReport => Category::Feedback,
            Kind::Attachment => Category::Attachment,
            Kind::Session | Kind::Sessions => Category::Session,
            Kind::Log => Category::LogItem,
            Kind::TraceMetric => Category::TraceMetric,
            Kind::Profile => Category::Profile,
            Kind::ProfileChunk => Category::ProfileChunk,
            Kind::ReplayEvent | Kind::ReplayRecording | Kind::ReplayVideo => Category::Replay,
            Kind::CheckIn => Category::Monitor,
            Kind::Span => Category::Span,
            Kind::ClientReport => Category::Internal,
            Kind::FormData | Kind::Other => Category::Default,
        }
    }

    /// The category in which its bytes count, next to that in which it counts itself.
    pub fn bytes_category(self) -> Option<Category> {
        match self {
            Kind::Log => Some(Category::LogByte),
            Kind::TraceMetric => Some(Category::TraceMetricByte),
            _ => None,
        }
    }

    /// How many of its category an item is with a payload of so many bytes that says it has `count` in it. No more than could be in it, whatever it says.
    pub fn quantity(self, bytes: usize, count: Option<u64>) -> u64 {
        let bytes = bytes.max(1) as u64;
        match self {
            Kind::Attachment => bytes,
            Kind::Session
            | Kind::Sessions
            | Kind::Log
            | Kind::TraceMetric
            | Kind::Profile
            | Kind::ProfileChunk
            | Kind::CheckIn
            | Kind::Span
            | Kind::Other => count.unwrap_or(1).clamp(1, bytes),
            _ => 1,
        }
    }

    /// Whether other items may belong to it: where it does not go, they do not.
    pub fn leads(self) -> bool {
        matches!(
            self,
            Kind::Event | Kind::Transaction | Kind::Security | Kind::RawSecurity | Kind::UnrealReport | Kind::Feedback
        )
    }

    /// Whether it belongs to the item of its envelope that leads, if there is one.
    pub fn follows(self) -> bool {
        matches!(self, Kind::Attachment | Kind::FormData | Kind::Profile)
    }

    /// Whether it is one of the pieces of a replay, of which none is of use without the others.
    pub fn is_replay(self) -> bool {
        matches!(self, Kind::ReplayEvent | Kind::ReplayRecording | Kind::ReplayVideo)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_counts_as_sentry_counts_it() {
        use Category::{
            Attachment, Default, Error, Feedback, Internal, LogItem, Monitor, Profile, ProfileChunk, Replay, Security,
            Session, Span, TraceMetric, Transaction,
        };
        let table: &[(&str, Category, u64)] = &[
            ("event", Error, 1),
            ("transaction", Transaction, 1),
            ("security", Security, 1),
            ("raw_security", Security, 1),
            ("unreal_report", Error, 1),
            ("feedback", Feedback, 1),
            ("user_report", Feedback, 1),
            ("attachment", Attachment, 900),
            ("form_data", Default, 1),
            ("session", Session, 7),
            ("sessions", Session, 7),
            ("log", LogItem, 7),
            ("trace_metric", TraceMetric, 7),
            ("profile", Profile, 7),
            ("profile_chunk", ProfileChunk, 7),
            ("profile_chunk_ui", ProfileChunk, 7),
            ("replay_event", Replay, 1),
            ("replay_recording", Replay, 1),
            ("replay_video", Replay, 1),
            ("check_in", Monitor, 7),
            ("span", Span, 7),
            ("client_report", Internal, 1),
            ("statsd", Default, 7),
            ("brand_new", Default, 7),
            ("Event", Default, 7),
        ];
        for (word, category, quantity) in table {
            let kind = Kind::of(word);
            assert_eq!((kind.category(), kind.quantity(900, Some(7))), (*category, *quantity), "{word}");
            assert!(!(kind.leads() && kind.follows()), "{word}");
        }
        assert_eq!(Kind::Log.bytes_category(), Some(Category::LogByte));
        assert_eq!(Kind::TraceMetric.bytes_category(), Some(Category::TraceMetricByte));
    }

    #[test]
    fn nothing_counts_for_less_than_one_or_more_than_fits_into_it() {
        assert_eq!([None, Some(0), Some(3), Some(u64::MAX)].map(|count| Kind::Log.quantity(2, count)), [1, 1, 2, 2]);
        assert_eq!((Kind::Attachment.quantity(0, None), Kind::Event.quantity(0, Some(9))), (1, 1));
    }
}
