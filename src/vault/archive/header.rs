//! The 512 bytes before each member: fields parsed, checksum compared.

use tar::Header;

use crate::base::clock::Timestamp;
use crate::repo::tree::Extent;
use crate::vault::archive::{BLOCK_BYTES, BadArchive};

/// One block.
pub type Block = [u8; BLOCK_BYTES];

const CHECKSUM: std::ops::Range<usize> = 148..156;
const TYPE_FLAG: usize = 156;

/// The fields of a header that every format has.
pub struct RawHeader {
    /// The kind of member.
    pub flag: u8,
    /// Its name, put together from its parts.
    pub name: Vec<u8>,
    /// Where a link points.
    pub link: Vec<u8>,
    /// Bytes that follow.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// Number of the user.
    pub uid: u64,
    /// Number of the group.
    pub gid: u64,
    /// Name of the user.
    pub user: Vec<u8>,
    /// Name of the group.
    pub group: Vec<u8>,
    /// Modification time.
    pub mtime: Timestamp,
    /// Device number.
    pub device: (u32, u32),
    /// The runs of a sparse file in GNU's own form, the length of that file, and whether more runs follow.
    pub sparse: Option<OldSparse>,
}

/// The beginning of a sparse file's map.
pub struct OldSparse {
    /// Runs of data.
    pub runs: Vec<Extent>,
    /// Length of the file, holes included.
    pub size: u64,
    /// Whether a block with more runs follows.
    pub continued: bool,
}

/// A header; `None` for a block of zeros, which ends an archive.
pub fn parse(block: &Block) -> Result<Option<RawHeader>, BadArchive> {
    if block.iter().all(|&byte| byte == 0) {
        return Ok(None);
    }
    let header = Header::from_byte_slice(block);
    let told = number(&block[CHECKSUM], header.cksum().map(u64::from))?;
    if !sums(block).contains(&told) {
        return Err(BadArchive::malformed("a header's checksum is wrong"));
    }
    let old = header.as_old();
    let device = match header.as_ustar().map(|_| ()).or(header.as_gnu().map(|_| ())) {
        Some(()) => (header.device_major().ok().flatten(), header.device_minor().ok().flatten()),
        None => (None, None),
    };
    let flag = block[TYPE_FLAG];
    Ok(Some(RawHeader {
        flag,
        name: header.path_bytes().into_owned(),
        link: header.link_name_bytes().unwrap_or_default().into_owned(),
        size: number(&old.size, header.entry_size())?,
        // Whatever kind of file these bits tell as well, the flag decides.
        mode: number(&old.mode, header.mode().map(u64::from))? as u32 & 0o7777,
        uid: number(&old.uid, header.uid())?,
        gid: number(&old.gid, header.gid())?,
        user: header.username_bytes().unwrap_or_default().to_vec(),
        group: header.groupname_bytes().unwrap_or_default().to_vec(),
        // Times before 1970 are two's complement where they are binary.
        mtime: Timestamp { seconds: number(&old.mtime, header.mtime())? as i64, nanos: 0 },
        device: (device.0.unwrap_or(0), device.1.unwrap_or(0)),
        sparse: if flag == b'S' { old_sparse(header)? } else { None },
    }))
}

fn old_sparse(header: &Header) -> Result<Option<OldSparse>, BadArchive> {
    let Some(gnu) = header.as_gnu() else { return Err(BadArchive::malformed("a sparse file has no GNU header")) };
    let size = number(&gnu.realsize, gnu.real_size())?;
    let mut runs = Vec::new();
    for run in gnu.sparse.iter().filter(|run| !run.is_empty()) {
        runs.push(extent(run)?);
    }
    Ok(Some(OldSparse { runs, size, continued: gnu.is_extended() }))
}

/// A block with more runs of a sparse file, and whether yet another follows.
pub fn more_runs(block: &Block) -> Result<(Vec<Extent>, bool), BadArchive> {
    let mut more = tar::GnuExtSparseHeader::new();
    more.as_mut_bytes().copy_from_slice(block);
    let runs: Result<Vec<Extent>, BadArchive> =
        more.sparse().iter().filter(|run| !run.is_empty()).map(extent).collect();
    Ok((runs?, more.is_extended()))
}

fn extent(run: &tar::GnuSparseHeader) -> Result<Extent, BadArchive> {
    let bad = |_| BadArchive::malformed("a sparse file's map is no row of numbers");
    Ok(Extent { offset: run.offset().map_err(bad)?, length: run.length().map_err(bad)? })
}

/// A number; a field left blank means 0.
fn number(field: &[u8], parsed: std::io::Result<u64>) -> Result<u64, BadArchive> {
    match parsed {
        Ok(number) => Ok(number),
        Err(_) if field.iter().all(|byte| matches!(byte, 0 | b' ')) => Ok(0),
        Err(_) => Err(BadArchive::malformed("a header has something else where a number should be")),
    }
}

/// The sum of all bytes with the checksum itself as blanks; some old programs took bytes for signed.
fn sums(block: &Block) -> [u64; 2] {
    let (mut unsigned, mut signed) = (0u64, 0i64);
    for (at, &byte) in block.iter().enumerate() {
        let byte = if CHECKSUM.contains(&at) { b' ' } else { byte };
        unsigned += u64::from(byte);
        signed += i64::from(byte as i8);
    }
    [unsigned, signed as u64]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(change: impl FnOnce(&mut Header)) -> Block {
        let mut header = Header::new_gnu();
        header.set_path("dss/config/a").unwrap();
        header.set_size(7);
        header.set_mode(0o100_640);
        header.set_mtime(1_700_000_000);
        change(&mut header);
        header.set_cksum();
        *header.as_bytes()
    }

    #[test]
    fn fields_are_read_and_blank_ones_are_zero() {
        let header = parse(&block(|header| header.as_old_mut().uid = [b' '; 8])).unwrap().unwrap();
        assert_eq!(
            (header.name.as_slice(), header.size, header.mode, header.uid),
            (b"dss/config/a".as_slice(), 7, 0o640, 0)
        );
        assert_eq!(header.mtime.seconds, 1_700_000_000);
        assert!(parse(&[0; 512]).unwrap().is_none());
    }

    #[test]
    fn a_flipped_bit_anywhere_is_seen() {
        let good = block(|_| {});
        for at in (0..BLOCK_BYTES).filter(|at| !CHECKSUM.contains(at)) {
            let mut bad = good;
            bad[at] ^= 0x40;
            assert!(parse(&bad).is_err(), "byte {at}");
        }
    }

    #[test]
    fn large_numbers_and_times_before_1970_are_binary() {
        let early = (-5i64) as u64;
        let header = parse(&block(|header| {
            header.set_size(1 << 40);
            header.as_old_mut().mtime = [0xff; 12];
            header.as_old_mut().mtime[4..].copy_from_slice(&early.to_be_bytes());
        }));
        let header = header.unwrap().unwrap();
        assert_eq!((header.size, header.mtime.seconds), (1 << 40, -5));
    }
}
