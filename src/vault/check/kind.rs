//! What kind of thing is wrong: stable words for programs (`docs/json.md`, "Kinds of findings").

/// A kind of finding. The words never change their meaning; new ones may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A configuration is damaged, or there is none.
    ConfigDamaged,
    /// A key slot is damaged, or there is none.
    KeyDamaged,
    /// A key slot that the owner of this repository did not sign.
    KeyForeign,
    /// An entry of the journal is damaged or missing, or does not follow from the one before.
    JournalDamaged,
    /// Configuration or journal reach less far than this machine has seen before.
    RolledBack,
    /// A session's record or lease is damaged.
    SessionDamaged,
    /// A snapshot is damaged.
    SnapshotDamaged,
    /// A snapshot that a later one names is not there.
    SnapshotMissing,
    /// A damaged snapshot that an owner has set aside.
    SnapshotQuarantined,
    /// An index segment is damaged.
    SegmentDamaged,
    /// A segment says something of a pack that the pack, or another segment, does not.
    IndexWrong,
    /// The index cannot be used as a whole, so that no reference was followed.
    IndexUnusable,
    /// A pack that the index lists is not there.
    PackMissing,
    /// A pack is damaged as a whole: nothing of it can be read, or it is not what it is named by.
    PackDamaged,
    /// Blocks of a pack cannot be read; the others can.
    BlockDamaged,
    /// No segment lists a pack.
    PackUnlisted,
    /// A parity object is damaged or missing; no data is.
    ParityDamaged,
    /// A chunk that snapshots need is in no pack the index knows.
    ChunkMissing,
    /// A file of a snapshot cannot be read wholly.
    FileAffected,
    /// A directory of a snapshot cannot be read wholly.
    DirectoryAffected,
    /// More of a snapshot is affected than is named.
    MoreAffected,
    /// An object whose name none of its kind can have.
    NameUnknown,
    /// A kind of object cannot be listed.
    Unlistable,
}

impl Kind {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 23] = [
        Self::ConfigDamaged,
        Self::KeyDamaged,
        Self::KeyForeign,
        Self::JournalDamaged,
        Self::RolledBack,
        Self::SessionDamaged,
        Self::SnapshotDamaged,
        Self::SnapshotMissing,
        Self::SnapshotQuarantined,
        Self::SegmentDamaged,
        Self::IndexWrong,
        Self::IndexUnusable,
        Self::PackMissing,
        Self::PackDamaged,
        Self::BlockDamaged,
        Self::PackUnlisted,
        Self::ParityDamaged,
        Self::ChunkMissing,
        Self::FileAffected,
        Self::DirectoryAffected,
        Self::MoreAffected,
        Self::NameUnknown,
        Self::Unlistable,
    ];

    /// The kind of a damaged object.
    pub const fn damaged(object: crate::base::object::ObjectKind) -> Self {
        use crate::base::object::ObjectKind;
        match object {
            ObjectKind::Config => Self::ConfigDamaged,
            ObjectKind::Key => Self::KeyDamaged,
            ObjectKind::Pack | ObjectKind::Mended => Self::PackDamaged,
            ObjectKind::Parity => Self::ParityDamaged,
            ObjectKind::Index => Self::SegmentDamaged,
            ObjectKind::Snapshot => Self::SnapshotDamaged,
            ObjectKind::Session => Self::SessionDamaged,
            ObjectKind::Journal => Self::JournalDamaged,
        }
    }
}
