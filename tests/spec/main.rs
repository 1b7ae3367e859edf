//! Every behaviour test of the project, one file each, in one binary.

#[path = "../support/conformance.rs"]
mod conformance;

mod storage_conformance;
