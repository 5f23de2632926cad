// SPDX-License-Identifier: BSD-2-Clause
//! The settings that init() and client() have in common, as C passes them.

use report::lifecycle::Lifecycle;
use report::privacy::PrivacyArguments;
use report::settings::{Arguments, path};
use report::task_log::LogForm;
use report::way::WayArguments;
use shim::VclString;

use crate::client::VclArguments;

/// The default of init()'s *sample_rate*.
const NOT_GIVEN: f64 = -1.0;

/// Hands the list of settings, in the order of vmod.vcc, to another macro: the only place where it is written.
macro_rules! with_settings {
    ($macro:ident! { $($before:tt)* }) => {
        $macro! { $($before)*
            dsn: VclString<'t>,
            dsn_file: VclString<'t>,
            environment: VclString<'t>,
            release: VclString<'t>,
            server_name: VclString<'t>,
            throttle: i64,
            window: f64,
            max_rate: i64,
            sample_rate: f64,
            send_default_pii: u32,
            max_request_body: i64,
            anonymize_ip: u32,
            allowed_only: u32,
            allow_headers: VclString<'t>,
            deny_headers: VclString<'t>,
            allow_keys: VclString<'t>,
            deny_keys: VclString<'t>,
            queue: i64,
            queue_bytes: i64,
            connections: i64,
            max_interval: f64,
            connect_timeout: f64,
            timeout: f64,
            shutdown_timeout: f64,
            spool: VclString<'t>,
            spool_bytes: i64,
            spool_age: f64,
            ca_file: VclString<'t>,
            proxy: VclString<'t>,
            client_cert: VclString<'t>,
            client_key: VclString<'t>,
            unix_socket: VclString<'t>,
            debug: u32,
            spotlight: VclString<'t>,
            lifecycle: VclString<'t>,
            state_dir: VclString<'t>,
            vsl: VclString<'t>
        }
    };
}
pub(crate) use with_settings;

macro_rules! declare {
    ($($setting:ident: $type:ty),*) => {
        /// The settings of one call.
        #[derive(Clone, Copy)]
        pub struct Given<'t> {
            $(pub $setting: $type),*
        }
    };
}
with_settings!(declare! {});

impl<'t> Given<'t> {
    /// The settings of the client `name`, texts checked to be UTF-8; the problem reads well after the name of the call.
    pub fn checked(self, name: &str, is_default: bool) -> Result<VclArguments<'t>, String> {
        let lifecycle = Lifecycle::parse(text("lifecycle", self.lifecycle)?).map_err(|error| error.to_string())?;
        let state_dir = path("state_dir", text("state_dir", self.state_dir)?).map_err(|error| error.to_string())?;
        let spool = path("spool", text("spool", self.spool)?).map_err(|error| error.to_string())?;
        // VCL cannot leave a number unset: init() has a default that is no share.
        let sample_rate = Some(self.sample_rate).filter(|share| !is_default || *share != NOT_GIVEN);
        Ok(VclArguments {
            dsn: text("dsn", self.dsn)?,
            dsn_file: text("dsn_file", self.dsn_file)?,
            environment: text("environment", self.environment)?,
            release: text("release", self.release)?,
            server_name: text("server_name", self.server_name)?,
            spotlight: text("spotlight", self.spotlight)?,
            sample_rate,
            way: WayArguments {
                ca_file: text("ca_file", self.ca_file)?,
                proxy: text("proxy", self.proxy)?,
                client_cert: text("client_cert", self.client_cert)?,
                client_key: text("client_key", self.client_key)?,
                unix_socket: text("unix_socket", self.unix_socket)?,
            },
            privacy: PrivacyArguments {
                anonymize_ip: self.anonymize_ip != 0,
                allowed_only: self.allowed_only != 0,
                allow_headers: text("allow_headers", self.allow_headers)?,
                deny_headers: text("deny_headers", self.deny_headers)?,
                allow_keys: text("allow_keys", self.allow_keys)?,
                deny_keys: text("deny_keys", self.deny_keys)?,
            },
            is_default,
            others: Arguments {
                name: name.to_owned(),
                throttle: self.throttle,
                window: self.window,
                max_rate: self.max_rate,
                send_default_pii: self.send_default_pii != 0,
                max_request_body: self.max_request_body,
                queue: self.queue,
                queue_bytes: self.queue_bytes,
                connections: self.connections,
                max_interval: self.max_interval,
                connect_timeout: self.connect_timeout,
                timeout: self.timeout,
                shutdown_timeout: self.shutdown_timeout,
                spool,
                spool_bytes: self.spool_bytes,
                spool_age: self.spool_age,
                debug: self.debug != 0,
                // VCC lets no other word through.
                vsl: self.vsl.bytes().and_then(LogForm::from_name).unwrap_or_default(),
                lifecycle,
                state_dir,
                ..Arguments::default()
            },
        })
    }
}

/// An argument as text; one that is unset is empty.
pub fn text<'t>(name: &str, given: VclString<'t>) -> Result<&'t str, String> {
    given.text().map_err(|_| format!("{name} is not UTF-8"))
}
