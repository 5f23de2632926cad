// SPDX-License-Identifier: BSD-2-Clause
//! What the process has by its settings: a reload with the same ones finds the same member.
//!
//! A VCL holds a [`Lease`]. The last one to end closes the member, which then drains in the background; nobody waits for it but exit(3). One lock, held only to
//! look and to count, and to make what is new.

use std::sync::Arc;

use delivery::client::Client;
use parking_lot::Mutex;

use super::exit::watch;

/// What sends by a client of its own.
pub trait Member {
    fn delivery(&self) -> &Arc<Client>;
}

/// All with settings of one kind.
pub struct Registry<S: 'static, M: 'static>(Mutex<Vec<Leased<S, M>>>);

struct Leased<S, M> {
    settings: S,
    member: Arc<M>,
    leases: usize,
}

/// A VCL's hold on a member.
pub struct Lease<S: 'static, M: Member + 'static> {
    registry: &'static Registry<S, M>,
    member: Arc<M>,
}

impl<S: PartialEq, M: Member> Registry<S, M> {
    pub const fn new() -> Registry<S, M> {
        Registry(Mutex::new(Vec::new()))
    }

    /// The member with these settings, made if there is none.
    pub fn lease(&'static self, settings: S, make: impl FnOnce(&S) -> M) -> Lease<S, M> {
        let mut members = self.0.lock();
        if let Some(found) = members.iter_mut().find(|leased| leased.settings == settings) {
            found.leases += 1;
            return Lease { registry: self, member: Arc::clone(&found.member) };
        }
        let member = Arc::new(make(&settings));
        watch(member.delivery());
        members.push(Leased { settings, member: Arc::clone(&member), leases: 1 });
        Lease { registry: self, member }
    }
}

impl<S, M: Member> Lease<S, M> {
    pub fn member(&self) -> &Arc<M> {
        &self.member
    }
}

impl<S, M: Member> Drop for Lease<S, M> {
    fn drop(&mut self) {
        let mut members = self.registry.0.lock();
        let Some(at) = members.iter().position(|leased| Arc::ptr_eq(&leased.member, &self.member)) else { return };
        if let Some(leased) = members.get_mut(at) {
            leased.leases -= 1;
            if leased.leases > 0 {
                return;
            }
        }
        let last = members.swap_remove(at);
        drop(members);
        last.member.delivery().close();
    }
}
