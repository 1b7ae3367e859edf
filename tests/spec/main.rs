//! Every behaviour test of the project, one file each, in one binary.

mod envelope_flips;
mod envelope_vectors;
mod journal_log;
mod journal_session;
mod keys_config;
mod keys_fixture;
mod keys_slots;
mod keys_unlock;
