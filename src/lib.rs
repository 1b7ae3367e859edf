//! `dssvault`: encrypted, deduplicating backup of Dataiku DSS nodes and of any other tree.
//!
//! The library holds everything but the terminal. Layers point down and never sideways; `tests/spec/layers.rs`
//! checks it. `docs/architecture.md` is the map, `docs/format.md` the exact bytes.

pub mod app;
pub mod base;
pub mod cli;
pub mod codec;
pub mod dss;
pub mod fsnap;
#[cfg(feature = "testing")]
pub mod fuzzing;
pub mod postgres;
pub mod repo;
pub mod storage;
pub mod sys;
pub mod vault;
