//! Every parser of stored or typed bytes as one function that must survive anything (feature `testing`).
//!
//! libFuzzer (`fuzz/`) and the replay of the corpora (`tests/spec/fuzz_replay.rs`) call the same functions. A new
//! parser costs a function here, a row in [`TARGETS`], a file in `fuzz/fuzz_targets/` and its `[[bin]]`; a test
//! compares the three lists.

mod keyring;
mod local;
mod objects;
mod parity;
mod seeds;
mod targets;

use crate::dss::datadir::fuzz as dss;
use crate::vault::archive::fuzz as archive;

/// One parser under fire.
#[derive(Clone, Copy)]
pub struct Target {
    /// Name of the fuzz target and of its corpus folder.
    pub name: &'static str,
    /// Parses the bytes; panics only if the parser is wrong.
    pub run: fn(&[u8]),
    /// Well-formed inputs to begin from, the same in every run.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "config_body", run: targets::config_body, seeds: seeds::config_body },
    Target { name: "datadir_files", run: dss::files, seeds: dss::seeds },
    Target { name: "exclude_patterns", run: local::exclude_patterns, seeds: local::exclude_seeds },
    Target { name: "header", run: targets::header, seeds: seeds::header },
    Target { name: "heads", run: local::heads, seeds: local::heads_seeds },
    Target { name: "index_segment", run: objects::index_segment, seeds: objects::segment_seeds },
    Target { name: "inflate", run: targets::inflate, seeds: seeds::inflate },
    Target { name: "journal_entry", run: objects::journal_entry, seeds: objects::journal_seeds },
    Target { name: "last_state", run: local::last_state, seeds: local::last_state_seeds },
    Target { name: "object_name", run: targets::object_name, seeds: seeds::object_name },
    Target { name: "owner_map", run: local::owner_map, seeds: local::owner_map_seeds },
    Target { name: "pack_open", run: objects::pack_open, seeds: objects::pack_open_seeds },
    Target { name: "pack_table", run: targets::pack_table, seeds: seeds::pack_table },
    Target { name: "parity_table", run: parity::table, seeds: parity::seeds },
    Target { name: "plain_object", run: targets::plain_object, seeds: seeds::plain_object },
    Target { name: "sealed_object", run: targets::sealed_object, seeds: seeds::sealed_object },
    Target { name: "sealed_payload", run: targets::sealed_payload, seeds: seeds::sealed_payload },
    Target { name: "session_record", run: objects::session_record, seeds: objects::session_seeds },
    Target { name: "slot_body", run: objects::slot_body, seeds: objects::slot_seeds },
    Target { name: "snapshot_record", run: targets::snapshot_record, seeds: seeds::snapshot_record },
    Target { name: "snapshot_spec", run: local::snapshot_spec, seeds: local::snapshot_spec_seeds },
    Target { name: "tar_archive", run: archive::archive, seeds: archive::seeds },
    Target { name: "timestamp", run: targets::timestamp, seeds: seeds::timestamp },
    Target { name: "tree_node", run: targets::tree_node, seeds: seeds::tree_node },
    Target { name: "tree_reader", run: objects::tree_reader, seeds: objects::forest_seeds },
];

/// Runs the target of this name; an unknown name is an error of the caller and panics.
pub fn run(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    assert!(target.is_some(), "`{name}` stands in no row of TARGETS");
    target.into_iter().for_each(|target| (target.run)(data));
}
