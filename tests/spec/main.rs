//! Every behaviour test of the project, one file each, in one binary.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "helpers of tests may fail and speak as tests may; clippy.toml reaches only into #[test] functions"
)]

#[path = "../support/awkward_tree.rs"]
mod awkward_tree;
#[path = "../support/conformance.rs"]
mod conformance;
#[path = "../support/datadir.rs"]
mod datadir;
#[path = "../support/faulty_disk.rs"]
mod faulty_disk;
#[path = "../support/handmade.rs"]
mod handmade;
#[path = "../support/in_step.rs"]
mod in_step;
#[path = "../support/lab.rs"]
mod lab;
#[path = "../support/machine.rs"]
mod machine;
#[path = "../model/mod.rs"]
mod model;
#[path = "../support/node.rs"]
mod node;
#[path = "../support/postgres.rs"]
mod postgres;
#[path = "../support/skip.rs"]
mod skip;
#[path = "../support/strace.rs"]
mod strace;
#[path = "../support/tree_diff.rs"]
mod tree_diff;
#[path = "../support/vector_maker.rs"]
mod vector_maker;
#[path = "../support/vector_objects_maker.rs"]
mod vector_objects_maker;
#[path = "../support/volume.rs"]
mod volume;
#[path = "../support/zpool.rs"]
mod zpool;

mod attended;
mod backup_heals;
mod browse_dump;
mod browse_select;
mod cache_loss;
mod check_findings;
mod check_fixture;
mod check_kinds;
mod check_ledger;
mod cli_backup;
mod cli_copy;
mod cli_demo;
mod cli_fixture;
mod cli_forget;
mod cli_init;
mod cli_parity;
mod cli_passwords;
mod cli_reading;
mod cli_repair;
mod cli_usage;
mod concurrent;
mod copy_crash;
mod copy_fixture;
mod copy_heals;
mod copy_verb;
mod crash_kill;
mod crash_storage;
mod damage_matrix;
mod diff_trees;
mod durable_order;
mod envelope_flips;
mod envelope_vectors;
mod export_tar;
mod extremes;
mod fidelity;
mod find_names;
mod flip;
mod forget_verb;
mod fsnap_btrfs;
mod fsnap_command;
mod fsnap_coverage;
mod fsnap_killed;
mod fsnap_lvm;
mod fsnap_zfs;
mod full_disk;
mod fuzz_replay;
mod header_flips;
mod history_path;
mod import_dedup;
mod import_hostile;
mod import_node;
mod import_tar;
mod index_damage;
mod index_killed;
mod index_lookup;
mod index_memory;
mod index_model;
mod index_sweep;
mod inspect_nodes;
mod inspect_trouble;
mod interrupt;
mod journal_log;
mod journal_session;
mod keys_config;
mod keys_fixture;
mod keys_slots;
mod keys_unlock;
mod kit_contract;
mod layers;
mod model_protocol;
mod node_backup;
mod node_cycle;
mod node_diff;
mod node_inside;
mod node_jobs;
mod node_leftover;
mod node_meanwhile;
mod node_migrate;
mod node_packages;
mod node_parts;
mod node_restore;
mod node_rolling;
mod node_site_freeze;
mod node_trouble;
mod parity_fixture;
mod parity_groups;
mod parity_memory;
mod parity_mend;
mod parity_readers;
mod pg_drill;
mod pg_dumps;
mod pg_node;
mod pg_secrets;
mod pg_trouble;
mod prune_crash;
mod prune_dry_run;
mod prune_held;
mod prune_verb;
mod repair_fixture;
mod repair_index;
mod repair_packs;
mod repair_property;
mod repair_snapshots;
mod restore_damage;
mod restore_existing;
mod restore_hostile;
mod restore_options;
mod retention_cases;
mod retention_goldens;
mod retention_laws;
mod roundtrip_property;
mod small_files;
mod soak;
mod storage_conformance;
mod storage_faulty_disk;
mod storage_order;
mod vector_objects;
mod vector_repository;
