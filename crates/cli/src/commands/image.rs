//! `bulkhead image`: the commands for images once more, in Docker's group of that name; and `prune`, which is nowhere else.

use bulkhead_engine::Error;
use bulkhead_engine::filters::prune::PruneFilter;

use super::container::confirmed;
use super::prune::print_deleted_images;
use super::{Done, history, images, import, inspect, load, pull, push, rmi, save, tag};
use crate::Context;
use crate::failure::Failure;
use crate::output::filters::parse;
use crate::output::units::human_size_with;

/// Manage images
#[derive(Debug, clap::Args)]
pub struct Image {
    #[command(subcommand)]
    command: Subcommand,
}

#[derive(Debug, clap::Subcommand)]
enum Subcommand {
    /// Show how an image came to be
    History(history::History),
    /// Make an image from the tar of a root file system
    Import(import::Import),
    /// Show everything about images
    Inspect(inspect::Inspect),
    /// Take in images from an archive
    Load(load::Load),
    /// List images
    #[command(visible_alias = "list")]
    Ls(images::Images),
    /// Remove images that no container uses and that have no name
    Prune(Prune),
    /// Fetch an image from a registry
    Pull(pull::Pull),
    /// Send an image to a registry
    Push(push::Push),
    /// Remove images
    #[command(visible_alias = "remove")]
    Rm(rmi::Rmi),
    /// Write images to an archive
    Save(save::Save),
    /// Give an image another name
    Tag(tag::Tag),
}

#[derive(Debug, clap::Args)]
struct Prune {
    /// Those that have a name, too
    #[arg(short, long)]
    all: bool,
    /// Remove only some: until=, label=, label!=, dangling=
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
}

impl Prune {
    fn run(self, context: &Context) -> Done {
        let mut filters = parse(&self.filter)?;
        if self.all && !filters.has("dangling") {
            filters.add("dangling", "false");
        }
        let filter = PruneFilter::of_images(filters).map_err(Error::from)?;
        let question = if filter.takes_named() {
            "This will remove all images without at least one container associated to them."
        } else {
            "This will remove all dangling images."
        };
        if !self.force && !confirmed(question)? {
            return Err(Failure::new("image prune has been cancelled"));
        }
        let (removed, bytes) = context.engine()?.prune_images(&filter)?;
        print_deleted_images(&removed);
        println!("Total reclaimed space: {}", human_size_with(bytes, 4));
        Ok(0)
    }
}

impl Image {
    pub(super) fn run(self, context: &Context) -> Done {
        match self.command {
            Subcommand::History(command) => command.run(context),
            Subcommand::Import(command) => command.run(context),
            Subcommand::Inspect(command) => command.of_images().run(context),
            Subcommand::Load(command) => command.run(context),
            Subcommand::Ls(command) => command.run(context),
            Subcommand::Prune(command) => command.run(context),
            Subcommand::Pull(command) => command.run(context),
            Subcommand::Push(command) => command.run(context),
            Subcommand::Rm(command) => command.run(context),
            Subcommand::Save(command) => command.run(context),
            Subcommand::Tag(command) => command.run(context),
        }
    }
}
