//! The packs the index knows against those the store has.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::base::id::PackId;
use crate::base::object::ObjectKind;
use crate::repo::index::Index;
use crate::repo::journal::State;
use crate::repo::pack::reader;
use crate::repo::secrets::Content;
use crate::repo::{RepoError, Repository};
use crate::vault::check::Kind;
use crate::vault::check::damage::Damage;
use crate::vault::check::data::{self, StoredPack};
use crate::vault::check::findings::{Findings, cause_for};
use crate::vault::check::names;
use crate::vault::check::segments::Tables;
use crate::vault::{Context, VaultError};

/// What index and store say of packs. A few dozen bytes for each pack, whatever it holds.
#[derive(Default)]
pub struct Survey {
    /// Listed in the store.
    pub stored: Vec<StoredPack>,
    /// Numbers of the index.
    pub numbers: HashMap<PackId, u32>,
    /// Numbers of packs that hold trees.
    pub trees: HashSet<u32>,
    /// Known to the index and not in the store.
    pub missing: Vec<(u32, PackId)>,
}

impl Survey {
    /// How many packs that are there hold nothing a snapshot needs.
    pub fn unused(&self, needed: &HashSet<u32>) -> u64 {
        let is_needed = |pack: &&StoredPack| self.numbers.get(&pack.id).is_some_and(|number| needed.contains(number));
        self.stored.len() as u64 - self.stored.iter().filter(is_needed).count() as u64
    }
}

/// Lists packs in the store; doomed ones, which may vanish any moment, are left out.
pub fn stored(repository: &Repository, journal: &State, findings: &Findings<'_>) -> Vec<StoredPack> {
    let sizes = |kind| -> BTreeMap<PackId, u64> {
        let listed = names::list(&*repository.storage, kind, findings);
        listed.iter().filter_map(|entry| Some((entry.name.text().parse().ok()?, entry.bytes))).collect()
    };
    let (packs, mended) = (sizes(ObjectKind::Pack), sizes(ObjectKind::Mended));
    let pack = |(id, bytes): (&PackId, &u64)| StoredPack {
        id: *id,
        bytes: *bytes,
        mended: mended.get(id).copied(),
        absent: !packs.contains_key(id),
    };
    let only_mended = mended.iter().filter(|(id, _)| !packs.contains_key(id));
    packs.iter().chain(only_mended).map(pack).filter(|pack| !journal.is_doomed(&pack.id)).collect()
}

/// Whether a readable segment lists a pack that is not in the store.
pub fn any_missing(tables: &Tables, stored: &[StoredPack], journal: &State) -> bool {
    let stored: HashSet<PackId> = stored.iter().map(|pack| pack.id).collect();
    tables.hashes.keys().any(|pack| !stored.contains(pack) && !journal.is_doomed(pack))
}

/// Compares the index with the listing; packs no segment names are adopted, so that what needs them can be read.
pub fn survey(
    repository: &Repository,
    index: &Index,
    journal: &State,
    stored: Vec<StoredPack>,
    damage: &Damage,
    findings: &Findings<'_>,
    context: Context<'_>,
) -> Result<Survey, VaultError> {
    let mut survey = Survey { stored, ..Survey::default() };
    note_known(&mut survey, index)?;
    let known = |pack: &&StoredPack| !survey.numbers.contains_key(&pack.id);
    let unlisted: Vec<PackId> = survey.stored.iter().filter(known).map(|pack| pack.id).collect();
    if !unlisted.is_empty() {
        adopt(repository, index, journal, &unlisted, findings, context)?;
        note_known(&mut survey, index)?;
    }
    let stored: HashMap<PackId, StoredPack> = survey.stored.iter().map(|pack| (pack.id, *pack)).collect();
    for entry in index.packs() {
        let (number, place) = entry?;
        match stored.get(&place.id) {
            None => {
                damage.lose_pack(number);
                survey.missing.push((number, place.id));
            }
            Some(pack) if pack.absent && pack.bytes == place.bytes => {
                let what = data::mended_says(place.id, "it is missing");
                findings.warning(Kind::PackMissing, reader::name(place.id), what);
            }
            Some(pack) if pack.bytes != place.bytes => {
                let what = format!("it is {} bytes long, not {} as the index has it", pack.bytes, place.bytes);
                match pack.mended {
                    Some(bytes) if bytes == place.bytes => {
                        let what = data::mended_says(place.id, &what);
                        findings.warning(Kind::PackDamaged, reader::name(place.id), what);
                    }
                    _ => tell(journal, place.id, Kind::PackDamaged, what, findings),
                }
            }
            Some(_) => {}
        }
    }
    Ok(survey)
}

fn note_known(survey: &mut Survey, index: &Index) -> Result<(), VaultError> {
    for entry in index.packs() {
        let (number, place) = entry?;
        survey.numbers.insert(place.id, number);
        if place.domain.content == Content::Tree {
            survey.trees.insert(number);
        }
    }
    Ok(())
}

fn adopt(
    repository: &Repository,
    index: &Index,
    journal: &State,
    unlisted: &[PackId],
    findings: &Findings<'_>,
    context: Context<'_>,
) -> Result<(), VaultError> {
    match index.adopt_unlisted_packs(repository, context.progress, context.cancel) {
        Ok(_) => {}
        Err(RepoError::Interrupted) => return Err(VaultError::Interrupted),
        Err(error) => {
            let what = format_args!("it cannot be listed: {error}");
            findings.damage(Kind::Unlistable, ObjectKind::Pack.folder(), what);
        }
    }
    let unreadable: HashMap<String, String> =
        index.problems().into_iter().map(|problem| (problem.name.to_string(), problem.cause)).collect();
    for id in unlisted {
        let name = reader::name(*id);
        match unreadable.get(&name.to_string()) {
            Some(cause) => {
                let cause = cause.strip_prefix(&format!("{name} is damaged: ")).unwrap_or(cause);
                let what = format_args!("no index segment names it, and its own table cannot be read: {cause}");
                tell(journal, *id, Kind::PackDamaged, what, findings);
            }
            None => {
                let what = "no index segment names it; it was left by an interrupted backup";
                findings.warning(Kind::PackUnlisted, &name, what);
            }
        }
    }
    Ok(())
}

/// Tells of a damaged pack. One that is marked was salvaged, or nothing needs it: what is lost with it, if anything, is
/// told of the files.
pub fn tell(journal: &State, pack: PackId, kind: Kind, cause: impl ToString, findings: &Findings<'_>) {
    let (name, cause) = (reader::name(pack), cause.to_string());
    if journal.is_marked(&pack) {
        findings.warning(kind, name, format_args!("{cause}; it is marked, and prune will remove it"));
    } else {
        findings.damage(kind, name, cause);
    }
}

/// Says of each missing pack whether a snapshot misses it. `guilty` are the packs a lost chunk was in.
pub fn report_missing(survey: &Survey, journal: &State, guilty: &HashSet<u32>, findings: &Findings<'_>) {
    for (number, id) in &survey.missing {
        let name = reader::name(*id);
        if guilty.contains(number) {
            tell(journal, *id, Kind::PackMissing, "it is missing, and snapshots need it", findings);
        } else {
            findings.warning(Kind::PackMissing, name, "it is missing, but no snapshot needs it");
        }
    }
}

/// Reports damaged blocks that reading trees met in packs that were not read wholly.
pub fn report_blocks(index: &Index, damage: &Damage, told: &HashSet<u32>, journal: &State, findings: &Findings<'_>) {
    for (number, cause) in damage.replaced() {
        if let Ok(pack) = index.pack(number)
            && !told.contains(&number)
        {
            findings.warning(Kind::BlockDamaged, reader::name(pack.id), data::mended_says(pack.id, &cause));
        }
    }
    for (number, cause) in damage.summaries() {
        if let Ok(pack) = index.pack(number)
            && !told.contains(&number)
        {
            let name = reader::name(pack.id);
            let cause = RepoError::damaged(&name, cause);
            tell(journal, pack.id, Kind::BlockDamaged, cause_for(&name, &cause), findings);
        }
    }
}
