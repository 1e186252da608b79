//! `bulkhead ps`.

use std::collections::BTreeMap;

use bulkhead_engine::models::{ContainerSummary, ContainerSummaryStateEnum};
use serde_json::json;
use time::OffsetDateTime;

use super::{Done, shown};
use crate::Context;
use crate::failure::Failure;
use crate::output::durations::human_duration;
use crate::output::ellipsis::ellipsis;
use crate::output::filters::Filters;
use crate::output::format::{QUIET_WARNING, Row, Table, is_overridden, print_rows};
use crate::output::ports::{is_port, is_port_pattern, shown_ports};
use crate::output::times::created_at;

/// List containers
#[derive(Debug, clap::Args)]
#[allow(clippy::struct_excessive_bools)]
pub struct Ps {
    /// Show those that do not run, too
    #[arg(short, long)]
    all: bool,
    /// Show only some: id=, name=, label=, status=, health=, exited=, ancestor=, volume=, network=
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

const FILTERS: [&str; 11] = [
    "ancestor", "exited", "expose", "health", "id", "label", "name", "network", "publish", "status", "volume",
];

impl Ps {
    pub(super) fn run(self, context: &Context) -> Done {
        let filters = Filters::parse(&self.filter).map_err(|error| Failure::new(error.to_string()))?;
        shown(filters.only(&FILTERS))?;
        for (key, wanted) in
            ["publish", "expose"].iter().flat_map(|key| filters.get(key).iter().map(move |text| (key, text)))
        {
            if !is_port_pattern(wanted) {
                return Err(Failure::new(format!("invalid filter '{key}={wanted}': PORT[-PORT][/PROTOCOL]")));
            }
        }
        for status in filters.get("status") {
            if !["created", "restarting", "running", "removing", "paused", "exited", "dead"]
                .contains(&status.as_str())
            {
                return Err(Failure::new(format!("invalid filter 'status={status}'")));
            }
        }
        let last = if self.latest { 1 } else { self.last };
        let all = self.all || last > 0 || filters.has("status") || filters.has("exited");
        let mut containers = context.engine()?.list(all)?;
        containers.retain(|container| keep(container, &filters));
        if let Ok(last) = usize::try_from(last)
            && last > 0
        {
            containers.truncate(last);
        }
        if is_overridden(self.format.as_deref(), self.quiet) {
            eprintln!("{QUIET_WARNING}");
        }
        let rows: Vec<Row> = containers.iter().map(|container| row(container, self.no_trunc)).collect();
        shown(print_rows(&mut std::io::stdout().lock(), self.format.as_deref(), &TABLE, self.quiet, &rows))?;
        Ok(0)
    }
}

fn labels(container: &ContainerSummary) -> BTreeMap<String, String> {
    container.labels.clone().unwrap_or_default().into_iter().collect()
}

fn keep(container: &ContainerSummary, filters: &Filters) -> bool {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let state = container.state.unwrap_or(ContainerSummaryStateEnum::EMPTY).to_string();
    let names = container.names.clone().unwrap_or_default();
    let image = text(&container.image);
    let with_tag = |wanted: &String| {
        *wanted == image
            || format!("{wanted}:latest") == image
            || *wanted == format!("{image}:latest")
            || text(&container.image_id).trim_start_matches("sha256:").starts_with(wanted.as_str())
    };
    let mounted = |wanted: &String| {
        container.mounts.iter().flatten().any(|mount| {
            [&mount.name, &mount.source, &mount.destination].into_iter().flatten().any(|part| part == wanted)
        })
    };
    let on = |wanted: &String| {
        let networks =
            container.network_settings.iter().flat_map(|settings| settings.networks.iter().flatten());
        networks
            .clone()
            .any(|(name, endpoint)| name == wanted || endpoint.network_id.as_ref() == Some(wanted))
    };
    let ports = container.ports.as_deref().unwrap_or_default();
    let published =
        |wanted: &String| ports.iter().any(|port| port.public_port.is_some() && is_port(wanted, port));
    let exposed = |wanted: &String| ports.iter().any(|port| is_port(wanted, port));
    let code = text(&container.status);
    let code = code.strip_prefix("Exited (").and_then(|rest| rest.split(')').next()).unwrap_or("").to_owned();
    filters.prefix("id", &text(&container.id))
        && (!filters.has("name")
            || names.iter().any(|name| {
                filters.contains("name", name) || filters.contains("name", name.trim_start_matches('/'))
            }))
        && filters.labels("label", &labels(container))
        && filters.exact("status", &state)
        && filters.exact("health", health(&text(&container.status)))
        && (!filters.has("exited") || (!code.is_empty() && filters.exact("exited", &code)))
        && (!filters.has("ancestor") || filters.any("ancestor", with_tag))
        && (!filters.has("volume") || filters.any("volume", mounted))
        && (!filters.has("network") || filters.any("network", on))
        && (!filters.has("publish") || filters.any("publish", published))
        && (!filters.has("expose") || filters.any("expose", exposed))
}

/// How its health is, by what its state says.
fn health(status: &str) -> &'static str {
    let word = |word: &&str| status.ends_with(&format!("({word})"));
    match ["healthy", "unhealthy", "health: starting"].into_iter().find(word) {
        Some("health: starting") => "starting",
        Some(word) => word,
        None => "none",
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
            "Size": "0B",
            "Names": names.join(","),
            "Labels": labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(","),
            "Mounts": mounts.join(","),
            "LocalVolumes": volumes.to_string(),
            "Networks": networks.join(","),
        }),
        labels: Some(labels),
    }
}
