//! What is special about Dataiku DSS: what a data directory is, how it is stopped and started, how a node is backed up
//! and brought back. Everything here rests on what DSS documents; each fact names where it comes from.

pub mod backup;
pub mod control;
pub mod datadir;
pub mod export;
pub mod import;
pub mod inspect;
pub mod jobs;
pub mod migrate;
pub mod objects;
pub mod restore;
pub mod running;
