//! A copy that is cut at its nth call to the target, for every n, loses nothing and claims nothing; the next run goes
//! on, and everything is there and sound.

use std::sync::Arc;

use dssvault::base::id::ChunkId;
use dssvault::repo::Repository;
use dssvault::storage::Storage;
use dssvault::storage::testing::{Fault, Faulty};
use dssvault::vault::browse::{self, Filter};
use dssvault::vault::copy::CopyOptions;

use crate::copy_fixture::{Kinship, Office, shared};
use crate::machine::noise;

struct Scene {
    office: Office,
    home: Repository,
    /// The roots of the two snapshots in a copy that nothing disturbed, and from which everything comes back.
    roots: Vec<ChunkId>,
}

impl Scene {
    fn new(kinship: Kinship) -> Self {
        let mut office = Office::new(kinship);
        office.write("config/a.json", b"{\"a\": 1}\n");
        office.write("data/large.bin", &noise(1, 200_000));
        let mut plain = vec![office.machine.copy_source("plain-0")];
        office.back_up();
        office.write("config/a.json", b"{\"a\": 2}\n");
        office.write("data/new.bin", &noise(2, 100_000));
        plain.push(office.machine.copy_source("plain-1"));
        office.back_up();
        let empty = office.away.fork();
        office.copy();
        let copies = office.copies();
        for (copy, plain) in copies.iter().zip(&plain) {
            assert_eq!(office.misses(&copy.manifest, plain), Vec::<String>::new());
        }
        office.away = empty;
        let home = office.open(&office.home);
        Self { office, home, roots: copies.into_iter().map(|copy| copy.manifest.root).collect() }
    }

    /// Copies through the fault, then without. Whether the fault struck.
    fn survives(&self, fault: Fault) -> bool {
        let inner = self.office.away.fork();
        let faulty = Faulty::new(shared(&inner), fault);
        let folders = &self.office.away_folders;
        for folder in [&folders.cache, &folders.state] {
            let _ = std::fs::remove_dir_all(folder);
        }
        let target = Arc::new(faulty.clone()) as Arc<dyn Storage>;
        let all = CopyOptions::default();
        let open = self.office.machine.open(&target);
        let outcome = open.and_then(|target| self.office.copy_opened(&self.home, &target, folders, &all));
        assert!(faulty.has_struck() || outcome.is_ok(), "{fault:?}: {:?}", outcome.err());

        let away = self.office.open(&inner);
        let rerun = self.office.copy_opened(&self.home, &away, folders, &all).unwrap();

        assert_eq!(rerun.copied.len() + rerun.present.len(), 2, "{fault:?}");
        let copies = browse::list(&away, &Filter::default()).unwrap().snapshots;
        let roots: Vec<ChunkId> = copies.into_iter().map(|copy| copy.manifest.root).collect();
        assert_eq!(roots, self.roots, "{fault:?}: a snapshot was copied twice, or not at all, or otherwise");
        assert_eq!(self.office.findings_in(&away), Vec::<String>::new(), "{fault:?}");
        faulty.has_struck()
    }

    fn survives_at_every_call(&self, fault: impl Fn(usize) -> Fault) {
        let struck = (1..).take_while(|nth| self.survives(fault(*nth))).count();
        assert!(struck > 30, "a copy makes more than {struck} calls");
    }
}

#[test]
fn a_power_cut_at_any_call_loses_nothing_and_the_next_run_goes_on() {
    Scene::new(Kinship::Alike).survives_at_every_call(Fault::From);
}

#[test]
fn the_answer_to_any_call_may_be_lost() {
    Scene::new(Kinship::Strange).survives_at_every_call(Fault::LostAnswer);
}

#[test]
fn what_had_travelled_before_a_cut_is_not_stored_again() {
    let scene = Scene::new(Kinship::Alike);
    let office = &scene.office;
    let home = shared(&office.home);
    let whole = office.copy().travel().bytes_stored;
    for nth in [16, 24] {
        let inner = office.another(Kinship::Alike);
        let folders = office.machine.folders_like(&office.machine.folders, &format!("cut-{nth}"));
        let faulty = Arc::new(Faulty::new(shared(&inner), Fault::From(nth))) as Arc<dyn Storage>;
        office.copy_between(&home, &faulty, &folders, &CopyOptions::default()).unwrap_err();
        let left: usize = inner
            .contents()
            .iter()
            .filter(|(name, _)| name.to_string().starts_with("packs/"))
            .map(|(_, bytes)| bytes.len())
            .sum();
        let rerun = office.copy_between(&home, &shared(&inner), &folders, &CopyOptions::default()).unwrap();
        let stored = rerun.travel().bytes_stored;
        // Padding of packs makes the sums differ by a little.
        assert!(stored + left as u64 <= whole + whole / 8, "{nth}: {left} were there, {stored} of {whole} followed");
    }
}
