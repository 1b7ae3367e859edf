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

/// Switches off every active scenario, and lists them. A second call adds to the list of the first. Links are not followed,
/// for they may lead to production; scenarios behind one would fire, so one that leads somewhere is an error.
pub fn scenarios_off(data_dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut off = Vec::new();
    let config = data_dir.join("config");
    let projects = if is_folder(&config)? { entries(&config.join("projects"))? } else { Vec::new() };
    for project in projects {
        let scenarios = if is_folder(&project)? { entries(&project.join("scenarios"))? } else { Vec::new() };
        for file in scenarios.iter().filter(|file| is_scenario(file)) {
            if switch_off(file)? {
                off.push(file.strip_prefix(data_dir).unwrap_or(file).to_owned());
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

fn is_scenario(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "json")
        && file.symlink_metadata().is_ok_and(|found| found.is_file())
}

/// What is in a folder, without links that lead nowhere; nothing if that is none.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    if !is_folder(folder)? {
        return Ok(found);
    }
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if !is_link(&path)? {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn is_folder(path: &Path) -> io::Result<bool> {
    match path.symlink_metadata() {
        Ok(found) => Ok(!is_link(path)? && found.is_dir()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether it is a link that leads nowhere; one that leads somewhere is an error.
fn is_link(path: &Path) -> io::Result<bool> {
    if !path.symlink_metadata()?.is_symlink() {
        return Ok(false);
    }
    match path.metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        _ => Err(io::Error::other(format!("{} is a link: scenarios behind it cannot be switched off", path.display()))),
    }
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
    fn a_link_that_leads_somewhere_is_an_error_wherever_it_lies_and_what_it_leads_to_stays() {
        use std::os::unix::fs::symlink;
        for below in ["config", "config/projects", "config/projects/S", "config/projects/S/scenarios"] {
            let folder = tempfile::tempdir().unwrap();
            let (data, production) = (folder.path().join("copy"), folder.path().join("production"));
            for dir in [&data, &production] {
                std::fs::create_dir_all(dir.join("config/projects/S/scenarios")).unwrap();
                std::fs::create_dir_all(dir.join("install-support")).unwrap();
            }
            let scenario = production.join("config/projects/S/scenarios/night.json");
            std::fs::write(&scenario, r#"{"active": true}"#).unwrap();
            std::fs::remove_dir_all(data.join(below)).unwrap();
            symlink(production.join(below), data.join(below)).unwrap();
            let error = scenarios_off(&data).unwrap_err();
            assert!(error.to_string().contains("is a link"), "{below}: {error}");
            assert_eq!(std::fs::read_to_string(&scenario).unwrap(), r#"{"active": true}"#);
            std::fs::remove_file(data.join(below)).unwrap();
            symlink("/surely/nowhere", data.join(below)).unwrap();
            assert_eq!(scenarios_off(&data).unwrap(), Vec::<PathBuf>::new(), "{below}");
        }
    }

    #[test]
    fn a_node_without_projects_has_none() {
        assert!(scenarios_off(tempfile::tempdir().unwrap().path()).unwrap().is_empty());
    }
}
