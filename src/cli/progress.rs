//! Progress for people and programs: a bar, plain lines, or JSON lines. The only door to `indicatif`.

use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::base::progress::{Event, Phase, Progress};
use crate::base::size::ByteCount;
use crate::cli::text;

/// Between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// Between two JSON lines.
const JSON_EVERY: Duration = Duration::from_secs(1);

/// How progress is shown. Problems are shown in every style.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// A bar on stderr.
    Bar,
    /// A line on stderr now and then.
    Lines,
    /// JSON status lines on stdout, problems as JSON on stderr.
    Json,
    /// No status; problems as JSON on stderr.
    JsonErrors,
    /// No status; problems as lines on stderr.
    Silent,
}

/// Shows events as they come.
pub struct Reporter {
    style: Style,
    bar: Option<ProgressBar>,
    started: Instant,
    bytes: AtomicU64,
    files: AtomicU64,
    /// Bytes to do; `UNKNOWN` until the verb tells.
    total: AtomicU64,
    problems: AtomicU64,
    /// Milliseconds after the start before which no further line is due.
    due: AtomicU64,
    stage: Mutex<Stage>,
}

const UNKNOWN: u64 = u64::MAX;

#[derive(Clone, Copy)]
struct Stage {
    phase: Option<Phase>,
    began: Instant,
}

/// One status, as JSON shows it (`docs/json.md`).
#[derive(Debug, serde::Serialize)]
struct Status {
    message_type: &'static str,
    phase: Option<&'static str>,
    seconds_elapsed: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds_remaining: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    percent_done: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_bytes: Option<u64>,
    bytes_done: u64,
    files_done: u64,
    error_count: u64,
}

#[derive(serde::Serialize)]
struct ProblemLine<'a> {
    message_type: &'static str,
    error: Message<'a>,
    during: Option<&'static str>,
    item: String,
}

#[derive(serde::Serialize)]
struct StepLine<'a> {
    message_type: &'static str,
    does: &'a str,
}

#[derive(serde::Serialize)]
struct Message<'a> {
    message: &'a str,
}

impl Reporter {
    /// A reporter; nothing is drawn before the first event.
    pub fn new(style: Style) -> Self {
        let now = Instant::now();
        let bar = (style == Style::Bar).then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
            bar.set_style(spinner_style());
            bar
        });
        Self {
            style,
            bar,
            started: now,
            bytes: AtomicU64::new(0),
            files: AtomicU64::new(0),
            total: AtomicU64::new(UNKNOWN),
            problems: AtomicU64::new(0),
            due: AtomicU64::new(interval(style).as_millis() as u64),
            stage: Mutex::new(Stage { phase: None, began: now }),
        }
    }

    /// Removes the bar; called before the result is printed.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, phase: Phase, total: Option<u64>) {
        *self.stage() = Stage { phase: Some(phase), began: Instant::now() };
        self.bytes.store(0, Ordering::Relaxed);
        self.files.store(0, Ordering::Relaxed);
        self.total.store(total.unwrap_or(UNKNOWN), Ordering::Relaxed);
        if let Some(bar) = &self.bar {
            bar.reset();
            bar.set_prefix(word(phase));
            bar.set_message("");
            match total {
                Some(total) => {
                    bar.set_length(total);
                    bar.set_style(bar_style());
                }
                None => {
                    bar.unset_length();
                    bar.set_style(spinner_style());
                }
            }
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        if self.style == Style::Lines {
            self.print_status();
        }
    }

    fn step(&self, does: &str) {
        if let Some(bar) = &self.bar {
            bar.reset();
            bar.unset_length();
            bar.set_prefix("");
            bar.set_style(step_style());
            bar.set_message(does.to_owned());
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        // A courtesy, as every status.
        let _ = match self.style {
            Style::Lines => writeln!(io::stderr().lock(), "now: {does}"),
            Style::Json => json_line(&mut io::stdout().lock(), &StepLine { message_type: "step", does }),
            Style::Bar | Style::JsonErrors | Style::Silent => Ok(()),
        };
    }

    fn set_total(&self, total: u64) {
        self.total.store(total, Ordering::Relaxed);
        if let Some(bar) = &self.bar {
            if bar.length().is_none() {
                bar.set_style(bar_style());
            }
            bar.set_length(total);
        }
    }

    fn advance(&self, bytes: u64, files: u64) {
        let bytes_done = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let files_done = self.files.fetch_add(files, Ordering::Relaxed) + files;
        if let Some(bar) = &self.bar {
            bar.set_position(bytes_done);
            if files > 0 && files_done.is_multiple_of(16) {
                bar.set_message(format!("{files_done} files"));
            }
        } else if self.is_due() {
            self.print_status();
        }
    }

    /// Whether the next line is due. Of several threads that ask at once, one is told yes.
    fn is_due(&self) -> bool {
        if !matches!(self.style, Style::Lines | Style::Json) {
            return false;
        }
        let now = self.started.elapsed().as_millis() as u64;
        let due = self.due.load(Ordering::Relaxed);
        let next = now + interval(self.style).as_millis() as u64;
        now >= due && self.due.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    fn status(&self) -> Status {
        let stage = *self.stage();
        let bytes_done = self.bytes.load(Ordering::Relaxed);
        let total = Some(self.total.load(Ordering::Relaxed)).filter(|&total| total != UNKNOWN);
        Status {
            message_type: "status",
            phase: stage.phase.map(word),
            seconds_elapsed: self.started.elapsed().as_secs(),
            seconds_remaining: total.and_then(|total| remaining(stage.began.elapsed(), bytes_done, total)),
            percent_done: total.filter(|&total| total > 0).map(|total| (bytes_done as f64 / total as f64).min(1.0)),
            total_bytes: total,
            bytes_done,
            files_done: self.files.load(Ordering::Relaxed),
            error_count: self.problems.load(Ordering::Relaxed),
        }
    }

    fn print_status(&self) {
        let status = self.status();
        // Progress is a courtesy: a reader that went away is noticed when the result is printed.
        let _ = match self.style {
            Style::Json => json_line(&mut io::stdout().lock(), &status),
            _ => {
                let seconds = self.stage().began.elapsed().as_secs_f64();
                writeln!(io::stderr().lock(), "{}", status.line(seconds))
            }
        };
    }

    fn problem(&self, path: &Path, cause: &str) {
        self.problems.fetch_add(1, Ordering::Relaxed);
        let show = || {
            let mut out = io::stderr().lock();
            match self.style {
                Style::Json | Style::JsonErrors => {
                    let during = self.stage().phase.map(word);
                    let item = path.to_string_lossy().into_owned();
                    let error = Message { message: cause };
                    json_line(&mut out, &ProblemLine { message_type: "error", error, during, item })
                }
                _ => writeln!(out, "warning: {}: {}", text::path(path), text::printable(cause.as_bytes())),
            }
        };
        // The same problem stands in the report and decides about the exit code.
        let _ = match &self.bar {
            Some(bar) => bar.suspend(show),
            None => show(),
        };
    }
}

impl Progress for Reporter {
    fn on(&self, event: Event<'_>) {
        match event {
            Event::Phase { phase, total } => self.begin(phase, total),
            Event::Advanced { bytes, files } => self.advance(bytes, files),
            Event::Step { does } => self.step(does),
            Event::Total(total) => self.set_total(total),
            Event::Problem { path, cause } => self.problem(path, cause),
        }
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        self.finish();
    }
}

impl Status {
    fn line(&self, seconds: f64) -> String {
        let mut line = format!("{}: {}", self.phase.unwrap_or("start"), ByteCount(self.bytes_done));
        if let Some(total) = self.total_bytes {
            line.push_str(&format!(" of {}", ByteCount(total)));
        }
        if let Some(share) = self.percent_done {
            line.push_str(&format!(" ({:.0} %)", share * 100.0));
        }
        line.push_str(&format!(", {} files", self.files_done));
        if seconds >= 1.0 && self.bytes_done > 0 {
            line.push_str(&format!(", {}/s", ByteCount((self.bytes_done as f64 / seconds) as u64)));
        }
        if let Some(left) = self.seconds_remaining {
            line.push_str(&format!(", {} left", text::duration(left as f64)));
        }
        line
    }
}

fn interval(style: Style) -> Duration {
    if style == Style::Json { JSON_EVERY } else { LINE_EVERY }
}

/// Seconds left at the pace so far; `None` before there is a pace.
fn remaining(elapsed: Duration, done: u64, total: u64) -> Option<u64> {
    let left = total.saturating_sub(done);
    (done > 0 && elapsed.as_secs() > 0).then(|| (elapsed.as_secs_f64() * left as f64 / done as f64) as u64)
}

fn json_line(out: &mut dyn Write, value: &impl serde::Serialize) -> io::Result<()> {
    let line = serde_json::to_string(value).map_err(io::Error::other)?;
    writeln!(out, "{line}")
}

/// The word for a phase, in text and JSON.
fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::Index => "index",
        Phase::Backup => "backup",
        Phase::Copy => "copy",
        Phase::Commit => "commit",
        Phase::Plan => "plan",
        Phase::Restore => "restore",
        Phase::Verify => "verify",
        Phase::Structure => "structure",
        Phase::Data => "data",
        Phase::Storage => "storage",
        Phase::Repack => "repack",
        Phase::Copies => "copies",
        Phase::Parity => "parity",
        Phase::Mend => "mending",
    }
}

fn step_style() -> ProgressStyle {
    template("{spinner} {msg} {elapsed}")
}

fn bar_style() -> ProgressStyle {
    template("{prefix:>9} [{wide_bar}] {percent:>3} % {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {msg} {elapsed} eta {eta}")
        .progress_chars("=> ")
}

fn spinner_style() -> ProgressStyle {
    template("{prefix:>9} {spinner} {binary_bytes} {binary_bytes_per_sec} {msg} {elapsed}")
}

fn template(text: &str) -> ProgressStyle {
    ProgressStyle::with_template(text).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advanced(reporter: &Reporter, bytes: u64, files: u64) {
        reporter.on(Event::Advanced { bytes, files });
    }

    #[test]
    fn a_new_phase_counts_from_zero_and_knows_its_total() {
        let reporter = Reporter::new(Style::Silent);
        reporter.on(Event::Phase { phase: Phase::Index, total: None });
        advanced(&reporter, 5, 1);
        reporter.on(Event::Phase { phase: Phase::Restore, total: Some(400) });
        advanced(&reporter, 100, 2);
        let status = reporter.status();
        assert_eq!((status.phase, status.total_bytes), (Some("restore"), Some(400)));
        assert_eq!((status.bytes_done, status.files_done), (100, 2));
        assert_eq!(status.percent_done, Some(0.25));
    }

    #[test]
    fn a_growing_total_is_followed_and_an_unknown_one_left_out() {
        let reporter = Reporter::new(Style::Silent);
        reporter.on(Event::Phase { phase: Phase::Backup, total: None });
        assert!(reporter.status().total_bytes.is_none());
        reporter.on(Event::Total(10));
        advanced(&reporter, 20, 0);
        assert_eq!(reporter.status().percent_done, Some(1.0));
    }

    #[test]
    fn the_time_left_follows_the_pace() {
        assert_eq!(remaining(Duration::from_secs(10), 100, 300), Some(20));
        assert_eq!(remaining(Duration::from_secs(10), 0, 300), None);
        assert_eq!(remaining(Duration::from_secs(10), 400, 300), Some(0));
    }

    #[test]
    fn templates_are_well_formed() {
        for style in [Style::Bar, Style::Lines] {
            Reporter::new(style).on(Event::Total(1));
        }
        assert!(ProgressStyle::with_template("{prefix:>9} [{wide_bar}] {percent:>3} %").is_ok());
    }

    #[test]
    fn a_line_tells_amount_pace_and_time_left() {
        let status = Status {
            message_type: "status",
            phase: Some("backup"),
            seconds_elapsed: 9,
            seconds_remaining: Some(75),
            percent_done: Some(0.5),
            total_bytes: Some(2 << 20),
            bytes_done: 1 << 20,
            files_done: 12,
            error_count: 0,
        };
        assert_eq!(status.line(2.0), "backup: 1.00 MiB of 2.00 MiB (50 %), 12 files, 512 KiB/s, 1:15 left");
    }
}
