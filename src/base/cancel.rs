//! A request to stop, raised once (Ctrl-C, a lost lease) and seen by every stage.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often it is looked whether somebody asked to stop.
const POLL: Duration = Duration::from_millis(50);

/// Shared flag; clones see the same request.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Asks everybody to stop.
    pub fn request(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether a stop was asked for. Cheap enough for inner loops.
    pub fn is_requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Rests for a time, or until a stop is asked for: then it is `false`.
    pub fn rest(&self, pause: Duration) -> bool {
        let since = Instant::now();
        loop {
            let left = pause.saturating_sub(since.elapsed());
            match (self.is_requested(), left.is_zero()) {
                (true, _) => return false,
                (false, true) => return true,
                (false, false) => std::thread::sleep(left.min(POLL)),
            }
        }
    }

    /// The flag itself, for a signal handler.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rest_lasts_its_time_or_until_somebody_asks_to_stop() {
        let cancel = Cancel::default();
        let since = Instant::now();
        assert!(cancel.rest(Duration::from_millis(60)) && since.elapsed() >= Duration::from_millis(60));
        let other = cancel.clone();
        let asking = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            other.request();
        });
        assert!(!cancel.rest(Duration::from_hours(1)));
        assert!(!cancel.rest(Duration::ZERO));
        asking.join().unwrap();
    }
}
