//! PostgreSQL databases: dumped into a snapshot, put back from one, tried out in a throw-away cluster.
//!
//! Everything goes through PostgreSQL's own client programs: they bring every way to authenticate, TLS, and the one
//! tool that knows how a database is written down (`docs/decisions/0012-postgresql-by-its-own-tools.md`).

pub mod address;
pub mod backup;
pub mod client;
pub mod cluster;
pub mod drill;
pub mod dump;
pub mod error;
pub mod held;
pub mod password;
pub mod record;
pub mod restore;
pub mod scope;
pub mod session;
pub mod steward;
pub mod stored;
pub mod survey;
pub mod url;

/// Where dumps stand in a snapshot: `postgresql/NAME/…`.
pub const FOLDER: &str = "postgresql";
/// The dump itself, in the custom format of `pg_dump`, not compressed.
pub const DUMP: &str = "dump";
/// Roles and settings of the server.
pub const GLOBALS: &str = "globals.sql";
/// What was found out about the database.
pub const FACTS: &str = "database.json";
