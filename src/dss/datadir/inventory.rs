//! What a data directory weighs: bytes and files of each entry and class, and what an exclusion leaves out of it.
//!
//! Only names and attributes are looked at (`lstat`); no file is opened and no link followed.

use std::collections::HashSet;
use std::ffi::{CStr, CString};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::base::cancel::Cancel;
use crate::dss::datadir::classes::{Class, Situation};
use crate::dss::datadir::error::DatadirError;
use crate::dss::datadir::exclusion::Exclusion;
use crate::dss::datadir::facts::Gap;
use crate::dss::datadir::table::Row;
use crate::sys::listing::{Dir, Listed, Listing, Visit, is_directory, list};
use crate::sys::meta::{FileKind, Stat};
use crate::sys::pattern::PatternSet;

/// Unreadable directories named; more are only counted.
const UNREADABLE_MAX: usize = 100;

/// Weights. A file with several names counts once, a hole not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Weight {
    /// Bytes of regular files.
    pub bytes: u64,
    /// Regular files.
    pub files: u64,
    /// Everything else: directories, links, pipes, sockets.
    pub others: u64,
    /// Bytes that are left out.
    pub left_out_bytes: u64,
    /// Regular files that are left out.
    pub left_out_files: u64,
}

/// An entry of the directory, or something below one that is treated differently (`run/audit`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryWeight {
    /// Its name; for people where it is not UTF-8.
    pub path: String,
    /// What it is for.
    pub class: Class,
    /// Whether the table knows it. What it does not know is kept.
    pub known: bool,
    /// What it weighs, without the parts listed separately.
    #[serde(flatten)]
    pub weight: Weight,
    /// What a node restored without it lacks.
    pub lost: Option<String>,
}

/// What a class weighs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassWeight {
    /// The class.
    pub class: Class,
    /// What it weighs.
    #[serde(flatten)]
    pub weight: Weight,
}

/// What a directory weighs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// All of it.
    pub total: Weight,
    /// Each class, most important first.
    pub classes: Vec<ClassWeight>,
    /// Each entry, largest first.
    pub entries: Vec<EntryWeight>,
    /// Exclusions that were asked for and fit nothing.
    pub idle: Vec<String>,
    /// Directories that could not be looked into; at most 100.
    pub unreadable: Vec<Gap>,
    /// How many there were.
    pub unreadable_count: u64,
}

/// Weighs a directory. Only that the directory itself cannot be listed is an error.
pub fn measure(
    root: &Path,
    situation: &Situation,
    exclusion: &Exclusion,
    patterns: &PatternSet,
    cancel: &Cancel,
) -> Result<Inventory, DatadirError> {
    measure_some(root, situation, exclusion, patterns, cancel, &|_| true)
}

/// Weighs what is left out, and finds exclusions that fit nothing. Entries of which nothing can be left out are not
/// walked through, so their weights and the total are not those of the directory. A pattern of the user's that is tied
/// to no place may fit anywhere: then all of it is walked through.
pub fn measure_left_out(
    root: &Path,
    situation: &Situation,
    exclusion: &Exclusion,
    patterns: &PatternSet,
    cancel: &Cancel,
) -> Result<Inventory, DatadirError> {
    let given = exclusion.patterns.get(exclusion.given_from..).unwrap_or_default();
    let given = PatternSet::new(given)?;
    let dropped: Vec<&Row> = situation.rows().filter(|row| exclusion.drops(row, situation)).collect();
    let may_lack = |name: &str| {
        let is_in = |row: &&Row| situation.row_of(name).is_some_and(|of| row.name.split('/').next() == Some(of.name));
        dropped.iter().any(is_in) || given.may_match_below(name.as_bytes())
    };
    measure_some(root, situation, exclusion, patterns, cancel, &may_lack)
}

/// Weighs the entries that are `wanted` by name.
fn measure_some(
    root: &Path,
    situation: &Situation,
    exclusion: &Exclusion,
    patterns: &PatternSet,
    cancel: &Cancel,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<Inventory, DatadirError> {
    let unreadable = |source| DatadirError::Unreadable { path: root.to_owned(), source };
    let scale = Scale {
        patterns,
        cancel,
        hits: exclusion.patterns.iter().map(|_| AtomicU64::new(0)).collect(),
        several_names: Mutex::default(),
        unreadable: Mutex::default(),
        unreadable_count: AtomicU64::new(0),
    };
    let dir = Arc::new(Dir::open(root).map_err(unreadable)?);
    let listing = scale.list(&dir, b"").map_err(unreadable)?;
    let mut places = Vec::new();
    let mut tasks = Vec::new();
    for line in &listing.entries {
        let is_wanted = wanted(&String::from_utf8_lossy(listing.name(line)));
        scale.entry((&dir, &listing, line), situation, is_wanted, &mut places, &mut tasks);
    }
    rayon::scope(|scope| {
        for task in tasks {
            let scale = &scale;
            scope.spawn(move |scope| scale.descend(scope, task));
        }
    });
    if cancel.is_requested() {
        return Err(DatadirError::Interrupted);
    }
    Ok(scale.inventory(&places, exclusion))
}

/// Where weights add up.
struct Place {
    path: String,
    class: Class,
    row: Option<&'static Row>,
    sums: [AtomicU64; 5],
}

/// A directory to be weighed.
struct Task {
    parent: Arc<Dir>,
    name: CString,
    path: Vec<u8>,
    place: Arc<Place>,
    left_out: bool,
}

struct Scale<'a> {
    patterns: &'a PatternSet,
    cancel: &'a Cancel,
    hits: Vec<AtomicU64>,
    several_names: Mutex<HashSet<(u64, u64)>>,
    unreadable: Mutex<Vec<Gap>>,
    unreadable_count: AtomicU64,
}

impl Scale<'_> {
    /// An entry of the data directory itself: it gets a place, and so do those below it that are treated differently.
    fn entry(
        &self,
        (dir, listing, line): (&Arc<Dir>, &Listing, &Listed),
        situation: &Situation,
        is_wanted: bool,
        places: &mut Vec<Arc<Place>>,
        tasks: &mut Vec<Task>,
    ) {
        let name = listing.name(line);
        let place = Place::new(&String::from_utf8_lossy(name), situation, Class::Essential);
        places.push(Arc::clone(&place));
        let left_out = self.weigh(&place, name, &line.stat, false);
        if !is_directory(&line.stat) || !(is_wanted || left_out) {
            return;
        }
        let split = place.row.is_some_and(|row| situation.has_parts(row));
        let (parent, name) = (Arc::clone(dir), listing.c_name(line).to_owned());
        let task = Task { parent, path: name.as_bytes().to_vec(), name, place, left_out };
        if !split {
            tasks.push(task);
            return;
        }
        let Some((dir, listing)) = self.open(&task) else { return };
        for line in &listing.entries {
            let path = join(&task.path, listing.name(line));
            let shown = String::from_utf8_lossy(&path);
            let place = if situation.row_of(&shown).is_some() {
                let place = Place::new(&shown, situation, task.place.class);
                places.push(Arc::clone(&place));
                place
            } else {
                Arc::clone(&task.place)
            };
            let left_out = self.weigh(&place, &path, &line.stat, task.left_out);
            if is_directory(&line.stat) {
                let name = listing.c_name(line).to_owned();
                tasks.push(Task { parent: Arc::clone(&dir), name, path, place, left_out });
            }
        }
    }

    fn descend<'s>(&'s self, scope: &rayon::Scope<'s>, task: Task) {
        if self.cancel.is_requested() {
            return;
        }
        let Some((dir, listing)) = self.open(&task) else { return };
        for line in &listing.entries {
            let path = join(&task.path, listing.name(line));
            let left_out = self.weigh(&task.place, &path, &line.stat, task.left_out);
            if is_directory(&line.stat) {
                let (parent, name) = (Arc::clone(&dir), listing.c_name(line).to_owned());
                let next = Task { parent, name, path, place: Arc::clone(&task.place), left_out };
                scope.spawn(move |scope| self.descend(scope, next));
            }
        }
    }

    fn open(&self, task: &Task) -> Option<(Arc<Dir>, Listing)> {
        let opened = task.parent.open_at(&task.name, false).map(Arc::new);
        match opened.and_then(|dir| Ok((Arc::clone(&dir), self.list(&dir, &task.path)?))) {
            Ok(opened) => Some(opened),
            Err(why) => {
                self.fail(&task.path, &why);
                None
            }
        }
    }

    fn list(&self, dir: &Dir, path: &[u8]) -> io::Result<Listing> {
        list(dir, &mut Everything { scale: self, path })
    }

    /// Adds an entry to its place; tells whether it is left out.
    fn weigh(&self, place: &Place, path: &[u8], stat: &Stat, above_left_out: bool) -> bool {
        let mut left_out = above_left_out;
        if !above_left_out && let Some(verdict) = self.patterns.verdict(path, is_directory(stat)) {
            left_out = verdict.meant;
            if let Some(hits) = self.hits.get(verdict.number) {
                hits.fetch_add(1, Ordering::Relaxed);
            }
        }
        place.add(stat, self.counts_again(stat), left_out);
        left_out
    }

    /// Whether this is another name of a file that was counted.
    fn counts_again(&self, stat: &Stat) -> bool {
        stat.kind == FileKind::File
            && stat.nlink > 1
            && !self.several_names.lock().unwrap_or_else(PoisonError::into_inner).insert((stat.device, stat.inode))
    }

    fn fail(&self, path: &[u8], why: &io::Error) {
        // What vanishes while it is looked at needs no reading.
        if why.kind() == io::ErrorKind::NotFound {
            return;
        }
        self.unreadable_count.fetch_add(1, Ordering::Relaxed);
        let mut named = self.unreadable.lock().unwrap_or_else(PoisonError::into_inner);
        if named.len() < UNREADABLE_MAX {
            named.push(Gap { path: String::from_utf8_lossy(path).into_owned(), cause: why.to_string() });
        }
    }

    fn inventory(self, places: &[Arc<Place>], exclusion: &Exclusion) -> Inventory {
        let mut entries: Vec<EntryWeight> = places.iter().map(|place| place.weight()).collect();
        entries.sort_by(|a, b| b.weight.bytes.cmp(&a.weight.bytes).then_with(|| a.path.cmp(&b.path)));
        let mut total = Weight::default();
        let mut classes: Vec<ClassWeight> =
            Class::ALL.into_iter().map(|class| ClassWeight { class, weight: Weight::default() }).collect();
        for entry in &entries {
            total.add(&entry.weight);
            if let Some(sum) = classes.iter_mut().find(|sum| sum.class == entry.class) {
                sum.weight.add(&entry.weight);
            }
        }
        let mut unreadable = self.unreadable.into_inner().unwrap_or_else(PoisonError::into_inner);
        unreadable.sort_by(|a, b| a.path.cmp(&b.path));
        let idle = idle(exclusion, &classes, &self.hits);
        let unreadable_count = self.unreadable_count.into_inner();
        Inventory { total, classes, entries, idle, unreadable, unreadable_count }
    }
}

/// Classes asked for of which there is nothing, and patterns given that decided nothing.
fn idle(exclusion: &Exclusion, classes: &[ClassWeight], hits: &[AtomicU64]) -> Vec<String> {
    let nothing = |class: &Class| {
        classes.iter().filter(|sum| sum.class == *class).all(|sum| sum.weight.files + sum.weight.others == 0)
    };
    let by_class = exclusion.asked.iter().filter(|class| nothing(class)).map(|class| format!("class {class}"));
    let given = exclusion.patterns.iter().zip(hits).skip(exclusion.given_from);
    let by_pattern = given.filter(|(_, hits)| hits.load(Ordering::Relaxed) == 0).map(|(pattern, _)| pattern.clone());
    by_class.chain(by_pattern).collect()
}

impl Place {
    fn new(path: &str, situation: &Situation, otherwise: Class) -> Arc<Self> {
        let row = situation.row_of(path);
        let class = row.map_or(otherwise, |row| situation.class_of(row));
        Arc::new(Self { path: path.to_owned(), class, row, sums: Default::default() })
    }

    fn add(&self, stat: &Stat, again: bool, left_out: bool) {
        let [bytes, files, others, left_out_bytes, left_out_files] = &self.sums;
        if stat.kind != FileKind::File {
            others.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let length = if again { 0 } else { data_bytes(stat) };
        bytes.fetch_add(length, Ordering::Relaxed);
        files.fetch_add(1, Ordering::Relaxed);
        if left_out {
            left_out_bytes.fetch_add(length, Ordering::Relaxed);
            left_out_files.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn weight(&self) -> EntryWeight {
        let [bytes, files, others, left_out_bytes, left_out_files] =
            self.sums.each_ref().map(|sum| sum.load(Ordering::Relaxed));
        EntryWeight {
            path: self.path.clone(),
            class: self.class,
            known: self.row.is_some(),
            weight: Weight { bytes, files, others, left_out_bytes, left_out_files },
            lost: self.row.map(|row| row.lost.to_owned()),
        }
    }
}

impl Weight {
    /// Both together.
    pub fn plus(mut self, other: &Self) -> Self {
        self.add(other);
        self
    }

    fn add(&mut self, other: &Self) {
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.files += other.files;
        self.others += other.others;
        self.left_out_bytes = self.left_out_bytes.saturating_add(other.left_out_bytes);
        self.left_out_files += other.left_out_files;
    }
}

/// Bytes of a file without its holes, as far as its attributes tell.
fn data_bytes(stat: &Stat) -> u64 {
    if stat.may_have_holes() { stat.blocks.saturating_mul(512) } else { stat.size }
}

fn join(above: &[u8], name: &[u8]) -> Vec<u8> {
    [above, b"/", name].concat()
}

struct Everything<'a, 's> {
    scale: &'a Scale<'s>,
    path: &'a [u8],
}

impl Visit for Everything<'_, '_> {
    fn wants(&mut self, _: &CStr, _: bool) -> bool {
        true
    }

    fn failed(&mut self, name: &CStr, error: io::Error) {
        self.scale.fail(&join(self.path, name.to_bytes()), &error);
    }
}

#[cfg(test)]
mod tests;
