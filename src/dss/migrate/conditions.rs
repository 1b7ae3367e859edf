//! What must hold before anything is touched. Installers do not ask: measured, one of them took a newer data directory
//! and marked it as its own, older version without a word.

use crate::dss::control::evidence::Running;
use crate::dss::datadir::databases::DatabaseKind;
use crate::dss::datadir::integrations::IntegrationKind;
use crate::dss::datadir::links::LeavingLink;
use crate::dss::migrate::Wish;
use crate::dss::migrate::error::MigrateError;
use crate::dss::migrate::ground::{Ground, Occupancy};
use crate::dss::migrate::source::Source;
use crate::dss::migrate::step::Plan;

/// Checks them all.
pub fn hold(source: &Source, wish: &Wish, ground: &Ground) -> Result<(), MigrateError> {
    software(source, wish, ground)?;
    place(source, wish, ground)?;
    account(wish, ground)?;
    control(wish, ground)?;
    ports(wish, ground)?;
    databases(source, wish)?;
    links(source, wish, ground)?;
    twins(source, wish, ground)
}

fn software(source: &Source, wish: &Wish, ground: &Ground) -> Result<(), MigrateError> {
    let kit = wish.kit.display();
    let Some(there) = &ground.kit else {
        return Err(MigrateError::refused(
            format!("there is no DSS kit in {kit}"),
            "unpack the kit of the snapshot's version or a newer one, and name it with `--install-dir`",
        ));
    };
    let Some(wanted) = &source.facts.version else {
        return Err(MigrateError::refused(
            "the snapshot does not tell the version of its node",
            "restore its files with `--target DIR`",
        ));
    };
    if there < wanted {
        return Err(MigrateError::refused(
            format!("the kit in {kit} is version {there}, the snapshot is of {wanted}: DSS must not be downgraded"),
            format!("unpack the kit of version {wanted} or a newer one, and name it with `--install-dir`"),
        ));
    }
    match &wish.python {
        Some(python) if !ground.has(python) => Err(MigrateError::refused(
            format!("there is no {}", python.display()),
            "name the Python the built-in environment is to be made from, by its path",
        )),
        _ => Ok(()),
    }
}

fn place(source: &Source, wish: &Wish, ground: &Ground) -> Result<(), MigrateError> {
    let data_dir = wish.data_dir.display();
    match &ground.place {
        Occupancy::Other(what) => {
            return Err(MigrateError::refused(
                format!("{data_dir} is not empty: {what}"),
                "move it away, or name another place with `--data-dir`",
            ));
        }
        Occupancy::Same(_) if wish.drill => {
            return Err(MigrateError::refused(format!("{data_dir} is the node itself"), "name an empty place"));
        }
        Occupancy::Same(Running::Running) => {
            return Err(MigrateError::refused(format!("the node in {data_dir} runs"), "stop it first"));
        }
        Occupancy::Same(Running::Unknown) => {
            let what = format!("it cannot be told whether the node in {data_dir} runs");
            return Err(MigrateError::refused(what, "run as root to see more, or stop it"));
        }
        Occupancy::Same(Running::Stopped) if ground.into => {
            return Err(MigrateError::refused(
                format!("{data_dir} holds the old node and cannot be renamed"),
                "restore it there with `--in-place`, or name another place with `--data-dir`",
            ));
        }
        Occupancy::Same(Running::Stopped) | Occupancy::Free => {}
    }
    if wish.data_dir.starts_with(&wish.kit) || wish.kit.starts_with(&wish.data_dir) {
        let what = format!("{data_dir} and the kit in {} lie in each other", wish.kit.display());
        return Err(MigrateError::refused(what, "name another place with `--data-dir`"));
    }
    if ground.noexec {
        let what = format!("the file system of {data_dir} is mounted noexec: DSS cannot run from it");
        return Err(MigrateError::refused(what, "mount it without noexec"));
    }
    let isolated = source.facts.integrations.iter().any(|one| one.kind == IntegrationKind::UserIsolation);
    if isolated && !ground.acls {
        let what = format!("the file system of {data_dir} keeps no ACLs, which user isolation needs");
        return Err(MigrateError::refused(what, "choose a file system that does, or mount it with `acl`"));
    }
    // File systems need something for themselves, and other programs write meanwhile.
    if source.bytes.saturating_add(source.bytes / 50) > ground.free {
        return Err(MigrateError::no_room(source.bytes, ground.free));
    }
    Ok(())
}

fn account(wish: &Wish, ground: &Ground) -> Result<(), MigrateError> {
    let user = &wish.user;
    match &ground.account {
        None => Err(MigrateError::refused(
            format!("there is no account `{user}` here"),
            format!("make it (`useradd --create-home {user}`), or name another with `--user`"),
        )),
        Some(account) if account.uid == 0 => {
            Err(MigrateError::refused("DSS does not run as root", "name the account it shall run as with `--user`"))
        }
        Some(_) if !ground.is_root && !ground.is_account => Err(MigrateError::refused(
            format!("only root or `{user}` may restore a node of `{user}`"),
            format!("run as root, or as `{user}`"),
        )),
        Some(_) => Ok(()),
    }
}

/// What cannot be started in the end is told in the beginning.
fn control(wish: &Wish, ground: &Ground) -> Result<(), MigrateError> {
    match &ground.barred {
        Some((what, hint)) if wish.start => Err(MigrateError::refused(what, hint)),
        _ => Ok(()),
    }
}

fn ports(wish: &Wish, ground: &Ground) -> Result<(), MigrateError> {
    let Some(base) = wish.port else { return Ok(()) };
    if !(1024..=65526).contains(&base) {
        return Err(MigrateError::refused(format!("{base} cannot be the first of ten ports"), "choose 1024 to 65526"));
    }
    match ground.taken_ports.first() {
        // Without a start it may be free by the time it is needed; the plan warns.
        Some(_) if !wish.start && !wish.port_is_new => Ok(()),
        Some(port) => {
            Err(MigrateError::refused(busy(*port, base), "stop what uses it, or choose another with `--port`"))
        }
        None => Ok(()),
    }
}

/// A copy that speaks to the database of production would be production.
fn databases(source: &Source, wish: &Wish) -> Result<(), MigrateError> {
    for database in source.facts.databases.iter().filter(|one| one.kind != DatabaseKind::Embedded) {
        let put_back = wish.databases.iter().find(|one| one.kind == database.kind.word());
        let described_in = &database.described_in;
        let same = format!("the node has a database on a server ({described_in}), and its copy would use the same one");
        match put_back {
            Some(put_back) if wish.drill && !put_back.moved => {
                return Err(MigrateError::refused(same, "name another place for it with `--database-map`"));
            }
            None if wish.drill => {
                return Err(MigrateError::refused(same, "drill a snapshot that holds the database too"));
            }
            None if wish.start && !wish.keep_databases => {
                return Err(MigrateError::refused(
                    same,
                    "say `--databases skip` if it is to go on with that one, and nothing else uses it any more; or \
                     restore without `--start`, and point the configuration to another one first",
                ));
            }
            Some(_) | None => {}
        }
    }
    Ok(())
}

/// A copy would work on what its links lead to, and that is production's.
fn links(source: &Source, wish: &Wish, ground: &Ground) -> Result<(), MigrateError> {
    let is_there = |link: &&LeavingLink| !link.is_only_read() && ground.has(&link.seen_from(&wish.data_dir));
    match source.facts.links.iter().find(is_there).filter(|_| wish.drill) {
        Some(link) => Err(MigrateError::refused(
            format!("{} is a link to {}, which is there: a copy would work on it too", link.path, link.leads_to),
            "try the copy on a machine where that is not there, or restore the files with `--target DIR`",
        )),
        None => Ok(()),
    }
}

fn busy(port: u16, base: u16) -> String {
    format!("port {port} is in use; the node needs ten from {base} on")
}

fn twice(source: &Source) -> String {
    format!("the node this is a copy of runs in {}: all scenarios would run twice", source.record.data_dir)
}

/// What must still hold when the node is started, which may be long after the plan was made.
pub fn may_start(source: &Source, plan: &Plan, original: Option<Running>, taken: &[u16]) -> Result<(), String> {
    if !plan.drill && matches!(original, Some(Running::Running | Running::Unknown)) {
        return Err(twice(source));
    }
    match (taken.first(), plan.port) {
        (Some(port), Some(base)) => Err(busy(*port, base)),
        _ => Ok(()),
    }
}

/// Two nodes of one installation: scenarios would run twice.
fn twins(source: &Source, wish: &Wish, ground: &Ground) -> Result<(), MigrateError> {
    let running = matches!(ground.original, Some(Running::Running | Running::Unknown));
    if running && wish.start && !wish.drill {
        return Err(MigrateError::refused(twice(source), "stop it for good first; for a copy beside it use `--drill`"));
    }
    Ok(())
}
