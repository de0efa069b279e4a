//! Public keys: those of ours, and those with which `verify --public-key` judges.

use std::path::Path;

use serde::Serialize;
use trust::blocks::VerifyingKey;
use trust::host::parse_public_key;

use crate::describe::kid;
use crate::error::Error;

#[derive(Debug, Serialize)]
pub(super) struct KeyView {
    kid: String,
    curve: &'static str,
    public_key: String,
    cose_key: String,
}

impl KeyView {
    pub(super) fn of(path: &Path, file: &[u8]) -> Result<Self, Error> {
        let Ok(key) = VerifyingKey::parse(file) else {
            let fault = parse_public_key(file).err().ok_or(Error::Internal("two readers of a key differ"))?;
            return Err(Error::public_key(path, fault));
        };
        Ok(Self {
            kid: kid(key.kid()),
            curve: key.curve_name(),
            public_key: hex::encode(key.point()),
            cose_key: hex::encode(key.cose_key()),
        })
    }

    pub(super) fn rows(&self) -> Vec<(&'static str, String)> {
        vec![
            ("kid", self.kid.clone()),
            ("curve", self.curve.to_owned()),
            ("public key", self.public_key.clone()),
        ]
    }
}
