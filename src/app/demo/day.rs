//! A day of work on the data directory: what people and DSS change between two nightly backups.

use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::app::AppError;
use crate::app::demo::generate::{self, OBJECTS, PAGE_BYTES, PROJECTS, project_key};
use crate::app::demo::maker::{Maker, failed};
use crate::base::cancel::Cancel;

/// What the day brought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Day {
    /// Files whose content changed.
    pub changed: u64,
    /// New files.
    pub created: u64,
    /// Files that went away.
    pub removed: u64,
    /// Files that are elsewhere now.
    pub moved: u64,
}

/// Changes the tree that `make_data_directory` made, the same way for the same seed.
pub fn work_for_a_day(root: &Path, seed: u64, cancel: &Cancel) -> Result<Day, AppError> {
    let mut maker = Maker::new(root, seed, cancel);
    let mut day = Day::default();
    edit_recipes(&mut maker, &mut day)?;
    update_rows(&mut maker, &mut day)?;
    append(&maker.path("run/backend.log"), generate::log_lines(&mut maker.dice, 1_500).as_bytes())?;
    append(&maker.path("run/audit/audit.log.0"), generate::log_lines(&mut maker.dice, 300).as_bytes())?;
    day.changed += 2;
    for number in 0..4 {
        let rows = generate::csv(&mut maker.dice, 3_000);
        maker.file(format!("managed_datasets/{}/dataset_0/part-00002.csv", project_key(number)), rows.as_bytes())?;
        day.created += 1;
    }
    generate::make_project(&mut maker, "PROJECT_NEW")?;
    day.created += 1 + 3 * OBJECTS + 6;
    retire_project(&maker, &mut day)?;
    maker.mode("config/license.json", 0o640)?;
    Ok(day)
}

/// One recipe in twelve gets a new line.
fn edit_recipes(maker: &mut Maker<'_>, day: &mut Day) -> Result<(), AppError> {
    for project in 0..PROJECTS - 1 {
        for path in files_in(&maker.path(format!("config/projects/{}/recipes", project_key(project))))? {
            if maker.dice.chance(8) {
                append(&path, format!("# {} on second thought\n", maker.dice.name()).as_bytes())?;
                day.changed += 1;
            }
        }
    }
    Ok(())
}

/// Rows updated in place touch pages all over a database.
fn update_rows(maker: &mut Maker<'_>, day: &mut Day) -> Result<(), AppError> {
    for name in ["jobs", "flow_state"] {
        let path = maker.path(format!("databases/{name}.mv.db"));
        let failed = || failed("write", &path);
        let mut file = OpenOptions::new().write(true).open(&path).map_err(failed())?;
        let pages = file.metadata().map_err(failed())?.len() / PAGE_BYTES as u64;
        for _ in 0..pages / 50 {
            let page = generate::page(&mut maker.dice);
            let place = SeekFrom::Start(maker.dice.below(pages) * PAGE_BYTES as u64);
            file.seek(place).and_then(|_| file.write_all(&page)).map_err(failed())?;
        }
        day.changed += 1;
    }
    Ok(())
}

/// The last project is renamed; its data goes.
fn retire_project(maker: &Maker<'_>, day: &mut Day) -> Result<(), AppError> {
    let key = project_key(PROJECTS - 1);
    let old = maker.path(format!("config/projects/{key}"));
    fs::rename(&old, maker.path("config/projects/RETIRED")).map_err(failed("rename", &old))?;
    day.moved += 1 + 3 * OBJECTS;
    let data = maker.path(format!("managed_datasets/{key}"));
    fs::remove_dir_all(&data).map_err(failed("remove", &data))?;
    day.removed += 6;
    Ok(())
}

fn append(path: &Path, bytes: &[u8]) -> Result<(), AppError> {
    let mut file = OpenOptions::new().append(true).open(path).map_err(failed("open", path))?;
    file.write_all(bytes).map_err(failed("write", path))
}

/// Files of a folder, ordered by name so that the dice fall the same way everywhere.
fn files_in(folder: &Path) -> Result<Vec<PathBuf>, AppError> {
    let entries = fs::read_dir(folder).map_err(failed("list", folder))?;
    let mut paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>();
    if let Ok(paths) = &mut paths {
        paths.sort();
    }
    paths.map_err(failed("list", folder))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::demo::{Picture, make_data_directory};

    #[test]
    fn a_day_changes_what_it_says_and_a_seed_always_does_the_same() {
        let cancel = Cancel::default();
        let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let pictures = dirs.each_ref().map(|dir| {
            make_data_directory(dir.path(), 1, &cancel).unwrap();
            let before = Picture::take(dir.path(), &cancel).unwrap();
            let day = work_for_a_day(dir.path(), 2, &cancel).unwrap();
            (before, day, Picture::take(dir.path(), &cancel).unwrap())
        });
        let (before, day, after) = &pictures[0];
        assert!((2_000..6_000).contains(&before.files), "{} files", before.files);
        assert!((20 << 20..40 << 20).contains(&before.bytes), "{} bytes", before.bytes);
        assert_eq!(before.files + day.created - day.removed, after.files);
        assert!(day.changed > 20);
        assert_eq!(before.content(), pictures[1].0.content());
        assert_eq!(after.content(), pictures[1].2.content());
        assert!(!before.differences(after).is_empty());
    }

    #[test]
    fn a_stop_is_obeyed_while_files_are_made() {
        let (dir, cancel) = (tempfile::tempdir().unwrap(), Cancel::default());
        cancel.request();
        assert!(make_data_directory(dir.path(), 1, &cancel).is_err());
    }
}
