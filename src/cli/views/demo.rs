//! The story of the demo, in 80 columns.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;

use crate::app::demo::{Day, Difference, Picture};
use crate::base::size::ByteCount;
use crate::cli::output::View;
use crate::cli::text::{self, count, counted, duration};
use crate::repo::snapshot::Counts;
use crate::vault::stats::StatsReport;

/// How many differences are shown.
const DIFFERENCES_SHOWN: usize = 10;

/// What is about to happen, and where.
#[derive(Debug, Serialize)]
pub struct Intro {
    message_type: &'static str,
    folder: PathBuf,
    source: Option<PathBuf>,
}

impl Intro {
    /// Before the first step.
    pub fn new(folder: &Path, source: Option<&Path>) -> Self {
        Self { message_type: "demo", folder: folder.to_owned(), source: source.map(Path::to_owned) }
    }
}

impl View for Intro {
    fn text(&self) -> String {
        let subject = match &self.source {
            Some(path) => format!("{} (which is only read)", text::path(path)),
            None => "a small DSS data directory".to_owned(),
        };
        format!(
            "dssvault demo with {subject}.\nEverything happens in a folder that is removed at the end:\n{}\n\n",
            text::path(&self.folder)
        )
    }
}

/// Which backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BackupStep {
    /// Into the empty repository.
    First,
    /// Of the same again.
    Unchanged,
    /// After a day of work.
    Changed,
}

/// One step of the story.
#[derive(Debug, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// The tree that is backed up.
    Tree { made: bool, files: u64, directories: u64, bytes: u64, unreadable: u64, seconds: f64 },
    /// The repository was made.
    Repository { seconds: f64 },
    /// A backup.
    Backup { which: BackupStep, counts: Counts, problems: u64, seconds: f64 },
    /// The day of work.
    Day(Day),
    /// A restore and its comparison.
    Restore { what: &'static str, files: u64, bytes: u64, compared: u64, differences: usize, seconds: f64 },
    /// Reading all that is stored.
    Check { packs: u64, bytes: u64, clean: bool, seconds: f64 },
}

impl Step {
    /// What the tree looks like.
    pub fn tree(picture: &Picture, given: bool, started: Instant) -> Self {
        Self::Tree {
            made: !given,
            files: picture.files,
            directories: picture.directories,
            bytes: picture.bytes,
            unreadable: picture.unreadable,
            seconds: started.elapsed().as_secs_f64(),
        }
    }

    fn title(&self) -> String {
        match self {
            Self::Tree { made: true, .. } => "A data directory is made, as DSS would have it".to_owned(),
            Self::Tree { .. } => "Your tree is looked at".to_owned(),
            Self::Repository { .. } => "An encrypted repository is made".to_owned(),
            Self::Backup { which: BackupStep::First, .. } => "First backup".to_owned(),
            Self::Backup { which: BackupStep::Unchanged, .. } => "The same again: nothing has changed".to_owned(),
            Self::Backup { which: BackupStep::Changed, .. } => "The backup of that evening".to_owned(),
            Self::Day(_) => "A day of work".to_owned(),
            Self::Restore { what, .. } => format!("Restore of {what} into an empty folder"),
            Self::Check { .. } => "Check of every stored byte".to_owned(),
        }
    }

    fn lines(&self) -> Vec<String> {
        match self {
            Self::Tree { made, files, directories, bytes, unreadable, seconds } => {
                let size = format!("{} in {}", ByteCount(*bytes), counted(*files, "file", "files"));
                let mut lines = vec![format!("{size}, {}", counted(*directories, "directory", "directories"))];
                if *made {
                    lines.push("projects, code environments, datasets, databases, logs; and links, a pipe,".into());
                    lines.push("a sparse file of 64 MiB, a name that is not UTF-8".into());
                } else {
                    lines.push(format!("every file read and hashed in {}", duration(*seconds)));
                }
                if *unreadable > 0 {
                    lines.push(format!("{} cannot be read by this account", counted(*unreadable, "entry", "entries")));
                }
                lines
            }
            Self::Repository { seconds } => vec![
                "AES-256-GCM; sealed to a hybrid X25519 + ML-KEM-768 key; Argon2id password".into(),
                format!("in {}", duration(*seconds)),
            ],
            Self::Backup { which, counts, problems, seconds } => backup_lines(*which, counts, *problems, *seconds),
            Self::Day(day) => vec![
                format!(
                    "{} changed: logs, recipes, rows all over two databases",
                    counted(day.changed, "file", "files")
                ),
                format!("{} new, {} moved, {} removed", count(day.created), count(day.moved), count(day.removed)),
            ],
            Self::Restore { files, bytes, compared, differences, seconds, .. } => {
                let size = format!("{} in {}", ByteCount(*bytes), counted(*files, "file", "files"));
                let verdict = match differences {
                    0 => format!("compared with the original: {} of {0} files identical", count(*compared)),
                    _ => format!("{} from the original", counted(*differences as u64, "difference", "differences")),
                };
                vec![
                    format!("{size}, in {}", duration(*seconds)),
                    verdict,
                    "(every byte, permissions, times, links and holes; as root also owners)".into(),
                ]
            }
            Self::Check { packs, bytes, clean, seconds } => {
                let verdict = if *clean { "no damage" } else { "DAMAGED" };
                let read = format!("{} in {}", ByteCount(*bytes), counted(*packs, "pack", "packs"));
                vec![format!("{read}, in {}: {verdict}", duration(*seconds))]
            }
        }
    }
}

fn backup_lines(which: BackupStep, counts: &Counts, problems: u64, seconds: f64) -> Vec<String> {
    let read = format!("{} of {} files read", count(counts.files_read), count(counts.files));
    let mut lines = vec![match which {
        BackupStep::Unchanged => format!("{read}, in {}", duration(seconds)),
        _ => {
            // Holes are walked over, not read.
            let bytes = counts.bytes_read.min(counts.bytes);
            let pace = ByteCount((bytes as f64 / seconds.max(0.001)) as u64);
            format!("{read}, {} in {} ({pace}/s)", ByteCount(bytes), duration(seconds))
        }
    }];
    let (new, stored) = (ByteCount(counts.bytes_added), ByteCount(counts.bytes_stored));
    lines.push(match which {
        BackupStep::First if counts.bytes_stored > 0 => {
            let ratio = counts.bytes as f64 / counts.bytes_stored as f64;
            format!("{new} of it unique, stored as {stored}: {ratio:.1} times smaller")
        }
        _ => format!("{new} of it new, stored as {stored}"),
    });
    if problems > 0 {
        lines.push(format!("{} could not be read, or changed meanwhile", counted(problems, "file", "files")));
    }
    lines
}

/// A step with its number.
#[derive(Debug, Serialize)]
pub struct Told {
    /// Always `step`.
    pub message_type: &'static str,
    /// From 1.
    pub number: u32,
    /// What happened.
    #[serde(flatten)]
    pub step: Step,
}

impl View for Told {
    fn text(&self) -> String {
        let mut text = format!("{:>2}  {}\n", self.number, self.step.title());
        self.step.lines().iter().for_each(|line| text.push_str(&format!("    {line}\n")));
        text
    }
}

/// How the story ends.
#[derive(Debug, Serialize)]
pub struct End {
    message_type: &'static str,
    identical: bool,
    clean: bool,
    snapshots: u64,
    logical_bytes: u64,
    stored_bytes: u64,
    ratio: f64,
    differences: Vec<Difference>,
}

impl End {
    /// The last word.
    pub fn new(stats: &StatsReport, clean: bool, differences: Vec<Difference>) -> Self {
        Self {
            message_type: "summary",
            identical: differences.is_empty(),
            clean,
            snapshots: stats.snapshots,
            logical_bytes: stats.logical_bytes,
            stored_bytes: stats.stored_bytes,
            ratio: stats.ratio(),
            differences,
        }
    }

    /// Whether everything came back and nothing is damaged.
    pub fn is_good(&self) -> bool {
        self.identical && self.clean
    }
}

impl View for End {
    fn text(&self) -> String {
        let mut text = format!(
            "\n{} hold {}; the repository takes {}: {:.1} times less.\n",
            counted(self.snapshots, "snapshot", "snapshots"),
            ByteCount(self.logical_bytes),
            ByteCount(self.stored_bytes),
            self.ratio,
        );
        for difference in self.differences.iter().take(DIFFERENCES_SHOWN) {
            text.push_str(&format!("DIFFERS  {}: {}\n", text::path(&difference.path), difference.what));
        }
        if self.differences.len() > DIFFERENCES_SHOWN {
            text.push_str(&format!("and {} more\n", self.differences.len() - DIFFERENCES_SHOWN));
        }
        text.push_str(match (self.identical, self.clean) {
            (true, true) => "Everything came back identical.\n",
            (true, false) => "Everything came back identical, but the check found damage.\n",
            (false, _) => "Not everything came back identical; a tree in use changes while it is compared.\n",
        });
        text
    }
}
