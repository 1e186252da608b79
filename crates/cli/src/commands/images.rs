//! `bulkhead images`.

use bulkhead_engine::Reference;
use bulkhead_engine::models::ImageSummary;
use serde_json::json;
use time::OffsetDateTime;

use super::{Done, shown};
use crate::Context;
use crate::output::durations::human_duration;
use crate::output::filters::parse;
use crate::output::format::{QUIET_WARNING, Row, Table, is_overridden, print_rows};
use crate::output::times::created_at;
use crate::output::units::human_size_with;

/// List images
#[derive(Debug, clap::Args)]
pub struct Images {
    /// Show all (there are no hidden ones here)
    #[arg(short, long)]
    all: bool,
    /// Show what registries call them
    #[arg(long)]
    digests: bool,
    /// Show only some: before=, dangling=, label=, reference=, since=, until=
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// A Go template, "table TEMPLATE" or "json"
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Do not shorten
    #[arg(long)]
    no_trunc: bool,
    /// Show IDs only
    #[arg(short, long)]
    quiet: bool,
    /// Show those of this name only
    repository: Option<String>,
}

const TABLE: Table<'static> = Table {
    format: "table {{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}",
    quiet: "{{.ID}}",
    raw: None,
    headers: &[
        ("ID", "IMAGE ID"),
        ("Repository", "REPOSITORY"),
        ("Tag", "TAG"),
        ("Digest", "DIGEST"),
        ("CreatedSince", "CREATED"),
        ("CreatedAt", "CREATED AT"),
        ("Size", "SIZE"),
        ("Containers", "CONTAINERS"),
    ],
    shapes: &[],
    type_name: "*formatter.imageContext",
};

/// What is shown instead with `--digests`.
const DIGESTS: &str = "table {{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}";

impl Images {
    pub(super) fn run(self, context: &Context) -> Done {
        let mut filters = parse(&self.filter)?;
        if let Some(name) = &self.repository {
            // Its familiar form, which is what filters are held against; or a pattern, as Docker takes it too.
            let familiar = Reference::parse_exact(name).map(|reference| reference.familiar());
            filters.add("reference", &familiar.unwrap_or_else(|_| name.clone()));
        }
        let mut rows = Vec::new();
        for image in context.engine()?.images_wanted(&filters)? {
            let before = rows.len();
            for name in &image.repo_tags {
                let (repository, tag) = name.rsplit_once(':').unwrap_or((name, "<none>"));
                let digest = image
                    .repo_digests
                    .iter()
                    .find_map(|name| name.strip_prefix(repository)?.strip_prefix('@'));
                rows.push(row(&image, [repository, tag, digest.unwrap_or("<none>")], self.no_trunc));
            }
            // A repository that has no tag here, but was pulled from by a digest.
            let tagged: Vec<&str> =
                image.repo_tags.iter().filter_map(|name| Some(name.rsplit_once(':')?.0)).collect();
            let untagged = image.repo_digests.iter().filter_map(|name| name.split_once('@'));
            for (repository, digest) in untagged.filter(|(repository, _)| !tagged.contains(repository)) {
                rows.push(row(&image, [repository, "<none>", digest], self.no_trunc));
            }
            if rows.len() == before {
                rows.push(row(&image, ["<none>"; 3], self.no_trunc));
            }
        }
        if is_overridden(self.format.as_deref(), self.quiet) {
            eprintln!("{QUIET_WARNING}");
        }
        let table = Table { format: if self.digests { DIGESTS } else { TABLE.format }, ..TABLE };
        shown(print_rows(&mut std::io::stdout().lock(), self.format.as_deref(), &table, self.quiet, &rows))?;
        Ok(0)
    }
}

fn row(image: &ImageSummary, [repository, tag, digest]: [&str; 3], whole: bool) -> Row {
    let created = OffsetDateTime::from_unix_timestamp(image.created).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let hex = image.id.trim_start_matches("sha256:");
    let id = if whole { image.id.clone() } else { hex.get(..12).unwrap_or(hex).to_owned() };
    Row::from(json!({
        "ID": id,
        "Repository": repository,
        "Tag": tag,
        "Digest": digest,
        "CreatedSince": format!("{} ago", human_duration(OffsetDateTime::now_utc() - created)),
        "CreatedAt": created_at(created),
        "Size": human_size_with(u64::try_from(image.size).unwrap_or(0), 3),
        "Containers": image.containers.to_string(),
    }))
}
