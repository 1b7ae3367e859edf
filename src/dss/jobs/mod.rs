//! What is at work in a node: jobs, scenarios, long tasks, notebooks. A stop kills them, so they are looked for before.
//!
//! With a key DSS is asked (`api`); without one only job folders can be looked at (`folders`). Whether to go on is
//! decided by `policy` and waited for by `wait`.

mod api;
mod error;
mod folders;
mod key;
mod policy;
mod wait;

use std::path::PathBuf;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::base::cancel::Cancel;
use crate::base::clock::Clock;
use crate::dss::control::http::Address;
use crate::dss::control::instance::Instance;
use crate::dss::datadir::node::NodeType;
use crate::dss::running::{RunningJob, WorkKind};

pub use error::JobsError;
pub use key::AdminKey;
pub use policy::{BadWord, OnWork};
pub use wait::{Lookout, begin, until_idle};

/// How long one look may take in all. The list of jobs is the whole history of each project and may be slow; a stop
/// must not hang on it.
pub const LOOK_LIMIT: Duration = Duration::from_mins(1);

/// How often a look asks whether it is still wanted.
const POLL: Duration = Duration::from_millis(50);

/// How work is looked for.
#[derive(Debug, Clone)]
pub struct Inquiry {
    /// A global key with administrator rights: anything less does not see the work of others.
    pub key: Option<AdminKey>,
    /// Where to ask; the back end on this machine if nobody says.
    pub address: Option<Address>,
    /// Who must have signed the certificate of an https address.
    pub ca: Option<PathBuf>,
    /// How long one look may take in all.
    pub limit: Duration,
}

impl Default for Inquiry {
    fn default() -> Self {
        Self { key: None, address: None, ca: None, limit: LOOK_LIMIT }
    }
}

/// What a look has seen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seen {
    /// What is at work.
    pub work: Vec<RunningJob>,
    /// What this kind of look cannot see.
    pub blind: Option<&'static str>,
    /// Why it is not known what is at work; then `work` may lack anything.
    pub unknown: Option<String>,
}

impl Seen {
    /// Work that is worth waiting for. Kernels of notebooks are not: they live for weeks.
    pub fn busy(&self) -> impl Iterator<Item = &RunningJob> {
        self.work.iter().filter(|work| work.kind != WorkKind::Notebook)
    }

    fn unknown(why: String) -> Self {
        Self { unknown: Some(why), ..Self::default() }
    }
}

/// Looks at one node, as often as asked.
pub struct NodeWatch<'w> {
    instance: &'w Instance,
    inquiry: &'w Inquiry,
    has_work: bool,
    clock: &'w dyn Clock,
    cancel: &'w Cancel,
}

impl<'w> NodeWatch<'w> {
    /// A watch over a node of this type. API nodes, Govern nodes and fleet managers run no jobs.
    pub fn new(
        instance: &'w Instance,
        node_type: &NodeType,
        inquiry: &'w Inquiry,
        clock: &'w dyn Clock,
        cancel: &'w Cancel,
    ) -> Self {
        let has_work = !matches!(node_type, NodeType::Api | NodeType::Govern | NodeType::FleetManager);
        Self { instance, inquiry, has_work, clock, cancel }
    }

    /// Begins a look beside, and gives what hears of its end.
    fn begin(&self) -> mpsc::Receiver<Seen> {
        let (told, heard) = mpsc::channel();
        let inquiry = self.inquiry.clone();
        let base = self.instance.base_port;
        let (jobs, now) = (self.instance.data_dir.join("jobs"), self.clock.now());
        std::thread::spawn(move || {
            let deadline = Instant::now() + inquiry.limit;
            let seen = match &inquiry.key {
                Some(key) => api::ask(key, &inquiry, base, deadline),
                None => folders::look(&jobs, now, deadline),
            };
            // Nobody may be listening any more.
            let _ = told.send(seen);
        });
        heard
    }
}

impl Lookout for NodeWatch<'_> {
    fn look(&mut self) -> Result<Seen, JobsError> {
        if !self.has_work {
            return Ok(Seen::default());
        }
        let since = Instant::now();
        let heard = self.begin();
        loop {
            match heard.recv_timeout(POLL) {
                Ok(seen) => return Ok(seen),
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    return Ok(Seen::unknown("the look for running work broke off".to_owned()));
                }
                Err(mpsc::RecvTimeoutError::Timeout) if self.cancel.is_requested() => {
                    return Err(JobsError::Interrupted);
                }
                Err(mpsc::RecvTimeoutError::Timeout) if since.elapsed() > self.inquiry.limit => {
                    let seconds = self.inquiry.limit.as_secs_f64();
                    return Ok(Seen::unknown(format!("there was no answer within {seconds} s")));
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {}
            }
        }
    }
}
