//! `dssvault resume`, and the hidden `guard`.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::base::hint::Hint;
use crate::cli::error::CliError;
use crate::cli::exit::{self, Outcome};
use crate::cli::output::View;
use crate::cli::session::Session;
use crate::cli::text::printable;
use crate::dss::backup::refuse_half_exchanged;
use crate::dss::control::guard;
use crate::dss::control::journal::{Owed, StopJournal, all_owed};
use crate::dss::control::lock::DataDirLock;
use crate::dss::control::recover::{Recovered, recover};

const EXAMPLES: &str = "\
Examples:
  dssvault resume /data/dss        after a power failure in the middle of a backup
  dssvault resume --all            every node of this machine, as at boot

A backup that stops DSS notes so before, and starts it in every case; if it is killed
a guard does. Only when the machine itself went down is this needed. A node that is owed
no start is left alone. With --all every node is tried; the exit status is that of the
worst.";

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
    became: Became,
    #[serde(skip)]
    code: u8,
}

/// What became of it.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Became {
    Recovered(Recovered),
    Failed { outcome: &'static str, why: String },
}

impl ResumedNode {
    fn recovered(data_dir: &Path, recovered: Recovered) -> Self {
        let code = if matches!(recovered, Recovered::Unhealthy(_)) { exit::UNHEALTHY } else { 0 };
        Self { data_dir: data_dir.display().to_string(), became: Became::Recovered(recovered), code }
    }

    fn failed(data_dir: &Path, error: &CliError) -> Self {
        let became = Became::Failed { outcome: "failed", why: error.to_string() };
        Self { data_dir: data_dir.display().to_string(), became, code: exit::code_of(error) }
    }
}

impl View for ResumeView {
    fn text(&self) -> String {
        if self.nodes.is_empty() {
            return "no node is owed a start\n".to_owned();
        }
        let line = |node: &ResumedNode| {
            let became = match &node.became {
                Became::Recovered(Recovered::Nothing) => "nothing is owed".to_owned(),
                Became::Recovered(Recovered::Ran) => "it runs already".to_owned(),
                Became::Recovered(Recovered::Started) => "started".to_owned(),
                Became::Recovered(Recovered::Rejoined) => "back in rotation".to_owned(),
                Became::Recovered(Recovered::Unhealthy(why)) => format!("started, but it does not answer: {why}"),
                Became::Failed { why, .. } => format!("not started: {why}"),
            };
            format!("{}: {}\n", printable(node.data_dir.as_bytes()), printable(became.as_bytes()))
        };
        self.nodes.iter().map(line).collect()
    }
}

/// Starts what is owed.
pub fn run(args: &Args, session: &Session) -> Result<Outcome, CliError> {
    let state = session.folder_roots()?.unprepared().state;
    let nodes = match &args.data_dir {
        Some(path) => {
            // The directory may be gone, as after a failed restore: then the path as given is all there is.
            let root = path.canonicalize().unwrap_or_else(|_| path.clone());
            let journal = StopJournal::for_dir(&state, &root);
            let owed = journal.read()?;
            owed.map(|owed| pay(&journal, &owed, &state, session)).transpose()?.into_iter().collect()
        }
        None => all(&state, session)?,
    };
    let worst = exit::worst(nodes.iter().map(|node| node.code)).unwrap_or(0);
    session.output.report(&ResumeView { message_type: "resumed", nodes })?;
    Ok(if worst == 0 { Outcome::Clean } else { Outcome::Partly(worst) })
}

/// Starts one node.
fn pay(journal: &StopJournal, owed: &Owed, state: &Path, session: &Session) -> Result<ResumedNode, CliError> {
    let data_dir = &owed.instance.data_dir;
    refuse_half_exchanged(state, data_dir)?;
    let _lock = DataDirLock::take(state, data_dir)?;
    Ok(ResumedNode::recovered(data_dir, recover(journal, &session.cancel)?))
}

/// Starts them all, each whatever becomes of the others.
fn all(state: &Path, session: &Session) -> Result<Vec<ResumedNode>, CliError> {
    let mut journals = all_owed(state)?;
    journals.sort_by(|a, b| a.path().cmp(b.path()));
    let mut nodes = Vec::new();
    for journal in journals {
        let (data_dir, done) = match journal.read() {
            Ok(None) => continue,
            Ok(Some(owed)) => (owed.instance.data_dir.clone(), pay(&journal, &owed, state, session)),
            // Which node it is of nobody can tell.
            Err(error) => (journal.path().to_owned(), Err(error.into())),
        };
        match done {
            Ok(node) => nodes.push(node),
            Err(error) if exit::code_of(&error) == exit::INTERRUPTED => return Err(error),
            Err(error) => {
                let hint = error.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
                session.output.warn(&printable(format!("{}: {error}{hint}", data_dir.display()).as_bytes()));
                nodes.push(ResumedNode::failed(&data_dir, &error));
            }
        }
    }
    Ok(nodes)
}

/// Guards.
pub fn run_guard(args: GuardArgs) -> Result<Outcome, CliError> {
    guard::watch(&StopJournal::at(args.journal))?;
    Ok(Outcome::Clean)
}
