// SPDX-License-Identifier: BSD-2-Clause
//! What a server, a proxy or a certificate says, without secrets, whatever transport it comes by: it goes to the log and to the status page.

use std::sync::Arc;
use std::time::Duration;

use privacy::scrub::Scrub;
use privacy::settings::Privacy;

use super::request::{Body, Failure, Target};
use super::transport::{Abort, Connector, Posted, Transport};

/// Makes transports as another connector does, whose words are scrubbed by the client's settings.
pub(crate) struct Scrubbed {
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) privacy: Arc<Privacy>,
}

impl Connector for Scrubbed {
    fn transport(&self) -> Box<dyn Transport> {
        Box::new(ScrubbedTransport { transport: self.connector.transport(), privacy: self.privacy.clone() })
    }
}

struct ScrubbedTransport {
    transport: Box<dyn Transport>,
    privacy: Arc<Privacy>,
}

impl Transport for ScrubbedTransport {
    fn begin(&mut self) {
        self.transport.begin();
    }

    fn post(&mut self, target: &Target, body: &Body, timeout: Duration) -> Posted {
        let mut posted = self.transport.post(target, body, timeout);
        let said = match &mut posted.result {
            Ok(answer) => answer.complaint.as_mut(),
            Err(Failure::Unreached(text) | Failure::Broken(text)) => Some(text),
        };
        if let Some(text) = said {
            *text = Scrub::new(false).with(&self.privacy).said(text);
        }
        posted
    }

    fn aborter(&self) -> Arc<dyn Abort> {
        self.transport.aborter()
    }
}

#[cfg(test)]
mod tests {
    use privacy::settings::PrivacyArguments;

    use super::super::request::Answer;
    use super::*;

    /// Says what it is to say.
    struct Says(Result<Answer, Failure>);

    impl Connector for Says {
        fn transport(&self) -> Box<dyn Transport> {
            Box::new(Says(self.0.clone()))
        }
    }

    impl Transport for Says {
        fn post(&mut self, _: &Target, _: &Body, _: Duration) -> Posted {
            Posted { result: self.0.clone(), reconnects: 1 }
        }

        fn aborter(&self) -> Arc<dyn Abort> {
            Arc::new(Says(self.0.clone()))
        }
    }

    impl Abort for Says {
        fn abort(&self) {}
    }

    #[test]
    fn nothing_that_a_server_says_has_a_secret_in_it() {
        let arguments = PrivacyArguments { deny_keys: "tenant", ..PrivacyArguments::default() };
        let privacy = Arc::new(Privacy::new(&arguments).unwrap());
        let post = |says| {
            let scrubbed = Scrubbed { connector: Arc::new(Says(says)), privacy: privacy.clone() };
            scrubbed.transport().post(&Target::default(), &Body::default(), Duration::ZERO)
        };
        for (text, shown) in [
            (
                "redirect to https://ada:s3@h/login?token=s3&tenant=s3&a=b",
                "redirect to https://h/login?token=[Filtered]&tenant=[Filtered]&a=b",
            ),
            ("io: Connection refused", "io: Connection refused"),
            ("bad request: {\"password\":\"s3", "bad request: {\"password\":\"[Filtered]"),
            ("moved to https://ada:s3", "moved to https://[Filtered]"),
        ] {
            let answer = Answer { status: 403, complaint: Some(text.to_owned()), ..Answer::default() };
            let posted = post(Ok(answer.clone()));
            assert_eq!(posted.result, Ok(Answer { complaint: Some(shown.to_owned()), ..answer }));
            assert_eq!(posted.reconnects, 1);
            assert_eq!(post(Err(Failure::Broken(text.to_owned()))).result, Err(Failure::Broken(shown.to_owned())));
            assert_eq!(
                post(Err(Failure::Unreached(text.to_owned()))).result,
                Err(Failure::Unreached(shown.to_owned()))
            );
        }
    }
}
