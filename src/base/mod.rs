//! Words every layer shares: ids, object names, sizes, time, randomness, progress. No I/O of its own.

pub mod cancel;
pub mod clock;
pub mod hint;
pub mod id;
pub mod object;
pub mod progress;
pub mod random;
pub mod signs;
pub mod size;
pub mod variables;
