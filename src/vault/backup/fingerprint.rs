//! What tells that a file is the one seen last time.

use crate::base::clock::Timestamp;
use crate::sys::meta::{FileKind, Stat};

/// Attributes of an entry in 60 bytes, compared as a whole. The device number is left out: it differs between
/// volume snapshots and across reboots. All zero means "never trust".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; Self::BYTES]);

impl Fingerprint {
    /// Width in the state file.
    pub const BYTES: usize = 60;

    /// Matches nothing that exists.
    pub const NEVER: Self = Self([0; Self::BYTES]);

    /// The fingerprint of an entry; `file_system` is the ordinal of its file system in this backup.
    ///
    /// Size and link count of directories say nothing about the directory entry itself and are left out.
    pub fn of(stat: &Stat, file_system: u32) -> Self {
        let mut bytes = [0u8; Self::BYTES];
        let mut at = 0;
        let mut put = |field: &[u8]| {
            bytes[at..at + field.len()].copy_from_slice(field);
            at += field.len();
        };
        let directory = stat.kind == FileKind::Directory;
        // Kind and mode share a word whose top bit is always set, so that no real fingerprint is all zero.
        put(&(0x8000_0000 | (stat.kind as u32) << 16 | stat.mode).to_be_bytes());
        put(&stat.uid.to_be_bytes());
        put(&stat.gid.to_be_bytes());
        put(&(if directory { 0 } else { stat.nlink as u32 }).to_be_bytes());
        put(&(if directory { 0 } else { stat.size }).to_be_bytes());
        put(&stat.mtime.seconds.to_be_bytes());
        put(&stat.ctime.seconds.to_be_bytes());
        put(&stat.inode.to_be_bytes());
        put(&stat.mtime.nanos.to_be_bytes());
        put(&stat.ctime.nanos.to_be_bytes());
        put(&file_system.to_be_bytes());
        Self(bytes)
    }
}

/// Whether an entry was touched so shortly before `now` that a later change could leave its times as they are:
/// such an entry is read again next time. The kernel's clock ticks every 1 to 10 ms; file systems without
/// nanoseconds count in seconds, FAT in two.
pub fn is_too_fresh(stat: &Stat, now: Timestamp) -> bool {
    let fine = stat.ctime.nanos != 0 || stat.mtime.nanos != 0;
    let window: i128 = if fine { 20_000_000 } else { 2_100_000_000 };
    let newest = stat.ctime.max(stat.mtime.min(now));
    now.as_nanos() - newest.as_nanos() < window
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(size: u64, ctime: Timestamp) -> Stat {
        Stat {
            kind: FileKind::File,
            mode: 0o644,
            uid: 1,
            gid: 2,
            size,
            mtime: Timestamp { seconds: 5, nanos: 6 },
            ctime,
            device: 9,
            inode: 10,
            nlink: 1,
            rdev: 0,
            blocks: 0,
        }
    }

    #[test]
    fn every_attribute_but_the_device_number_counts() {
        let base = stat(1, Timestamp { seconds: 7, nanos: 8 });
        let print = |stat: Stat| Fingerprint::of(&stat, 0);
        assert_eq!(print(base), print(Stat { device: 77, ..base }));
        let others = [
            Stat { size: 2, ..base },
            Stat { mode: 0o600, ..base },
            Stat { uid: 9, ..base },
            Stat { gid: 9, ..base },
            Stat { nlink: 2, ..base },
            Stat { inode: 11, ..base },
            Stat { kind: FileKind::Fifo, ..base },
            Stat { mtime: Timestamp { seconds: 5, nanos: 7 }, ..base },
            Stat { ctime: Timestamp { seconds: 7, nanos: 9 }, ..base },
        ];
        for other in others {
            assert_ne!(print(base), print(other), "{other:?}");
        }
        assert_ne!(print(base), Fingerprint::of(&base, 1));
        assert_ne!(print(base), Fingerprint::NEVER);
    }

    #[test]
    fn a_file_touched_within_a_clock_tick_is_not_trusted() {
        let at = |seconds, nanos| Timestamp { seconds, nanos };
        assert!(is_too_fresh(&stat(1, at(100, 990_000_000)), at(101, 0)));
        assert!(!is_too_fresh(&stat(1, at(100, 970_000_000)), at(101, 0)));
        assert!(is_too_fresh(&stat(1, at(200, 0)), at(101, 0)), "a clock that jumped back");
        let coarse = Stat { mtime: at(5, 0), ..stat(1, at(100, 0)) };
        assert!(is_too_fresh(&coarse, at(102, 0)));
        assert!(!is_too_fresh(&coarse, at(103, 0)));
    }
}
