//! A bounded crew over a list: each worker keeps its own buffers, so that memory follows the number of
//! workers and not the length of the list.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::base::cancel::Cancel;
use crate::vault::VaultError;

/// Workers that read packs. One needs up to 24 MiB (a run of blocks, an expanded block, a table).
pub const PACK_WORKERS: usize = 8;
/// Workers that load index segments. One needs up to three times a segment's body of 16 MiB.
pub const SEGMENT_WORKERS: usize = 2;

/// Does `work` once for every item, in about the order of the list, on at most `most` threads of rayon. `scratch`
/// makes what a worker reuses. Ends with `Interrupted` when a stop is asked for.
pub fn each<T: Sync, S>(
    items: &[T],
    most: usize,
    cancel: &Cancel,
    scratch: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, &T) + Sync,
) -> Result<(), VaultError> {
    let next = AtomicUsize::new(0);
    let crew = rayon::current_num_threads().min(most).min(items.len());
    rayon::scope(|scope| {
        for _ in 0..crew {
            scope.spawn(|_| {
                let mut scratch = scratch();
                while !cancel.is_requested() {
                    let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
                    work(&mut scratch, item);
                }
            });
        }
    });
    if cancel.is_requested() { Err(VaultError::Interrupted) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;

    #[test]
    fn every_item_is_done_once() {
        let sum = AtomicU64::new(0);
        let items: Vec<u64> = (1..=1000).collect();
        let work = |(): &mut (), item: &u64| _ = sum.fetch_add(*item, Ordering::Relaxed);
        each(&items, 4, &Cancel::default(), || (), work).unwrap();
        assert_eq!(sum.into_inner(), 500_500);
    }

    #[test]
    fn a_stop_ends_it_before_the_next_item() {
        let (cancel, done) = (Cancel::default(), AtomicUsize::new(0));
        let work = |(): &mut (), _: &u32| {
            cancel.request();
            done.fetch_add(1, Ordering::Relaxed);
        };
        let outcome = each(&[0; 1000], 4, &cancel, || (), work);
        assert!(matches!(outcome, Err(VaultError::Interrupted)));
        assert!(done.into_inner() <= 4);
    }
}
