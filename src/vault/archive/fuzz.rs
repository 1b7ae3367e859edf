//! The reader of archives, for the fuzzer.

use std::io::Read;

use crate::vault::archive::{BLOCK_BYTES, TarReader, name};

/// Content read of one member: a few bytes may claim to be a file of exabytes of joined holes.
const CONTENT_MAX: u64 = 1 << 16;

/// Reads bytes as an archive: as they are, and with a right checksum in every block, so that fields are reached.
pub fn archive(data: &[u8]) {
    read(data);
    let mut repaired = data.to_vec();
    repaired.chunks_exact_mut(BLOCK_BYTES).for_each(seal);
    read(&repaired);
}

fn read(bytes: &[u8]) {
    let mut reader = TarReader::new(bytes);
    while let Ok(Some(member)) = reader.next_member() {
        if let Ok(path) = name::path_of(&member.name) {
            assert!(!path.starts_with(b"/") && path.split(|&byte| byte == b'/').all(|part| part != b".."));
        }
        let runs = member.extents.iter().flatten();
        let end = runs.fold(0, |at, run| {
            assert!(run.length > 0 && run.offset >= at, "runs are in order");
            run.offset + run.length
        });
        assert!(end <= member.size, "no run is outside of its file");
        if std::io::copy(&mut reader.by_ref().take(CONTENT_MAX), &mut std::io::sink()).is_err() {
            break;
        }
    }
}

fn seal(block: &mut [u8]) {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// One of each kind.
pub fn seeds() -> Vec<Vec<u8>> {
    let records: &[u8] = b"20 path=a/long/name\n30 mtime=1700000000.123456789\n31 SCHILY.xattr.user.a=1\n2\n3 x\n\
        36 SCHILY.acl.access=user::rw-,o::r\n";
    let sparse: &[u8] =
        b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n21 GNU.sparse.name=a\n29 GNU.sparse.realsize=10000\n";
    let mut map = b"2\n0\n5\n9000\n7\n".to_vec();
    map.resize(BLOCK_BYTES, 0);
    map.extend_from_slice(b"data of runs");
    let end = vec![0; 2 * BLOCK_BYTES];
    let plain = [member(b"dss/", b'5', b""), member(b"dss/a", b'0', b"content"), member(b"dss/b", b'1', b"")].concat();
    let long = [member(b"././@LongLink", b'L', &b"n/".repeat(90)), member(b"n", b'0', b"x")].concat();
    let pax = [member(b"PaxHeaders/x", b'x', records), member(b"x", b'0', b"x")].concat();
    let holes = [member(b"PaxHeaders/x", b'x', sparse), member(b"GNUSparseFile.0/a", b'0', &map)].concat();
    [plain, long, pax, holes].map(|members| [members.as_slice(), &end].concat()).to_vec()
}

fn member(name: &[u8], flag: u8, content: &[u8]) -> Vec<u8> {
    let mut block = [0u8; BLOCK_BYTES];
    block[..name.len()].copy_from_slice(name);
    block[100..107].copy_from_slice(b"0000644");
    block[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
    block[136..147].copy_from_slice(b"14000000000");
    block[156] = flag;
    block[157] = b'a';
    block[257..265].copy_from_slice(b"ustar\x0000");
    seal(&mut block);
    let mut bytes = [block.as_slice(), content].concat();
    bytes.resize(bytes.len().next_multiple_of(BLOCK_BYTES), 0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_seed_is_a_whole_archive() {
        for seed in seeds() {
            let mut reader = TarReader::new(seed.as_slice());
            let mut members = 0;
            while reader.next_member().unwrap().is_some() {
                members += 1;
            }
            assert!(members > 0);
        }
    }
}
