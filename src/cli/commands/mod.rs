//! One file per command: its arguments and its run.

pub mod backup;
pub mod check;
pub mod completions;
pub mod copy;
pub mod demo;
pub mod diff;
pub mod drill_database;
pub mod dump;
pub mod export;
pub mod find;
pub mod forget;
pub mod history;
pub mod import_tar;
pub mod init;
pub mod inspect;
pub mod key;
pub mod ls;
pub mod man;
pub mod migrate;
pub mod pin;
pub mod restore;
pub mod resume;
pub mod snapshots;
pub mod stats;
pub mod undelete;
