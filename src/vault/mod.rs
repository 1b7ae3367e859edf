//! The verbs: what can be done with a repository. No verb prints; each returns a report.

pub mod archive;
pub mod backup;
pub mod browse;
pub mod check;
mod chunk_writer;
pub mod context;
pub mod copy;
pub mod diff;
pub mod dump;
pub mod error;
pub mod find;
pub mod forget;
pub mod history;
pub mod init;
pub mod keys;
pub mod parity;
pub mod pins;
pub mod prune;
pub mod repair;
pub mod restore;
pub mod retention;
pub mod sealer;
pub mod settings;
pub mod stats;

pub use chunk_writer::{ChunkWriter, Written};
pub use context::Context;
pub use error::VaultError;
