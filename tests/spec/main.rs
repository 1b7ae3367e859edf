//! Every behaviour test of the project, one file each, in one binary.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "helpers of tests may fail and speak as tests may; clippy.toml reaches only into #[test] functions"
)]

mod browse_dump;
mod browse_select;
mod check_findings;
mod check_fixture;
#[path = "../support/conformance.rs"]
mod conformance;
mod envelope_flips;
mod envelope_vectors;
#[path = "../support/faulty_disk.rs"]
mod faulty_disk;
mod flip;
mod fuzz_replay;
mod journal_log;
mod journal_session;
mod keys_config;
mod keys_fixture;
mod keys_slots;
mod keys_unlock;
mod layers;
#[path = "../support/skip.rs"]
mod skip;
mod storage_conformance;
mod storage_faulty_disk;
mod storage_order;
#[path = "../support/strace.rs"]
mod strace;
