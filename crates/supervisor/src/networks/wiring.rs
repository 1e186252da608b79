//! A container's place on its networks while it runs: its links, and all that it has in the firewall.
//!
//! | when | in this order |
//! |---|---|
//! | before the birth | the host's ports are taken ([`ports`](super::ports)) |
//! | at the birth, before the program | links are attached; `STATE/published/ID` says what is published, if anything is; *one* message puts senders and ports into the firewall |
//! | connect | the link is attached; then what changes in the firewall |
//! | disconnect | the link goes; ports that led there lead to another address of the container's, or nowhere |
//! | at the end, before who waits knows | ports go out of the firewall; the ports are given back; the file goes |
//!
//! No descriptor keeps the network namespace: it is opened by its first program's number when it is needed, which is
//! nobody else's before we have waited for it.

use std::net::IpAddr;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

use bulkhead_isolation::{Error, Result, Step};
use bulkhead_network::endpoint::{self, Endpoint};
use bulkhead_network::firewall::{self, Presence, Sender};
use bulkhead_network::{bridge, conntrack};
use bulkhead_sys::fail;
use rustix::fs::fstat;

use super::leading::{Leading, Targets, covers_loopback4, covers_loopback6, lead};
use super::ports::{self, Lease};
use super::proxy::Proxy;
use super::published::{self, Lock, Published};
use super::{Membership, Publish, STEP};
use crate::protocol::Start;
use crate::status::ProcessId;

/// All of it. Dropped, it is withdrawn.
pub(crate) struct Wiring {
    /// The container, in messages: its full ID, and its name.
    id: String,
    name: String,
    /// Its folder on disk.
    container: String,
    /// `STATE/published`.
    folder: PathBuf,
    /// The networks that it is on, in the order in which it came to them.
    pub(crate) memberships: Vec<Membership>,
    leases: Vec<Lease>,
    /// What its links are let through with. These elements stay when the links are gone: a link's name follows from them, so
    /// that they never let another through, and a later command removes those without a link, many at once. (Whoever closes
    /// a socket of nf_tables right after something was taken out waits for a grace period.)
    senders: Vec<Sender>,
    /// What `STATE/published/ID` says, if there is one of ours.
    said: Option<Published>,
    /// Its network namespace: device and inode.
    pub(super) namespace: (u64, u64),
    /// What the kernel cannot lead to it.
    pub(crate) proxy: Proxy,
}

impl Wiring {
    /// Takes the host's ports, before anything of the container exists.
    pub(crate) fn prepare(start: &mut Start) -> Result<Wiring> {
        let folder = Path::new(&start.published).parent().map(Path::to_owned).unwrap_or_default();
        let who = (start.identity.id.as_str(), start.identity.name.as_str(), start.folder.as_str());
        Wiring::new(who, folder, std::mem::take(&mut start.networks), &std::mem::take(&mut start.publish))
    }

    pub(super) fn new(
        (id, name, container): (&str, &str, &str),
        folder: PathBuf,
        memberships: Vec<Membership>,
        publish: &[Publish],
    ) -> Result<Wiring> {
        let leases = ports::take(publish, &folder)?;
        Ok(Wiring {
            id: id.to_owned(),
            name: name.to_owned(),
            container: container.to_owned(),
            folder,
            memberships,
            leases,
            senders: Vec::new(),
            said: None,
            namespace: (0, 0),
            proxy: Proxy::default(),
        })
    }

    /// Connects the new network namespace: a loopback link, and whatever networks it is on.
    pub(crate) fn connect_newborn(&mut self, namespace: BorrowedFd<'_>) -> Result<()> {
        self.namespace = identity_of(namespace)?;
        if self.memberships.is_empty() {
            endpoint::loopback_up(namespace).map_err(failed)?;
        }
        for network in &self.memberships {
            endpoint::attach(namespace, &network.endpoint).map_err(failed)?;
        }
        fail::point("connect: newborn attached");
        self.settle()
    }

    /// It is on one more network, or on none more.
    pub(super) fn join(&mut self, namespace: BorrowedFd<'_>, membership: Membership) -> Result<()> {
        endpoint::attach(namespace, &membership.endpoint).map_err(failed)?;
        fail::point("connect: attached");
        self.memberships.push(membership);
        let settled = self.settle();
        if settled.is_err()
            && let Some(membership) = self.memberships.pop()
        {
            // The error that led here is the one to tell.
            let _ = endpoint::detach(namespace, &membership.endpoint);
        }
        settled
    }

    /// It is on that network as before, and everything else goes out by other gateways of it.
    pub(super) fn turn(&mut self, namespace: BorrowedFd<'_>, at: usize, endpoint: Endpoint) -> Result<()> {
        endpoint::route_by(namespace, &endpoint).map_err(failed)?;
        fail::point("connect: routed");
        // Nothing goes out by the others' any more, and ports follow.
        let turned =
            |gateway: &IpAddr| endpoint.gateways.iter().any(|new| new.is_ipv6() == gateway.is_ipv6());
        for membership in &mut self.memberships {
            membership.endpoint.gateways.retain(|gateway| !turned(gateway));
        }
        if let Some(membership) = self.memberships.get_mut(at) {
            membership.endpoint = endpoint;
        }
        self.settle()
    }

    /// It is no longer on that network.
    pub(super) fn leave(&mut self, namespace: BorrowedFd<'_>, at: usize) -> Result<()> {
        let Some(membership) = self.memberships.get(at) else { return Ok(()) };
        endpoint::detach(namespace, &membership.endpoint).map_err(failed)?;
        fail::point("disconnect: detached");
        self.memberships.remove(at);
        self.settle()
    }

    /// It is called something else; whoever wants one of its ports is told that name.
    pub(crate) fn rename(&mut self, name: &str) -> Result<()> {
        name.clone_into(&mut self.name);
        let Some(said) = &mut self.said else { return Ok(()) };
        name.clone_into(&mut said.name);
        let written = Lock::take(&self.folder).and_then(|_lock| published::write(&self.folder, said));
        written.step(STEP, || format!("write {}/{}", self.folder.display(), self.id))
    }

    /// Makes the firewall, the file and the proxy say what holds now: all of it, or what was before.
    fn settle(&mut self) -> Result<()> {
        let senders: Vec<Sender> = self.memberships.iter().flat_map(|one| one.endpoint.senders()).collect();
        let new: Vec<Sender> = senders.iter().filter(|one| !self.senders.contains(one)).cloned().collect();
        if self.leases.is_empty() {
            admit(&Presence { senders: new, ports: Vec::new() })?;
            fail::point("connect: admitted");
            self.senders = senders;
            return Ok(());
        }
        let (mut next, leading) = self.wanted()?;
        let _lock = Lock::take(&self.folder).step(STEP, || format!("lock {}", self.folder.display()))?;
        if self.said.is_none() {
            self.clear_old(&next)?;
        }
        let gone = self.said.as_ref().map(|said| without(&said.presence, &next.presence));
        if let Some(gone) = &gone {
            // While it changes, the file says both.
            add(&mut next.presence, gone);
        }
        self.write(&next)?;
        fail::point("publish: written");
        if let Err(error) = self.change(new, gone.as_ref(), &next, leading) {
            self.undo(&next);
            return Err(error);
        }
        if let Some(gone) = gone.filter(|gone| *gone != Presence::default()) {
            next.presence = without(&next.presence, &gone);
            self.write(&next)?;
            fail::point("publish: changes written");
        }
        self.said = Some(next);
        self.senders = senders;
        Ok(())
    }

    /// What is to be said and led where.
    fn wanted(&self) -> Result<(Published, Leading)> {
        let targets =
            if self.leases.is_empty() { Targets::default() } else { Targets::of(&self.memberships) };
        let loopback6 = self.prepare_bridges(&targets)?;
        let mut leading = lead(&self.leases, &targets, loopback6);
        let presence = Presence { senders: Vec::new(), ports: std::mem::take(&mut leading.kernel) };
        let supervisor =
            ProcessId::of(std::process::id().cast_signed()).step(STEP, || "look at the supervisor itself")?;
        let published = Published {
            id: self.id.clone(),
            name: self.name.clone(),
            folder: self.container.clone(),
            supervisor,
            ports: std::mem::take(&mut leading.ports),
            presence,
        };
        Ok((published, leading))
    }

    /// Lets through what comes from the host's loopback addresses, and what the container sends to itself by a port of
    /// the host's. Says whether the kernel can lead `::1` to it.
    fn prepare_bridges(&self, targets: &Targets) -> Result<bool> {
        let covered = |covers: fn(IpAddr) -> bool| self.leases.iter().any(|lease| covers(lease.address));
        let mut loopback6 = false;
        for (target, covers) in [
            (&targets.ipv4, covers_loopback4 as fn(IpAddr) -> bool),
            (&targets.ipv6, covers_loopback6 as fn(IpAddr) -> bool),
        ] {
            let Some(target) = target.as_ref().filter(|_| covered(covers)) else { continue };
            let addresses = self.memberships.iter().flat_map(|one| &one.endpoint.addresses);
            let address: Vec<_> = addresses.copied().filter(|one| one.addr() == target.address).collect();
            loopback6 = bridge::allow_loopback(&target.bridge, &address).map_err(failed)?;
        }
        let mut links: Vec<&str> = targets.all().map(|target| target.host_link.as_str()).collect();
        links.dedup();
        for link in links {
            endpoint::reflect(link).map_err(failed)?;
        }
        Ok(loopback6)
    }

    /// Removes what an earlier run of this container has left, or is about to leave, and what dead supervisors have
    /// left of the ports that are this one's now.
    fn clear_old(&self, next: &Published) -> Result<()> {
        let cannot = || format!("withdraw what is in {}", self.folder.display());
        if let Some(earlier) = published::read(&self.folder.join(&self.id)).step(STEP, cannot)? {
            published::clear(&self.folder, &earlier).step(STEP, cannot)?;
        }
        for port in &next.ports {
            for other in published::having(&self.folder, port.protocol, port.port).step(STEP, cannot)? {
                if !other.supervisor.lives() {
                    published::clear(&self.folder, &other).step(STEP, cannot)?;
                }
            }
        }
        Ok(())
    }

    fn change(
        &mut self,
        senders: Vec<Sender>,
        gone: Option<&Presence>,
        next: &Published,
        leading: Leading,
    ) -> Result<()> {
        if let Some(gone) = gone.filter(|gone| **gone != Presence::default()) {
            firewall::dismiss(gone).map_err(failed)?;
            fail::point("publish: changed ones dismissed");
        }
        let mut admitted = match gone {
            Some(gone) => without(&next.presence, gone),
            None => next.presence.clone(),
        };
        admitted.senders = senders;
        admit(&admitted)?;
        fail::point("publish: admitted");
        // Datagrams of those who sent some before go where they went then, until that is forgotten.
        conntrack::forget(&next.presence.ports).map_err(failed)?;
        self.proxy.serve(&leading.proxy).step(STEP, || "listen at the published ports")
    }

    /// Back to what was. It is done as far as can be; the error that led here is the one to tell.
    fn undo(&mut self, next: &Published) {
        match &self.said {
            Some(said) => {
                let _ = firewall::dismiss(&without(&next.presence, &said.presence));
                let _ = firewall::admit(&said.presence);
                let _ = published::write(&self.folder, said);
            }
            None => {
                self.proxy.close();
                let _ = published::clear(&self.folder, next);
            }
        }
    }

    fn write(&self, published: &Published) -> Result<()> {
        published::write(&self.folder, published)
            .step(STEP, || format!("write {}/{}", self.folder.display(), self.id))
    }

    /// Whether ports of the host lead to the container.
    pub(crate) fn publishes(&self) -> bool {
        !self.leases.is_empty()
    }

    /// Gives everything back. What the kernel will not let go of stays written down, for the next command to find.
    pub(crate) fn withdraw(&mut self) {
        self.proxy.close();
        let Some(said) = self.said.take() else {
            self.leases.clear();
            return;
        };
        let lock = Lock::take(&self.folder);
        // The next run of the container may be there already: then what we had is gone, and this is its.
        let file = self.folder.join(&self.id);
        let ours = matches!(published::read(&file), Ok(Some(now)) if now.supervisor == said.supervisor);
        if ours && lock.is_ok() && published::dismiss(&said.presence).is_ok() {
            fail::point("publish: taken out of the firewall");
            self.leases.clear();
            fail::point("publish: ports given back");
            let _ = published::remove(&self.folder, &said);
            fail::point("publish: gone");
        }
        self.leases.clear();
    }
}

impl Drop for Wiring {
    fn drop(&mut self) {
        self.withdraw();
    }
}

pub(super) fn identity_of(namespace: BorrowedFd<'_>) -> Result<(u64, u64)> {
    let stat = fstat(namespace).step(STEP, || "look at the container's network namespace")?;
    Ok((stat.st_dev, stat.st_ino))
}

/// One message to the firewall.
fn admit(presence: &Presence) -> Result<()> {
    firewall::admit(presence).map_err(failed)
}

fn failed(error: bulkhead_network::Error) -> Error {
    if error.is_fatal() {
        // Whatever else this process did, it would do in the container's network.
        bulkhead_sys::process::exit_now(125);
    }
    let mut named = Error::new(STEP, error.to_string());
    named.errno = error.errno().map(rustix::io::Errno::raw_os_error);
    named
}

/// What of the one is not in the other.
fn without(one: &Presence, other: &Presence) -> Presence {
    Presence {
        senders: one.senders.iter().filter(|sender| !other.senders.contains(sender)).cloned().collect(),
        ports: one.ports.iter().filter(|port| !other.ports.contains(port)).copied().collect(),
    }
}

fn add(one: &mut Presence, other: &Presence) {
    one.senders.extend(other.senders.iter().cloned());
    one.ports.extend(&other.ports);
}
