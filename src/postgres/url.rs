//! Addresses of PostgreSQL databases as JDBC writes them, with every secret left behind. The only door to the
//! `form_urlencoded` and `percent_encoding` crates.
//!
//! The grammar is that of the PostgreSQL driver, which is no URL: several hosts may stand between `//` and `/`.

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Where PostgreSQL listens if nothing is said.
pub const DEFAULT_PORT: u16 = 5432;

/// Longer text is no address.
const TEXT_BYTES_MAX: usize = 16 << 10;

/// A server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostPort {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// An address taken apart. The password is only noted as being there, and how it looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JdbcUrl {
    /// Servers, tried in this order.
    pub hosts: Vec<HostPort>,
    /// Whether the address itself names one; if not, drivers of Java mean this machine, and libpq a socket of it.
    pub names_host: bool,
    /// Database; the driver takes the user's name if there is none.
    pub database: Option<String>,
    /// `user`.
    pub user: Option<String>,
    /// `currentSchema`, first of the list.
    pub schema: Option<String>,
    /// Kind of the password in the address.
    pub password: PasswordKind,
    /// Other parameters, secret ones left out.
    pub parameters: Vec<(String, String)>,
}

/// How a password is stored. The password itself is never kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PasswordKind {
    /// There is none: it comes from elsewhere, or none is needed.
    #[default]
    None,
    /// Readable by whoever reads the file, and so in every backup of it.
    Clear,
    /// Encrypted by DSS (`e:AES:`); only DSS can decrypt it.
    Encrypted,
}

impl PasswordKind {
    /// The kind of a stored password.
    pub fn of(stored: Option<&str>) -> Self {
        match stored {
            None | Some("") => Self::None,
            Some(text) if text.starts_with("e:AES:") => Self::Encrypted,
            Some(_) => Self::Clear,
        }
    }

    /// This kind, or the other if there is none here.
    pub fn or(self, other: Self) -> Self {
        if self == Self::None { other } else { self }
    }
}

/// The address `new` with what of `old` lets one in: secret parameters, as they are written there, and the user if
/// `new` is to keep the old one.
pub fn with_account_of(new: &str, old: &str, keeps_user: bool) -> String {
    let query = old.split_once('?').map_or("", |(_, query)| query);
    let is_account = |pair: &&str| {
        let name = pair.split_once('=').map_or(*pair, |(name, _)| name);
        is_secret(name) || keeps_user && name == "user"
    };
    let mut url = new.to_owned();
    for pair in query.split('&').filter(is_account) {
        url.push(if url.contains('?') { '&' } else { '?' });
        url.push_str(pair);
    }
    url
}

/// Whether a parameter of this name may hold a secret.
pub fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["password", "passwd", "passphrase", "secret", "token", "credential"].iter().any(|word| name.contains(word))
}

impl JdbcUrl {
    /// Takes `jdbc:postgresql://…` or `postgresql://…` apart; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let text = text.strip_prefix("jdbc:").unwrap_or(text);
        let rest = text.strip_prefix("postgresql:").or_else(|| text.strip_prefix("postgres:"))?;
        if text.len() > TEXT_BYTES_MAX {
            return None;
        }
        let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (servers, database) = match address.strip_prefix("//") {
            Some(far) => far.split_once('/').unwrap_or((far, "")),
            None => ("", address.trim_start_matches('/')),
        };
        if database.contains('@') {
            // An unescaped `/` in a password: what looks like a database may be half a secret.
            return None;
        }
        // A password with an unescaped `@` in it: the last one ends it.
        let (account, servers) = servers.rsplit_once('@').map_or((None, servers), |(who, at)| (Some(who), at));
        let mut url = Self {
            hosts: servers.split(',').map(host_port).collect::<Option<_>>()?,
            names_host: !servers.is_empty(),
            database: decoded(database),
            user: None,
            schema: None,
            password: PasswordKind::None,
            parameters: Vec::new(),
        };
        if let Some(account) = account {
            let (user, password) = account.split_once(':').map_or((account, None), |(user, word)| (user, Some(word)));
            url.user = decoded(user);
            url.password = PasswordKind::of(password.and_then(decoded).as_deref());
        }
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            url.take(&name, &value);
        }
        Some(url)
    }

    fn take(&mut self, name: &str, value: &str) {
        match name {
            "user" => self.user = Some(value.to_owned()),
            "password" => self.password = PasswordKind::of(Some(value)),
            "currentSchema" => self.schema = first_schema(value),
            _ if is_secret(name) => {}
            _ => self.parameters.push((name.to_owned(), value.to_owned())),
        }
    }
}

/// The password in an address that [`JdbcUrl::parse`] can take apart.
pub fn password_in(text: &str) -> Option<Zeroizing<String>> {
    JdbcUrl::parse(text)?;
    let (address, query) = text.split_once('?').unwrap_or((text, ""));
    let in_query = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "password");
    let found = match in_query {
        Some((_, value)) => Some(value.into_owned()),
        None => {
            let (_, far) = address.split_once("//")?;
            let (account, _) = far.rsplit_once('@')?;
            account.split_once(':').and_then(|(_, password)| decoded(password))
        }
    };
    found.map(Zeroizing::new)
}

/// The first of a list of schemas, as the server reads it: quotes keep capitals and commas, without them capitals are
/// small letters. Source: PostgreSQL docs, `search_path`.
pub fn first_schema(list: &str) -> Option<String> {
    let list = list.trim();
    let first = match list.strip_prefix('"') {
        Some(quoted) => {
            let end = quoted.replace("\"\"", "\0\0").find('"').unwrap_or(quoted.len());
            quoted.get(..end)?.replace("\"\"", "\"")
        }
        None => list.split(',').next()?.trim().to_ascii_lowercase(),
    };
    (!first.is_empty()).then_some(first)
}

/// A schema in the form [`first_schema`] reads.
pub fn listed_schema(schema: &str) -> String {
    let plain = |sign: char| sign.is_ascii_lowercase() || sign.is_ascii_digit() || sign == '_';
    if schema.chars().all(plain) { schema.to_owned() } else { format!("\"{}\"", schema.replace('"', "\"\"")) }
}

fn decoded(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| percent_decode_str(text).decode_utf8_lossy().into_owned())
}

fn host_port(text: &str) -> Option<HostPort> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']')?;
            (host, after.strip_prefix(':'))
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let port = match port {
        None | Some("") => DEFAULT_PORT,
        Some(digits) => digits.parse().ok()?,
    };
    Some(HostPort { host: if host.is_empty() { "localhost".to_owned() } else { host.to_owned() }, port })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(host: &str, port: u16) -> HostPort {
        HostPort { host: host.into(), port }
    }

    #[test]
    fn an_address_is_taken_apart_into_server_database_schema_and_user() {
        let url = JdbcUrl::parse(
            "jdbc:postgresql://db1.corp:6432/gov%20ern?currentSchema=dss%5Fgov,public&user=go+v&ssl=true&sslkey=/etc/k.pk8",
        )
        .unwrap();
        assert_eq!(url.hosts, [host("db1.corp", 6432)]);
        assert_eq!(url.database.as_deref(), Some("gov ern"));
        assert_eq!((url.schema.as_deref(), url.user.as_deref()), (Some("dss_gov"), Some("go v")));
        assert_eq!(url.parameters, [("ssl".into(), "true".into()), ("sslkey".into(), "/etc/k.pk8".into())]);
        assert_eq!(url.password, PasswordKind::None);
    }

    #[test]
    fn a_schema_is_read_as_the_server_reads_it() {
        let first = |list: &str| first_schema(list);
        assert_eq!(first(" Dss , public").as_deref(), Some("dss"));
        assert_eq!(first("\"My, \"\"Schema\"\"\", public").as_deref(), Some("My, \"Schema\""));
        assert_eq!((first(""), first(" , a"), first("\"\"")), (None, None, None));
        for name in ["dss", "My, \"Schema\"", "gr\u{fc}n", "A"] {
            assert_eq!(first(&listed_schema(name)).as_deref(), Some(name));
        }
    }

    #[test]
    fn hosts_may_be_many_or_none_or_have_colons() {
        let hosts = |text: &str| JdbcUrl::parse(text).unwrap().hosts;
        assert_eq!(hosts("jdbc:postgresql://a,b:1,[::1]:2/x"), [host("a", 5432), host("b", 1), host("::1", 2)]);
        assert_eq!(hosts("jdbc:postgresql:local"), [host("localhost", 5432)]);
        assert_eq!(JdbcUrl::parse("jdbc:postgresql:local").unwrap().database.as_deref(), Some("local"));
        assert_eq!(hosts("jdbc:postgresql:///x"), [host("localhost", 5432)]);
    }

    #[test]
    fn passwords_are_told_by_kind_and_never_kept() {
        let addresses = [
            "jdbc:postgresql://h/d?user=u&password=hunter2&sslpassword=hunter2&trustToken=hunter2",
            "postgresql://u:hunter2@h:5/d",
            "postgres://u:hunter2@x@h/d",
            "jdbc:postgresql://h/d?password=hunter2&Secret=hunter2",
        ];
        for address in addresses {
            let url = JdbcUrl::parse(address).unwrap();
            assert_eq!(url.password, PasswordKind::Clear, "{address}");
            assert_eq!(url.hosts[0].host, "h");
            assert!(!format!("{url:?}").contains("hunter2"), "{url:?}");
        }
        let url = JdbcUrl::parse("jdbc:postgresql://h/d?password=e%3AAES%3Axyz").unwrap();
        assert_eq!(url.password, PasswordKind::Encrypted);
    }

    #[test]
    fn what_is_no_postgresql_address_is_nothing() {
        for bad in [
            "",
            "jdbc:",
            "jdbc:mysql://h/d",
            "h:5432/d",
            "jdbc:postgresql://h:port/d",
            "jdbc:postgresql://h:99999/d",
            "jdbc:postgresql://[::1/d",
            "postgres://u:1/2@h/d",
        ] {
            assert_eq!(JdbcUrl::parse(bad), None, "{bad}");
        }
        assert_eq!(JdbcUrl::parse(&format!("jdbc:postgresql://{}/d", "h".repeat(1 << 15))), None);
        for odd in ["jdbc:postgresql:", "jdbc:postgresql://?&&=&", "jdbc:postgresql://%ff%zz/%ff?%ff=%ff"] {
            let _ = JdbcUrl::parse(odd);
        }
    }
}
