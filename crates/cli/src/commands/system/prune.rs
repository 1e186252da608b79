//! `bulkhead system prune`.

use bulkhead_engine::commands::images::Removed;

use super::super::Done;
use super::super::container::confirmed;
use super::super::prune::{PruneFilter, print_deleted};
use crate::Context;
use crate::failure::Failure;
use crate::output::units::human_size_with;

/// Remove what is not used
#[derive(Debug, clap::Args)]
pub(super) struct Prune {
    /// All images that no container uses, not only those without a name
    #[arg(short, long)]
    all: bool,
    /// Remove only some: until=TIME, label=KEY[=VALUE], label!=KEY[=VALUE]
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// Volumes without a name of their own, too
    #[arg(long)]
    volumes: bool,
}

impl Prune {
    pub(super) fn run(self, context: &Context) -> Done {
        let filter = PruneFilter::parse(&self.filter, &["until", "label", "label!"])?;
        if self.volumes && filter.filters().has("until") {
            return Err(Failure::new("The \"until\" filter is not supported with \"--volumes\""));
        }
        if !self.force && !confirmed(&self.question(&filter))? {
            return Err(Failure::new("system prune has been cancelled"));
        }
        let mut engine = context.engine()?;
        let wanted = |created: i64, labels: &_| filter.wants(created, labels);
        // Containers first: what they used is free then.
        let containers = engine.prune_containers(&wanted)?;
        print_deleted("Containers", &containers.names);
        let mut bytes = containers.bytes;
        print_deleted("Networks", &engine.prune_networks(&wanted)?);
        if self.volumes {
            let volumes = engine.prune_volumes(false, &wanted)?;
            print_deleted("Volumes", &volumes.names);
            bytes += volumes.bytes;
        }
        let (images, size) = engine.prune_images(self.all, |image| wanted(image.created, &image.labels))?;
        let lines: Vec<String> = images
            .iter()
            .map(|removed| match removed {
                Removed::Untagged(name) => format!("untagged: {name}"),
                Removed::Deleted(name) => format!("deleted: {name}"),
            })
            .collect();
        print_deleted("Images", &lines);
        println!("Total reclaimed space: {}", human_size_with(bytes + size, 4));
        super::checkpoint_aside(context, &engine);
        Ok(0)
    }

    /// Docker's, of what there is here.
    fn question(&self, filter: &PruneFilter) -> String {
        let mut lines = vec![
            "This will remove:".to_owned(),
            "  - all stopped containers".into(),
            "  - all networks not used by at least one container".into(),
        ];
        if self.volumes {
            lines.push("  - all anonymous volumes not used by at least one container".into());
        }
        lines.push(match self.all {
            true => "  - all images without at least one container associated to them".into(),
            false => "  - all dangling images".into(),
        });
        let filters = filter.in_words();
        if !filters.is_empty() {
            lines.push(String::new());
            lines.push("  Items to be pruned will be filtered with:".into());
            lines.extend(filters.into_iter().map(|one| format!("  - {one}")));
        }
        lines.join("\n") + "\n"
    }
}
