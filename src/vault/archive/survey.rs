//! Looking through an archive before it is imported: what it is of, and what it holds.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use crate::base::progress::Event;
use crate::repo::snapshot::Counts;
use crate::vault::archive::{MemberKind, name, open};
use crate::vault::{Context, VaultError};

/// A file that is kept in memory has at most so many bytes.
const KEPT_BYTES_MAX: u64 = 64 << 10;
/// So many such files, since an archive may have any number of them.
const KEPT_MAX: usize = 1024;

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Survey {
    /// Path of the first member: of what `tar` was told to pack, if that was one directory.
    pub first: Option<Vec<u8>>,
    /// Small files that were asked for, by path.
    pub kept: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What the members were, as far as it was read; the same path may have come twice.
    counts: Counts,
    /// Whether it was read, and found sound, to its end.
    complete: bool,
}

impl Survey {
    /// What the members were; `None` if it was not read to its end.
    pub fn counts(&self) -> Option<Counts> {
        self.complete.then_some(self.counts)
    }
}

/// What is looked for.
pub struct Wanted<'w> {
    /// Whether a file's content is to be kept.
    pub keep: &'w dyn Fn(&[u8]) -> bool,
    /// Whether enough was seen, asked whenever a file was kept; the archive is then not read further.
    pub is_enough: &'w dyn Fn(&Survey) -> bool,
}

/// Looks through an archive.
pub fn run(path: &Path, wanted: &Wanted<'_>, context: Context<'_>) -> Result<Survey, VaultError> {
    let mut archive = open(path, context.cancel)?;
    let mut survey = Survey::default();
    while let Some(member) = archive.next_member()? {
        if context.cancel.is_requested() {
            return Err(VaultError::Interrupted);
        }
        let Ok(path) = name::path_of(&member.name) else { continue };
        survey.first.get_or_insert_with(|| path.clone());
        let data = member.extents.as_ref().map(|runs| runs.iter().map(|run| run.length).sum());
        match member.kind {
            MemberKind::File | MemberKind::HardLink => {
                survey.counts.files += 1;
                survey.counts.bytes += data.unwrap_or(member.size);
            }
            MemberKind::Directory => survey.counts.directories += 1,
            _ => survey.counts.others += 1,
        }
        context.progress.on(Event::Advanced { bytes: member.size, files: 1 });
        let is_kept = member.kind == MemberKind::File && member.extents.is_none() && member.size <= KEPT_BYTES_MAX;
        if is_kept && survey.kept.len() < KEPT_MAX && (wanted.keep)(&path) {
            let mut content = Vec::new();
            archive.reader.read_to_end(&mut content).map_err(|error| archive.failed(error))?;
            survey.kept.insert(path, content);
            if (wanted.is_enough)(&survey) {
                return Ok(survey);
            }
        }
    }
    survey.complete = true;
    Ok(survey)
}
