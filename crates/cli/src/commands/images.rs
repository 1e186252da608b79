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
use crate::output::filters::Filters;
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
    /// Show only some: before=, dangling=, label=, reference=, since=
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
        let filters = Filters::parse(&self.filter).map_err(|error| Failure::new(error.to_string()))?;
        shown(filters.only(&["before", "dangling", "label", "reference", "since"]))?;
        let dangling = filters.truth("dangling").map_err(|error| Failure::new(error.to_string()))?;
        let wanted = self.repository.as_deref().map(Reference::parse_exact).transpose();
        let wanted = wanted.map_err(|error| Failure::new(error.to_string()))?;
        let mut rows = Vec::new();
        let engine = context.engine()?;
        let created = |name: &str| -> Result<Option<OffsetDateTime>, Failure> {
            Ok(engine.inspect_image(name)?.created)
        };
        let limits =
            |key: &str| filters.get(key).iter().map(|name| created(name)).collect::<Result<Vec<_>, _>>();
        let (before, since) = (limits("before")?, limits("since")?);
        for image in engine.images()? {
            if !before.is_empty() || !since.is_empty() {
                let made = created(&image.id)?;
                if !before.iter().all(|limit| made < *limit) || !since.iter().all(|limit| made > *limit) {
                    continue;
                }
            }
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
                    glob(pattern.as_bytes(), format!("{repository}:{tag}").as_bytes())
                        || glob(pattern.as_bytes(), repository.as_bytes())
                };
                if same && (!filters.has("reference") || filters.any("reference", matches)) {
                    let digest = image
                        .repo_digests
                        .iter()
                        .find_map(|name| name.strip_prefix(&repository)?.strip_prefix('@'));
                    rows.push(row(&image, [&repository, tag, digest.unwrap_or("<none>")], self.no_trunc));
                }
            }
            // A repository that has no tag here, but was pulled from by a digest.
            let tagged: Vec<&str> =
                image.repo_tags.iter().filter_map(|name| Some(name.rsplit_once(':')?.0)).collect();
            let untagged = image.repo_digests.iter().filter_map(|name| name.split_once('@'));
            let mut shown_so = false;
            for (repository, digest) in untagged.filter(|(repository, _)| !tagged.contains(repository)) {
                let same = wanted
                    .as_ref()
                    .is_none_or(|wanted| wanted.familiar_name() == repository && wanted.tag().is_none());
                let matches = |pattern: &String| glob(pattern.as_bytes(), repository.as_bytes());
                if same && (!filters.has("reference") || filters.any("reference", matches)) {
                    shown_so = true;
                    rows.push(row(&image, [repository, "<none>", digest], self.no_trunc));
                }
            }
            if image.repo_tags.is_empty() && !by_name && !shown_so {
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

/// Go's `path.Match`, which Docker takes for `reference=`: `*` and `?` stand for anything but a slash, `[a-z]` and `[^a]`
/// for one letter, and a backslash takes a letter as it is.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    // Where each star began last, and what it took: enough to go back, since only the last one can still change.
    let (mut at, mut pos) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    loop {
        let fits = match (pattern.get(at), text.get(pos)) {
            (None, None) => return true,
            (Some(b'*'), _) => {
                star = Some((at + 1, pos));
                at += 1;
                continue;
            }
            (Some(_), Some(letter)) => one(pattern.get(at..).unwrap_or_default(), *letter),
            _ => None,
        };
        match (fits, star) {
            (Some(length), _) => {
                at += length;
                pos += 1;
            }
            // The star takes one letter more.
            (None, Some((after, from))) if text.get(from).is_some_and(|letter| *letter != b'/') => {
                star = Some((after, from + 1));
                (at, pos) = (after, from + 1);
            }
            (None, _) => return false,
        }
    }
}

/// How much of the pattern stands for this letter, if its beginning does.
fn one(pattern: &[u8], letter: u8) -> Option<usize> {
    match pattern {
        [b'?', ..] => (letter != b'/').then_some(1),
        [b'\\', exact, ..] => (*exact == letter).then_some(2),
        [b'[', rest @ ..] => {
            let (negated, set) = rest.strip_prefix(b"^").map_or((false, rest), |set| (true, set));
            let end = set.iter().position(|byte| *byte == b']').filter(|end| *end > 0)?;
            let mut found = false;
            let mut members = set.get(..end)?;
            while let [first, more @ ..] = members {
                (found, members) = match more {
                    [b'-', last, more @ ..] => (found || (*first..=*last).contains(&letter), more),
                    more => (found || *first == letter, more),
                };
            }
            (found != negated).then_some(1 + usize::from(negated) + end + 1)
        }
        [exact, ..] => (*exact == letter).then_some(1),
        [] => None,
    }
}

#[cfg(test)]
mod tests {
    use super::glob;

    #[test]
    fn names_match_as_go_matches_paths() {
        for (pattern, text, expected) in [
            ("busy*", "busybox", true),
            ("busy*", "busybox:1", true),
            ("*box", "busybox", true),
            ("*box", "a/busybox", false),
            ("*/busy*:l*", "a/busybox:latest", true),
            ("b?sy[a-c]ox", "busybox", true),
            ("b?sy[^a-c]ox", "busybox", false),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
            ("", "", true),
            ("*", "", true),
            ("[", "[", false),
            ("a*b*c", "aXbXbc", true),
            ("a*b*c", "aXbXbd", false),
        ] {
            assert_eq!(glob(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }
}
