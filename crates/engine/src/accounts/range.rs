//! A range of IDs as subuid(5) has it: the first and how many.
//!
//! The last ID there is, 2^32-1, belongs to no range: the kernel means "no ID" by it (user_namespaces(7)).

/// A range of user or group IDs on the host. Those that this module gives have at least one ID, and their
/// last one is at most 2^32-2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Range {
    /// The first ID.
    pub(crate) first: u32,
    /// How many.
    pub(crate) count: u32,
}

/// The highest ID that somebody can have.
pub(super) const HIGHEST: u32 = u32::MAX - 1;

impl Range {
    /// The range, if it has an ID and ends at 2^32-2 or before.
    pub(crate) fn new(first: u32, count: u32) -> Option<Range> {
        let last = first.checked_add(count.checked_sub(1)?)?;
        (last <= HIGHEST).then_some(Range { first, count })
    }

    /// The last ID (of a range without any: the first).
    pub(crate) fn last(self) -> u32 {
        self.first.saturating_add(self.count.saturating_sub(1))
    }

    /// Whether that ID is in it.
    pub(crate) fn contains(self, id: u32) -> bool {
        self.count > 0 && self.first <= id && id <= self.last()
    }

    /// Whether an ID is in both.
    pub(crate) fn overlaps(self, other: Range) -> bool {
        self.count > 0 && other.count > 0 && self.first <= other.last() && other.first <= self.last()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_ends_before_the_id_that_means_none() {
        assert_eq!(Range::new(u32::MAX - 2, 2).map(Range::last), Some(u32::MAX - 1));
        assert_eq!(Range::new(u32::MAX - 2, 3), None);
        assert_eq!(Range::new(1, u32::MAX), None);
        assert_eq!(Range::new(5, 0), None);
    }

    #[test]
    fn neighbours_do_not_overlap() {
        let a = Range { first: 100, count: 10 };
        assert!(!a.overlaps(Range { first: 110, count: 10 }) && !a.overlaps(Range { first: 90, count: 10 }));
        assert!(a.overlaps(Range { first: 109, count: 1 }) && a.overlaps(Range { first: 0, count: 101 }));
        assert!(a.contains(100) && a.contains(109) && !a.contains(110) && !a.contains(99));
    }
}
