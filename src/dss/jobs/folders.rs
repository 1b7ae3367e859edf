//! Running jobs without a key, from their folders `jobs/PROJECT/JOB_ID`. Processes tell nothing: kernels of jobs are
//! started ahead and wait idle (DSS docs, operations/processes).

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::base::clock::Timestamp;
use crate::dss::jobs::Seen;
use crate::dss::running::{FoundBy, RunningJob, WorkKind};

/// A job is taken for running if a file of it changed in the last so many seconds. A job in work writes its log every
/// few seconds; longer would take jobs for running that have ended, shorter would miss one that waits for a database.
const RECENT_SECONDS: i64 = 30;
/// How deep a job folder is looked into: the log of the job, and those of its activities.
const LEVELS: usize = 3;
/// What such a look cannot see.
const BLIND: &str = "without a key of DSS only jobs that write to their folders are seen: no scenarios, no long tasks, \
                     no notebooks";

/// Looks through the job folders. Nothing is opened but directories.
pub fn look(jobs: &Path, now: Timestamp, deadline: Instant) -> Seen {
    let search = Search { now, deadline };
    let mut seen = Seen { blind: Some(BLIND), ..Seen::default() };
    if let Err(why) = search.projects(jobs, &mut seen.work) {
        seen.unknown = Some(format!("{}: {why}", jobs.display()));
    }
    seen.work.sort_by(|a, b| (&a.project, &a.id).cmp(&(&b.project, &b.id)));
    seen
}

struct Search {
    now: Timestamp,
    deadline: Instant,
}

impl Search {
    fn projects(&self, jobs: &Path, work: &mut Vec<RunningJob>) -> io::Result<()> {
        for project in self.list(jobs)? {
            for job in self.list(&project)? {
                if self.is_changing(&job, LEVELS)? {
                    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                    let (project, id) = (Some(name(&project)), name(&job));
                    work.push(RunningJob { kind: WorkKind::Job, project, id, found_by: FoundBy::JobFolder });
                }
            }
        }
        Ok(())
    }

    /// Whether anything at or below this path changed just now. Links are not followed.
    fn is_changing(&self, path: &Path, levels: usize) -> io::Result<bool> {
        let metadata = match path.symlink_metadata() {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        if self.is_recent(&metadata) {
            return Ok(true);
        }
        if levels == 0 || !metadata.is_dir() {
            return Ok(false);
        }
        for below in self.list(path)? {
            if self.is_changing(&below, levels - 1)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Files of the future say nothing: clocks were wrong, and would be so for ever.
    fn is_recent(&self, metadata: &Metadata) -> bool {
        (self.now.seconds - metadata.mtime()).abs() <= RECENT_SECONDS
    }

    /// What is in a directory; nothing if it is none, or gone.
    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        if Instant::now() >= self.deadline {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "there are too many job folders to look into"));
        }
        match fs::read_dir(folder) {
            Ok(listed) => listed.map(|entry| Ok(entry?.path())).collect(),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Ok(Vec::new())
            }
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    const NOW: u64 = 1_700_000_000;

    /// A folder of jobs in which files were changed so long before now, or after it.
    fn jobs(files: &[(&str, i64)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let set = |path: &Path, before: i64| {
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW.checked_add_signed(-before).unwrap());
            fs::File::open(path).unwrap().set_modified(time).unwrap();
        };
        for (name, before) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "").unwrap();
            set(&path, *before);
        }
        for (name, _) in files {
            let above = Path::new(name).ancestors().skip(1).filter(|above| above.components().count() > 1);
            above.for_each(|above| set(&dir.path().join(above), 100_000));
        }
        dir
    }

    fn look_at(dir: &Path, limit: Duration) -> Seen {
        look(dir, Timestamp { seconds: NOW as i64, nanos: 0 }, Instant::now() + limit)
    }

    fn running(files: &[(&str, i64)]) -> Vec<String> {
        let seen = look_at(jobs(files).path(), Duration::from_secs(60));
        assert_eq!((&seen.unknown, seen.blind.is_some()), (&None, true));
        seen.work.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_job_in_whose_folder_files_change_is_running() {
        let files = [("P/old/output.log", 31), ("P/new/output.log", 5), ("Q/deep/activity/a1/log", 30)];
        assert_eq!(running(&files), ["job new of P", "job deep of Q"]);
    }

    #[test]
    fn files_of_the_future_say_nothing() {
        assert_eq!(running(&[("P/odd/output.log", -9000)]), [""; 0]);
        assert_eq!(running(&[("P/skewed/output.log", -2)]), ["job skewed of P"]);
    }

    #[test]
    fn a_node_without_jobs_is_at_rest_and_one_with_too_many_is_not_known() {
        assert_eq!(look_at(Path::new("/no/such"), Duration::from_secs(9)).unknown, None);
        let dir = jobs(&[("P/new/output.log", 5)]);
        assert!(look_at(dir.path(), Duration::ZERO).unknown.is_some());
    }
}
