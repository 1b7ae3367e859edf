//! A copy whose scenarios do not fire. They would: a started copy takes itself for production (DSS docs, upgrade).

use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::dss::migrate::note;
use crate::sys::durable;
use crate::sys::small_file;

/// The scenarios that were active, one path to a line, below the data directory: to be switched on again by hand.
pub const LIST: &str = "install-support/dssvault-scenarios-off.txt";
/// Longer files are no scenarios.
const BYTES_MAX: u64 = 16 << 20;

/// Switches off every active scenario, and lists them. A second call adds to the list of the first.
pub fn scenarios_off(data_dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut off = Vec::new();
    for project in folders(&data_dir.join("config/projects"))? {
        for file in files(&project.join("scenarios"))? {
            if switch_off(&file)? {
                off.push(file.strip_prefix(data_dir).unwrap_or(&file).to_owned());
            }
        }
    }
    let list = data_dir.join(LIST);
    let known = small_file::read(&list, BYTES_MAX).unwrap_or_default();
    let mut text = String::from_utf8_lossy(&known).into_owned();
    for path in &off {
        text.push_str(&format!("{}\n", path.display()));
    }
    if !off.is_empty() {
        note::leave(data_dir, LIST, &text)?;
    }
    Ok(off)
}

/// Whether it was active. What is no scenario is left alone: DSS would not run it either.
fn switch_off(file: &Path) -> io::Result<bool> {
    let bytes = small_file::read(file, BYTES_MAX)?;
    let Ok(mut scenario) = serde_json::from_slice::<Value>(&bytes) else { return Ok(false) };
    match scenario.get_mut("active") {
        Some(active) if *active != Value::Bool(false) => *active = Value::Bool(false),
        _ => return Ok(false),
    }
    durable::replace_keeping_owner(file, &serde_json::to_vec_pretty(&scenario)?)?;
    Ok(true)
}

fn folders(folder: &Path) -> io::Result<Vec<PathBuf>> {
    entries(folder, |kind| kind.is_dir())
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let found = entries(folder, |kind| kind.is_file())?;
    Ok(found.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect())
}

/// Links are not followed: they may lead to production. A folder that is not there has none.
fn entries(folder: &Path, fits: fn(&std::fs::FileType) -> bool) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    match folder.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => return Ok(found),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(error),
    }
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if fits(&entry.file_type()?) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn active_scenarios_are_switched_off_and_listed_and_nothing_else_is_touched() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path();
        let scenarios = data.join("config/projects/SALES/scenarios");
        std::fs::create_dir(data.join("install-support")).unwrap();
        std::fs::create_dir_all(&scenarios).unwrap();
        let texts = [
            ("night.json", r#"{"z": 1, "active": true}"#),
            ("off.json", r#"{"active":   false}"#),
            ("note.txt", r#"{"active": true}"#),
            ("broken.json", "{"),
        ];
        for (name, text) in texts {
            std::fs::write(scenarios.join(name), text).unwrap();
        }
        let off = scenarios_off(data).unwrap();
        assert_eq!(off, [Path::new("config/projects/SALES/scenarios/night.json")]);
        let now: Value = serde_json::from_slice(&std::fs::read(scenarios.join("night.json")).unwrap()).unwrap();
        assert_eq!((now["active"].as_bool(), now["z"].as_i64()), (Some(false), Some(1)));
        for (name, text) in &texts[1..] {
            assert_eq!(std::fs::read_to_string(scenarios.join(name)).unwrap(), *text);
        }
        assert_eq!(scenarios_off(data).unwrap(), Vec::<PathBuf>::new());
        assert_eq!(std::fs::read_to_string(data.join(LIST)).unwrap().lines().count(), 1);
    }

    #[test]
    fn a_node_without_projects_has_none() {
        assert!(scenarios_off(tempfile::tempdir().unwrap().path()).unwrap().is_empty());
    }
}
