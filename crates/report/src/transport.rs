// SPDX-License-Identifier: BSD-2-Clause
//! One POST to the server: over a kept connection, with TLS verified, and never longer than its timeout.
//!
//! Only couriers call [`Transport::post`], several at a time; anyone may call [`Transport::abort`].

use std::fmt::Display;
use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use ureq::http::{HeaderMap, Response, Uri};
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig, TlsProvider};
use ureq::{Agent, Body, Timeout};

use crate::clock::Clock;
use crate::connection::Unconnected;
use crate::identity::SDK;
use crate::meanwhile::{self, Meanwhile};
use crate::proxy::{ProxySource, ProxyUrl, from_environment};
use crate::resolver::{ForUreq, LookUp, Resolver};
use crate::tcp;
use crate::tunnel::ThroughProxy;
use crate::unix_socket::{self, NoLookUp};
use crate::way::{self, Roots, Way};

/// What is posted.
#[derive(Clone, Copy, Debug)]
pub struct Post<'a> {
    pub url: &'a str,
    /// The value of `X-Sentry-Auth`, empty for none; never logged.
    pub auth: &'a str,
    pub content_encoding: Option<&'static str>,
    pub body: &'a [u8],
    /// What to do while the answer is awaited, once.
    pub meanwhile: Option<&'a Meanwhile>,
}

/// What the server said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// `X-Sentry-Rate-Limits`, several lines joined by commas.
    pub rate_limits: Option<String>,
    pub retry_after: Option<String>,
    /// Of an answer other than 2xx: `X-Sentry-Error`, else the beginning of the body.
    pub complaint: Option<String>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The server was not reached: no address, no connection, no TLS. It never saw the event.
    Unreached(String),
    /// It broke off later: the server may have taken the event or not.
    Broken(String),
}

/// What a courier posts with.
pub trait Transport: Send + Sync {
    /// Posts, and waits for the answer for at most `timeout`.
    fn post(&self, post: &Post<'_>, timeout: Duration) -> Result<Answer, Failure>;
    /// Ends all that is under way, and fails everything after it.
    fn abort(&self);
}

/// How [`HttpTransport`] connects.
pub struct HttpOptions {
    /// For the look-up of the name, and again for connection and TLS, all addresses together.
    pub connect_timeout: Duration,
    /// For a whole request, if the caller gives it no less.
    pub timeout: Duration,
    pub way: Way,
    pub look_up: LookUp,
    /// Connections that are kept while they are idle.
    pub connections: usize,
    pub clock: Arc<dyn Clock>,
}

/// The real one: ureq with rustls.
pub struct HttpTransport {
    options: HttpOptions,
    resolver: Arc<Resolver>,
    agents: Mutex<Agents>,
    /// Connections that were answered on last, so that the next post may use one of them.
    kept: AtomicUsize,
}

/// Whose connections there are.
#[derive(Default)]
struct Agents {
    /// Made at the first post, for it reads the certificates, and again after the server was not reached.
    current: Option<Agent>,
    /// Of the posts under way, which a newer one may have replaced in the meantime.
    busy: Vec<(u64, Agent)>,
    next_ticket: u64,
    aborted: bool,
}

/// An agent for one post.
struct Hired<'a> {
    transport: &'a HttpTransport,
    ticket: u64,
    agent: Agent,
}

impl Drop for Hired<'_> {
    fn drop(&mut self) {
        let mut agents = self.transport.agents.lock();
        agents.busy.retain(|(ticket, _)| *ticket != self.ticket);
        if thread::panicking() {
            // ureq's own locks may be poisoned, and every later request would panic too.
            agents.current = None;
        }
    }
}

/// Bytes of an answer's body that are read, to keep the connection; a longer answer costs it.
const MAX_ANSWER: usize = 64 * 1024;
/// Bytes of a file with a client's certificate or key.
const MAX_PEM: u64 = 1024 * 1024;
/// Characters of a complaint.
const MAX_COMPLAINT: usize = 200;
/// Of ureq's buffers, of which a connection has two. Its default is eight times as much.
const BUFFER: usize = 16 * 1024;
/// An idle connection is used again up to this age; servers and balancers usually keep one a minute.
const MAX_IDLE: Duration = Duration::from_secs(50);

impl HttpTransport {
    /// Opens nothing yet.
    pub fn new(options: HttpOptions) -> HttpTransport {
        let resolver = Arc::new(Resolver::new(options.look_up.clone(), options.clock.clone()));
        HttpTransport { options, resolver, agents: Mutex::default(), kept: AtomicUsize::new(0) }
    }

    fn hire(&self, url: &str) -> Result<Hired<'_>, Failure> {
        let current = self.agents.lock().current.clone();
        // Reads files, so it must not hold the lock: whoever aborts takes it too, and is not to wait.
        let agent = current.map_or_else(|| self.make_agent(url), Ok)?;
        let mut agents = self.agents.lock();
        if agents.aborted {
            return Err(Failure::Unreached("aborted".to_owned()));
        }
        let agent = agents.current.get_or_insert(agent).clone();
        let ticket = agents.next_ticket;
        agents.next_ticket += 1;
        agents.busy.push((ticket, agent.clone()));
        Ok(Hired { transport: self, ticket, agent })
    }

    fn make_agent(&self, url: &str) -> Result<Agent, Failure> {
        let uri: Uri = url.parse().map_err(|_| Failure::Unreached("the URL is none".to_owned()))?;
        let https = uri.scheme_str() == Some("https");
        let proxy = self.proxy(https, uri.host().unwrap_or_default())?;
        let (mut roots, mut client_cert) = (Vec::new(), None);
        if https || proxy.as_ref().is_some_and(ProxyUrl::is_tls) {
            roots = self.root_certificates()?;
            client_cert = self.options.way.client_cert.as_ref().map(read_client_cert).transpose()?;
        }
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .root_certs(RootCerts::from(roots))
            .client_cert(client_cert)
            .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            // Without one ureq would take one from the environment.
            .proxy(proxy.as_ref().map(ProxyUrl::to_ureq))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(SDK)
            .timeout_global(Some(self.options.timeout))
            .timeout_resolve(Some(self.options.connect_timeout))
            .timeout_connect(Some(self.options.connect_timeout))
            .max_idle_connections(self.options.connections)
            .max_idle_connections_per_host(self.options.connections)
            .max_idle_age(MAX_IDLE)
            .input_buffer_size(BUFFER)
            .output_buffer_size(BUFFER)
            .max_response_header_size(BUFFER)
            .build();
        let resolver = ForUreq(self.resolver.clone());
        if let Some(path) = &self.options.way.unix_socket {
            return Ok(Agent::with_parts(config, unix_socket::connector(path.clone()), NoLookUp));
        }
        Ok(match proxy {
            Some(_) => Agent::with_parts(config, ThroughProxy(tcp::connector()), resolver),
            None => Agent::with_parts(config, tcp::connector(), resolver),
        })
    }

    fn proxy(&self, https: bool, host: &str) -> Result<Option<ProxyUrl>, Failure> {
        match &self.options.way.proxy {
            ProxySource::None => Ok(None),
            ProxySource::Url(url) => Ok(Some(url.clone())),
            ProxySource::Environment => {
                let get = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
                from_environment(get, https, host).map_err(Failure::Unreached)
            }
        }
    }

    fn root_certificates(&self) -> Result<Vec<Certificate<'static>>, Failure> {
        let (name, loaded) = match &self.options.way.roots {
            Roots::System => (String::new(), rustls_native_certs::load_native_certs()),
            Roots::File(path) => {
                let name = format!("ca_file {}: ", path.display());
                regular_file(path).map_err(|cause| Failure::Unreached(format!("{name}{cause}")))?;
                (name, rustls_native_certs::load_certs_from_paths(Some(path), None))
            }
        };
        if loaded.certs.is_empty() {
            let cause = loaded.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
            return Err(Failure::Unreached(format!("{name}no CA certificates{cause}")));
        }
        Ok(loaded.certs.iter().map(|cert| Certificate::from_der(cert).to_owned()).collect())
    }

    fn try_post(&self, agent: &Agent, post: &Post<'_>, timeout: Duration) -> Result<Answer, ureq::Error> {
        let request = agent.post(post.url).header("content-type", "application/x-sentry-envelope");
        let request = if post.auth.is_empty() { request } else { request.header("x-sentry-auth", post.auth) };
        let request = match post.content_encoding {
            Some(encoding) => request.header("content-encoding", encoding),
            None => request,
        };
        // ureq keeps TLS sessions and parsed certificates only for requests that have no settings of their own.
        let request = if timeout < self.options.timeout {
            request.config().timeout_global(Some(timeout)).build()
        } else {
            request
        };
        Ok(read_answer(request.send(post.body)?))
    }
}

/// Reads a client's certificate and key, and tries whether they fit: ureq would panic if they did not.
fn read_client_cert(files: &way::ClientCert) -> Result<ClientCert, Failure> {
    let problem = |name: &str, path: &Path, cause: &dyn Display| {
        Failure::Unreached(format!("{name} {}: {cause}", path.display()))
    };
    let chain = read_file(&files.chain).map_err(|cause| problem("client_cert", &files.chain, &cause))?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&chain)
        .collect::<Result<_, _>>()
        .map_err(|cause| problem("client_cert", &files.chain, &cause))?;
    if chain.is_empty() {
        return Err(problem("client_cert", &files.chain, &"no certificate"));
    }
    let pem = read_file(&files.key).map_err(|cause| problem("client_key", &files.key, &cause))?;
    let no_key = || problem("client_key", &files.key, &"no private key");
    let key = PrivateKey::from_pem(&pem).map_err(|_| no_key())?;
    let certs: Vec<_> = chain.iter().map(|cert| Certificate::from_der(cert).to_owned()).collect();
    let tried = CertifiedKey::from_der(
        chain,
        PrivateKeyDer::from_pem_slice(&pem).map_err(|_| no_key())?,
        &ring::default_provider(),
    );
    tried.map_err(|cause| problem("client_key", &files.key, &cause))?;
    Ok(ClientCert::new_with_certs(&certs, key))
}

/// The file, as far as one of its kind is long.
fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    regular_file(path)?;
    let mut bytes = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(MAX_PEM).read_to_end(&mut bytes));
    read.map(|_| bytes).map_err(|error| error.to_string())
}

/// Refuses what is none without opening it: a pipe would wait for its writer.
fn regular_file(path: &Path) -> Result<(), String> {
    match fs::metadata(path) {
        Ok(found) if found.is_file() => Ok(()),
        Ok(_) => Err("not a regular file".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

impl Transport for HttpTransport {
    fn post(&self, post: &Post<'_>, timeout: Duration) -> Result<Answer, Failure> {
        let hired = self.hire(post.url)?;
        let begin = self.options.clock.now();
        let kept = self.kept.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |kept| kept.checked_sub(1)).is_ok();
        let mut result = meanwhile::during(post.meanwhile, || self.try_post(&hired.agent, post, timeout));
        if let Err(ureq::Error::Io(error)) = &result
            && kept
            && is_closed(error)
        {
            // The server closed the idle connection while we wrote: nobody's fault, and no reason to wait.
            let left = timeout.saturating_sub(self.options.clock.now().saturating_duration_since(begin));
            if !left.is_zero() {
                result = self.try_post(&hired.agent, post, left);
            }
        }
        let result = result.map_err(|error| classify(&error));
        match &result {
            Ok(_) => {
                self.kept.fetch_add(1, Ordering::Relaxed);
            }
            Err(Failure::Unreached(_)) => {
                self.resolver.distrust();
                self.agents.lock().current = None;
            }
            Err(Failure::Broken(_)) => {}
        }
        result
    }

    fn abort(&self) {
        let mut agents = self.agents.lock();
        agents.aborted = true;
        for agent in agents.current.iter().chain(agents.busy.iter().map(|(_, agent)| agent)) {
            agent.clone().shutdown();
        }
    }
}

/// Reads the answer to its end, so that the connection can be kept. A body that breaks off takes
/// nothing from the status.
fn read_answer(mut response: Response<Body>) -> Answer {
    let status = response.status().as_u16();
    let headers = response.headers();
    let rate_limits = joined(headers, "x-sentry-rate-limits");
    let retry_after = joined(headers, "retry-after");
    let said = joined(headers, "x-sentry-error");
    let mut body = Vec::new();
    let _ = response.body_mut().as_reader().take(MAX_ANSWER as u64 + 1).read_to_end(&mut body);
    let complaint = (!(200..300).contains(&status)).then(|| match said {
        Some(said) => printable(said.chars()),
        None => printable(String::from_utf8_lossy(body.get(..1024).unwrap_or(&body)).chars()),
    });
    let complaint = complaint.filter(|text| !text.is_empty());
    Answer { status, rate_limits, retry_after, complaint }
}

fn joined(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines: Vec<_> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    (!lines.is_empty()).then(|| lines.join(","))
}

/// One line of at most [`MAX_COMPLAINT`] characters.
fn printable(text: impl Iterator<Item = char>) -> String {
    let line: String = text.map(|c| if c.is_control() { ' ' } else { c }).take(MAX_COMPLAINT).collect();
    line.trim().to_owned()
}

fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

/// Whether the server can have seen the event. A failure in doubt counts as one after which it has.
fn classify(error: &ureq::Error) -> Failure {
    use io::ErrorKind::{AddrNotAvailable, ConnectionRefused, HostUnreachable, NetworkUnreachable, NotFound};
    if let ureq::Error::Other(cause) = error
        && cause.is::<Unconnected>()
    {
        return Failure::Unreached(printable(cause.to_string().chars()));
    }
    let text = printable(error.to_string().chars());
    let unreached = match error {
        ureq::Error::HostNotFound
        | ureq::Error::ConnectionFailed
        | ureq::Error::ConnectProxyFailed(_)
        | ureq::Error::TlsRequired
        | ureq::Error::Tls(_)
        | ureq::Error::Rustls(_)
        | ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect) => true,
        ureq::Error::Io(error) => {
            let kind = error.kind();
            matches!(kind, AddrNotAvailable | ConnectionRefused | HostUnreachable | NetworkUnreachable | NotFound)
                || error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>())
        }
        _ => false,
    };
    if unreached { Failure::Unreached(text) } else { Failure::Broken(text) }
}

#[cfg(test)]
mod tests {
    use io::ErrorKind;

    use super::*;

    #[test]
    fn a_failure_is_unreached_only_if_the_server_cannot_have_seen_the_event() {
        let io = |kind: ErrorKind| ureq::Error::Io(kind.into());
        let tls = rustls::Error::InvalidCertificate(rustls::CertificateError::Expired);
        let wrapped = ureq::Error::Io(io::Error::new(ErrorKind::InvalidData, tls.clone()));
        let table = [
            (ureq::Error::HostNotFound, true),
            (ureq::Error::ConnectProxyFailed("407".to_owned()), true),
            (ureq::Error::Timeout(Timeout::Resolve), true),
            (ureq::Error::Timeout(Timeout::Connect), true),
            (ureq::Error::Rustls(tls), true),
            (wrapped, true),
            (io(ErrorKind::ConnectionRefused), true),
            (io(ErrorKind::HostUnreachable), true),
            (io(ErrorKind::NetworkUnreachable), true),
            (io(ErrorKind::NotFound), true),
            (ureq::Error::Timeout(Timeout::Global), false),
            (io(ErrorKind::ConnectionReset), false),
            (io(ErrorKind::UnexpectedEof), false),
            (io(ErrorKind::InvalidData), false),
            (ureq::Error::BodyStalled, false),
        ];
        for (error, unreached) in table {
            assert_eq!(matches!(classify(&error), Failure::Unreached(_)), unreached, "{error:?}");
        }
    }

    #[test]
    fn a_complaint_is_one_short_line() {
        assert_eq!(printable("  a\r\nb\u{1b}[31m\0c \n".chars()), "a  b [31m c");
        assert_eq!(printable("ä".repeat(500).chars()).chars().count(), MAX_COMPLAINT);
    }
}
