//! Seeded numbers and words: one seed makes the same data on every machine. Never for secrets.

/// A SplitMix64 sequence.
pub struct Dice(u64);

const WORDS: [&str; 48] = [
    "customer", "order", "amount", "region", "status", "date", "product", "price", "margin", "stock", "revenue",
    "country", "segment", "score", "churn", "model", "target", "feature", "train", "test", "prepare", "join", "group",
    "window", "pivot", "filter", "sync", "export", "bundle", "deploy", "daily", "weekly", "raw", "clean", "enriched",
    "final", "paris", "london", "tokyo", "berlin", "lisbon", "active", "pending", "closed", "returned", "high", "low",
    "medium",
];

impl Dice {
    /// The sequence that belongs to a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`, which is at least 1.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    /// True in so many of a hundred cases.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// A word of the trade.
    pub fn word(&mut self) -> &'static str {
        WORDS[self.below(WORDS.len() as u64) as usize]
    }

    /// Two words, as names are made.
    pub fn name(&mut self) -> String {
        format!("{}_{}", self.word(), self.word())
    }

    /// Bytes no compressor makes smaller.
    pub fn noise(&mut self, bytes: usize) -> Vec<u8> {
        let mut noise: Vec<u8> = (0..bytes.div_ceil(8)).flat_map(|_| self.next().to_le_bytes()).collect();
        noise.truncate(bytes);
        noise
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_gives_the_same_data() {
        let data = |seed| {
            let mut dice = Dice::new(seed);
            (dice.name(), dice.noise(13))
        };
        assert_eq!(data(7), data(7));
        assert_ne!(data(7), data(8));
        assert_eq!(data(7).1.len(), 13);
    }
}
