//! The recovery key: 256 random bits as 24 words (BIP-39, English). The only door to the `bip39` crate.

use bip39::{Language, Mnemonic};
use zeroize::Zeroizing;

use crate::base::random::Entropy;
use crate::codec::kdf::SecretKey;

/// How many words a recovery key has.
pub const WORDS: usize = 24;

/// Text that is no recovery key. Never repeats what was typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadWords {
    /// Too few or too many.
    #[error("a recovery key has {WORDS} words, not {0}")]
    Count(usize),
    /// Not in the list; counted from 1.
    #[error("word {0} of the recovery key is not in the word list")]
    Unknown(usize),
    /// All words are known, but they do not belong together.
    #[error("the words of the recovery key do not fit together: one is wrong, or two are swapped")]
    Checksum,
}

/// A recovery key: as hard to guess as a random AES-256 key, so it is not stretched.
pub struct RecoveryKey(SecretKey);

impl RecoveryKey {
    /// A fresh one.
    pub fn random(entropy: &dyn Entropy) -> Self {
        Self(SecretKey::random(entropy))
    }

    /// Reads 24 words in any case, with any white space around them, and checks their checksum.
    pub fn parse(text: &str) -> Result<Self, BadWords> {
        let lower = Zeroizing::new(text.to_lowercase());
        let count = lower.split_whitespace().count();
        if count != WORDS {
            return Err(BadWords::Count(count));
        }
        if let Some(at) = lower.split_whitespace().position(|word| Language::English.find_word(word).is_none()) {
            return Err(BadWords::Unknown(at + 1));
        }
        let mnemonic = Mnemonic::parse_in_normalized(Language::English, &lower).map_err(|_| BadWords::Checksum)?;
        let (bytes, length) = mnemonic.to_entropy_array();
        let bytes = Zeroizing::new(bytes);
        SecretKey::try_fill(|key| {
            let entropy = bytes.get(..length).unwrap_or_default();
            if entropy.len() != key.len() {
                return Err(BadWords::Count(count));
            }
            key.copy_from_slice(entropy);
            Ok(())
        })
        .map(Self)
    }

    /// The words, separated by single spaces.
    pub fn words(&self) -> Zeroizing<String> {
        // Long enough for 24 words of at most eight letters, so that it never moves and leaves a copy behind.
        let mut text = Zeroizing::new(String::with_capacity(WORDS * 9));
        // 256 bits are always a valid length; an empty text could not be mistaken for a key.
        if let Ok(mnemonic) = Mnemonic::from_entropy_in(Language::English, self.0.expose()) {
            for word in mnemonic.words() {
                if !text.is_empty() {
                    text.push(' ');
                }
                text.push_str(word);
            }
        }
        text
    }

    pub(super) fn key(&self) -> &SecretKey {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::SeededEntropy;

    #[test]
    fn words_read_back_in_any_case_and_spacing() {
        let key = RecoveryKey::random(&SeededEntropy::new(1));
        let words = key.words();
        assert_eq!(words.split(' ').count(), 24);
        let shouted = format!("\n\t{}  \n", words.to_uppercase().replace(' ', " \n "));
        assert_eq!(RecoveryKey::parse(&shouted).unwrap().key().expose(), key.key().expose());
    }

    #[test]
    fn the_published_vector_of_all_zeros_reads_as_zeros() {
        let text = "abandon ".repeat(23) + "art";
        assert_eq!(RecoveryKey::parse(&text).unwrap().key().expose(), &[0; 32]);
    }

    #[test]
    fn a_wrong_word_is_named_by_its_place_and_never_repeated() {
        let text = "abandon ".repeat(4) + "abandom " + &"abandon ".repeat(18) + "art";
        let error = RecoveryKey::parse(&text).err().unwrap();
        assert_eq!(error, BadWords::Unknown(5));
        assert!(!error.to_string().contains("aband"));
    }

    #[test]
    fn swapped_words_and_wrong_counts_are_refused() {
        assert_eq!(RecoveryKey::parse(&"abandon ".repeat(24)).err(), Some(BadWords::Checksum));
        assert_eq!(RecoveryKey::parse(&"abandon ".repeat(12)).err(), Some(BadWords::Count(12)));
        assert_eq!(RecoveryKey::parse("").err(), Some(BadWords::Count(0)));
    }
}
