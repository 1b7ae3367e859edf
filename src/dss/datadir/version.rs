//! Versions of DSS: dotted numbers that compare as numbers.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longer text is no version.
const TEXT_BYTES_MAX: usize = 64;

/// A product version such as `14.2.2`, or `14.0.0-beta1`. `14.10` is newer than `14.9`, `14.2` and `14.2.0` are the
/// same version, and what stands behind the numbers (`-beta1`) is older than the same numbers alone.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DssVersion {
    text: String,
    numbers: Vec<u64>,
    suffix: String,
}

/// Text that is no version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is no version number")]
pub struct BadVersion;

impl FromStr for DssVersion {
    type Err = BadVersion;

    fn from_str(text: &str) -> Result<Self, BadVersion> {
        let text = text.trim();
        let end = text.find(|sign: char| !sign.is_ascii_digit() && sign != '.').unwrap_or(text.len());
        let (dotted, suffix) = text.split_at(end);
        let numbers: Result<Vec<u64>, _> = dotted.split('.').map(str::parse).collect();
        let mut numbers = numbers.map_err(|_| BadVersion)?;
        if text.len() > TEXT_BYTES_MAX || text.chars().any(|sign| sign.is_control() || sign.is_whitespace()) {
            return Err(BadVersion);
        }
        while numbers.len() > 1 && numbers.last() == Some(&0) {
            numbers.pop();
        }
        Ok(Self { text: text.to_owned(), numbers, suffix: suffix.to_owned() })
    }
}

impl Ord for DssVersion {
    fn cmp(&self, other: &Self) -> Ordering {
        let released = |version: &Self| version.suffix.is_empty();
        (self.numbers.as_slice(), released(self), &self.suffix).cmp(&(
            other.numbers.as_slice(),
            released(other),
            &other.suffix,
        ))
    }
}

impl PartialOrd for DssVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for DssVersion {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for DssVersion {}

impl fmt::Display for DssVersion {
    /// As it was written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for DssVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DssVersion({})", self.text)
    }
}

impl TryFrom<String> for DssVersion {
    type Error = BadVersion;

    fn try_from(text: String) -> Result<Self, BadVersion> {
        text.parse()
    }
}

impl From<DssVersion> for String {
    fn from(version: DssVersion) -> Self {
        version.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> DssVersion {
        text.parse().unwrap()
    }

    #[test]
    fn versions_compare_as_numbers_and_keep_their_text() {
        let order = ["9.0.5", "12.6.2", "14.0.0-beta1", "14.0.0-rc2", "14.0.0", "14.2.2", "14.10", "15"];
        for pair in order.windows(2) {
            assert!(version(pair[0]) < version(pair[1]), "{pair:?}");
        }
        assert_eq!(version("14.2"), version("14.2.0"));
        assert_eq!(version(" 14.2.0\n").to_string(), "14.2.0");
    }

    #[test]
    fn what_is_no_version_is_refused() {
        for bad in ["", "latest", "v14", ".", "14.", "14..2", "14.2 2", "99999999999999999999", "1\u{1b}[31m"] {
            assert_eq!(bad.parse::<DssVersion>(), Err(BadVersion), "{bad:?}");
        }
        assert!("1.".repeat(40).parse::<DssVersion>().is_err());
        assert!(format!("1-{}", "x".repeat(100)).parse::<DssVersion>().is_err());
    }

    #[test]
    fn a_version_is_stored_as_its_text() {
        assert_eq!(serde_json::to_string(&version("14.2.2")).unwrap(), "\"14.2.2\"");
        assert_eq!(serde_json::from_str::<DssVersion>("\"9.0.5\"").unwrap(), version("9.0.5"));
        assert!(serde_json::from_str::<DssVersion>("\"x\"").is_err());
    }
}
