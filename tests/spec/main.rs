//! Every behaviour test of the project, one file each, in one binary.

#[path = "../support/skip.rs"]
mod skip;

mod fuzz_replay;
mod layers;
