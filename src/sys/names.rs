//! Names of users and groups, each asked of the system once.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use nix::unistd::{Gid, Group, Uid, User};

/// Names and numbers remembered of each kind: what is asked for may come from an archive of anybody's making.
const REMEMBERED_MAX: usize = 1 << 16;

/// Remembers which number has which name, both ways. A number or name the system does not know is remembered too.
#[derive(Default)]
pub struct Names {
    users: Memo<u32, Option<String>>,
    groups: Memo<u32, Option<String>>,
    uids: Memo<String, Option<u32>>,
    gids: Memo<String, Option<u32>>,
}

/// An account of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Name.
    pub name: String,
    /// Number.
    pub uid: u32,
    /// Number of its own group.
    pub gid: u32,
}

type Memo<K, V> = Mutex<HashMap<K, V>>;

impl Names {
    /// The name of a user number, if it has one.
    pub fn user(&self, uid: u32) -> Option<String> {
        remember(&self.users, uid, |&uid| Some(User::from_uid(Uid::from_raw(uid)).ok()??.name))
    }

    /// The name of a group number, if it has one.
    pub fn group(&self, gid: u32) -> Option<String> {
        remember(&self.groups, gid, |&gid| Some(Group::from_gid(Gid::from_raw(gid)).ok()??.name))
    }

    /// The home directory of a user number, if it has one.
    pub fn home(&self, uid: u32) -> Option<std::path::PathBuf> {
        Some(User::from_uid(Uid::from_raw(uid)).ok()??.dir)
    }

    /// The account of a name here, or of a number given as text.
    pub fn account(name: &str) -> Option<Account> {
        let user = match User::from_name(name).ok()? {
            Some(user) => user,
            None => User::from_uid(Uid::from_raw(name.parse().ok()?)).ok()??,
        };
        Some(Account { name: user.name, uid: user.uid.as_raw(), gid: user.gid.as_raw() })
    }

    /// The number of a user name here, if it exists.
    pub fn uid(&self, name: &str) -> Option<u32> {
        remember(&self.uids, name.to_owned(), |name| Some(User::from_name(name).ok()??.uid.as_raw()))
    }

    /// The number of a group name here, if it exists.
    pub fn gid(&self, name: &str) -> Option<u32> {
        remember(&self.gids, name.to_owned(), |name| Some(Group::from_name(name).ok()??.gid.as_raw()))
    }
}

fn remember<K: Eq + Hash, V: Clone>(memo: &Memo<K, V>, key: K, ask: impl FnOnce(&K) -> V) -> V {
    let mut known = memo.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(value) = known.get(&key) {
        return value.clone();
    }
    let value = ask(&key);
    if known.len() >= REMEMBERED_MAX {
        known.clear();
    }
    known.insert(key, value.clone());
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_superuser_is_known_both_ways_and_nobodys_number_is_not() {
        let names = Names::default();
        assert_eq!(names.user(0).as_deref(), Some("root"));
        assert_eq!(names.uid("root"), Some(0));
        assert!(names.home(0).is_some() && names.home(3_999_999_999).is_none());
        assert_eq!(names.gid(names.group(0).unwrap().as_str()), Some(0));
        assert_eq!(Names::account("root"), Names::account("0"));
        assert_eq!(Names::account("root").map(|account| account.uid), Some(0));
        assert_eq!(names.user(3_999_999_999), None);
        assert_eq!(names.uid("no such user, surely"), None);
    }
}
