//! Listing a kind of object, with names that cannot be right told apart.

use crate::base::id::{PackId, SnapshotId};
use crate::base::object::{ObjectKind, ObjectName};
use crate::repo::{parity, session};
use crate::storage::{ObjectEntry, Storage};
use crate::vault::check::Kind;
use crate::vault::check::findings::Findings;

/// Lists a kind, ordered by name. A failed listing is a finding; so are a missing object that must be there, and a
/// name no object of the kind can have, which is left out.
pub fn list(storage: &dyn Storage, kind: ObjectKind, findings: &Findings<'_>) -> Vec<ObjectEntry> {
    let mut entries = match storage.list(kind) {
        Ok(entries) => entries,
        Err(error) => {
            findings.damage(Kind::Unlistable, kind.folder(), format_args!("it cannot be listed: {error}"));
            return Vec::new();
        }
    };
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    entries.retain(|entry| {
        let fits = fits(&entry.name);
        if !fits {
            if kind == ObjectKind::Journal {
                let what = "its name is not a number, and a journal with such an object is refused: take it away";
                findings.damage(Kind::NameUnknown, &entry.name, what);
            } else {
                let what = "no object of its kind has such a name; nothing will ever read it";
                findings.warning(Kind::NameUnknown, &entry.name, what);
            }
        }
        fits
    });
    match kind {
        ObjectKind::Journal => report_gaps(&entries, findings),
        ObjectKind::Config | ObjectKind::Key if entries.is_empty() => {
            let what = "there is none, and without it nothing can be opened";
            findings.damage(Kind::damaged(kind), kind.folder(), what);
        }
        _ => {}
    }
    entries
}

/// Whether the text has the form names of its kind have.
fn fits(name: &ObjectName) -> bool {
    let text = name.text();
    match name.kind() {
        ObjectKind::Config | ObjectKind::Journal => name.number().is_some_and(|number| number > 0),
        ObjectKind::Pack | ObjectKind::Index | ObjectKind::Mended => text.parse::<PackId>().is_ok(),
        ObjectKind::Parity => parity::object::parse_name(name).is_some(),
        ObjectKind::Key | ObjectKind::Snapshot => text.parse::<SnapshotId>().is_ok(),
        ObjectKind::Session => session::parse_name(name).is_some(),
    }
}

/// Journal numbers follow each other; one that is missing was deleted or lost.
fn report_gaps(entries: &[ObjectEntry], findings: &Findings<'_>) {
    for pair in entries.windows(2) {
        let [Some(before), Some(after)] = [&pair[0], &pair[1]].map(|entry| entry.name.number()) else { continue };
        if after > before + 1 {
            findings.damage(
                Kind::JournalDamaged,
                ObjectName::numbered(ObjectKind::Journal, before + 1),
                "it is missing, although later ones exist",
            );
        }
    }
}
