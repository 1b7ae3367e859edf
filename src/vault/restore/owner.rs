//! Whose files they become: names, numbers, this account, and exceptions from a map.

use std::collections::HashMap;

use crate::repo::tree::{Entry, Owner};
use crate::sys::names::Names;
use crate::vault::VaultError;
use crate::vault::restore::{OwnerMode, OwnerRule};

/// Decides owners; one rule for the whole restore.
pub(super) struct Owners {
    mode: OwnerMode,
    names: Names,
    users: HashMap<String, u32>,
    groups: HashMap<String, u32>,
}

/// User and group to set; `None` leaves what the file was made with.
pub(super) type Chosen = (Option<u32>, Option<u32>);

impl Owners {
    /// Resolves the map: its right sides must exist here.
    pub fn new(mode: OwnerMode, map: &[OwnerRule]) -> Result<Self, VaultError> {
        let names = Names::default();
        let (mut users, mut groups) = (HashMap::new(), HashMap::new());
        for rule in map {
            let known = if rule.group { names.gid(&rule.to) } else { names.uid(&rule.to) };
            let what = if rule.group { "group" } else { "user" };
            let number = known.or_else(|| rule.to.parse().ok()).ok_or_else(|| VaultError::Request {
                what: format!("the owner map names the {what} `{}`, which does not exist here", rule.to),
                hint: Some("create it, or give its number".to_owned()),
            })?;
            if rule.group { &mut groups } else { &mut users }.insert(rule.from.clone(), number);
        }
        Ok(Self { mode, names, users, groups })
    }

    /// Who shall own what was owned so.
    pub fn choose(&self, owner: &Owner) -> Chosen {
        let user = self.mapped(&self.users, owner.user.as_deref(), owner.uid);
        let group = self.mapped(&self.groups, owner.group.as_deref(), owner.gid);
        let by_name = |name: Option<&str>, find: &dyn Fn(&str) -> Option<u32>, number| match self.mode {
            OwnerMode::Current => None,
            OwnerMode::Numeric => Some(number),
            OwnerMode::Names => Some(name.and_then(find).unwrap_or(number)),
        };
        (
            user.or_else(|| by_name(owner.user.as_deref(), &|name| self.names.uid(name), owner.uid)),
            group.or_else(|| by_name(owner.group.as_deref(), &|name| self.names.gid(name), owner.gid)),
        )
    }

    /// The permissions an entry may be given: setuid and setgid only for the owner they were meant for.
    pub fn mode_of(&self, entry: &Entry, chosen: Chosen, account: u32) -> u32 {
        let another = chosen.0.is_none() && entry.owner.uid != account;
        if another && entry.tree.is_none() { entry.mode & !0o6000 } else { entry.mode }
    }

    /// Whether owners that cannot be set are failures: only if numbers were asked for.
    pub fn are_strict(&self) -> bool {
        self.mode == OwnerMode::Numeric
    }

    fn mapped(&self, map: &HashMap<String, u32>, name: Option<&str>, number: u32) -> Option<u32> {
        if map.is_empty() {
            return None;
        }
        name.and_then(|name| map.get(name)).or_else(|| map.get(&number.to_string())).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(user: Option<&str>, uid: u32) -> Owner {
        Owner { uid, gid: 77, user: user.map(str::to_owned), group: None }
    }

    fn rule(group: bool, from: &str, to: &str) -> OwnerRule {
        OwnerRule { group, from: from.to_owned(), to: to.to_owned() }
    }

    #[test]
    fn names_count_where_they_exist_and_numbers_otherwise() {
        let owners = Owners::new(OwnerMode::Names, &[]).unwrap();
        assert_eq!(owners.choose(&owner(Some("root"), 500)), (Some(0), Some(77)));
        assert_eq!(owners.choose(&owner(Some("surely nobody here"), 500)), (Some(500), Some(77)));
        let owners = Owners::new(OwnerMode::Numeric, &[]).unwrap();
        assert_eq!(owners.choose(&owner(Some("root"), 500)), (Some(500), Some(77)));
        let owners = Owners::new(OwnerMode::Current, &[]).unwrap();
        assert_eq!(owners.choose(&owner(Some("root"), 500)), (None, None));
    }

    #[test]
    fn the_map_goes_before_everything_by_name_or_number() {
        let map = [rule(false, "ann", "1234"), rule(false, "500", "root"), rule(true, "77", "78")];
        let owners = Owners::new(OwnerMode::Current, &map).unwrap();
        assert_eq!(owners.choose(&owner(Some("ann"), 1)), (Some(1234), Some(78)));
        assert_eq!(owners.choose(&owner(None, 500)), (Some(0), Some(78)));
        assert_eq!(owners.choose(&owner(None, 501)), (None, Some(78)));
    }

    #[test]
    fn a_map_to_somebody_who_does_not_exist_is_refused() {
        assert!(Owners::new(OwnerMode::Names, &[rule(false, "ann", "surely nobody here")]).is_err());
    }
}
