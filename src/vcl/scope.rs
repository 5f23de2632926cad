// SPDX-License-Identifier: BSD-2-Clause
//! `set_tag()` and the like, `add_breadcrumb()`.

use std::time::SystemTime;

use event::capture::scope::{Scope, ScopeFull};
use shim::state::VmodPriv;
use shim::{VclString, VrtCtx};

use super::call::{Call, Object, entries, function, level_of, method};
use crate::task;

entries!("sentry.set_tag()": vmod_set_tag, vmod_client_set_tag(
    key: VclString<'_>, value: VclString<'_>
) -> () = (), |call: Call<'_>, key, value: VclString<'_>| {
    if let Some(key) = call.needed("key", key) {
        change(call, |scope| scope.set_tag(key, value.bytes().unwrap_or_default()));
    }
});

entries!("sentry.set_extra()": vmod_set_extra, vmod_client_set_extra(
    key: VclString<'_>, value: VclString<'_>
) -> () = (), |call: Call<'_>, key, value: VclString<'_>| {
    if let Some(key) = call.needed("key", key) {
        change(call, |scope| scope.set_extra(key, value.bytes().unwrap_or_default()));
    }
});

entries!("sentry.set_user()": vmod_set_user, vmod_client_set_user(
    id: VclString<'_>, email: VclString<'_>, username: VclString<'_>, ip_address: VclString<'_>
) -> () = (), |call: Call<'_>, id, email, username, ip_address| {
    let all: [(&[u8], VclString<'_>); 4] =
        [(b"id", id), (b"email", email), (b"username", username), (b"ip_address", ip_address)];
    for (attribute, value) in all {
        if let Some(value) = value.bytes().filter(|value| !value.is_empty()) {
            change(call, |scope| scope.set_user(attribute, value));
        }
    }
});

entries!("sentry.set_context()": vmod_set_context, vmod_client_set_context(
    name: VclString<'_>, key: VclString<'_>, value: VclString<'_>
) -> () = (), |call: Call<'_>, name, key, value: VclString<'_>| {
    if let Some(name) = call.needed("name", name)
        && let Some(key) = call.needed("key", key)
    {
        change(call, |scope| scope.set_context(name, key, value.bytes().unwrap_or_default()));
    }
});

entries!("sentry.set_level()": vmod_set_level, vmod_client_set_level(
    level: VclString<'_>
) -> () = (), |call: Call<'_>, level| {
    let level = level_of(level);
    change(call, |scope| {
        scope.set_level(level);
        Ok(())
    });
});

entries!("sentry.set_fingerprint()": vmod_set_fingerprint, vmod_client_set_fingerprint(
    fingerprint: VclString<'_>, p2: VclString<'_>, p3: VclString<'_>, p4: VclString<'_>
) -> () = (), |call: Call<'_>, fingerprint, p2: VclString<'_>, p3: VclString<'_>, p4: VclString<'_>| {
    if let Some(fingerprint) = call.needed("fingerprint", fingerprint) {
        let [p2, p3, p4] = [p2, p3, p4].map(|part| part.bytes().unwrap_or_default());
        change(call, |scope| scope.set_fingerprint(&[fingerprint, p2, p3, p4]));
    }
});

entries!("sentry.set_transaction()": vmod_set_transaction, vmod_client_set_transaction(
    name: VclString<'_>
) -> () = (), |call: Call<'_>, name| {
    if let Some(name) = call.needed("name", name) {
        change(call, |scope| scope.set_transaction(name));
    }
});

entries!("sentry.add_breadcrumb()": vmod_add_breadcrumb, vmod_client_add_breadcrumb(
    message: VclString<'_>, category: VclString<'_>, level: VclString<'_>
) -> () = (), |call: Call<'_>, message, category: VclString<'_>, level| {
    if let Some(message) = call.needed("message", message) {
        let (at, category) = (SystemTime::now(), category.bytes().unwrap_or_default());
        let level = level_of(level);
        change(call, |scope| scope.add_breadcrumb(at, level, category, message));
    }
});

fn change(call: Call<'_>, set: impl Fn(&mut Scope) -> Result<(), ScopeFull>) {
    task::change(call.ctx, call.audience, call.name, set);
}
