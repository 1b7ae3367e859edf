//! One moment of a database, held by an open transaction: what `pg_dump` then reads, whatever others write meanwhile.
//! Source: PostgreSQL docs, "Snapshot Synchronization Functions".

use serde::Deserialize;

use crate::base::clock::{Clock, Timestamp};
use crate::postgres::error::PgError;
use crate::postgres::session::Session;

/// Settings that would end a transaction that waits for a dump; older servers lack some.
const PATIENCE: &str = "SELECT set_config(name, '0', false) FROM pg_settings WHERE name IN ('statement_timeout', \
    'idle_in_transaction_session_timeout', 'idle_session_timeout', 'transaction_timeout')";

const EXPORT: &str = "SELECT jsonb_build_object('snapshot', pg_export_snapshot(), 'lsn', CASE WHEN pg_is_in_recovery() \
    THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END)";

/// An exported snapshot. It lives as long as the transaction of its session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Its name.
    pub snapshot: String,
    /// How far the server's log was written or replayed.
    pub lsn: Option<String>,
    /// When it was taken, by our clock.
    pub moment: Timestamp,
}

#[derive(Deserialize)]
struct Exported {
    snapshot: String,
    lsn: Option<String>,
}

impl Held {
    /// Opens a transaction and holds what it sees.
    pub fn take(session: &mut Session<'_>, clock: &dyn Clock) -> Result<Self, PgError> {
        session.execute(PATIENCE)?;
        session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
        let Exported { snapshot, lsn } = session.query(EXPORT)?;
        Ok(Self { snapshot, lsn, moment: clock.now() })
    }
}
