//! `checkpoint` and `restore`: known, so that whoever calls them hears a clear no, whatever flags they give.

use clap::Args;

#[derive(Debug, Args)]
pub(super) struct Checkpoint {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    #[allow(dead_code)]
    rest: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct Restore {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    #[allow(dead_code)]
    rest: Vec<String>,
}
