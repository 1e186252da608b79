//! systemd by D-Bus (org.freedesktop.systemd1(5)): on its own socket, which root may use and which is there without any bus
//! running, otherwise on the system bus. DBUS_SYSTEM_BUS_ADDRESS names another.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use serde::Serialize;
use zbus::wire::{OwnedObjectPath, OwnedVariant, Type, Variant};

use super::address;
use super::message::{self, Kind, Message, Target};
use super::properties::Property;
use std::io::{BufReader, Write};
use std::os::unix::net::UnixStream;

const SYSTEMD: &str = "org.freedesktop.systemd1";
const MANAGER: Target<'static> = Target {
    destination: None,
    path: "/org/freedesktop/systemd1",
    interface: "org.freedesktop.systemd1.Manager",
};
const BUS: Target<'static> = Target {
    destination: Some("org.freedesktop.DBus"),
    path: "/org/freedesktop/DBus",
    interface: "org.freedesktop.DBus",
};
/// Properties of all units, and who gives them.
const UNIT: &str = "org.freedesktop.systemd1.Unit";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
const JOB_REMOVED: &str = "JobRemoved";
/// How often, and with which pause, a unit is asked for again whose predecessor is about to go.
const TURNS: usize = 100;
const PAUSE: Duration = Duration::from_millis(20);

/// What a request gives, or why it was not done.
pub(super) type Answer<T> = Result<T, String>;

/// A connection to systemd.
pub(super) struct Bus {
    socket: BufReader<UnixStream>,
    /// Nobody is between.
    direct: bool,
    serial: u32,
    /// Jobs that have ended, and how.
    ended: VecDeque<(OwnedObjectPath, String)>,
}

/// Why a call has failed.
enum Failure {
    /// Whoever was called says so: an error's name, and words.
    Refused(String, String),
    /// Nobody could be called.
    Broken(String),
}

impl Failure {
    fn is(&self, name: &str) -> bool {
        matches!(self, Failure::Refused(found, _) if *found == format!("{SYSTEMD}.{name}"))
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Refused(name, words) if words.is_empty() => f.write_str(name),
            Failure::Refused(_, words) | Failure::Broken(words) => f.write_str(words),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Broken(format!("the connection is lost: {}", bulkhead_isolation::describe(&error)))
    }
}

/// Properties as they are sent: an array of names with values.
type Sent<'p> = Vec<(&'p str, &'p Variant<'static>)>;

fn sent(properties: &[Property]) -> Sent<'_> {
    properties.iter().map(|property| (property.name.as_str(), &property.value)).collect()
}

impl Bus {
    /// Connects, and asks to hear of jobs that end.
    pub(super) fn connect() -> Answer<Bus> {
        let (socket, direct) = address::connect().map_err(|why| {
            format!(
                "systemd is not to be reached: {why}; --systemd-cgroup needs it to run on this machine (without that flag \
                 control groups are made without systemd)"
            )
        })?;
        let socket = BufReader::new(socket);
        let mut bus = Bus { socket, direct, serial: 0, ended: VecDeque::new() };
        bus.greet().map_err(|why| format!("systemd is not to be reached: {why}"))?;
        Ok(bus)
    }

    fn greet(&mut self) -> Result<(), Failure> {
        address::authenticate(&mut self.socket)?;
        if self.direct {
            return Ok(());
        }
        self.send(&BUS, "Hello", &())?;
        let rule = format!(
            "type='signal',sender='{SYSTEMD}',interface='{}',path='{}',member='{JOB_REMOVED}'",
            MANAGER.interface, MANAGER.path
        );
        self.send(&BUS, "AddMatch", &(rule.as_str(),))?;
        // On the bus systemd tells nobody who has not asked.
        self.call("Subscribe", &()).map(drop)
    }

    fn call<B: Serialize + Type>(&mut self, method: &str, body: &B) -> Result<Message, Failure> {
        let destination = (!self.direct).then_some(SYSTEMD);
        self.send(&Target { destination, ..MANAGER }, method, body)
    }

    /// Calls, and waits for the answer.
    fn send<B: Serialize + Type>(
        &mut self,
        to: &Target<'_>,
        method: &str,
        body: &B,
    ) -> Result<Message, Failure> {
        self.serial += 1;
        let bytes = message::call(self.serial, to, method, body);
        let bytes =
            bytes.map_err(|error| Failure::Broken(format!("{method} cannot be asked for: {error}")))?;
        self.socket.get_mut().write_all(&bytes)?;
        loop {
            let message = self.next()?;
            if message.reply_to != Some(self.serial) {
                continue;
            }
            match message.kind {
                Kind::Error => {
                    let words = message.body::<(String,)>().map(|(words,)| words).unwrap_or_default();
                    return Err(Failure::Refused(message.name, words));
                }
                Kind::Return => return Ok(message),
                Kind::Signal | Kind::Other => {}
            }
        }
    }

    /// The next message; ends of jobs are noted.
    fn next(&mut self) -> io::Result<Message> {
        let message = message::read(&mut self.socket)?;
        if message.kind == Kind::Signal && message.name == JOB_REMOVED {
            let (_, job, _, result): (u32, OwnedObjectPath, String, String) = message.body()?;
            self.ended.push_back((job, result));
        }
        Ok(message)
    }

    /// Waits for the end of the job that an answer names; gives its result.
    fn end_of(&mut self, answer: &Message) -> Result<String, Failure> {
        let (wanted,): (OwnedObjectPath,) = answer.body()?;
        loop {
            while let Some((job, result)) = self.ended.pop_front() {
                if job == wanted {
                    return Ok(result);
                }
            }
            self.next()?;
        }
    }

    /// Makes a scope, and waits until it is there. This very process is put into it. Gives the run of the unit that this is.
    pub(super) fn start(&mut self, unit: &str, properties: &[Property]) -> Answer<String> {
        let failed = |why: Failure| format!("systemd does not make the unit {unit}: {why}");
        // As systemd numbers the sender of this: that may be otherwise than here.
        let own = Variant::from(vec![0u32]);
        let mut properties = sent(properties);
        properties.push(("PIDs", &own));
        let others: Vec<(&str, Sent<'_>)> = Vec::new();
        let body = (unit, "replace", properties, others);
        let mut turn = 0;
        let answer = loop {
            turn += 1;
            match self.call("StartTransientUnit", &body) {
                Err(why) if turn < TURNS && why.is("UnitExists") => {
                    // One that failed is kept until somebody has looked; one that is over goes by itself.
                    self.reset(unit)?;
                    std::thread::sleep(PAUSE);
                }
                answer => break answer.map_err(failed)?,
            }
        };
        match self.end_of(&answer).map_err(failed)?.as_str() {
            "done" => {
                self.run_of(unit)?.ok_or_else(|| format!("the unit {unit} has ended as soon as it was made"))
            }
            result => Err(format!("systemd does not make the unit {unit}: its job has ended as {result}")),
        }
    }

    /// Which run of a unit there is: a name may be another's later, and then the run is another (InvocationID). `None`: the
    /// unit is not there.
    pub(super) fn run_of(&mut self, unit: &str) -> Answer<Option<String>> {
        let failed = |why: &dyn std::fmt::Display| format!("systemd does not tell of the unit {unit}: {why}");
        let answer = match self.call("GetUnit", &(unit,)) {
            Err(why) if why.is("NoSuchUnit") => return Ok(None),
            answer => answer.map_err(|why| failed(&why))?,
        };
        let (path,): (OwnedObjectPath,) = answer.body().map_err(|why| failed(&why))?;
        let destination = (!self.direct).then_some(SYSTEMD);
        let target = Target { destination, path: path.as_str(), interface: PROPERTIES };
        let answer = self.send(&target, "Get", &(UNIT, "InvocationID")).map_err(|why| failed(&why))?;
        let (run,): (OwnedVariant,) = answer.body().map_err(|why| failed(&why))?;
        let run = Vec::<u8>::try_from(run).map_err(|why| failed(&why))?;
        // None: it was forgotten since it was named, and looked for again.
        Ok((!run.is_empty()).then(|| run.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    /// Sets properties, until the machine is booted again.
    pub(super) fn set(&mut self, unit: &str, properties: &[Property]) -> Answer<()> {
        let set = self.call("SetUnitProperties", &(unit, true, sent(properties)));
        set.map(drop).map_err(|why| format!("systemd does not change the unit {unit}: {why}"))
    }

    /// Stops a unit, waits until it has, and has it forgotten. One that is not there is fine.
    pub(super) fn stop(&mut self, unit: &str) -> Answer<()> {
        let failed = |why: Failure| format!("systemd does not stop the unit {unit}: {why}");
        match self.call("StopUnit", &(unit, "replace")) {
            Err(why) if why.is("NoSuchUnit") => {}
            answer => {
                let answer = answer.map_err(failed)?;
                self.end_of(&answer).map_err(failed)?;
            }
        }
        self.reset(unit)
    }

    /// Has a unit that failed forgotten.
    fn reset(&mut self, unit: &str) -> Answer<()> {
        match self.call("ResetFailedUnit", &(unit,)) {
            Err(why) if !why.is("NoSuchUnit") => {
                Err(format!("systemd does not forget the unit {unit}: {why}"))
            }
            _ => Ok(()),
        }
    }
}
