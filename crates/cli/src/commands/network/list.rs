//! `bulkhead network ls`.

use bulkhead_engine::models::NetworkInspect;
use serde_json::json;

use super::super::{Done, shown};
use crate::Context;
use crate::output::filters::parse;
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
    let networks = context.engine()?.networks_wanted(&parse(filter)?)?;
    let rows: Vec<Row> = networks.iter().map(|network| row(network, whole)).collect();
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
