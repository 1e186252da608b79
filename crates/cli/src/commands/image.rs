//! `bulkhead image`: the commands for images once more, in Docker's group of that name.

use super::{Done, images, import, inspect, load, rmi, tag};
use crate::Context;

/// Manage images
#[derive(Debug, clap::Args)]
pub struct Image {
    #[command(subcommand)]
    command: Subcommand,
}

#[derive(Debug, clap::Subcommand)]
enum Subcommand {
    /// Make an image from the tar of a root file system
    Import(import::Import),
    /// Show everything about images
    Inspect(inspect::Inspect),
    /// Take in images from an archive
    Load(load::Load),
    /// List images
    #[command(visible_alias = "list")]
    Ls(images::Images),
    /// Remove images
    #[command(visible_alias = "remove")]
    Rm(rmi::Rmi),
    /// Give an image another name
    Tag(tag::Tag),
}

impl Image {
    pub(super) fn run(self, context: &Context) -> Done {
        match self.command {
            Subcommand::Import(command) => command.run(context),
            Subcommand::Inspect(command) => command.of_images().run(context),
            Subcommand::Load(command) => command.run(context),
            Subcommand::Ls(command) => command.run(context),
            Subcommand::Rm(command) => command.run(context),
            Subcommand::Tag(command) => command.run(context),
        }
    }
}
