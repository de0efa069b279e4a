//! How private keys are kept, and whether a program has a key that everybody has.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use trust::PublicKey;
use trust::host::{MAX_KEY_FILE_LEN, is_private_key};

use super::findings::{DEVELOPMENT_ANCHOR, Finding, development, is_development};
use super::quoted;
use crate::error::Error;
use crate::files::{read, read_secret};
use crate::image::{self, MAX_INPUT_LEN};
use crate::keys::{Location, PinSource, Place, Secrets, TriesLeft, token_custody, value_of};
use crate::passphrase::PassphraseSource;
use crate::private_key;

/// A key that was looked at.
pub struct Kept {
    /// What could not be seen from here.
    pub unseen: Option<&'static str>,
    pub findings: Vec<Finding>,
}

/// Looks at how a key is kept, wherever that is. No encrypted key is opened, and nobody is asked for a PIN.
pub fn of_key(key: &Location, pin: &PinSource) -> Result<Kept, Error> {
    let name = key.name();
    let mut found = Vec::new();
    let mut unseen = None;
    let public = match key.place()? {
        Place::File(path) => of_file(&path, &mut found)?,
        Place::Environment(variable) => of_private(Path::new(&name), &value_of(&variable)?, &mut found)?,
        Place::Token(uri) => {
            let custody = token_custody(&name, &uri, pin)?;
            if custody.exposures.is_none() {
                unseen = Some("its private half was not looked at: pass --pin-file");
            }
            for exposure in custody.exposures.into_iter().flatten() {
                found.push(Finding::new(
                    "key-exposed",
                    format!("the private key {name} {exposure}"),
                    "Make a new key in the token (manifest-tool key generate --key), certify it, and revoke this one.",
                ));
            }
            found.extend(custody.tries.map(|tries| wrong_pins(&name, tries)));
            custody.public
        }
        Place::Agent(_) => {
            unseen = Some("an agent does not say how it keeps the private half");
            Some(key.public_key(&Secrets { passphrase: PassphraseSource::Terminal, pin: pin.clone() })?)
        }
        Place::Program(program) => {
            unseen = Some("a program does not say how it keeps the private half");
            Some(crate::public_key::open(&program.public)?)
        }
    };
    if public.is_some_and(|key| is_development(&key)) {
        found.push(development(format!("{name} is the development key")));
    }
    Ok(Kept { unseen, findings: found })
}

fn wrong_pins(name: &str, tries: TriesLeft) -> Finding {
    Finding::new(
        "pin-tried",
        format!("wrong PINs were entered for the token of {name}: {tries}"),
        "Find out who tried. The right PIN sets the count back.",
    )
}

fn of_file(path: &Path, found: &mut Vec<Finding>) -> Result<Option<PublicKey>, Error> {
    const OTHERS: u32 = 0o077;
    let public = of_private(path, &read_secret(path, MAX_KEY_FILE_LEN)?, found)?;
    let mode = path.metadata().map(|metadata| metadata.permissions().mode()).unwrap_or(0);
    if mode & OTHERS != 0 {
        let name = path.display();
        found.push(Finding::new(
            "key-readable",
            format!("other users of this machine can read or change {name} (mode {:o})", mode & 0o777),
            format!("chmod 600 {}", quoted(&name.to_string())),
        ));
    }
    Ok(public)
}

/// The public half, if the key is not encrypted.
fn of_private(path: &Path, file: &[u8], found: &mut Vec<Finding>) -> Result<Option<PublicKey>, Error> {
    let name = path.display();
    let form = private_key::form(file).map_err(|fault| Error::PrivateKey { path: path.to_owned(), fault })?;
    if !is_private_key(file) {
        return Err(Error::Internal("a private key was not recognised"));
    }
    if form.encryption.is_some() {
        return Ok(None);
    }
    found.push(Finding::new(
        "key-unencrypted",
        format!("the private key {name} is not encrypted"),
        format!(
            "manifest-tool key passphrase {0} --out NEW.pem, then delete {0} and its copies",
            quoted(&name.to_string())
        ),
    ));
    // Keys of other forms have to be imported before they sign: of them, no more is known.
    Ok(private_key::public_half(path, file, &PassphraseSource::Terminal).ok())
}

/// A loader or application with the development anchor in it.
pub fn of_program(path: &Path) -> Result<Option<Finding>, Error> {
    let program = read(path, MAX_INPUT_LEN)?;
    let has_anchor = image::program_has(&program, &DEVELOPMENT_ANCHOR)
        .map_err(|source| Error::Image { path: path.to_owned(), source })?;
    Ok(has_anchor.then(|| development(format!("{} contains the development anchor", path.display()))))
}
