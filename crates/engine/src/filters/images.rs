//! Filters of `images` and `GET /images/json`.

use bollard_stubs::models::ImageSummary;
use bulkhead_image::Reference;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Filters;
use super::pattern::glob;
use crate::Engine;
use crate::error::Result;
use crate::store::images;

const KNOWN: [&str; 6] = ["before", "dangling", "label", "reference", "since", "until"];

impl Engine {
    /// The images that are asked for. By `reference`, each has only those names left that are asked for.
    ///
    /// # Errors
    /// An unknown filter, a value that it doesn't take, an image that is not there; the database's.
    pub fn images_wanted(&self, filters: &Filters) -> Result<Vec<ImageSummary>> {
        filters.only(&KNOWN)?;
        let (dangling, until) = (filters.truth("dangling")?, filters.moment("until")?);
        let made = |key: &str| -> Result<Vec<OffsetDateTime>> {
            let made = |name: &String| Ok(moment(&images::find(self.store.read(), name)?.created));
            filters.get(key).iter().map(made).collect()
        };
        let (before, since) = (made("before")?.into_iter().min(), made("since")?.into_iter().max());
        let mut all = self.images()?;
        // Summaries have whole seconds; images that follow each other at once are told apart by what is in their configs.
        let exact =
            if before.is_some() || since.is_some() { images::all(self.store.read())? } else { Vec::new() };
        all.retain_mut(|image| {
            let at = exact.iter().find(|one| one.id == image.id).map(|one| moment(&one.created));
            let in_time = |limit: Option<OffsetDateTime>,
                           fits: fn(&OffsetDateTime, &OffsetDateTime) -> bool| {
                limit.is_none_or(|limit| at.is_some_and(|at| fits(&at, &limit)))
            };
            in_time(before, OffsetDateTime::lt)
                && in_time(since, OffsetDateTime::gt)
                && until.is_none_or(|until| image.created < until)
                && dangling.is_none_or(|dangling| dangling == image.repo_tags.is_empty())
                && filters.labels("label", &image.labels)
                && has_name(image, filters)
        });
        Ok(all)
    }
}

/// Images that do not say when they were made are as old as can be.
fn moment(text: &str) -> OffsetDateTime {
    OffsetDateTime::parse(text, &Rfc3339).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// Leaves it the names that are asked for; whether there are any.
fn has_name(image: &mut ImageSummary, filters: &Filters) -> bool {
    if !filters.has("reference") {
        return true;
    }
    let asked = |name: &String| {
        let repository =
            Reference::parse_exact(name).map(|reference| reference.familiar_name()).unwrap_or_default();
        let fits = |text: &str| filters.any("reference", |wanted| glob(wanted.as_bytes(), text.as_bytes()));
        fits(name) || fits(&repository)
    };
    image.repo_tags.retain(asked);
    image.repo_digests.retain(asked);
    !image.repo_tags.is_empty() || !image.repo_digests.is_empty()
}
