//! The key of an administrator, from a file. It is never printed, logged or given to another program as an argument.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use zeroize::Zeroizing;

use crate::dss::jobs::error::JobsError;
use crate::sys::small_file;

/// More than any key.
const KEY_FILE_BYTES_MAX: u64 = 64 << 10;
/// Bits that let other accounts at the file.
const OTHERS: u32 = 0o077;

/// A key of DSS's public API. Wiped when dropped.
#[derive(Clone)]
pub struct AdminKey(Zeroizing<String>);

impl AdminKey {
    /// The first line of a file that only its owner may use.
    pub fn read(path: &Path) -> Result<Self, JobsError> {
        let failed = |source| JobsError::KeyUnreadable { path: path.to_owned(), source };
        let mode = path.metadata().map_err(failed)?.mode() & 0o7777;
        if mode & OTHERS != 0 {
            return Err(JobsError::KeyExposed { path: path.to_owned(), mode });
        }
        let bytes = Zeroizing::new(small_file::read(path, KEY_FILE_BYTES_MAX).map_err(failed)?);
        let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default().trim_ascii();
        // What is not plain text could end the header it is put into.
        match std::str::from_utf8(line) {
            Ok(key) if !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic()) => {
                Ok(Self(Zeroizing::new(key.to_owned())))
            }
            _ => Err(JobsError::NoKey { path: path.to_owned() }),
        }
    }

    /// The key itself, for the header.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for AdminKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AdminKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn read(content: &[u8], mode: u32) -> Result<AdminKey, JobsError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        AdminKey::read(file.path())
    }

    #[test]
    fn the_first_line_is_the_key_and_is_never_shown() {
        let key = read(b"  s3cret\r\nsecond line\n", 0o600).unwrap();
        assert_eq!((key.reveal(), format!("{key:?}").as_str()), ("s3cret", "AdminKey(..)"));
    }

    #[test]
    fn a_file_that_other_accounts_may_use_is_refused() {
        for mode in [0o640, 0o604, 0o620, 0o644] {
            assert!(matches!(read(b"s3cret\n", mode), Err(JobsError::KeyExposed { mode: told, .. }) if told == mode));
        }
        assert!(read(b"s3cret\n", 0o400).is_ok());
    }

    #[test]
    fn what_cannot_be_a_key_is_none() {
        for content in [&b""[..], b"\nkey\n", b"two words\n", b"k\xff", b"a\x07b"] {
            assert!(matches!(read(content, 0o600), Err(JobsError::NoKey { .. })), "{content:?}");
        }
        assert!(matches!(AdminKey::read(Path::new("/no/such")), Err(JobsError::KeyUnreadable { .. })));
    }
}
