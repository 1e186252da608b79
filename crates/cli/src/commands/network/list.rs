//! `bulkhead network ls`.

use bulkhead_engine::models::NetworkInspect;
use serde_json::json;

use super::super::{Done, shown};
use crate::Context;
use crate::failure::Failure;
use crate::output::filters::Filters;
use crate::output::format::{Row, Table, print_rows};
use crate::output::times::created_at;

const TABLE: Table<'static> = Table {
    format: "table {{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}",
    quiet: "{{.ID}}",
    raw: None,
    headers: &[
        ("ID", "NETWORK ID"),
        ("Name", "NAME"),
        ("Driver", "DRIVER"),
        ("Scope", "SCOPE"),
        ("IPv4", "IPV4"),
        ("IPv6", "IPV6"),
        ("Internal", "INTERNAL"),
        ("Labels", "LABELS"),
        ("CreatedAt", "CREATED AT"),
    ],
    shapes: &[],
    type_name: "*network.networkContext",
};

pub(super) fn list(
    context: &Context,
    filter: &[String],
    format: Option<&str>,
    whole: bool,
    quiet: bool,
) -> Done {
    let bad = |error: crate::output::filters::FilterError| Failure::new(error.to_string());
    let filters = Filters::parse(filter).map_err(bad)?;
    shown(filters.only(&["dangling", "driver", "id", "label", "name", "scope", "type"]))?;
    let dangling = filters.truth("dangling").map_err(bad)?;
    let mut engine = context.engine()?;
    let mut rows = Vec::new();
    for network in engine.networks()? {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let (id, name, driver) = (text(&network.id), text(&network.name), text(&network.driver));
        let builtin = matches!(name.as_str(), "bridge" | "host" | "none");
        let kind = if builtin { "builtin" } else { "custom" };
        let labels = network.labels.clone().unwrap_or_default().into_iter().collect();
        let unused = match dangling {
            Some(wanted) => (!builtin && !engine.network_is_used(&id)?) == wanted,
            None => true,
        };
        let asked = unused
            && (!filters.has("driver") || filters.any("driver", |wanted| *wanted == driver))
            && (!filters.has("id") || filters.any("id", |wanted| id.starts_with(wanted.as_str())))
            && (!filters.has("name") || filters.any("name", |wanted| name.contains(wanted.as_str())))
            && (!filters.has("scope") || filters.any("scope", |wanted| wanted == "local"))
            && (!filters.has("type") || filters.any("type", |wanted| wanted == kind))
            && filters.labels("label", &labels);
        if asked {
            rows.push(row(&network, whole));
        }
    }
    shown(print_rows(&mut std::io::stdout().lock(), format, &TABLE, quiet, &rows))?;
    Ok(0)
}

fn row(network: &NetworkInspect, whole: bool) -> Row {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let id = text(&network.id);
    let labels: std::collections::BTreeMap<_, _> =
        network.labels.clone().unwrap_or_default().into_iter().collect();
    let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    Row::from(json!({
        "ID": if whole { id.clone() } else { id.get(..12).unwrap_or(&id).to_owned() },
        "Name": text(&network.name),
        "Driver": text(&network.driver),
        "Scope": text(&network.scope),
        "IPv4": network.enable_ipv4.unwrap_or(false).to_string(),
        "IPv6": network.enable_ipv6.unwrap_or(false).to_string(),
        "Internal": network.internal.unwrap_or(false).to_string(),
        "Labels": labels.join(","),
        "CreatedAt": network.created.map(created_at).unwrap_or_default(),
    }))
}
