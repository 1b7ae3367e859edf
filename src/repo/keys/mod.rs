//! Key slots: how passwords and recovery words open the repository's secrets.

use zeroize::Zeroizing;

use crate::repo::error::RepoError;
use crate::repo::secrets::Secrets;
use crate::storage::Storage;

/// What somebody offers to open a repository.
pub enum Credential {
    /// A password, as typed or read (no trailing newline).
    Password(Zeroizing<String>),
    /// The BIP-39 words of the recovery key, separated by white space.
    RecoveryWords(Zeroizing<String>),
}

/// Tries a credential on every slot.
pub fn unlock(_storage: &dyn Storage, _credential: &Credential) -> Result<Secrets, RepoError> {
    unimplemented!("helper: keys")
}
