//! What can be done with containers and images: a file per command.

pub mod attach;
pub mod create;
pub mod disk_usage;
pub mod exec;
pub mod images;
pub mod info;
pub mod inspect;
pub mod list;
pub mod load;
pub mod logs;
pub mod namespaces;
pub mod network;
pub mod pause;
pub mod port;
pub mod prune;
pub mod remove;
pub mod rename;
pub mod reset;
pub mod start;
pub mod stats;
pub mod stop;
pub mod tag;
pub mod top;
pub mod update;
pub mod volume;
pub mod wait;
