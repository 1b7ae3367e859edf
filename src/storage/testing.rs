//! Stores for tests and benches: one in memory, one that records calls, one that fails on command, one that is
//! meddled with. The last three wrap any store, so that no store carries test hooks of its own.
//!
//! What counts as a call: every method of `Storage` but `location`, and `write` and `publish` of what `stage`
//! returned. A `put` is therefore three calls. Dropping a stage is none.

mod faults;
mod memory;
mod record;
mod watched;

pub use self::faults::{Fault, Faulty};
pub use self::memory::MemoryStore;
pub use self::record::{Call, Recorder};
pub use self::watched::Watched;

#[cfg(test)]
mod tests;
