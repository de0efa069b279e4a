//! `key info`: what a key is and how it is protected, with as few secrets as the place asks for.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use serde::Serialize;
use trust::PublicKey;
use trust::host::{KeyFileError, MAX_KEY_FILE_LEN, is_private_key, parse_public_key};

use crate::commands::{SecretArguments, location};
use crate::describe;
use crate::error::Error;
use crate::files::read_secret;
use crate::keys::{Location, Place, Secrets, ssh_fingerprint, token_details};
use crate::memory;
use crate::output::{Report, table};
use crate::passphrase::PassphraseSource;
use crate::private_key;

/// Show what a key is, and how it is protected
#[derive(clap::Args, Clone, Debug)]
pub struct Info {
    /// Key, wherever it is kept; without --passphrase-file an encrypted file is not opened
    #[arg(value_name = "KEY", value_parser = location())]
    key: Location,
    #[command(flatten)]
    secrets: SecretArguments,
}

#[derive(Debug, Default, Serialize)]
pub struct Shown {
    key: String,
    /// What it is, or where.
    form: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    encryption: Option<String>,
    /// Mode and owner of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    permissions: Option<String>,
    /// Of a token: name and value.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    token: Vec<(&'static str, String)>,
    /// `None`: the key is encrypted, and no passphrase was given.
    #[serde(flatten)]
    public: Option<PublicHalf>,
    memory_locked: bool,
}

/// Names of a key.
#[derive(Debug, Serialize)]
struct PublicHalf {
    kid: String,
    public_key: String,
    /// RFC 9679, SHA-256, of the COSE_Key.
    thumbprint: String,
    ssh_fingerprint: String,
}

impl PublicHalf {
    fn new(key: &PublicKey) -> Self {
        Self {
            kid: describe::kid(key.kid()),
            public_key: hex::encode(key.as_bytes()),
            thumbprint: hex::encode(trust::sha256(&key.to_cose_key())),
            ssh_fingerprint: format!("SHA256:{}", ssh_fingerprint(key.as_bytes())),
        }
    }
}

impl Info {
    pub fn run(&self) -> Result<Shown, Error> {
        let secrets = self.secrets.of(&self.key)?;
        let key = self.key.name();
        let shown = match self.key.place()? {
            Place::File(path) => of_file(&path, &secrets)?,
            Place::Environment(_) => Shown {
                form: "PEM in the environment".into(),
                public: Some(PublicHalf::new(&self.key.public_key(&secrets)?)),
                ..Shown::default()
            },
            place @ (Place::Token(_) | Place::Agent(_) | Place::Program(_)) => {
                let public = self.key.public_key(&secrets)?;
                let (form, token) = match &place {
                    Place::Token(uri) => ("key in a token", token_details(&key, uri, &secrets.pin)?),
                    Place::Agent(_) => ("key of an SSH agent", Vec::new()),
                    _ => ("key of a program", Vec::new()),
                };
                Shown { form: form.into(), token, public: Some(PublicHalf::new(&public)), ..Shown::default() }
            }
        };
        Ok(Shown { key, memory_locked: memory::is_locked(), ..shown })
    }
}

fn of_file(path: &Path, secrets: &Secrets) -> Result<Shown, Error> {
    let file = read_secret(path, MAX_KEY_FILE_LEN)?;
    if !is_private_key(&file) {
        let public = match parse_public_key(&file) {
            // Neither half: the reader of private keys knows more forms.
            Err(KeyFileError::Unknown | KeyFileError::OtherForm(_) | KeyFileError::Label(_)) => {
                private_key::form(&file)
                    .map_err(|fault| Error::PrivateKey { path: path.to_owned(), fault })?;
                return Err(Error::Internal("a private key was not recognised"));
            }
            public => public.map_err(|error| Error::public_key(path, error))?,
        };
        return Ok(Shown {
            form: format!("public key, {}", public_form(&file)),
            public: Some(PublicHalf::new(&public)),
            ..Shown::default()
        });
    }
    let form =
        private_key::form(&file).map_err(|fault| Error::PrivateKey { path: path.to_owned(), fault })?;
    let is_open = form.encryption.is_none() || matches!(secrets.passphrase, PassphraseSource::File(_));
    let public = is_open.then(|| private_key::public_half(path, &file, &secrets.passphrase)).transpose()?;
    Ok(Shown {
        form: format!("private key, {}", form.form),
        encryption: Some(form.encryption.unwrap_or_else(|| "NONE".into())),
        permissions: permissions(path),
        public: public.as_ref().map(PublicHalf::new),
        ..Shown::default()
    })
}

fn public_form(file: &[u8]) -> &'static str {
    match file {
        [0xa3, ..] => "COSE_Key",
        [0x30, ..] => "SPKI DER",
        file if file.windows(10).any(|window| window == b"-----BEGIN") => "SPKI PEM",
        _ => "OpenSSH",
    }
}

/// A pipe has none.
fn permissions(path: &Path) -> Option<String> {
    let metadata = path.metadata().ok().filter(std::fs::Metadata::is_file)?;
    let mode = metadata.permissions().mode() & 0o777;
    let others = if mode & 0o077 == 0 { "its owner only" } else { "OTHERS TOO" };
    Some(format!("{mode:o}, user {}: {others}", metadata.uid()))
}

impl Report for Shown {
    fn lines(&self) -> String {
        let mut rows = vec![("key", self.key.clone()), ("form", self.form.clone())];
        rows.extend(self.encryption.iter().map(|encryption| ("encryption", encryption.clone())));
        rows.extend(self.permissions.iter().map(|permissions| ("readable", permissions.clone())));
        rows.extend(self.token.iter().cloned());
        match &self.public {
            Some(public) => rows.extend([
                ("kid", public.kid.clone()),
                ("public key", public.public_key.clone()),
                ("thumbprint", public.thumbprint.clone()),
                ("OpenSSH", public.ssh_fingerprint.clone()),
            ]),
            None => rows.push(("kid", "encrypted: pass --passphrase-file".into())),
        }
        let locked =
            if self.memory_locked { "locked" } else { "may be swapped: the system limits locked memory" };
        rows.push(("memory", locked.into()));
        table(&rows)
    }
}
