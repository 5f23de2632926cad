// SPDX-License-Identifier: BSD-2-Clause
//! What an object answers to the server.

use shim::director::{Director, Listing, VclBackend};
use shim::{Ctx, Side};

use crate::admission::Asking;
use crate::backend::{Asked, How};
use crate::clock::time;
use crate::fetch::settle_before;
use crate::object::Saintmode;
use crate::task::attempt;

impl Director for Saintmode {
    /// VCL of the client side and the CLI ask about the backend as a whole: that is what the C module
    /// answered, and std.healthy() cannot say for which object it asks.
    fn healthy(&self, ctx: Ctx<'_>) -> (bool, f64) {
        let (object, asked) = (ctx.object(), Asked::now());
        if asked.how == How::Exploring {
            self.explore(ctx);
            return (false, 0.0);
        }
        if self.is_unexplored(ctx) {
            return (false, 0.0);
        }
        if let Some(group) = &self.group {
            asked.meets(group);
        }
        if asked.how == How::ForTheWay {
            self.backend_healthy(ctx);
            return (false, 0.0);
        }
        let about_object = asked.about_object(object.fetching);
        let digest = object.digest.filter(|_| about_object);
        let (healthy, since) = self.backend_healthy(ctx);
        let since = since.max(self.changed(time(ctx)));
        let asking = if about_object { Asking::Question } else { Asking::Nobody };
        (self.lets_through(ctx, digest, object.fetching, asking) && healthy, since)
    }

    fn admits(&self, ctx: Ctx<'_>, behind: u32) -> bool {
        if self.is_too_far(ctx, behind) {
            return false;
        }
        let object = ctx.object();
        let asking = match (object.fetching, object.side) {
            // Nobody sees what comes of a pipe, and it may last for hours: no trial.
            (true, Side::Client) => Asking::Question,
            (true, _) => Asking::Fetch,
            (false, _) => Asking::Nobody,
        };
        self.would_serve(ctx, object.digest.filter(|_| object.fetching), object.fetching, asking)
    }

    fn serves(&self, ctx: Ctx<'_>, reached: VclBackend) {
        let object = ctx.object();
        if object.side == Side::Backend && !object.attempt_over && attempt::note(ctx, &object, self, reached) {
            settle_before(ctx, object.xid);
        }
    }

    fn list(&self, ctx: Ctx<'_>, listing: &Listing) {
        let live = self.live(time(ctx));
        let threshold = self.threshold();
        let health = if self.healthy(ctx).0 { "healthy" } else { "sick" };
        let backend = self.backend_name();
        // More than five columns in one line of the detailed text form would end the server (cli_backend_list).
        let text = match (listing.details, listing.json) {
            (false, false) => format!("{live}/{threshold}\t{health}"),
            (false, true) => format!("[{live}, {threshold}, \"{health}\"]"),
            (true, false) => format!("\n\n\tBackend\tDenied\tThreshold\n\t{backend}\t{live}\t{threshold}\n"),
            (true, true) => {
                format!("{{\"backend\": \"{backend}\", \"denied\": {live}, \"threshold\": {threshold}}},\n")
            }
        };
        listing.write(&text);
    }
}
