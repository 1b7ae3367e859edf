//! Which runs to merge: few runs make look-ups quick, and few merges make them cheap to keep.

/// A run is merged with all smaller ones once they have grown to a third of it, so that each run is at least three
/// times as large as all smaller ones together.
const GROWTH: u64 = 3;
/// Runs of so few entries together are merged always.
const SMALL_ENTRIES: u64 = 16 << 10;

/// How many of the runs, from the end, to merge into one; sizes in descending order. 0 if all can stay.
pub fn merge_from_end(entries: &[u64]) -> usize {
    let mut smaller = 0u64;
    let mut merged = 0;
    for (from_end, size) in entries.iter().rev().enumerate() {
        let together = smaller + size;
        if from_end > 0 && (*size < GROWTH * smaller || together <= SMALL_ENTRIES) {
            merged = from_end + 1;
        }
        smaller = together;
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settle(entries: &mut Vec<u64>) -> u64 {
        entries.sort_unstable_by(|a, b| b.cmp(a));
        let count = merge_from_end(entries);
        let merged = entries.drain(entries.len() - count..).sum::<u64>();
        if count > 0 {
            entries.push(merged);
            entries.sort_unstable_by(|a, b| b.cmp(a));
        }
        merged
    }

    #[test]
    fn small_runs_are_merged_and_large_ones_left() {
        assert_eq!(merge_from_end(&[]), 0);
        assert_eq!(merge_from_end(&[5]), 0);
        assert_eq!(merge_from_end(&[5, 1]), 2);
        assert_eq!(merge_from_end(&[1_000_000, 5]), 0);
        assert_eq!(merge_from_end(&[1_000_000, 40_000, 39_000]), 2);
        assert_eq!(merge_from_end(&[1_000_000, 300_000, 90_000]), 3);
    }

    #[test]
    fn years_of_folds_leave_few_runs_and_rewrite_each_entry_few_times() {
        for folded in [10u64, 1_000, 20_000, 300_000] {
            let (mut entries, mut rewritten, mut total) = (Vec::new(), 0, 0);
            for _ in 0..5_000 {
                entries.push(folded);
                total += folded;
                rewritten += settle(&mut entries);
                assert!(entries.len() <= 8, "{entries:?}");
            }
            let times = rewritten / total;
            assert!(folded < 20_000 || times <= 20, "{folded}: {times}");
        }
    }
}
