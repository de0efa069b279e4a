//! `encrypt --info-out`: one image and its encryption-info, for an envelope that another command or tool makes.

use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use trust::author::{Encrypted, Recipient};

use super::{Algorithm, Encrypt, PublicKeyView, RecipientView};
use crate::agreement::open_public_keys;
use crate::encryption::Readers;
use crate::error::Error;
use crate::files::{read, write_all};
use crate::image::{ImageError, MAX_IMAGE_LEN};
use crate::kind::Kind;
use crate::output::{Report, table};
use crate::recipients::Device;

#[derive(Debug, Serialize)]
pub struct EncryptedContent {
    encryption_info: PathBuf,
    ciphertext_file: PathBuf,
    algorithm: Algorithm,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    recipients: Vec<RecipientView>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    public_keys: Vec<PublicKeyView>,
    /// Of the image, which decides.
    sha256: String,
    size: u64,
    ciphertext_sha256: String,
    ciphertext_size: u64,
}

impl Encrypt {
    pub(super) fn encrypt_content(&self, info_out: &Path) -> Result<EncryptedContent, Error> {
        let image = read(&self.image, MAX_IMAGE_LEN)?;
        let refused = |source| Error::Image { path: self.image.clone(), source };
        if image.is_empty() {
            return Err(refused(ImageError::EmptyImage));
        }
        // Whoever reads it would have the key.
        if let Some(kind) = Kind::secret_in(&image) {
            return Err(refused(ImageError::Secret(kind)));
        }
        let devices = self.listed_devices()?;
        let recipients = devices.iter().map(Device::recipient).collect::<Result<Vec<Recipient>, _>>()?;
        let public = open_public_keys(&self.public_keys)?;
        let keys: Vec<_> = public.iter().map(|file| file.key.clone()).collect();
        let readers = Readers { devices: &recipients, public: &keys };
        readers.must_fit(self.algorithm.on_hosts())?;
        let made = readers
            .encrypt(self.algorithm.on_hosts(), &image)
            .map_err(|error| Error::author("the encrypted image", None, error))?;
        if !readers.are_right(self.algorithm.on_hosts(), &made, &image) {
            return Err(Error::Internal("an encrypted image cannot be read back"));
        }
        let Encrypted { info, ciphertext } = made;
        write_all(&[(&self.ciphertext_out, &ciphertext), (info_out, &info)], self.overwrite.existing())?;
        Ok(EncryptedContent {
            encryption_info: info_out.to_owned(),
            ciphertext_file: self.ciphertext_out.clone(),
            algorithm: self.algorithm,
            recipients: devices.iter().map(RecipientView::of).collect(),
            public_keys: public.iter().map(PublicKeyView::of).collect(),
            sha256: hex::encode(Sha256::digest(&image)),
            size: image.len() as u64,
            ciphertext_sha256: hex::encode(Sha256::digest(&ciphertext)),
            ciphertext_size: ciphertext.len() as u64,
        })
    }
}

impl Report for EncryptedContent {
    fn lines(&self) -> String {
        let mut rows = vec![
            ("encryption-info", self.encryption_info.display().to_string()),
            ("encrypted image file", self.ciphertext_file.display().to_string()),
            ("algorithm", self.algorithm.name().to_owned()),
        ];
        rows.extend(self.recipients.iter().map(RecipientView::row));
        rows.extend(self.public_keys.iter().map(PublicKeyView::row));
        rows.push(("image", format!("{} bytes, SHA-256 {}", self.size, self.sha256)));
        let ciphertext = format!("{} bytes, SHA-256 {}", self.ciphertext_size, self.ciphertext_sha256);
        rows.push(("encrypted image", ciphertext));
        table(&rows)
    }
}
