//! The linear log of everything that changes the meaning of stored objects (`docs/format.md`, "Journal").
//!
//! Entry n is created once under its number, signed by the owner, and carries the hash of entry n-1.

pub mod entry;
pub mod facts;
pub mod ledger;

pub use entry::{Arrival, Entry, Objects, Record};
pub use facts::{Facts, Since};
pub use ledger::{Ledger, PackFronts};

use crate::base::clock::Clock;
use crate::base::id::{RepositoryId, StoredHash};
use crate::base::object::{ObjectKind, ObjectName};
use crate::codec::kdf::plain_hash;
use crate::codec::sign::SigningPublic;
use crate::repo::error::RepoError;
use crate::repo::format::object_bytes_max;
use crate::repo::plain;
use crate::repo::secrets::Secrets;
use crate::storage::{Published, Storage, StorageError};

/// The journal, read up to some entry.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct State {
    /// Number of the last entry read; 0 if there is none.
    pub head: u64,
    /// BLAKE3 of the last entry's stored bytes.
    pub last: Option<StoredHash>,
    /// What the entries add up to.
    pub facts: Facts,
}

impl std::ops::Deref for State {
    type Target = Facts;

    fn deref(&self) -> &Facts {
        &self.facts
    }
}

/// One repository's journal.
#[derive(Clone, Copy)]
pub struct Journal<'a> {
    storage: &'a dyn Storage,
    repository: RepositoryId,
    owner: SigningPublic,
}

impl<'a> Journal<'a> {
    /// The journal of a repository and its owner.
    pub fn new(storage: &'a dyn Storage, repository: RepositoryId, owner: SigningPublic) -> Self {
        Self { storage, repository, owner }
    }

    /// Reads all entries. A gap, a broken chain, a wrong signature is an error that names the entry; a kind of
    /// entry this program does not know is `TooNew`. An empty journal is a valid one.
    pub fn load(&self) -> Result<State, RepoError> {
        let mut numbers = Vec::new();
        for listed in self.storage.list(ObjectKind::Journal)? {
            match listed.name.number() {
                Some(number) if number > 0 => numbers.push(number),
                _ => return Err(RepoError::damaged(&listed.name, "its name is not a number")),
            }
        }
        let mut state = State::default();
        let (Some(first), Some(last)) = (numbers.iter().min(), numbers.iter().max()) else { return Ok(state) };
        // The entries below a checkpoint may be gone. Within the range every number is asked for, listed or not:
        // an entry written while the store was listed may have been passed over.
        state.head = first - 1;
        while state.head < *last {
            let name = ObjectName::numbered(ObjectKind::Journal, state.head + 1);
            let stored =
                self.storage.get(&name, object_bytes_max(ObjectKind::Journal)).map_err(|fault| match fault {
                    StorageError::NotFound { .. } => {
                        RepoError::damaged(&name, "it is missing, although later ones exist")
                    }
                    fault => fault.into(),
                })?;
            self.follow(&mut state, &name, &stored)?;
        }
        Ok(state)
    }

    /// Reads on from a state: the entries written since. Numbers have no gaps, so the first that is missing ends it.
    pub fn follow_up(&self, mut state: State) -> Result<State, RepoError> {
        loop {
            let name = ObjectName::numbered(ObjectKind::Journal, state.head + 1);
            match self.storage.get(&name, object_bytes_max(ObjectKind::Journal)) {
                Ok(stored) => self.follow(&mut state, &name, &stored)?,
                Err(StorageError::NotFound { .. }) => return Ok(state),
                Err(fault) => return Err(fault.into()),
            }
        }
    }

    /// Writes an entry right behind number `head`, or nothing if there is another one already: for decisions that rest
    /// on more than the journal. Gives the state it led to.
    pub fn append_at(
        &self,
        secrets: &Secrets,
        clock: &dyn Clock,
        state: &State,
        entry: Entry,
    ) -> Result<Option<State>, RepoError> {
        self.write(secrets, clock, &mut state.clone(), entry)
    }

    /// Writes the entry that `decide` chooses on the state reached, or nothing. When somebody else was faster,
    /// `decide` is asked again on the state that includes their entry.
    pub fn append(
        &self,
        secrets: &Secrets,
        clock: &dyn Clock,
        mut decide: impl FnMut(&State) -> Result<Option<Entry>, RepoError>,
    ) -> Result<State, RepoError> {
        let mut state = self.load()?;
        while let Some(entry) = decide(&state)? {
            if let Some(written) = self.write(secrets, clock, &mut state, entry)? {
                return Ok(written);
            }
        }
        Ok(state)
    }

    /// Writes the next entry. `None` if somebody else was faster: their entry is then part of the state.
    fn write(
        &self,
        secrets: &Secrets,
        clock: &dyn Clock,
        state: &mut State,
        entry: Entry,
    ) -> Result<Option<State>, RepoError> {
        let name = ObjectName::numbered(ObjectKind::Journal, state.head + 1);
        let what = entry.word();
        let refused = |why| RepoError::Refused { name: name.clone(), what, why };
        state.allows(&entry).map_err(refused)?;
        let body = plain::encode_body(&Record { previous: state.last, time: clock.now(), entry });
        let stored = plain::encode(&secrets.signing(), &name, self.repository, secrets.newest_epoch(), &body);
        if stored.len() as u64 > object_bytes_max(ObjectKind::Journal) {
            return Err(refused("it is longer than an entry may be; write several".to_owned()));
        }
        if self.storage.put(&name, &stored)? == Published::Created {
            self.follow(state, &name, &stored)?;
            return Ok(Some(state.clone()));
        }
        let there = self.storage.get(&name, object_bytes_max(ObjectKind::Journal))?;
        self.follow(state, &name, &there)?;
        // A repeated put may meet its own first try.
        Ok((there == stored).then(|| state.clone()))
    }

    /// Writes the first entry of a new journal: the empty state.
    pub fn begin(&self, secrets: &Secrets, clock: &dyn Clock) -> Result<State, RepoError> {
        self.append(secrets, clock, |state| Ok((state.head == 0).then(|| Entry::Checkpoint(Box::default()))))
    }

    /// Verifies the next entry and folds it in.
    fn follow(&self, state: &mut State, name: &ObjectName, stored: &[u8]) -> Result<(), RepoError> {
        let damaged = |why| RepoError::damaged(name, why);
        let body = plain::Unverified::parse(name, stored)?.verify(&self.owner, self.repository)?;
        let Record { previous, time, entry } = plain::decode_body(name, body)?;
        let number = state.head + 1;
        // Read from the middle, the chain begins with whatever the owner-signed checkpoint says.
        let begins = state.last.is_none() && number > 1;
        if begins {
            let Entry::Checkpoint(facts) = &entry else { return Err(damaged("the entry before it is missing")) };
            state.facts = (**facts).clone();
        } else if previous != state.last {
            return Err(damaged("it does not follow from the entry before it"));
        }
        if let Entry::Checkpoint(facts) = &entry
            && **facts != state.facts
        {
            return Err(damaged("it is not the sum of the entries before it"));
        }
        state.facts.apply(Since { number, time }, &entry);
        state.head = number;
        state.last = Some(StoredHash::from_bytes(plain_hash(stored)));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
