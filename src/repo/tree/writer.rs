//! Building the nodes of one directory from its entries in order.

use crate::base::id::ChunkId;
use crate::repo::error::RepoError;
use crate::repo::tree::content::ContentWriter;
use crate::repo::tree::entry::{Entry, FileContent};
use crate::repo::tree::node::{Child, NODE_BYTES_MAX, NODE_ITEMS_MAX, NODE_ITEMS_MIN, Node, ends_node};

/// Stores a chunk of the tree stream (or finds it stored) and gives its id.
pub trait TreeSink {
    /// Stores `plaintext`.
    fn store(&mut self, plaintext: &[u8]) -> Result<ChunkId, RepoError>;
}

/// Gathers a directory's encoded entries and stores a leaf whenever one ends.
#[derive(Default)]
pub struct DirectoryWriter {
    leaf: Vec<u8>,
    items: usize,
    first: Vec<u8>,
    leaves: Vec<Child>,
}

/// CBOR of one entry, as it stands inside a leaf.
pub fn encode_entry(entry: &Entry) -> Vec<u8> {
    // Writing CBOR to memory cannot fail; an empty result would be refused by every reader.
    minicbor::to_vec(entry).unwrap_or_default()
}

impl DirectoryWriter {
    /// Adds the next entry, already encoded. Names must ascend.
    pub fn push(&mut self, name: &[u8], encoded: &[u8], sink: &mut dyn TreeSink) -> Result<(), RepoError> {
        if self.items == 0 {
            self.first = name.to_vec();
        }
        self.leaf.extend_from_slice(encoded);
        self.items += 1;
        let full = self.items >= NODE_ITEMS_MAX || self.leaf.len() >= NODE_BYTES_MAX;
        if full || (self.items >= NODE_ITEMS_MIN && ends_node(name)) {
            self.end_leaf(sink)?;
        }
        Ok(())
    }

    /// Stores what is left, then spines until one node is the root; its id is the directory's tree.
    pub fn finish(mut self, sink: &mut dyn TreeSink) -> Result<ChunkId, RepoError> {
        if self.items > 0 || self.leaves.is_empty() {
            self.end_leaf(sink)?;
        }
        let mut level = self.leaves;
        while level.len() > 1 {
            level = spine(level, sink)?;
        }
        level.pop().map(|root| root.id).ok_or(RepoError::Local {
            action: "build",
            what: "a tree".to_owned(),
            why: "it has no node".to_owned(),
        })
    }

    fn end_leaf(&mut self, sink: &mut dyn TreeSink) -> Result<(), RepoError> {
        let id = sink.store(&leaf_bytes(self.items, &self.leaf))?;
        self.leaves.push(Child { first: std::mem::take(&mut self.first), id });
        self.leaf.clear();
        self.items = 0;
        Ok(())
    }
}

/// `Node::Leaf` around entries that are encoded already: `[0, [[entries]]]`, as the derived encoder writes it.
fn leaf_bytes(items: usize, entries: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(entries.len() + 16);
    let mut encoder = minicbor::Encoder::new(&mut bytes);
    // Infallible: the writer is memory.
    let _ = encoder.array(2).and_then(|e| e.u32(0)).and_then(|e| e.array(1)).and_then(|e| e.array(items as u64));
    bytes.extend_from_slice(entries);
    bytes
}

fn spine(children: Vec<Child>, sink: &mut dyn TreeSink) -> Result<Vec<Child>, RepoError> {
    let mut above = Vec::new();
    let mut open: Vec<Child> = Vec::new();
    let mut close = |open: &mut Vec<Child>| -> Result<(), RepoError> {
        let node = Node::Spine(std::mem::take(open));
        let Node::Spine(children) = &node else { return Ok(()) };
        let first = children.first().map(|child| child.first.clone()).unwrap_or_default();
        let id = sink.store(&minicbor::to_vec(&node).unwrap_or_default())?;
        above.push(Child { first, id });
        Ok(())
    };
    for child in children {
        // The id, not the name, decides here: every name on this level ended a leaf already.
        let ends = child.id.as_bytes()[0] == 0;
        open.push(child);
        if open.len() >= NODE_ITEMS_MAX || (open.len() >= NODE_ITEMS_MIN && ends) {
            close(&mut open)?;
        }
    }
    if !open.is_empty() {
        close(&mut open)?;
    }
    Ok(above)
}

/// The content of a file from its chunk ids: kept inline, or stored as list chunks when there are many.
pub fn file_content(ids: Vec<ChunkId>, sink: &mut dyn TreeSink) -> Result<FileContent, RepoError> {
    let mut writer = ContentWriter::default();
    for id in ids {
        writer.push(id, sink)?;
    }
    writer.finish(sink)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::codec::kdf::plain_hash;
    use crate::repo::tree::entry::EntryKind;

    #[derive(Default)]
    struct Memory(HashMap<ChunkId, Vec<u8>>);

    impl TreeSink for Memory {
        fn store(&mut self, plaintext: &[u8]) -> Result<ChunkId, RepoError> {
            let id = ChunkId::from_bytes(plain_hash(plaintext));
            self.0.insert(id, plaintext.to_vec());
            Ok(id)
        }
    }

    fn entry(name: &str) -> Entry {
        Entry { mode: 0o644, ..Entry::bare(name.as_bytes().to_vec(), EntryKind::File) }
    }

    fn write(names: &[String], sink: &mut Memory) -> ChunkId {
        let mut writer = DirectoryWriter::default();
        for name in names {
            writer.push(name.as_bytes(), &encode_entry(&entry(name)), sink).unwrap();
        }
        writer.finish(sink).unwrap()
    }

    fn read(id: ChunkId, sink: &Memory, names: &mut Vec<String>) {
        match minicbor::decode(&sink.0[&id]).unwrap() {
            Node::Leaf(entries) => {
                names.extend(entries.into_iter().map(|entry| String::from_utf8(entry.name).unwrap()));
            }
            Node::Spine(children) => children.iter().for_each(|child| read(child.id, sink, names)),
        }
    }

    #[test]
    fn an_empty_directory_is_one_empty_leaf() {
        let mut sink = Memory::default();
        let id = write(&[], &mut sink);
        assert_eq!(minicbor::decode::<Node>(&sink.0[&id]).unwrap(), Node::Leaf(Vec::new()));
    }

    #[test]
    fn a_leaf_written_from_parts_is_what_the_derived_encoder_writes() {
        let entries = vec![entry("a"), entry("b")];
        let parts: Vec<u8> = entries.iter().flat_map(encode_entry).collect();
        assert_eq!(leaf_bytes(2, &parts), minicbor::to_vec(Node::Leaf(entries)).unwrap());
    }

    #[test]
    fn a_large_directory_reads_back_in_order_and_a_new_file_changes_few_nodes() {
        let mut names: Vec<String> = (0..30_000).map(|number| format!("file-{number:06}")).collect();
        let mut sink = Memory::default();
        let id = write(&names, &mut sink);
        let mut back = Vec::new();
        read(id, &sink, &mut back);
        assert_eq!(back, names);
        let nodes = sink.0.len();
        assert!(nodes > 50, "{nodes} nodes");
        names.insert(15_000, "file-014999a".to_owned());
        write(&names, &mut sink);
        assert!(sink.0.len() - nodes <= 6, "{} nodes were written anew", sink.0.len() - nodes);
    }

    #[test]
    fn long_id_lists_are_stored_as_chunks_and_stay_stable_behind_an_insertion() {
        let mut sink = Memory::default();
        let mut ids: Vec<ChunkId> =
            (0..100_000u32).map(|number| ChunkId::from_bytes(plain_hash(&number.to_be_bytes()))).collect();
        let content = file_content(ids.clone(), &mut sink).unwrap();
        assert_eq!(content.list_depth, Some(1));
        let back: Vec<u8> = content.ids.iter().flat_map(|list| sink.0[list].clone()).collect();
        assert_eq!(back.len(), ids.len() * 32);
        let lists = sink.0.len();
        ids.insert(500, ChunkId::from_bytes([7; 32]));
        file_content(ids, &mut sink).unwrap();
        assert!(sink.0.len() - lists <= 2);
    }

    #[test]
    fn lists_are_those_of_the_rule_at_every_length() {
        use crate::repo::format::LIST_IDS_MAX;
        use crate::repo::tree::node::{INLINE_IDS_MAX, LIST_ITEMS_MIN, ends_list};
        let ends = |open: &[ChunkId]| {
            let enough = open.len() >= LIST_ITEMS_MIN && open.last().is_some_and(ends_list);
            enough || open.len() >= LIST_IDS_MAX
        };
        let id = |number: u32| ChunkId::from_bytes(plain_hash(&number.to_be_bytes()));
        for length in [0, 1, INLINE_IDS_MAX, INLINE_IDS_MAX + 1, 70_000] {
            let ids: Vec<ChunkId> = (0..length as u32).map(id).collect();
            let mut lists: Vec<Vec<ChunkId>> = vec![Vec::new()];
            for id in &ids {
                if lists.last().is_some_and(|open| ends(open)) {
                    lists.push(Vec::new());
                }
                lists.last_mut().unwrap().push(*id);
            }
            let mut sink = Memory::default();
            let content = file_content(ids.clone(), &mut sink).unwrap();
            let stored: Vec<Vec<u8>> = content.ids.iter().filter_map(|list| sink.0.get(list).cloned()).collect();
            if length <= INLINE_IDS_MAX {
                assert_eq!((content.ids, content.list_depth, stored.len()), (ids, None, 0));
                continue;
            }
            let expected: Vec<Vec<u8>> =
                lists.iter().map(|list| list.iter().flat_map(|id| *id.as_bytes()).collect()).collect();
            assert_eq!((stored, content.list_depth), (expected, Some(1)), "{length}");
        }
    }
}
