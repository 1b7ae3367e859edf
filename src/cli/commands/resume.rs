//! `dssvault resume`, and the hidden `guard`.

use std::path::PathBuf;

use serde::Serialize;

use crate::cli::error::CliError;
use crate::cli::exit::Outcome;
use crate::cli::output::View;
use crate::cli::session::Session;
use crate::dss::backup::refuse_half_exchanged;
use crate::dss::control::guard;
use crate::dss::control::journal::{StopJournal, all_owed};
use crate::dss::control::lock::DataDirLock;
use crate::dss::control::recover::{Recovered, recover};

const EXAMPLES: &str = "\
Examples:
  dssvault resume /data/dss        after a power failure in the middle of a backup
  dssvault resume --all            every node of this machine, as at boot

A backup that stops DSS notes so before, and starts it in every case; if it is killed
a guard does. Only when the machine itself went down is this needed. A node that is owed
no start is left alone.";

const GUARD_EXAMPLES: &str = "\
Example:
  dssvault guard JOURNAL           started by `backup`, ends with it";

/// Start a DSS node that a killed backup left stopped.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The data directory
    #[arg(value_name = "DATA_DIR", required_unless_present = "all")]
    data_dir: Option<PathBuf>,
    /// Every node of this machine that is owed a start
    #[arg(long, conflicts_with = "data_dir")]
    all: bool,
}

/// Wait for the end of a backup and start the node if it is owed that.
#[derive(Debug, clap::Args)]
#[command(after_help = GUARD_EXAMPLES)]
pub struct GuardArgs {
    /// The stop journal
    journal: PathBuf,
}

#[derive(Debug, Serialize)]
struct ResumeView {
    message_type: &'static str,
    nodes: Vec<ResumedNode>,
}

#[derive(Debug, Serialize)]
struct ResumedNode {
    data_dir: String,
    #[serde(flatten)]
    recovered: Recovered,
}

impl View for ResumeView {
    fn text(&self) -> String {
        if self.nodes.is_empty() {
            return "no node is owed a start\n".to_owned();
        }
        let line = |node: &ResumedNode| match &node.recovered {
            Recovered::Nothing => format!("{}: nothing is owed\n", node.data_dir),
            Recovered::Ran => format!("{}: it runs already\n", node.data_dir),
            Recovered::Started => format!("{}: started\n", node.data_dir),
            Recovered::Rejoined => format!("{}: back in rotation\n", node.data_dir),
            Recovered::Unhealthy(why) => format!("{}: started, but it does not answer: {why}\n", node.data_dir),
        };
        self.nodes.iter().map(line).collect()
    }
}

/// Starts what is owed.
pub fn run(args: &Args, session: &Session) -> Result<Outcome, CliError> {
    let state = session.folder_roots()?.unprepared().state;
    let journals = match &args.data_dir {
        Some(path) => {
            // The directory may be gone, as after a failed restore: then the path as given is all there is.
            let root = path.canonicalize().unwrap_or_else(|_| path.clone());
            vec![StopJournal::for_dir(&state, &root)]
        }
        None => all_owed(&state)?,
    };
    let mut nodes = Vec::new();
    for journal in journals {
        let Some(owed) = journal.read()? else { continue };
        let _lock = DataDirLock::take(&state, &owed.instance.data_dir)?;
        match refuse_half_exchanged(&state, &owed.instance.data_dir) {
            Ok(()) => {}
            // The others are owed theirs all the same.
            Err(error) if args.all => {
                session.output.warn(&error.to_string());
                continue;
            }
            Err(error) => return Err(error.into()),
        }
        let recovered = recover(&journal, &session.cancel)?;
        nodes.push(ResumedNode { data_dir: owed.instance.data_dir.display().to_string(), recovered });
    }
    let unhealthy = nodes.iter().any(|node| matches!(node.recovered, Recovered::Unhealthy(_)));
    session.output.report(&ResumeView { message_type: "resumed", nodes })?;
    Ok(if unhealthy { Outcome::Unhealthy } else { Outcome::Clean })
}

/// Guards.
pub fn run_guard(args: GuardArgs) -> Result<Outcome, CliError> {
    guard::watch(&StopJournal::at(args.journal))?;
    Ok(Outcome::Clean)
}
