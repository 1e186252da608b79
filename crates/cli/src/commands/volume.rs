//! `bulkhead volume`: create, inspect, ls, prune, rm.

use std::collections::BTreeMap;
use std::io::Write;

use bulkhead_engine::Error;
use bulkhead_engine::filters::prune::PruneFilter;
use bulkhead_engine::models::Volume as Model;
use serde_json::json;

use super::container::confirmed;
use super::prune::print_deleted;
use super::{Done, for_each, shown};
use crate::Context;
use crate::failure::{Failure, complain};
use crate::options::labels;
use crate::output::filters::parse;
use crate::output::format::{Row, Table, print_rows};
use crate::output::inspect::print_inspect;
use crate::output::units::human_size_with;
use crate::template::{Shape, Type};

/// Manage volumes
#[derive(Debug, clap::Args)]
pub struct Volume {
    #[command(subcommand)]
    command: Subcommand,
}

#[derive(Debug, clap::Subcommand)]
enum Subcommand {
    /// Make a volume
    Create {
        /// Driver of the volume: local
        #[arg(short, long, value_name = "DRIVER", default_value = "local")]
        driver: String,
        /// Option of the driver: type=tmpfs|none, device=…, o=MOUNT_OPTIONS
        #[arg(short, long, value_name = "KEY=VALUE")]
        opt: Vec<String>,
        /// Set a label
        #[arg(long, value_name = "KEY=VALUE")]
        label: Vec<String>,
        /// Its name; without one it gets one that nobody has
        name: Option<String>,
    },
    /// Show everything about volumes
    Inspect {
        /// A Go template, or "json"
        #[arg(short, long, value_name = "FORMAT")]
        format: Option<String>,
        /// Names
        #[arg(required = true, value_name = "VOLUME")]
        names: Vec<String>,
    },
    /// List volumes
    #[command(visible_alias = "list")]
    Ls {
        /// Show only some: dangling=, driver=, label=, name=
        #[arg(short, long, value_name = "KEY=VALUE")]
        filter: Vec<String>,
        /// A Go template, "table TEMPLATE" or "json"
        #[arg(long, value_name = "FORMAT")]
        format: Option<String>,
        /// Show names only
        #[arg(short, long)]
        quiet: bool,
    },
    /// Remove volumes that no container uses and that have no name of their own
    Prune {
        /// Those that have a name, too
        #[arg(short, long)]
        all: bool,
        /// Remove only some: label=KEY[=VALUE], label!=KEY[=VALUE], all=BOOL
        #[arg(long, value_name = "KEY=VALUE")]
        filter: Vec<String>,
        /// Do not ask
        #[arg(short, long)]
        force: bool,
    },
    /// Remove volumes
    #[command(visible_alias = "remove")]
    Rm {
        /// Take it as done that others are not there
        #[arg(short, long)]
        force: bool,
        /// Names
        #[arg(required = true, value_name = "VOLUME")]
        names: Vec<String>,
    },
}

const TABLE: Table<'static> = Table {
    format: "table {{.Driver}}\t{{.Name}}",
    quiet: "{{.Name}}",
    raw: None,
    headers: &[
        ("Driver", "DRIVER"),
        ("Name", "VOLUME NAME"),
        ("Mountpoint", "MOUNTPOINT"),
        ("Scope", "SCOPE"),
        ("Labels", "LABELS"),
    ],
    shapes: &[],
    type_name: "*formatter.volumeContext",
};

impl Volume {
    pub(super) fn run(self, context: &Context) -> Done {
        match self.command {
            Subcommand::Create { driver, opt, label, name } => {
                let ordered = |given: &[String]| Ok::<_, Failure>(labels(given, &[])?.into_iter().collect());
                bulkhead_engine::spec::binds::refuse_driver(Some(&driver))?;
                let made =
                    context.engine()?.create_volume(name.as_deref(), ordered(&label)?, ordered(&opt)?)?;
                println!("{}", made.name);
                Ok(0)
            }
            Subcommand::Inspect { format, names } => inspect(context, format.as_deref(), &names),
            Subcommand::Ls { filter, format, quiet } => list(context, &filter, format.as_deref(), quiet),
            Subcommand::Prune { all, filter, force } => prune(context, all, &filter, force),
            Subcommand::Rm { force, names } => {
                let mut engine = context.engine()?;
                for_each(&names, |name| match engine.remove_volume(name) {
                    Err(Error::NotFound { .. }) if force => Ok(()),
                    other => Ok(other?),
                })
            }
        }
    }
}

fn inspect(context: &Context, format: Option<&str>, names: &[String]) -> Done {
    let engine = context.engine()?;
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for name in names {
        match engine.inspect_volume(name) {
            Ok(volume) => found.push(volume),
            Err(error) => missing.push(error.to_string()),
        }
    }
    let mut out = std::io::stdout().lock();
    let kind = Type { name: "volume.Volume", shapes: &[("Labels", Shape::StringMap)] };
    if !found.is_empty() {
        shown(print_inspect(&mut out, format, &found, kind))?;
    } else if format.is_none() {
        out.write_all(b"[]\n")?;
    }
    for message in &missing {
        complain(message);
    }
    Ok(u8::from(!missing.is_empty()))
}

fn list(context: &Context, filter: &[String], format: Option<&str>, quiet: bool) -> Done {
    let rows: Vec<Row> = context.engine()?.volumes_wanted(&parse(filter)?)?.iter().map(row).collect();
    shown(print_rows(&mut std::io::stdout().lock(), format, &TABLE, quiet, &rows))?;
    Ok(0)
}

fn prune(context: &Context, all: bool, filter: &[String], force: bool) -> Done {
    let mut filters = parse(filter)?;
    if all {
        filters.add("all", "true");
    }
    let filter = PruneFilter::of_volumes(filters).map_err(Error::from)?;
    let what = if filter.takes_named() { "all local volumes" } else { "anonymous local volumes" };
    let question = format!("This will remove {what} not used by at least one container.");
    if !force && !confirmed(&question)? {
        return Err(Failure::new("volume prune has been cancelled"));
    }
    let pruned = context.engine()?.prune_volumes(&filter)?;
    print_deleted("Volumes", &pruned.names);
    println!("Total reclaimed space: {}", human_size_with(pruned.bytes, 4));
    Ok(0)
}

fn sorted(volume: &Model) -> BTreeMap<String, String> {
    volume.labels.clone().into_iter().collect()
}

fn row(volume: &Model) -> Row {
    let labels: Vec<String> = sorted(volume).iter().map(|(key, value)| format!("{key}={value}")).collect();
    Row::from(json!({
        "Driver": volume.driver,
        "Name": volume.name,
        "Mountpoint": volume.mountpoint,
        "Scope": "local",
        "Labels": labels.join(","),
    }))
}
