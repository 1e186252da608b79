//! Limits as properties of a unit (org.freedesktop.systemd1(5), systemd.resource-control(5)), so that systemd shows them,
//! and writes the same when it writes its groups' files anew. What it has no property for is in the files alone.

use bulkhead_isolation::cgroups::devices::{Access, Kind, Rule};
use bulkhead_isolation::cgroups::layout::Layout;
use bulkhead_isolation::cgroups::resources::Resources as Limits;
use zbus::wire::Variant;

/// systemd's number for what is not limited.
const UNLIMITED: u64 = u64::MAX;
/// A period of processor time, in microseconds, if none is said.
const PERIOD: u64 = 100_000;
/// Of a second of processor time systemd counts steps of ten milliseconds, in microseconds.
const STEP: u64 = 10_000;

/// One.
#[derive(Debug, PartialEq)]
pub(crate) struct Property {
    pub(crate) name: String,
    pub(crate) value: Variant<'static>,
}

impl Property {
    pub(crate) fn new(name: &str, value: impl Into<Variant<'static>>) -> Property {
        Property { name: name.to_owned(), value: value.into() }
    }
}

/// What is counted for every container.
pub(super) fn accounting(layout: &Layout) -> Vec<Property> {
    let disks = if is_v1(layout) { "BlockIOAccounting" } else { "IOAccounting" };
    ["MemoryAccounting", "CPUAccounting", "TasksAccounting", disks]
        .map(|name| Property::new(name, true))
        .into()
}

/// The limit of processes.
pub(super) fn of_tasks(limits: &Limits) -> Vec<Property> {
    let limit = limits.pids.map(|limit| Property::new("TasksMax", unlimited(limit)));
    limit
        .into_iter()
        .chain(limits.unified.iter().flat_map(|(file, value)| tasks(file, value.trim())))
        .collect()
}

fn tasks(file: &str, value: &str) -> Option<Property> {
    let limit = if value == "max" { Some(UNLIMITED) } else { value.parse().ok() };
    limit.filter(|_| file == "pids.max").map(|limit| Property::new("TasksMax", limit))
}

/// All other limits that systemd knows.
pub(super) fn of(limits: &Limits, layout: &Layout) -> Vec<Property> {
    let mut all = Vec::new();
    let mut number =
        |name: &str, value: Option<u64>| all.extend(value.map(|value| Property::new(name, value)));
    if is_v1(layout) {
        number("MemoryLimit", limits.memory.map(unlimited));
        number("CPUShares", limits.cpu_shares);
        number("BlockIOWeight", limits.blkio_weight.map(u64::from));
    } else {
        number("MemoryMax", limits.memory.map(unlimited));
        number("MemoryLow", limits.memory_reservation.map(unlimited));
        number("MemorySwapMax", limits.swap_alone().map(unlimited));
        number("CPUWeight", limits.cpu_weight());
    }
    if limits.cpu_quota.is_some() || limits.cpu_period.is_some() {
        number("CPUQuotaPeriodUSec", limits.cpu_period);
        number("CPUQuotaPerSecUSec", Some(per_second(limits.cpu_quota, limits.cpu_period)));
    }
    for (name, list) in [("AllowedCPUs", &limits.cpuset_cpus), ("AllowedMemoryNodes", &limits.cpuset_mems)] {
        // A list that is none is the kernel's to refuse.
        all.extend(list.as_deref().and_then(bits).map(|bits| Property::new(name, bits)));
    }
    for (file, value) in &limits.unified {
        all.extend(unified(file, value.trim()));
    }
    all
}

/// Files of version 2 that are properties too.
fn unified(file: &str, value: &str) -> Vec<Property> {
    let number = || if value == "max" { Some(UNLIMITED) } else { value.parse().ok() };
    let one =
        |name: &str, value: Option<u64>| value.map(|value| Property::new(name, value)).into_iter().collect();
    match file {
        "memory.max" => one("MemoryMax", number()),
        "memory.high" => one("MemoryHigh", number()),
        "memory.low" => one("MemoryLow", number()),
        "memory.min" => one("MemoryMin", number()),
        "memory.swap.max" => one("MemorySwapMax", number()),
        "cpu.weight" => one("CPUWeight", value.parse().ok()),
        "cpu.max" => {
            let (quota, period) = value.split_once(' ').unwrap_or((value, "100000"));
            let (quota, period) = (quota.parse().ok(), period.trim().parse().ok());
            [("CPUQuotaPeriodUSec", period), ("CPUQuotaPerSecUSec", Some(per_second(quota, period)))]
                .into_iter()
                .filter_map(|(name, value)| Some(Property::new(name, value?)))
                .collect()
        }
        "cpuset.cpus" => bits(value).map(|bits| Property::new("AllowedCPUs", bits)).into_iter().collect(),
        "cpuset.mems" => {
            bits(value).map(|bits| Property::new("AllowedMemoryNodes", bits)).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// The devices that may be opened: systemd knows lists of what is allowed alone. A rule that takes something away again is
/// left to the group itself; here it takes what it covers whole.
pub(super) fn devices(rules: &[Rule]) -> Vec<Property> {
    if rules.is_empty() {
        return Vec::new();
    }
    let mut allowed: Vec<&Rule> = Vec::new();
    for rule in rules {
        if rule.allow {
            allowed.push(rule);
        } else {
            allowed.retain(|before| !covers(rule, before));
        }
    }
    if allowed.iter().any(|rule| rule.kind == Kind::All) {
        return vec![Property::new("DevicePolicy", "auto")];
    }
    let list: Vec<(String, String)> = allowed.iter().map(|rule| entry(rule)).collect();
    vec![Property::new("DevicePolicy", "strict"), Property::new("DeviceAllow", list)]
}

fn covers(taken: &Rule, given: &Rule) -> bool {
    let number = |taken: Option<u32>, given: Option<u32>| taken.is_none() || taken == given;
    (taken.kind == Kind::All || taken.kind == given.kind)
        && (taken.access == Access::ALL || taken.access == given.access)
        && number(taken.major, given.major)
        && number(taken.minor, given.minor)
}

/// A device as systemd names it, and what may be done with it.
fn entry(rule: &Rule) -> (String, String) {
    let kind = if rule.kind == Kind::Block { "block" } else { "char" };
    let device = match (rule.major, rule.minor) {
        (Some(major), Some(minor)) => format!("/dev/{kind}/{major}:{minor}"),
        (Some(major), None) => format!("{kind}-{major}"),
        (None, _) => format!("{kind}-*"),
    };
    (device, rule.access.to_string())
}

fn is_v1(layout: &Layout) -> bool {
    matches!(layout, Layout::V1(_))
}

fn unlimited(limit: i64) -> u64 {
    u64::try_from(limit).unwrap_or(UNLIMITED)
}

/// Microseconds of each second, rounded up as systemd would round its own.
fn per_second(quota: Option<i64>, period: Option<u64>) -> u64 {
    let Some(quota) = quota.and_then(|quota| u64::try_from(quota).ok()).filter(|quota| *quota > 0) else {
        return UNLIMITED;
    };
    let period = period.filter(|period| *period > 0).unwrap_or(PERIOD);
    (quota.saturating_mul(1_000_000) / period).div_ceil(STEP).saturating_mul(STEP)
}

/// `0-2,5` as bits, the lowest first.
fn bits(list: &str) -> Option<Vec<u8>> {
    const HIGHEST: usize = 8191;
    let mut bits = Vec::new();
    for part in list.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        if first > last || last > HIGHEST {
            return None;
        }
        for bit in first..=last {
            let byte = bit / 8;
            if bits.len() <= byte {
                bits.resize(byte + 1, 0u8);
            }
            *bits.get_mut(byte)? |= 1 << (bit % 8);
        }
    }
    Some(bits)
}

#[cfg(test)]
mod tests {
    use super::{bits, devices, of, per_second};
    use bulkhead_isolation::cgroups::devices::{Access, Kind, Rule, standard};
    use bulkhead_isolation::cgroups::layout::Layout;
    use bulkhead_isolation::cgroups::resources::Resources as Limits;
    use proptest::prelude::*;
    use zbus::wire::Variant;

    #[test]
    fn lists_are_bits() {
        assert_eq!(bits("0-2,5"), Some(vec![0b10_0111]));
        assert_eq!(bits("8"), Some(vec![0, 1]));
        for bad in ["", "a", "3-1", "1-", "99999", "0-18446744073709551615"] {
            assert_eq!(bits(bad), None, "{bad}");
        }
    }

    #[test]
    fn each_version_has_its_own_names() {
        let limits = Limits {
            memory: Some(-1),
            memory_swap: Some(100),
            cpu_shares: Some(1024),
            cpu_quota: Some(50_001),
            unified: vec![("memory.high".into(), "max".into()), ("cpu.max".into(), "max 1000".into())],
            ..Limits::default()
        };
        let named = |layout: &Layout| {
            let all = of(&limits, layout).into_iter().map(|property| match property.value {
                Variant::U64(number) => (property.name, number),
                other => panic!("{other:?}"),
            });
            all.collect::<Vec<_>>()
        };
        let v1 = named(&Layout::V1(Vec::new()));
        assert_eq!(v1[..2], [("MemoryLimit".into(), u64::MAX), ("CPUShares".into(), 1024)]);
        let v2 = named(&Layout::V2("/x".into()));
        for (name, value) in [
            ("MemoryMax", u64::MAX),
            ("MemorySwapMax", 101),
            ("CPUWeight", 39),
            ("CPUQuotaPerSecUSec", 510_000),
            ("MemoryHigh", u64::MAX),
            ("CPUQuotaPeriodUSec", 1000),
        ] {
            assert!(v2.contains(&(name.to_owned(), value)), "{name} {v2:?}");
        }
    }

    #[test]
    fn a_second_of_all_is_never_less_than_asked_for() {
        assert_eq!(per_second(Some(50_000), None), 500_000);
        assert_eq!(per_second(Some(-1), Some(5)), u64::MAX);
        assert_eq!(per_second(Some(1), Some(1_000_000)), 10_000);
    }

    #[test]
    fn devices_are_a_list_of_what_is_allowed() {
        let mut rules = vec![Rule::deny_all()];
        rules.push(Rule::allow(Kind::Character, Some(10), None, Access::ALL));
        rules.extend(standard().into_iter().skip(1));
        let all = format!("{:?}", devices(&rules));
        assert!(all.contains("strict") && all.contains("char-10") && all.contains("/dev/char/1:3"), "{all}");
        let everything = Rule { allow: true, ..Rule::deny_all() };
        assert!(format!("{:?}", devices(std::slice::from_ref(&everything))).contains("auto"));
        assert!(format!("{:?}", devices(&[everything, Rule::deny_all()])).contains("strict"));
        assert!(devices(&[]).is_empty());
    }

    proptest! {
        #[test]
        fn no_list_makes_it_panic(list in "[0-9,\\- ]{0,20}") {
            let _ = bits(&list);
        }
    }
}
