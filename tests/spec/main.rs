//! Every behaviour test of the project, one file each, in one binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed test is a panic")]

mod envelope_flips;
mod envelope_vectors;
mod journal_log;
mod journal_session;
mod keys_config;
mod keys_fixture;
mod keys_slots;
mod keys_unlock;
