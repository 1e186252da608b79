//! Writes docs/docker.md.

fn main() -> std::io::Result<()> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/docker.md");
    std::fs::write(path, bulkhead_cli::reference::docker())
}
