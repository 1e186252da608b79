//! Who is asked for names that are no container's.

use std::net::IpAddr;

use bulkhead_network::files::nameservers;
use rustix::fs::stat;

use crate::networks::{NameService, Upstream};

/// As many as the C library asks (resolv.conf(5), MAXNS).
const MOST: usize = 3;

/// The resolvers, and the host's file that names them.
#[derive(Debug)]
pub(super) struct Resolvers {
    all: Vec<Upstream>,
    followed: Option<Box<str>>,
    /// Which state of that file they are of: its inode, and when that changed.
    seen: Option<(u64, i64, u64)>,
}

impl Resolvers {
    pub(super) fn new(service: NameService) -> Resolvers {
        let mut all = service.upstreams;
        all.truncate(MOST);
        Resolvers { all, followed: service.resolv_conf.map(Into::into), seen: None }
    }

    /// Whether there is anybody to ask. `out` says whether the container has a way out of its networks: if it has none,
    /// nobody is asked for it from the host's namespace either, since by names alone much can be carried out.
    pub(super) fn any(&self, out: bool) -> bool {
        self.all.iter().any(|resolver| resolver.inside || out)
    }

    /// Whom to ask now, in this order.
    pub(super) fn now(&mut self, out: bool) -> Vec<Upstream> {
        self.follow();
        self.all.iter().filter(|resolver| resolver.inside || out).cloned().collect()
    }

    /// Reads the host's file again if it is another than it was: a laptop changes networks while containers run.
    fn follow(&mut self) {
        let Some(path) = self.followed.as_deref() else { return };
        let Ok(found) = stat(path) else { return };
        let state = Some((found.st_ino, found.st_ctime, found.st_ctime_nsec));
        if state == self.seen {
            return;
        }
        // What cannot be read, or names nobody, is on its way to become something else.
        let Ok(text) = std::fs::read_to_string(path) else { return };
        let addresses: Vec<IpAddr> = nameservers(&text);
        if !addresses.is_empty() {
            self.seen = state;
            let from_host = |address| Upstream { address, inside: false };
            self.all = addresses.into_iter().map(from_host).take(MOST).collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Resolvers;
    use crate::networks::{NameService, Upstream};

    fn upstream(address: &str, inside: bool) -> Upstream {
        Upstream { address: address.parse().unwrap(), inside }
    }

    #[test]
    fn without_a_way_out_nobody_is_asked_from_outside() {
        let upstreams = vec![upstream("192.0.2.1", false), upstream("10.0.0.9", true)];
        let mut all = Resolvers::new(NameService { upstreams, ..NameService::default() });
        assert!(all.any(false) && all.any(true));
        assert_eq!((all.now(false), all.now(true).len()), (vec![upstream("10.0.0.9", true)], 2));
        let upstreams = vec![upstream("192.0.2.1", false)];
        let mut outside = Resolvers::new(NameService { upstreams, ..NameService::default() });
        assert!(!outside.any(false) && outside.now(false).is_empty());
        assert!(!Resolvers::new(NameService::default()).any(true));
    }

    #[test]
    fn the_host_s_file_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("resolv.conf");
        let write = |text: &str| {
            let next = folder.path().join("next");
            std::fs::write(&next, text).unwrap();
            std::fs::rename(next, &file).unwrap();
        };
        let upstreams = vec![upstream("192.0.2.1", false)];
        let resolv_conf = Some(file.to_str().unwrap().to_owned());
        let mut all = Resolvers::new(NameService {
            upstreams: upstreams.clone(),
            resolv_conf,
            registry: String::new(),
        });
        assert_eq!(all.now(true), upstreams);
        write("# nobody\n");
        assert_eq!(all.now(true), upstreams);
        write("nameserver 192.0.2.2\nnameserver fe80::1%eth0\nnameserver 2001:db8::1\n");
        assert_eq!(all.now(true), [upstream("192.0.2.2", false), upstream("2001:db8::1", false)]);
        std::fs::remove_file(&file).unwrap();
        assert_eq!(all.now(true).len(), 2);
    }
}
