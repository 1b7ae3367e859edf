//! HTTP to a DSS node, the only place that knows how. Questions only, one answer each; no redirect is followed and no
//! proxy of the environment used, for a key must go where it was meant to go.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::dss::control::curl;

/// More than the longest list of jobs; keeps a wrong address from filling memory.
pub const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// Where the public API of a node behind its nginx is (DSS docs, publicapi/rest).
const PUBLIC_PATH: &str = "/public/api";
/// Where its back end has it (kit, dataikuapi).
const BACKEND_PATH: &str = "/dip/publicapi";

/// Where an API is reached: scheme, host, port and the path every call begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    base: String,
    is_tls: bool,
}

/// An address that is none, or not a safe one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// Not `http://HOST…` or `https://HOST…`.
    #[error("`{0}` is no address like https://dss.example.org:11000")]
    Form(String),
    /// Credentials in it would appear in messages.
    #[error("the address must not hold a user name or password")]
    Credentials,
    /// The key of an administrator would cross the network in clear.
    #[error("plain http is only for this machine itself: the key would cross the network in clear; use https")]
    Clear,
}

impl Address {
    /// The back end of a node on this machine, whose first port is `base`.
    pub fn backend(base: u16) -> Self {
        let port = base.saturating_add(1);
        Self { base: format!("http://127.0.0.1:{port}{BACKEND_PATH}"), is_tls: false }
    }

    /// The whole address of a call.
    pub fn call(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Whether it is asked over TLS.
    pub fn is_tls(&self) -> bool {
        self.is_tls
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.base)
    }
}

impl FromStr for Address {
    type Err = BadAddress;

    /// An address without a path means the one DSS's nginx has.
    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let bad = || BadAddress::Form(text.to_owned());
        let uri: ureq::http::Uri = text.trim_end_matches('/').parse().map_err(|_| bad())?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return Err(bad()) };
        if authority.as_str().contains('@') {
            return Err(BadAddress::Credentials);
        }
        if uri.query().is_some() || uri.host().is_none_or(str::is_empty) {
            return Err(bad());
        }
        let is_tls = match scheme {
            "https" => true,
            "http" if is_here(authority.host()) => false,
            "http" => return Err(BadAddress::Clear),
            _ => return Err(bad()),
        };
        let path = if matches!(uri.path(), "" | "/") { PUBLIC_PATH } else { uri.path() };
        Ok(Self { base: format!("{scheme}://{authority}{path}"), is_tls })
    }
}

fn is_here(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// A name as part of a path.
pub fn segment(name: &str) -> String {
    utf8_percent_encode(name, NON_ALPHANUMERIC).to_string()
}

/// One question.
pub struct Question<'q> {
    /// The whole address.
    pub url: &'q str,
    /// The key to show, never printed.
    pub bearer: Option<&'q str>,
    /// Who must have signed the certificate of an https address; the authorities of this machine if nobody is named.
    pub ca: Option<&'q Path>,
    /// How long it may take in all.
    pub limit: Duration,
}

/// What came back, whatever it says.
pub struct Answer {
    /// Of HTTP.
    pub status: u16,
    /// At most [`ANSWER_BYTES_MAX`].
    pub body: Vec<u8>,
}

/// No answer came. The text never holds the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{url}: {why}")]
pub struct NoAnswer {
    /// What was asked.
    pub url: String,
    /// Why there is no answer.
    pub why: String,
}

/// Asks. An answer of any status is one.
pub fn get(question: &Question<'_>) -> Result<Answer, NoAnswer> {
    let answer = if question.url.starts_with("https:") { curl::get(question) } else { plain(question) };
    answer.map_err(|why| NoAnswer { url: question.url.to_owned(), why })
}

fn plain(question: &Question<'_>) -> Result<Answer, String> {
    let config = ureq::Agent::config_builder().timeout_global(Some(question.limit)).proxy(None).max_redirects(0);
    let agent: ureq::Agent = config.http_status_as_error(false).build().into();
    let mut request = agent.get(question.url);
    if let Some(bearer) = question.bearer {
        request = request.header("Authorization", format!("Bearer {bearer}"));
    }
    let mut response = request.call().map_err(|error| error.to_string())?;
    let status = response.status().as_u16();
    let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
    Ok(Answer { status, body: body.map_err(|error| error.to_string())? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(text: &str) -> Result<String, BadAddress> {
        text.parse::<Address>().map(|address| address.to_string())
    }

    #[test]
    fn an_address_without_a_path_means_the_public_api() {
        assert_eq!(base("https://dss.example.org:11000/").unwrap(), "https://dss.example.org:11000/public/api");
        assert_eq!(base("http://localhost:11001/dip/publicapi").unwrap(), "http://localhost:11001/dip/publicapi");
        assert_eq!(Address::backend(11000).call("/projects/"), "http://127.0.0.1:11001/dip/publicapi/projects/");
    }

    #[test]
    fn a_key_never_crosses_the_network_in_clear_nor_stands_in_an_address() {
        assert_eq!(base("http://dss.example.org:11000"), Err(BadAddress::Clear));
        assert_eq!(base("https://admin:secret@dss.example.org"), Err(BadAddress::Credentials));
        assert!(base("http://[::1]:11000").is_ok() && base("http://127.0.0.2:11000").is_ok());
        for text in ["", "dss.example.org", "ftp://x", "https://", "https://x?key=1", "/public/api"] {
            assert!(matches!(base(text), Err(BadAddress::Form(_))), "{text}");
        }
    }

    #[test]
    fn names_in_paths_stay_one_part() {
        assert_eq!(segment("A/../B c"), "A%2F%2E%2E%2FB%20c");
    }

    #[test]
    fn nobody_listening_is_no_answer() {
        let question = Question { url: "http://127.0.0.1:1/x", bearer: None, ca: None, limit: Duration::from_secs(1) };
        let why = get(&question).err().unwrap().to_string();
        assert!(why.starts_with("http://127.0.0.1:1/x: "), "{why}");
    }
}
