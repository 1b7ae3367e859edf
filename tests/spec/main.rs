//! Every behaviour test of the project, one file each, in one binary.

mod keys_fixture;
mod keys_unlock;
#[path = "../support/conformance.rs"]
mod conformance;

mod storage_conformance;
