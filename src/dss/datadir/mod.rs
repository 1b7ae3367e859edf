//! A DSS data directory, understood from its files alone: nothing in it is run, sourced or changed.
//!
//! [`DataDir::open`] gathers [`Facts`]; `classes` and `exclusion` know what its folders are for,
//! `inventory` what they weigh. Facts and their sources are told in `docs/dss.md`.

pub mod archived;
pub mod classes;
pub mod concern;
pub mod databases;
pub mod error;
pub mod exclusion;
pub mod facts;
#[cfg(feature = "testing")]
pub mod fuzz;
pub mod host;
mod ini;
pub(in crate::dss) mod install;
mod install_log;
pub mod integrations;
pub mod inventory;
pub mod links;
mod look;
pub mod markers;
pub mod node;
pub mod ours;
pub mod outside;
pub mod properties;
mod runtime;
pub mod selection;
pub mod service;
mod shell;
pub mod stored_password;
pub mod table;
pub mod version;

use std::io;
use std::path::{Path, PathBuf};

use crate::dss::datadir::error::DatadirError;
use crate::dss::datadir::facts::Facts;
use crate::dss::datadir::host::Host;
use crate::dss::datadir::install::{ENVIRONMENT, INSTALL_INI};
use crate::dss::datadir::look::Look;

/// What the installer itself takes for a data directory. Source: kit, installer.sh.
pub const VERSION_FILE: &str = "dss-version.json";

/// What else every data directory has once the installer has ended.
const PARTS: [&str; 2] = [INSTALL_INI, ENVIRONMENT];

/// A directory that is a DSS data directory, and what it tells.
#[derive(Debug, Clone)]
pub struct DataDir {
    /// The directory, with all links on the way to it resolved.
    pub root: PathBuf,
    /// What it tells.
    pub facts: Facts,
}

impl DataDir {
    /// Looks at a directory. What could not be read is a gap in the facts; only what is no whole data directory is
    /// an error.
    pub fn open(path: &Path, host: &Host) -> Result<Self, DatadirError> {
        let root = recognise(path)?;
        let facts = install::facts(path, Look::new(root.clone(), host))?;
        Ok(Self { root, facts })
    }

    /// Whether a directory looks like a data directory, without looking further.
    pub fn is_one(path: &Path) -> bool {
        path.join(VERSION_FILE).is_file() && !is_kit(path)
    }

    /// Whether a directory is to become one, but the installer did not come to its end.
    pub fn is_begun(path: &Path) -> bool {
        markers::install_unfinished(path)
    }
}

/// The real path of a whole data directory.
fn recognise(path: &Path) -> Result<PathBuf, DatadirError> {
    let unreadable = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => DatadirError::NotADirectory { path: path.to_owned() },
        _ => DatadirError::Unreadable { path: path.to_owned(), source },
    };
    let root = path.canonicalize().map_err(unreadable)?;
    if !root.is_dir() {
        return Err(DatadirError::NotADirectory { path: path.to_owned() });
    }
    let absent = |part: &str| root.join(part).try_exists().map(|there| !there);
    let marked = markers::install_unfinished(&root);
    if absent(VERSION_FILE).map_err(unreadable)? {
        return Err(if marked {
            DatadirError::HalfInstalled { path: path.to_owned(), missing: vec![VERSION_FILE], marked }
        } else {
            DatadirError::NotDataDir { path: path.to_owned(), nearby: nearby(path) }
        });
    }
    if is_kit(&root) {
        return Err(DatadirError::Kit { path: path.to_owned() });
    }
    // What cannot be told is not missing.
    let missing: Vec<&'static str> = PARTS.into_iter().filter(|part| absent(part).unwrap_or(false)).collect();
    if missing.is_empty() {
        Ok(root)
    } else {
        Err(DatadirError::HalfInstalled { path: path.to_owned(), missing, marked })
    }
}

/// The kit has a version file too, and the installer beside it.
fn is_kit(path: &Path) -> bool {
    path.join("installer.sh").is_file() && !path.join(INSTALL_INI).exists()
}

/// The only data directory right below, where somebody named its parent.
fn nearby(path: &Path) -> Option<PathBuf> {
    let children = std::fs::read_dir(path).ok()?.flatten().map(|entry| entry.path());
    let mut found = children.filter(|child| DataDir::is_one(child));
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

#[cfg(test)]
pub(in crate::dss) mod testing;
#[cfg(test)]
mod tests;
