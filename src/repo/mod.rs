//! The nouns of a repository and their exact stored form (`docs/format.md`).

pub mod chunks;
pub mod config;
pub mod crypt;
pub mod error;
pub mod format;
pub mod header;
pub mod heads;
pub mod index;
pub mod journal;
pub mod keys;
pub mod pack;
pub mod parity;
pub mod plain;
pub mod repository;
pub mod sealed;
pub mod secrets;
pub mod session;
pub mod snapshot;
pub mod tree;

pub use error::RepoError;

pub use repository::Repository;
