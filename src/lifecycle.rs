// SPDX-License-Identifier: BSD-2-Clause
//! What clients report by themselves: VCLs that come and go, a child that starts, one that died before.
//!
//! All of it on the CLI thread, but the exit handler, which may run on any.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};
use std::time::{Instant, SystemTime};

use delivery::settings::DsnSource;
use event::capture::level::Level;
use event::lifecycle::marker::{Child, Death, place, unusable};
use parking_lot::Mutex;
use settings::sections::Settings;
use shim::Ctx;
use shim::ctx::at_exit;
use shim::guard::enter_bare;

use crate::captures::{Subject, capture};
use crate::client::{VclClient, VclState};
use crate::task::Audience;

static TOLD: Mutex<Told> = Mutex::new(Told { places: Vec::new(), starts: Vec::new(), deaths: Vec::new() });
static AT_EXIT: Once = Once::new();

/// What has been looked at and told in this process: several VCLs may have clients of one project.
struct Told {
    /// Markers of this child, and what was found in their place.
    places: Vec<(PathBuf, Option<Death>)>,
    /// Whom the child's start was told, and whom the death before it.
    starts: Vec<Project>,
    deaths: Vec<Project>,
}

/// Where a client's events go; clients without a DSN differ by their names.
type Project = (String, DsnSource);

fn project(settings: &Settings) -> Project {
    (settings.name.clone(), settings.client.dsn.clone())
}

/// At each warm-up of a VCL, the first of which completes its load.
pub fn warm(ctx: Ctx<'_>, vcl: &VclState) {
    let is_first = vcl.first_warm_up();
    let now = Instant::now();
    for client in vcl.clients() {
        let Some(settings) = client.made().map(|core| core.settings()) else { continue };
        let wanted = settings.lifecycle.events;
        if !wanted.is_any() {
            continue;
        }
        // First what was before.
        if wanted.death {
            watch(ctx, &client, settings, now);
        }
        // The VCLs that a child has when it starts are part of its start: they were loaded before.
        match is_serving() {
            Some(false) if wanted.start && is_new(&mut TOLD.lock().starts, settings) => {
                let pid = std::process::id().to_string();
                tell(ctx, &client, Level::Info, b"varnishd child {1} started", &[&pid]);
            }
            Some(true) if wanted.vcl && is_first => {
                tell(ctx, &client, Level::Info, b"VCL {1} loaded", &[ctx.facts().vcl]);
            }
            _ => {}
        }
    }
}

/// When a VCL is discarded, or its load has failed.
pub fn discard(ctx: Ctx<'_>, vcl: &VclState) {
    if !vcl.was_warm() {
        return;
    }
    for client in vcl.clients() {
        if client.made().is_some_and(|core| core.settings().lifecycle.events.vcl) {
            tell(ctx, &client, Level::Info, b"VCL {1} discarded", &[ctx.facts().vcl]);
        }
    }
}

/// Marks that this child runs, and tells of the one before if that could not take its own marker away.
fn watch(ctx: Ctx<'_>, client: &Arc<VclClient>, settings: &Settings, now: Instant) {
    let Some(core) = client.made() else { return };
    let Some(folder) = &settings.lifecycle.state_dir else {
        core.watches_deaths(Err("lifecycle has death, but there is no state_dir".to_owned()), now);
        return;
    };
    match mark(folder, ctx.identity()) {
        Ok(death) => {
            core.watches_deaths(Ok(()), now);
            if let Some(death) = death
                && is_new(&mut TOLD.lock().deaths, settings)
            {
                let age = SystemTime::now().duration_since(death.started).unwrap_or_default().as_secs().to_string();
                let message = b"varnishd child {1} died, it had run for at most {2} s";
                tell(ctx, client, Level::Fatal, message, &[&death.pid.to_string(), &age]);
            }
        }
        Err(error) => core.watches_deaths(Err(unusable(folder, &error)), now),
    }
}

/// Marks in `folder` that this child runs, once; the death that a marker found there tells of.
fn mark(folder: &Path, identity: &str) -> std::io::Result<Option<Death>> {
    let workdir = std::env::current_dir()?;
    let place = place(folder, identity, &workdir);
    let mut told = TOLD.lock();
    if let Some((_, death)) = told.places.iter().find(|(other, _)| *other == place) {
        return Ok(*death);
    }
    let death = this_child().mark(&place)?;
    told.places.push((place, death));
    // Without it every end would look like a death: then none is told, for nothing marks this child.
    AT_EXIT.call_once(|| {
        if !at_exit(leave) {
            unmark(&mut told);
        }
    });
    Ok(death)
}

fn this_child() -> Child {
    Child::new(Path::new("/proc"), std::process::id(), std::os::unix::process::parent_id(), SystemTime::now())
}

/// At exit(3): the child ends as it should. A kill, a panic of the cache, or a segfault does not come here.
extern "C" fn leave() {
    enter_bare("sentry", (), || unmark(&mut TOLD.lock()));
}

fn unmark(told: &mut Told) {
    let child = this_child();
    told.places.iter().for_each(|(place, _)| child.unmark(place));
}

/// Whether it is the first time for this project.
fn is_new(told: &mut Vec<Project>, settings: &Settings) -> bool {
    let project = project(settings);
    let is_new = !told.contains(&project);
    if is_new {
        told.push(project);
    }
    is_new
}

fn tell(ctx: Ctx<'_>, client: &Arc<VclClient>, level: Level, text: &[u8], params: &[&str]) {
    let mut params = params.iter().map(|param| Some(param.as_bytes()));
    let params = [(); 4].map(|()| params.next().flatten());
    // What becomes of it is in the counters.
    let _ = capture(ctx, client, Audience::One(client), Subject::Message { text, params }, level, None);
}

/// Whether the manager has told this child to serve, which it does after it has given it the VCLs that there
/// are: one of the server's threads is named after that on all of them. `None` if threads have no names here.
fn is_serving() -> Option<bool> {
    let threads = std::fs::read_dir("/proc/self/task").ok()?;
    let names: Vec<_> = threads.flatten().filter_map(|thread| std::fs::read(thread.path().join("comm")).ok()).collect();
    (!names.is_empty()).then(|| names.iter().any(|name| name.trim_ascii_end() == b"cache-acceptor"))
}
