//! The commands, a file each.

mod attach;
mod boot;
mod commit;
pub(crate) mod completion;
mod container;
mod cp;
mod create;
mod diff;
mod events;
mod exec;
mod export;
mod history;
mod image;
mod images;
mod import;
mod info;
mod inspect;
mod kill;
mod load;
mod login;
mod logs;
mod network;
mod ns;
pub(crate) mod oci;
mod pause;
mod port;
mod prune;
mod ps;
mod pull;
mod push;
mod rename;
mod restart;
mod rm;
mod rmi;
mod run;
mod save;
mod search;
mod serve;
mod start;
mod stats;
mod stop;
mod system;
mod tag;
mod top;
mod update;
mod version;
mod volume;
mod wait;

use clap::Subcommand;

use crate::Context;
use crate::failure::{Failure, complain, printable};

/// What a command gives: an exit code, or the reason why it failed.
type Done = Result<u8, Failure>;

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Attach to a running container's streams
    Attach(attach::Attach),
    /// Print what a shell needs to complete commands, flags and names
    Completion(completion::Completion),
    /// Make an image of what a container changed
    Commit(commit::Commit),
    /// Manage containers
    Container(Box<container::Container>),
    /// Copy files between a container and this machine
    Cp(cp::Cp),
    /// Make a container without starting it
    Create(Box<create::Create>),
    /// Show what a container changed in its files
    Diff(diff::Diff),
    /// Show what happens to containers, images and volumes
    Events(events::Events),
    /// Run another program in a running container
    Exec(exec::Exec),
    /// Write a container's root file system to a tar
    Export(export::Export),
    /// Show how an image came to be
    History(history::History),
    /// Manage images
    Image(image::Image),
    /// List images
    Images(images::Images),
    /// Make an image from the tar of a root file system
    Import(import::Import),
    /// Show what this engine and this machine are
    Info(info::Info),
    /// Show everything about containers and images
    Inspect(inspect::Inspect),
    /// Send a signal to containers
    Kill(kill::Kill),
    /// Take in images from an archive
    Load(load::Load),
    /// Show a registry who asks, and keep it
    Login(login::Login),
    /// Forget what is kept for a registry
    Logout(login::Logout),
    /// Show what a container wrote
    Logs(logs::Logs),
    /// Manage networks
    Network(network::Network),
    /// Show which namespaces containers have, and with whom they share them
    Ns(ns::Ns),
    /// Be an OCI runtime: runc's commands, for Docker, containerd and Podman
    Oci(oci::Oci),
    /// Freeze containers
    Pause(pause::Pause),
    /// Show where a container's ports are published
    Port(port::Port),
    /// List containers
    Ps(ps::Ps),
    /// Fetch an image from a registry
    Pull(pull::Pull),
    /// Send an image to a registry
    Push(push::Push),
    /// Give a container another name
    Rename(rename::Rename),
    /// Stop containers, and start them again
    Restart(restart::Restart),
    /// Remove containers
    Rm(rm::Rm),
    /// Remove images
    Rmi(rmi::Rmi),
    /// Make and start a container
    Run(Box<run::Run>),
    /// Write images to an archive
    Save(save::Save),
    /// Answer Docker's API, for the docker command and all that speaks it
    Serve(serve::Serve),
    /// Search Docker Hub (not supported)
    #[command(hide = true)]
    Search(search::Search),
    /// Start containers that do not run
    Start(start::Start),
    /// Show what running containers use, again and again
    Stats(stats::Stats),
    /// Stop containers
    Stop(stop::Stop),
    /// Look after the engine as a whole
    System(system::System),
    /// Give an image another name
    Tag(tag::Tag),
    /// Show the processes of a container
    Top(top::Top),
    /// Let frozen containers go on
    Unpause(pause::Unpause),
    /// Give containers other limits
    Update(Box<update::Update>),
    /// Show versions
    Version(version::Version),
    /// Manage volumes
    Volume(volume::Volume),
    /// Wait for containers to end, and print their exit codes
    Wait(wait::Wait),
}

impl Command {
    pub(crate) fn run(self, context: &Context) -> Done {
        match self {
            Command::Attach(command) => command.run(context),
            Command::Completion(command) => command.run(context),
            Command::Commit(command) => command.run(context),
            Command::Container(command) => command.run(context),
            Command::Cp(command) => command.run(context),
            Command::Create(command) => command.run(context),
            Command::Diff(command) => command.run(context),
            Command::Events(command) => command.run(context),
            Command::Exec(command) => command.run(context),
            Command::Export(command) => command.run(context),
            Command::History(command) => command.run(context),
            Command::Image(command) => command.run(context),
            Command::Images(command) => command.run(context),
            Command::Import(command) => command.run(context),
            Command::Info(command) => command.run(context),
            Command::Inspect(command) => command.run(context),
            Command::Kill(command) => command.run(context),
            Command::Load(command) => command.run(context),
            Command::Login(command) => command.run(context),
            Command::Logout(command) => command.run(context),
            Command::Logs(command) => command.run(context),
            Command::Network(command) => command.run(context),
            Command::Ns(command) => command.run(context),
            Command::Oci(command) => command.run(context),
            Command::Pause(command) => command.run(context),
            Command::Port(command) => command.run(context),
            Command::Ps(command) => command.run(context),
            Command::Pull(command) => command.run(context),
            Command::Push(command) => command.run(context),
            Command::Rename(command) => command.run(context),
            Command::Restart(command) => command.run(context),
            Command::Rm(command) => command.run(context),
            Command::Rmi(command) => command.run(context),
            Command::Run(command) => command.run(context),
            Command::Save(command) => command.run(context),
            Command::Serve(command) => command.run(context),
            Command::Search(command) => command.run(context),
            Command::Start(command) => command.run(context),
            Command::Stats(command) => command.run(context),
            Command::Stop(command) => command.run(context),
            Command::System(command) => command.run(context),
            Command::Tag(command) => command.run(context),
            Command::Top(command) => command.run(context),
            Command::Unpause(command) => command.run(context),
            Command::Update(command) => command.run(context),
            Command::Version(command) => command.run(context),
            Command::Volume(command) => command.run(context),
            Command::Wait(command) => command.run(context),
        }
    }
}

/// Does `work` for each of `names`, and prints the name of each that succeeded; one failure does not stop the
/// rest.
fn for_each(names: &[String], mut work: impl FnMut(&str) -> Result<(), Failure>) -> Done {
    let mut code = 0;
    for name in names {
        match work(name) {
            Ok(()) => println!("{name}"),
            Err(failure) => {
                complain(&failure.message);
                code = failure.code;
            }
        }
    }
    Ok(code)
}

/// What a template's or a list's failure is for a command.
fn shown(result: Result<(), impl std::fmt::Display>) -> Result<(), Failure> {
    result.map_err(|error| Failure::new(error.to_string()))
}

/// Shows warnings as Docker does.
fn warn(warnings: &[String]) {
    for warning in warnings {
        eprintln!("WARNING: {}", printable(warning));
    }
}
