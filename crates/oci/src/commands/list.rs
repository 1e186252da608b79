//! `list`: all containers under the root.

use clap::{Args, ValueEnum};

use super::{Context, print, print_json};
use crate::error::Result;
use crate::store::Container;

#[derive(Debug, Args)]
pub(super) struct List {
    /// table or json
    #[arg(short, long, default_value = "table")]
    format: Format,
    /// Only IDs
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Table,
    Json,
}

impl List {
    pub(super) fn run(&self, context: &mut Context) -> Result<u8> {
        let all = context.store.all()?;
        if self.quiet {
            return print(
                &all.iter().map(|container| format!("{}\n", container.state.id)).collect::<String>(),
            );
        }
        let owner = |container: &Container| match container.state.owner {
            0 => "root".to_owned(),
            other => format!("#{other}"),
        };
        let shown: Vec<_> =
            all.iter().map(|container| container.state.shown(container.status(), owner(container))).collect();
        if self.format == Format::Json {
            return print_json(&shown);
        }
        let mut rows = vec![["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(str::to_owned)];
        for (container, shown) in all.iter().zip(&shown) {
            let state = &container.state;
            rows.push([
                state.id.clone(),
                shown.pid.to_string(),
                shown.status.to_string(),
                state.bundle.clone(),
                state.created.clone(),
                owner(container),
            ]);
        }
        print(&table(&rows))
    }
}

/// Columns as wide as their widest cell and two blanks more, at least twelve.
fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count() + 2)
            .max()
            .unwrap_or(0)
            .max(12)
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:<width$}"));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
