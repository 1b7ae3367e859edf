//! Files as the operating system has them: walking, metadata, opening beneath a directory.

pub mod ahead;
pub mod apply;
pub mod beneath;
pub mod durable;
pub mod limits;
pub mod listing;
pub mod meta;
pub mod names;
pub mod new_file;
pub mod patient;
pub mod pattern;
pub mod process;
pub mod remove;
pub mod small_file;
pub mod sorter;
pub mod sparse;
pub mod spill;
pub mod xattr;
