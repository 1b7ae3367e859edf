//! Databases that belong to a data directory: the embedded H2 files, and PostgreSQL servers its configuration names.
//! Source: DSS docs, operations/runtime-databases and installation/custom/govern-node.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::dss::datadir::install::Basis;
use crate::dss::datadir::look::{Look, text_at};
use crate::dss::datadir::node::NodeType;
use crate::postgres::url::{DEFAULT_PORT, HostPort, JdbcUrl, PasswordKind, first_schema, is_secret};

/// Settings of design, automation and deployer nodes, below the data directory.
pub const SETTINGS: &str = "config/general-settings.json";
/// Properties of Govern nodes.
pub const PROPERTIES: &str = "config/dip.properties";
/// Settings of fleet managers.
pub const FM_SETTINGS: &str = "config/settings.json";

/// What a database is to DSS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DatabaseKind {
    /// H2 files inside the directory; a copy is only good if DSS is stopped or the volume frozen.
    Embedded,
    /// The runtime databases of a design or automation node, in PostgreSQL.
    Runtime,
    /// The database of a Govern node: nearly all of its state.
    Govern,
    /// The database of a fleet manager.
    FleetManager,
}

impl DatabaseKind {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Runtime => "runtime",
            Self::Govern => "govern",
            Self::FleetManager => "fleet_manager",
        }
    }
}

/// A database that belongs to the directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Database {
    /// What it is to DSS.
    pub kind: DatabaseKind,
    /// What describes it, below the data directory.
    pub described_in: String,
    /// Where it is, if it is not embedded.
    pub server: Option<Server>,
    /// The files, if it is embedded.
    pub files: Option<EmbeddedFiles>,
}

/// Files of embedded databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmbeddedFiles {
    /// How many.
    pub count: u64,
    /// Their size.
    pub bytes: u64,
}

/// A database on a server. The password is never part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// `PostgreSQL`, or what the configuration says.
    pub engine: String,
    /// Where it listens; more than one are tried in this order.
    pub hosts: Vec<HostPort>,
    /// Name of the database.
    pub database: Option<String>,
    /// Account DSS uses.
    pub user: Option<String>,
    /// Schema; the server's default where there is none.
    pub schema: Option<String>,
    /// What table names begin with. Other installations may share the schema and differ by this alone.
    pub table_prefix: Option<String>,
    /// How the password is stored.
    pub password: PasswordKind,
    /// Other connection parameters, secret ones left out.
    pub parameters: Vec<(String, String)>,
}

/// The databases of a directory.
pub fn find(look: &Look<'_>, basis: &Basis) -> Vec<Database> {
    let mut found = Vec::new();
    found.extend(embedded(look));
    let far = match &basis.node {
        NodeType::Govern => govern(look),
        NodeType::FleetManager => fleet_manager(look),
        _ => runtime(look, &basis.settings),
    };
    found.extend(far);
    found
}

/// H2 files. They are there even where an external database is used.
fn embedded(look: &Look<'_>) -> Option<Database> {
    let mut files = EmbeddedFiles { count: 0, bytes: 0 };
    let mut folders = vec!["databases".to_owned(), "timelines".to_owned()];
    let below = look.list("timelines").into_iter().filter(|(_, kind)| kind.is_dir());
    folders.extend(below.map(|(name, _)| format!("timelines/{name}")));
    for folder in folders {
        for (name, kind) in look.list(&folder) {
            if kind.is_file() && (name.ends_with(".mv.db") || name.ends_with(".h2.db")) {
                files.count += 1;
                let meta = look.at(&format!("{folder}/{name}")).symlink_metadata();
                files.bytes += meta.map_or(0, |meta| meta.len());
            }
        }
    }
    (files.count > 0).then(|| Database {
        kind: DatabaseKind::Embedded,
        described_in: "databases".to_owned(),
        server: None,
        files: Some(files),
    })
}

/// `internalDatabase`: with host and port, or with a JDBC address. Without `connection` H2 is used.
fn runtime(look: &Look<'_>, settings: &Value) -> Option<Database> {
    let internal = settings.get("internalDatabase")?;
    let connection = internal.get("connection").filter(|connection| !connection.is_null())?;
    let params = connection.get("params").unwrap_or(&Value::Null);
    let url = text_at(params, &["url"]);
    let by_url = params.get("useURL").and_then(Value::as_bool).unwrap_or(url.is_some() && params.get("host").is_none());
    let mut server = if by_url {
        match url.and_then(JdbcUrl::parse) {
            Some(url) => Server::of_url(url),
            None => {
                look.gap(SETTINGS, "internalDatabase: its address is no PostgreSQL address");
                Server::unknown()
            }
        }
    } else {
        Server {
            hosts: hosts(params).into_iter().collect(),
            database: text_at(params, &["db"]).map(str::to_owned),
            ..Server::unknown()
        }
    };
    if let Some(engine) = text_at(connection, &["type"]) {
        server.engine = engine.to_owned();
    }
    server.parameters.extend(properties(params));
    server.take_currentschema();
    server.user = text_at(params, &["user"]).map(str::to_owned).or(server.user);
    server.password = PasswordKind::of(params.get("password").and_then(Value::as_str)).or(server.password);
    server.schema = text_at(internal, &["schema"]).map(str::to_owned).or(server.schema);
    server.table_prefix = text_at(internal, &["tableNamePrefix"]).map(str::to_owned);
    if server.hosts.is_empty() && !by_url {
        look.gap(SETTINGS, "internalDatabase: it names no host");
    }
    Some(Database::on_server(DatabaseKind::Runtime, SETTINGS, server))
}

fn hosts(params: &Value) -> Option<HostPort> {
    let host = text_at(params, &["host"])?.to_owned();
    let port = params.get("port").and_then(|port| match port {
        Value::String(text) => text.trim().parse().ok(),
        other => u16::try_from(other.as_u64()?).ok(),
    });
    Some(HostPort { host, port: port.filter(|port| *port != 0).unwrap_or(DEFAULT_PORT) })
}

/// Driver properties; the names of their two keys are not documented.
fn properties(params: &Value) -> Vec<(String, String)> {
    let listed = params.get("properties").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let pair = |item: &Value| {
        let name = text_at(item, &["name"]).or(text_at(item, &["key"]))?;
        let value = text_at(item, &["value"]).unwrap_or_default();
        (!is_secret(name)).then(|| (name.to_owned(), value.to_owned()))
    };
    listed.iter().take(100).filter_map(pair).collect()
}

fn govern(look: &Look<'_>) -> Option<Database> {
    let properties = look.properties(PROPERTIES)?;
    let url = properties.get("psql.jdbc.url");
    let mut server = match url.map(|url| JdbcUrl::parse(url)) {
        Some(Some(url)) => Server::of_url(url),
        Some(None) => {
            look.gap(PROPERTIES, "psql.jdbc.url is no PostgreSQL address");
            Server::unknown()
        }
        None => {
            look.gap(PROPERTIES, "it names no psql.jdbc.url");
            return None;
        }
    };
    server.user = properties.get("psql.jdbc.user").filter(|user| !user.is_empty()).cloned().or(server.user);
    let stored = properties.get("psql.jdbc.password").map(String::as_str);
    server.password = PasswordKind::of(stored).or(server.password);
    Some(Database::on_server(DatabaseKind::Govern, PROPERTIES, server))
}

/// User and password stand inside the address. Source: DSS docs, cloudstacks manual installation.
fn fleet_manager(look: &Look<'_>) -> Option<Database> {
    let settings = look.json(FM_SETTINGS)?;
    let url = text_at(&settings, &["databaseSettings", "dbURL"]);
    let server = url.and_then(JdbcUrl::parse).map(Server::of_url);
    if server.is_none() {
        look.gap(FM_SETTINGS, "databaseSettings.dbURL is no PostgreSQL address");
    }
    Some(Database::on_server(DatabaseKind::FleetManager, FM_SETTINGS, server.unwrap_or_else(Server::unknown)))
}

impl Database {
    fn on_server(kind: DatabaseKind, described_in: &str, server: Server) -> Self {
        Self { kind, described_in: described_in.to_owned(), server: Some(server), files: None }
    }
}

impl Server {
    fn unknown() -> Self {
        Self {
            engine: "PostgreSQL".to_owned(),
            hosts: Vec::new(),
            database: None,
            user: None,
            schema: None,
            table_prefix: None,
            password: PasswordKind::None,
            parameters: Vec::new(),
        }
    }

    fn of_url(url: JdbcUrl) -> Self {
        let JdbcUrl { hosts, database, user, schema, password, parameters, names_host: _ } = url;
        Self {
            hosts,
            database: database.or_else(|| user.clone()),
            user,
            schema,
            password,
            parameters,
            ..Self::unknown()
        }
    }

    /// A schema given as a driver property.
    fn take_currentschema(&mut self) {
        let named = self.parameters.iter().find(|(name, _)| name == "currentSchema");
        self.schema = self.schema.take().or(named.and_then(|(_, list)| first_schema(list)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dss::datadir::testing::Sample;

    fn server(sample: &Sample) -> Server {
        let facts = sample.facts();
        assert!(!format!("{facts:?}{}", serde_json::to_string(&facts).unwrap()).contains("hunter2"), "a secret leaked");
        facts.databases.into_iter().find_map(|database| database.server).unwrap()
    }

    fn host(host: &str, port: u16) -> [HostPort; 1] {
        [HostPort { host: host.into(), port }]
    }

    #[test]
    fn without_a_connection_only_the_embedded_files_count() {
        let sample = Sample::design();
        sample.write("databases/jobs.mv.db", "12345");
        sample.write("databases/jobs.trace.db", "error");
        sample.write("timelines/PROJ/timeline.mv.db", "123");
        sample.settings(r#""internalDatabase": {"maxPooledExternalConnections": 50}"#);
        let databases = sample.facts().databases;
        assert_eq!(databases.len(), 1);
        assert_eq!(databases[0].files, Some(EmbeddedFiles { count: 2, bytes: 8 }));
    }

    #[test]
    fn the_runtime_database_is_told_with_schema_and_prefix_and_without_its_password() {
        let sample = Sample::design();
        sample.settings(
            r#""internalDatabase": {"connection": {"type": "PostgreSQL", "params":
            {"host": "db1", "port": 6432, "db": "dssrt", "user": "dss", "password": "hunter2",
             "properties": [{"name": "ssl", "value": "true"}, {"name": "sslpassword", "value": "hunter2"}]}},
            "tableNamePrefix": "prod_", "schema": "dss_runtime"}"#,
        );
        let server = server(&sample);
        assert_eq!(server.hosts, host("db1", 6432));
        assert_eq!((server.database.as_deref(), server.user.as_deref()), (Some("dssrt"), Some("dss")));
        assert_eq!((server.schema.as_deref(), server.table_prefix.as_deref()), (Some("dss_runtime"), Some("prod_")));
        assert_eq!(server.password, PasswordKind::Clear);
        assert_eq!(server.parameters, [("ssl".to_owned(), "true".to_owned())]);
    }

    #[test]
    fn a_jdbc_address_may_stand_in_place_of_host_and_port() {
        let sample = Sample::design();
        sample.settings(r#""internalDatabase": {"connection": {"type": "PostgreSQL", "params": {"useURL": true,
            "url": "jdbc:postgresql://db2/rt?user=u&password=hunter2&currentSchema=s&ssl=true", "password": "e:AES:abc"}}}"#);
        let server = server(&sample);
        assert_eq!((server.hosts.as_slice(), server.user.as_deref()), (&host("db2", 5432)[..], Some("u")));
        assert_eq!((server.schema.as_deref(), server.table_prefix), (Some("s"), None));
        assert_eq!(server.password, PasswordKind::Encrypted);
    }

    #[test]
    fn an_address_of_something_else_is_a_gap_that_does_not_repeat_it() {
        let sample = Sample::design();
        sample.settings(r#""internalDatabase": {"connection": {"type": "Oracle", "params": {"useURL": true, "url": "jdbc:oracle:hunter2@x"}}}"#);
        assert_eq!(server(&sample).engine, "Oracle");
        assert_eq!(sample.facts().gaps.len(), 1);
    }

    #[test]
    fn govern_keeps_its_database_in_java_properties() {
        let sample = Sample::of_type("gh");
        sample.write(PROPERTIES, "psql.jdbc.url=jdbc:postgresql://db3:5433/gov?currentSchema=govern\npsql.jdbc.user=gov\npsql.jdbc.password=hunter2\n");
        let server = server(&sample);
        assert_eq!(server.hosts, host("db3", 5433));
        assert_eq!((server.schema.as_deref(), server.password), (Some("govern"), PasswordKind::Clear));
    }

    #[test]
    fn a_fleet_manager_has_user_and_password_in_the_address() {
        let sample = Sample::of_type("fm");
        sample.write(FM_SETTINGS, r#"{"databaseSettings": {"dbURL": "postgresql://fm:hunter2@db4:5432/fmdb"}}"#);
        let server = server(&sample);
        assert_eq!((server.database.as_deref(), server.user.as_deref()), (Some("fmdb"), Some("fm")));
        assert_eq!(server.password, PasswordKind::Clear);
    }

    #[test]
    fn values_of_the_wrong_type_are_gaps_not_failures() {
        let sample = Sample::design();
        for block in [
            "7",
            "{\"connection\": 7}",
            "{\"connection\": {\"params\": []}}",
            "{\"connection\": {\"params\": {\"host\": 5, \"port\": 1e99, \"password\": [\"hunter2\"]}}}",
        ] {
            sample.settings(&format!("\"internalDatabase\": {block}"));
            let text = format!("{:?}", sample.facts());
            assert!(!text.contains("hunter2"));
        }
        sample.write("config/general-settings.json", "[]");
        assert_eq!(sample.facts().databases, []);
    }
}
