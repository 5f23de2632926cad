// SPDX-License-Identifier: BSD-2-Clause
//! A tunnel as a VCL has it: what vcl_init has said of it. The tunnel proper is made when the VCL becomes warm for the first time, or at its first flush: a load that fails makes none.

use std::sync::{Arc, OnceLock};

use event::rules::ignore::{Expressions, RuleError};
use parking_lot::Mutex;
use settings::tunnel::{TunnelSection, TunnelSections, TunnelSettings};

use super::core::{Lease, Tunnel, lease};

/// A tunnel of a VCL.
pub struct VclTunnel {
    name: String,
    section: TunnelSection,
    said: Mutex<TunnelSections>,
    lease: OnceLock<Lease>,
}

/// Why something is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    Twice,
    /// It is made already.
    Late,
}

impl VclTunnel {
    pub fn new(name: &str, section: TunnelSection) -> VclTunnel {
        VclTunnel { name: name.to_owned(), section, said: Mutex::default(), lease: OnceLock::new() }
    }

    /// What it calls itself in counters, log and status.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Takes a section in the place that `slot` finds for it: once, and only before the tunnel is made.
    pub fn say<T>(&self, section: T, slot: impl FnOnce(&mut TunnelSections) -> &mut Option<T>) -> Result<(), Refused> {
        let mut said = self.said.lock();
        if self.lease.get().is_some() {
            return Err(Refused::Late);
        }
        match slot(&mut said) {
            Some(_) => Err(Refused::Twice),
            empty => {
                *empty = Some(section);
                Ok(())
            }
        }
    }

    /// Adds what is ignored; `None` if the tunnel is made already.
    pub fn ignore(&self, expressions: &Expressions<'_>, builtin: bool) -> Option<Result<(), RuleError>> {
        let mut said = self.said.lock();
        self.lease.get().is_none().then(|| said.ignored.add(expressions, builtin))
    }

    /// The tunnel proper, if it is made.
    pub fn made(&self) -> Option<&Arc<Tunnel>> {
        self.lease.get().map(Lease::member)
    }

    /// The tunnel proper, made if it is not. Nothing in it can fail: all was checked when it was said.
    pub fn make(&self) -> &Arc<Tunnel> {
        let settings = || TunnelSettings::new(&self.name, self.section.clone(), self.said.lock().clone());
        self.lease.get_or_init(|| lease(settings())).member()
    }
}
