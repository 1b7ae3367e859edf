//! One pass over the snapshot: the walk plans windows on a thread of its own while others are carried out.

use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::AtomicU64;

use crate::repo::chunks::ChunkReader;
use crate::sys::apply::Attributes;
use crate::sys::beneath::{list, open_root, open_root_itself};
use crate::sys::limits::raise_descriptors;
use crate::sys::xattr::xattrs_of_fd;
use crate::vault::VaultError;
use crate::vault::restore::RestoreOptions;
use crate::vault::restore::descriptors::Descriptors;
use crate::vault::restore::execute::{abandon, execute};
use crate::vault::restore::filter::Filter;
use crate::vault::restore::folder::{FolderState, Hold};
use crate::vault::restore::owner::Owners;
use crate::vault::restore::record::Record;
use crate::vault::restore::shared::{Account, Pass, Shared};
use crate::vault::restore::source::Source;
use crate::vault::restore::walk::Walk;

/// What a pass is made from.
pub(super) struct Setting<'r> {
    pub reader: &'r ChunkReader<'r>,
    pub options: &'r RestoreOptions,
    pub filter: &'r Filter,
    pub owners: &'r Owners,
    pub record: &'r Record<'r>,
    pub target: &'r Target,
    pub source: &'r Source,
}

/// The directory everything is made beneath.
pub(super) struct Target {
    /// `None` in a dry run if it is not there.
    pub root: Option<OwnedFd>,
    /// Whether it was made now.
    pub made: bool,
    state: FolderState,
}

impl Target {
    /// Opens the directory, made before if that is wanted and needed.
    pub fn open(options: &RestoreOptions) -> Result<Self, VaultError> {
        let path = &options.target;
        let local = |action| move |error: io::Error| VaultError::local(action, path, error);
        let there = path.is_dir();
        if !there && options.dry_run {
            let state = FolderState { existed: false, absent: true, hands_down: false };
            return Ok(Self { root: None, made: false, state });
        }
        if !there {
            std::fs::create_dir_all(path).map_err(local("make the target directory"))?;
        }
        // What stands for another directory is that directory itself, and no link to a third.
        let open = if options.target_is_subpath { open_root_itself } else { open_root };
        let root = open(path).map_err(local("open the target directory"))?;
        let existed = there && !list(&root).map_err(local("list the target directory"))?.is_empty();
        let held = xattrs_of_fd(&root).unwrap_or_default();
        let hands_down = held.iter().any(|(name, _)| name == b"system.posix_acl_default");
        Ok(Self { root: Some(root), made: !there, state: FolderState { existed, absent: false, hands_down } })
    }
}

/// Makes the pass.
pub(super) fn run(setting: &Setting<'_>, pass: Pass) {
    let descriptors = raise_descriptors();
    let prefix = setting.options.subpath.clone().unwrap_or_default();
    let shared = Shared {
        pass,
        reader: setting.reader,
        options: setting.options,
        owners: setting.owners,
        record: setting.record,
        root: setting.target.root.as_ref(),
        prefix: prefix_of(&prefix, setting.source),
        failed: if pass == Pass::Verify { setting.record.failed_paths() } else { HashSet::new() },
        open_folders: Descriptors::new((descriptors / 4).clamp(16, 8192)),
        open_files: Descriptors::new((descriptors / 8).clamp(8, 256)),
        account: Account::current(),
        numbers: AtomicU64::new(0),
    };
    let shared = &shared;
    let (sender, receiver) = crossbeam_channel::bounded(0);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let sender = sender;
            let walk = Walk::new(shared, setting.filter, &sender);
            plan(shared, setting, walk);
        });
        for window in receiver {
            if shared.record.must_stop() {
                abandon(&window);
            } else {
                execute(shared, window);
            }
        }
    });
}

fn plan<'r>(shared: &'r Shared<'r>, setting: &'r Setting<'r>, walk: Walk<'r, '_>) {
    let mut state = setting.target.state;
    // When reading back everything is there, or should be.
    state.existed |= shared.pass == Pass::Verify;
    match setting.source {
        Source::Directory(tree, entry) => {
            let dressed = setting.target.made || setting.options.target_is_subpath;
            let own = entry.as_deref().filter(|_| dressed && shared.pass == Pass::Write);
            let attributes: Option<Attributes> = own.map(|entry| shared.attributes(entry.clone()));
            walk.directory(*tree, Hold::root(shared, attributes, state));
        }
        Source::Single(entry) => walk.single((**entry).clone(), &Hold::root(shared, None, state)),
    }
}

/// The path in the snapshot of what the target stands for.
fn prefix_of(subpath: &[u8], source: &Source) -> Vec<u8> {
    let mut names: Vec<&[u8]> = subpath.split(|&byte| byte == b'/').filter(|name| !name.is_empty()).collect();
    if matches!(source, Source::Single(_)) {
        names.pop();
    }
    names.join(&b'/')
}

/// Writes everything out, so that reading it back asks the disk.
pub(super) fn settle(target: &Target) {
    if let Some(root) = &target.root {
        // Where it is not supported reading back still proves that the bytes were right once.
        let _ = rustix::fs::syncfs(root.as_fd());
    }
}
