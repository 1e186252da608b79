//! What our tables consist of, and how they come from any state to this one. Whoever changes a set, a chain or a rule
//! raises [`LAYOUT`], and hosts with tables of an older layout get the new one at the next start of a container.

use super::batch::{BRIDGE, Batch, INET};
use super::state::Inventory;
use super::{chains, sets};
use crate::netlink::CREATE;

/// The name of both tables, the one of family `inet` and the one of family `bridge`.
pub const TABLE: &str = "bulkhead";
/// The comment of the chain `forward`, which tells layouts apart. (A table's comment cannot be changed, and the
/// table stays for the sake of the user's chain.)
pub(super) const LAYOUT: &str = "layout 3, kept by bulkhead";
const KEPT: &str = "kept by bulkhead";

const NFT_MSG_NEWTABLE: u16 = 0;
const NFT_MSG_DELTABLE: u16 = 2;
pub(super) const NFTA_TABLE_NAME: u16 = 1;
const NFTA_TABLE_USERDATA: u16 = 6;

/// Makes the tables, or puts back what of them is missing: what a set or map holds already stays, rules are written
/// anew.
pub(super) fn build(batch: &mut Batch<'_>) {
    make_table(batch, INET);
    make_table(batch, BRIDGE);
    sets::build(batch);
    chains::build(batch);
}

/// Makes one of the tables, if it is not there.
pub(super) fn make_table(batch: &mut Batch<'_>, family: u8) {
    let what = ("use nf_tables to make the firewall table", TABLE);
    batch.change(NFT_MSG_NEWTABLE, family, CREATE, what, |message| {
        message.text(NFTA_TABLE_NAME, TABLE).bytes(NFTA_TABLE_USERDATA, &comment(KEPT));
    });
}

/// Deletes everything that another layout left, but what is the user's: the chain `bulkhead-user`, and chains and sets
/// whose names begin like it. Sets that we still have, of the same types, are emptied instead, since rules of the
/// user's may look into them. Where the user has nothing, the table goes as a whole.
pub(super) fn clear<'a>(batch: &mut Batch<'a>, left: &'a Inventory) {
    let mut names = left.chains.iter().map(|(_, name)| name).chain(left.sets.iter().map(|(_, name, _)| name));
    let whole = !names.any(|name| is_the_users(name));
    if whole {
        delete_table(batch, INET);
    }
    let stays = |family: u8, name: &str| is_the_users(name) || (whole && family == INET);
    let chains = || left.chains.iter().filter(|(family, name)| !stays(*family, name));
    chains().for_each(|(family, name)| chains::empty(batch, *family, name));
    chains().for_each(|(family, name)| chains::delete(batch, *family, name));
    for (family, name, types) in left.sets.iter().filter(|(family, name, _)| !stays(*family, name)) {
        let kept = sets::SETS
            .iter()
            .any(|set| (set.family, set.name, set.types()) == (*family, name.as_str(), *types));
        if kept {
            sets::empty(batch, *family, name);
        } else {
            sets::delete(batch, *family, name);
        }
    }
}

fn is_the_users(name: &str) -> bool {
    name.starts_with(chains::USER)
}

/// Deletes one of the tables.
pub(super) fn delete_table(batch: &mut Batch<'_>, family: u8) {
    batch.change(NFT_MSG_DELTABLE, family, 0, ("delete the firewall table", TABLE), |message| {
        message.text(NFTA_TABLE_NAME, TABLE);
    });
}

/// A comment in the form that `nft` keeps beside chains, tables and elements: type 0, length, text with its zero byte.
pub(super) fn comment(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len() + 1).unwrap_or(u8::MAX);
    [&[0, length], text.as_bytes(), &[0]].concat()
}

/// The text of such a comment.
pub(super) fn comment_of(userdata: &[u8]) -> Option<&str> {
    match userdata {
        [0, _, text @ ..] => crate::netlink::text(text),
        _ => None,
    }
}
