//! Numbers that look random and come again from the same seed (xorshift64*).

/// A source of such numbers.
pub(crate) struct Random(u64);

impl Random {
    /// One of several sources of a seed.
    pub(crate) fn new(seed: u64, which: u64) -> Random {
        let mut random = Random((seed ^ (which + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)) | 1);
        // The first ones of neighbouring seeds are alike.
        for _ in 0..8 {
            random.below(2);
        }
        random
    }

    /// A number from 0 to `end`, which is not among them.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % end
    }
}
