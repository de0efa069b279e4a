//! The keys in a provisioning block: what names them, and never the keys.

use serde::Serialize;
use trust::device_keys::{DeviceKeys, Purpose};

use crate::describe::kid;
use crate::master_key::purpose_name;

#[derive(Debug, Serialize)]
pub(super) struct DeviceKeyView {
    purpose: &'static str,
    kid: String,
    revision: u32,
}

impl DeviceKeyView {
    pub(super) fn of(keys: &DeviceKeys) -> Vec<Self> {
        let view = |purpose: Purpose| {
            let key = keys.of(purpose)?;
            let purpose = purpose_name(purpose);
            Some(Self { purpose, kid: kid(*key.kid()), revision: key.revision() })
        };
        Purpose::ALL.into_iter().filter_map(view).collect()
    }

    /// Whether the maker is known by it.
    pub(super) fn authenticates(&self) -> bool {
        self.purpose == purpose_name(Purpose::Authentication)
    }

    pub(super) fn row(&self) -> (&'static str, String) {
        let Self { purpose, kid, revision } = self;
        ("key (secret)", format!("{purpose}: {kid}, revision {revision}"))
    }
}
