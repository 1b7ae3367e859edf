//! Puts the facts together: identity, version, ports, kit, owner, and what the other files here find.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::dss::datadir::concern::{Concern, ConcernKind};
use crate::dss::datadir::error::DatadirError;
use crate::dss::datadir::facts::{Account, FACTS_FORM, Facts, Kit, Ports};
use crate::dss::datadir::ini::Ini;
use crate::dss::datadir::install_log::InstallLog;
use crate::dss::datadir::links::{self, LeavingLink};
use crate::dss::datadir::look::{Look, text_at};
use crate::dss::datadir::node::NodeType;
use crate::dss::datadir::version::DssVersion;
use crate::dss::datadir::{VERSION_FILE, databases, integrations, markers, outside, runtime, service, shell};

/// Variables of every program DSS starts; generated.
pub const ENVIRONMENT: &str = "bin/env-default.sh";
/// Identity, port, node type, memory settings.
pub const INSTALL_INI: &str = "install.ini";
/// Where DSS was told it lives; written last by the installer.
pub const INSTALLED_PATH: &str = "install-support/expected-dip-home.txt";

/// What several parts need to know.
pub struct Basis {
    /// `install.ini`.
    pub ini: Ini,
    /// Variables of `bin/env-default.sh`.
    pub environment: std::collections::BTreeMap<String, String>,
    /// `config/general-settings.json`; `Null` if there is none.
    pub settings: Value,
    /// `run/install.log`.
    pub log: InstallLog,
    /// The node type.
    pub node: NodeType,
    /// `installid`.
    pub install_id: Option<String>,
    /// Where the kit lies.
    pub install_dir: Option<String>,
    /// The directory's name on its machine.
    pub path: PathBuf,
    /// Who owns the directory.
    pub uid: u32,
    /// Whether the installer came to its end, as far as this account can tell.
    pub is_finished: bool,
}

/// Gathers everything about a directory that was recognised.
pub fn facts(given: &Path, look: Look<'_>) -> Result<Facts, DatadirError> {
    let meta = look.root.metadata().map_err(|source| DatadirError::Unreadable { path: given.to_owned(), source })?;
    let basis = basis(&look, meta.uid());
    let version = look.json(VERSION_FILE).unwrap_or_default();
    let ports = ports(&look, &basis);
    let kit = kit(&look, &basis);
    let service = service::find(&look, &basis);
    let outside = outside::find(&look, &basis, &service);
    let mut facts = Facts {
        form: FACTS_FORM,
        path: shown(&basis.path),
        given_path: resolved_from(given, &look.root),
        installed_path: look.text(INSTALLED_PATH).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()),
        node_type: basis.node.clone(),
        version: dss_version(&look, &version, VERSION_FILE),
        conf_version: conf_version(&version),
        commit_id: text_at(&version, &["product_commitid"]).map(str::to_owned),
        install_id: basis.install_id.clone(),
        node_id: basis.ini.get("general", "nodeid").map(str::to_owned),
        ports,
        kit,
        owner: Account {
            uid: meta.uid(),
            gid: meta.gid(),
            user: look.host.user(meta.uid()),
            group: look.host.group(meta.gid()),
        },
        mode: meta.mode() & 0o7777,
        python: runtime::python(&look),
        java: runtime::java(&look, &basis),
        service,
        installer_arguments: basis.log.last_arguments("installer.sh"),
        integrations: integrations::find(&look, &basis),
        databases: databases::find(&look, &basis),
        markers: markers::find(&look),
        outside,
        links: links::find(&look, basis.install_dir.as_deref()),
        concerns: Vec::new(),
        gaps: Vec::new(),
    };
    facts.concerns = concerns(&facts, &basis);
    facts.gaps = look.into_gaps();
    Ok(facts)
}

fn basis(look: &Look<'_>, uid: u32) -> Basis {
    let ini = look.ini(INSTALL_INI).unwrap_or_default();
    let environment = look.text(ENVIRONMENT).map(|text| shell::assignments(&text)).unwrap_or_default();
    let has_projects = ini.flag("modules", "projects").unwrap_or(true);
    let told = ini.get("general", "nodetype").or(environment.get("DKU_NODE_TYPE").map(String::as_str));
    let node = NodeType::from_install(told, has_projects);
    let install_id = ini.get("general", "installid").filter(|id| *id != "notattributed").map(str::to_owned);
    let install_dir = environment.get("DKUINSTALLDIR").filter(|path| path.starts_with('/')).cloned();
    Basis {
        settings: look.json("config/general-settings.json").unwrap_or_default(),
        log: InstallLog::read(look),
        path: look.host.name_of(&look.root),
        ini,
        environment,
        node,
        install_id,
        install_dir,
        uid,
        is_finished: is_finished(look),
    }
}

/// The file the installer writes last is there and holds something, or cannot be looked at.
fn is_finished(look: &Look<'_>) -> bool {
    match look.text(INSTALLED_PATH) {
        Some(text) => !text.trim().is_empty(),
        None => look.at(INSTALLED_PATH).try_exists().unwrap_or(true),
    }
}

/// A path for people.
pub fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// The path as given, if it is more than another spelling of the real one: a link was in it.
fn resolved_from(given: &Path, root: &Path) -> Option<String> {
    let absolute = std::path::absolute(given).ok()?;
    (absolute.components().ne(root.components())).then(|| shown(given))
}

fn dss_version(look: &Look<'_>, value: &Value, file: &str) -> Option<DssVersion> {
    let Some(text) = text_at(value, &["product_version"]) else {
        if !value.is_null() {
            look.gap(file, "it names no product_version");
        }
        return None;
    };
    text.parse().map_err(|why| look.gap(file, format!("product_version: {why}"))).ok()
}

/// An integer in a string; a plain integer is understood as well.
pub fn conf_version(value: &Value) -> Option<u64> {
    value.get("conf_version").and_then(|version| match version {
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_u64(),
    })
}

fn ports(look: &Look<'_>, basis: &Basis) -> Option<Ports> {
    let text = basis.ini.get("server", "port").or(basis.environment.get("DKU_BASE_PORT").map(String::as_str))?;
    let ports = text.parse().ok().and_then(|base| Ports::new(base, &basis.node));
    if ports.is_none() {
        look.gap(INSTALL_INI, "[server] port is no port DSS can use");
    }
    ports
}

fn kit(look: &Look<'_>, basis: &Basis) -> Option<Kit> {
    let path = basis.install_dir.clone()?;
    let version_file = Path::new(&path).join(VERSION_FILE);
    let version = look.host_text(&version_file).and_then(|text| {
        let value: Value = serde_json::from_str(&text).ok()?;
        dss_version(look, &value, &shown(&version_file))
    });
    let program = basis.node.control_program();
    Some(Kit {
        exists: look.host.exists(&path),
        version,
        control_program: program.to_owned(),
        control_program_works: control_program_works(look, program),
        path,
    })
}

/// The link is absolute, so it is followed on the machine the directory belongs to.
fn control_program_works(look: &Look<'_>, program: &str) -> Option<bool> {
    match look.link(program) {
        Some(target) if target.is_absolute() => look.host.exists(&target),
        _ => look.at(program).try_exists().ok(),
    }
}

fn concerns(facts: &Facts, basis: &Basis) -> Vec<Concern> {
    let mut found: Vec<Concern> = facts.markers.iter().map(markers::Marker::concern).collect();
    found.extend(install_concerns(facts, basis));
    found.extend(kit_concerns(facts));
    found.extend(runtime_concerns(facts, basis));
    found.extend(facts.service.concern());
    found.extend(facts.links.iter().filter_map(LeavingLink::concern));
    found.sort_by_key(|concern| concern.severity);
    found
}

fn install_concerns(facts: &Facts, basis: &Basis) -> Vec<Concern> {
    let mut found = Vec::new();
    match &facts.installed_path {
        None if basis.is_finished => {}
        None => found.push(Concern::stop(
            ConcernKind::InstallUnfinished,
            format!("the installer did not come to its end: there is no {INSTALLED_PATH}"),
            "run `installer.sh -u` of its kit on it once it is backed up",
        )),
        Some(path) if *path != facts.path => found.push(Concern::warning(
            ConcernKind::Moved,
            format!("it was installed at {path}, so DSS refuses to start here"),
            "run `installer.sh -u` of its kit here, or restore with `--data-dir`, which does it",
        )),
        Some(_) => {}
    }
    if facts.install_id.is_none() {
        found.push(Concern::warning(
            ConcernKind::NoInstallId,
            "install.ini names no installid",
            "name the node yourself with `--node`; it cannot be told from another one without",
        ));
    }
    if let NodeType::Other(word) = &facts.node_type {
        found.push(Concern::warning(
            ConcernKind::UnknownNodeType,
            format!("`{word}` is a node type this version does not know"),
            "nothing of it will be left out of a backup; use a newer dssvault if there is one",
        ));
    }
    found
}

fn kit_concerns(facts: &Facts) -> Vec<Concern> {
    let Some(kit) = &facts.kit else { return Vec::new() };
    let mut found = Vec::new();
    if kit.control_program_works == Some(false) {
        found.push(Concern::warning(
            ConcernKind::ControlDangling,
            format!("{} leads nowhere, so DSS can be neither stopped nor started", kit.control_program),
            format!("unpack the kit at {}, or run `installer.sh -u` of another one", kit.path),
        ));
    }
    if let (Some(own), Some(kit)) = (&facts.version, &kit.version)
        && own != kit
    {
        let what = if own < kit { "an upgrade was not finished" } else { "DSS must not be started with it" };
        found.push(Concern::warning(
            ConcernKind::KitVersion,
            format!("the directory is of DSS {own}, its kit of {kit}: {what}"),
            format!("run `installer.sh -u` of a kit of {} or later", own.max(kit)),
        ));
    }
    found
}

fn runtime_concerns(facts: &Facts, basis: &Basis) -> Vec<Concern> {
    let mut found = Vec::new();
    let generated = basis.environment.get("DKU_BASE_PORT").and_then(|port| port.parse::<u16>().ok());
    if let (Some(ports), Some(generated)) = (&facts.ports, generated)
        && ports.base != generated
    {
        found.push(Concern::warning(
            ConcernKind::PortEdited,
            format!("install.ini says port {}, the generated scripts {generated}", ports.base),
            "run `bin/dssadmin regenerate-config`, or put the old port back",
        ));
    }
    if let Some(python) = facts.python.as_ref().filter(|python| python.base_exists == Some(false)) {
        found.push(Concern::warning(
            ConcernKind::PythonGone,
            format!(
                "{} was made from {}, which is gone",
                python.environment,
                python.base.as_deref().unwrap_or("a Python")
            ),
            format!("install that Python, or move {} away before `installer.sh -u -P PYTHON`", python.environment),
        ));
    }
    if facts.integrations.iter().any(|found| found.kind == integrations::IntegrationKind::UserIsolation) {
        found.push(Concern::warning(
            ConcernKind::UserIsolation,
            "user isolation is on: files belong to several accounts, and the DSS account cannot read them all",
            "back up and restore as root, with ACLs",
        ));
    }
    found
}
