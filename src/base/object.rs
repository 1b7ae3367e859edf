//! Names of stored objects: a folder (kind) and a file name inside it.

use std::fmt;

/// The folders of a repository (`docs/format.md`, Objects).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ObjectKind {
    /// `config/<n>`: owner-signed parameters, the highest valid number wins.
    Config,
    /// `keys/<slot>`: wrapped secrets.
    Key,
    /// `packs/<hash>`: sealed blocks.
    Pack,
    /// `index/<hash>`: where each chunk lies.
    Index,
    /// `snapshots/<id>`: sealed manifests; their creation is the commit.
    Snapshot,
    /// `sessions/<id>-<n>`: running writers and their leases.
    Session,
    /// `journal/<n>`: the owner's log.
    Journal,
    /// `parity/<group>-<k>`: what mends damaged packs without a key.
    Parity,
    /// `mended/<hash>`: a pack again, where the one of that name is damaged or gone.
    Mended,
}

impl ObjectKind {
    /// Every kind, in the order a reader needs them.
    pub const ALL: [Self; 9] = [
        Self::Config,
        Self::Key,
        Self::Journal,
        Self::Session,
        Self::Snapshot,
        Self::Index,
        Self::Pack,
        Self::Mended,
        Self::Parity,
    ];

    /// The folder's name, and the word used in messages.
    pub const fn folder(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Key => "keys",
            Self::Pack => "packs",
            Self::Index => "index",
            Self::Snapshot => "snapshots",
            Self::Session => "sessions",
            Self::Journal => "journal",
            Self::Parity => "parity",
            Self::Mended => "mended",
        }
    }

    /// The byte that stands for this kind in headers and signatures.
    pub const fn code(self) -> u8 {
        match self {
            Self::Config => 1,
            Self::Key => 2,
            Self::Pack => 3,
            Self::Index => 4,
            Self::Snapshot => 5,
            Self::Session => 6,
            Self::Journal => 7,
            Self::Parity => 8,
            Self::Mended => 9,
        }
    }

    /// Whether the name is the BLAKE3 hash of the stored bytes (packs, index); all others carry a checksum.
    pub const fn is_named_by_hash(self) -> bool {
        matches!(self, Self::Pack | Self::Index | Self::Mended)
    }

    /// Whether a repository may be without the folder: one in which nothing was ever mended, or made by a program
    /// that did not know it.
    pub const fn may_be_absent(self) -> bool {
        matches!(self, Self::Parity | Self::Mended)
    }
}

/// The full name of one stored object. The text is ASCII letters, digits and `-` only, so that it is a safe
/// file name and a safe object key everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectName {
    kind: ObjectKind,
    text: String,
}

impl ObjectName {
    /// The object `text` of a kind; `None` if the text could not be the name of an object.
    pub fn new(kind: ObjectKind, text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        let safe = !text.is_empty()
            && text.len() <= 100
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        safe.then_some(Self { kind, text })
    }

    /// An object named by an id.
    pub fn of(kind: ObjectKind, id: impl fmt::Display) -> Self {
        Self { kind, text: id.to_string() }
    }

    /// A numbered object (`config`, `journal`): ten decimal digits, so that names sort as numbers.
    pub fn numbered(kind: ObjectKind, number: u64) -> Self {
        Self { kind, text: format!("{number:010}") }
    }

    /// The folder.
    pub fn kind(&self) -> ObjectKind {
        self.kind
    }

    /// The name within the folder.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The number of a numbered object.
    pub fn number(&self) -> Option<u64> {
        (self.text.len() == 10).then(|| self.text.parse().ok()).flatten()
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.folder(), self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_leave_their_folder_are_no_names() {
        for text in ["", ".", "..", "a/b", "a.tmp", "A1", "a b", "a\0", "é", "a\n", &"a".repeat(101)] {
            assert_eq!(ObjectName::new(ObjectKind::Pack, text), None, "{text:?}");
        }
        assert!(ObjectName::new(ObjectKind::Session, "a7-3").is_some());
        assert!(ObjectName::new(ObjectKind::Pack, "a".repeat(100)).is_some());
    }

    #[test]
    fn numbered_names_sort_as_numbers_and_read_back() {
        let name = |number| ObjectName::numbered(ObjectKind::Journal, number);
        assert!(name(9) < name(10) && name(999_999_999) < name(1_000_000_000));
        assert_eq!(name(42).to_string(), "journal/0000000042");
        assert_eq!(
            [0, 42, 9_999_999_999].map(|number| name(number).number()),
            [Some(0), Some(42), Some(9_999_999_999)]
        );
        for text in ["42", "00000000042", "000000004-", "-000000042"] {
            assert_eq!(ObjectName::new(ObjectKind::Journal, text).unwrap().number(), None, "{text}");
        }
    }

    #[test]
    fn folders_and_codes_are_all_different() {
        let mut folders = ObjectKind::ALL.map(ObjectKind::folder);
        let mut codes = ObjectKind::ALL.map(ObjectKind::code);
        folders.sort_unstable();
        codes.sort_unstable();
        assert!(folders.windows(2).all(|two| two[0] != two[1]));
        assert_eq!(codes, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }
}
