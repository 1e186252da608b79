//! From networks in the store to what a supervisor is told of them, and back to what Docker shows.
//!
//! | file | turns |
//! |---|---|
//! | [`asked`] | `--network`, `--ip`, `--network-alias` … into the networks that a container is to be on |
//! | [`memberships`] | the endpoints of the store into links, addresses, routes and names |
//! | [`ports`] | `-p`, `-P` into ports to be published; what is published into Docker's form |
//! | `ready` | all of that together, before a start |
//! | [`shown`] | endpoints into Docker's form |

pub(crate) mod asked;
pub(crate) mod memberships;
pub(crate) mod ports;
mod ready;
pub(crate) mod shown;
