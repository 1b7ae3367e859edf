//! A data directory on a page.

use std::fmt::Write;

use serde::Serialize;

use crate::base::size::ByteCount;
use crate::cli::output::View;
use crate::cli::text::printable;
use crate::cli::views::inspect::sizes::sizes;
use crate::dss::datadir::concern::Severity;
use crate::dss::datadir::databases::{Database, DatabaseKind, Server};
use crate::dss::datadir::facts::{Account, Facts};
use crate::dss::datadir::integrations::{Integration, IntegrationKind};
use crate::dss::datadir::outside::{Outside, OutsideKind};
use crate::dss::datadir::service::Manager;
use crate::dss::inspect::InspectReport;
use crate::dss::running::{FoundBy, RunState};
use crate::postgres::url::PasswordKind;

mod sizes;

/// What was seen of a data directory.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct InspectView(InspectReport);

impl InspectView {
    /// The view of a report.
    pub fn new(report: InspectReport) -> Self {
        Self(report)
    }
}

impl View for InspectView {
    fn text(&self) -> String {
        let facts = &self.0.facts;
        let mut page = Page::default();
        identity(&mut page, facts);
        runtime(&mut page, facts);
        state(&mut page, &self.0);
        concerns(&mut page, facts);
        page.section("installed on top", facts.integrations.iter().map(integration));
        page.section("databases", facts.databases.iter().map(database));
        page.section("outside, and so not in a backup of the directory", facts.outside.iter().map(outside));
        page.section("links that lead out", facts.links.iter().map(link));
        page.section("could not be found out", facts.gaps.iter().map(|gap| format!("{}: {}", gap.path, gap.cause)));
        if let Some(inventory) = &self.0.inventory {
            page.text.push_str(&sizes(inventory, &self.0.exclusion));
        }
        page.text
    }
}

#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    /// A label and what it is. Everything may come from a hostile file.
    fn line(&mut self, label: &str, value: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{label:<15} {}", printable(value.as_bytes()));
    }

    fn section(&mut self, title: &str, lines: impl Iterator<Item = String>) {
        let mut lines = lines.peekable();
        if lines.peek().is_some() {
            let _ = writeln!(self.text, "\n{title}");
        }
        for line in lines {
            let _ = writeln!(self.text, "  {}", printable(line.as_bytes()));
        }
    }
}

fn identity(page: &mut Page, facts: &Facts) {
    page.line("data directory", &facts.path);
    if let Some(given) = &facts.given_path {
        page.line("", &format!("reached through a link: {given}"));
    }
    let version = facts.version.as_ref().map_or_else(|| "of unknown version".to_owned(), ToString::to_string);
    let conf = facts.conf_version.map(|conf| format!(" (configuration {conf})")).unwrap_or_default();
    page.line("node", &format!("{}, DSS {version}{conf}", facts.node_type));
    let node_id = facts.node_id.as_ref().map(|id| format!(", node id {id}")).unwrap_or_default();
    page.line("install id", &format!("{}{node_id}", facts.install_id.as_deref().unwrap_or("none")));
    if let Some(ports) = &facts.ports {
        page.line("ports", &format!("{} (to {})", ports.base, ports.last_reserved));
    }
    page.line("owner", &format!("{}, mode {:04o}", account(&facts.owner), facts.mode));
}

fn account(owner: &Account) -> String {
    let name = |name: &Option<String>, number: u32| name.clone().unwrap_or_else(|| number.to_string());
    format!("{}:{}", name(&owner.user, owner.uid), name(&owner.group, owner.gid))
}

fn runtime(page: &mut Page, facts: &Facts) {
    let presence = |there: Option<bool>| if there == Some(false) { ", not there" } else { "" };
    if let Some(kit) = &facts.kit {
        let version = kit.version.as_ref().map(|version| format!(", DSS {version}")).unwrap_or_default();
        page.line("kit", &format!("{}{version}{}", kit.path, presence(kit.exists)));
    }
    if let Some(python) = &facts.python {
        let version = python.version.as_deref().unwrap_or("of unknown version");
        let base = python.base.as_ref().map(|base| format!(", from {base}")).unwrap_or_default();
        let gone = presence(python.base_exists);
        page.line("python", &format!("{version} in {}{base}{gone}", python.environment));
    }
    if let Some(java) = &facts.java {
        let version = java.version.as_ref().map(|version| format!("{version}, ")).unwrap_or_default();
        page.line("java", &format!("{version}{}{}", java.path, presence(java.exists)));
    }
    let service = &facts.service;
    let user = service.user.as_ref().map(|user| format!(", as {user}")).unwrap_or_default();
    let units = service.units.join(", ");
    let unit = if units.is_empty() { "whose unit was not found" } else { units.as_str() };
    let started = match service.manager {
        Manager::Systemd => format!("by systemd, {unit}{user}"),
        Manager::InitScript => format!("by the boot script {units}{user}"),
        Manager::Hand => {
            format!("by hand: {}", facts.kit.as_ref().map_or("bin/dss", |kit| kit.control_program.as_str()))
        }
    };
    page.line("started", &started);
}

fn state(page: &mut Page, report: &InspectReport) {
    if let Some(running) = &report.running {
        let state = match running.state {
            RunState::Running => "running",
            RunState::Stopped => "stopped",
            RunState::Unknown => "unknown",
        };
        page.line("state", state);
        for evidence in &running.evidence {
            page.line("", &format!("{}: {}", evidence.sign, evidence.detail));
        }
    }
    let nothing = report.jobs.as_ref().is_some_and(Vec::is_empty).then(|| "nothing that could be seen".to_owned());
    let jobs = report.jobs.iter().flatten().map(|job| match job.found_by {
        FoundBy::Api => job.to_string(),
        FoundBy::JobFolder => format!("{job}: files in its folder change"),
    });
    let unknown = report.jobs.is_none() && report.jobs_note.is_some();
    let mark = if unknown { "not known: " } else { "" };
    let note = report.jobs_note.iter().map(|note| format!("{mark}{note}"));
    page.section("at work", nothing.into_iter().chain(jobs).chain(note));
}

fn concerns(page: &mut Page, facts: &Facts) {
    let shown = facts.concerns.iter().flat_map(|concern| {
        let mark = if concern.severity == Severity::Stop { "STOP: " } else { "" };
        [format!("{mark}{}", concern.message), format!("  -> {}", concern.next)]
    });
    page.section("needs attention", shown);
}

fn integration(found: &Integration) -> String {
    let name = match found.kind {
        IntegrationKind::R => "R",
        IntegrationKind::Hadoop => "Hadoop",
        IntegrationKind::Spark => "Spark",
        IntegrationKind::H2o => "H2O",
        IntegrationKind::GraphicsExport => "graphics export",
        IntegrationKind::Monitoring => "monitoring",
        IntegrationKind::EventServer => "event server",
        IntegrationKind::Julia => "Julia",
        IntegrationKind::UserIsolation => "user isolation",
    };
    let how = match (&found.arguments, found.kind.verb()) {
        (Some(arguments), Some(verb)) => format!("{verb} {}", arguments.join(" ")).trim_end().to_owned(),
        (None, Some(_)) => format!("told by {}; the install log does not know how", found.evidence.join(", ")),
        (_, None) => format!("told by {}", found.evidence.join(", ")),
    };
    format!("{name:<16} {how}")
}

fn database(found: &Database) -> String {
    let kind = match found.kind {
        DatabaseKind::Embedded => "embedded H2",
        DatabaseKind::Runtime => "runtime",
        DatabaseKind::Govern => "Govern",
        DatabaseKind::FleetManager => "fleet manager",
    };
    let files = found.files.map(|files| {
        let noun = if files.count == 1 { "file" } else { "files" };
        format!("{} {noun}, {}; whole only if DSS is stopped or the volume frozen", files.count, ByteCount(files.bytes))
    });
    let place = files.or_else(|| found.server.as_ref().map(server)).unwrap_or_default();
    format!("{kind:<16} {place}")
}

fn server(server: &Server) -> String {
    let hosts: Vec<String> = server.hosts.iter().map(|at| format!("{}:{}", at.host, at.port)).collect();
    let mut text = format!("{} {}", server.engine, if hosts.is_empty() { "?".to_owned() } else { hosts.join(",") });
    let mut part = |word: &str, value: &Option<String>| {
        let _ = value.as_ref().map(|value| write!(text, "{word}{value}"));
    };
    part("/", &server.database);
    part(", schema ", &server.schema);
    part(", tables ", &server.table_prefix.as_ref().map(|prefix| format!("{prefix}*")));
    part(", user ", &server.user);
    let password = match server.password {
        PasswordKind::None => ", no password stored",
        PasswordKind::Clear => ", password stored in clear",
        PasswordKind::Encrypted => ", password encrypted by DSS",
    };
    text + password
}

fn outside(found: &Outside) -> String {
    let kind = match found.kind {
        OutsideKind::Kit => "kit",
        OutsideKind::StandaloneLibraries => "libraries",
        OutsideKind::TlsCertificate => "TLS certificate",
        OutsideKind::TlsKey => "TLS key",
        OutsideKind::Keytab => "keytab",
        OutsideKind::SecurityConfig => "user isolation",
        OutsideKind::Sudoers => "sudo rules",
        OutsideKind::Boot => "boot",
        OutsideKind::SshFolder => "ssh keys",
        OutsideKind::ConnectionRoot => "data",
    };
    let there = match found.exists {
        Some(true) => "",
        Some(false) => ", not there",
        None => ", cannot be looked at",
    };
    format!("{kind:<16} {} ({}){there}", found.path, found.named_by)
}

fn link(link: &crate::dss::datadir::links::LeavingLink) -> String {
    let there = if link.exists == Some(false) { ", not there" } else { "" };
    format!("{} -> {}{there}", link.path, link.leads_to)
}
