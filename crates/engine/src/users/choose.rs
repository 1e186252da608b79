//! What a container's user namespace comes to: what was asked for, under what the machine's administrator decided, for
//! this image.

use bulkhead_image::Highest;
use bulkhead_isolation::namespaces::user::{IdMap, IdMappings};

use super::Users;
use super::mode::{Auto, Mode};
use super::pool::{Pool, SLOT, Taken};
use crate::accounts::{Range, remap::Remap};
use crate::error::{Error, Result};

/// A decision, before anything is leased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// These.
    Settled(Users),
    /// A range that is still to be leased.
    Lease(Template),
}

/// A mapping that lacks only the first ID of its range.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Template {
    /// How many IDs there are.
    pub(crate) size: u32,
    uids: Vec<IdMap>,
    gids: Vec<IdMap>,
}

/// What the choice depends on.
pub(crate) struct Asked<'a> {
    pub(crate) mode: Mode,
    pub(crate) wanted: HostS,
    /// `userns-remap`, if it is set.
    pub(crate) remap: Option<&'a Remap>,
    pub(crate) pool: Pool,
    /// What this engine has handed out or taken for itself, wherever the pool was then.
    pub(crate) reserved: &'a Taken,
    /// Who asks, where that is known: user and group.
    pub(crate) caller: Option<(u32, u32)>,
}

/// What is asked for that belongs to the host's user namespace.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HostS {
    /// All privileges.
    pub(crate) privileged: bool,
    /// The host's processes.
    pub(crate) pid: bool,
    /// The host's network.
    pub(crate) net: bool,
    /// The host's IPC.
    pub(crate) ipc: bool,
}

impl HostS {
    /// Docker's refusals where containers share a range: Docker's users know these messages.
    pub(crate) fn refuse(self) -> Result<()> {
        let refused = [
            (self.privileged, "privileged mode is incompatible with user namespaces"),
            (self.pid, "cannot share the host PID namespace when user namespaces are enabled"),
            (self.net, "cannot share the host's network namespace when user namespaces are enabled"),
            (self.ipc, "cannot share the host IPC namespace when user namespaces are enabled"),
        ];
        match refused.iter().find(|(refused, _)| *refused) {
            Some((_, why)) => Err(Error::Invalid(format!(
                "{why} (userns-remap is set, for serve or in /etc/bulkhead/daemon.json): run the container in the host's user namespace \
                 with --userns=host"
            ))),
            None => Ok(()),
        }
    }
}

impl Template {
    /// The mapping with its range from `first` on.
    pub(crate) fn with(&self, first: u32) -> IdMappings {
        let fill = |lines: &[IdMap]| {
            let mut all = lines.to_vec();
            let mut sorted: Vec<(u32, u32)> =
                lines.iter().map(|line| (line.inside, line.inside.saturating_add(line.count))).collect();
            sorted.sort_unstable();
            let mut from = 0;
            for (start, end) in sorted.into_iter().chain([(self.size, self.size)]) {
                let start = start.min(self.size);
                if start > from {
                    all.push(IdMap { inside: from, outside: first + from, count: start - from });
                }
                from = from.max(end);
            }
            all.sort_unstable_by_key(|line| line.inside);
            all
        };
        IdMappings { uids: fill(&self.uids), gids: fill(&self.gids) }
    }
}

/// Decides. Gives warnings too, a sentence each.
///
/// # Errors
/// What `userns-remap` forbids, in Docker's spirit; a mapping that cannot be had.
pub(crate) fn choose(asked: &Asked<'_>, warnings: &mut Vec<String>) -> Result<Choice> {
    match &asked.mode {
        Mode::Host => Ok(Choice::Settled(Users::Host)),
        Mode::Usual => match asked.remap {
            Some(remap) => remapped(asked, remap),
            None if asked.wanted.privileged => {
                warnings.push(
                    "a privileged container runs in the host's user namespace: its root is the host's root \
                     (--userns=auto keeps it within its own, --userns=host says that it is meant)"
                        .into(),
                );
                Ok(Choice::Settled(Users::Host))
            }
            None => Ok(lease(&Auto::default())),
        },
        Mode::Auto(auto) => {
            check_lines(&auto.uids, asked)?;
            check_lines(&auto.gids, asked)?;
            Ok(lease(auto))
        }
        Mode::KeepId { uid, gid, size } => keep_id(asked, *uid, *gid, *size),
        Mode::Lines { uids, gids } => {
            check_lines(uids, asked)?;
            check_lines(gids, asked)?;
            let mappings = IdMappings { uids: uids.clone(), gids: gids.clone() };
            if mappings.outside(0, 0).is_none() {
                return Err(Error::Invalid(
                    "invalid ID mapping: it has no line for user 0 and group 0 of the container".into(),
                ));
            }
            Ok(Choice::Settled(Users::Lines(mappings)))
        }
        // Whose it is, the caller of this looks up.
        Mode::Container(name) => Err(Error::Invalid(format!("the container {name} was not looked up"))),
    }
}

fn lease(auto: &Auto) -> Choice {
    Choice::Lease(Template {
        size: auto.size.unwrap_or(SLOT),
        uids: auto.uids.clone(),
        gids: auto.gids.clone(),
    })
}

/// The range that all containers share.
fn remapped(asked: &Asked<'_>, remap: &Remap) -> Result<Choice> {
    asked.wanted.refuse()?;
    let own = |range: &&Range| {
        asked.reserved.overlap(range.first, range.first.saturating_add(range.count)).is_some()
    };
    if let Some(range) = remap.uids.iter().chain(&remap.gids).find(own) {
        return Err(Error::Invalid(format!(
            "userns-remap cannot use the range {}:{} of user {}: containers have ranges of their own in it",
            range.first, range.count, remap.user
        )));
    }
    let chain = |ranges: &[Range]| {
        let mut inside = 0;
        let mut lines = Vec::new();
        for range in ranges {
            lines.push(IdMap { inside, outside: range.first, count: range.count });
            inside += range.count;
        }
        lines
    };
    Ok(Choice::Settled(Users::Shared(IdMappings { uids: chain(&remap.uids), gids: chain(&remap.gids) })))
}

fn keep_id(asked: &Asked<'_>, uid: Option<u32>, gid: Option<u32>, size: Option<u32>) -> Result<Choice> {
    let Some((caller, group)) = asked.caller.filter(|(uid, gid)| *uid != 0 && *gid != 0) else {
        return Err(Error::Invalid(
            "--userns=keep-id keeps who you are, and you are root: run it with sudo from your own account, or use \
             --userns=host"
                .into(),
        ));
    };
    let (uid, gid) = (uid.unwrap_or(caller), gid.unwrap_or(group));
    let kept = |inside, outside| [IdMap { inside, outside, count: 1 }];
    check_lines(&kept(uid, caller), asked)?;
    check_lines(&kept(gid, group), asked)?;
    let size = size.unwrap_or(SLOT).max(uid.max(gid).saturating_add(1));
    Ok(Choice::Lease(Template {
        size,
        uids: vec![IdMap { inside: uid, outside: caller, count: 1 }],
        gids: vec![IdMap { inside: gid, outside: group, count: 1 }],
    }))
}

/// Lines of one's own must not reach into the pool: its ranges belong to containers, one each.
fn check_lines(lines: &[IdMap], asked: &Asked<'_>) -> Result<()> {
    let pool = asked.pool;
    let taken = |line: &&IdMap| {
        let end = line.outside.saturating_add(line.count);
        pool.holds(line.outside, line.count) || asked.reserved.overlap(line.outside, end).is_some()
    };
    match lines.iter().find(taken) {
        Some(line) => Err(Error::Invalid(format!(
            "invalid ID mapping {}:{}:{}: the host's IDs {}-{} are those that containers get ranges of their own from \
             (userns-auto-pool)",
            line.inside, line.outside, line.count, pool.first, pool.last
        ))),
        None => Ok(()),
    }
}

/// Refuses an image with files whose owners the container would not know.
pub(crate) fn check_image(choice: &Choice, highest: &Highest) -> Result<()> {
    let knows = match choice {
        Choice::Settled(users) => {
            users.mappings().is_none_or(|mappings| mappings.outside(highest.id, highest.id).is_some())
        }
        Choice::Lease(template) => template.with(SLOT).outside(highest.id, highest.id).is_some(),
    };
    if knows {
        return Ok(());
    }
    let size = (u64::from(highest.id) + 1).next_multiple_of(u64::from(SLOT));
    Err(Error::Invalid(format!(
        "the image's file /{} belongs to ID {}, which is outside of the container's ID range: ask for a larger one with \
         --userns=auto:size={size}",
        highest.path.trim_start_matches('/'),
        highest.id
    )))
}

#[cfg(test)]
mod tests {
    use super::{Asked, Choice, HostS, Template, check_image, choose};
    use crate::users::mode::Mode;
    use crate::users::pool::{Pool, SLOT, Taken};
    use bulkhead_image::Highest;
    use bulkhead_isolation::namespaces::user::{IdMap, IdMappings};

    fn asked(mode: &str) -> Asked<'static> {
        Asked {
            mode: Mode::read(mode).unwrap(),
            wanted: HostS::default(),
            remap: None,
            pool: Pool::default(),
            reserved: Box::leak(Box::new(Taken::new([(200_000, 265_536)]))),
            caller: Some((1000, 1001)),
        }
    }

    fn template(asked: &Asked<'_>) -> Template {
        match choose(asked, &mut Vec::new()).unwrap() {
            Choice::Lease(template) => template,
            other @ Choice::Settled(_) => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_usual_is_a_range_of_its_own() {
        assert_eq!(template(&asked("")).with(SLOT), IdMappings::range(SLOT, SLOT));
    }

    #[test]
    fn privileged_is_the_host_s_with_a_word_about_it() {
        let mut warnings = Vec::new();
        let privileged = HostS { privileged: true, ..HostS::default() };
        let plain = Asked { wanted: privileged, ..asked("") };
        assert_eq!(choose(&plain, &mut warnings).unwrap(), Choice::Settled(crate::users::Users::Host));
        assert_eq!(warnings.len(), 1);
        assert_eq!(template(&Asked { wanted: privileged, ..asked("auto") }).size, SLOT);
    }

    #[test]
    fn keep_id_keeps_one_and_gives_the_rest() {
        let map = template(&asked("keep-id")).with(SLOT);
        assert_eq!(map.outside(1000, 1001), Some((1000, 1001)));
        assert_eq!(map.outside(0, 0), Some((SLOT, SLOT)));
        assert_eq!(map.outside(1001, 1002), Some((SLOT + 1001, SLOT + 1002)));
        let other = template(&asked("keep-id:uid=5,gid=6")).with(SLOT);
        assert_eq!(other.outside(5, 6), Some((1000, 1001)));
        for caller in [(0, 0), (600_000, 1000), (1000, 600_000)] {
            assert!(choose(&Asked { caller: Some(caller), ..asked("keep-id") }, &mut Vec::new()).is_err());
        }
    }

    #[test]
    fn lines_of_one_s_own_stay_out_of_the_pool() {
        for bad in [
            "map:uids=0:600000:65536",
            "auto:uidmapping=0:524288:1",
            "map:uids=1:100000:5",
            "map:uids=0:190000:20000",
        ] {
            assert!(choose(&asked(bad), &mut Vec::new()).is_err(), "{bad}");
        }
        let line = IdMap { inside: 0, outside: 100_000, count: 70_000 };
        let expected = IdMappings { uids: vec![line], gids: vec![line] };
        assert_eq!(
            choose(&asked("map:uids=0:100000:70000"), &mut Vec::new()).unwrap(),
            Choice::Settled(crate::users::Users::Lines(expected))
        );
    }

    #[test]
    fn an_image_whose_owners_do_not_fit_is_refused_with_a_size_that_does() {
        let highest = Highest { id: 100_000, path: "home/big".into() };
        let small = Choice::Lease(template(&asked("")));
        let said = check_image(&small, &highest).unwrap_err().to_string();
        assert!(said.contains("/home/big") && said.contains("size=131072"), "{said}");
        assert!(check_image(&Choice::Lease(template(&asked("auto:size=131072"))), &highest).is_ok());
    }
}
