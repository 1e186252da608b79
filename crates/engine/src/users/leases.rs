//! What a new container is given, from the request to the lease; and when a range is free again.

use std::path::Path;

use bollard_stubs::models::{ContainerCreateBody, HostConfig};
use bulkhead_isolation::cgroups;
use rusqlite::Transaction;

use super::Users;
use super::choose::{Asked, Choice, choose};
use super::mode::Mode;
use super::pool::Taken;
use crate::Engine;
use crate::accounts::{Etc, Kind, remap};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::spec::namespaces::{self, Modes};
use crate::store::id_ranges;

/// Under whose name the pool stands in subuid(5), so that other tools keep off it.
pub(crate) const POOL_USER: &str = "bulkhead-auto";

/// What a container is to be given.
pub(crate) struct Decided {
    pub(crate) choice: Choice,
    config: Config,
    etc: Etc,
}

impl Decided {
    /// Whom the container would have, for a look at its plan before anything is leased.
    pub(crate) fn provisional(&self) -> Users {
        match &self.choice {
            Choice::Settled(users) => users.clone(),
            Choice::Lease(template) => Users::Own(template.with(self.config.pool.first)),
        }
    }

    /// What ranges are taken from. Reads the account files.
    fn source<'a>(&self, root: &'a Path) -> Result<id_ranges::Source<'a>> {
        let pool = self.config.pool.here();
        let mut spans = Vec::new();
        for kind in [Kind::Users, Kind::Groups] {
            for entry in self.etc.subordinate(kind)? {
                if entry.owner != POOL_USER {
                    spans.push((entry.range.first, entry.range.first.saturating_add(entry.range.count)));
                }
            }
            spans.extend(self.etc.ids(kind)?.into_iter().map(|id| (id, id.saturating_add(1))));
        }
        Ok(id_ranges::Source { pool, taken: Taken::new(spans), root })
    }
}

/// What [`Engine::decide_users`] prepared for the transaction that records the container.
pub(crate) struct Ready<'a> {
    choice: Choice,
    source: Option<id_ranges::Source<'a>>,
}

impl Ready<'_> {
    /// Takes the container's IDs.
    pub(crate) fn take(&self, transaction: &Transaction<'_>, container: &str) -> Result<Users> {
        match (&self.choice, &self.source) {
            (Choice::Settled(users), _) => Ok(users.clone()),
            (Choice::Lease(template), Some(source)) => {
                id_ranges::lease(transaction, source, template.size, container)
                    .map(|first| Users::Own(template.with(first)))
            }
            (Choice::Lease(_), None) => Err(Error::Corrupt("no pool was looked up for a lease".into())),
        }
    }

    /// The first ID of the engine's own range, which is taken if it was not.
    pub(crate) fn stable(&self, transaction: &Transaction<'_>) -> Result<u32> {
        match &self.source {
            Some(source) => id_ranges::stable(transaction, source),
            None => id_ranges::known_stable(transaction)?
                .ok_or_else(|| Error::Corrupt("no pool was looked up for the engine's own range".into())),
        }
    }
}

impl Engine {
    /// Decides whose IDs a container is to have.
    ///
    /// # Errors
    /// What cannot be had, or is not allowed on this machine.
    pub(crate) fn decide_users(
        &self,
        request: &mut ContainerCreateBody,
        host: &mut HostConfig,
        warnings: &mut Vec<String>,
    ) -> Result<Decided> {
        let (config, etc) = (Config::load()?, Etc::system());
        let mode = Mode::read(host.userns_mode.as_deref().unwrap_or(""))?;
        if let Mode::Container(name) = &mode {
            let other = self.container(name)?;
            // By its ID: its name may become another's.
            host.userns_mode = Some(format!("container:{}", other.id));
            let users = match other.users {
                Users::Host => Users::Host,
                Users::Own(mappings) | Users::Shared(mappings) => {
                    Users::OfContainer { id: other.id, mappings }
                }
                shared @ Users::OfContainer { .. } => shared,
            };
            return Ok(Decided { choice: Choice::Settled(users), config, etc });
        }
        let modes = Modes::of(host)?;
        let wants_remap = mode == Mode::Usual;
        let remap = config.userns_remap.as_deref().filter(|_| wants_remap);
        let remap = remap.map(|spec| remap::resolve(&etc, spec)).transpose()?;
        if let (Mode::KeepId { uid, gid, .. }, Some(caller)) = (&mode, self.caller)
            && request.user.as_deref().unwrap_or("").is_empty()
        {
            request.user = Some(format!("{}:{}", uid.unwrap_or(caller.0), gid.unwrap_or(caller.1)));
        }
        let asked = Asked {
            mode,
            privileged: host.privileged.unwrap_or(false),
            host_pid: modes.pid == namespaces::Mode::Host,
            host_net: modes.net == namespaces::Mode::Host,
            host_ipc: modes.ipc == namespaces::Mode::Host,
            remap: remap.as_ref(),
            pool: config.pool.here(),
            caller: self.caller,
        };
        let choice = choose(&asked, warnings)?;
        Ok(Decided { choice, config, etc })
    }

    /// Looks up what the transaction needs that takes the IDs. `shares` says whether the engine's own range is needed too.
    pub(crate) fn ready_users<'a>(
        &self,
        decided: &Decided,
        shares: bool,
        root: &'a Path,
        warnings: &mut Vec<String>,
    ) -> Result<Ready<'a>> {
        let leases = matches!(decided.choice, Choice::Lease(_));
        let needed = leases || shares && id_ranges::known_stable(self.store.read())?.is_none();
        if !needed {
            return Ok(Ready { choice: decided.choice.clone(), source: None });
        }
        record_pool(decided, warnings);
        Ok(Ready { choice: decided.choice.clone(), source: Some(decided.source(root)?) })
    }

    /// Makes the range of a forgotten container free, if nothing of it is left: neither files nor processes.
    pub(crate) fn free_range(&mut self, container: &str, cgroup: &str) -> Result<()> {
        let trash = self.roots.root.join("trash");
        let left = std::fs::read_dir(&trash).is_ok_and(|entries| {
            entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with(container))
        });
        if left || self.roots.container(container).exists() || cgroups::has_processes(cgroup) {
            return Ok(());
        }
        self.store.write(|transaction| id_ranges::free(transaction, container))
    }

    /// The same for all that could not be freed when their containers were removed.
    pub(crate) fn free_ranges(&mut self) -> Result<()> {
        for container in id_ranges::given_back(self.store.read())? {
            // Where its group was is not known any more; of the usual place, at least, nothing may be left.
            self.free_range(&container, &format!("/bulkhead/{container}"))?;
        }
        Ok(())
    }
}

/// Sees to it that the pool stands in subuid(5) and subgid(5).
fn record_pool(decided: &Decided, warnings: &mut Vec<String>) {
    let (etc, pool) = (&decided.etc, decided.config.pool.here().range());
    let recorded = |kind| {
        etc.subordinate(kind)
            .is_ok_and(|all| all.iter().any(|entry| entry.owner == POOL_USER && entry.range == pool))
    };
    if recorded(Kind::Users) && recorded(Kind::Groups) {
        return;
    }
    if let Err(error) = etc.ensure_system_user(POOL_USER).and_then(|_| etc.record(POOL_USER, pool)) {
        warnings.push(format!(
            "other tools may hand out the same IDs, since the pool cannot be recorded in /etc/subuid and /etc/subgid: {error}"
        ));
    }
}
