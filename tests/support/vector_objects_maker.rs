//! Makes the bad objects of `tests/vectors/objects`: each sound in every way but one.

use std::path::Path;
use std::sync::Arc;

use dssvault::base::id::{ChunkId, PackId, SessionId, SnapshotId};
use dssvault::base::object::{ObjectKind, ObjectName};
use dssvault::base::random::SeededEntropy;
use dssvault::codec::kdf::{Purpose, plain_hash};
use dssvault::codec::seal::{Domain, ObjectCipher};
use dssvault::codec::sign::Subject;
use dssvault::repo::Repository;
use dssvault::repo::crypt::Sealer;
use dssvault::repo::index::segment;
use dssvault::repo::pack::{BlockCodec, BlockInfo, ChunkInfo, PackTable};
use dssvault::repo::plain;
use dssvault::repo::repository::Seams;
use dssvault::repo::sealed::{self, Target};
use dssvault::repo::secrets::{Content, IdDomain, IdOwner};
use dssvault::repo::snapshot::SnapshotRecord;
use dssvault::repo::tree::node::Node;
use dssvault::repo::tree::writer::encode_entry;
use dssvault::repo::tree::{Entry, EntryKind, Extent, FileContent};
use serde_json::json;

use crate::vector_maker::{Still, entry, password};
use crate::vector_repository::vector_store;

const CHUNK: ChunkId = ChunkId::from_bytes([7; 32]);
const OURS: SnapshotId = SnapshotId::from_bytes([0x5a; 16]);

struct Maker<'a> {
    folder: &'a Path,
    repository: Repository,
    sealer: Sealer,
}

/// Writes all of them.
pub fn write_all(folder: &Path) {
    let _ = std::fs::remove_dir_all(folder);
    std::fs::create_dir_all(folder).unwrap();
    let seams = Seams { entropy: Arc::new(SeededEntropy::new(3)), clock: Arc::new(Still) };
    let repository = Repository::open(Arc::new(vector_store()), &password(), seams).unwrap();
    let (config, secrets) = (&repository.config, &repository.secrets);
    let (keys, writer) = (secrets.epoch(config.epoch).unwrap(), secrets.owner_writer());
    let (session, entropy) = (SessionId::from_bytes([0x5e; 16]), repository.seams.entropy.clone());
    let sealer = Sealer::begin(config.repository, keys, writer, session, &config.public_key, entropy).unwrap();
    let maker = Maker { folder, repository, sealer };
    maker.packs();
    maker.tables();
    maker.segments();
    maker.snapshots();
    maker.trees();
}

impl Maker<'_> {
    fn write(&self, file: &str, about: &str, read_as: &str, bytes: &[u8], wanted: (&str, &str)) {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut vector =
            json!({ "about": about, "read_as": read_as, "error": wanted.0, "says": wanted.1, "bytes": hex });
        if read_as == "snapshot" {
            vector["name"] = json!(OURS.to_string());
        }
        let text = serde_json::to_string_pretty(&vector).unwrap() + "\n";
        std::fs::write(self.folder.join(format!("{file}.json")), text).unwrap();
    }

    fn sign(&self, kind: ObjectKind, name: &str, bytes: &mut Vec<u8>) {
        let (repository, epoch) = (self.repository.id(), self.sealer.epoch());
        let subject = Subject { repository, kind, epoch, name };
        bytes.extend_from_slice(&self.repository.secrets.signing().sign(subject, &plain_hash(bytes)));
    }

    /// A pack of one raw block, with the table and trailer that are given its offset.
    fn pack(&self, table: impl Fn(PackTable) -> Vec<u8>, trailer: impl Fn(u64, u32) -> (u64, u32)) -> Vec<u8> {
        let (header, cipher) = self.sealer.object(ObjectKind::Pack, Vec::new());
        let mut bytes = header.to_bytes();
        let mut append = |domain, mut plain: Vec<u8>| {
            cipher.seal(domain, 0, &mut plain);
            bytes.extend_from_slice(&plain);
            plain.len() as u32
        };
        append(Domain::Block, b"a block".to_vec());
        let table_bytes = append(Domain::Table, table(good_table(header.length() as u32)));
        let (offset, length) = trailer(header.length() as u64 + 23, table_bytes);
        append(Domain::Trailer, [&offset.to_be_bytes(), length.to_be_bytes().as_slice()].concat());
        self.sign(ObjectKind::Pack, "", &mut bytes);
        bytes
    }

    fn packs(&self) {
        let encode = |table: PackTable| table.encode();
        let as_is = |offset, length| (offset, length);
        let good = self.pack(encode, as_is);
        let write = |file, about, bytes: &[u8], says| self.write(file, about, "pack", bytes, ("Damaged", says));
        write("pack_empty", "no byte at all", &[], "end too early");
        write("pack_header_truncated", "cut to 100 bytes", &good[..100], "end too early");
        write("pack_encapsulation_truncated", "cut to 1000 bytes", &good[..1000], "end too early");
        let header_only = &good[..1280 + 50];
        write("pack_too_short_for_trailer", "cut behind the header", header_only, "sealed bytes are damaged");
        let (mut bent, at) = (good.clone(), good.len() - 70);
        bent[at] ^= 1;
        write("pack_trailer_flipped", "a bit of the trailer flipped", &bent, "sealed bytes are damaged");
        let mut kind = good.clone();
        kind[8] = 4;
        write("pack_of_another_kind", "the kind byte says segment", &kind, "another kind");
        let outside = self.pack(encode, |_, length| (1 << 40, length));
        write("pack_trailer_points_outside", "a table at 1 TiB", &outside, "its trailer points outside of it");
        let wraps = self.pack(encode, |_, length| (u64::MAX, length));
        write("pack_trailer_wraps", "offset and length exceed 64 bits", &wraps, "its trailer points outside of it");
        let inside = self.pack(encode, |_, length| (16, length));
        write("pack_trailer_points_into_header", "a table at byte 16", &inside, "its trailer points outside of it");
        let other = |mut table: PackTable| {
            table.blocks[0].stored_bytes += 1;
            table.encode()
        };
        write(
            "pack_table_does_not_fit",
            "blocks end behind the table's begin",
            &self.pack(other, as_is),
            "does not fit",
        );
        let mut newer = good;
        newer[9] = 2;
        self.write("pack_version", "layout version 2", "pack", &newer, ("TooNew", "version 2"));
    }

    fn tables(&self) {
        let write = |file, about, says, spoil: &dyn Fn(&mut Vec<u8>)| {
            let table = |table: PackTable| {
                let mut bytes = table.encode();
                spoil(&mut bytes);
                bytes
            };
            let bytes = self.pack(table, |offset, length| (offset, length));
            self.write(file, about, "pack", &bytes, ("Damaged", says));
        };
        write("table_claims_too_many_blocks", "2^32 - 1 blocks", "too many blocks", &|bytes| bytes[22..26].fill(0xff));
        write("table_claims_too_many_chunks", "2^32 - 1 chunks", "impossible sizes", &|bytes| bytes[36..40].fill(0xff));
        write("table_block_huge", "4 GiB of plaintext", "impossible sizes", &|bytes| bytes[30..34].fill(0xff));
        write("table_unknown_content", "content 2", "unknown content", &|bytes| bytes[0] = 2);
        write("table_unknown_domain", "owner 2", "unknown id domain", &|bytes| bytes[1] = 2);
        write("table_unknown_codec", "codec 2", "unknown codec", &|bytes| bytes[34] = 2);
        write("table_names_bases", "one base: the delta feature", "names bases", &|bytes| bytes[35] = 1);
        write("table_chunks_do_not_add_up", "6 of 7 bytes", "do not add up", &|bytes| bytes[75] = 6);
        write("table_truncated", "one byte less", "end too early", &|bytes| bytes.truncate(bytes.len() - 1));
        write("table_with_a_tail", "one byte more", "beyond the end", &|bytes| bytes.push(0));
    }

    fn segment(&self, body: &[u8]) -> Vec<u8> {
        let (signing, entropy) = (self.repository.secrets.signing(), &*self.repository.seams.entropy);
        let target = Target::ByHash(ObjectKind::Index);
        sealed::encode(&self.sealer, &signing, entropy, target, Vec::new(), body).unwrap().1
    }

    fn segments(&self) {
        let listed = |bytes| segment::encode(&[], &[(PackId::from_bytes([1; 32]), bytes, good_table(1280))]);
        let write = |file, about, body: &[u8], says| {
            self.write(file, about, "segment", &self.segment(body), ("Damaged", says));
        };
        let count = |inputs: u32, packs: u32| [inputs.to_be_bytes(), packs.to_be_bytes()].concat();
        write("segment_count_huge", "2^32 - 1 packs in 8 bytes", &count(0, u32::MAX), "end too early");
        write("segment_inputs_huge", "replaces 2^32 - 1 others", &count(u32::MAX, 0), "too many segments");
        write("segment_inputs_truncated", "replaces one, not named", &count(1, 0), "end too early");
        write("segment_pack_huge", "a pack of 2^62 bytes", &listed(1 << 62), "larger than any can be");
        write("segment_blocks_beyond_pack", "a pack of 1290 bytes", &listed(1290), "beyond the end of their pack");
        write("segment_with_a_tail", "one byte more", &[listed(4096), vec![0]].concat(), "beyond the end");
        write("segment_empty", "a body of no bytes", &[], "end too early");
        let secrets = &self.repository.secrets;
        let (mut header, _) = self.sealer.object(ObjectKind::Index, Vec::new());
        header.features = 1 << 63;
        let index = &secrets.epoch(1).unwrap().index;
        let key = index.derive(Purpose::ObjectKey, &[&header.salt, &[ObjectKind::Index.code()]]);
        let cipher = ObjectCipher::new(&key, header.hash());
        let mut payload = [&[0; 8][..], &[8], &[0; 8]].concat();
        cipher.seal(Domain::Payload, 0, &mut payload);
        let mut bytes = [header.to_bytes(), payload].concat();
        self.sign(ObjectKind::Index, "", &mut bytes);
        let about = "sound but for a feature bit nobody knows";
        self.write("segment_unknown_feature", about, "segment", &bytes, ("TooNew", "feature"));
    }

    fn snapshot(&self, name: &ObjectName, body: &[u8]) -> Vec<u8> {
        let (signing, entropy) = (self.repository.secrets.signing(), &*self.repository.seams.entropy);
        sealed::encode(&self.sealer, &signing, entropy, Target::Named(name), vec![0x80], body).unwrap().1
    }

    fn snapshots(&self) {
        let name = ObjectName::of(ObjectKind::Snapshot, OURS);
        let write = |file, about, stored: &[u8], wanted| self.write(file, about, "snapshot", stored, wanted);
        let aborted = plain::encode_body(&SnapshotRecord::Aborted("given up".to_owned()));
        let other = ObjectName::of(ObjectKind::Snapshot, SnapshotId::from_bytes([0x5b; 16]));
        let moved = self.snapshot(&other, &aborted);
        write("snapshot_moved", "written for another name", &moved, ("Damaged", "signature"));
        let good = self.snapshot(&name, &aborted);
        let mut torn = good.clone();
        torn.truncate(500);
        write("snapshot_truncated", "cut to 500 bytes", &torn, ("Damaged", "checksum"));
        let tail = self.snapshot(&name, &[aborted.as_slice(), &[0]].concat());
        write("manifest_with_a_tail", "a byte behind the record", &tail, ("Damaged", "beyond its end"));
        let cut = self.snapshot(&name, &aborted[..aborted.len() - 1]);
        write("manifest_truncated", "a record without its last byte", &cut, ("Damaged", "end of input"));
        let unknown = self.snapshot(&name, &[0x82, 0x02, 0x80]);
        write("manifest_unknown_record", "neither committed nor aborted", &unknown, ("TooNew", "variant"));
        let fields = self.snapshot(&name, &[0x82, 0x00, 0x81, 0xa0]);
        write("manifest_without_fields", "a committed record of nothing", &fields, ("Damaged", "missing"));
        let mut feature = good[..good.len() - 96].to_vec();
        feature[16] = 0x80;
        self.sign(ObjectKind::Snapshot, name.text(), &mut feature);
        feature.extend_from_slice(&plain_hash(&feature));
        let about = "a feature bit nobody knows, signed; refused before the seal, which it breaks, is looked at";
        write("manifest_unknown_feature", about, &feature, ("TooNew", "feature"));
    }

    fn trees(&self) {
        let file = |name: &[u8]| entry(name, EntryKind::File, 0o644);
        let leaf = |entries: Vec<Entry>| minicbor::to_vec(Node::Leaf(entries)).unwrap();
        let write = |file, about, bytes: &[u8], says| self.write(file, about, "tree", bytes, ("BadTree", says));
        write("tree_unsorted", "b before a", &leaf(vec![file(b"b"), file(b"a")]), "not in order");
        write("tree_repeated_name", "a twice", &leaf(vec![file(b"a"), file(b"a")]), "not in order");
        let names: [(&str, &str, &[u8]); 5] = [
            ("tree_unsafe_name", "a name with a slash", b"../etc/passwd"),
            ("tree_unsafe_name_parent", "the name ..", b".."),
            ("tree_unsafe_name_empty", "an empty name", b""),
            ("tree_unsafe_name_nul", "a name with NUL", b"a\0b"),
            ("tree_unsafe_name_long", "a name of 256 bytes", &[b'a'; 256]),
        ];
        for (vector, about, name) in names {
            write(vector, about, &leaf(vec![file(name)]), "a name no file may have");
        }
        let folder = entry(b"a", EntryKind::Directory, 0o755);
        write("tree_directory_without_tree", "a directory that leads nowhere", &leaf(vec![folder]), "no tree");
        let both = Entry { tree: Some(CHUNK), ..file(b"a") };
        write("tree_file_with_tree", "a file that is a directory", &leaf(vec![both]), "no tree");
        let link = entry(b"a", EntryKind::Symlink, 0o777);
        write("tree_link_without_target", "a link to nothing", &leaf(vec![link]), "no target");
        let mode = entry(b"a", EntryKind::File, 0o100_644);
        write("tree_mode", "the bits of a file's kind in its mode", &leaf(vec![mode]), "permission bits");
        let sparse = |extents: &[(u64, u64)]| {
            let extents = extents.iter().map(|&(offset, length)| Extent { offset, length }).collect();
            let content = FileContent { ids: vec![CHUNK], extents: Some(extents), ..FileContent::default() };
            leaf(vec![Entry { size: 100, content: Some(content), ..file(b"a") }])
        };
        let says = "does not fit its length";
        write("tree_extents_overlap", "0 to 9 and 5 to 14", &sparse(&[(0, 10), (5, 10)]), says);
        write("tree_extent_wraps", "an extent beyond 64 bits", &sparse(&[(u64::MAX, 10)]), says);
        let deep = FileContent { ids: vec![CHUNK], list_depth: Some(3), ..FileContent::default() };
        let deep = Entry { size: 1, content: Some(deep), ..file(b"a") };
        write("tree_list_depth", "lists of lists of lists", &leaf(vec![deep]), says);
        let beyond = FileContent { ids: vec![CHUNK], fragment: Some(u32::MAX), ..FileContent::default() };
        let beyond = Entry { size: 1, content: Some(beyond), ..file(b"a") };
        write("tree_fragment_far", "a fragment behind any chunk's end", &leaf(vec![beyond]), says);
        let two = FileContent { ids: vec![CHUNK; 2], fragment: Some(0), ..FileContent::default() };
        let two = Entry { size: 1, content: Some(two), ..file(b"a") };
        write("tree_fragment_of_two", "a fragment of two chunks", &leaf(vec![two]), says);
        let hollow = Entry { size: 1, ..file(b"a") };
        write("tree_file_without_content", "a byte from nowhere", &leaf(vec![hollow]), says);
        write("tree_spine_empty", "a spine without references", &[0x82, 0x01, 0x81, 0x80], "impossible number");
        let spine = [&[0x82, 0x01, 0x81, 0x81, 0x82, 0x41, b'a', 0x58, 0x20][..], CHUNK.as_bytes()].concat();
        write("tree_spine_of_itself", "a spine that leads to itself", &spine, "stacked too high");
        let tail = [leaf(vec![file(b"a")]), vec![0]].concat();
        write("tree_with_a_tail", "a byte behind the node", &tail, "something follows");
        let entries = encode_entry(&file(b"a"));
        let claims = [&[0x82, 0x00, 0x81, 0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff][..], &entries].concat();
        write("tree_claims_many_entries", "2^64 - 1 entries, one is there", &claims, "end of input");
        self.write("list_torn", "a list of 33 bytes", "list", &[7; 33], ("BadTree", "no list of ids"));
        self.write("list_empty", "a list of no ids", "list", &[], ("BadTree", "no list of ids"));
    }
}

fn good_table(header_bytes: u32) -> PackTable {
    let mut table = PackTable::new(IdDomain { content: Content::Data, owner: IdOwner::Shared }, header_bytes);
    let chunks = vec![ChunkInfo { id: CHUNK, length: 7 }];
    table.blocks.push(BlockInfo { stored_bytes: 23, raw_bytes: 7, codec: BlockCodec::Raw, chunks });
    table
}
