// SPDX-License-Identifier: BSD-2-Clause
//! Whose doing it is that an attempt ended without a response, or without all of its body.

use denylist::{Blame, Evidence, Fault, Upload, blame, blame_response};
use privacy::scrub::Scrub;
use shim::Ctx;
use shim::ending::{self, Ending};

/// What is to be made of the end of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// The server has nothing against it: it is VCL that chose an error, or all went well.
    Fine,
    /// The backend failed.
    Failed(Fault),
    /// It was the client, the cache or the VCL, by these words of the server's, without secrets.
    Elsewhere(String),
    /// Nobody has decided on these words, or there are none. As above.
    Unknown(String),
}

impl Judgement {
    /// Of the attempt that vcl_backend_error is called for; of a response to it may be known already.
    pub fn of_error(ctx: Ctx<'_>, had_response: bool) -> Judgement {
        ctx.read_ending(|ending| Judgement::of(ending, had_response))
    }

    /// Of a body that was under way, at the task's end.
    pub fn of_body(ctx: Ctx<'_>) -> Judgement {
        ctx.read_body_ending(|ending| match ending.abandoned {
            true => Judgement::Elsewhere("client left".to_owned()),
            false => Judgement::of(ending, true),
        })
    }

    fn of(ending: &Ending<'_>, had_response: bool) -> Judgement {
        let texts = ending.texts.map(|text| text.map(String::from_utf8_lossy));
        let [text, before, earlier] = &texts;
        if (had_response || ending.response) && !ending.failed {
            // A FetchError would be one of a connection that was given up for another.
            let Some(error) = ending.error.map(String::from_utf8_lossy) else { return Judgement::Fine };
            return blame_response(&error).map_or(Judgement::Fine, |blame| Judgement::by(blame, &error));
        }
        let vcl_error = ending.vcl_error.map(String::from_utf8_lossy);
        let blame = blame(&Evidence {
            texts: [text.as_deref(), before.as_deref(), earlier.as_deref()],
            vcl_error: vcl_error.as_deref(),
            upload: match ending.upload {
                ending::Upload::None => Upload::None,
                ending::Upload::Sent => Upload::Sent,
                ending::Upload::ClientFailed => Upload::ClientFailed,
                ending::Upload::CacheFailed => Upload::CacheFailed,
                ending::Upload::Broken => Upload::Broken,
            },
            reused: ending.reused,
        });
        Judgement::by(blame, text.as_deref().unwrap_or("no FetchError in the log"))
    }

    fn by(blame: Blame, text: &str) -> Judgement {
        match blame {
            Blame::Backend(fault) => Judgement::Failed(fault),
            // A director of another module may say anything.
            Blame::Elsewhere => Judgement::Elsewhere(Scrub::new(false).said(text)),
            Blame::Unknown => Judgement::Unknown(Scrub::new(false).said(text)),
        }
    }
}
