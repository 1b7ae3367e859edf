//! Trees that are right, and trees a hostile key holder could write.

use std::cell::Cell;
use std::collections::HashMap;

use super::*;
use crate::base::clock::Timestamp;
use crate::codec::kdf::plain_hash;
use crate::repo::tree::entry::{Extent, XattrPair};
use crate::repo::tree::node::Child;
use crate::repo::tree::writer::{DirectoryWriter, TreeSink, encode_entry, file_content};

#[derive(Default)]
struct Memory {
    chunks: HashMap<ChunkId, Vec<u8>>,
    reads: Cell<usize>,
}

impl TreeSink for Memory {
    fn store(&mut self, plaintext: &[u8]) -> Result<ChunkId, RepoError> {
        let id = ChunkId::from_bytes(plain_hash(plaintext));
        self.chunks.insert(id, plaintext.to_vec());
        Ok(id)
    }
}

impl TreeSource for Memory {
    fn fetch(&self, id: &ChunkId) -> Result<Vec<u8>, RepoError> {
        self.reads.set(self.reads.get() + 1);
        self.chunks.get(id).cloned().ok_or(RepoError::ChunkMissing { id: *id })
    }
}

fn entry(name: &str) -> Entry {
    Entry { mode: 0o644, ..Entry::bare(name.as_bytes().to_vec(), EntryKind::File) }
}

fn leaf(memory: &mut Memory, entries: Vec<Entry>) -> ChunkId {
    memory.store(&minicbor::to_vec(Node::Leaf(entries)).unwrap()).unwrap()
}

fn names(memory: &Memory, tree: ChunkId) -> Result<Vec<String>, String> {
    let name = |entry: Result<Entry, RepoError>| match entry {
        Ok(entry) => Ok(String::from_utf8(entry.name).unwrap()),
        Err(error) => Err(error.to_string()),
    };
    Entries::new(memory, tree).map(name).collect()
}

fn written(memory: &mut Memory, count: usize) -> (Vec<String>, ChunkId) {
    let all: Vec<String> = (0..count).map(|number| format!("file-{number:06}")).collect();
    let mut writer = DirectoryWriter::default();
    for name in &all {
        writer.push(name.as_bytes(), &encode_entry(&entry(name)), memory).unwrap();
    }
    (all, writer.finish(memory).unwrap())
}

#[test]
fn a_directory_of_many_nodes_reads_back_in_order() {
    let mut memory = Memory::default();
    let (all, tree) = written(&mut memory, 20_000);
    assert_eq!(names(&memory, tree).unwrap(), all);
}

#[test]
fn a_parked_directory_goes_on_where_it_was() {
    let mut memory = Memory::default();
    let (all, tree) = written(&mut memory, 3_000);
    let mut entries = Entries::new(&memory, tree);
    let mut seen = Vec::new();
    while let Some(entry) = entries.next() {
        seen.push(String::from_utf8(entry.unwrap().name).unwrap());
        if seen.len() % 100 == 7 {
            entries.park();
            assert_eq!(entries.held(), 0);
        }
    }
    assert_eq!(seen, all);
}

#[test]
fn behind_a_node_that_is_lost_come_the_entries_of_those_beside_it() {
    let mut memory = Memory::default();
    let (all, tree) = written(&mut memory, 3_000);
    let Node::Spine(children) = decode_node(&tree, &memory.fetch(&tree).unwrap()).unwrap() else { panic!("one node") };
    let lost = &children[1];
    let inside = |name: &&String| name.as_bytes() >= &lost.first[..] && name.as_bytes() < &children[2].first[..];
    let expected: Vec<String> = all.iter().filter(|name| !inside(name)).cloned().collect();
    memory.chunks.remove(&lost.id);
    let (mut seen, mut errors) = (Vec::new(), 0);
    for entry in Entries::new(&memory, tree) {
        match entry {
            Ok(entry) => seen.push(String::from_utf8(entry.name).unwrap()),
            Err(_) => errors += 1,
        }
    }
    assert_eq!((seen, errors), (expected, 1));
}

#[test]
fn a_mark_of_damage_that_says_nothing_or_too_much_is_refused() {
    let id = ChunkId::from_bytes([7; 32]);
    let mark = |count, missing| DamageMark { found: Timestamp::default(), count, missing };
    for (good, mark) in [
        (true, mark(1, vec![id])),
        (true, mark(900, vec![id; DamageMark::NAMED_MAX])),
        (false, mark(0, Vec::new())),
        (false, mark(1, vec![id; 2])),
        (false, mark(900, vec![id; DamageMark::NAMED_MAX + 1])),
    ] {
        let mut memory = Memory::default();
        let tree = leaf(&mut memory, vec![Entry { damaged: Some(mark.clone()), ..entry("a") }]);
        assert_eq!(names(&memory, tree).is_ok(), good, "{mark:?}");
    }
}

#[test]
fn names_that_could_leave_the_directory_are_refused() {
    for name in ["..", ".", "", "a/b", "/etc", "nul\0", &"x".repeat(256)] {
        let mut memory = Memory::default();
        let tree = leaf(&mut memory, vec![entry(name)]);
        assert!(names(&memory, tree).unwrap_err().contains("a name no file may have"), "{name:?}");
    }
}

#[test]
fn names_out_of_order_or_twice_are_refused_within_and_across_nodes() {
    let mut memory = Memory::default();
    for pair in [["b", "a"], ["a", "a"]] {
        let tree = leaf(&mut memory, pair.map(entry).to_vec());
        assert!(names(&memory, tree).unwrap_err().contains("not in order"));
        let children =
            pair.map(|name| Child { first: name.as_bytes().to_vec(), id: leaf(&mut memory, vec![entry(name)]) });
        let spine = memory.store(&minicbor::to_vec(Node::Spine(children.to_vec())).unwrap()).unwrap();
        assert!(names(&memory, spine).unwrap_err().contains("not in order"));
    }
}

#[test]
fn a_spine_that_lies_about_a_name_or_is_empty_or_too_deep_is_refused() {
    let mut memory = Memory::default();
    let mut id = leaf(&mut memory, vec![entry("a")]);
    let spine = |memory: &mut Memory, first: &str, id| {
        let children = vec![Child { first: first.as_bytes().to_vec(), id }];
        memory.store(&minicbor::to_vec(Node::Spine(children)).unwrap()).unwrap()
    };
    let lying = spine(&mut memory, "b", id);
    assert!(names(&memory, lying).unwrap_err().contains("the name it is listed under"));
    for _ in 0..=SPINE_DEPTH_MAX {
        id = spine(&mut memory, "a", id);
    }
    assert!(names(&memory, id).unwrap_err().contains("stacked too high"));
    let empty = memory.store(&minicbor::to_vec(Node::Spine(Vec::new())).unwrap()).unwrap();
    assert!(names(&memory, empty).is_err());
}

#[test]
fn entries_that_no_file_system_could_hold_are_refused() {
    let kind = |kind, change: fn(&mut Entry)| {
        let mut made = entry("x");
        made.kind = kind;
        change(&mut made);
        made
    };
    let content = |entry: &mut Entry, extents: Option<Vec<Extent>>| {
        let ids = vec![ChunkId::from_bytes([1; 32])];
        entry.content = Some(FileContent { ids, extents, ..FileContent::default() });
    };
    let mut overlapping = entry("x");
    overlapping.size = 100;
    let extent = |offset, length| Extent { offset, length };
    content(&mut overlapping, Some(vec![extent(0, 60), extent(50, 10)]));
    let mut outside = entry("x");
    outside.size = 100;
    content(&mut outside, Some(vec![extent(u64::MAX - 1, 60)]));
    let mut short = entry("x");
    short.size = 5;
    let mut huge = entry("x");
    huge.size = u64::MAX;
    content(&mut huge, None);
    let fragment = |size: u64, change: fn(&mut FileContent)| {
        let mut made = entry("x");
        made.size = size;
        content(&mut made, None);
        let kept = made.content.as_mut().unwrap();
        kept.fragment = Some(0);
        change(kept);
        made
    };
    let bad = [
        fragment(0, |_| {}),
        fragment(10 << 20, |_| {}),
        fragment(1, |content| content.fragment = Some(u32::MAX)),
        fragment(1, |content| content.ids.push(ChunkId::from_bytes([2; 32]))),
        fragment(1, |content| content.ids.clear()),
        fragment(1, |content| content.list_depth = Some(1)),
        fragment(1, |content| content.extents = Some(vec![Extent { offset: 0, length: 1 }])),
        kind(EntryKind::Directory, |_| {}),
        kind(EntryKind::File, |entry| entry.tree = Some(ChunkId::from_bytes([0; 32]))),
        kind(EntryKind::File, |entry| entry.mode = 0o10000),
        kind(EntryKind::Symlink, |_| {}),
        kind(EntryKind::Symlink, |entry| entry.target = Some(Vec::new())),
        kind(EntryKind::Symlink, |entry| entry.target = Some(vec![b'x'; 5000])),
        kind(EntryKind::Fifo, |entry| entry.size = 1),
        kind(EntryKind::File, |entry| {
            entry.xattrs = Some(vec![XattrPair { name: b"user.\0".to_vec(), value: Vec::new() }]);
        }),
        overlapping,
        outside,
        short,
        huge,
    ];
    for entry in bad {
        let mut memory = Memory::default();
        let tree = leaf(&mut memory, vec![entry.clone()]);
        assert!(names(&memory, tree).is_err(), "{entry:?}");
    }
}

#[test]
fn every_cut_of_a_node_and_every_addition_is_refused() {
    let bytes = minicbor::to_vec(Node::Leaf(vec![entry("a"), entry("b")])).unwrap();
    let id = ChunkId::from_bytes([0; 32]);
    for length in 0..bytes.len() {
        assert!(decode_node(&id, &bytes[..length]).is_err(), "{length}");
    }
    assert!(decode_node(&id, &[bytes, vec![0]].concat()).is_err());
}

#[test]
fn the_ids_of_a_long_file_come_in_order_through_its_lists() {
    let mut memory = Memory::default();
    let ids: Vec<ChunkId> = (0..50_000u32).map(|n| ChunkId::from_bytes(plain_hash(&n.to_be_bytes()))).collect();
    let content = file_content(ids.clone(), &mut memory).unwrap();
    let mut seen = Vec::new();
    for_each_id::<RepoError>(&memory, &content, &mut |id| {
        seen.push(id);
        Ok(())
    })
    .unwrap();
    assert_eq!(seen, ids);
    assert!(decode_list(&ids[0], &[0; 33]).is_err() && decode_list(&ids[0], &[]).is_err());
}
