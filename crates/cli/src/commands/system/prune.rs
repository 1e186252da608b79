//! `bulkhead system prune`.

use bulkhead_engine::Error;
use bulkhead_engine::filters::Filters;
use bulkhead_engine::filters::prune::PruneFilter;

use super::super::Done;
use super::super::container::confirmed;
use super::super::prune::{in_words, print_deleted, print_deleted_images};
use crate::Context;
use crate::failure::Failure;
use crate::output::filters::parse;
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
        let filters = parse(&self.filter)?;
        let filter = PruneFilter::new(filters.clone()).map_err(Error::from)?;
        if self.volumes && filters.has("until") {
            return Err(Failure::new("The \"until\" filter is not supported with \"--volumes\""));
        }
        let mut of_images = filters.clone();
        of_images.add("dangling", if self.all { "false" } else { "true" });
        let of_images = PruneFilter::of_images(of_images).map_err(Error::from)?;
        if !self.force && !confirmed(&self.question(&filters))? {
            return Err(Failure::new("system prune has been cancelled"));
        }
        let mut engine = context.engine()?;
        // Containers first: what they used is free then.
        let containers = engine.prune_containers(&filter)?;
        print_deleted("Containers", &containers.names);
        let mut bytes = containers.bytes;
        print_deleted("Networks", &engine.prune_networks(&filter)?);
        if self.volumes {
            let volumes = engine.prune_volumes(&PruneFilter::of_volumes(filters).map_err(Error::from)?)?;
            print_deleted("Volumes", &volumes.names);
            bytes += volumes.bytes;
        }
        let (images, size) = engine.prune_images(&of_images)?;
        print_deleted_images(&images);
        println!("Total reclaimed space: {}", human_size_with(bytes + size, 4));
        super::checkpoint_aside(context, &engine);
        Ok(0)
    }

    /// Docker's, of what there is here.
    fn question(&self, filters: &Filters) -> String {
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
        let filters = in_words(filters);
        if !filters.is_empty() {
            lines.push(String::new());
            lines.push("  Items to be pruned will be filtered with:".into());
            lines.extend(filters.into_iter().map(|one| format!("  - {one}")));
        }
        lines.join("\n") + "\n"
    }
}
