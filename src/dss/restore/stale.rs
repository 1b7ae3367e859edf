//! What a running node leaves in a snapshot that must not come back: process numbers, sockets, and locks of git, of which
//! one alone blocks every save of its project (DSS docs, ERR_TRANSACTION_GIT_COMMIT_FAILED).

use std::fs::FileTimes;
use std::path::{Path, PathBuf};

/// Files of the supervisor.
const SUPERVISOR: [&str; 2] = ["run/supervisord.pid", "run/svd.sock"];
/// Directories that hold git repositories.
const WITH_GIT: [&str; 3] = ["config", "plugins", "lib"];
/// Deeper than this no project has its repository.
const DEPTH_MAX: usize = 12;

/// Removes them; gives those that were there, relative to the data directory.
pub fn remove(data_dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = SUPERVISOR.iter().map(PathBuf::from).collect();
    // A link could lead anywhere.
    let is_real = |folder: &Path| data_dir.join(folder).symlink_metadata().is_ok_and(|metadata| metadata.is_dir());
    found.retain(|path| path.parent().is_some_and(is_real));
    for folder in WITH_GIT.into_iter().filter(|folder| is_real(Path::new(folder))) {
        git_locks(data_dir, Path::new(folder), 0, &mut found);
    }
    found.retain(|path| remove_quietly(&data_dir.join(path)).is_ok());
    found
}

/// Removes a file and gives its directory the time back that it had: it was not touched on the node.
fn remove_quietly(path: &Path) -> std::io::Result<()> {
    let folder = std::fs::File::open(path.parent().unwrap_or(Path::new(".")))?;
    let before = folder.metadata()?;
    std::fs::remove_file(path)?;
    let times = FileTimes::new().set_accessed(before.accessed()?).set_modified(before.modified()?);
    // The time is for looks; the lock is gone.
    let _ = folder.set_times(times);
    Ok(())
}

fn git_locks(data_dir: &Path, folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    let is_git = folder.file_name().is_some_and(|name| name == ".git");
    if is_git {
        found.push(folder.join("index.lock"));
        return;
    }
    let Ok(entries) = std::fs::read_dir(data_dir.join(folder)) else { return };
    for entry in entries.flatten() {
        // Links are not followed.
        if depth < DEPTH_MAX && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            git_locks(data_dir, &folder.join(entry.file_name()), depth + 1, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_and_process_numbers_go_and_everything_else_stays() {
        let folder = tempfile::tempdir().unwrap();
        let kept = ["config/projects/A/.git/index", "config/projects/A/index.lock", "run/install.log"];
        let gone = ["config/projects/A/.git/index.lock", "config/.git/index.lock", "run/supervisord.pid"];
        for path in kept.iter().chain(&gone) {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        let removed = remove(folder.path());
        assert_eq!(removed.len(), gone.len());
        assert!(gone.iter().all(|path| !folder.path().join(path).exists()));
        assert!(kept.iter().all(|path| folder.path().join(path).exists()));
    }
}
