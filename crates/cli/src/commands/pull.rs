//! `bulkhead pull`, and the pull that `run` and `create` begin with when the image is not there.

use bulkhead_engine::commands::pull::PullRequest;
use bulkhead_engine::registry::Credentials;
use bulkhead_engine::registry::kept::Kept;
use bulkhead_engine::{Engine, Reference};

use super::Done;
use crate::Context;
use crate::failure::Failure;
use crate::output::transfer::Transfer;

/// Fetch an image from a registry
#[derive(Debug, clap::Args)]
pub struct Pull {
    /// Fetch all tags of the repository
    #[arg(short, long)]
    all_tags: bool,
    /// Whether signatures of images are left unverified: true
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "true", hide_default_value = true, value_name = "BOOL")]
    disable_content_trust: bool,
    /// Fetch the image for another platform, e.g. linux/arm64
    #[arg(long, value_name = "PLATFORM", env = "DOCKER_DEFAULT_PLATFORM", hide_env = true)]
    platform: Option<String>,
    /// Print the image's name alone
    #[arg(short, long)]
    quiet: bool,
    /// The image: NAME[:TAG] or NAME@DIGEST
    image: String,
}

impl Pull {
    pub(super) fn run(self, context: &Context) -> Done {
        trust(self.disable_content_trust)?;
        let exact = Reference::parse_exact(&self.image).map_err(|error| Failure::new(error.to_string()))?;
        if !self.all_tags && !self.quiet && exact.tag().is_none() && exact.digest().is_none() {
            println!("Using default tag: latest");
        }
        let request = PullRequest {
            reference: self.image.clone(),
            platform: self.platform.clone(),
            all_tags: self.all_tags,
        };
        let credentials = credentials(&exact)?;
        let mut engine = context.engine()?;
        let mut shown = Transfer::new(self.quiet, false);
        let pulled = engine.pull(&request, &credentials, &mut |line| shown.tell(&line));
        drop(shown);
        let pulled = pulled?;
        match self.all_tags {
            true => println!("{}", exact.name()),
            false => pulled.iter().for_each(|image| println!("{}", image.reference)),
        }
        Ok(0)
    }
}

/// What is kept for the registry of an image.
pub(super) fn credentials(reference: &Reference) -> Result<Credentials, Failure> {
    let failed = |error: bulkhead_engine::registry::RegistryError| Failure::new(error.to_string());
    Kept::open().and_then(|kept| kept.get(reference.domain())).map_err(failed)
}

/// Signatures cannot be verified here.
pub(super) fn trust(disabled: bool) -> Result<(), Failure> {
    match disabled {
        true => Ok(()),
        false => Err(Failure::new(
            "--disable-content-trust=false: this version of bulkhead does not verify signatures of images",
        )),
    }
}

/// Fetches the image that a container is to be made from; what is told of it is not what the command prints.
pub(super) fn for_container(
    engine: &mut Engine,
    image: &str,
    platform: Option<&str>,
    quiet: bool,
) -> Result<(), Failure> {
    let reference = Reference::parse(image).map_err(|error| Failure::new(error.to_string()).code(125))?;
    let credentials = credentials(&reference).map_err(|failure| failure.code(125))?;
    let request =
        PullRequest { reference: image.to_owned(), platform: platform.map(str::to_owned), all_tags: false };
    let mut shown = Transfer::new(quiet, true);
    let pulled = engine.pull(&request, &credentials, &mut |line| shown.tell(&line));
    pulled.map(drop).map_err(|error| Failure::new(error.to_string()).code(125))
}
