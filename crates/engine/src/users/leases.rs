//! What a new container is given, from the request to the lease; and when a range is free again.

use std::cell::RefCell;
use std::path::Path;

use bollard_stubs::models::{ContainerCreateBody, HostConfig};
use bulkhead_isolation::cgroups;
use rusqlite::Transaction;

use super::Users;
use super::choose::{Asked, Choice, HostS, choose};
use super::mode::{Auto, Mode};
use super::pool::{POOL_USER, Taken};
use crate::accounts::{Etc, Kind, remap};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::spec::namespaces::{self, Modes};
use crate::store::id_ranges::{self, Own};
use crate::{Engine, UsualUsers};

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
    fn source<'a>(&'a self, root: &'a Path) -> Result<id_ranges::Source<'a>> {
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
        Ok(id_ranges::Source {
            pool,
            taken: Taken::new(spans),
            root,
            etc: &self.etc,
            unrecorded: RefCell::new(None),
        })
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
            (Choice::Settled(users), _) => {
                if let Users::OfContainer { id, .. } = users {
                    id_ranges::share(transaction, container, id)?;
                }
                Ok(users.clone())
            }
            (Choice::Lease(template), Some(source)) => {
                id_ranges::lease(transaction, source, template.size, container)
                    .map(|first| Users::Own(template.with(first)))
            }
            (Choice::Lease(_), None) => Err(Error::Corrupt("no pool was looked up for a lease".into())),
        }
    }

    /// The engine's own ranges, which are taken if they were not.
    pub(crate) fn own(&self, transaction: &Transaction<'_>) -> Result<Own> {
        match &self.source {
            Some(source) => id_ranges::own(transaction, source),
            None => id_ranges::known_own(transaction)?
                .ok_or_else(|| Error::Corrupt("no pool was looked up for the engine's own ranges".into())),
        }
    }

    /// What the user should know when the transaction is done.
    pub(crate) fn warning(&self) -> Option<String> {
        let why = self.source.as_ref()?.unrecorded.take()?;
        Some(format!(
            "other tools may hand out the same IDs, since they cannot be recorded in /etc/subuid and /etc/subgid: {why}"
        ))
    }
}

/// The mode of a container that asked for `asked`, and whose subordinate IDs it shares, if it does.
fn usual<'a>(asked: Mode, usual: &'a UsualUsers, configured: Option<&'a str>) -> (Mode, Option<&'a str>) {
    match usual {
        _ if asked != Mode::Usual => (asked, None),
        UsualUsers::AsConfigured => (asked, configured),
        UsualUsers::Own => (asked, None),
        UsualUsers::Host => (Mode::Host, None),
        UsualUsers::Remap(spec) => (asked, Some(spec)),
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
        let (mode, remap) = usual(
            Mode::read(host.userns_mode.as_deref().unwrap_or(""))?,
            &self.usual_users,
            config.userns_remap.as_deref(),
        );
        let modes = Modes::of(host)?;
        let wanted = HostS {
            privileged: host.privileged.unwrap_or(false),
            pid: modes.pid == namespaces::Mode::Host,
            net: modes.net == namespaces::Mode::Host,
            ipc: modes.ipc == namespaces::Mode::Host,
        };
        if let Mode::Container(name) = &mode {
            let other = self.container(name)?;
            // By its ID: its name may become another's.
            host.userns_mode = Some(format!("container:{}", other.id));
            let users = match other.users {
                Users::Host => Users::Host,
                shared @ Users::OfContainer { .. } => shared,
                own => Users::OfContainer { id: other.id, users: Box::new(own) },
            };
            if matches!(users.in_the_first_place(), Users::Shared(_)) {
                wanted.refuse()?;
            }
            return Ok(Decided { choice: Choice::Settled(users), config, etc });
        }
        let remap = remap.map(|spec| remap::resolve(&etc, spec)).transpose()?;
        // Only who names IDs can name somebody's.
        let names_none = remap.is_none() && (mode == Mode::Usual || mode == Mode::Auto(Auto::default()));
        let reserved = if names_none { Vec::new() } else { id_ranges::reserved(self.store.read())? };
        let reserved = Taken::new(reserved);
        if let (Mode::KeepId { uid, gid, .. }, Some(caller)) = (&mode, self.caller)
            && request.user.as_deref().unwrap_or("").is_empty()
        {
            request.user = Some(format!("{}:{}", uid.unwrap_or(caller.0), gid.unwrap_or(caller.1)));
        }
        let asked = Asked {
            mode,
            wanted,
            remap: remap.as_ref(),
            pool: config.pool.here(),
            reserved: &reserved,
            caller: self.caller,
        };
        let choice = choose(&asked, warnings)?;
        Ok(Decided { choice, config, etc })
    }

    /// Looks up what the transaction needs that takes the IDs. `shares` says whether the engine's own ranges are needed
    /// too.
    pub(crate) fn ready_users<'a>(
        &self,
        decided: &'a Decided,
        shares: bool,
        root: &'a Path,
    ) -> Result<Ready<'a>> {
        let leases = matches!(decided.choice, Choice::Lease(_));
        let needed = leases || shares && id_ranges::known_own(self.store.read())?.is_none();
        let source = needed.then(|| decided.source(root)).transpose()?;
        Ok(Ready { choice: decided.choice.clone(), source })
    }

    /// As which ID 0 of a container stands on disk in a volume that is made now, for no container in particular.
    ///
    /// # Errors
    /// No mount can map volumes here, or no range is left.
    pub(crate) fn first_id_of_volumes(&mut self) -> Result<u32> {
        if let Some(why) = self.look_at_id_mapping()?.0.no_mapped_volumes() {
            return Err(Error::Invalid(format!(
                "a volume is made with the container that uses it first, and has its IDs, where mounts cannot map: {why}"
            )));
        }
        if let Some(own) = id_ranges::known_own(self.store.read())? {
            return Ok(own.volumes());
        }
        let decided =
            Decided { choice: Choice::Settled(Users::Host), config: Config::load()?, etc: Etc::system() };
        let root = self.roots.root.clone();
        let ready = self.ready_users(&decided, true, &root)?;
        self.store.write(|transaction| ready.own(transaction)).map(Own::volumes)
    }

    /// Ends a forgotten container's use of its range, whose files are gone, if no process is left either.
    pub(crate) fn end_use_of_range(&mut self, container: &str, cgroup: &str) -> Result<()> {
        if self.roots.container(container).exists() || cgroups::has_processes(cgroup) {
            return Ok(());
        }
        self.store.write(|transaction| id_ranges::end_use(transaction, container))
    }

    /// Whether files of a removed container are in the trash.
    pub(crate) fn has_files_in_trash(&self, container: &str) -> bool {
        match std::fs::read_dir(self.roots.root.join("trash")) {
            Ok(entries) => {
                entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with(container))
            }
            // What cannot be looked at may hold anything.
            Err(error) => error.kind() != std::io::ErrorKind::NotFound,
        }
    }

    /// The same for all whose use could not be ended when they were removed.
    pub(crate) fn end_uses_of_ranges(&mut self) -> Result<()> {
        for container in id_ranges::given_back(self.store.read())? {
            if self.has_files_in_trash(&container) {
                continue;
            }
            // Where its group was is not known any more; of the usual place, at least, nothing may be left.
            self.end_use_of_range(&container, &format!("/bulkhead/{container}"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Mode, usual};
    use crate::UsualUsers;

    #[test]
    fn who_serves_decides_for_those_who_do_not_ask() {
        let remap = UsualUsers::Remap("somebody".into());
        for (decided, mode, spec) in [
            (&UsualUsers::AsConfigured, Mode::Usual, Some("default")),
            (&UsualUsers::Own, Mode::Usual, None),
            (&UsualUsers::Host, Mode::Host, None),
            (&remap, Mode::Usual, Some("somebody")),
        ] {
            assert_eq!(usual(Mode::Usual, decided, Some("default")), (mode, spec), "{decided:?}");
            assert_eq!(usual(Mode::Host, decided, Some("default")), (Mode::Host, None), "{decided:?}");
            let joined = Mode::Container("x".into());
            assert_eq!(usual(joined.clone(), decided, Some("default")), (joined, None), "{decided:?}");
        }
    }
}
