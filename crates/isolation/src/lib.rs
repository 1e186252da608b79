//! The isolation core: what makes a process a container.
//!
//! A caller writes a [`Plan`] and has it carried out by [`birth::bring`]; later programs enter the same
//! container by [`enter::enter`]. Read [`birth`] first: it is the list of what happens.
//!
//! | what | where |
//! |---|---|
//! | namespaces, one file each | [`namespaces`] |
//! | the root file system | [`rootfs`] |
//! | mounts, /dev, masked paths | [`mounts`], [`devices`] |
//! | what root may not do | [`capabilities`], [`seccomp`] |
//! | how much it may use, and when | [`cgroups`], [`rlimits`], [`priorities`] |
//! | whom it runs as | [`users`] |
//! | the supervisor's side of a birth, and the child's; what they say | [`birth`], `child`, `messages` |
//! | its files as others read and write them | [`view`], [`inside`] |
//! | the last steps before a program runs, first or later | `program`, `terminal` |
//! | a child that waits before these, and programs run on the way | [`hold`], [`hooks`] |
//! | who answers a filter that asks | [`listener`] |
//! | AppArmor, SELinux | [`labels`] |
//! | whether a process is still the same | [`identity`] |
//!
//! This crate knows no engine, image or network: those above it write the plan and wire the network.

pub mod birth;
pub mod capabilities;
pub mod cgroups;
mod child;
pub mod devices;
pub mod enter;
mod error;
pub mod hold;
pub mod hooks;
pub mod identity;
pub mod inside;
pub mod labels;
pub mod listener;
mod messages;
pub mod mounts;
pub mod namespaces;
pub mod plan;
pub mod priorities;
mod program;
pub mod rlimits;
pub mod rootfs;
pub mod seccomp;
pub mod sysctls;
mod terminal;
pub mod trace;
pub mod users;
pub mod view;

pub use error::{Error, Kind, Result, Step, describe};
pub use plan::{Extras, Handle, Hooks, Ids, Plan, Process, TerminalSize};
