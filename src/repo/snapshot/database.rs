//! What a manifest says of a database whose dump is in the snapshot. All else that is known stands beside the dump.

use minicbor::{Decode, Encode};

use crate::base::clock::Timestamp;

/// A database on a PostgreSQL server, dumped into `postgresql/NAME/`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct DatabaseRecord {
    /// Its folder below `postgresql/`.
    #[n(0)]
    pub name: String,
    /// What it is to DSS: `govern`, `runtime` or `fleet_manager`; absent for one that was only named.
    #[n(1)]
    pub kind: Option<String>,
    /// Host and port it was reached at, for people.
    #[n(2)]
    pub server: String,
    /// Its name there.
    #[n(3)]
    pub database: String,
    /// The schema that was dumped; absent: all.
    #[n(4)]
    pub schema: Option<String>,
    /// What the names of the dumped tables begin with; absent: anything.
    #[n(5)]
    pub table_prefix: Option<String>,
    /// Version of the server.
    #[n(6)]
    pub server_version: String,
    /// Version of `pg_dump`.
    #[n(7)]
    pub client_version: String,
    /// The moment the dump shows, by the clock of the machine that dumped.
    #[n(8)]
    pub began: Timestamp,
    /// When the dump had ended.
    #[n(9)]
    pub ended: Timestamp,
    /// Position in the server's write-ahead log at that moment.
    #[n(10)]
    pub lsn: Option<String>,
    /// Bytes of the dump.
    #[n(11)]
    pub bytes: u64,
    /// Bytes of the whole database on its server.
    #[n(12)]
    pub server_bytes: u64,
    /// Tables, views and sequences in the dump.
    #[n(13)]
    pub relations: u64,
    /// Milliseconds between the first and the last moment of all databases of that server; absent if it is the only one.
    #[n(14)]
    pub spread_ms: Option<u64>,
    /// Milliseconds from the moment the files show to that of the database; absent where nothing could change between.
    #[n(15)]
    pub skew_ms: Option<i64>,
    /// What a restore must know.
    #[n(16)]
    pub caveats: Vec<String>,
}
