//! Every behaviour test of the project, one file each, in one binary.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "helpers of tests may fail and speak as tests may; clippy.toml reaches only into #[test] functions"
)]

#[path = "../support/conformance.rs"]
mod conformance;
#[path = "../support/faulty_disk.rs"]
mod faulty_disk;
#[path = "../support/skip.rs"]
mod skip;
#[path = "../support/strace.rs"]
mod strace;

mod storage_conformance;
mod storage_faulty_disk;
mod storage_order;
