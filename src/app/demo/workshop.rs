//! A repository in a temporary folder that goes away with it.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use zeroize::Zeroizing;

use crate::app::AppError;
use crate::app::demo::maker::failed;
use crate::app::folders::FolderRoots;
use crate::app::open::{self, Location, Opened};
use crate::base::cancel::Cancel;
use crate::base::id::{SlotId, SnapshotId};
use crate::base::progress::Progress;
use crate::base::random::{self, SystemEntropy};
use crate::repo::keys::Credential;
use crate::vault::backup::{self, BackupOptions, BackupReport, Source};
use crate::vault::browse::{self, Filter};
use crate::vault::check::{self, CheckReport, ReadData};
use crate::vault::init;
use crate::vault::restore::{self, RestoreOptions, RestoreReport};
use crate::vault::stats::{self, StatsReport};

/// The temporary folder and the repository in it.
pub struct Workshop {
    opened: Opened,
    folder: TempDir,
}

impl Workshop {
    /// A place for everything, in `$TMPDIR`. It must not lie inside what is to be backed up.
    pub fn folder(outside_of: Option<&Path>) -> Result<TempDir, AppError> {
        let temporary = std::env::temp_dir();
        let folder =
            tempfile::Builder::new().prefix("dssvault-demo-").tempdir().map_err(failed("create", &temporary))?;
        let inner = folder.path().canonicalize().map_err(failed("look at", folder.path()))?;
        match outside_of {
            Some(outer) if inner.starts_with(outer) => {
                Err(AppError::DemoInsideItself { inner, outer: outer.to_owned() })
            }
            _ => Ok(folder),
        }
    }

    /// Makes a repository in the folder, with a password nobody will know, and opens it.
    pub fn set_up(folder: TempDir) -> Result<Self, AppError> {
        let location = Location::Local(folder.path().join("repository"));
        let password = || {
            // A password of 128 random bits; the id type only lends its digits.
            let digits = SlotId::from_bytes(random::array(&SystemEntropy)).to_string();
            Credential::Password(Zeroizing::new(digits))
        };
        let password = password();
        let (store, create) = location.new_store(None)?;
        init::create(store, create, &password, false, &open::system_seams())?;
        let roots = FolderRoots { cache: folder.path().join("cache"), state: folder.path().join("state") };
        let opened = open::open(&location, &password, &roots)?;
        Ok(Self { opened, folder })
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Backs up one directory.
    pub fn back_up(&self, source: &Path, progress: &dyn Progress, cancel: &Cancel) -> Result<BackupReport, AppError> {
        let options = BackupOptions { node: Some("demo".to_owned()), ..BackupOptions::default() };
        let sources = [Source::Path(source.to_owned())];
        Ok(backup::run(&self.opened.repository, &sources, &options, self.opened.context(progress, cancel))?)
    }

    /// Restores what `source` was in a snapshot to a new directory.
    pub fn restore(
        &self,
        snapshot: SnapshotId,
        source: &Path,
        target: &Path,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<RestoreReport, AppError> {
        let listed = browse::find(&self.opened.repository, &snapshot.to_string(), &Filter::default())?;
        let path = source.as_os_str().as_bytes();
        let options = RestoreOptions {
            target: target.to_owned(),
            subpath: Some(path.strip_prefix(b"/").unwrap_or(path).to_vec()).filter(|path| !path.is_empty()),
            ..RestoreOptions::default()
        };
        let context = self.opened.context(progress, cancel);
        Ok(restore::run(&self.opened.repository, listed.id, &listed.manifest, &options, context)?)
    }

    /// Reads and verifies every stored byte.
    pub fn check(&self, progress: &dyn Progress, cancel: &Cancel) -> Result<CheckReport, AppError> {
        Ok(check::run(&self.opened.repository, ReadData::All, self.opened.context(progress, cancel))?)
    }

    /// Sizes of the repository.
    pub fn stats(&self, progress: &dyn Progress, cancel: &Cancel) -> Result<StatsReport, AppError> {
        Ok(stats::run(&self.opened.repository, self.opened.context(progress, cancel))?)
    }
}
