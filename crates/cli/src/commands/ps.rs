//! `bulkhead ps`.

use std::collections::BTreeMap;

use bulkhead_engine::commands::list::Listing;
use bulkhead_engine::models::ContainerSummary;
use serde_json::json;
use time::OffsetDateTime;

use super::{Done, shown};
use crate::Context;
use crate::output::durations::human_duration;
use crate::output::ellipsis::ellipsis;
use crate::output::filters::parse;
use crate::output::format::{QUIET_WARNING, Row, Table, is_overridden, print_rows};
use crate::output::ports::shown_ports;
use crate::output::times::created_at;
use crate::output::units::human_size_with;

/// List containers
#[derive(Debug, clap::Args)]
#[allow(clippy::struct_excessive_bools)]
pub struct Ps {
    /// Show those that do not run, too
    #[arg(short, long)]
    all: bool,
    /// Show only some: id=, name=, label=, status=, health=, exited=, ancestor=, volume=, network=, publish=, expose=,
    /// before=, since=, is-task=, isolation=
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// A Go template, "table TEMPLATE" or "json"
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Show the N made last
    #[arg(short = 'n', long, value_name = "N", default_value_t = -1, allow_negative_numbers = true, hide_default_value = true)]
    last: i64,
    /// Show the one made last
    #[arg(short, long)]
    latest: bool,
    /// Do not shorten
    #[arg(long)]
    no_trunc: bool,
    /// Show IDs only
    #[arg(short, long)]
    quiet: bool,
    /// Show how much their files are
    #[arg(short, long)]
    size: bool,
}

const TABLE: Table<'static> = Table {
    format: "table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}",
    quiet: "{{.ID}}",
    raw: Some(
        "container_id: {{.ID}}\nimage: {{.Image}}\ncommand: {{.Command}}\ncreated_at: {{.CreatedAt}}\nstate: {{.State}}\nstatus: {{.Status}}\nnames: {{.Names}}\nlabels: {{.Labels}}\nports: {{.Ports}}\n",
    ),
    headers: &[
        ("ID", "CONTAINER ID"),
        ("Image", "IMAGE"),
        ("Command", "COMMAND"),
        ("CreatedAt", "CREATED AT"),
        ("RunningFor", "CREATED"),
        ("Ports", "PORTS"),
        ("State", "STATE"),
        ("Status", "STATUS"),
        ("Size", "SIZE"),
        ("Names", "NAMES"),
        ("Labels", "LABELS"),
        ("Mounts", "MOUNTS"),
        ("LocalVolumes", "LOCAL VOLUMES"),
        ("Networks", "NETWORKS"),
    ],
    shapes: &[],
    type_name: "*formatter.ContainerContext",
};

/// What is shown instead with `--size`.
const SIZES: &str = "table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}\t{{.Size}}";

impl Ps {
    pub(super) fn run(self, context: &Context) -> Done {
        let filters = parse(&self.filter)?;
        let last = if self.latest { 1 } else { self.last };
        let last = usize::try_from(last).ok().filter(|last| *last > 0);
        // As Docker: a template that shows sizes asks for them.
        let sizes = self.size || self.format.as_deref().is_some_and(|format| format.contains(".Size"));
        let listing = Listing { all: self.all, last, sizes, filters };
        let containers = context.engine()?.list_wanted(&listing)?;
        if is_overridden(self.format.as_deref(), self.quiet) {
            eprintln!("{QUIET_WARNING}");
        }
        let rows: Vec<Row> = containers.iter().map(|container| row(container, self.no_trunc)).collect();
        let table = Table { format: if self.size { SIZES } else { TABLE.format }, ..TABLE };
        shown(print_rows(&mut std::io::stdout().lock(), self.format.as_deref(), &table, self.quiet, &rows))?;
        Ok(0)
    }
}

fn labels(container: &ContainerSummary) -> BTreeMap<String, String> {
    container.labels.clone().unwrap_or_default().into_iter().collect()
}

/// What it wrote, and with what its image has.
fn size(container: &ContainerSummary) -> String {
    let text = |bytes: Option<i64>| human_size_with(u64::try_from(bytes.unwrap_or(0)).unwrap_or(0), 3);
    let own = text(container.size_rw);
    match container.size_root_fs {
        Some(bytes) if bytes > 0 => format!("{own} (virtual {})", text(Some(bytes))),
        _ => own,
    }
}

fn row(container: &ContainerSummary, whole: bool) -> Row {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let id = text(&container.id);
    let short = |id: &str| id.get(..12).unwrap_or(id).to_owned();
    let created = OffsetDateTime::from_unix_timestamp(container.created.unwrap_or(0))
        .unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let command = text(&container.command);
    let command = if whole { command } else { ellipsis(&command, 20) };
    let names: Vec<String> =
        container.names.iter().flatten().map(|name| name.trim_start_matches('/').to_owned()).collect();
    let mounts: Vec<String> = container
        .mounts
        .iter()
        .flatten()
        .map(|mount| {
            let name = mount.name.clone().or_else(|| mount.source.clone()).unwrap_or_default();
            if whole { name } else { ellipsis(&name, 15) }
        })
        .collect();
    let volumes =
        container.mounts.iter().flatten().filter(|mount| mount.driver.as_deref() == Some("local")).count();
    let labels = labels(container);
    let mut networks: Vec<String> = container
        .network_settings
        .iter()
        .flat_map(|settings| settings.networks.iter().flat_map(|networks| networks.keys().cloned()))
        .collect();
    networks.sort();
    let image = text(&container.image);
    Row {
        fields: json!({
            "ID": if whole { id } else { short(&id) },
            "Image": image,
            "Command": format!("\"{command}\""),
            "CreatedAt": created_at(created),
            "RunningFor": format!("{} ago", human_duration(OffsetDateTime::now_utc() - created)),
            "Ports": shown_ports(container.ports.as_deref().unwrap_or_default()),
            "State": container.state.map(|state| state.to_string()).unwrap_or_default(),
            "Status": text(&container.status),
            "Size": size(container),
            "Names": names.join(","),
            "Labels": labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(","),
            "Mounts": mounts.join(","),
            "LocalVolumes": volumes.to_string(),
            "Networks": networks.join(","),
        }),
        labels: Some(labels),
    }
}
