//! Control groups by systemd: the container is a scope, which systemd makes, shows, and counts among what it ends when the
//! machine goes down. The group's files are this runtime's all the same (`Delegate=`): what systemd has properties for is
//! set in both, so that it writes the same when it writes files anew; the rest in the files.
//!
//! | file | holds |
//! |---|---|
//! | [`unit`] | names and paths |
//! | [`properties`] | limits as properties |
//! | [`annotations`] | properties that a configuration asks for |
//! | [`address`], [`message`], [`bus`] | where systemd listens, what is sent, the requests |
//! | [`membership`] | who is in a unit's group |
//! | [`steward`] | the process that makes them, and is in a new scope until the container is |

mod address;
pub(crate) mod annotations;
mod bus;
mod membership;
mod message;
mod properties;
mod steward;
pub(super) mod unit;

use std::collections::BTreeMap;

use bulkhead_isolation::cgroups::layout::Layout;
use bulkhead_isolation::cgroups::resources::Resources as Limits;
use bulkhead_isolation::cgroups::{self, Below, Cgroup, Created};
use bulkhead_isolation::{Error, Result as Done};

use super::Manager;
use bus::Bus;
use properties::Property;
use steward::Steward;
use unit::Unit;

const STEP: &str = "systemd";
/// What the steward says of a unit that there is no more, of the container's, and of one that has taken its name.
const GONE: &str = "gone";
const OURS: &str = "ours";
const ANOTHER_S: &str = "another's";

/// The group of one container.
pub(super) struct Systemd<'s> {
    unit: Unit,
    id: String,
    annotations: &'s BTreeMap<String, String>,
    /// In the scope until the container is.
    steward: Option<Steward>,
}

impl<'s> Systemd<'s> {
    pub(super) fn new(unit: Unit, id: &str, annotations: &'s BTreeMap<String, String>) -> Systemd<'s> {
        Systemd { unit, id: id.to_owned(), annotations, steward: None }
    }

    fn properties(&self, limits: &Limits, layout: &Layout) -> Done<Vec<Property>> {
        let mut all = vec![
            Property::new("Description", format!("Bulkhead container {}", self.id)),
            Property::new("Slice", self.unit.slice.clone()),
            Property::new("Delegate", true),
            Property::new("DefaultDependencies", false),
        ];
        all.extend(properties::accounting(layout));
        all.extend(properties::devices(&limits.devices));
        all.extend(properties::of(limits, layout));
        all.extend(annotations::read(self.annotations).map_err(|error| Error::new(STEP, error.to_string()))?);
        Ok(all)
    }
}

impl Manager for Systemd<'_> {
    fn is_taken(&self) -> Done<bool> {
        cgroups::has_processes_anywhere(&self.unit.path())
    }

    fn create(&mut self, cgroup: &Cgroup, record: &mut dyn FnMut(Unit) -> Done<()>) -> Done<Created> {
        let (first, last) = without_tasks(&cgroup.resources);
        let last = properties::of_tasks(&last);
        let first_properties = self.properties(&first, &Layout::detect()?)?;
        let name = self.unit.name.clone();
        let steward = Steward::begin(|voice| {
            let mut bus = Bus::connect()?;
            if !voice.pause(bus.start(&name, &first_properties)) {
                // It was said already.
                return Ok(String::new());
            }
            if !last.is_empty() {
                bus.set(&name, &last)?;
            }
            Ok(String::new())
        })?;
        let run = steward.hear()?;
        if membership::of(steward.pid(), &cgroup.path)?.is_empty() {
            // Without the steward it ends by itself, and what is at that path is not this container's.
            return Err(Error::new(
                STEP,
                format!(
                    "systemd has made the unit {} elsewhere than at {} of the control groups that are mounted here",
                    self.unit.name, cgroup.path
                ),
            ));
        }
        // Until this is written nothing is there that would not go with the steward, and nothing that is the container's:
        // whoever clears up after a killed creation stops no unit that may be somebody else's.
        self.unit.run = Some(run);
        record(self.unit.clone())?;
        self.steward = Some(steward);
        Created::create(&Cgroup { resources: first, ..cgroup.clone() })?.counted_by_systemd(&cgroup.path)
    }

    fn settle(&mut self, cgroup: &Cgroup, pid: i32) -> Done<()> {
        if let Some(steward) = self.steward.take() {
            membership::await_beside(pid, steward.pid(), &cgroup.path)?;
            steward.go_on()?;
        }
        let (_, last) = without_tasks(&cgroup.resources);
        Created::open(&cgroup.path)?.limit(&last).map(drop)
    }

    fn open_below(&self, below: &[Below]) -> Done<Created> {
        let path = self.unit.path();
        Created::open_below(&path, below)?.counted_by_systemd(&path)
    }

    fn limit(&mut self, limits: &Limits) -> Done<Vec<String>> {
        let mut wanted = properties::of(limits, &Layout::detect()?);
        wanted.extend(properties::of_tasks(limits));
        if !wanted.is_empty() {
            let Unit { name, run, .. } = &self.unit;
            Steward::ask(|| {
                let mut bus = Bus::connect()?;
                if bus.run_of(name)? != *run {
                    return Err(format!("the unit {name} is no longer this container's"));
                }
                bus.set(name, &wanted).map(|()| String::new())
            })?;
        }
        Created::open(&self.unit.path())?.limit(limits)
    }

    fn remove(&mut self) -> Done<()> {
        self.steward = None;
        let Unit { name, run: Some(run), .. } = &self.unit else { return Ok(()) };
        let steward = Steward::begin(|voice| {
            let mut bus = Bus::connect()?;
            let found = bus.run_of(name)?;
            let whose = match &found {
                None => GONE,
                Some(found) if found == run => OURS,
                Some(_) => ANOTHER_S,
            };
            if voice.pause(Ok(whose.to_owned())) {
                bus.stop(name)?;
            }
            Ok(String::new())
        })?;
        let whose = steward.hear()?;
        if whose == ANOTHER_S {
            return Ok(());
        }
        let path = self.unit.path();
        cgroups::clear(&path);
        if whose == OURS {
            steward.go_on()?;
        }
        // What systemd has no controller for is not removed by it.
        cgroups::remove(&path)
    }
}

/// Limits without that of processes, and that alone: while the steward is in the group, it would be counted.
fn without_tasks(limits: &Limits) -> (Limits, Limits) {
    let mut first = limits.clone();
    let is_of_tasks = |(file, _): &(String, String)| file == "pids.max";
    let (unified, rest) = first.unified.into_iter().partition(is_of_tasks);
    first.unified = rest;
    let last = Limits { pids: first.pids.take(), unified, ..Limits::default() };
    (first, last)
}
