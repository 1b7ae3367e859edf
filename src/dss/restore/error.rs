//! Why a node was not brought back. Unless the error says otherwise its directory is as it was.

use std::path::PathBuf;

use crate::base::hint::Hint;
use crate::base::size::ByteCount;
use crate::dss::control::ControlError;
use crate::dss::datadir::error::DatadirError;
use crate::postgres::error::PgError;
use crate::vault::VaultError;

/// A pristine restore that did not happen.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The restore of the files.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// Stopping, starting, or looking whether it runs.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// What lies at the place.
    #[error(transparent)]
    Datadir(#[from] DatadirError),
    /// A database of it.
    #[error(transparent)]
    Database(#[from] PgError),
    /// The snapshot is of something else.
    #[error("the snapshot is not of a DSS node: it has no place of its own to be restored to")]
    NoNode,
    /// As of some archives.
    #[error("the snapshot does not tell where its node lived")]
    NoPlace,
    /// It must not run.
    #[error("the node runs: {evidence}")]
    Runs {
        /// What was seen.
        evidence: String,
    },
    /// Another machine.
    #[error("the snapshot is of a node of `{from}`, and this is `{here}`")]
    OtherMachine {
        /// Where it was made.
        from: String,
        /// This one.
        here: String,
    },
    /// Another installation lives there.
    #[error("{} is another installation ({there}) than the one of the snapshot ({wanted})", data_dir.display())]
    OtherNode {
        /// The place.
        data_dir: PathBuf,
        /// Its install id.
        there: String,
        /// The snapshot's.
        wanted: String,
    },
    /// Something that is no data directory lies there.
    #[error("{} is there and is no DSS data directory: {cause}", data_dir.display())]
    Occupied {
        /// The place.
        data_dir: PathBuf,
        /// Why it is none.
        cause: DatadirError,
    },
    /// The installed software is of another version.
    #[error("the software in {kit} is version {there}, the snapshot is of {wanted}: {why}")]
    Version {
        /// The kit.
        kit: String,
        /// Its version.
        there: String,
        /// The snapshot's.
        wanted: String,
        /// Downgrade or upgrade.
        why: &'static str,
    },
    /// Nothing can be made or exchanged there.
    #[error("{} cannot be replaced: {why}", data_dir.display())]
    NotReplaceable {
        /// The place.
        data_dir: PathBuf,
        /// Why.
        why: String,
    },
    /// Two copies do not fit.
    #[error("a second copy of {} needs {needed}, and {free} are free", data_dir.display())]
    NoRoom {
        /// The place.
        data_dir: PathBuf,
        /// What the content takes.
        needed: ByteCount,
        /// What the volume has.
        free: ByteCount,
    },
    /// A link lies in the place of the directory.
    #[error("{} is a symbolic link to {}, and was a directory when the snapshot was made", data_dir.display(), target.display())]
    Link {
        /// The place.
        data_dir: PathBuf,
        /// Where it leads.
        target: PathBuf,
    },
    /// Neither root nor the owner.
    #[error("only root or the account `{owner}` may bring the node in {} back", data_dir.display())]
    NotOwner {
        /// The place.
        data_dir: PathBuf,
        /// Whose it is.
        owner: String,
    },
    /// Somebody else listens where the node would.
    #[error("port {port} of the node in {} is taken, by no process that can be told to be the node's", data_dir.display())]
    PortTaken {
        /// The place.
        data_dir: PathBuf,
        /// The first of the ports that are taken.
        port: u16,
    },
    /// The software is not there.
    #[error("the software of the node is not in {kit}: it could not be started")]
    NoKit {
        /// Where it was.
        kit: String,
        /// Its version.
        version: String,
    },
    /// A restore has left its entries partly exchanged.
    #[error(
        "a restore of snapshot {snapshot} was interrupted and has left {} half exchanged{}",
        data_dir.display(),
        cause.as_ref().map(|cause| format!(": {cause}")).unwrap_or_default()
    )]
    HalfExchanged {
        /// The place.
        data_dir: PathBuf,
        /// Whose content it has in part.
        snapshot: String,
        /// Why it could not be put back at once.
        cause: Option<Box<RestoreError>>,
    },
    /// It was being rewritten in its place, and that did not come to its end.
    #[error("the node in {} is stopped, and may be rewritten only in part: {cause}", data_dir.display())]
    HalfRewritten {
        /// The place.
        data_dir: PathBuf,
        /// Why.
        cause: Box<VaultError>,
    },
    /// Programs could not be run there.
    #[error("the file system of {} is mounted noexec: DSS cannot run from it", data_dir.display())]
    NoExec {
        /// The place.
        data_dir: PathBuf,
    },
    /// An earlier restore of this snapshot kept its predecessor there.
    #[error("{} is there already, from an earlier restore of this snapshot", before.display())]
    KeptBefore {
        /// The kept directory.
        before: PathBuf,
    },
    /// Nobody knows what it is.
    #[error("{} is there, and no restore of this machine made it", path.display())]
    InTheWay {
        /// It.
        path: PathBuf,
    },
    /// Nothing to undo or forget.
    #[error("there is no {}: no restore of this snapshot kept a directory here", before.display())]
    NothingKept {
        /// Where it would be.
        before: PathBuf,
    },
    /// A directory could not be renamed or removed.
    #[error("cannot {action} {}: {source}", path.display())]
    Local {
        /// The verb.
        action: &'static str,
        /// The directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl RestoreError {
    /// Whether it was refused by policy, and not a failure.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Control(cause) => cause.is_refusal(),
            Self::Database(cause) => cause.is_refusal(),
            Self::Vault(_) | Self::Datadir(_) | Self::Local { .. } | Self::NoNode | Self::NothingKept { .. } => false,
            Self::HalfRewritten { .. } => false,
            Self::HalfExchanged { cause, .. } => cause.is_none(),
            Self::Runs { .. }
            | Self::OtherMachine { .. }
            | Self::OtherNode { .. }
            | Self::Occupied { .. }
            | Self::Version { .. }
            | Self::NotReplaceable { .. }
            | Self::NoRoom { .. }
            | Self::Link { .. }
            | Self::NotOwner { .. }
            | Self::PortTaken { .. }
            | Self::NoKit { .. }
            | Self::NoExec { .. }
            | Self::KeptBefore { .. }
            | Self::InTheWay { .. }
            | Self::NoPlace => true,
        }
    }
}

impl Hint for RestoreError {
    fn hint(&self) -> Option<String> {
        let plain = "restore its files with `--target DIR` instead";
        Some(match self {
            Self::Database(cause) => return cause.hint(),
            Self::Vault(cause) => return cause.hint(),
            Self::Control(cause) => return cause.hint(),
            Self::Datadir(cause) => return cause.hint(),
            Self::NoNode => "say where to with `--target DIR`".to_owned(),
            Self::Runs { .. } => "stop it, or say `--stop`".to_owned(),
            Self::OtherMachine { .. } => {
                format!("say where to with `--data-dir` (and `--dry-run` to see the steps), or {plain}")
            }
            Self::OtherNode { .. } => format!("name another place with `--data-dir`, or {plain}"),
            Self::Occupied { .. } => "move it away".to_owned(),
            Self::Version { wanted, .. } => {
                format!("install the kit of version {wanted} there, or a newer one and name it with `--install-dir`")
            }
            Self::NotReplaceable { .. } => {
                format!("say `--in-place`: it rewrites what differs and cannot be undone; or {plain}")
            }
            Self::NoRoom { .. } => {
                "make room, or say `--in-place`: it rewrites what differs and cannot be undone".to_owned()
            }
            Self::Link { target, .. } => {
                format!("put the directory {} back in its place and remove the link, or {plain}", target.display())
            }
            Self::NotOwner { owner, .. } => format!("run as root or as `{owner}`, or {plain}"),
            Self::PortTaken { port, .. } => {
                format!("`ss -ltnp 'sport = :{port}'` run as root shows who it is: end it; then restore again")
            }
            Self::NoKit { kit, version } => format!("unpack the kit of DSS {version} at {kit}, or leave `--start` out"),
            Self::HalfExchanged { snapshot, .. } => {
                format!("`dssvault restore {snapshot}` completes it, `dssvault restore {snapshot} --undo` puts it back")
            }
            Self::HalfRewritten { .. } => {
                "do not start it: mend the cause, and give the same command again until it comes to its end".to_owned()
            }
            Self::NoExec { .. } => "mount it without noexec".to_owned(),
            Self::NoPlace => "say where it shall come to with `--data-dir`".to_owned(),
            Self::InTheWay { .. } => "look what it is, and move it away".to_owned(),
            Self::KeptBefore { .. } => {
                "`--undo` puts it back, `--forget-old` removes it; then restore again".to_owned()
            }
            Self::NothingKept { .. } => {
                "look for `DATA_DIR.before-…` beside the data directory, and for `.dssvault-before-…` in it".to_owned()
            }
            Self::Local { .. } => "run as root, or as the account that owns the parent directory".to_owned(),
        })
    }
}
