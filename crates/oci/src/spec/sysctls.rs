//! `linux.sysctl`: only parameters that belong to a namespace of the container's own, for any other would be the machine's.

use std::collections::BTreeMap;

use bulkhead_isolation::namespaces::Namespaces;
use bulkhead_isolation::namespaces::ipc::IpcNamespace;
use bulkhead_isolation::namespaces::net::NetNamespace;
use bulkhead_isolation::namespaces::uts::UtsNamespace;
use bulkhead_isolation::sysctls::is_of_ipc;

use super::FILE;
use crate::error::{Error, Result};

pub(super) fn check(
    given: Option<&BTreeMap<String, String>>,
    namespaces: &Namespaces,
) -> Result<Vec<(String, String)>> {
    let mut all = Vec::new();
    for (name, value) in given.into_iter().flatten() {
        // Both ways of sysctl(8) to write it.
        let dotted = if name.find('/') < name.find('.') && name.contains('/') {
            name.replace('.', "\u{0}").replace('/', ".").replace('\u{0}', "/")
        } else {
            name.clone()
        };
        let refuse = |why: &str| Err(Error::invalid(format!("{FILE}: linux.sysctl: {name}: {why}")));
        if is_of_ipc(&dotted) {
            if namespaces.ipc != IpcNamespace::New {
                return refuse("sysctl is not allowed in the hosts ipc namespace");
            }
        } else if dotted.starts_with("net.") {
            if namespaces.net == NetNamespace::Host {
                return refuse("sysctl is not allowed in the hosts network namespace");
            }
        } else if dotted == "kernel.domainname" {
            if !matches!(namespaces.uts, UtsNamespace::New { .. }) {
                return refuse("sysctl is not allowed in the hosts uts namespace");
            }
        } else if dotted == "kernel.hostname" {
            return refuse("write hostname instead");
        } else {
            return refuse("sysctl is not in a separate kernel namespace");
        }
        all.push((dotted, value.clone()));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::check;
    use bulkhead_isolation::namespaces::Namespaces;
    use bulkhead_isolation::namespaces::net::NetNamespace;

    #[test]
    fn only_what_belongs_to_a_namespace_of_its_own_is_set() {
        let mut namespaces = Namespaces::default();
        let ask = |name: &str, namespaces: &Namespaces| {
            check(Some(&[(name.to_owned(), "1".to_owned())].into()), namespaces)
                .map(|all| all[0].0.clone())
                .ok()
        };
        assert_eq!(ask("net.ipv4.ip_forward", &namespaces).as_deref(), Some("net.ipv4.ip_forward"));
        assert_eq!(
            ask("net/ipv4/conf/eth0.1/forwarding", &namespaces).as_deref(),
            Some("net.ipv4.conf.eth0/1.forwarding")
        );
        for refused in ["kernel.panic", "vm.swappiness", "kernel.hostname", "kernel", "net", ""] {
            assert_eq!(ask(refused, &namespaces), None, "{refused}");
        }
        namespaces.net = NetNamespace::Host;
        assert_eq!(ask("net.ipv4.ip_forward", &namespaces), None);
    }
}
