//! `rename`: another name for a container, running or not.
//!
//! The name of a running container is also a link by which it is found without the database. It goes first, and the
//! supervisor answers to the new name alone from then on: whatever is killed in the middle, nobody who asks for the old
//! name is answered by a container that does not have it any more ([`bulkhead_supervisor::identity`]).

use bulkhead_supervisor::identity::{publish, withdraw};
use bulkhead_supervisor::protocol::{Reply, Request};

use crate::error::{Error, Result};
use crate::spec::text;
use crate::store::containers::{self, Container};
use crate::{Engine, names};

impl Engine {
    /// Gives the container another name.
    ///
    /// # Errors
    /// The name is taken, is the one that it has, or can be none.
    pub fn rename(&mut self, container: &Container, name: &str) -> Result<()> {
        let name = name.strip_prefix('/').unwrap_or(name);
        if !names::is_valid(name) {
            return Err(Error::Invalid(format!(
                "Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
            )));
        }
        if name == container.name {
            return Err(Error::Invalid("Renaming a container with the same name as its current name".into()));
        }
        if let Some(holder) = containers::id_of_name(self.store.read(), name)? {
            return Err(containers::name_taken(name, &holder));
        }
        let runs = self.condition(container)?.active().is_some();
        if runs {
            withdraw(&self.roots.name_link(&container.name), &self.roots.running(&container.id));
            bulkhead_sys::fail::point("rename: link gone");
            self.call(container, name)?;
        }
        bulkhead_sys::fail::point("rename: supervisor told");
        let renamed = self.store.write(|transaction| containers::rename(transaction, &container.id, name));
        bulkhead_sys::fail::point("rename: recorded");
        let now = if renamed.is_ok() { name } else { &container.name };
        if runs {
            if renamed.is_err() {
                self.call(container, now)?;
            }
            publish(&self.roots.name_link(now), &self.roots.running(&container.id));
        }
        if renamed.is_ok() {
            let renamed = Container { name: name.to_owned(), ..container.clone() };
            self.tell_of(&renamed, "rename", [("oldName", format!("/{}", container.name))]);
        }
        renamed
    }

    /// Tells the supervisor the container's name. One that has just ended needs to know no more.
    fn call(&self, container: &Container, name: &str) -> Result<()> {
        let link = text(&self.roots.name_link(name))?;
        match self.ask(container, &Request::Rename { name: name.to_owned(), link }, &[]) {
            Ok((Reply::Done, _)) => Ok(()),
            Ok((Reply::Failed(error), _)) => Err(error.into()),
            Ok((other, _)) => Err(Error::Corrupt(format!("the supervisor answered {other:?} to a new name"))),
            Err(_) if self.condition(container)?.active().is_none() => Ok(()),
            Err(error) => Err(error),
        }
    }
}
