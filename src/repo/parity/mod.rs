//! Parity: side objects from which damaged packs come back without a key (`docs/format.md`, "Parity").

pub mod object;
pub mod table;

pub use table::{Member, Overhead, Shape, Table};
