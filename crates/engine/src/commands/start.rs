//! `start`: a supervisor is spawned, and brings the container to life.

use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use bollard_stubs::models::HostConfig;
use bulkhead_isolation::mounts::Source;
use bulkhead_isolation::rootfs::Layer;
use bulkhead_isolation::trace::{Lap, Trace};
use bulkhead_isolation::{Plan, TerminalSize};
use bulkhead_network::firewall;
use bulkhead_supervisor::client::Connection;
use bulkhead_supervisor::identity::Identity;
use bulkhead_supervisor::protocol::{Attach, Events, Reply, Request, Start};
use bulkhead_supervisor::restart::{Policy, Restart};

use crate::commands::events::attributes;
use crate::error::{Doing, Error, Result};
use crate::id_mapping::IdMapping;
use crate::networks::memberships::Place;
use crate::spec::binds::{self, Wanted};
use crate::spec::namespaces::{Mode, Modes};
use crate::spec::{self, Surroundings, health, restart, text, volume_options};
use crate::store::containers::Container;
use crate::store::{id_ranges, volumes};
use crate::users::Users;
use crate::users::pool::Taken;
use crate::{Condition, Engine, hosts_files};

/// How a container is to be started.
#[derive(Debug, Default)]
pub struct Starting {
    /// What the caller is attached to from the first byte on.
    pub attach: Attach,
    /// A pipe end for each of these streams, in the protocol's order.
    pub streams: Vec<OwnedFd>,
    /// Others who are attached from the first byte on, and do not hold the container back.
    pub also: Vec<(Attach, Vec<OwnedFd>)>,
    /// Whether the caller waits for the container's end, and then removes it if it is to be removed. If not, or if the
    /// caller has gone by then, its supervisor has that done.
    pub stays: bool,
    /// The terminal's size to begin with.
    pub terminal: TerminalSize,
    /// Whether its restart policy does it, and not somebody.
    pub again: bool,
    /// Whether to take the time of each step.
    pub trace: bool,
}

/// A container that runs.
#[derive(Debug)]
pub struct Started {
    /// The connection to its supervisor, over which its end is told.
    pub connection: Connection,
    /// What the user should know, a sentence each.
    pub warnings: Vec<String>,
    /// How long the steps took, here and on the supervisor's side.
    pub laps: Vec<Lap>,
}

impl Engine {
    /// Starts a container that does not run.
    ///
    /// # Errors
    /// It runs already, or its birth failed: nothing runs then.
    pub fn start(&mut self, container: &Container, starting: Starting) -> Result<Started> {
        self.begin(container, starting).map_err(|error| self.unless_removed(container, error))
    }

    fn begin(&mut self, container: &Container, starting: Starting) -> Result<Started> {
        let mut trace = Trace::new(starting.trace);
        let connection = self.supervisor()?;
        let lock = self.lock_to_start(container)?;
        // As it is now: it may have been given other limits.
        let container = &match self.container(&container.id) {
            Ok(container) => container,
            Err(gone) => {
                // It was removed while the lock was waited for: the folder that was just made goes again.
                let _ = std::fs::remove_dir_all(self.roots.container(&container.id));
                return Err(gone);
            }
        };
        self.let_the_last_supervisor_go(container)?;
        // Who made the container may have been killed before its folders were complete.
        bulkhead_sys::fail::point("start: locked");
        let wanted = binds::read(&container.config)?;
        self.furnish(container, &wanted)?;
        trace.lap("supervisor spawned, container locked");
        let host = container.config.host_config.clone().unwrap_or_default();
        let mut warnings = Vec::new();
        let joined = self.join(container, &host)?;
        let places = self.prepare_networks(container, &host, &mut warnings)?;
        trace.lap("bridge");
        let files = self.prepare_files(container, &host, &places)?;
        trace.lap("hosts, hostname, resolv.conf");
        let mapping = self.id_mapping_for(&container.image, &container.users, &wanted)?;
        let layers = self.layers_of(&container.image, &container.users, &mapping)?;
        let around = Surroundings {
            roots: &self.roots,
            layers,
            joined,
            files,
            terminal: starting.terminal,
            init: self.init(),
            volumes: self.volumes_of(&host, &wanted, &mapping)?,
            images: self.mounted_images(&wanted, &container.users, &mapping)?,
        };
        let (mut plan, said) = spec::plan(container, &around)?;
        warnings.extend(said);
        self.fill_no_volume_again(container, &mut plan)?;
        let mut handles = around.joined.handles;
        // Whoever closes it waits for what others take out of the firewall, so it goes to where nobody waits.
        let socket = firewall::hand_over();
        let has_socket = socket.is_some();
        handles.extend(socket);
        handles.push(lock);
        let run_folder = self.roots.running(&container.id);
        crate::store::make_folder(&run_folder)?;
        if !plan.cgroup.path.starts_with("/bulkhead/") {
            let file = run_folder.join(crate::repair::GROUP);
            std::fs::write(&file, &plan.cgroup.path).doing(|| format!("write {}", file.display()))?;
        }
        let start = Start {
            identity: Identity {
                id: container.id.clone(),
                name: container.name.clone(),
                link: text(&self.roots.name_link(&container.name))?,
            },
            plan,
            later_env: spec::later_environment(&container.config),
            handles: handles.len(),
            firewall: has_socket,
            networks: self.memberships(container, &places)?,
            publish: self.ports_of(container, &host, &places)?,
            published: text(&self.roots.published().join(&container.id))?,
            names: match places.is_empty() {
                true => None,
                false => Some(hosts_files::name_service(self, &host)?),
            },
            folder: text(&self.roots.container(&container.id))?,
            run_folder: text(&run_folder)?,
            log: spec::log::prepare(container, &self.roots)?,
            open_stdin: container.config.open_stdin.unwrap_or(false),
            stdin_once: container.config.stdin_once.unwrap_or(false),
            attach: starting.attach,
            also: starting.also.iter().map(|(wanted, _)| *wanted).collect(),
            restart: self.restart_of(container, &host, starting.again)?,
            check: health::check(&container.config)?,
            events: Events { file: text(&self.roots.events())?, attributes: attributes(container) },
            client_stays: starting.stays,
            finish: container.auto_remove.then(|| self.finish_command(container)).transpose()?,
            trace: starting.trace,
        };
        bulkhead_sys::fail::point("start: folder of this boot made");
        let perhaps =
            spec::leaves(&host, &wanted)? == spec::Leaves::Perhaps && container.users != Users::Host;
        if perhaps && !id_ranges::is_unsure(self.store.read(), &container.id)? {
            self.store.write(|transaction| id_ranges::unsure(transaction, &container.id, true))?;
        }
        trace.lap("plan");
        let others = starting.also.iter().flat_map(|(_, streams)| streams);
        let streams: Vec<BorrowedFd<'_>> = starting.streams.iter().chain(others).map(AsFd::as_fd).collect();
        let answer = bring_to_life(&connection, start, &handles, &streams);
        drop(handles);
        bulkhead_sys::fail::point("start: answered");
        if perhaps {
            match &answer {
                Ok((_, _, true)) => {
                    self.store.write(|transaction| id_ranges::keep(transaction, &container.id))?;
                }
                // It has nothing unmapped, or never ran.
                Ok((_, _, false)) | Err(Error::Birth(_)) => {
                    self.store.write(|transaction| id_ranges::unsure(transaction, &container.id, false))?;
                }
                Err(_) => {}
            }
        }
        match answer {
            Ok((said, laps, _)) => {
                warnings.extend(said);
                trace.lap("brought to life, of which:");
                trace.adopt("  ", laps);
                Ok(Started { connection, warnings, laps: trace.into_laps() })
            }
            Err(error) => {
                let _ = std::fs::remove_dir_all(&run_folder);
                Err(error)
            }
        }
    }

    /// The lock of a container that does not run, and whose folders are there.
    fn lock_to_start(&self, container: &Container) -> Result<OwnedFd> {
        loop {
            self.make_folders(container)?;
            let locked = self.lock_stopped(container, |_| {
                Err(Error::Conflict(format!("container {} is already running", container.name)))
            });
            match locked {
                // It is being removed, by somebody who was quicker; or that somebody was killed, and it can be started.
                Err(Error::System { source, .. }) if source.kind() == ErrorKind::NotFound => {
                    self.container(&container.id)?;
                }
                other => return other,
            }
        }
    }

    /// Spawns a supervisor before it is needed: its start takes as long as much of what comes before. One that
    /// gets no container ends by itself.
    ///
    /// # Errors
    /// Its executable is not there, or no process can be made.
    pub fn spawn_supervisor_early(&mut self) -> Result<()> {
        self.early = Some(self.supervisor()?);
        Ok(())
    }

    /// A supervisor that has no container yet.
    fn supervisor(&mut self) -> Result<Connection> {
        if let Some(early) = self.early.take() {
            return Ok(early);
        }
        Connection::start_supervisor(&self.programs.supervisor)
            .doing(|| format!("start {}", self.programs.supervisor.display()))
    }

    /// A container that has run found its volumes filled: what it emptied since stays empty.
    pub(crate) fn fill_no_volume_again(&self, container: &Container, plan: &mut Plan) -> Result<()> {
        if self.condition(container)? != Condition::Created {
            for mount in &mut plan.mounts {
                if let Source::Bind(bind) = &mut mount.source {
                    bind.fill = false;
                }
            }
        }
        Ok(())
    }

    /// Waits until the supervisor of the container's last run has cleared everything away (10 seconds).
    fn let_the_last_supervisor_go(&self, container: &Container) -> Result<()> {
        let Condition::Exited(status) = self.condition(container)? else { return Ok(()) };
        for _ in 0..5_000 {
            if !status.supervisor.lives() {
                return Ok(());
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        Err(Error::Conflict(format!(
            "the supervisor of the last run of container {} has not ended: somebody who attached to it does not read",
            container.name
        )))
    }

    /// Where the IDs of what is shared stand on disk.
    pub(crate) fn volumes_of(
        &self,
        host: &HostConfig,
        wanted: &[Wanted],
        mapping: &IdMapping,
    ) -> Result<spec::Volumes> {
        let unmapped = mapping.no_mapped_volumes().is_some();
        let mut all = spec::Volumes { unmapped, ..spec::Volumes::default() };
        if !spec::shares_files(host, wanted)? {
            return Ok(all);
        }
        let connection = self.store.read();
        all.own = id_ranges::known_own(connection)?;
        all.reserved = Taken::new(id_ranges::reserved(connection)?);
        for one in wanted {
            if let binds::Source::Volume { name, .. } = &one.source {
                let volume = volumes::find(connection, name)?;
                // The container is being removed, and its volume has gone.
                if volume.is_none() {
                    return Err(Error::NotFound { kind: "volume", name: name.clone() });
                }
                all.first.push((name.clone(), volume.as_ref().map_or(0, |volume| volume.first_id)));
                if let Some(volume) = volume {
                    all.places.push((name.clone(), volume_options::read(&volume.options)?));
                }
            }
        }
        Ok(all)
    }

    pub(crate) fn mounted_images(
        &self,
        wanted: &[Wanted],
        users: &Users,
        mapping: &IdMapping,
    ) -> Result<Vec<(String, Vec<Layer>)>> {
        let names = wanted.iter().filter_map(|one| match &one.source {
            binds::Source::Image { id } => Some(id),
            _ => None,
        });
        names.map(|id| Ok((id.clone(), self.layers_of(id, users, mapping)?))).collect()
    }

    /// Where the container's network files are: its own, or those of the container whose network it shares.
    fn prepare_files(
        &self,
        container: &Container,
        host: &HostConfig,
        places: &[Place],
    ) -> Result<std::path::PathBuf> {
        if let Mode::Container(name) = Modes::of(host)?.net {
            return Ok(self.roots.container(&self.container(&name)?.id));
        }
        hosts_files::write(self, container, places)?;
        Ok(self.roots.container(&container.id))
    }

    /// How the container will be started again.
    pub(super) fn restart_of(
        &self,
        container: &Container,
        host: &HostConfig,
        again: bool,
    ) -> Result<Option<Restart>> {
        let policy = restart::policy(host.restart_policy.as_ref())?;
        if policy == Policy::No {
            return Ok(None);
        }
        let last = if again { self.status_of(container)? } else { None };
        let (count, waited) = last.map_or((0, 0), |last| (last.restarts.saturating_add(1), last.waited));
        let command = self.command(&["system", "start-again", &container.id])?;
        Ok(Some(Restart { policy, count, waited, command }))
    }

    /// A command of this engine.
    pub(crate) fn command(&self, words: &[&str]) -> Result<Vec<String>> {
        let mut command = vec![
            text(&self.programs.bulkhead)?,
            "--root".into(),
            text(&self.roots.root)?,
            "--state".into(),
            text(&self.roots.state)?,
        ];
        command.extend(words.iter().map(|word| (*word).to_owned()));
        Ok(command)
    }

    /// What the supervisor executes if a container that removes itself outlives the client that started it.
    fn finish_command(&self, container: &Container) -> Result<Vec<String>> {
        self.command(&["rm", "--volumes", &container.id])
    }
}

/// Hands the container over to its supervisor, and hears what becomes of it.
fn bring_to_life(
    connection: &Connection,
    start: Start,
    handles: &[OwnedFd],
    streams: &[BorrowedFd<'_>],
) -> Result<(Vec<String>, Vec<Lap>, bool)> {
    let fds: Vec<BorrowedFd<'_>> = handles.iter().map(AsFd::as_fd).chain(streams.iter().copied()).collect();
    let asked = connection.ask(&Request::Start(Box::new(start)), &fds);
    match asked.doing(|| "hear from the container's supervisor, which has ended unexpectedly")? {
        (Reply::Started { warnings, laps, leaves_ids }, _) => Ok((warnings, laps, leaves_ids)),
        (Reply::Failed(error), _) => Err(error.into()),
        (other, _) => Err(Error::Corrupt(format!("the supervisor answered {other:?} to a start"))),
    }
}
