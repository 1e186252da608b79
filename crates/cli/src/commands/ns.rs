//! `bulkhead ns`: lsns(8) the useful way round: which container has which namespaces, and with whom it shares them.

use std::io::Write;

use bulkhead_engine::commands::namespaces::{Namespace, NamespacesOf};

use super::Done;
use crate::Context;
use crate::failure::Failure;
use crate::output::inspect::print_object;
use crate::output::table::align;
use crate::template::{Shape, Type};

/// Show which namespaces containers have, and with whom they share them
///
/// Each namespace is shown by the kernel's number for it, as lsns(8) shows it; "host" is the namespace of this
/// command itself, and a name is that of another container in the same namespace.
#[derive(Debug, clap::Args)]
pub struct Ns {
    /// A Go template for each container, or "json"
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Show these containers only
    containers: Vec<String>,
}

impl Ns {
    pub(super) fn run(self, context: &Context) -> Done {
        let engine = context.engine()?;
        let mut all = engine.namespaces()?;
        if !self.containers.is_empty() {
            let mut wanted = Vec::new();
            for name in &self.containers {
                let container = engine.container(name)?;
                if !all.iter().any(|one| one.id == container.id) {
                    return Err(Failure::new(format!(
                        "container {name} is not running: it has no namespaces"
                    )));
                }
                wanted.push(container.id);
            }
            all.retain(|one| wanted.contains(&one.id));
        }
        let mut out = std::io::stdout().lock();
        match self.format.as_deref() {
            None | Some("" | "table") => out.write_all(align(&table(&all)).as_bytes())?,
            Some(format) if format != "json" && !format.contains("{{") => {
                return Err(Failure::new(format!("unknown format {format:?}: table, json or a Go template")));
            }
            Some(format) => {
                for one in &all {
                    let kind = Type { name: "Namespaces", shapes: &[("Namespaces", Shape::List)] };
                    print_object(&mut out, format, one, kind)
                        .map_err(|error| Failure::new(error.to_string()))?;
                }
            }
        }
        Ok(0)
    }
}

fn table(all: &[NamespacesOf]) -> String {
    let mut text = String::from("NAME\tPID");
    for kind in bulkhead_engine::commands::namespaces::KINDS {
        text.push('\t');
        text.push_str(&kind.to_uppercase());
    }
    text.push('\n');
    for one in all {
        text.push_str(&format!("{}\t{}", one.name, one.pid));
        for namespace in &one.namespaces {
            text.push('\t');
            text.push_str(&cell(namespace));
        }
        text.push('\n');
    }
    text
}

fn cell(namespace: &Namespace) -> String {
    match (namespace.inode, namespace.host) {
        (0, _) => "-".into(),
        (inode, true) => format!("{inode} host"),
        (inode, false) if namespace.shared_with.is_empty() => inode.to_string(),
        (inode, false) => format!("{inode} ={}", namespace.shared_with.join("=")),
    }
}
