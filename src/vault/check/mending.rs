//! What a keyless check makes of packs that have a mended copy, that parity misses, or that it can mend.

use std::collections::BTreeMap;

use crate::base::id::PackId;
use crate::base::object::{ObjectKind, ObjectName};
use crate::repo::pack::{copies, reader};
use crate::repo::parity::object;
use crate::storage::Storage;
use crate::vault::check::data::mended_says;
use crate::vault::check::findings::Findings;
use crate::vault::check::{Kind, Mending};
use crate::vault::parity::{self, Hurt, Repair, Standing};
use crate::vault::{Context, VaultError};

/// Turns what is wrong with single objects into findings, after mending what is asked for and can be.
pub fn conclude(
    storage: &dyn Storage,
    bad: BTreeMap<ObjectName, String>,
    mending: Mending,
    findings: &Findings<'_>,
    context: Context<'_>,
) -> Result<Option<Repair>, VaultError> {
    let (hurt, others) = sort(bad);
    for (name, cause) in &others {
        findings.damage(Kind::damaged(name.kind()), name, cause);
    }
    let standing = match parity::standing(storage, context) {
        Ok(standing) => standing,
        Err(error) => {
            findings.damage(
                Kind::ParityDamaged,
                ObjectKind::Parity.folder(),
                format_args!("nothing can be said of it: {error}"),
            );
            hurt.packs.iter().for_each(|(pack, cause)| findings.damage(Kind::PackDamaged, reader::name(*pack), cause));
            return Ok(None);
        }
    };
    let repair = match mending {
        Mending::No => None,
        Mending::DryRun => Some(parity::mend(storage, &hurt, true, context)?),
        Mending::Do => Some(parity::mend(storage, &hurt, false, context)?),
    };
    let told = Told { hurt: &hurt, standing: &standing, repair: repair.as_ref(), findings };
    told.packs();
    told.copies();
    told.parity();
    Ok(repair)
}

/// Sets apart what parity has to do with.
fn sort(bad: BTreeMap<ObjectName, String>) -> (Hurt, BTreeMap<ObjectName, String>) {
    let (mut hurt, mut others) = (Hurt::default(), BTreeMap::new());
    for (name, cause) in bad {
        match (name.kind(), name.text().parse::<PackId>()) {
            (ObjectKind::Pack, Ok(pack)) => _ = hurt.packs.insert(pack, cause),
            (ObjectKind::Mended, Ok(pack)) => _ = hurt.mended.insert(pack, cause),
            (ObjectKind::Parity, _) => _ = hurt.parity.insert(name, cause),
            _ => _ = others.insert(name, cause),
        }
    }
    (hurt, others)
}

struct Told<'a> {
    hurt: &'a Hurt,
    standing: &'a Standing,
    repair: Option<&'a Repair>,
    findings: &'a Findings<'a>,
}

impl Told<'_> {
    /// Packs that are damaged or gone.
    fn packs(&self) {
        for (pack, cause) in &self.hurt.packs {
            self.pack(pack, cause);
        }
        let missing = "it is missing, although parity was made over it";
        let known = self.standing.missing.iter().filter(|pack| !self.hurt.packs.contains_key(pack));
        known.for_each(|pack| self.pack(pack, missing));
        self.standing.absent.iter().for_each(|pack| self.pack(pack, "it is missing"));
        if let Some(doubt) = self.standing.doubt.as_ref().filter(|_| !self.standing.missing.is_empty()) {
            let what = format!("it cannot be told which missing packs were deleted on purpose: {doubt}");
            self.findings.warning(Kind::JournalDamaged, ObjectKind::Journal.folder(), what);
        }
    }

    fn pack(&self, pack: &PackId, cause: &str) {
        let name = reader::name(*pack);
        let mended = self.repair.and_then(|repair| repair.mended.iter().find(|mended| mended.pack == *pack));
        let unmended = self.repair.and_then(|repair| repair.unmended.iter().find(|unmended| unmended.pack == *pack));
        let dry_run = self.repair.is_some_and(|repair| repair.dry_run);
        let kind = if self.hurt.packs.contains_key(pack) { Kind::PackDamaged } else { Kind::PackMissing };
        let has_copy = self.standing.copies.contains(pack) && !self.hurt.mended.contains_key(pack);
        match (mended, unmended) {
            (Some(_), _) if dry_run => self.findings.damage(kind, name, format_args!("{cause}; it would be mended")),
            (Some(_), _) => self.findings.warning(kind, name, mended_says(*pack, cause)),
            _ if has_copy => self.findings.warning(kind, name, mended_says(*pack, cause)),
            (_, Some(unmended)) => {
                self.findings.damage(kind, name, format_args!("{cause}; it cannot be mended: {}", unmended.cause));
            }
            _ => self.findings.damage(kind, name, cause),
        }
    }

    /// Copies that are damaged.
    fn copies(&self) {
        let mended_anew = |pack: &PackId| {
            self.repair.is_some_and(|repair| !repair.dry_run && repair.mended.iter().any(|mended| mended.pack == *pack))
        };
        for (pack, cause) in self.hurt.mended.iter().filter(|(pack, _)| !mended_anew(pack)) {
            let name = copies::mended_name(*pack);
            match self.hurt.packs.contains_key(pack) || self.standing.absent.contains(pack) {
                true => self.findings.damage(Kind::PackDamaged, name, cause),
                false => {
                    let what = format_args!("{cause}, but the pack itself is whole");
                    self.findings.warning(Kind::PackDamaged, name, what);
                }
            }
        }
    }

    /// Parity that protects less than it should.
    fn parity(&self) {
        let rebuilt = |name: &ObjectName| {
            self.repair.is_some_and(|repair| !repair.dry_run && repair.rebuilt.contains(&name.to_string()))
        };
        for (name, cause) in &self.hurt.parity {
            match rebuilt(name) {
                true => self.findings.warning(Kind::ParityDamaged, name, "it was damaged and is made again"),
                false => {
                    let what = format_args!("{cause}; the data is whole without it");
                    self.findings.damage(Kind::ParityDamaged, name, what);
                }
            }
        }
        for (group, parts) in &self.standing.incomplete {
            for name in parts.iter().map(|part| object::name(*group, *part)) {
                if !self.hurt.parity.contains_key(&name) && !rebuilt(&name) {
                    let what = "it is missing or has a wrong length: `dssvault parity add` makes its group anew";
                    self.findings.warning(Kind::ParityDamaged, name, what);
                }
            }
        }
        for (group, why) in &self.standing.unreadable {
            let what = format!(
                "nothing of the group can be used ({why}); `dssvault parity drop {}` removes it",
                group.short()
            );
            self.findings.warning(Kind::ParityDamaged, format_args!("parity/{group}"), what);
        }
    }
}
