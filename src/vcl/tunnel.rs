// SPDX-License-Identifier: BSD-2-Clause
//! `new … = tunnel()`, and its methods.

use std::ffi::{CStr, c_char};
use std::sync::Arc;
use std::time::Instant;

use event::rules::ignore::Expressions;
use settings::server::ServerArguments;
use settings::tunnel::{TunnelSection, TunnelSections};
use settings::waiting;
use shim::ctx::{VrtBlob, no_blob};
use shim::guard::enter_bare;
use shim::state::VmodPriv;
use shim::{Ctx, VclString, VrtCtx, enter};
use tunnel::settings::{Arguments, By, ClientIp};

use super::call::{function, text};
use super::settings::{Way, server};
use super::status::flush_time;
use crate::counters::misused;
use crate::task::{Audience, STATES, TaskState};
use crate::tunnel::{Answered, Refused, Tunnel, VclTunnel};

/// Where a task cannot keep a text, one that needs no keeping.
const NO_WORKSPACE: &CStr = c"{\"error\": \"out of workspace\"}";

/// `struct vmod_sentry_tunnel`: what `new t = sentry.tunnel(…)` makes.
pub struct TunnelObject {
    tunnel: Arc<VclTunnel>,
}

/// A method's call.
#[derive(Clone, Copy)]
struct Call<'t> {
    ctx: Ctx<'t>,
    name: &'static str,
    tunnel: &'t Arc<VclTunnel>,
}

impl<'t> Call<'t> {
    fn misused(self, problem: &str) {
        misused(self.ctx, &format!("{}: {problem}", self.name));
    }

    /// Fails the load of the VCL.
    fn fail(self, problem: &str) {
        self.ctx.fail(&format!("{}: {problem}", self.name));
    }

    fn is_in(self, sub: &str) -> bool {
        self.ctx.facts().sub == sub.as_bytes()
    }

    /// Whether the call comes from vcl_init; elsewhere it is misused.
    fn is_in_vcl_init(self) -> bool {
        let is_in = self.is_in("vcl_init");
        if !is_in {
            self.misused("may only be called from vcl_init");
        }
        is_in
    }

    /// Takes a section, or fails the load.
    fn section<T>(
        self,
        slot: impl FnOnce(&mut TunnelSections) -> &mut Option<T>,
        checked: impl FnOnce() -> Result<T, String>,
    ) {
        if !self.is_in_vcl_init() {
            return;
        }
        let taken = checked().and_then(|section| self.tunnel.say(section, slot).map_err(|refused| self.told(refused)));
        if let Err(problem) = taken {
            self.fail(&problem);
        }
    }

    fn told(self, refused: Refused) -> String {
        let name = self.tunnel.name();
        match refused {
            Refused::Twice => format!("called twice for the tunnel {name:?}"),
            Refused::Late => format!("called after the first flush of the tunnel {name:?}"),
        }
    }

    /// The tunnel proper; made if it is not in vcl_init. Elsewhere a call without one is misused: only vcl_fini runs so, of a VCL that came to nothing.
    fn tunnel(self) -> Option<&'t Arc<Tunnel>> {
        if let Some(made) = self.tunnel.made() {
            return Some(made);
        }
        if self.is_in("vcl_init") {
            return Some(self.tunnel.make());
        }
        self.misused("the VCL was never warm, so there is no tunnel");
        None
    }

    /// Lends what the task keeps of the request in this tunnel to `body`; `None` if accept() was not called.
    fn answered<R>(self, body: impl FnOnce(&Answered) -> R) -> Option<R> {
        let tunnel = self.tunnel.made()?;
        STATES.existing_task(self.ctx, |task| task.answered(tunnel).map(body)).flatten()
    }

    /// A text for VCL in the workspace; NULL without room, which is misuse.
    fn copied(self, text: &[u8]) -> *const c_char {
        let copy = self.ctx.copy(text);
        if copy.is_null() {
            self.misused("out of workspace");
        }
        copy
    }

    /// A text for VCL that may be longer than the workspace.
    fn lent(self, text: String) -> *const c_char {
        let lent = STATES.task(self.ctx, TaskState::default, |task| task.lend(text));
        lent.unwrap_or_else(|| {
            self.misused("out of workspace");
            NO_WORKSPACE.as_ptr()
        })
    }
}

/// An entry from C: the method's name there, the call in messages, what it returns if it can do nothing, and what it does.
macro_rules! methods {
    ($($name:literal: $entry:ident($($argument:ident: $type:ty),*) -> $result:ty = $neutral:expr, $body:expr;)*) => {
        $(
            #[unsafe(no_mangle)]
            unsafe extern "C" fn $entry(ctx: *const VrtCtx, object: *const TunnelObject $(, $argument: $type)*) -> $result {
                let body = |ctx| {
                    // SAFETY: NULL or the object of `new`, which lives until no task of its VCL is left.
                    match unsafe { object.as_ref() } {
                        Some(object) => $body(Call { ctx, name: $name, tunnel: &object.tunnel } $(, $argument)*),
                        None => $neutral,
                    }
                };
                // SAFETY: the server passes its context.
                unsafe { enter(ctx, $name, $neutral, body) }
            }
        )*
    };
}

#[unsafe(no_mangle)]
unsafe extern "C" fn vmod_tunnel__init<'t>(
    ctx: *const VrtCtx,
    object: *mut *mut TunnelObject,
    name: VclString<'t>,
    vcl: *const VmodPriv,
    dsns: VclString<'t>,
    dsn_file: VclString<'t>,
    upstream: VclString<'t>,
    throttle: i64,
    window: f64,
    by: VclString<'t>,
    max_rate: i64,
    per_client: i64,
    per_client_window: f64,
    share: VclString<'t>,
    max_body: i64,
    body_timeout: f64,
    max_readers: i64,
    drop_items: VclString<'t>,
    client_ip: VclString<'t>,
) {
    let checked = || {
        let arguments = Arguments {
            dsns: text("dsns", dsns)?,
            upstream: text("upstream", upstream)?,
            throttle,
            window,
            by: by_of(by),
            max_rate,
            per_client,
            per_client_window,
            share: text("share", share)?,
            max_body,
            body_timeout,
            max_readers,
            drop_items: text("drop_items", drop_items)?,
            client_ip: client_ip_of(client_ip),
            ..Arguments::default()
        };
        TunnelSection::new(text("dsn_file", dsn_file)?, arguments).map_err(|error| error.to_string())
    };
    let body = |call: super::call::Call<'_>| {
        // SAFETY: the VCC compiler passes the address of the object's variable, which nobody else has yet.
        let object = unsafe { object.as_mut() };
        let (Audience::All(vcl), Some(object)) = (call.audience, object) else { return };
        match checked() {
            Ok(section) => {
                let tunnel = vcl.add_tunnel(name.text().unwrap_or_default(), section);
                *object = Box::into_raw(Box::new(TunnelObject { tunnel }));
            }
            Err(problem) => call.fail(&problem),
        }
    };
    // SAFETY: the server passes its context and the VCL's own private.
    unsafe { function(ctx, vcl, "sentry.tunnel()", (), body) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn vmod_tunnel__fini(object: *mut *mut TunnelObject) {
    enter_bare("sentry.tunnel()", (), || {
        // SAFETY: the VCC compiler passes the address of the object's variable, for the last time.
        let gone = std::mem::replace(unsafe { &mut *object }, std::ptr::null_mut());
        if !gone.is_null() {
            // SAFETY: made by Box::into_raw in vmod_tunnel__init, and the variable was just cleared.
            drop(unsafe { Box::from_raw(gone) });
        }
    });
}

/// VCC lets no other word through.
fn by_of(word: VclString<'_>) -> By {
    match word.bytes() {
        Some(b"url") => By::Url,
        Some(b"none") => By::None,
        _ => By::Fingerprint,
    }
}

fn client_ip_of(word: VclString<'_>) -> ClientIp {
    match word.bytes() {
        Some(b"short") => ClientIp::Short,
        Some(b"none") => ClientIp::None,
        _ => ClientIp::Send,
    }
}

methods! {
    "sentry.tunnel.ignore()": vmod_tunnel_ignore(
        message: VclString<'_>, url: VclString<'_>, user_agent: VclString<'_>, level: VclString<'_>, builtin: u32
    ) -> () = (), |call: Call<'_>, message, url, user_agent, level, builtin| {
        if !call.is_in_vcl_init() {
            return;
        }
        let ignored = || {
            let expressions = Expressions {
                message: text("message", message)?,
                url: text("url", url)?,
                user_agent: text("user_agent", user_agent)?,
                level: text("level", level)?,
                ..Expressions::default()
            };
            let added = call.tunnel.ignore(&expressions, builtin != 0).ok_or_else(|| call.told(Refused::Late))?;
            added.map_err(|error| error.to_string())
        };
        if let Err(problem) = ignored() {
            call.fail(&problem);
        }
    };

    "sentry.tunnel.server()": vmod_tunnel_server(
        connections: i64, connect_timeout: f64, timeout: f64, max_interval: f64, shutdown_timeout: f64,
        ca_file: VclString<'_>, client_cert: VclString<'_>, client_key: VclString<'_>, proxy: VclString<'_>,
        unix_socket: VclString<'_>
    ) -> () = (), |call: Call<'_>, connections, connect_timeout, timeout, max_interval, shutdown_timeout, ca_file,
        client_cert, client_key, proxy, unix_socket| {
        call.section(|sections| &mut sections.server, || {
            let way = Way { ca_file, client_cert, client_key, proxy, unix_socket };
            let arguments = |way| ServerArguments {
                connections, connect_timeout, timeout, max_interval, shutdown_timeout, way,
            };
            server(way, arguments)
        });
    };

    "sentry.tunnel.queue()": vmod_tunnel_queue(events: i64, bytes: i64) -> () = (), |call: Call<'_>, events, bytes| {
        call.section(|sections| &mut sections.queue, || {
            waiting::queue(events, bytes).map_err(|error| error.to_string())
        });
    };

    "sentry.tunnel.spool()": vmod_tunnel_spool(
        folder: VclString<'_>, bytes: i64, age: f64
    ) -> () = (), |call: Call<'_>, folder, bytes, age| {
        call.section(|sections| &mut sections.spool, || {
            waiting::spool(text("folder", folder)?, bytes, age).map_err(|error| error.to_string())
        });
    };

    "sentry.tunnel.accept()": vmod_tunnel_accept() -> i64 = 503, |call: Call<'_>| {
        if !call.is_in("vcl_recv") {
            call.misused("may only be called from vcl_recv");
            return 503;
        }
        let Some(tunnel) = call.tunnel() else { return 503 };
        if let Some(status) = call.answered(|answered| answered.answer().status()) {
            // The body is gone: what became of it stands.
            return status.into();
        }
        let answered = Answered::new(Arc::clone(tunnel), tunnel.accept(call.ctx));
        let status = answered.answer().status();
        if STATES.task(call.ctx, TaskState::default, |task| task.keep_answer(answered)).is_none() {
            call.misused("out of workspace, the answer is not kept");
        }
        status.into()
    };

    "sentry.tunnel.path()": vmod_tunnel_path(n: i64) -> *const c_char = std::ptr::null(), |call: Call<'_>, n| {
        let path = call.tunnel().and_then(|tunnel| tunnel.path(n));
        path.map_or(std::ptr::null(), |path| call.copied(path.as_bytes()))
    };

    "sentry.tunnel.result()": vmod_tunnel_result() -> *const c_char = std::ptr::null(), |call: Call<'_>| {
        let result = call.answered(|answered| answered.answer().result());
        result.map_or(std::ptr::null(), |result| call.copied(result.as_bytes()))
    };

    "sentry.tunnel.response()": vmod_tunnel_response() -> *const c_char = std::ptr::null(), |call: Call<'_>| {
        // It lives until the task ends.
        call.answered(|answered| answered.text().as_ptr()).unwrap_or(std::ptr::null())
    };

    "sentry.tunnel.body()": vmod_tunnel_body() -> *const VrtBlob = no_blob(), |call: Call<'_>| {
        // SAFETY: the task keeps the answer until it ends, and changes nothing of it.
        let blob = call.answered(|answered| unsafe { call.ctx.blob(answered.body()) });
        match blob {
            None => no_blob(),
            Some(blob) if blob.is_null() => {
                call.misused("out of workspace");
                no_blob()
            }
            Some(blob) => blob,
        }
    };

    "sentry.tunnel.content_type()": vmod_tunnel_content_type() -> *const c_char = std::ptr::null(), |call: Call<'_>| {
        let kind = call.answered(|answered| answered.answer().content_type());
        kind.map_or(std::ptr::null(), |kind| call.copied(kind.as_bytes()))
    };

    "sentry.tunnel.rate_limits()": vmod_tunnel_rate_limits() -> *const c_char = std::ptr::null(), |call: Call<'_>| {
        let limits = call.answered(Answered::rate_limits).flatten();
        limits.map_or(std::ptr::null(), |limits| call.copied(limits.as_bytes()))
    };

    "sentry.tunnel.count()": vmod_tunnel_count() -> *const c_char = std::ptr::null(), |call: Call<'_>| {
        call.tunnel().map_or(std::ptr::null(), |tunnel| call.lent(tunnel.count()))
    };

    "sentry.tunnel.healthy()": vmod_tunnel_healthy() -> u32 = 0, |call: Call<'_>| {
        u32::from(call.tunnel().is_some_and(|tunnel| tunnel.is_healthy()))
    };

    "sentry.tunnel.flush()": vmod_tunnel_flush(timeout: f64) -> u32 = 0, |call: Call<'_>, timeout| {
        u32::from(call.tunnel().is_some_and(|tunnel| tunnel.flush(flush_time(timeout))))
    };

    "sentry.tunnel.status()": vmod_tunnel_status() -> *const c_char = std::ptr::null(), |call: Call<'_>| {
        let status = call.tunnel.made().map(|tunnel| tunnel.status(Instant::now())).unwrap_or_default();
        call.lent(format!("[{status}]"))
    };
}
