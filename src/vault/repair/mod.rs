//! Mending a damaged repository, as far as what is left allows.

mod writer;

pub use writer::sealer;
