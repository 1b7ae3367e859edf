//! `inspect`: everything that can be told about a data directory without touching it.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::base::cancel::Cancel;
use crate::base::clock::Clock;
use crate::dss::control::instance::Instance;
use crate::dss::control::proc;
use crate::dss::datadir::DataDir;
use crate::dss::datadir::error::DatadirError;
use crate::dss::datadir::exclusion::{Exclusion, Wish, spelled_as_on_disk};
use crate::dss::datadir::facts::Facts;
use crate::dss::datadir::host::Host;
use crate::dss::datadir::inventory::{self, Inventory};
use crate::dss::jobs::{Inquiry, JobsError, Lookout, NodeWatch};
use crate::dss::running::{RunState, Running, RunningJob};
use crate::sys::pattern::PatternSet;

/// What to look at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InspectOptions {
    /// What a backup would be asked to leave out.
    pub wish: Wish,
    /// Whether to weigh every entry, which walks the whole directory.
    pub sizes: bool,
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InspectReport {
    /// What its files tell.
    pub facts: Facts,
    /// Whether DSS runs, and what says so; `None` if nobody looked.
    pub running: Option<Running>,
    /// What is at work in it; `None` if nobody asked, or it is not known.
    pub jobs: Option<Vec<RunningJob>>,
    /// Why that is not known, or may lack something.
    pub jobs_note: Option<String>,
    /// What a backup would leave out.
    pub exclusion: Exclusion,
    /// What it weighs; `None` if nobody asked.
    pub inventory: Option<Inventory>,
}

/// Looks at a data directory. Nothing in it is run, changed, or opened but small configuration files.
pub fn run(path: &Path, host: &Host, options: &InspectOptions, cancel: &Cancel) -> Result<InspectReport, DatadirError> {
    let DataDir { root, facts } = DataDir::open(path, host)?;
    let situation = facts.situation();
    let exclusion = Exclusion::new(&as_on_disk(&options.wish, &root), &situation);
    let patterns = PatternSet::new(&exclusion.every_pattern())?;
    let weigh = || inventory::measure(&root, &situation, &exclusion, &patterns, cancel);
    let inventory = options.sizes.then(weigh).transpose()?;
    // The processes of another machine cannot be seen from here.
    let running = host.is_this_machine().then(|| Running::from(&proc::look(&Instance::new(&root, &facts))));
    Ok(InspectReport { facts, running, jobs: None, jobs_note: None, exclusion, inventory })
}

impl InspectReport {
    /// Looks also for what is at work. In a node that is stopped nothing is.
    pub fn add_work(&mut self, inquiry: &Inquiry, clock: &dyn Clock, cancel: &Cancel) -> Result<(), JobsError> {
        match &self.running {
            None => {
                self.jobs_note = Some("what runs on another machine cannot be seen from here".to_owned());
                return Ok(());
            }
            Some(running) if running.state == RunState::Stopped => {
                self.jobs = Some(Vec::new());
                return Ok(());
            }
            Some(_) => {}
        }
        let instance = Instance::new(Path::new(&self.facts.path), &self.facts);
        let seen = NodeWatch::new(&instance, &self.facts.node_type, inquiry, clock, cancel).look()?;
        self.jobs_note = seen.unknown.clone().or(seen.blind.map(ToOwned::to_owned));
        // A part of it would be taken for all of it.
        self.jobs = seen.unknown.is_none().then_some(seen.work);
        Ok(())
    }
}

/// The wish with names spelled as the directory has them.
pub fn as_on_disk(wish: &Wish, root: &Path) -> Wish {
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    let names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    let patterns = wish.patterns.iter().map(|pattern| spelled_as_on_disk(pattern, &names)).collect();
    Wish { patterns, ..wish.clone() }
}
