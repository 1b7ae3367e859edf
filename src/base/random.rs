//! Randomness as a seam: the system's generator, or a seeded one in tests and generators.

/// A source of unpredictable bytes.
pub trait Entropy: Send + Sync {
    /// Fills `bytes`. The system's generator never fails on a supported kernel; if it does the process ends,
    /// for no key may ever be made from anything weaker.
    fn fill(&self, bytes: &mut [u8]);
}

/// The system's generator (`getrandom(2)`).
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(clippy::expect_used, reason = "continuing without randomness would be worse than ending")]
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the system's random generator failed");
    }
}

/// An array of fresh random bytes.
pub fn array<const N: usize>(entropy: &dyn Entropy) -> [u8; N] {
    let mut bytes = [0u8; N];
    entropy.fill(&mut bytes);
    bytes
}

/// Deterministic bytes from a seed (BLAKE3 as a stream). Never for secrets that guard anything.
#[cfg(any(test, feature = "testing"))]
pub struct SeededEntropy(std::sync::Mutex<blake3::OutputReader>);

#[cfg(any(test, feature = "testing"))]
impl SeededEntropy {
    /// The stream that belongs to `seed`.
    pub fn new(seed: u64) -> Self {
        Self(std::sync::Mutex::new(blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof()))
    }
}

#[cfg(any(test, feature = "testing"))]
impl Entropy for SeededEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).fill(bytes);
    }
}
