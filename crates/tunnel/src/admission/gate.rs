// SPDX-License-Identifier: BSD-2-Clause
//! How often a client may ask, and all of them together.

use std::time::Instant;

use delivery::admission::rate::TokenBucket;
use delivery::admission::throttle::{Throttle, Verdict};
use delivery::epoch::Epoch;
use protocol::reason::Reason;

use crate::answer::Refusal;
use crate::settings::Settings;

/// Clients that are remembered: as many as `max_rate` = 200 lets ask in a minute. Of more than that, more may pass.
const CLIENTS: usize = 16_384;
/// Requests that may come at once after a quiet time, or as many as `max_rate` lets come in a second if that is more.
const BURST: u32 = 100;

/// Both bounds.
pub struct Gate {
    clients: Throttle,
    bucket: TokenBucket,
}

impl Gate {
    pub fn new(settings: &Settings, seed: u64, epoch: Epoch) -> Gate {
        let Settings { per_client, per_client_window, max_rate, .. } = *settings;
        Gate {
            clients: Throttle::with_slots(CLIENTS, per_client, per_client_window, seed, epoch),
            bucket: TokenBucket::new(max_rate, max_rate.max(BURST), epoch),
        }
    }

    /// Whether a client may ask now. What `max_rate` refuses does not count for the client.
    pub fn enter(&self, client: u64, now: Instant) -> Result<(), Refusal> {
        let all = || if self.bucket.take(now) { Ok(()) } else { Err(Reason::MaxRate) };
        match self.clients.judge(client, now, all) {
            Verdict::Passed { .. } => Ok(()),
            Verdict::Refused(Reason::MaxRate) => Err(Refusal::MaxRate),
            Verdict::Refused(_) => Err(Refusal::PerClient),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::settings::Arguments;

    fn gate(per_client: i64, max_rate: i64, start: Instant) -> Gate {
        let arguments = Arguments { dsns: "https://k@h/1", per_client, max_rate, ..Arguments::default() };
        Gate::new(&Settings::new(&arguments).unwrap(), 1, Epoch::new(start))
    }

    #[test]
    fn a_client_has_its_own_bound_and_all_have_one_together() {
        let start = Instant::now();
        let gate = gate(3, 1, start);
        let counts = |client, at, asked| {
            let all: Vec<_> = (0..asked).map(|_| gate.enter(client, at)).collect();
            let count = |what: Result<(), Refusal>| all.iter().filter(|one| **one == what).count();
            (count(Ok(())), count(Err(Refusal::PerClient)), count(Err(Refusal::MaxRate)))
        };
        assert_eq!(counts(1, start, 5), (3, 2, 0));
        assert_eq!(counts(2, start, 3), (3, 0, 0));
        for client in 3..35 {
            counts(client, start, 3);
        }
        // 96 and 9 have come, of 100.
        assert_eq!(counts(99, start, 1).0 + counts(98, start, 1).0, 0);
        let later = start + Duration::from_secs(1);
        assert_eq!(counts(97, later, 3), (1, 0, 2));
        assert_eq!(counts(1, start + Duration::from_secs(60), 4), (3, 1, 0));
    }

    #[test]
    fn a_bound_of_zero_is_none() {
        let start = Instant::now();
        let gate = gate(0, 0, start);
        assert!((0..10_000).all(|_| gate.enter(1, start).is_ok()));
    }
}
