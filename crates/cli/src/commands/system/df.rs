//! `bulkhead system df`.

use std::io::Write;

use bulkhead_engine::commands::disk_usage::Kind;
use bulkhead_engine::models::SystemDataUsageResponse;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::super::{Done, shown};
use crate::Context;
use crate::failure::Failure;
use crate::output::durations::human_duration;
use crate::output::ellipsis::ellipsis;
use crate::output::format::{Row, Table, render_rows};
use crate::output::inspect::print_object;
use crate::output::units::{human_size, human_size_with};
use crate::template::{Shape, Type};

/// Show what images, containers and volumes take on disk
#[derive(Debug, clap::Args)]
pub(super) struct Df {
    /// A Go template, "table TEMPLATE" or "json"
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Show each image, container and volume
    #[arg(short, long)]
    verbose: bool,
}

const TABLE: Table<'static> = Table {
    format: "table {{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}",
    headers: &[
        ("Type", "TYPE"),
        ("TotalCount", "TOTAL"),
        ("Active", "ACTIVE"),
        ("Size", "SIZE"),
        ("Reclaimable", "RECLAIMABLE"),
    ],
    ..table("*formatter.diskUsageContext")
};

const IMAGES: Table<'static> = Table {
    format: "table {{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}\t{{.SharedSize}}\t{{.UniqueSize}}\t{{.Containers}}",
    headers: &[
        ("Repository", "REPOSITORY"),
        ("Tag", "TAG"),
        ("ID", "IMAGE ID"),
        ("CreatedSince", "CREATED"),
        ("Size", "SIZE"),
        ("SharedSize", "SHARED SIZE"),
        ("UniqueSize", "UNIQUE SIZE"),
        ("Containers", "CONTAINERS"),
    ],
    ..table("*formatter.imageContext")
};

const CONTAINERS: Table<'static> = Table {
    format: "table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.LocalVolumes}}\t{{.Size}}\t{{.RunningFor}}\t{{.Status}}\t{{.Names}}",
    headers: &[
        ("ID", "CONTAINER ID"),
        ("Image", "IMAGE"),
        ("Command", "COMMAND"),
        ("LocalVolumes", "LOCAL VOLUMES"),
        ("Size", "SIZE"),
        ("RunningFor", "CREATED"),
        ("Status", "STATUS"),
        ("Names", "NAMES"),
    ],
    ..table("*formatter.ContainerContext")
};

const VOLUMES: Table<'static> = Table {
    format: "table {{.Name}}\t{{.Links}}\t{{.Size}}",
    headers: &[("Name", "VOLUME NAME"), ("Links", "LINKS"), ("Size", "SIZE")],
    ..table("*formatter.volumeContext")
};

const fn table(type_name: &'static str) -> Table<'static> {
    Table { format: "", quiet: "", raw: None, headers: &[], shapes: &[], type_name }
}

impl Df {
    pub(super) fn run(self, context: &Context) -> Done {
        let usage = context.engine()?.disk_usage(&Kind::ALL)?;
        let mut out = std::io::stdout().lock();
        let format = self.format.as_deref().filter(|format| !format.is_empty());
        if !self.verbose {
            let text = render_rows(format, &TABLE, false, &summary(&usage));
            out.write_all(text.map_err(|error| Failure::new(error.to_string()))?.as_bytes())?;
            return Ok(0);
        }
        let parts = parts(&usage);
        if let Some(format) = format {
            let lists = [("Images", Shape::List), ("Containers", Shape::List), ("Volumes", Shape::List)];
            let kind = Type { name: "formatter.diskUsageContext", shapes: &lists };
            let whole = json!({
                "Images": parts[0], "Containers": parts[1], "Volumes": parts[2], "BuildCache": [],
            });
            shown(print_object(&mut out, format, &whole, kind))?;
            return Ok(0);
        }
        for (title, table, rows) in [
            ("Images space usage", &IMAGES, &parts[0]),
            ("Containers space usage", &CONTAINERS, &parts[1]),
            ("Local Volumes space usage", &VOLUMES, &parts[2]),
        ] {
            let rows: Vec<Row> = rows.iter().cloned().map(Row::from).collect();
            let text = render_rows(None, table, false, &rows);
            writeln!(out, "{title}:\n\n{}", text.map_err(|error| Failure::new(error.to_string()))?)?;
        }
        writeln!(out, "Build cache usage: 0B\n")?;
        Ok(0)
    }
}

/// A row for each kind.
fn summary(usage: &SystemDataUsageResponse) -> Vec<Row> {
    let row = |kind: &str, total: Option<i64>, active: Option<i64>, size: Option<i64>, free: Option<i64>| {
        let (size, free) = (bytes(size), bytes(free));
        // Docker shows no part of nothing.
        let part = match size {
            0 => String::new(),
            size => format!(" ({}%)", u128::from(free) * 100 / u128::from(size)),
        };
        Row::from(json!({
            "Type": kind,
            "TotalCount": total.unwrap_or(0).to_string(),
            "Active": active.unwrap_or(0).to_string(),
            "Size": human_size(size),
            "Reclaimable": format!("{}{part}", human_size(free)),
        }))
    };
    let images = usage.image_usage.clone().unwrap_or_default();
    let containers = usage.container_usage.clone().unwrap_or_default();
    let volumes = usage.volume_usage.clone().unwrap_or_default();
    vec![
        row("Images", images.total_count, images.active_count, images.total_size, images.reclaimable),
        row(
            "Containers",
            containers.total_count,
            containers.active_count,
            containers.total_size,
            containers.reclaimable,
        ),
        row(
            "Local Volumes",
            volumes.total_count,
            volumes.active_count,
            volumes.total_size,
            volumes.reclaimable,
        ),
        row("Build Cache", None, None, None, None),
    ]
}

fn bytes(size: Option<i64>) -> u64 {
    size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0)
}

/// Each image, container and volume.
fn parts(usage: &SystemDataUsageResponse) -> [Vec<Value>; 3] {
    let items =
        |items: Option<&Vec<Value>>, row: fn(&Value) -> Value| items.into_iter().flatten().map(row).collect();
    [
        items(usage.image_usage.as_ref().and_then(|usage| usage.items.as_ref()), image),
        items(usage.container_usage.as_ref().and_then(|usage| usage.items.as_ref()), container),
        items(usage.volume_usage.as_ref().and_then(|usage| usage.items.as_ref()), volume),
    ]
}

fn text<'a>(of: &'a Value, key: &str) -> &'a str {
    of.get(key).and_then(Value::as_str).unwrap_or("")
}

fn number(of: &Value, key: &str) -> i64 {
    of.get(key).and_then(Value::as_i64).unwrap_or(0)
}

fn ago(seconds: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    format!("{} ago", human_duration(OffsetDateTime::now_utc() - time))
}

fn image(of: &Value) -> Value {
    let name =
        of.get("RepoTags").and_then(|tags| tags.get(0)).and_then(Value::as_str).unwrap_or("<none>:<none>");
    let (repository, tag) = name.rsplit_once(':').unwrap_or((name, "<none>"));
    let (size, shared) = (bytes(Some(number(of, "Size"))), bytes(Some(number(of, "SharedSize"))));
    let id = text(of, "Id").trim_start_matches("sha256:");
    json!({
        "Repository": repository,
        "Tag": tag,
        "ID": id.get(..12).unwrap_or(id),
        "CreatedSince": ago(number(of, "Created")),
        "Size": human_size(size),
        "SharedSize": human_size(shared),
        "UniqueSize": human_size(size.saturating_sub(shared)),
        "Containers": number(of, "Containers").to_string(),
    })
}

fn container(of: &Value) -> Value {
    let id = text(of, "Id");
    let name = of.get("Names").and_then(|names| names.get(0)).and_then(Value::as_str).unwrap_or("");
    let volumes = of.get("Mounts").and_then(Value::as_array).into_iter().flatten();
    json!({
        "ID": id.get(..12).unwrap_or(id),
        "Image": text(of, "Image"),
        "Command": format!("\"{}\"", ellipsis(text(of, "Command"), 20)),
        "LocalVolumes": volumes.filter(|mount| text(mount, "Driver") == "local").count().to_string(),
        "Size": human_size_with(bytes(Some(number(of, "SizeRw"))), 3),
        "RunningFor": ago(number(of, "Created")),
        "State": text(of, "State"),
        "Status": text(of, "Status"),
        "Names": name.trim_start_matches('/'),
        "CreatedAt": OffsetDateTime::from_unix_timestamp(number(of, "Created"))
            .ok()
            .and_then(|time| time.format(&Rfc3339).ok())
            .unwrap_or_default(),
    })
}

fn volume(of: &Value) -> Value {
    let usage = of.get("UsageData").cloned().unwrap_or_default();
    json!({
        "Name": text(of, "Name"),
        "Driver": text(of, "Driver"),
        "Mountpoint": text(of, "Mountpoint"),
        "Links": number(&usage, "RefCount").to_string(),
        "Size": human_size(bytes(Some(number(&usage, "Size")))),
    })
}
