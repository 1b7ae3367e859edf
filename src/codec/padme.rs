//! Padmé: sizes that leak only their magnitude (Nikitin et al., "Reducing Metadata Leakage from Encrypted
//! Files and Communication with PURBs", PoPETs 2019, algorithm 1). Overhead is below 12 %, shrinking with size.

/// The smallest Padmé size that holds `bytes`.
pub fn padded(bytes: u64) -> u64 {
    if bytes < 2 {
        return bytes;
    }
    let exponent = bytes.ilog2();
    let significant = exponent.ilog2() + 1;
    let mask = (1u64 << (exponent - significant.min(exponent))) - 1;
    bytes.checked_add(mask).map_or(bytes, |sum| sum & !mask)
}

#[cfg(test)]
mod tests {
    use super::padded;

    #[test]
    fn sizes_round_up_to_few_significant_bits() {
        assert_eq!([0, 1, 2, 9, 1000, 1 << 24].map(padded), [0, 1, 2, 10, 1024, 1 << 24]);
        assert_eq!(padded((1 << 24) + 1), (1 << 24) + (1 << 19));
        assert_eq!(padded(u64::MAX), u64::MAX);
    }

    #[test]
    fn padding_is_idempotent_and_below_twelve_percent() {
        for bytes in (1..200_000u64).chain((1..64).map(|bit| (1u64 << bit) - 1)) {
            let size = padded(bytes);
            assert!(size >= bytes && padded(size) == size);
            assert!((size - bytes) as f64 <= bytes as f64 * 0.12 + 1.0, "{bytes} became {size}");
        }
    }
}
