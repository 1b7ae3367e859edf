//! Keys, and what was done to them.

use std::path::PathBuf;

use serde::Serialize;
use zeroize::Zeroizing;

use crate::base::clock::Timestamp;
use crate::base::id::SlotId;
use crate::cli::output::View;
use crate::cli::table::{Column, Table};
use crate::cli::text;
use crate::cli::views::init::numbered;
use crate::repo::keys::{Method, SlotInfo};
use crate::vault::keys::{ListedSlot, PasswordChanged};

/// One key.
#[derive(Debug, Clone, Serialize)]
struct KeyView {
    id: SlotId,
    short_id: String,
    current: bool,
    kind: &'static str,
    label: String,
    created: Timestamp,
    hostname: String,
}

impl KeyView {
    fn new(info: &SlotInfo, current: bool) -> Self {
        let kind = match info.method {
            Method::Password(_) => "password",
            Method::RecoveryWords => "recovery_key",
        };
        Self {
            id: info.slot,
            short_id: info.slot.short(),
            current,
            kind,
            label: info.label.clone(),
            created: info.created,
            hostname: info.host.clone(),
        }
    }
}

/// All keys, oldest first.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct KeysView(Vec<KeyView>);

impl KeysView {
    /// The view of a listing.
    pub fn new(slots: &[ListedSlot]) -> Self {
        Self(slots.iter().map(|slot| KeyView::new(&slot.info, slot.current)).collect())
    }
}

impl View for KeysView {
    fn text(&self) -> String {
        let columns = ["", "id", "kind", "created", "host", "label"];
        let mut table = Table::new(&columns.map(Column::Left));
        for key in &self.0 {
            table.row([
                (if key.current { "*" } else { "" }).to_owned(),
                key.short_id.clone(),
                key.kind.replace('_', " "),
                key.created.local(),
                text::printable(key.hostname.as_bytes()),
                text::printable(key.label.as_bytes()),
            ]);
        }
        format!("{}* opened the repository just now\n", table.text())
    }
}

/// A key that was added.
#[derive(Serialize)]
pub struct AddedView {
    message_type: &'static str,
    #[serde(flatten)]
    key: KeyView,
    /// Where the words of a recovery key were written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovery_key_file: Option<PathBuf>,
    /// Words to show on the terminal; never part of the JSON.
    #[serde(skip)]
    pub words: Option<Zeroizing<String>>,
}

impl AddedView {
    /// The view of a new key.
    pub fn new(info: &SlotInfo) -> Self {
        Self { message_type: "key_added", key: KeyView::new(info, false), recovery_key_file: None, words: None }
    }
}

impl View for AddedView {
    fn text(&self) -> String {
        let mut text = format!("added {} {}\n", self.key.kind.replace('_', " "), self.key.short_id);
        if let Some(words) = &self.words {
            text.push_str("write the words down now; they are stored nowhere:\n\n");
            text.push_str(&numbered(words));
        }
        if let Some(file) = &self.recovery_key_file {
            text.push_str(&format!("its words are in {}; move them to a safe place\n", text::path(file)));
        }
        text
    }
}

/// A key that was removed.
#[derive(Debug, Serialize)]
pub struct RemovedView {
    message_type: &'static str,
    id: SlotId,
}

impl RemovedView {
    /// The view of a removed key.
    pub fn new(id: SlotId) -> Self {
        Self { message_type: "key_removed", id }
    }
}

impl View for RemovedView {
    fn text(&self) -> String {
        format!("removed key {}\n", self.id.short())
    }
}

/// A password that was changed.
#[derive(Debug, Serialize)]
pub struct ChangedView {
    message_type: &'static str,
    #[serde(flatten)]
    key: KeyView,
    replaced: Option<SlotId>,
    other_passwords: Vec<SlotId>,
}

impl ChangedView {
    /// The view of a change.
    pub fn new(changed: &PasswordChanged) -> Self {
        Self {
            message_type: "password_changed",
            key: KeyView::new(&changed.added, false),
            replaced: changed.removed,
            other_passwords: changed.others.iter().map(|info| info.slot).collect(),
        }
    }
}

impl View for ChangedView {
    fn text(&self) -> String {
        let mut text = match self.replaced {
            Some(old) => format!("new password set: key {} in place of {}\n", self.key.short_id, old.short()),
            None => format!("new password added as key {}; no other was replaced\n", self.key.short_id),
        };
        for other in &self.other_passwords {
            text.push_str(&format!("the password of key {} still opens the repository\n", other.short()));
        }
        text
    }
}
