//! Filters of the `prune` commands: what of all that is not used is to go.
//!
//! Where Docker's rule could take more than was meant, less goes: a thing stays if it has any of the labels of `label!`.

use std::collections::HashMap;

use super::{FilterError, Filters};

/// Which of the things that are not used go.
#[derive(Clone, Debug)]
pub struct PruneFilter {
    filters: Filters,
    /// Seconds since 1970: what was made later stays.
    until: Option<i64>,
    /// Whether those that have a name go too: `dangling=false` of images, `all=true` of volumes.
    named: bool,
}

impl PruneFilter {
    /// Of containers and networks.
    ///
    /// # Errors
    /// An unknown filter, or a value that it doesn't take.
    pub fn new(filters: Filters) -> Result<PruneFilter, FilterError> {
        PruneFilter::of(filters, &["label", "label!", "until"])
    }

    /// Of images.
    ///
    /// # Errors
    /// The same.
    pub fn of_images(filters: Filters) -> Result<PruneFilter, FilterError> {
        let named = filters.truth("dangling")? == Some(false);
        Ok(PruneFilter { named, ..PruneFilter::of(filters, &["dangling", "label", "label!", "until"])? })
    }

    /// Of volumes.
    ///
    /// # Errors
    /// The same.
    pub fn of_volumes(filters: Filters) -> Result<PruneFilter, FilterError> {
        let named = filters.truth("all")? == Some(true);
        Ok(PruneFilter { named, ..PruneFilter::of(filters, &["all", "label", "label!"])? })
    }

    fn of(filters: Filters, known: &[&str]) -> Result<PruneFilter, FilterError> {
        filters.only(known)?;
        let until = filters.moment("until")?;
        Ok(PruneFilter { filters, until, named: false })
    }

    /// The filters themselves.
    pub fn filters(&self) -> &Filters {
        &self.filters
    }

    /// Whether those that have a name go too.
    pub fn takes_named(&self) -> bool {
        self.named
    }

    /// Whether what was made then (seconds since 1970), with these labels, goes.
    pub fn wants(&self, created: i64, labels: &HashMap<String, String>) -> bool {
        self.until.is_none_or(|until| created <= until)
            && self.filters.labels("label", labels)
            && !self.filters.any_label("label!", labels)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::{Filters, PruneFilter};

    fn filters(pairs: &[(&str, &str)]) -> Filters {
        let mut all = Filters::default();
        pairs.iter().for_each(|(key, value)| all.add(key, value));
        all
    }

    #[test]
    fn what_is_kept_by_one_label_stays() {
        let labels = |name: &str| HashMap::from([(name.to_owned(), "1".to_owned())]);
        let asked =
            PruneFilter::new(filters(&[("label!", "a"), ("label!", "b=1"), ("until", "100")])).unwrap();
        assert!(asked.wants(100, &labels("c")) && !asked.wants(101, &labels("c")));
        assert!(!asked.wants(1, &labels("a")) && !asked.wants(1, &labels("b")));
    }

    #[test]
    fn each_kind_has_its_own() {
        assert!(PruneFilter::new(filters(&[("dangling", "true")])).is_err());
        assert!(PruneFilter::of_volumes(filters(&[("until", "1h")])).is_err());
        assert!(PruneFilter::of_images(filters(&[("dangling", "false")])).unwrap().takes_named());
        assert!(!PruneFilter::of_images(filters(&[("dangling", "true")])).unwrap().takes_named());
        assert!(PruneFilter::of_volumes(filters(&[("all", "1")])).unwrap().takes_named());
        assert!(PruneFilter::of_volumes(filters(&[("all", "perhaps")])).is_err());
    }
}
