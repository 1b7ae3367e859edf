//! Open files and directories, a bounded number of them; the others are opened again when they are needed.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Descriptors by number. The oldest go first; whoever still uses one keeps it open.
pub(super) struct Descriptors {
    capacity: usize,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    open: HashMap<u64, Arc<File>>,
    order: VecDeque<u64>,
}

impl Descriptors {
    pub fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), known: Mutex::default() }
    }

    pub fn get(&self, number: u64) -> Option<Arc<File>> {
        self.lock().open.get(&number).cloned()
    }

    pub fn keep(&self, number: u64, open: &Arc<File>) {
        let mut known = self.lock();
        if known.open.insert(number, Arc::clone(open)).is_none() {
            known.order.push_back(number);
        }
        // Numbers that were dropped stay in the queue until they come to its front.
        while known.open.len() > self.capacity || known.order.len() > self.capacity * 4 {
            let Some(oldest) = known.order.pop_front() else { break };
            known.open.remove(&oldest);
        }
    }

    pub fn drop(&self, number: u64) {
        self.lock().open.remove(&number);
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_descriptors_go_first() {
        let descriptors = Descriptors::new(2);
        let file = Arc::new(tempfile::tempfile().unwrap());
        (1..=3).for_each(|number| descriptors.keep(number, &file));
        assert!(descriptors.get(1).is_none() && descriptors.get(2).is_some() && descriptors.get(3).is_some());
        descriptors.drop(2);
        assert!(descriptors.get(2).is_none());
        (10..1000).for_each(|number| {
            descriptors.keep(number, &file);
            descriptors.drop(number);
        });
        assert!(descriptors.lock().order.len() <= 8, "dropped numbers do not pile up");
    }
}
