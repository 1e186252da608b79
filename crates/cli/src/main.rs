//! `bulkhead`, the command.

use std::process::ExitCode;

fn main() -> ExitCode {
    bulkhead_cli::run()
}
