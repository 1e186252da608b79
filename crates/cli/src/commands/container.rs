//! `bulkhead container`: the commands for containers once more, in Docker's group of that name; and `prune`, which is
//! nowhere else.

use std::io::Write;

use bulkhead_engine::Error;
use bulkhead_engine::filters::prune::PruneFilter;

use super::prune::print_deleted;
use super::{
    Done, attach, commit, cp, create, diff, exec, export, inspect, kill, logs, pause, port, ps, rename,
    restart, rm, run, start, stats, stop, top, update, wait,
};
use crate::Context;
use crate::failure::Failure;
use crate::output::filters::parse;
use crate::output::units::human_size_with;

/// Manage containers
#[derive(Debug, clap::Args)]
pub struct Container {
    #[command(subcommand)]
    command: Subcommand,
}

#[derive(Debug, clap::Subcommand)]
enum Subcommand {
    /// Attach to a running container's streams
    Attach(attach::Attach),
    /// Make an image of what a container changed
    Commit(commit::Commit),
    /// Copy files between a container and this machine
    Cp(cp::Cp),
    /// Make a container without starting it
    Create(Box<create::Create>),
    /// Show what a container changed in its files
    Diff(diff::Diff),
    /// Run another program in a running container
    Exec(exec::Exec),
    /// Write a container's root file system to a tar
    Export(export::Export),
    /// Show everything about containers
    Inspect(inspect::Inspect),
    /// Send a signal to containers
    Kill(kill::Kill),
    /// Show what a container wrote
    Logs(logs::Logs),
    /// List containers
    #[command(visible_alias = "list", alias = "ps")]
    Ls(ps::Ps),
    /// Freeze containers
    Pause(pause::Pause),
    /// Show where its ports are published
    Port(port::Port),
    /// Remove all containers that do not run
    Prune(Prune),
    /// Give a container another name
    Rename(rename::Rename),
    /// Stop containers, and start them again
    Restart(restart::Restart),
    /// Remove containers
    #[command(visible_alias = "remove")]
    Rm(rm::Rm),
    /// Make and start a container
    Run(Box<run::Run>),
    /// Start containers that do not run
    Start(start::Start),
    /// Show what running containers use, again and again
    Stats(stats::Stats),
    /// Stop containers
    Stop(stop::Stop),
    /// Show the processes of a container
    Top(top::Top),
    /// Let frozen containers go on
    Unpause(pause::Unpause),
    /// Give containers other limits
    Update(Box<update::Update>),
    /// Wait for containers to end, and print their exit codes
    Wait(wait::Wait),
}

#[derive(Debug, clap::Args)]
struct Prune {
    /// Remove only some: until=TIME, label=KEY[=VALUE], label!=KEY[=VALUE]
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
}

impl Container {
    pub(super) fn run(self, context: &Context) -> Done {
        match self.command {
            Subcommand::Attach(command) => command.run(context),
            Subcommand::Commit(command) => command.run(context),
            Subcommand::Cp(command) => command.run(context),
            Subcommand::Create(command) => command.run(context),
            Subcommand::Diff(command) => command.run(context),
            Subcommand::Exec(command) => command.run(context),
            Subcommand::Export(command) => command.run(context),
            Subcommand::Inspect(command) => command.of_containers().run(context),
            Subcommand::Kill(command) => command.run(context),
            Subcommand::Logs(command) => command.run(context),
            Subcommand::Ls(command) => command.run(context),
            Subcommand::Pause(command) => command.run(context),
            Subcommand::Port(command) => command.run(context),
            Subcommand::Prune(command) => command.run(context),
            Subcommand::Rename(command) => command.run(context),
            Subcommand::Restart(command) => command.run(context),
            Subcommand::Rm(command) => command.run(context),
            Subcommand::Run(command) => command.run(context),
            Subcommand::Start(command) => command.run(context),
            Subcommand::Stats(command) => command.run(context),
            Subcommand::Stop(command) => command.run(context),
            Subcommand::Top(command) => command.run(context),
            Subcommand::Unpause(command) => command.run(context),
            Subcommand::Update(command) => command.run(context),
            Subcommand::Wait(command) => command.run(context),
        }
    }
}

impl Prune {
    fn run(self, context: &Context) -> Done {
        let filter = PruneFilter::new(parse(&self.filter)?).map_err(Error::from)?;
        if !self.force && !confirmed("This will remove all stopped containers.")? {
            return Err(Failure::new("container prune has been cancelled"));
        }
        let pruned = context.engine()?.prune_containers(&filter)?;
        print_deleted("Containers", &pruned.names);
        println!("Total reclaimed space: {}", human_size_with(pruned.bytes, 4));
        Ok(0)
    }
}

/// Asks, as Docker does; anything but yes is no.
pub(super) fn confirmed(what: &str) -> Result<bool, Failure> {
    println!("WARNING! {what}");
    print!("Are you sure you want to continue? [y/N] ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y"))
}
