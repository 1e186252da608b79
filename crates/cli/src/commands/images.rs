//! `bulkhead images`.

use std::collections::BTreeMap;

use bulkhead_engine::Reference;
use bulkhead_engine::models::ImageSummary;
use serde_json::json;
use time::OffsetDateTime;

use super::{Done, shown};
use crate::Context;
use crate::failure::Failure;
use crate::output::durations::human_duration;
use crate::output::filters::{Filters, pattern_matches};
use crate::output::format::{QUIET_WARNING, Row, Table, is_overridden, print_rows};
use crate::output::times::created_at;
use crate::output::units::human_size_with;

/// List images
#[derive(Debug, clap::Args)]
pub struct Images {
    /// Show all (there are no hidden ones here)
    #[arg(short, long)]
    all: bool,
    /// Show only some: reference=, label=, dangling=
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

impl Images {
    pub(super) fn run(self, context: &Context) -> Done {
        let filters = Filters::parse(&self.filter).map_err(|error| Failure::new(error.to_string()))?;
        shown(filters.only(&["dangling", "label", "reference"]))?;
        let dangling = filters.truth("dangling").map_err(|error| Failure::new(error.to_string()))?;
        let wanted = self.repository.as_deref().map(Reference::parse_exact).transpose();
        let wanted = wanted.map_err(|error| Failure::new(error.to_string()))?;
        let mut rows = Vec::new();
        for image in context.engine()?.images()? {
            let labels: BTreeMap<String, String> = image.labels.clone().into_iter().collect();
            if !filters.labels("label", &labels) || dangling.is_some_and(|d| d != image.repo_tags.is_empty())
            {
                continue;
            }
            let by_name = wanted.is_some() || filters.has("reference");
            for name in &image.repo_tags {
                let Ok(reference) = Reference::parse(name) else { continue };
                let same = wanted.as_ref().is_none_or(|wanted| {
                    wanted.name() == reference.name()
                        && wanted.tag().is_none_or(|tag| reference.tag() == Some(tag))
                });
                let (repository, tag) = (reference.familiar_name(), reference.tag().unwrap_or("<none>"));
                let matches = |pattern: &String| {
                    pattern_matches(pattern, &format!("{repository}:{tag}"))
                        || pattern_matches(pattern, &repository)
                };
                if same && (!filters.has("reference") || filters.any("reference", matches)) {
                    rows.push(row(&image, &repository, tag, self.no_trunc));
                }
            }
            if image.repo_tags.is_empty() && !by_name {
                rows.push(row(&image, "<none>", "<none>", self.no_trunc));
            }
        }
        if is_overridden(self.format.as_deref(), self.quiet) {
            eprintln!("{QUIET_WARNING}");
        }
        shown(print_rows(&mut std::io::stdout().lock(), self.format.as_deref(), &TABLE, self.quiet, &rows))?;
        Ok(0)
    }
}

fn row(image: &ImageSummary, repository: &str, tag: &str, whole: bool) -> Row {
    let created = OffsetDateTime::from_unix_timestamp(image.created).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let hex = image.id.trim_start_matches("sha256:");
    let id = if whole { image.id.clone() } else { hex.get(..12).unwrap_or(hex).to_owned() };
    Row::from(json!({
        "ID": id,
        "Repository": repository,
        "Tag": tag,
        "Digest": "<none>",
        "CreatedSince": format!("{} ago", human_duration(OffsetDateTime::now_utc() - created)),
        "CreatedAt": created_at(created),
        "Size": human_size_with(u64::try_from(image.size).unwrap_or(0), 3),
        "Containers": image.containers.to_string(),
    }))
}
