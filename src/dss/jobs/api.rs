//! Asking DSS itself what is at work, through its public API (DSS docs, publicapi/rest; kit, dataikuapi).

use std::path::Path;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::dss::control::http::{self, Address, Question, segment};
use crate::dss::jobs::{AdminKey, Inquiry, Seen};
use crate::dss::running::{FoundBy, RunningJob, WorkKind};

/// States of a job that is over (kit, dataikuapi/dss/job.py).
const OVER: [&str; 3] = ["DONE", "FAILED", "ABORTED"];

/// Asks. Scenarios and tasks come last: they begin by themselves, and the answer should be as fresh as can be.
pub fn ask(key: &AdminKey, inquiry: &Inquiry, base: Option<u16>, deadline: Instant) -> Seen {
    let Some(address) = inquiry.address.clone().or_else(|| base.map(Address::backend)) else {
        return Seen::unknown("the directory does not tell its port, and no `--dss-url` was given".to_owned());
    };
    let caller = Caller { key, address, ca: inquiry.ca.as_deref(), deadline };
    let mut seen = Seen::default();
    if let Err(why) = caller.gather(&mut seen.work) {
        seen.unknown = Some(why);
    }
    seen
}

struct Caller<'c> {
    key: &'c AdminKey,
    address: Address,
    ca: Option<&'c Path>,
    deadline: Instant,
}

impl Caller<'_> {
    fn gather(&self, work: &mut Vec<RunningJob>) -> Result<(), String> {
        // First, for it is the only call that tells an administrator's key from any other: the others just hide.
        let notebooks: Vec<Notebook> = self.get("/admin/notebooks/")?.unwrap_or_default();
        work.extend(notebooks.into_iter().map(Notebook::into_work));
        let projects: Vec<Project> = self.get("/projects/")?.unwrap_or_default();
        for project in projects {
            // One that was deleted meanwhile has no jobs.
            let path = format!("/projects/{}/jobs/", segment(&project.key));
            let jobs: Vec<Job> = self.get(&path)?.unwrap_or_default();
            for job in jobs {
                work.extend(job.running_in(&project.key)?);
            }
        }
        for (kind, scenarios) in [(WorkKind::Task, false), (WorkKind::Scenario, true)] {
            let others = !scenarios;
            let path = format!("/futures/?withScenarios={scenarios}&withNotScenarios={others}&allUsers=true");
            let futures: Vec<Future> = self.get(&path)?.unwrap_or_default();
            work.extend(futures.into_iter().filter_map(|future| future.into_work(kind)));
        }
        Ok(())
    }

    /// One call; `None` if there is no such thing.
    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, String> {
        let limit = self.deadline.saturating_duration_since(Instant::now());
        if limit == Duration::ZERO {
            return Err(format!("{} answers too slowly", self.address));
        }
        let url = self.address.call(path);
        let question = Question { url: &url, bearer: Some(self.key.reveal()), ca: self.ca, limit };
        let answer = http::get(&question).map_err(|error| error.to_string())?;
        match answer.status {
            200 => serde_json::from_slice(&answer.body)
                .map(Some)
                .map_err(|why| format!("{url} gave an answer that is not understood: {why}")),
            401 => Err(format!("{} does not know the key", self.address)),
            403 => Err(format!("the key is not one of an administrator: {url} gave status 403")),
            404 if path.ends_with("/jobs/") => Ok(None),
            status => Err(format!("{url} gave status {status}")),
        }
    }
}

#[derive(Deserialize)]
struct Project {
    #[serde(rename = "projectKey")]
    key: String,
}

/// A line of the list of jobs, which is the whole history of a project. `state` may be absent.
#[derive(Deserialize)]
struct Job {
    #[serde(rename = "stableState")]
    is_stable: Option<bool>,
    state: Option<String>,
    def: Option<JobDef>,
}

#[derive(Deserialize)]
struct JobDef {
    id: Option<String>,
}

impl Job {
    fn running_in(self, project: &str) -> Result<Option<RunningJob>, String> {
        let is_over = match (self.is_stable, self.state.as_deref()) {
            (Some(is_stable), _) => is_stable,
            (None, Some(state)) => OVER.contains(&state),
            (None, None) => return Err(format!("a job of {project} tells no state")),
        };
        let id = self.def.and_then(|def| def.id).unwrap_or_else(|| "without id".to_owned());
        let project = Some(project.to_owned());
        Ok((!is_over).then_some(RunningJob { kind: WorkKind::Job, project, id, found_by: FoundBy::Api }))
    }
}

#[derive(Deserialize)]
struct Future {
    #[serde(rename = "jobId")]
    id: Option<String>,
    alive: Option<bool>,
    #[serde(rename = "jobDisplayName")]
    name: Option<String>,
}

impl Future {
    fn into_work(self, kind: WorkKind) -> Option<RunningJob> {
        if self.alive == Some(false) {
            return None;
        }
        let id = self.name.or(self.id).unwrap_or_else(|| "without id".to_owned());
        Some(RunningJob { kind, project: None, id, found_by: FoundBy::Api })
    }
}

#[derive(Deserialize)]
struct Notebook {
    #[serde(rename = "projectKey")]
    project: Option<String>,
    name: Option<String>,
}

impl Notebook {
    fn into_work(self) -> RunningJob {
        let id = self.name.unwrap_or_else(|| "without name".to_owned());
        RunningJob { kind: WorkKind::Notebook, project: self.project, id, found_by: FoundBy::Api }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running(job: &str) -> Result<bool, String> {
        let job: Job = serde_json::from_str(job).unwrap();
        Ok(job.running_in("P")?.is_some())
    }

    #[test]
    fn a_job_runs_until_it_says_that_its_state_is_stable() {
        assert_eq!(running(r#"{"stableState": false, "state": "DONE"}"#), Ok(true));
        assert_eq!(running(r#"{"stableState": true}"#), Ok(false));
        assert_eq!((running(r#"{"state": "RUNNING"}"#), running(r#"{"state": "ABORTED"}"#)), (Ok(true), Ok(false)));
        assert!(running(r#"{"def": {"id": "x"}}"#).is_err(), "nobody can tell");
    }

    #[test]
    fn every_future_counts_but_the_dead() {
        let future = |text: &str| serde_json::from_str::<Future>(text).unwrap().into_work(WorkKind::Task);
        assert_eq!(future(r#"{"jobId": "f1", "alive": true, "more": []}"#).unwrap().id, "f1");
        assert!(future("{}").is_some() && future(r#"{"alive": false}"#).is_none());
    }
}
