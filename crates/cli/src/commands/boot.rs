//! `bulkhead system boot`, `shutdown` and `start-again`: what restart policies ask for, see
//! [`bulkhead_engine::commands::boot`]. The unit for systemd calls the first two.

use super::Done;
use crate::Context;
use crate::failure::complain;

/// Starts what ran when the machine went down.
pub(super) fn boot(context: &Context) -> Done {
    let booted = context.engine()?.boot()?;
    for name in &booted.started {
        println!("{name}");
    }
    for (name, error) in &booted.failed {
        complain(&format!("cannot start container {name}: {error}"));
    }
    Ok(u8::from(!booted.failed.is_empty()))
}

/// Ends all containers before the machine goes down.
pub(super) fn shutdown(context: &Context) -> Done {
    let failed = context.engine()?.shutdown()?;
    for (name, error) in &failed {
        complain(&format!("cannot stop container {name}: {error}"));
    }
    Ok(u8::from(!failed.is_empty()))
}

/// Starts a container again, as its restart policy asks for.
pub(super) fn start_again(context: &Context, id: &str) -> Done {
    let mut engine = context.engine()?;
    let container = engine.container(id)?;
    engine.start_again(&container)?;
    super::system::checkpoint_aside(context, &engine);
    Ok(0)
}
