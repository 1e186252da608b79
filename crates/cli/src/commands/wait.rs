//! `bulkhead wait`.

use super::Done;
use crate::Context;
use crate::failure::complain;

/// Wait for containers to end, and print their exit codes
#[derive(Debug, clap::Args)]
pub struct Wait {
    /// Containers, by name or ID
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

impl Wait {
    pub(super) fn run(self, context: &Context) -> Done {
        let engine = context.engine()?;
        let mut code = 0;
        for name in &self.containers {
            match engine.container(name).and_then(|container| engine.wait(&container)) {
                Ok(ended) => println!("{ended}"),
                Err(error) => {
                    complain(&error.to_string());
                    code = 1;
                }
            }
        }
        Ok(code)
    }
}
