//! `bulkhead top`.

use super::Done;
use crate::Context;
use crate::failure::printable;

/// Show the processes of a container
#[derive(Debug, clap::Args)]
pub struct Top {
    /// The container, by name or ID
    container: String,
    /// Options of ps(1)
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "PS OPTIONS")]
    options: Vec<String>,
}

impl Top {
    pub(super) fn run(self, context: &Context) -> Done {
        let engine = context.engine()?;
        let container = engine.container(&self.container)?;
        let top = engine.top(&container, &self.options)?;
        let rows: Vec<&Vec<String>> = std::iter::once(&top.titles).chain(&top.processes).collect();
        let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(String::len).max();
        let widths: Vec<usize> = (0..top.titles.len()).map(|column| width(column).unwrap_or(0)).collect();
        for row in rows {
            let cells: Vec<String> =
                row.iter().zip(&widths).map(|(cell, width)| format!("{:<width$}", printable(cell))).collect();
            println!("{}", cells.join("   ").trim_end());
        }
        Ok(0)
    }
}
