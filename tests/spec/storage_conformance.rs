//! What every store does, written once. `storage_conformance!(name, factory)` makes one test of each of these for
//! a store; the factory gives a fresh, empty store, or nothing after saying why it cannot (`support/skip.rs`).

use std::any::Any;
use std::sync::Arc;

use dssvault::storage::local::{LocalStore, Modes};
use dssvault::storage::testing::MemoryStore;
use dssvault::storage::{CreateMethod, Storage};

/// A store under test, and whatever must live longer than it.
pub struct Subject {
    pub store: Arc<dyn Storage>,
    pub _keep: Box<dyn Any>,
}

macro_rules! storage_conformance {
    ($store:ident, $factory:expr) => {
        crate::storage_conformance::storage_conformance! { $store, $factory,
            an_object_reads_back_as_it_was_written
            an_object_that_is_there_is_left_alone
            of_many_creators_of_one_name_exactly_one_wins
            an_object_appears_whole_or_not_at_all
            a_dropped_stage_leaves_nothing
            several_objects_are_written_at_once_and_from_any_thread
            a_range_is_served_exactly_or_called_truncated
            an_object_above_the_limit_is_not_read
            a_listing_names_every_object
            a_listing_misses_nothing_while_others_come_and_go
            deleting_twice_is_deleting_once
            what_is_missing_is_named
            a_large_object_is_streamed
            names_of_different_kinds_do_not_clash
            every_name_an_object_can_have_works
        }
    };
    ($store:ident, $factory:expr, $($check:ident)*) => {
        mod $store {
            $(
                #[test]
                fn $check() {
                    let test = concat!(module_path!(), "::", stringify!($check));
                    let subject: Option<crate::storage_conformance::Subject> = ($factory)(test);
                    if let Some(subject) = subject {
                        crate::conformance::$check(&*subject.store);
                    }
                }
            )*
        }
    };
}
pub(crate) use storage_conformance;

/// A local store in a directory of its own.
pub fn local(create: CreateMethod) -> Subject {
    let directory = tempfile::tempdir().unwrap();
    LocalStore::create_layout(directory.path(), Modes::default()).unwrap();
    let store = LocalStore::open(directory.path(), create).unwrap();
    Subject { store: Arc::new(store), _keep: Box::new(directory) }
}

storage_conformance!(local_by_hard_link, |_| Some(super::local(dssvault::storage::CreateMethod::HardLink)));
storage_conformance!(local_by_exclusive_create, |_| Some(super::local(dssvault::storage::CreateMethod::Exclusive)));
storage_conformance!(memory, |_| Some(super::memory()));

fn memory() -> Subject {
    Subject { store: Arc::new(MemoryStore::new()), _keep: Box::new(()) }
}
