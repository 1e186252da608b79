//! `bulkhead system recover`.

use bulkhead_engine::store::recover::recover;

use super::super::Done;
use crate::Context;

/// Makes a new database from what can be read of a damaged one, and says what was lost.
pub(super) fn run(context: &Context) -> Done {
    let recovered = recover(&context.roots().root)?;
    println!("Saved:");
    for (table, rows) in recovered.saved.iter().filter(|(_, rows)| *rows > 0) {
        println!(" {table}: {rows}");
    }
    if recovered.incomplete.is_empty() {
        println!("Nothing was lost.");
    } else {
        println!("Not all could be read of: {}", recovered.incomplete.join(", "));
    }
    for folder in &recovered.lost {
        println!("Without a record: {}", folder.display());
    }
    println!("The damaged database is kept: {}", recovered.damaged.display());
    Ok(0)
}
