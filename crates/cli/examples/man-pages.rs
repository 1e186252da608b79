//! Writes a man page for each command into the folder that is named.

use std::path::{Path, PathBuf};

fn main() -> std::io::Result<()> {
    let folder = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("target/man"), PathBuf::from);
    std::fs::create_dir_all(&folder)?;
    write(&bulkhead_cli::reference::command(), "bulkhead", &folder)
}

fn write(command: &clap::Command, name: &str, folder: &Path) -> std::io::Result<()> {
    let page = folder.join(format!("{}.1", name.replace(' ', "-")));
    let shown = command.clone().name(name.replace(' ', "-")).bin_name(name.to_owned());
    let mut text = Vec::new();
    clap_mangen::Man::new(shown).render(&mut text)?;
    std::fs::write(page, text)?;
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        write(below, &format!("{name} {}", below.get_name()), folder)?;
    }
    Ok(())
}
