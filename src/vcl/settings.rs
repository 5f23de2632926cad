// SPDX-License-Identifier: BSD-2-Clause
//! The settings by section: `init()`, `new … = client()`, and what is said of a client after that.

use delivery::connection::way::WayArguments;
use delivery::settings::Server;
use event::capture::task_log::LogForm;
use event::lifecycle::settings::Lifecycle;
use privacy::settings::PrivacyArguments;
use settings::client::{ClientArguments, ClientSection, name};
use settings::copies::Copies;
use settings::path::path;
use settings::privacy::PrivacySettings;
use settings::sections::{LifecycleSettings, Sections};
use settings::server::ServerArguments;
use settings::traces::TraceSettings;
use settings::waiting;
use shim::guard::enter_bare;
use shim::state::VmodPriv;
use shim::{VclString, VrtCtx};

use super::call::{Call, Object, entries, function, method, text};
use crate::task::Audience;

/// The default of init()'s *sample_rate*: VCL cannot leave a number unset.
const NOT_GIVEN: f64 = -1.0;

/// What init() and client() have in common.
struct Given<'t> {
    dsn: VclString<'t>,
    dsn_file: VclString<'t>,
    environment: VclString<'t>,
    release: VclString<'t>,
    server_name: VclString<'t>,
    throttle: i64,
    window: f64,
    max_rate: i64,
    sample_rate: Option<f64>,
    send_client_reports: u32,
    debug: u32,
}

impl Given<'_> {
    fn checked(self) -> Result<ClientSection, String> {
        let arguments = ClientArguments {
            dsn: text("dsn", self.dsn)?,
            dsn_file: text("dsn_file", self.dsn_file)?,
            environment: text("environment", self.environment)?,
            release: text("release", self.release)?,
            server_name: text("server_name", self.server_name)?,
            throttle: self.throttle,
            window: self.window,
            max_rate: self.max_rate,
            sample_rate: self.sample_rate,
            send_client_reports: self.send_client_reports != 0,
            debug: self.debug != 0,
        };
        ClientSection::new(&arguments).map_err(|error| error.to_string())
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn vmod_init<'t>(
    ctx: *const VrtCtx,
    vcl: *const VmodPriv,
    dsn: VclString<'t>,
    dsn_file: VclString<'t>,
    name: VclString<'t>,
    environment: VclString<'t>,
    release: VclString<'t>,
    server_name: VclString<'t>,
    throttle: i64,
    window: f64,
    max_rate: i64,
    sample_rate: f64,
    send_client_reports: u32,
    debug: u32,
) {
    let sample_rate = Some(sample_rate).filter(|share| *share != NOT_GIVEN);
    let given = Given {
        dsn,
        dsn_file,
        environment,
        release,
        server_name,
        throttle,
        window,
        max_rate,
        sample_rate,
        send_client_reports,
        debug,
    };
    // SAFETY: the server passes its context and the VCL's own private.
    unsafe { function(ctx, vcl, "sentry.init()", (), |call| init(call, name, given)) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn vmod_client__init<'t>(
    ctx: *const VrtCtx,
    object: *mut *mut Object,
    name: VclString<'t>,
    vcl: *const VmodPriv,
    dsn: VclString<'t>,
    dsn_file: VclString<'t>,
    environment: VclString<'t>,
    release: VclString<'t>,
    server_name: VclString<'t>,
    throttle: i64,
    window: f64,
    max_rate: i64,
    sample_rate: f64,
    send_client_reports: u32,
    debug: u32,
) {
    let given = Given {
        dsn,
        dsn_file,
        environment,
        release,
        server_name,
        throttle,
        window,
        max_rate,
        sample_rate: Some(sample_rate),
        send_client_reports,
        debug,
    };
    let body = |call: Call<'_>| {
        // SAFETY: the VCC compiler passes the address of the object's variable, which nobody else has yet.
        client(call, unsafe { object.as_mut() }, name, given);
    };
    // SAFETY: the server passes its context and the VCL's own private.
    unsafe { function(ctx, vcl, "sentry.client()", (), body) }
}

fn init(call: Call<'_>, given_name: VclString<'_>, given: Given<'_>) {
    let checked = || {
        let name = name(text("name", given_name)?).map_err(|error| error.to_string())?;
        Ok((name, given.checked()?))
    };
    if let Some((name, section)) = checked_in_vcl_init(call, checked)
        && taken(call, section, |sections| &mut sections.client)
    {
        call.client().rename(name);
    }
}

fn client(call: Call<'_>, object: Option<&mut *mut Object>, name: VclString<'_>, given: Given<'_>) {
    let (Audience::All(vcl), Some(object)) = (call.audience, object) else { return };
    match given.checked() {
        Ok(section) => {
            let client = vcl.add(name.text().unwrap_or_default(), section);
            *object = Box::into_raw(Box::new(Object { client }));
        }
        Err(problem) => call.fail(&problem),
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn vmod_client__fini(object: *mut *mut Object) {
    enter_bare("sentry.client()", (), || {
        // SAFETY: the VCC compiler passes the address of the object's variable, for the last time.
        let gone = std::mem::replace(unsafe { &mut *object }, std::ptr::null_mut());
        if !gone.is_null() {
            // SAFETY: made by Box::into_raw in vmod_client__init, and the variable was just cleared.
            drop(unsafe { Box::from_raw(gone) });
        }
    });
}

entries!("sentry.privacy()": vmod_privacy, vmod_client_privacy(
    send_default_pii: u32, anonymize_ip: u32, allowed_only: u32, allow_headers: VclString<'_>,
    deny_headers: VclString<'_>, allow_keys: VclString<'_>, deny_keys: VclString<'_>, max_request_body: i64
) -> () = (), |call: Call<'_>, send_default_pii, anonymize_ip, allowed_only, allow_headers, deny_headers, allow_keys,
    deny_keys, max_request_body| {
    let checked = || {
        let names = PrivacyArguments {
            anonymize_ip: anonymize_ip != 0,
            allowed_only: allowed_only != 0,
            allow_headers: text("allow_headers", allow_headers)?,
            deny_headers: text("deny_headers", deny_headers)?,
            allow_keys: text("allow_keys", allow_keys)?,
            deny_keys: text("deny_keys", deny_keys)?,
        };
        PrivacySettings::new(send_default_pii != 0, &names, max_request_body).map_err(|error| error.to_string())
    };
    let Some(privacy) = checked_in_vcl_init(call, checked) else { return };
    let Audience::All(vcl) = call.audience else {
        taken(call, privacy, |sections| &mut sections.privacy);
        return;
    };
    if let Err(refusal) = vcl.say_privacy(privacy) {
        call.fail(&refusal.to_string());
    }
});

entries!("sentry.server()": vmod_server, vmod_client_server(
    connections: i64, connect_timeout: f64, timeout: f64, max_interval: f64, shutdown_timeout: f64,
    ca_file: VclString<'_>, client_cert: VclString<'_>, client_key: VclString<'_>, proxy: VclString<'_>,
    unix_socket: VclString<'_>
) -> () = (), |call: Call<'_>, connections, connect_timeout, timeout, max_interval, shutdown_timeout, ca_file,
    client_cert, client_key, proxy, unix_socket| {
    section(call, |sections| &mut sections.server, || {
        let way = Way { ca_file, client_cert, client_key, proxy, unix_socket };
        server(way, |way| ServerArguments { connections, connect_timeout, timeout, max_interval, shutdown_timeout, way })
    });
});

/// The texts of server().
pub struct Way<'t> {
    pub ca_file: VclString<'t>,
    pub client_cert: VclString<'t>,
    pub client_key: VclString<'t>,
    pub proxy: VclString<'t>,
    pub unix_socket: VclString<'t>,
}

/// What server() says, checked.
pub fn server<'t>(
    way: Way<'t>,
    arguments: impl FnOnce(WayArguments<'t>) -> ServerArguments<'t>,
) -> Result<Server, String> {
    let way = WayArguments {
        ca_file: text("ca_file", way.ca_file)?,
        proxy: text("proxy", way.proxy)?,
        client_cert: text("client_cert", way.client_cert)?,
        client_key: text("client_key", way.client_key)?,
        unix_socket: text("unix_socket", way.unix_socket)?,
    };
    arguments(way).checked().map_err(|error| error.to_string())
}

entries!("sentry.queue()": vmod_queue, vmod_client_queue(
    events: i64, bytes: i64
) -> () = (), |call: Call<'_>, events, bytes| {
    section(call, |sections| &mut sections.queue, || {
        waiting::queue(events, bytes).map_err(|error| error.to_string())
    });
});

entries!("sentry.spool()": vmod_spool, vmod_client_spool(
    folder: VclString<'_>, bytes: i64, age: f64
) -> () = (), |call: Call<'_>, folder, bytes, age| {
    section(call, |sections| &mut sections.spool, || {
        waiting::spool(text("folder", folder)?, bytes, age).map_err(|error| error.to_string())
    });
});

entries!("sentry.traces()": vmod_traces, vmod_client_traces(
    org_id: VclString<'_>, strict: u32
) -> () = (), |call: Call<'_>, org_id, strict| {
    section(call, |sections| &mut sections.traces, || {
        TraceSettings::new(text("org_id", org_id)?, strict != 0).map_err(|error| error.to_string())
    });
});

entries!("sentry.task_log()": vmod_task_log, vmod_client_task_log(
    form: VclString<'_>
) -> () = (), |call: Call<'_>, form: VclString<'_>| {
    // VCC lets no other word through.
    let form = form.bytes().and_then(LogForm::from_name).unwrap_or_default();
    section(call, |sections| &mut sections.task_log, || Ok(form));
});

entries!("sentry.lifecycle()": vmod_lifecycle, vmod_client_lifecycle(
    events: VclString<'_>, state_dir: VclString<'_>
) -> () = (), |call: Call<'_>, events, state_dir| {
    section(call, |sections| &mut sections.lifecycle, || {
        let events = Lifecycle::parse(text("events", events)?).map_err(|error| error.to_string())?;
        let state_dir = path("state_dir", text("state_dir", state_dir)?).map_err(|error| error.to_string())?;
        Ok(LifecycleSettings { events, state_dir })
    });
});

entries!("sentry.spotlight()": vmod_spotlight, vmod_client_spotlight(
    url: VclString<'_>
) -> () = (), |call: Call<'_>, url| {
    section(call, |sections| &mut sections.spotlight, || {
        Copies::new(text("url", url)?).map_err(|error| error.to_string())
    });
});

/// Takes a section for the client that the call is for, or fails the load.
fn section<T>(
    call: Call<'_>,
    slot: impl FnOnce(&mut Sections) -> &mut Option<T>,
    checked: impl FnOnce() -> Result<T, String>,
) {
    if let Some(section) = checked_in_vcl_init(call, checked) {
        taken(call, section, slot);
    }
}

/// What the call says; `None` if it is not for vcl_init to say, or cannot be meant, which fails the load.
fn checked_in_vcl_init<T>(call: Call<'_>, checked: impl FnOnce() -> Result<T, String>) -> Option<T> {
    if !call.is_in_vcl_init() {
        return None;
    }
    checked().inspect_err(|problem| call.fail(problem)).ok()
}

/// Whether the client takes the section; otherwise the load fails.
fn taken<T>(call: Call<'_>, section: T, slot: impl FnOnce(&mut Sections) -> &mut Option<T>) -> bool {
    call.client().say(section, slot).inspect_err(|refusal| call.fail(&refusal.to_string())).is_ok()
}
