// SPDX-License-Identifier: BSD-2-Clause
//! Data categories: what quotas, rate limits and client reports are about.
//! <https://develop.sentry.dev/sdk/expected-features/rate-limiting/#definitions>

/// What an item of an envelope counts as. Only some are sent by us; the others are known, so that a limit on them
/// is understood as one that leaves errors alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Category {
    Default,
    Error,
    Transaction,
    Monitor,
    Span,
    LogItem,
    LogByte,
    Security,
    Attachment,
    Session,
    Profile,
    ProfileChunk,
    Replay,
    Feedback,
    TraceMetric,
    TraceMetricByte,
    /// Client reports.
    Internal,
}

impl Category {
    pub const ALL: [Category; 17] = [
        Category::Default,
        Category::Error,
        Category::Transaction,
        Category::Monitor,
        Category::Span,
        Category::LogItem,
        Category::LogByte,
        Category::Security,
        Category::Attachment,
        Category::Session,
        Category::Profile,
        Category::ProfileChunk,
        Category::Replay,
        Category::Feedback,
        Category::TraceMetric,
        Category::TraceMetricByte,
        Category::Internal,
    ];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Category::Default => "default",
            Category::Error => "error",
            Category::Transaction => "transaction",
            Category::Monitor => "monitor",
            Category::Span => "span",
            Category::LogItem => "log_item",
            Category::LogByte => "log_byte",
            Category::Security => "security",
            Category::Attachment => "attachment",
            Category::Session => "session",
            Category::Profile => "profile",
            Category::ProfileChunk => "profile_chunk",
            Category::Replay => "replay",
            Category::Feedback => "feedback",
            Category::TraceMetric => "trace_metric",
            Category::TraceMetricByte => "trace_metric_byte",
            Category::Internal => "internal",
        }
    }

    /// Whether its quantities are bytes.
    pub fn is_bytes(self) -> bool {
        matches!(self, Category::Attachment | Category::LogByte | Category::TraceMetricByte)
    }

    /// What it is worth where there is no room for everything: of two the one with the lower weight goes first.
    /// What tells of a fault weighs most, what tells of every request least.
    pub fn weight(self) -> usize {
        match self {
            Category::Default
            | Category::Error
            | Category::Security
            | Category::Attachment
            | Category::Feedback
            | Category::Monitor
            | Category::Internal => 2,
            Category::Session | Category::Transaction | Category::LogItem | Category::LogByte => 1,
            Category::Span
            | Category::Profile
            | Category::ProfileChunk
            | Category::Replay
            | Category::TraceMetric
            | Category::TraceMetricByte => 0,
        }
    }
}

/// How many weights there are: [`Category::weight`] is below.
pub const WEIGHTS: usize = 3;

/// Some of the categories.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Categories(u32);

impl Categories {
    pub const NONE: Categories = Categories(0);
    pub const ALL: Categories = Categories(u32::MAX);

    pub fn contains(self, category: Category) -> bool {
        self.0 & 1 << category as u8 != 0
    }

    #[must_use]
    pub fn with(self, category: Category) -> Categories {
        Categories(self.0 | 1 << category as u8)
    }

    #[must_use]
    pub fn without(self, category: Category) -> Categories {
        Categories(self.0 & !(1 << category as u8))
    }
}

impl FromIterator<Category> for Categories {
    fn from_iter<I: IntoIterator<Item = Category>>(categories: I) -> Categories {
        categories.into_iter().fold(Categories::NONE, Categories::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_category_has_a_place_and_a_word_of_its_own() {
        for (place, category) in Category::ALL.into_iter().enumerate() {
            assert_eq!(category as usize, place);
            let alone = Categories::NONE.with(category);
            let found: Vec<_> = Category::ALL.into_iter().filter(|other| alone.contains(*other)).collect();
            assert_eq!(found, [category]);
            assert!(!Categories::ALL.without(category).contains(category));
            assert!(category.weight() < WEIGHTS);
            let words = Category::ALL.iter().filter(|other| other.as_str() == category.as_str());
            assert_eq!(words.count(), 1);
        }
    }
}
