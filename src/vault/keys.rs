//! Key slots as verbs: list, add, remove, change the password.

use zeroize::Zeroizing;

use crate::base::id::SlotId;
use crate::base::object::{ObjectKind, ObjectName};
use crate::repo::RepoError;
use crate::repo::config::Survey;
use crate::repo::keys::{self, Credential, Method, RecoveryKey, SlotCosts, SlotInfo, SlotPlan, slot};
use crate::repo::repository::Repository;
use crate::storage::Published;
use crate::vault::VaultError;

/// Bytes of a label at most.
const LABEL_BYTES_MAX: usize = 200;

/// The key slots of a repository.
#[derive(Debug)]
pub struct KeyList {
    /// Readable slots, by time of creation.
    pub slots: Vec<ListedSlot>,
    /// What is wrong with the others.
    pub faults: Vec<RepoError>,
}

/// One line of [`KeyList`].
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ListedSlot {
    /// The slot.
    #[serde(flatten)]
    pub info: SlotInfo,
    /// Whether it opened the repository this time.
    pub current: bool,
}

/// What changing the password did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordChanged {
    /// The new slot.
    pub added: SlotInfo,
    /// The slot it stands for now.
    pub removed: Option<SlotId>,
    /// Slots of other passwords, which still open the repository.
    pub others: Vec<SlotInfo>,
}

/// The slots of this repository.
pub fn list(repository: &Repository) -> Result<KeyList, VaultError> {
    let listing = keys::list(&*repository.storage, &Survey::read(&*repository.storage)?)?;
    let owner = repository.secrets.owner_public();
    let ours = listing.slots.into_iter().filter(|slot| slot.owner() == owner);
    let current = repository.opened_by.slot;
    let mut slots: Vec<ListedSlot> =
        ours.map(|slot| ListedSlot { current: slot.info.slot == current, info: slot.info }).collect();
    slots.sort_by_key(|listed| (listed.info.created, listed.info.slot));
    Ok(KeyList { slots, faults: listing.faults })
}

/// Adds a slot for one more password.
pub fn add_password(
    repository: &Repository,
    password: &Credential,
    label: &str,
    costs: SlotCosts,
) -> Result<SlotInfo, VaultError> {
    add(repository, password, label, costs)
}

/// Adds a slot for a new recovery key and gives its words, which are stored nowhere.
pub fn add_recovery(repository: &Repository, label: &str) -> Result<(SlotInfo, Zeroizing<String>), VaultError> {
    let words = RecoveryKey::random(&*repository.seams.entropy).words();
    let info = add(repository, &Credential::RecoveryWords(words.clone()), label, SlotCosts::DEFAULT)?;
    Ok((info, words))
}

/// Removes a slot. The last readable one is always kept; the one that opened the repository goes only by `force`.
/// Copies of a removed slot that somebody made before still open with its password.
pub fn remove(repository: &Repository, slot: SlotId, force: bool) -> Result<(), VaultError> {
    let name = ObjectName::of(ObjectKind::Key, slot);
    if !repository.storage.list(ObjectKind::Key)?.iter().any(|entry| entry.name == name) {
        return Err(request(format!("there is no key slot {slot}"), "`dssvault key list` shows the slots there are"));
    }
    let slots = list(repository)?.slots;
    if !slots.iter().any(|other| other.info.slot != slot) {
        let what = format!("{slot} is the last key slot; without it nobody could open the repository");
        return Err(request(what, "add another key first"));
    }
    if slot == repository.opened_by.slot && !force {
        let what = format!("{slot} is the key slot in use");
        return Err(request(what, "open the repository with another key, or repeat with `--force`"));
    }
    Ok(repository.storage.delete(&name)?)
}

/// Sets a new password in place of the one that opened the repository. Opened by recovery words, the only other
/// password is replaced; if there are several they stay, and are reported.
///
/// The new slot is there before the old one goes: at no moment does nothing open.
pub fn change_password(
    repository: &Repository,
    password: &Credential,
    costs: SlotCosts,
) -> Result<PasswordChanged, VaultError> {
    let is_password = |info: &&SlotInfo| matches!(info.method, Method::Password(_));
    let before: Vec<SlotInfo> = list(repository)?.slots.into_iter().map(|listed| listed.info).collect();
    let passwords: Vec<&SlotInfo> = before.iter().filter(is_password).collect();
    let used = passwords.iter().find(|info| info.slot == repository.opened_by.slot).copied();
    let replaced = match (used, passwords.as_slice()) {
        (Some(used), _) => Some(used),
        (None, [only]) => Some(*only),
        (None, _) => None,
    };
    let label = replaced.map_or("password", |info| info.label.as_str());
    let added = add(repository, password, label, costs)?;
    // Seen to open as stored, or the old one stays.
    keys::unlock(&*repository.storage, password)?;
    let removed = replaced.map(|info| info.slot);
    if let Some(slot) = removed {
        repository.storage.delete(&ObjectName::of(ObjectKind::Key, slot))?;
    }
    let others = passwords.into_iter().filter(|info| Some(info.slot) != removed).cloned().collect();
    Ok(PasswordChanged { added, removed, others })
}

fn add(
    repository: &Repository,
    credential: &Credential,
    label: &str,
    costs: SlotCosts,
) -> Result<SlotInfo, VaultError> {
    if label.len() > LABEL_BYTES_MAX || label.chars().any(char::is_control) {
        let what = format!("a label has at most {LABEL_BYTES_MAX} bytes and no control characters");
        return Err(request(what, "choose a shorter label"));
    }
    let seams = &repository.seams;
    let plan = SlotPlan { costs, label: label.to_owned(), host: host_name(), created: seams.clock.now() };
    let (info, name, stored) = slot::seal(&repository.secrets, repository.id(), credential, plan, &*seams.entropy)?;
    match repository.storage.put(&name, &stored)? {
        Published::Created => Ok(info),
        Published::AlreadyThere => Err(RepoError::damaged(&name, "another key slot has this id").into()),
    }
}

fn request(what: String, hint: &str) -> VaultError {
    VaultError::Request { what, hint: Some(hint.to_owned()) }
}

/// The name of this machine, for people.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
