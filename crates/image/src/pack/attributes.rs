//! What an archive says about a file's extended attributes: those that mean something elsewhere, with the IDs that the
//! container has (capabilities(7), acl(5)).

use std::io;
use std::os::fd::BorrowedFd;

use rustix::fs::{fgetxattr, flistxattr};
use rustix::io::Errno;

use crate::shift::Ids;
use crate::shift::attributes::acl;
use crate::unpack::attributes::is_allowed;

/// The kernel's limit for a list of attributes, and for a value (XATTR_LIST_MAX, XATTR_SIZE_MAX).
const MOST: usize = 64 * 1024;

/// Those of an open file or folder, by name. `buffer` is room that is used again.
pub(super) fn read(
    file: BorrowedFd<'_>,
    ids: Ids<'_>,
    buffer: &mut Vec<u8>,
) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    buffer.resize(MOST, 0);
    let length = match flistxattr(file, &mut buffer[..]) {
        Ok(length) => length,
        Err(Errno::NOTSUP) => 0,
        Err(error) => return Err(error.into()),
    };
    let names = buffer.get(..length).unwrap_or_default();
    let mut names: Vec<Vec<u8>> =
        names.split(|byte| *byte == 0).filter(|name| is_allowed(name)).map(<[u8]>::to_vec).collect();
    // A PAX record's key ends at the first one.
    names.retain(|name| !name.contains(&b'='));
    // Which order the file system has them in says nothing.
    names.sort();
    let mut all = Vec::with_capacity(names.len());
    for name in names.into_iter().filter(|name| !name.is_empty()) {
        let length = match fgetxattr(file, &name, &mut buffer[..]) {
            Ok(length) => length,
            // Gone meanwhile; or file capabilities that count for another container's root.
            Err(Errno::NODATA | Errno::OVERFLOW | Errno::NOTSUP) => continue,
            Err(error) => return Err(error.into()),
        };
        let value = buffer.get(..length).unwrap_or_default();
        let value = match name.as_slice() {
            b"security.capability" => match capability(value, ids) {
                Some(value) => value,
                None => continue,
            },
            b"system.posix_acl_access" | b"system.posix_acl_default" => acl(value, ids)?,
            _ => value.to_vec(),
        };
        all.push((name, value));
    }
    Ok(all)
}

/// `struct vfs_ns_cap_data` of linux/capability.h: version 3 names the root for whom it counts. If that is the
/// container's, it is version 2 in an archive, which names nobody. `None`: it means nothing to the container.
fn capability(value: &[u8], ids: Ids<'_>) -> Option<Vec<u8>> {
    const VERSION: u32 = 0xff00_0000;
    let word =
        |at: usize| -> Option<u32> { Some(u32::from_le_bytes(value.get(at..at + 4)?.try_into().ok()?)) };
    let first = word(0)?;
    match (first & VERSION, value.len()) {
        (0x0200_0000, 20) => Some(value.to_vec()),
        (0x0300_0000, 24) => {
            let root = (ids.user)(word(20)?)?;
            let version = if root == 0 { 0x0200_0000 } else { 0x0300_0000 };
            let mut new = (first & !VERSION | version).to_le_bytes().to_vec();
            new.extend_from_slice(value.get(4..20)?);
            if root != 0 {
                new.extend_from_slice(&root.to_le_bytes());
            }
            Some(new)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::capability;
    use crate::shift::Ids;

    #[test]
    fn capabilities_of_the_container_s_root_name_nobody_outside() {
        let user = |id: u32| id.checked_sub(524_288).filter(|id| *id < 65_536);
        let ids = Ids { user: &user, group: &user };
        let two = [&[1, 0, 0, 2][..], &[4; 16]].concat();
        let three = |root: u32| [&[1, 0, 0, 3][..], &[4; 16], &root.to_le_bytes()].concat();
        assert_eq!(capability(&two, ids).unwrap(), two);
        assert_eq!(capability(&three(524_288), ids).unwrap(), two);
        assert_eq!(capability(&three(524_295), ids).unwrap(), three(7));
        assert_eq!(capability(&three(5), ids), None);
        assert_eq!(capability(b"nonsense", ids), None);
    }
}
