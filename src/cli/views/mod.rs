//! Reports as people and programs see them. The JSON of each is stable and documented in `docs/json.md`: names
//! and meanings stay, new fields may come.

pub mod backup;
pub mod check;
pub mod config;
pub mod copy;
pub mod databases;
pub mod demo;
pub mod diff;
pub mod drill;
pub mod entry;
pub mod export;
pub mod find;
pub mod forget;
pub mod history;
pub mod import;
pub mod init;
pub mod inspect;
pub mod key;
pub mod migrate;
pub mod note;
pub mod parity;
pub mod pin;
pub mod pristine;
pub mod prune;
pub mod repair;
pub mod restore;
pub mod simulation;
pub mod snapshots;
pub mod stats;
