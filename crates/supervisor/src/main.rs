//! `bulkhead-supervisor`: started by the engine with a connection as its standard input, or, under the name
//! `docker-init`, as PID 1 of a container.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let name = args.next().unwrap_or_default();
    if std::path::Path::new(&name).file_name().is_some_and(|name| name == "docker-init") {
        return bulkhead_supervisor::run_as_init(args.collect());
    }
    if args.next().is_some_and(|word| word == "--supervise") {
        return bulkhead_supervisor::supervise();
    }
    eprintln!("bulkhead-supervisor is started by bulkhead, and does nothing by itself.");
    ExitCode::from(125)
}
