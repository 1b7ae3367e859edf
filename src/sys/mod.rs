//! Files as the operating system has them: walking, metadata, opening beneath a directory.

pub mod spill;
