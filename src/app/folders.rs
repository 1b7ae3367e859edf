//! Where this machine keeps its cache and its state.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::app::AppError;
use crate::base::id::RepositoryId;
use crate::vault::context::Folders;

/// Content of `CACHEDIR.TAG`, which tells backup tools to leave a folder out.
const CACHE_TAG: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55\n\
# This folder is a cache of dssvault; it may be deleted at any time.\n\
# About cache tags see https://bford.info/cachedir/\n";

/// What decides about the folders: one option and the environment.
#[derive(Debug, Clone, Default)]
pub struct FolderSettings {
    /// `--cache-dir`.
    pub cache_dir: Option<PathBuf>,
    /// `$XDG_CACHE_HOME`; a relative path counts as unset.
    pub xdg_cache_home: Option<PathBuf>,
    /// `$XDG_STATE_HOME`; a relative path counts as unset.
    pub xdg_state_home: Option<PathBuf>,
    /// `$HOME`.
    pub home: Option<PathBuf>,
    /// Whether the effective user is root.
    pub is_root: bool,
}

impl FolderSettings {
    /// The settings of this process.
    pub fn from_environment(cache_dir: Option<PathBuf>) -> Self {
        let path = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        Self {
            cache_dir,
            xdg_cache_home: path("XDG_CACHE_HOME"),
            xdg_state_home: path("XDG_STATE_HOME"),
            home: path("HOME"),
            is_root: rustix::process::geteuid().is_root(),
        }
    }

    /// Chooses the roots; touches nothing.
    pub fn roots(&self) -> Result<FolderRoots, AppError> {
        let choose = |xdg: &Option<PathBuf>, system: &str, below_home: &str| match (xdg, &self.home) {
            (Some(xdg), _) => Some(xdg.join("dssvault")),
            (None, _) if self.is_root => Some(PathBuf::from(system)),
            (None, Some(home)) => Some(home.join(below_home).join("dssvault")),
            (None, None) => None,
        };
        let cache = match &self.cache_dir {
            Some(chosen) => chosen.clone(),
            None => choose(&self.xdg_cache_home, "/var/cache/dssvault", ".cache")
                .ok_or(AppError::NoHome { what: "cache", variable: "XDG_CACHE_HOME" })?,
        };
        let state = choose(&self.xdg_state_home, "/var/lib/dssvault", ".local/state")
            .ok_or(AppError::NoHome { what: "state", variable: "XDG_STATE_HOME" })?;
        Ok(FolderRoots { cache, state })
    }
}

/// The two roots on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderRoots {
    /// Holds one folder per repository.
    pub cache: PathBuf,
    /// Shared by all repositories.
    pub state: PathBuf,
}

impl FolderRoots {
    /// Makes the folders of one repository, readable by this account only, and marks the cache as one.
    pub fn prepare(&self, repository: RepositoryId) -> Result<Folders, AppError> {
        let failed = |what, path: &Path| {
            let path = path.to_owned();
            move |source| AppError::Folder { what, path, source }
        };
        let folders = Folders { cache: Folders::repository_cache(&self.cache, repository), state: self.state.clone() };
        make_private(&folders.cache).map_err(failed("cache", &folders.cache))?;
        make_private(&folders.state).map_err(failed("state", &folders.state))?;
        write_tag(&self.cache).map_err(failed("cache", &self.cache))?;
        Ok(folders)
    }

    /// Folders for a verb that opens no repository and so keeps nothing; they are not made.
    pub fn unprepared(&self) -> Folders {
        Folders { cache: self.cache.clone(), state: self.state.clone() }
    }
}

fn make_private(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn write_tag(cache: &Path) -> io::Result<()> {
    let made = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(cache.join("CACHEDIR.TAG"));
    match made {
        Ok(mut file) => file.write_all(CACHE_TAG),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn user() -> FolderSettings {
        FolderSettings { home: Some("/home/dataiku".into()), ..FolderSettings::default() }
    }

    fn roots(settings: &FolderSettings) -> (String, String) {
        let roots = settings.roots().unwrap();
        (roots.cache.display().to_string(), roots.state.display().to_string())
    }

    #[test]
    fn a_user_keeps_both_below_the_home_folder() {
        let expected = ("/home/dataiku/.cache/dssvault".into(), "/home/dataiku/.local/state/dssvault".into());
        assert_eq!(roots(&user()), expected);
    }

    #[test]
    fn root_keeps_both_below_var() {
        let root = FolderSettings { is_root: true, ..user() };
        assert_eq!(roots(&root), ("/var/cache/dssvault".into(), "/var/lib/dssvault".into()));
    }

    #[test]
    fn the_environment_goes_before_both_and_the_option_before_the_environment() {
        let mut settings = FolderSettings { is_root: true, ..user() };
        settings.xdg_cache_home = Some("/xdg/cache".into());
        settings.xdg_state_home = Some("/xdg/state".into());
        assert_eq!(roots(&settings), ("/xdg/cache/dssvault".into(), "/xdg/state/dssvault".into()));
        settings.cache_dir = Some("/fast/cache".into());
        assert_eq!(roots(&settings), ("/fast/cache".into(), "/xdg/state/dssvault".into()));
    }

    #[test]
    fn without_any_home_the_variable_that_helps_is_named() {
        let error = FolderSettings::default().roots().unwrap_err();
        assert!(error.to_string().contains("XDG_CACHE_HOME"), "{error}");
    }

    #[test]
    fn the_folders_are_private_and_the_cache_is_tagged() {
        let dir = tempfile::tempdir().unwrap();
        let roots = FolderRoots { cache: dir.path().join("c"), state: dir.path().join("s") };
        let repository = RepositoryId::from_bytes([7; 16]);
        let folders = roots.prepare(repository).unwrap();
        roots.prepare(repository).unwrap();
        for folder in [&folders.cache, &folders.state] {
            assert_eq!(fs::metadata(folder).unwrap().permissions().mode() & 0o777, 0o700);
        }
        let tag = fs::read(roots.cache.join("CACHEDIR.TAG")).unwrap();
        assert!(tag.starts_with(b"Signature: 8a477f597d28d172789f06886806bc55"));
    }
}
