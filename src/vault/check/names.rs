//! Listing a kind of object, with names that cannot be right told apart.

use crate::base::id::{PackId, SnapshotId};
use crate::base::object::{ObjectKind, ObjectName};
use crate::repo::{parity, session};
use crate::storage::{ObjectEntry, Storage};
use crate::vault::check::findings::Findings;

/// Lists a kind, ordered by name. A failed listing is a finding; so are a missing object that must be there, and a
/// name no object of the kind can have, which is left out.
pub fn list(storage: &dyn Storage, kind: ObjectKind, findings: &Findings<'_>) -> Vec<ObjectEntry> {
    let mut entries = match storage.list(kind) {
        Ok(entries) => entries,
        Err(error) => {
            findings.damage(kind.folder(), format_args!("it cannot be listed: {error}"));
            return Vec::new();
        }
    };
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    entries.retain(|entry| {
        let fits = fits(&entry.name);
        if !fits {
            findings.warning(&entry.name, "no object of its kind has such a name; nothing will ever read it");
        }
        fits
    });
    match kind {
        ObjectKind::Journal => report_gaps(&entries, findings),
        ObjectKind::Config | ObjectKind::Key if entries.is_empty() => {
            findings.damage(kind.folder(), "there is none, and without it nothing can be opened");
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
                ObjectName::numbered(ObjectKind::Journal, before + 1),
                "it is missing, although later ones exist",
            );
        }
    }
}
