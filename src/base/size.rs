//! Byte counts for people: IEC units, three significant digits.

use std::fmt;
use std::str::FromStr;

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize)]
#[serde(transparent)]
pub struct ByteCount(pub u64);

impl fmt::Display for ByteCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        if self.0 < 1024 {
            return f.pad(&format!("{} B", self.0));
        }
        let mut scaled = self.0 as f64 / 1024.0;
        let mut unit = 0;
        while scaled >= 999.5 && unit + 1 < UNITS.len() {
            scaled /= 1024.0;
            unit += 1;
        }
        let digits = if scaled < 9.995 { 2 } else { usize::from(scaled < 99.95) };
        f.pad(&format!("{scaled:.digits$} {}", UNITS[unit]))
    }
}

/// Text that is no size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no size; write bytes, or a number with K, M, G or T (of 1024): `500M`, `1.5T`")]
pub struct BadSize(String);

/// `500M`, `1.5 GiB`, `1024`: units are of 1024, as for the peers of this program.
impl FromStr for ByteCount {
    type Err = BadSize;

    fn from_str(text: &str) -> Result<Self, BadSize> {
        parse_size::Config::new().with_binary().parse_size(text).map(Self).map_err(|_| BadSize(text.to_owned()))
    }
}

impl std::ops::AddAssign<u64> for ByteCount {
    /// Saturates: sizes claimed by a damaged archive must not stop whoever adds them up.
    fn add_assign(&mut self, bytes: u64) {
        self.0 = self.0.saturating_add(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::ByteCount;

    #[test]
    fn sizes_are_read_with_units_of_1024() {
        let read = |text: &str| text.parse::<ByteCount>().map(|size| size.0).ok();
        assert_eq!(read("1024"), Some(1024));
        assert_eq!(read("500M"), Some(500 << 20));
        assert_eq!(read("2g"), Some(2 << 30));
        assert_eq!(read("1.5 GiB"), Some(3 << 29));
        assert_eq!(read("5 GB"), Some(5 << 30));
        for bad in ["", "G", "-1", "5X", "five", "1.2.3G", "NaN", "5é", "99999999999T"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn sizes_read_in_iec_units_with_three_digits() {
        let text = |bytes| ByteCount(bytes).to_string();
        assert_eq!(text(0), "0 B");
        assert_eq!(text(1023), "1023 B");
        assert_eq!(text(1024), "1.00 KiB");
        assert_eq!(text(10 * 1024), "10.0 KiB");
        assert_eq!(text(100 * 1024), "100 KiB");
        assert_eq!(text(1_023_999), "0.98 MiB");
        assert_eq!(text(u64::MAX), "16.0 EiB");
    }

    #[test]
    fn rounding_never_shows_four_digits() {
        for shift in 10..64 {
            for bytes in [(1u64 << shift) - 1, 1 << shift, (1 << shift) + 1] {
                let text = ByteCount(bytes).to_string();
                let digits = text.chars().filter(char::is_ascii_digit).count();
                assert!(digits == 3 || bytes < 1024, "{text}");
            }
        }
    }

    #[test]
    fn a_sum_of_claimed_sizes_stops_at_the_largest() {
        let mut sum = ByteCount(u64::MAX - 1);
        sum += 5;
        assert_eq!(sum, ByteCount(u64::MAX));
    }
}
