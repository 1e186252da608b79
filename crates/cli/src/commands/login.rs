//! `bulkhead login` and `bulkhead logout`: what a registry is told about who asks, kept where Docker's other clients keep it.

use std::io::{BufRead, Read, Write};

use bulkhead_engine::registry::kept::{Kept, Place, domain_of};
use bulkhead_engine::registry::{Credentials, RegistryError, credentials_key};
use rustix::termios::{LocalModes, OptionalActions, isatty, tcgetattr, tcsetattr};

use super::Done;
use crate::Context;
use crate::failure::Failure;

/// No password is longer.
const LONGEST: u64 = 64 * 1024;

/// Show a registry who asks, and keep it
#[derive(Debug, clap::Args)]
pub struct Login {
    /// The password; others can see it in the list of processes
    #[arg(short, long, value_name = "PASSWORD")]
    password: Option<String>,
    /// Read the password from standard input
    #[arg(long, conflicts_with = "password")]
    password_stdin: bool,
    /// The user's name
    #[arg(short, long, value_name = "NAME")]
    username: Option<String>,
    /// The registry; docker.io without it
    server: Option<String>,
}

/// Forget what is kept for a registry
#[derive(Debug, clap::Args)]
pub struct Logout {
    /// The registry; docker.io without it
    server: Option<String>,
}

impl Login {
    pub(super) fn run(self, context: &Context) -> Done {
        if self.password.is_some() {
            eprintln!("WARNING! Using --password via the CLI is insecure. Use --password-stdin.");
        }
        if self.password_stdin && self.username.as_deref().unwrap_or_default().is_empty() {
            return Err(Failure::new("Must provide --username with --password-stdin"));
        }
        let domain = domain_of(self.server.as_deref());
        let mut kept = Kept::open().map_err(failed)?;
        let mut credentials = self.credentials(&kept, &domain)?;
        credentials.serveraddress = credentials_key(&domain).to_owned();
        let engine = context.engine()?;
        if let Some(token) = engine.login(&domain, &credentials)? {
            credentials.identitytoken = token;
        }
        if let Place::File(path) = kept.put(&domain, &credentials).map_err(failed)? {
            eprintln!("WARNING! Your credentials are stored unencrypted in '{}'.", path.display());
            eprintln!("Configure a credential helper to remove this warning. See");
            eprintln!("https://docs.docker.com/go/credential-store/");
            eprintln!();
        }
        println!("Login Succeeded");
        Ok(0)
    }

    /// Those given, those kept when none are, and what a person types.
    fn credentials(&self, kept: &Kept, domain: &str) -> Result<Credentials, Failure> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let (name, password) = (given(&self.username), given(&self.password));
        if self.password_stdin {
            let password = from_stdin()?;
            return Ok(Credentials::password(&name.unwrap_or_default(), &password));
        }
        let known = kept.get(domain).map_err(failed)?;
        if name.is_none() && password.is_none() && !known.is_empty() {
            println!("Authenticating with existing credentials...");
            return Ok(known);
        }
        if let (Some(name), Some(password)) = (&name, &password) {
            return Ok(Credentials::password(name, password));
        }
        if !isatty(rustix::stdio::stdin()) {
            return Err(Failure::new("Cannot perform an interactive login from a non TTY device"));
        }
        let name = match name {
            Some(name) => name,
            None => ask("Username: ", true)?,
        };
        if name.is_empty() {
            return Err(Failure::new("username is required"));
        }
        let password = match password {
            Some(password) => password,
            None => ask("Password: ", false)?,
        };
        if password.is_empty() {
            return Err(Failure::new("password is required"));
        }
        Ok(Credentials::password(&name, &password))
    }
}

impl Logout {
    pub(super) fn run(self, _: &Context) -> Done {
        let domain = domain_of(self.server.as_deref());
        let key = credentials_key(&domain);
        println!("Removing login credentials for {key}");
        if !Kept::open().and_then(|mut kept| kept.erase(&domain)).map_err(failed)? {
            println!("Not logged in to {key}");
        }
        Ok(0)
    }
}

fn failed(error: RegistryError) -> Failure {
    Failure::new(error.to_string())
}

/// All of standard input, without the line's end that `echo` puts there.
fn from_stdin() -> Result<String, Failure> {
    let mut text = String::new();
    std::io::stdin().lock().take(LONGEST).read_to_string(&mut text)?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(Failure::new("password is empty"));
    }
    Ok(text.to_owned())
}

/// Asks on the terminal. What is not to be seen is not echoed.
fn ask(question: &str, seen: bool) -> Result<String, Failure> {
    print!("{question}");
    std::io::stdout().flush()?;
    let stdin = rustix::stdio::stdin();
    let before = tcgetattr(stdin).map_err(std::io::Error::from)?;
    if !seen {
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(stdin, OptionalActions::Now, &hidden).map_err(std::io::Error::from)?;
    }
    let mut line = String::new();
    let read = std::io::stdin().lock().take(LONGEST).read_line(&mut line);
    if !seen {
        tcsetattr(stdin, OptionalActions::Now, &before).map_err(std::io::Error::from)?;
        println!();
    }
    read?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}
