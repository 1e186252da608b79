//! `bulkhead network`: connect, create, disconnect, inspect, ls, prune, reload, rm.

mod connect;
mod create;
mod inspect;
mod list;

use super::Done;
use super::container::confirmed;
use super::prune::print_deleted;
use crate::Context;
use crate::failure::{Failure, complain};
use crate::output::filters::parse;
use bulkhead_engine::Error;
use bulkhead_engine::filters::prune::PruneFilter;
use connect::Connect;
use create::Create;
use inspect::inspect;
use list::list;

/// Manage networks
#[derive(Debug, clap::Args)]
pub struct Network {
    #[command(subcommand)]
    command: Subcommand,
}

#[derive(Debug, clap::Subcommand)]
enum Subcommand {
    /// Connect a container to a network
    Connect(Connect),
    /// Make a network
    Create(Box<Create>),
    /// Take a container off a network
    Disconnect {
        /// Even if its supervisor cannot take the link away
        #[arg(short, long)]
        force: bool,
        /// Network
        network: String,
        /// Container
        container: String,
    },
    /// Show everything about networks
    Inspect {
        /// A Go template, or "json"
        #[arg(short, long, value_name = "FORMAT")]
        format: Option<String>,
        /// Taken, and means nothing: there is no swarm
        #[arg(short, long)]
        verbose: bool,
        /// Names or IDs
        #[arg(required = true, value_name = "NETWORK")]
        names: Vec<String>,
    },
    /// List networks
    #[command(visible_alias = "list")]
    Ls {
        /// Show only some: dangling=BOOL, driver=, id=, label=KEY[=VALUE], name=, scope=, type=builtin|custom
        #[arg(short, long, value_name = "KEY=VALUE")]
        filter: Vec<String>,
        /// A Go template, "table TEMPLATE" or "json"
        #[arg(long, value_name = "FORMAT")]
        format: Option<String>,
        /// Whole IDs
        #[arg(long)]
        no_trunc: bool,
        /// IDs alone
        #[arg(short, long)]
        quiet: bool,
    },
    /// Remove the networks that no container is on
    Prune {
        /// Remove only some: until=TIME, label=KEY[=VALUE], label!=KEY[=VALUE]
        #[arg(long, value_name = "KEY=VALUE")]
        filter: Vec<String>,
        /// Do not ask
        #[arg(short, long)]
        force: bool,
    },
    /// Make right again what the networks of running containers have on the host
    Reload,
    /// Remove networks
    #[command(visible_alias = "remove")]
    Rm {
        /// Take it as done that others are not there
        #[arg(short, long)]
        force: bool,
        /// Names or IDs
        #[arg(required = true, value_name = "NETWORK")]
        names: Vec<String>,
    },
}

impl Network {
    pub(super) fn run(self, context: &Context) -> Done {
        match self.command {
            Subcommand::Connect(command) => command.run(context),
            Subcommand::Create(command) => {
                let made = context.engine()?.create_network(command.request()?)?;
                println!("{}", made.id);
                Ok(0)
            }
            Subcommand::Disconnect { force, network, container } => {
                let mut engine = context.engine()?;
                let network = engine.network(&network)?;
                let container = engine.container(&container)?;
                engine.disconnect_network(&network, &container, force)?;
                Ok(0)
            }
            Subcommand::Inspect { format, verbose: _, names } => inspect(context, format.as_deref(), &names),
            Subcommand::Ls { filter, format, no_trunc, quiet } => {
                list(context, &filter, format.as_deref(), no_trunc, quiet)
            }
            Subcommand::Prune { filter, force } => prune(context, &filter, force),
            Subcommand::Reload => {
                let done = context.engine()?.reload_networks()?;
                println!("{} containers on {} bridges", done.containers, done.bridges);
                Ok(0)
            }
            Subcommand::Rm { force, names } => {
                let mut engine = context.engine()?;
                let mut code = 0;
                for name in &names {
                    match engine.remove_network(name) {
                        Ok(_) => println!("{name}"),
                        Err(Error::NotFound { .. }) if force => {}
                        Err(error) => {
                            complain(&error.to_string());
                            code = 1;
                        }
                    }
                }
                Ok(code)
            }
        }
    }
}

fn prune(context: &Context, filter: &[String], force: bool) -> Done {
    let filter = PruneFilter::new(parse(filter)?).map_err(Error::from)?;
    let question = "This will remove all custom networks not used by at least one container.";
    if !force && !confirmed(question)? {
        return Err(Failure::new("network prune has been cancelled"));
    }
    let gone = context.engine()?.prune_networks(&filter)?;
    print_deleted("Networks", &gone);
    Ok(0)
}
