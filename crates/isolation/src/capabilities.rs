//! Capabilities (capabilities(7)): root's power cut into pieces, and the fourteen that a container gets.

use rustix::thread::{
    CapabilitySet, CapabilitySets, capability_is_in_bounding_set, clear_ambient_capability_set,
    configure_capability_in_ambient_set, remove_capability_from_bounding_set, set_capabilities,
};
use serde::{Deserialize, Serialize};

use crate::error::{Result, Step};

/// Names without CAP_, in the kernel's order: the place is the number.
pub const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// A set of capabilities: bit N is capability number N.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Set(pub u64);

impl Set {
    /// None.
    pub const NONE: Set = Set(0);
    /// All that have a name here.
    pub const ALL: Set = Set((1 << NAMES.len()) - 1);
    /// Docker's default: what a program that believes to be root needs within its own files and processes.
    pub const DEFAULT: Set = Set(0xa804_25fb);

    /// The capability named `NET_ADMIN`, `CAP_NET_ADMIN`, or either in lower case.
    pub fn named(name: &str) -> Option<Set> {
        let upper = name.to_ascii_uppercase();
        let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
        NAMES.iter().position(|known| *known == bare).map(|number| Set(1 << number))
    }

    /// Both sets together.
    #[must_use]
    pub fn with(self, other: Set) -> Set {
        Set(self.0 | other.0)
    }

    /// This set less the other.
    #[must_use]
    pub fn without(self, other: Set) -> Set {
        Set(self.0 & !other.0)
    }

    /// What is in both.
    #[must_use]
    pub fn and(self, other: Set) -> Set {
        Set(self.0 & other.0)
    }

    /// Whether all of `other` is in this set.
    pub fn has(self, other: Set) -> bool {
        self.0 & other.0 == other.0
    }

    /// The names, `CAP_` included, in the kernel's order.
    pub fn names(self) -> Vec<String> {
        NAMES
            .iter()
            .enumerate()
            .filter(|(number, _)| self.0 & (1 << number) != 0)
            .map(|(_, name)| format!("CAP_{name}"))
            .collect()
    }

    fn to_kernel(self) -> CapabilitySet {
        CapabilitySet::from_bits_truncate(self.0)
    }
}

/// The five sets of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// What no later execve can go beyond.
    pub bounding: Set,
    /// What counts now.
    pub effective: Set,
    /// What can be made effective.
    pub permitted: Set,
    /// What passes through execve of a file that asks for it.
    pub inheritable: Set,
    /// What passes through execve of any file.
    pub ambient: Set,
}

impl Capabilities {
    /// The sets of a process that is root in its container; for another user only the bounding set stays
    /// (a program that is set-user-ID or has file capabilities can use it).
    pub fn of_root(set: Set) -> Capabilities {
        Capabilities { bounding: set, effective: set, permitted: set, ..Capabilities::default() }
    }
}

/// What this process could give away at most: its bounding set.
pub fn bounding_set() -> Set {
    let held = |number: &usize| {
        capability_is_in_bounding_set(CapabilitySet::from_bits_retain(1 << number)).unwrap_or(false)
    };
    Set((0..NAMES.len()).filter(held).fold(0, |set, number| set | 1 << number))
}

/// Narrows the bounding set for good. Needs CAP_SETPCAP, so it comes before [`apply`].
pub(crate) fn bound(capabilities: &Capabilities) -> Result<()> {
    for number in 0..64u32 {
        let one = Set(1 << number);
        if capabilities.bounding.has(one) {
            continue;
        }
        match capability_is_in_bounding_set(one.to_kernel_any()) {
            Ok(true) => remove_capability_from_bounding_set(one.to_kernel_any())
                .step("capabilities", || format!("drop capability {number} from the bounding set"))?,
            Ok(false) => {}
            // The first number that this kernel does not know: there are none beyond.
            Err(_) => break,
        }
    }
    Ok(())
}

impl Set {
    fn to_kernel_any(self) -> CapabilitySet {
        CapabilitySet::from_bits_retain(self.0)
    }
}

/// Takes on the sets. `as_root` says whether the process's user ID is 0: for others the permitted set is
/// what is ambient.
pub(crate) fn apply(capabilities: &Capabilities, as_root: bool) -> Result<()> {
    let keep = if as_root { Set::ALL } else { capabilities.ambient };
    let sets = CapabilitySets {
        effective: capabilities.effective.and(keep).to_kernel(),
        permitted: capabilities.permitted.and(keep).to_kernel(),
        inheritable: capabilities.inheritable.to_kernel(),
    };
    clear_ambient_capability_set().step("capabilities", || "clear the ambient capabilities")?;
    set_capabilities(None, sets).step("capabilities", || "set the capabilities")?;
    for number in 0..NAMES.len() {
        let one = Set(1 << number);
        if capabilities.ambient.has(one) {
            configure_capability_in_ambient_set(one.to_kernel_any(), true)
                .step("capabilities", || format!("make {} ambient", one.names().join("")))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Set;

    #[test]
    fn the_default_is_dockers_fourteen() {
        let mut names = Set::DEFAULT.names();
        names.sort();
        assert_eq!(
            names.join(" "),
            "CAP_AUDIT_WRITE CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_FSETID CAP_KILL CAP_MKNOD \
             CAP_NET_BIND_SERVICE CAP_NET_RAW CAP_SETFCAP CAP_SETGID CAP_SETPCAP CAP_SETUID CAP_SYS_CHROOT"
        );
    }

    #[test]
    fn names_are_taken_in_every_form() {
        for name in ["NET_ADMIN", "CAP_NET_ADMIN", "net_admin", "cap_net_admin"] {
            assert_eq!(Set::named(name), Some(Set(1 << 12)), "{name}");
        }
        assert_eq!(Set::named("CAP_CAP_NET_ADMIN"), None);
        assert_eq!(Set::named(""), None);
    }
}
