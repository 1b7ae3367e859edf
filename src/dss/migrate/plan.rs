//! The plan of a migration: what is done, in the order DSS documents (installation/custom/migrations, upgrade). A pure
//! function of what the snapshot knows, what was asked for and what this machine has.

use std::path::Path;

use crate::dss::control::evidence::Running;
use crate::dss::datadir::concern::Severity;
use crate::dss::datadir::databases::{Database, DatabaseKind};
use crate::dss::datadir::integrations::IntegrationKind;
use crate::dss::datadir::markers::Marker;
use crate::dss::datadir::node::NodeType;
use crate::dss::datadir::service::Manager;
use crate::dss::migrate::arguments::{self, Moves};
use crate::dss::migrate::error::MigrateError;
use crate::dss::migrate::ground::{Ground, Occupancy};
use crate::dss::migrate::source::Source;
use crate::dss::migrate::step::{Act, Offered, Plan, Step, word};
use crate::dss::migrate::{Wish, conditions};

/// Name of the step that brings the files back; those before it are for the administrator.
pub const RESTORE: &str = "restore";
/// Name of the step that puts databases back.
pub const DATABASES: &str = "databases";
/// Name of the step that runs the installer.
pub const ATTACH: &str = "attach";

/// Name of the step that starts it.
pub const START: &str = "start";
/// Name of the step that stops a copy.
pub const STOP: &str = "stop";

/// Makes it, or says why it cannot be done.
pub fn plan(source: &Source, wish: &Wish, ground: &Ground) -> Result<Plan, MigrateError> {
    conditions::hold(source, wish, ground)?;
    let drafted = Draft { source, wish, ground };
    let mut steps = drafted.files();
    steps.extend(drafted.software());
    if wish.drill {
        steps.extend(drafted.trial());
    } else {
        steps.extend(drafted.integrations());
        steps.extend(drafted.life());
    }
    Ok(Plan {
        data_dir: wish.data_dir.clone(),
        account: wish.user.clone(),
        kit: wish.kit.clone(),
        kit_version: ground.kit.as_ref().map(ToString::to_string).unwrap_or_default(),
        install_id: wish.install_id.clone().or_else(|| source.facts.install_id.clone()),
        port: wish.port,
        replaces: matches!(ground.place, Occupancy::Same(_)),
        into: ground.into,
        drill: wish.drill,
        warnings: drafted.warnings(),
        steps,
    })
}

struct Draft<'d> {
    source: &'d Source,
    wish: &'d Wish,
    ground: &'d Ground,
}

impl Draft<'_> {
    fn files(&self) -> Vec<Step> {
        let Self { source, wish, ground } = self;
        let data_dir = wish.data_dir.display();
        let mut steps = Vec::new();
        if source.host != ground.host {
            let script = word(&wish.kit.join("scripts/install/install-deps.sh"));
            let says = "install the packages of the operating system that DSS needs";
            steps.push(Step::new("packages-of-the-system", says, run([script])).offered(Offered::Root));
        }
        let says = match &ground.place {
            Occupancy::Same(_) => format!("restore to {data_dir}; the directory there is kept beside it"),
            _ => format!("restore to {data_dir}, for the account {}", wish.user),
        };
        steps.push(Step::new(RESTORE, says, Act::Restore));
        if !wish.databases.is_empty() {
            let told: Vec<&str> = wish.databases.iter().map(|one| one.says.as_str()).collect();
            steps.push(Step::new(DATABASES, told.join("; "), Act::Databases));
        }
        let settings = self.settings();
        if !settings.is_empty() {
            let told: Vec<String> =
                settings.iter().map(|(section, key, value)| format!("[{section}] {key} = {value}")).collect();
            let says = format!("set in install.ini: {}", told.join(", "));
            steps.push(Step::new("configure", says, Act::Configure { settings }));
        }
        if wish.drill {
            let says = "switch all scenarios off, and list those that were active";
            steps.push(Step::new("scenarios-off", says, Act::QuietScenarios));
        }
        steps
    }

    /// What `installer.sh -u` does not change.
    fn settings(&self) -> Vec<(String, String, String)> {
        let Self { source, wish, .. } = self;
        let set = |section: &str, key: &str, value: &str| (section.to_owned(), key.to_owned(), value.to_owned());
        let mut settings = Vec::new();
        if let Some(port) = wish.port.filter(|_| wish.port_is_new) {
            settings.push(set("server", "port", &port.to_string()));
        }
        if let Some(id) = &wish.install_id {
            settings.push(set("general", "installid", id));
        }
        let monitoring = source.facts.integrations.iter().find(|one| one.kind == IntegrationKind::Monitoring);
        if let Some(monitoring) = monitoring.filter(|_| wish.drill) {
            // Its figures must not be taken for those of production.
            let prefix = monitoring.settings.iter().find(|(key, _)| key == "prefix").map(|(_, value)| value.as_str());
            settings.push(set("collectd", "prefix", &format!("{}drill", prefix.unwrap_or_default())));
        }
        settings
    }

    fn software(&self) -> Vec<Step> {
        let Self { source, wish, .. } = self;
        let mut steps = Vec::new();
        let aside = self.python_is_elsewhere();
        if aside {
            let says = "put the built-in Python environment aside as pyenv.backup: it knows its old path";
            steps.push(Step::new("python-aside", says, Act::SetPythonAside));
        }
        let says = format!("attach the directory to the kit in {}", wish.kit.display());
        steps.push(Step::new(ATTACH, says, Act::Attach { command: self.installer(aside) }));
        if aside && source.packages.is_some() {
            let pip = word(&wish.data_dir.join("bin/pip"));
            let list = word(&wish.data_dir.join(super::aside::PACKAGES));
            let says = "install the packages its Python environment had";
            let command = run([pip, "install".to_owned(), "-r".to_owned(), list]);
            steps.push(Step::new("python-packages", says, command).offered(Offered::Internet));
        }
        steps
    }

    /// A moved environment has absolute paths inside; one without its interpreter makes the installer fail (measured).
    fn python_is_elsewhere(&self) -> bool {
        let Self { source, wish, ground } = self;
        let Some(python) = &source.facts.python else { return false };
        let base_is_gone = python.base.as_ref().is_some_and(|base| !ground.has(Path::new(base)));
        source.host != ground.host
            || Path::new(&source.record.data_dir) != wish.data_dir
            || wish.python.is_some()
            || base_is_gone
    }

    fn installer(&self, python_is_aside: bool) -> Vec<String> {
        let Self { source, wish, ground } = self;
        let mut command = Vec::new();
        // Without it the installer takes whichever Java it finds (DSS docs, advanced-java-customization).
        let java = source.facts.java.as_ref().filter(|java| ground.has(Path::new(&java.path)));
        if let Some(java) = java {
            command.extend(["/usr/bin/env".to_owned(), format!("DKUJAVABIN={}", java.path)]);
        }
        command.extend([word(&wish.kit.join("installer.sh")), "-d".to_owned(), word(&wish.data_dir)]);
        command.extend(["-u", "-y"].map(str::to_owned));
        let recorded = source.facts.installer_arguments.as_deref().unwrap_or_default();
        if recorded.iter().any(|word| word == "-n") {
            command.push("-n".to_owned());
        }
        let base = source.facts.python.as_ref().and_then(|python| python.base.as_deref()).map(Path::new);
        let python = wish.python.as_deref().or(base.filter(|base| ground.has(base)));
        if let (Some(python), true) = (python, python_is_aside) {
            command.extend(["-P".to_owned(), word(python)]);
        }
        command
    }

    fn integrations(&self) -> Vec<Step> {
        let Self { source, wish, .. } = self;
        let old_kit = source.record.install_dir.clone().unwrap_or_default();
        let mut paths = vec![(Path::new(&source.record.data_dir), wish.data_dir.as_path())];
        if !old_kit.is_empty() {
            paths.push((Path::new(&old_kit), wish.kit.as_path()));
        }
        let old_account = source.record.owner.as_deref().unwrap_or_default();
        let moves = Moves { paths, account: (old_account, &wish.user) };
        let dssadmin = word(&wish.data_dir.join("bin/dssadmin"));
        let mut steps = Vec::new();
        for integration in &source.facts.integrations {
            let arguments = arguments::of(integration, &moves);
            let offered = arguments::offered(integration.kind, arguments.as_deref());
            let name = integration.kind.name();
            let step = match (integration.kind.verb(), arguments) {
                (Some(verb), Some(arguments)) => {
                    let command = [dssadmin.clone(), verb.to_owned()].into_iter().chain(arguments);
                    Step::new(name, format!("install {} again", integration.kind.title()), run(command))
                }
                _ => {
                    let says =
                        format!("install {} again as it was: nothing recorded tells how", integration.kind.title());
                    Step::new(name, says, Act::Advice)
                }
            };
            steps.push(match offered {
                Some(why) => step.offered(why),
                None => step,
            });
        }
        steps.extend(self.after_isolation());
        steps
    }

    /// The installer of user isolation keeps a file that is there as it is, with the old path in it.
    fn after_isolation(&self) -> Option<Step> {
        let facts = &self.source.facts;
        facts.integrations.iter().find(|one| one.kind == IntegrationKind::UserIsolation)?;
        let id = facts.install_id.as_deref().unwrap_or("INSTALLID");
        let says = format!(
            "look whether dss_datadir is {} in /etc/dataiku-security/{id}/security-config.ini",
            self.wish.data_dir.display()
        );
        Some(Step::new("user-isolation-path", says, Act::Advice).offered(Offered::Root))
    }

    /// From the start on.
    fn life(&self) -> Vec<Step> {
        let Self { source, wish, .. } = self;
        let mut steps = Vec::new();
        if wish.start {
            let says = "start the node, and wait until it answers and goes on answering";
            steps.push(Step::new(START, says, Act::Start));
        } else {
            let start = word(&wish.data_dir.join(source.facts.node_type.control_program()));
            let says = "start the node when everything else is ready";
            steps.push(Step::new(START, says, run([start, "start".to_owned()])).offered(Offered::Hand));
        }
        let dsscli = word(&wish.data_dir.join("bin/dsscli"));
        for environment in &source.environments {
            let command = [&dsscli, "code-env-update", &environment.language, &environment.name, "--force-rebuild-env"]
                .map(str::to_owned);
            let name = format!("code-env-{}-{}", environment.language, environment.name);
            let says = format!("rebuild the code environment {}", environment.name);
            // Without the node nothing answers `dsscli`.
            let why = if wish.start { Offered::Internet } else { Offered::Hand };
            steps.push(Step::new(&name, says, run(command)).offered(why).needing_the_node());
        }
        steps.extend(self.boot());
        steps
    }

    fn boot(&self) -> Option<Step> {
        let Self { source, wish, .. } = self;
        let service = &source.facts.service;
        if service.manager == Manager::Hand {
            return None;
        }
        let script = word(&wish.kit.join("scripts/install/install-boot.sh"));
        let mut command = vec![script];
        command.extend(service.unit().and_then(instance_of).map(|name| ["-n".to_owned(), name]).into_iter().flatten());
        command.extend([word(&wish.data_dir), wish.user.clone()]);
        let says = "let the machine start the node when it boots";
        Some(Step::new("boot", says, run(command)).offered(Offered::Root))
    }

    /// A drill ends as it began: with the copy stopped.
    fn trial(&self) -> Vec<Step> {
        vec![
            Step::new(START, "start the copy, and wait until it answers and goes on answering", Act::Start),
            Step::new(STOP, "stop the copy", Act::Stop),
        ]
    }

    fn warnings(&self) -> Vec<String> {
        let Self { source, wish, ground } = self;
        let caveats = &source.record.caveats;
        let mut warnings: Vec<String> = caveats.iter().map(|caveat| format!("of the snapshot: {caveat}")).collect();
        // Snapshots made from archives have no caveats.
        let stops = source.facts.markers.iter().map(Marker::concern).filter(|one| one.severity == Severity::Stop);
        let told = stops.map(|concern| format!("{}: {}", concern.message, concern.next));
        warnings.extend(told.filter(|text| !caveats.contains(text)).map(|text| format!("of the snapshot: {text}")));
        if let Some(why) = source.packages_unknown.as_ref().filter(|_| self.python_is_elsewhere()) {
            warnings
                .push(format!("which packages its Python environment had is not known ({why}): install them by hand"));
        }
        if !wish.drill && matches!(ground.original, Some(Running::Running | Running::Unknown)) {
            let original = &source.record.data_dir;
            warnings.push(format!("the node this is a copy of runs in {original}: stop it before the copy is started"));
        }
        if let (Some(port), false) = (ground.taken_ports.first(), wish.start) {
            warnings.push(format!("port {port}, which the node needs, is in use now"));
        }
        let is_put_back = |one: &&Database| wish.databases.iter().any(|put_back| put_back.kind == one.kind.word());
        let on_servers = source.facts.databases.iter().filter(|one| one.kind != DatabaseKind::Embedded);
        for database in on_servers.filter(|one| !is_put_back(one)) {
            warnings.push(format!(
                "its database on a server ({}) is not restored: it must be there and fit before the node is started",
                database.described_in
            ));
        }
        let outside = source.facts.outside.iter().filter(|outside| outside.exists == Some(true));
        let missing: Vec<&str> =
            outside.map(|outside| outside.path.as_str()).filter(|path| !ground.has(Path::new(path))).take(8).collect();
        if !missing.is_empty() && !wish.drill {
            warnings.push(format!("what lay outside of the directory and is not here: {}", missing.join(", ")));
        }
        if source.facts.node_type == NodeType::Api && source.facts.markers.contains(&Marker::ApiNodeNotAlive) {
            warnings.push("an API node with `apinode-not-alive.txt` stays out of rotation".to_owned());
        }
        warnings
    }
}

fn run(words: impl IntoIterator<Item = String>) -> Act {
    Act::Run { command: words.into_iter().collect() }
}

/// `NAME` of `dataiku.NAME.service` or `dataiku.NAME`.
fn instance_of(unit: &str) -> Option<String> {
    let name = unit.strip_suffix(".service").unwrap_or(unit).strip_prefix("dataiku.")?;
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests;
