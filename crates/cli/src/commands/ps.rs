//! `bulkhead ps`.

use std::collections::BTreeMap;

use bulkhead_engine::models::{ContainerSummary, ContainerSummaryStateEnum, PortSummary};
use serde_json::json;
use time::OffsetDateTime;

use super::{Done, shown};
use crate::Context;
use crate::failure::Failure;
use crate::output::durations::human_duration;
use crate::output::ellipsis::ellipsis;
use crate::output::filters::Filters;
use crate::output::format::{QUIET_WARNING, Row, Table, is_overridden, print_rows};
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

const FILTERS: [&str; 9] =
    ["ancestor", "exited", "health", "id", "label", "name", "network", "status", "volume"];

impl Ps {
    pub(super) fn run(self, context: &Context) -> Done {
        let filters = Filters::parse(&self.filter).map_err(|error| Failure::new(error.to_string()))?;
        shown(filters.only(&FILTERS))?;
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
    let networks: Vec<String> = container
        .network_settings
        .iter()
        .flat_map(|settings| settings.networks.iter().flat_map(|networks| networks.keys().cloned()))
        .collect();
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
        && (!filters.has("network") || filters.any("network", |wanted| networks.contains(wanted)))
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

/// Docker's column: `0.0.0.0:8080->80/tcp, [::]:8080->80/tcp, 53/udp`, where ports that follow each other on both sides
/// are one entry.
fn shown_ports(ports: &[PortSummary]) -> String {
    /// Ports that follow each other: the host's, if they are published, and the container's first and last.
    struct Stretch {
        at: String,
        kind: String,
        public: Option<(u16, u16)>,
        private: (u16, u16),
    }
    let mut sorted: Vec<&PortSummary> = ports.iter().collect();
    let address = |port: &PortSummary| port.ip.clone().unwrap_or_default();
    sorted.sort_by_key(|port| (port.typ, address(port), port.private_port, port.public_port));
    let mut stretches: Vec<Stretch> = Vec::new();
    for port in sorted {
        let (at, kind) = (address(port), port.typ.map(|kind| kind.to_string()).unwrap_or_default());
        let follows = |last: &&mut Stretch| {
            let next = |number: u16| number.checked_add(1);
            last.at == at
                && last.kind == kind
                && next(last.private.1) == Some(port.private_port)
                && match (last.public, port.public_port) {
                    (None, None) => true,
                    (Some((_, last)), Some(port)) => next(last) == Some(port),
                    _ => false,
                }
        };
        match stretches.last_mut().filter(follows) {
            Some(last) => {
                last.private.1 = port.private_port;
                last.public = last.public.zip(port.public_port).map(|((first, _), port)| (first, port));
            }
            None => stretches.push(Stretch {
                at,
                kind,
                public: port.public_port.map(|port| (port, port)),
                private: (port.private_port, port.private_port),
            }),
        }
    }
    let range = |(first, last): (u16, u16)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    };
    let shown = |stretch: &Stretch| {
        let private = format!("{}/{}", range(stretch.private), stretch.kind);
        let at = if stretch.at.contains(':') { format!("[{}]", stretch.at) } else { stretch.at.clone() };
        match stretch.public {
            Some(public) => format!("{at}:{}->{private}", range(public)),
            None => private,
        }
    };
    stretches.iter().map(shown).collect::<Vec<_>>().join(", ")
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
