//! The rules of `docs/protocol.md` by their numbers, each of which the checker can leave out.

use std::fmt;

/// A rule whose removal the checker must notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rule {
    /// The session's record stands before the journal is read.
    W1,
    /// A lease repeats the entry the writer's look-ups rest on.
    W2,
    /// A chunk that lies only in marked packs counts as absent.
    W3,
    /// Doomed packs do not exist.
    W4,
    /// Packs, segments, snapshot: each durable before the next is sent.
    W5,
    /// Success is told only after the journal, read once more, does not close the session.
    W6,
    /// The parent's chunks are taken over only if the parent stands, asked after the record stood.
    W7,
    /// The index is loaded after the journal was read.
    W8,
    /// Packs of a segment met for the first time are looked for in the store.
    I1,
    /// If anything was swept since the cache was used last, all its packs are looked for again.
    I2,
    /// A segment is doomed only if each of its packs that is not doomed is listed by one that stays.
    I3,
    /// A cached pack counts only while a listed segment that is not doomed lists it.
    I4,
    /// A forgotten snapshot is a root until it is purged.
    D1,
    /// The parent of a live session is a root.
    D2,
    /// The journal is read before sessions are listed.
    D3,
    /// Sessions are listed before snapshots.
    D4,
    /// A session that has not seen the mark is waited for.
    D5,
    /// A session without a lease has seen nothing.
    D6,
    /// What counts is the mark that stands now, not an earlier one that was taken back.
    D7,
    /// The copy that is kept lies in a pack neither marked nor doomed.
    D8,
    /// The copy that is kept was read.
    D9,
    /// Doom is final.
    D10,
    /// Who loses a number decides again, from the first step.
    D11,
    /// A session is over only when something stands under its snapshot's name.
    F1,
    /// A session is closed in the journal before anything of it is removed.
    F2,
    /// Nothing is deleted before its doom stands in the journal.
    S1,
    /// A pack leaves the dead list only after its deletion was answered.
    S2,
}

impl Rule {
    /// All of them.
    pub const ALL: [Self; 27] = [
        Self::W1,
        Self::W2,
        Self::W3,
        Self::W4,
        Self::W5,
        Self::W6,
        Self::W7,
        Self::W8,
        Self::I1,
        Self::I2,
        Self::I3,
        Self::I4,
        Self::D1,
        Self::D2,
        Self::D3,
        Self::D4,
        Self::D5,
        Self::D6,
        Self::D7,
        Self::D8,
        Self::D9,
        Self::D10,
        Self::D11,
        Self::F1,
        Self::F2,
        Self::S1,
        Self::S2,
    ];
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The rules in force: all, or all but one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rules {
    removed: Option<Rule>,
}

impl Rules {
    /// All but this one.
    pub fn without(rule: Rule) -> Self {
        Self { removed: Some(rule) }
    }

    /// Whether a rule is followed.
    pub fn hold(self, rule: Rule) -> bool {
        self.removed != Some(rule)
    }
}
