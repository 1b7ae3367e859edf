//! Looking again, in the middle of a long read: what a prune did meanwhile.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use crate::base::cancel::Cancel;
use crate::base::progress::Silent;
use crate::repo::error::RepoError;
use crate::repo::index::builder::{Built, Trouble};
use crate::repo::index::connect::Reading;
use crate::repo::index::view::View;
use crate::repo::index::{Index, Strictness, Verdicts, lock};

impl Index {
    /// How often the index was read once more.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Reads journal and segments once more, for a reader whose pack is gone: a prune may have put its chunks elsewhere.
    /// `seen` is the generation it looked in: another thread may have done it since. `false` if nothing has changed; pack
    /// numbers stay. A cache that cannot be brought up to
    /// date is left as it is.
    pub fn refresh(&self, seen: u64) -> Result<bool, RepoError> {
        let mut journal = lock(&self.journal);
        if self.generation() > seen {
            return Ok(true);
        }
        let before = journal.as_ref().map(|state| state.head);
        let state = match journal.take() {
            Some(state) => self.repository.journal().follow_up(state)?,
            None => self.repository.journal().load()?,
        };
        let mut verdicts = Verdicts::of(&state);
        if before == Some(state.head) {
            *journal = Some(state);
            return Ok(false);
        }
        let notice = self.verdicts().last_swept;
        let mut retired = lock(&self.retired);
        let (view, repository, cancel) = (self.view(), &self.repository, &Cancel::default());
        let (strictness, problems, believing) = (Strictness::Lenient, Vec::new(), self.believing);
        let mut reading = Reading {
            repository,
            strictness,
            verdicts: &verdicts,
            notice,
            believing,
            progress: &Silent,
            cancel,
            problems,
        };
        match reading.refresh(&view.cache, view.contents.clone(), &self.home.sorting_folder()) {
            Ok(Built { contents, retired: merged }) => {
                let renewed = View::new(Arc::clone(&view.cache), contents, &verdicts);
                self.install(renewed.map_err(|fault| self.unusable(&fault))?);
                verdicts.last_swept = notice;
                *self.verdicts.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(verdicts);
                // Only now: what failed in passing is tried again by the next who asks.
                *journal = Some(state);
                self.generation.fetch_add(1, Ordering::Release);
                retired.extend(merged);
                drop(view);
                self.remove_retired(&mut retired)?;
                Ok(true)
            }
            Err(Trouble::Repo(error)) => Err(error),
            Err(Trouble::Cache(_)) => Ok(false),
        }
    }
}
