//! `bulkhead image`: the commands for images once more, in Docker's group of that name; and `prune`, which is nowhere else.

use std::collections::BTreeMap;

use bulkhead_engine::commands::images::Removed;
use bulkhead_engine::models::ImageSummary;
use time::OffsetDateTime;

use super::container::confirmed;
use super::{Done, history, images, import, inspect, load, pull, push, rmi, save, shown, tag};
use crate::Context;
use crate::failure::Failure;
use crate::output::filters::Filters;
use crate::output::times::parse_time;
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
        let filters = Filters::parse(&self.filter).map_err(|error| Failure::new(error.to_string()))?;
        shown(filters.only(&["until", "label", "label!", "dangling"]))?;
        let dangling = filters.truth("dangling").map_err(|error| Failure::new(error.to_string()))?;
        let all = dangling.map_or(self.all, |dangling| !dangling);
        let until = match filters.get("until") {
            [] => None,
            [one] => {
                let time = parse_time(one, OffsetDateTime::now_utc());
                Some(time.map_err(|error| Failure::new(error.to_string()))?)
            }
            _ => return Err(Failure::new("more than one until filter specified")),
        };
        let question = if all {
            "This will remove all images without at least one container associated to them."
        } else {
            "This will remove all dangling images."
        };
        if !self.force && !confirmed(question)? {
            return Err(Failure::new("image prune has been cancelled"));
        }
        let wanted = |image: &ImageSummary| {
            let labels: BTreeMap<String, String> = image.labels.clone().into_iter().collect();
            until.is_none_or(|until| image.created < until.unix_timestamp())
                && filters.labels("label", &labels)
                && (!filters.has("label!") || !filters.labels("label!", &labels))
        };
        let (removed, bytes) = context.engine()?.prune_images(all, wanted)?;
        if !removed.is_empty() {
            println!("Deleted Images:");
            for one in &removed {
                match one {
                    Removed::Untagged(name) => println!("untagged: {name}"),
                    Removed::Deleted(digest) => println!("deleted: {digest}"),
                }
            }
            println!();
        }
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
