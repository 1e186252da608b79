//! `bulkhead oci …`: the OCI runtime, which is also what the executable is when it is called `bulkhead-runtime`. Its
//! command line is runc's and none of ours, so it is handed over before anything of ours is looked at.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::Args;

use super::Done;
use crate::Context;

/// For help and completion; [`asked_for`] has the command line before this could.
#[derive(Debug, Args)]
pub struct Oci {
    /// The runtime's own flags and command (see `bulkhead oci --help`)
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

impl Oci {
    pub(super) fn run(&self, _context: &Context) -> Done {
        // Flags of ours came before the word; they mean nothing to the runtime.
        Err(crate::failure::Failure::new("oci comes first: bulkhead's own flags mean nothing to it")
            .code(125))
    }
}

/// The runtime's command line, if it is meant: by the name of the executable, or by its first word.
pub(crate) fn asked_for(args: impl Iterator<Item = OsString>) -> Option<Vec<OsString>> {
    let mut args = args.peekable();
    let name = args.next()?;
    if Path::new(&name).file_name() == Some(OsStr::new(bulkhead_oci::NAME)) {
        return Some([name].into_iter().chain(args).collect());
    }
    args.next_if(|word| word == "oci")?;
    Some([OsString::from("bulkhead oci")].into_iter().chain(args).collect())
}
