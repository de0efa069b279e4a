//! What a succession does, before it is signed.

use std::path::PathBuf;

use ledger::{Ledger, Status};
use serde::Serialize;
use trust::{PublicKey, Revoked, Role, UnixTime};

use super::history::History;
use crate::describe::{MinimumView, RevokedView, SuccessionView, kid, rights, thumbprint};
use crate::error::Error;
use crate::output::table;
use crate::time::display;

#[derive(Debug, Serialize)]
pub(super) struct Preview {
    #[serde(flatten)]
    succession: SuccessionView,
    replaces: KeyView,
    /// Absent when the replaced root grants it itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery_root: Option<KeyView>,
    /// Keys whose credentials end with the replaced root, as its ledger knows them.
    certify_again: Vec<CertifiedView>,
    /// Minimums that the first list of the new root has to state, or should.
    minimum_sequences: Vec<MinimumView>,
    /// Devices that it revokes, since the new root certifies their issuing keys again.
    revoked_devices: Vec<RevokedView>,
    /// The ledger that it closes.
    closes: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct KeyView {
    name: Option<String>,
    kid: String,
    thumbprint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rights: Option<String>,
}

#[derive(Debug, Serialize)]
struct CertifiedView {
    name: String,
    kid: String,
    role: String,
    holder: Option<String>,
    /// RFC 3339; `null`: without an end.
    expires: Option<String>,
}

impl KeyView {
    fn new(key: &PublicKey, name: Option<String>) -> Self {
        Self { name, kid: kid(key.kid()), thumbprint: thumbprint(key), number: None, rights: None }
    }

    fn in_words(&self) -> String {
        match &self.name {
            Some(name) => format!("{name} ({})", self.kid),
            None => self.kid.clone(),
        }
    }
}

impl Preview {
    /// `retiring`: the ledger of the root that is replaced. `grantor`: the recovery root, if that one grants it.
    pub(super) fn new(
        history: &History,
        succession: SuccessionView,
        retiring: Option<&Ledger>,
        grantor: Option<(&PublicKey, Option<&Ledger>)>,
        now: UnixTime,
    ) -> Result<Self, Error> {
        let root = history.root()?;
        let name = |ledger: &Ledger| ledger.opened().name.clone();
        let keys = retiring.map(|ledger| ledger.keys(now)).unwrap_or_default();
        let lives = |status| matches!(status, Status::Good | Status::NotYet);
        let certify_again = keys.iter().filter(|key| lives(key.status)).map(|key| CertifiedView {
            name: key.name.to_owned(),
            kid: key.kid.to_string(),
            role: key.role.to_owned(),
            holder: key.holder.map(str::to_owned),
            expires: key.expires().map(|end| display(end.0)),
        });
        let list = history.store.list_of(history.domain);
        let minimums = list.iter().flat_map(|list| list.minimum_sequences().map(MinimumView::from));
        let mut devices: Vec<Revoked> = retiring.map(Ledger::devices_revoked_before).unwrap_or_default();
        devices.extend(list.iter().flat_map(|list| list.revoked()).filter(|it| it.role == Role::Device));
        devices.sort_by(|one, other| one.id.as_bytes().cmp(other.id.as_bytes()));
        devices.dedup_by_key(|device| device.id);
        Ok(Self {
            succession,
            replaces: KeyView {
                number: Some(history.number().to_string()),
                rights: Some(rights(root.rights())),
                ..KeyView::new(root.key(), retiring.map(name))
            },
            recovery_root: grantor.map(|(key, ledger)| KeyView::new(key, ledger.map(name))),
            certify_again: certify_again.collect(),
            minimum_sequences: minimums.collect(),
            revoked_devices: devices.into_iter().map(RevokedView::from).collect(),
            closes: retiring.map(|ledger| ledger.folder().to_owned()),
        })
    }

    pub(super) fn lines(&self) -> String {
        table(&self.rows())
    }

    pub(super) fn rows(&self) -> Vec<(&'static str, String)> {
        let mut rows = vec![
            ("replaces", self.replaces.in_words()),
            ("its thumbprint", self.replaces.thumbprint.clone()),
            ("its number", self.replaces.number.clone().unwrap_or_default()),
            ("its rights", self.replaces.rights.clone().unwrap_or_default()),
        ];
        rows.extend(self.succession.rows());
        let by = self.recovery_root.as_ref();
        rows.push((
            "granted by",
            by.map_or("the replaced root".to_owned(), |key| format!("the recovery root {}", key.in_words())),
        ));
        rows.extend(self.closes.as_ref().map(|folder| ("closes the ledger", folder.display().to_string())));
        rows.extend(self.certify_again.iter().map(|key| {
            let CertifiedView { name, kid, role, expires, .. } = key;
            let end = expires.as_ref().map_or("without an end".to_owned(), |end| format!("until {end}"));
            ("certify again", format!("{name} ({kid}), {role}, {end}"))
        }));
        rows.extend(self.minimum_sequences.iter().map(|least| ("first list states", least.in_words())));
        rows.extend(self.revoked_devices.iter().map(|device| ("first list revokes", device.in_words())));
        rows
    }
}
