//! `bulkhead info`.

use super::Done;
use crate::Context;
use crate::failure::{Failure, printable};
use crate::output::inspect::print_object;
use crate::output::units::bytes_size;
use crate::template::{Shape, Type};

/// Show what this engine and this machine are
#[derive(Debug, clap::Args)]
pub struct Info {
    /// A Go template, or "json"
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
}

impl Info {
    pub(super) fn run(self, context: &Context) -> Done {
        let info = context.engine()?.info()?;
        if let Some(format) = self.format.as_deref().filter(|format| !format.is_empty()) {
            let kind = Type { name: "system.Info", shapes: &[("Warnings", Shape::List)] };
            print_object(&mut std::io::stdout().lock(), format, &info, kind)
                .map_err(|error| Failure::new(error.to_string()))?;
            return Ok(0);
        }
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let number = |number: Option<i64>| number.unwrap_or(0);
        println!("Containers: {}", number(info.containers));
        println!(" Running: {}", number(info.containers_running));
        println!(" Paused: {}", number(info.containers_paused));
        println!(" Stopped: {}", number(info.containers_stopped));
        println!("Images: {}", number(info.images));
        println!("Server Version: {}", text(&info.server_version));
        println!("Storage Driver: {}", text(&info.driver));
        for line in info.driver_status.iter().flatten() {
            println!(" {}", line.join(": "));
        }
        println!("Logging Driver: {}", text(&info.logging_driver));
        println!(
            "Cgroup Version: {}",
            info.cgroup_version.map(|version| version.to_string()).unwrap_or_default()
        );
        println!("Security Options:");
        for option in info.security_options.iter().flatten() {
            println!(" {}", option.trim_start_matches("name="));
        }
        println!("Kernel Version: {}", text(&info.kernel_version));
        println!("Operating System: {}", text(&info.operating_system));
        println!("OSType: {}", text(&info.os_type));
        println!("Architecture: {}", text(&info.architecture));
        println!("CPUs: {}", number(info.ncpu));
        println!("Total Memory: {}", bytes_size(u64::try_from(number(info.mem_total)).unwrap_or(0)));
        println!("Name: {}", text(&info.name));
        println!("Root Dir: {}", text(&info.docker_root_dir));
        for warning in info.warnings.iter().flatten() {
            eprintln!("{}", printable(warning));
        }
        Ok(0)
    }
}
