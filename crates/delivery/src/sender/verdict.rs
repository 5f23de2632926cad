// SPDX-License-Identifier: BSD-2-Clause
//! What an answer, or the lack of one, means for an entry.

use protocol::reason::Reason;

use crate::connection::request::{Answer, Failure};
use crate::counters::Counter;

/// What becomes of the entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Sent,
    Drop(Reason),
    /// Keep it and try again after a pause. `counts` if the server may be failing on this very entry; when it has failed too often, it is dropped
    /// for `reason`.
    Retry {
        counts: bool,
        reason: Reason,
    },
}

impl Verdict {
    /// 2xx is taken, 429 and everything else that is no 5xx is final, 5xx and no answer may pass.
    pub fn of(result: &Result<Answer, Failure>) -> Verdict {
        match result {
            Ok(answer) => match answer.status {
                200..=299 => Verdict::Sent,
                429 => Verdict::Drop(Reason::RateLimited),
                500..=599 => Verdict::Retry { counts: true, reason: Reason::SendError },
                _ => Verdict::Drop(Reason::SendError),
            },
            Err(Failure::Unreached(_)) => Verdict::Retry { counts: false, reason: Reason::NetworkError },
            Err(Failure::Broken(_)) => Verdict::Retry { counts: true, reason: Reason::NetworkError },
        }
    }
}

/// Whether the server never took the entry, which is then one for the spool: a 500 may be the entry's fault.
pub fn is_untaken(result: &Result<Answer, Failure>) -> bool {
    result.as_ref().map_or(true, |answer| (502..=504).contains(&answer.status))
}

/// Where an answer counts.
pub fn counter_of(status: u16) -> Counter {
    match status {
        200..=299 => Counter::Answers2xx,
        429 => Counter::Answers429,
        400..=499 => Counter::Answers4xx,
        500..=599 => Counter::Answers5xx,
        _ => Counter::AnswersOther,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: u16) -> Result<Answer, Failure> {
        Ok(Answer { status, ..Answer::default() })
    }

    #[test]
    fn each_outcome_has_its_verdict() {
        let retry = |counts, reason| Verdict::Retry { counts, reason };
        let table = [
            (status(200), Verdict::Sent, false),
            (status(299), Verdict::Sent, false),
            (status(429), Verdict::Drop(Reason::RateLimited), false),
            (status(400), Verdict::Drop(Reason::SendError), false),
            (status(413), Verdict::Drop(Reason::SendError), false),
            (status(302), Verdict::Drop(Reason::SendError), false),
            (status(101), Verdict::Drop(Reason::SendError), false),
            (status(500), retry(true, Reason::SendError), false),
            (status(503), retry(true, Reason::SendError), true),
            (Err(Failure::Unreached(String::new())), retry(false, Reason::NetworkError), true),
            (Err(Failure::Broken(String::new())), retry(true, Reason::NetworkError), true),
        ];
        for (result, verdict, untaken) in table {
            assert_eq!((Verdict::of(&result), is_untaken(&result)), (verdict, untaken), "{result:?}");
        }
    }
}
