// SPDX-License-Identifier: BSD-2-Clause
//! Posts over HTTP: ureq with one kept connection a transport, TLS verified, and never longer than the timeout.
//!
//! What all transports of one connector share: the addresses that were looked up, and the certificates.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use protocol::sdk::SDK;
use rustls::ClientConfig;
use ureq::http::Uri;
use ureq::unversioned::transport::{ConnectProxyConnector, Connector as _};
use ureq::{Agent, Error};

use super::answer::{BODY_TIME, BodyEnd, answer, line, read};
use super::bounded::Bounded;
use super::certificates::Certificates;
use super::look_up::LookUpFor;
use super::proxy::{ProxySource, ProxyUrl, from_environment};
use super::request::{Answer, Body, Failure, Target};
use super::resolver::{LookUp, Resolver};
use super::socket::is_closed;
use super::tcp::TcpConnector;
use super::tls::TlsConnector;
use super::tls_error::TlsError;
use super::transport::{Abort, Connector, Posted, Transport};
use super::under_way::UnderWay;
use super::unix_socket::{NoLookUp, UnixConnector};
use super::way::Way;
use crate::clock::Clock;

/// Of ureq's buffers, of which each link of a connection has two. Its default is eight times as much.
const BUFFER: usize = 16 * 1024;
/// An idle connection is used again up to this age; servers and balancers usually keep one a minute.
const MAX_IDLE: Duration = Duration::from_secs(50);

/// How [`HttpConnector`] connects.
pub struct HttpOptions {
    /// For the look-up of the name, and again for connection and TLS, all addresses together.
    pub connect_timeout: Duration,
    /// For a whole request, usually.
    pub timeout: Duration,
    pub way: Way,
    pub look_up: LookUp,
    pub clock: Arc<dyn Clock>,
}

/// Makes transports that speak HTTP.
pub struct HttpConnector(Arc<Shared>);

struct Shared {
    connect_timeout: Duration,
    timeout: Duration,
    proxy: ProxySource,
    unix_socket: Option<PathBuf>,
    certificates: Certificates,
    resolver: Arc<Resolver>,
    clock: Arc<dyn Clock>,
}

impl HttpConnector {
    /// Opens nothing yet, and reads no file.
    pub fn new(options: HttpOptions) -> HttpConnector {
        let HttpOptions { connect_timeout, timeout, way, look_up, clock } = options;
        let Way { roots, proxy, client_cert, unix_socket } = way;
        let certificates = Certificates::new(roots, client_cert);
        let resolver = Arc::new(Resolver::new(look_up, clock.clone()));
        HttpConnector(Arc::new(Shared { connect_timeout, timeout, proxy, unix_socket, certificates, resolver, clock }))
    }
}

impl Connector for HttpConnector {
    fn transport(&self) -> Box<dyn Transport> {
        let abort = Arc::new(HttpAbort { under_way: Arc::default(), resolver: self.0.resolver.clone() });
        Box::new(HttpTransport { shared: self.0.clone(), abort, opened: Vec::new() })
    }
}

struct HttpAbort {
    under_way: Arc<UnderWay>,
    resolver: Arc<Resolver>,
}

impl Abort for HttpAbort {
    fn abort(&self) {
        if self.under_way.abort() {
            self.resolver.wake();
        }
    }
}

/// Servers that a transport keeps a connection to: of one more, the one that was not asked for longest goes.
const MAX_OPENED: usize = 4;

/// What posts to one server.
struct Opened {
    /// Scheme, host and port of its URLs.
    origin: String,
    agent: Agent,
    config: Option<Arc<ClientConfig>>,
}

/// One connection at a time; it is kept, and so are those to a few other servers.
struct HttpTransport {
    shared: Arc<Shared>,
    abort: Arc<HttpAbort>,
    /// Each made at the first post to its server, for it reads the certificates, and again after the server was not reached; the last one used is the last. Out while
    /// it is used: after a panic its locks may be poisoned, and every later post would panic too.
    opened: Vec<Opened>,
}

impl HttpTransport {
    fn take(&mut self, origin: &str) -> Option<Opened> {
        let place = self.opened.iter().position(|opened| opened.origin == origin)?;
        Some(self.opened.remove(place))
    }

    fn keep(&mut self, opened: Opened) {
        if self.opened.len() == MAX_OPENED {
            self.opened.remove(0);
        }
        self.opened.push(opened);
    }
}

/// What of a URL tells its server: all but the path.
fn origin(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url.get(start..).and_then(|rest| rest.find('/')).map_or(url.len(), |at| start + at);
    url.get(..end).unwrap_or(url)
}

/// Ends the post, however that comes.
struct Ending<'a>(&'a UnderWay);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Transport for HttpTransport {
    fn begin(&mut self) {
        self.abort.under_way.begin();
    }

    fn post(&mut self, target: &Target, body: &Body, timeout: Duration) -> Posted {
        let abort = self.abort.clone();
        let under_way = &*abort.under_way;
        under_way.begin();
        let _ending = Ending(under_way);
        let begin = self.shared.clock.now();
        let opened = match self.take(origin(&target.url)).map_or_else(|| self.shared.open(&target.url, &abort), Ok) {
            Ok(opened) => opened,
            Err(cause) => return Posted { result: Err(Failure::Unreached(cause)), reconnects: 0 },
        };
        let (mut reconnects, mut seen) = (0, false);
        let (error, course) = loop {
            let left = timeout.saturating_sub(self.shared.clock.now().saturating_duration_since(begin));
            let outcome = self.shared.try_post(&opened.agent, target, body, left, under_way);
            let course = under_way.note(std::mem::take);
            seen |= course.written;
            let error = match outcome {
                Ok(answer) => {
                    self.keep(opened);
                    return Posted { result: Ok(answer), reconnects };
                }
                Err(error) => error,
            };
            // The server closed the idle connection while we wrote: nobody's fault, and no reason to wait.
            let is_stale = !course.opening && course.written && !course.answered && is_end(&error);
            if reconnects > 0 || !is_stale || under_way.is_aborted() {
                break (error, course);
            }
            reconnects += 1;
            under_way.begin();
        };
        let aborted = under_way.is_aborted();
        let refused = is_refusal(&error);
        if aborted || !refused && (course.opened || course.written) {
            self.keep(opened);
        } else {
            // What was known of the way there is found out anew.
            self.shared.resolver.distrust();
            opened.config.iter().for_each(|config| self.shared.certificates.distrust(config));
        }
        let text = if aborted { "aborted".to_owned() } else { line(&text(&error)) };
        let result = Err(if seen && !refused { Failure::Broken(text) } else { Failure::Unreached(text) });
        Posted { result, reconnects }
    }

    fn aborter(&self) -> Arc<dyn Abort> {
        self.abort.clone()
    }
}

impl Shared {
    fn open(&self, url: &str, abort: &Arc<HttpAbort>) -> Result<Opened, String> {
        let uri: Uri = url.parse().map_err(|_| "the URL is none".to_owned())?;
        let https = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
        let proxy = self.proxy(https, uri.host().unwrap_or_default(), port)?;
        let tls = https || proxy.as_ref().is_some_and(ProxyUrl::is_tls);
        let config = tls.then(|| self.certificates.config()).transpose()?;
        let settings = Agent::config_builder()
            // Without one ureq would take one from the environment.
            .proxy(proxy.as_ref().map(ProxyUrl::to_ureq))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(SDK)
            .timeout_global(Some(self.timeout))
            .timeout_resolve(Some(self.connect_timeout))
            .timeout_connect(Some(self.connect_timeout))
            .timeout_recv_body(Some(BODY_TIME))
            .max_idle_connections(1)
            .max_idle_connections_per_host(1)
            .max_idle_age(MAX_IDLE)
            .input_buffer_size(BUFFER)
            .output_buffer_size(BUFFER)
            .max_response_header_size(BUFFER)
            .build();
        let under_way = abort.under_way.clone();
        let through_proxy = proxy.is_some();
        let (knows_us, has_ca_file) = (self.certificates.has_client_cert(), self.certificates.has_ca_file());
        let tls = TlsConnector { config: config.clone(), through_proxy, knows_us, has_ca_file };
        let agent = if let Some(path) = &self.unix_socket {
            let chain = UnixConnector(path.clone(), under_way.clone()).chain(tls);
            Agent::with_parts(settings, Bounded { chain, under_way, through_proxy: false }, NoLookUp)
        } else {
            let look_up = LookUpFor { resolver: self.resolver.clone(), under_way: under_way.clone() };
            let chain = ().chain(ConnectProxyConnector::default()).chain(TcpConnector(under_way.clone())).chain(tls);
            Agent::with_parts(settings, Bounded { chain, under_way, through_proxy }, look_up)
        };
        Ok(Opened { origin: origin(url).to_owned(), agent, config })
    }

    fn proxy(&self, https: bool, host: &str, port: u16) -> Result<Option<ProxyUrl>, String> {
        match &self.proxy {
            ProxySource::None => Ok(None),
            ProxySource::Url(url) => Ok(Some(url.clone())),
            ProxySource::Environment => {
                let get = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
                from_environment(get, https, host, port)
            }
        }
    }

    /// Posts once. Once a head was read there is an answer, whatever comes behind it.
    fn try_post(
        &self,
        agent: &Agent,
        target: &Target,
        body: &Body,
        timeout: Duration,
        under_way: &UnderWay,
    ) -> Result<Answer, Error> {
        let mut request = agent.post(&target.url).header("content-type", "application/x-sentry-envelope");
        if !target.auth.is_empty() {
            request = request.header("x-sentry-auth", &target.auth);
        }
        if let Some(encoding) = body.encoding {
            request = request.header("content-encoding", encoding);
        }
        for (name, value) in body.headers.iter() {
            request = request.header(name.as_str(), value);
        }
        if timeout != self.timeout {
            request = request.config().timeout_global(Some(timeout)).build();
        }
        let mut begin = Vec::new();
        let sent =
            request.send(&*body.bytes).map(|mut response| read(&mut response.body_mut().as_reader(), &mut begin));
        match under_way.note(|course| course.head.take()) {
            Some(head) => Ok(answer(&head, &begin, sent.unwrap_or(BodyEnd::Broken), target)),
            None => Err(sent.err().unwrap_or(Error::ConnectionFailed)),
        }
    }
}

/// Whether the server closed the connection.
fn is_end(error: &Error) -> bool {
    matches!(error, Error::Io(error) if is_closed(error))
}

/// Whether the server has refused us by TLS.
fn is_refusal(error: &Error) -> bool {
    tls_error(error).is_some_and(TlsError::is_refusal)
}

fn tls_error(error: &Error) -> Option<&TlsError> {
    let Error::Io(error) = error else { return None };
    error.get_ref()?.downcast_ref()
}

fn text(error: &Error) -> String {
    match error {
        // Says all of it.
        Error::Other(cause) => cause.to_string(),
        Error::ConnectProxyFailed(cause) => cause.clone(),
        Error::Io(cause) if tls_error(error).is_some() => cause.to_string(),
        other => other.to_string(),
    }
}
