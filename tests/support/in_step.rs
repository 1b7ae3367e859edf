//! Two files that are changed in step: whoever reads one moment finds them equal, or the first one ahead of the
//! second. Whoever reads one after the other while they change does not.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dssvault::fsnap::Frozen;

/// How the files are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writes {
    /// Each change is made durable before the next, as databases do.
    Durable,
    /// The kernel writes them out when it likes.
    Cached,
}

struct InStep {
    first: PathBuf,
    second: PathBuf,
}

impl InStep {
    fn below(dir: &Path) -> Self {
        Self { first: dir.join("one/first"), second: dir.join("other/second") }
    }

    fn make(dir: &Path) -> Self {
        fs::create_dir_all(dir.join("one")).unwrap();
        fs::create_dir_all(dir.join("other")).unwrap();
        let pair = Self::below(dir);
        fs::write(&pair.first, 0u64.to_le_bytes()).unwrap();
        fs::write(&pair.second, 0u64.to_le_bytes()).unwrap();
        pair
    }

    fn keep_changing(&self, writes: Writes, stop: &AtomicBool) {
        let open = |path: &Path| File::options().write(true).open(path).unwrap();
        let (first, second) = (open(&self.first), open(&self.second));
        let mut count = 0u64;
        while !stop.load(Ordering::Relaxed) {
            count += 1;
            for file in [&first, &second] {
                file.write_all_at(&count.to_le_bytes(), 0).unwrap();
                if writes == Writes::Durable {
                    file.sync_data().unwrap();
                }
            }
        }
    }

    /// Reads both as a backup does: one after the other, with other work between them.
    fn read_slowly(&self) -> (u64, u64) {
        let read = |path: &Path| u64::from_le_bytes(fs::read(path).unwrap().try_into().unwrap());
        let first = read(&self.first);
        std::thread::sleep(Duration::from_millis(40));
        (first, read(&self.second))
    }
}

fn is_one_moment((first, second): (u64, u64)) -> bool {
    first == second || first == second + 1
}

/// Freezes `dir` again and again while two files in it change. Each frozen one must be one moment and stay it; and
/// the live files, read the same way, must not be, or nothing was proven.
pub fn require_one_moment(dir: &Path, writes: Writes, rounds: usize, freeze: impl Fn() -> Frozen) {
    let live = InStep::make(dir);
    let stop = AtomicBool::new(false);
    let (mut moments, mut torn) = (Vec::new(), 0);
    std::thread::scope(|scope| {
        // Dropped also when a requirement fails, or the writer would never end.
        let _stop = StopOnDrop(&stop);
        scope.spawn(|| live.keep_changing(writes, &stop));
        for _ in 0..rounds {
            let frozen = freeze();
            let pair = InStep::below(frozen.read_path());
            let moment = pair.read_slowly();
            assert_eq!(pair.read_slowly(), moment, "a frozen file changed");
            frozen.verify().unwrap();
            frozen.finish().unwrap();
            moments.push(moment);
            torn += u32::from(!is_one_moment(live.read_slowly()));
        }
    });
    assert!(moments.iter().all(|moment| is_one_moment(*moment)), "{moments:?}");
    assert!(moments.is_sorted() && moments[0] < moments[rounds - 1], "nobody wrote: {moments:?}");
    assert!(torn > 0, "the live files were never torn: nothing is proven");
}

struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
