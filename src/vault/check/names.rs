//! Listing a kind of object, with names that cannot be right told apart.

use crate::base::id::{PackId, SnapshotId};
use crate::base::object::{ObjectKind, ObjectName};
use crate::storage::{ObjectEntry, Storage};
use crate::vault::check::findings::Findings;

/// Lists a kind, ordered by name. A failed listing is a finding; so is a name no object of the kind can have,
/// which is left out.
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
    if kind == ObjectKind::Journal {
        report_gaps(&entries, findings);
    }
    entries
}

/// Whether the text has the form names of its kind have.
fn fits(name: &ObjectName) -> bool {
    let text = name.text();
    match name.kind() {
        ObjectKind::Config | ObjectKind::Journal => name.number().is_some(),
        ObjectKind::Pack | ObjectKind::Index => text.parse::<PackId>().is_ok(),
        ObjectKind::Key | ObjectKind::Snapshot => text.parse::<SnapshotId>().is_ok(),
        ObjectKind::Session => text.split_once('-').is_some_and(|(session, number)| {
            session.parse::<SnapshotId>().is_ok() && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
        }),
    }
}

/// Journal numbers follow each other; one that is missing was deleted or lost.
fn report_gaps(entries: &[ObjectEntry], findings: &Findings<'_>) {
    for pair in entries.windows(2) {
        let [Some(before), Some(after)] = [&pair[0], &pair[1]].map(|entry| entry.name.number()) else { continue };
        if after > before + 1 {
            findings.damage(
                ObjectName::numbered(ObjectKind::Journal, before + 1),
                format_args!("it is missing, though {} is there", pair[1].name),
            );
        }
    }
}
