//! Private keys on disk: PKCS#8 PEM (RFC 5958, RFC 7468), encrypted with PBES2 (RFC 8018) unless `--no-passphrase` is
//! given.

mod fault;
mod foreign;
mod form;

pub use fault::KeyFault;
pub use form::{FileForm, form};

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use ed25519_dalek::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, KeypairBytes};
use pkcs8::pkcs5::pbes2::{self, Kdf, Pbkdf2Params, Salt, ScryptParams};
use pkcs8::pkcs5::{self, EncryptionScheme};
use pkcs8::{EncryptedPrivateKeyInfoRef, LineEnding, ObjectIdentifier, PrivateKeyInfoRef, SecretDocument};
use trust::PublicKey;
use trust::author::{Signer as _, SoftwareKey};
use trust::blocks::{BlockSigner, P256Key, VerifyingKey};
use trust::host::{MAX_KEY_FILE_LEN, Pem, PemError, contains, is_private_key, printable, without_mark};
use zeroize::{Zeroize as _, Zeroizing};

use crate::error::Error;
use crate::files::{OTHERS, PEM_PRIVATE_KEY, must_be_absent, read_secret, write_secret};
use crate::memory;
use crate::output::warning;
use crate::passphrase::{PassphraseSource, Purpose};

const PLAIN_LABEL: &str = "PRIVATE KEY";
const OPENSSH_LABEL: &str = "OPENSSH PRIVATE KEY";
/// ECPrivateKey (RFC 5915 section 4).
const SEC1_LABEL: &str = "EC PRIVATE KEY";
/// id-ecPublicKey (RFC 5480 section 2.1.1).
const ID_EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// id-Ed25519 (RFC 8410 section 3).
const ID_ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// prime-field (RFC 3279 section 2.3.5) in DER, which a named curve does not have.
const PRIME_FIELD: &[u8] = &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x01, 0x01];
/// How ssh-keygen begins the file of a public key.
const SSH_LINES: [&[u8]; 3] = [b"ssh-", b"ecdsa-sha2-", b"sk-"];
/// PEM of other algorithms, before PKCS#8 (RFC 7468 section 10).
const OTHER_ALGORITHMS: [&str; 3] = [SEC1_LABEL, "RSA PRIVATE KEY", "DSA PRIVATE KEY"];
/// Forms that are known and not read: how such a file begins, and its name.
const OTHER_FORMS: [(&[u8], &str); 4] = [
    (b"-----BEGIN PGP", "an OpenPGP key"),
    (b"AGE-SECRET-KEY-", "an age identity"),
    (b"PuTTY-User-Key-File", "a PuTTY key"),
    (b"{", "JSON, such as a JWK"),
];
const ENCRYPTED_LABEL: &str = "ENCRYPTED PRIVATE KEY";
/// The tag with which DER begins.
const DER_SEQUENCE: u8 = 0x30;

/// scrypt's N for new keys: 128 MiB of memory. A root's key is meant to last, and its file to be stolen one day.
const SCRYPT_COST: u64 = 1 << 17;
/// Rounds of PBKDF2 with HMAC-SHA-256 for new keys.
const PBKDF2_ROUNDS: u32 = 600_000;

/// Memory that deriving the key from a passphrase may take, bytes: a key file names its own cost. That of N = 2^18
/// with r = 8, and 1 MiB for the p lanes.
const MAX_SCRYPT_MEMORY: u64 = 257 * 1024 * 1024;
/// Likewise for its time: scrypt's N * r * p.
const MAX_SCRYPT_WORK: u64 = 1 << 26;
const MAX_PBKDF2_ROUNDS: u32 = 10_000_000;

/// How a new key file derives its key from the passphrase.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub enum Derivation {
    /// scrypt with 128 MiB of memory: the most expensive to guess
    #[default]
    Scrypt,
    /// PBKDF2: opens in OpenSSL too, which takes no scrypt above 32 MiB
    Pbkdf2,
}

/// Makes a key, writes it (0600, never over a file) and opens it again. `None`: not encrypted.
pub fn generate(
    path: &Path,
    passphrase: Option<(&PassphraseSource, Purpose)>,
    derivation: Derivation,
) -> Result<SoftwareKey, Error> {
    must_be_absent(path)?;
    let passphrase = passphrase.map(|(source, purpose)| source.passphrase(purpose, path)).transpose()?;
    let mut seed = Zeroizing::new([0; 32]);
    random(seed.as_mut())?;
    write_key(path, &seed, passphrase, derivation)
}

/// Form of a private key file to write.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Form {
    /// PKCS#8 PEM, the form of all commands that sign
    Pkcs8,
    /// PKCS#8 DER
    Pkcs8Der,
    /// OpenSSH, as ssh-keygen writes it
    Openssh,
}

/// Writes the key of `from`, in whatever form it is, to another file under another passphrase (`None`: not encrypted).
/// `from` stays.
pub fn rewrite(
    from: (&Path, &PassphraseSource),
    to: (&Path, Form),
    passphrase: Option<(&PassphraseSource, Purpose)>,
    derivation: Derivation,
) -> Result<SoftwareKey, Error> {
    let ((old, source), (path, form)) = (from, to);
    must_be_absent(path)?;
    let file = read_secret(old, MAX_KEY_FILE_LEN)?;
    warn_of_readers(old, &file);
    let (seed, _) = foreign::decode(old, &file, || source.passphrase(Purpose::Open, old))?;
    let passphrase = passphrase.map(|(source, purpose)| source.passphrase(purpose, path)).transpose()?;
    let content = match form {
        Form::Pkcs8 => return write_key(path, &seed, passphrase, derivation),
        Form::Pkcs8Der => {
            let pem = pem_of(&seed, passphrase.as_deref(), derivation)?;
            let (_, der) = SecretDocument::from_pem(&pem).map_err(|error| operation("encoded", error))?;
            Zeroizing::new(der.as_bytes().to_vec())
        }
        Form::Openssh => {
            let pem = foreign::encode_ssh(&seed, passphrase.as_ref().map(|passphrase| passphrase.as_str()))?;
            Zeroizing::new(pem.as_bytes().to_vec())
        }
    };
    let (again, key) = foreign::decode(path, &content, || {
        passphrase.clone().ok_or(Error::Internal("an unencrypted key needed a passphrase"))
    })?;
    if *again != *seed {
        return Err(Error::Internal("the private key file cannot be read back"));
    }
    write_secret(path, &content)?;
    Ok(key)
}

/// Opens a private key file in any form, with the seed of the key: to copy it.
pub(crate) fn open_seed(
    path: &Path,
    passphrase: &PassphraseSource,
) -> Result<(Zeroizing<[u8; 32]>, SoftwareKey), Error> {
    let file = read_secret(path, MAX_KEY_FILE_LEN)?;
    warn_of_readers(path, &file);
    foreign::decode(path, &file, || passphrase.passphrase(Purpose::Open, path))
}

/// Writes the key of a seed, as [`generate`] does.
pub(crate) fn restore(
    path: &Path,
    seed: &[u8; 32],
    passphrase: Option<(&PassphraseSource, Purpose)>,
    derivation: Derivation,
) -> Result<SoftwareKey, Error> {
    must_be_absent(path)?;
    let passphrase = passphrase.map(|(source, purpose)| source.passphrase(purpose, path)).transpose()?;
    write_key(path, seed, passphrase, derivation)
}

fn write_key(
    path: &Path,
    seed: &[u8; 32],
    passphrase: Option<Zeroizing<String>>,
    derivation: Derivation,
) -> Result<SoftwareKey, Error> {
    let pem = pem_of(seed, passphrase.as_deref(), derivation)?;
    let key = decode(path, pem.as_bytes(), || {
        passphrase.clone().ok_or(Error::Internal("an unencrypted key needed a passphrase"))
    })?;
    write_secret(path, pem.as_bytes())?;
    Ok(key)
}

fn pem_of(
    seed: &[u8; 32],
    passphrase: Option<&String>,
    derivation: Derivation,
) -> Result<Zeroizing<String>, Error> {
    match passphrase {
        Some(passphrase) => encrypt(seed, passphrase, derivation),
        None => encode(seed),
    }
}

/// Opens a key file; only an encrypted key needs the passphrase.
pub fn open(path: &Path, passphrase: &PassphraseSource) -> Result<SoftwareKey, Error> {
    parse(path, &read_secret(path, MAX_KEY_FILE_LEN)?, passphrase)
}

/// Opens the content of a key file, which was read from `path`.
pub fn parse(path: &Path, file: &[u8], passphrase: &PassphraseSource) -> Result<SoftwareKey, Error> {
    warn_of_readers(path, file);
    decode(path, file, || passphrase.passphrase(Purpose::Open, path))
}

/// Opens the content of a key file that signs blocks: a key of Ed25519, or one of P-256, which may be in DER too: no command
/// imports it. `path` is for messages.
pub fn parse_block_signer(
    path: &Path,
    file: &[u8],
    passphrase: &PassphraseSource,
) -> Result<BlockSigner, Error> {
    let unusable = |fault| Error::PrivateKey { path: path.to_owned(), fault };
    let (label, der, is_pem) = match private_block(file) {
        Ok(pem) => {
            let mut der = Zeroizing::new(Vec::new());
            pem.decode(&mut der).map_err(|error| unusable(KeyFault::Pem(error)))?;
            (pem.label(), der, true)
        }
        Err(KeyFault::Der) => (foreign::label_of_der(file), Zeroizing::new(file.to_vec()), false),
        Err(fault) => return Err(unusable(fault)),
    };
    let of_p256 = |key: Option<P256Key>, der: &[u8]| {
        let fault = if contains(der, PRIME_FIELD) { KeyFault::Parameters } else { KeyFault::Curve };
        key.map(|key| BlockSigner::P256(Box::new(key))).ok_or_else(|| unusable(fault))
    };
    match label {
        SEC1_LABEL => return of_p256(P256Key::from_sec1_der(&der), &der),
        OPENSSH_LABEL => return Err(unusable(foreign::fault_of_ssh(&der))),
        _ if OTHER_ALGORITHMS.contains(&label) => return Err(unusable(KeyFault::Curve)),
        _ => {}
    }
    let plain = plain_der(path, label, &der, || passphrase.passphrase(Purpose::Open, path))?;
    let Ok(info) = PrivateKeyInfoRef::try_from(plain.as_slice()) else {
        // In DER nothing says that it is not PKCS#8.
        return of_p256(P256Key::from_sec1_der(&plain), &plain);
    };
    if info.algorithm.oid == ID_EC_PUBLIC_KEY {
        return of_p256(P256Key::from_pkcs8_der(&plain), &plain);
    }
    if info.algorithm.oid != ID_ED25519 {
        return Err(unusable(KeyFault::Curve));
    }
    if !is_pem {
        return Err(unusable(KeyFault::Der));
    }
    let (_, key) = decode_der(path, PLAIN_LABEL, &plain, || {
        Err(Error::Internal("an unencrypted key needed a passphrase"))
    })?;
    Ok(BlockSigner::Ed25519(Box::new(key)))
}

/// The same of a file.
pub fn open_block_signer(path: &Path, passphrase: &PassphraseSource) -> Result<BlockSigner, Error> {
    open_read_block_signer(path, &read_secret(path, MAX_KEY_FILE_LEN)?, passphrase)
}

/// The public half of a private key file in any form, also of one that has to be imported before it signs.
pub fn public_half(path: &Path, file: &[u8], passphrase: &PassphraseSource) -> Result<PublicKey, Error> {
    let (_, key) = foreign::decode(path, file, || passphrase.passphrase(Purpose::Open, path))?;
    Ok(key.public_key())
}

/// Opens the content of a key file that is kept elsewhere; `name` is for messages.
pub fn parse_value(name: &Path, pem: &[u8], passphrase: &PassphraseSource) -> Result<SoftwareKey, Error> {
    decode(name, pem, || passphrase.passphrase(Purpose::Open, name))
}

/// The same of the content of a file.
pub fn open_read_block_signer(
    path: &Path,
    file: &[u8],
    passphrase: &PassphraseSource,
) -> Result<BlockSigner, Error> {
    warn_of_readers(path, file);
    parse_block_signer(path, file, passphrase)
}

/// Warns of a key file that other users can read.
fn warn_of_readers(path: &Path, file: &[u8]) {
    // A pipe has no other readers, and any other file in its place no secret of ours.
    let Ok(metadata) = path.metadata() else { return };
    if is_private_key(file) && metadata.is_file() && metadata.permissions().mode() & OTHERS != 0 {
        let name = printable(&path.display().to_string());
        warning(&format!("other users of this machine can read or change {name}; run: chmod 600 {name}"));
    }
}

fn random(bytes: &mut [u8]) -> Result<(), Error> {
    memory::lock();
    getrandom::fill(bytes).map_err(|error| operation("generated", error))
}

/// Version 1, without the public half: OpenSSL reads no other.
fn pair(seed: &[u8; 32]) -> KeypairBytes {
    KeypairBytes { secret_key: *seed, public_key: None }
}

fn encode(seed: &[u8; 32]) -> Result<Zeroizing<String>, Error> {
    let mut pair = pair(seed);
    let pem = pair.to_pkcs8_pem(LineEnding::LF);
    pair.secret_key.zeroize();
    pem.map_err(|error| operation("encoded", error))
}

fn encrypt(seed: &[u8; 32], passphrase: &str, derivation: Derivation) -> Result<Zeroizing<String>, Error> {
    let failed = |error: pkcs8::Error| operation("encrypted", error);
    let (mut salt, mut iv) = ([0; 16], [0; 16]);
    random(&mut salt)?;
    random(&mut iv)?;
    let kdf = match derivation {
        Derivation::Scrypt => Kdf::Scrypt(ScryptParams {
            salt: Salt::new(salt).map_err(|error| operation("encrypted", error))?,
            cost_parameter: SCRYPT_COST,
            block_size: 8,
            parallelization: 1,
            key_length: None,
        }),
        Derivation::Pbkdf2 => Kdf::Pbkdf2(
            Pbkdf2Params::hmac_sha256(PBKDF2_ROUNDS, &salt).map_err(|error| operation("encrypted", error))?,
        ),
    };
    let parameters = pbes2::Parameters { kdf, encryption: pbes2::EncryptionScheme::Aes256Cbc { iv } };
    let mut pair = pair(seed);
    let plain = pair.to_pkcs8_der();
    pair.secret_key.zeroize();
    let plain = plain.map_err(failed)?;
    let info = PrivateKeyInfoRef::try_from(plain.as_bytes()).map_err(failed)?;
    let encrypted = info.encrypt_with_params(parameters, passphrase).map_err(failed)?;
    encrypted.to_pem(ENCRYPTED_LABEL, LineEnding::LF).map_err(|error| operation("encoded", error))
}

fn decode(
    path: &Path,
    file: &[u8],
    passphrase: impl FnOnce() -> Result<Zeroizing<String>, Error>,
) -> Result<SoftwareKey, Error> {
    decode_with_seed(path, file, passphrase).map(|(_, key)| key)
}

fn decode_with_seed(
    path: &Path,
    file: &[u8],
    passphrase: impl FnOnce() -> Result<Zeroizing<String>, Error>,
) -> Result<(Zeroizing<[u8; 32]>, SoftwareKey), Error> {
    let unusable = |fault| Error::PrivateKey { path: path.to_owned(), fault };
    let pem = private_block(file).map_err(unusable)?;
    let mut der = Zeroizing::new(Vec::new());
    pem.decode(&mut der).map_err(|error| unusable(KeyFault::Pem(error)))?;
    match pem.label() {
        OPENSSH_LABEL => Err(unusable(foreign::fault_of_ssh(&der))),
        label => decode_der(path, label, &der, passphrase),
    }
}

/// Reads PKCS#8 in DER; the label of its PEM says whether it is encrypted.
fn decode_der(
    path: &Path,
    label: &str,
    der: &[u8],
    passphrase: impl FnOnce() -> Result<Zeroizing<String>, Error>,
) -> Result<(Zeroizing<[u8; 32]>, SoftwareKey), Error> {
    let unusable = |fault| Error::PrivateKey { path: path.to_owned(), fault };
    let plain = plain_der(path, label, der, passphrase)?;
    let mut pair = KeypairBytes::from_pkcs8_der(&plain).map_err(|_| unusable(KeyFault::Algorithm))?;
    let seed = Zeroizing::new(pair.secret_key);
    pair.secret_key.zeroize();
    let key = SoftwareKey::from_seed(&seed).map_err(|_| unusable(KeyFault::Unusable))?;
    match &pair.public_key {
        Some(public) if public.0 != *key.public_key().as_bytes() => Err(unusable(KeyFault::Halves)),
        _ => Ok((seed, key)),
    }
}

/// PKCS#8 without its encryption.
fn plain_der(
    path: &Path,
    label: &str,
    der: &[u8],
    passphrase: impl FnOnce() -> Result<Zeroizing<String>, Error>,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let unusable = |fault| Error::PrivateKey { path: path.to_owned(), fault };
    match label {
        PLAIN_LABEL => Ok(Zeroizing::new(der.to_vec())),
        ENCRYPTED_LABEL => {
            let encrypted =
                EncryptedPrivateKeyInfoRef::try_from(der).map_err(|_| unusable(KeyFault::Encryption))?;
            let EncryptionScheme::Pbes2(parameters) = &encrypted.encryption_algorithm else {
                return Err(unusable(KeyFault::Encryption));
            };
            if !is_affordable(&parameters.kdf) {
                return Err(unusable(KeyFault::Cost));
            }
            let plain = encrypted.decrypt(passphrase()?.as_bytes()).map_err(|error| match error {
                pkcs8::Error::EncryptedPrivateKey(
                    pkcs5::Error::UnsupportedAlgorithm { .. }
                    | pkcs5::Error::AlgorithmParametersInvalid { .. },
                ) => unusable(KeyFault::Encryption),
                _ => Error::PassphraseWrong(path.to_owned()),
            })?;
            Ok(plain.to_bytes())
        }
        _ if OTHER_ALGORITHMS.contains(&label) => Err(unusable(KeyFault::Algorithm)),
        _ => Err(unusable(KeyFault::Label)),
    }
}

/// The only private key in a file, which may hold its public half too.
fn private_block(file: &[u8]) -> Result<Pem<'_>, KeyFault> {
    match find_private_block(file) {
        Err(KeyFault::Pem(PemError::Absent | PemError::NotText)) if is_public_key(file) => {
            Err(KeyFault::Public)
        }
        found => found,
    }
}

/// Whether a file that is no PEM is a public key: ours, or the line of ssh-keygen.
fn is_public_key(file: &[u8]) -> bool {
    VerifyingKey::parse(file).is_ok() || SSH_LINES.iter().any(|start| file.starts_with(start))
}

fn find_private_block(file: &[u8]) -> Result<Pem<'_>, KeyFault> {
    if file.is_empty() {
        return Err(KeyFault::Empty);
    }
    let start = without_mark(file).trim_ascii_start();
    if let Some((_, name)) = OTHER_FORMS.iter().find(|(mark, _)| start.starts_with(mark)) {
        return Err(KeyFault::OtherForm(name));
    }
    let blocks = match Pem::find_all(file) {
        Ok(blocks) => blocks,
        // Bytes that are not text were never PEM, unless a comment is in another character set.
        Err(PemError::NotText) if is_private_key(file) && !contains(file, PEM_PRIVATE_KEY) => {
            return Err(of_bytes(file));
        }
        Err(error) => return Err(KeyFault::Pem(error)),
    };
    let private: Vec<Pem<'_>> = blocks.iter().copied().filter(Pem::is_private_key).collect();
    match (&private[..], &blocks[..]) {
        ([block], _) => Ok(*block),
        ([], []) if is_private_key(file) => Err(of_bytes(file)),
        ([], []) => Err(KeyFault::Pem(PemError::Absent)),
        ([], _) => Err(KeyFault::Public),
        _ => Err(KeyFault::Pem(PemError::Several)),
    }
}

/// A private key that is not text: DER, else a COSE_Key.
fn of_bytes(file: &[u8]) -> KeyFault {
    if file.first() == Some(&DER_SEQUENCE) { KeyFault::Der } else { KeyFault::OtherForm("a COSE_Key") }
}

/// A hostile file could ask for hours of computation, for all memory, or for parameters that RFC 7914 section 2
/// forbids; the library checks none of them.
fn is_affordable(kdf: &Kdf) -> bool {
    match kdf {
        Kdf::Pbkdf2(pbkdf2) => pbkdf2.iteration_count <= MAX_PBKDF2_ROUNDS,
        Kdf::Scrypt(scrypt) => {
            let (n, r, p) =
                (scrypt.cost_parameter, u64::from(scrypt.block_size), u64::from(scrypt.parallelization));
            let memory = n.saturating_add(p).saturating_mul(r).saturating_mul(128);
            let work = n.saturating_mul(r).saturating_mul(p);
            n >= 2
                && n.is_power_of_two()
                && r > 0
                && p > 0
                && memory <= MAX_SCRYPT_MEMORY
                && work <= MAX_SCRYPT_WORK
        }
        _ => false,
    }
}

fn operation(doing: &'static str, source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::KeyOperation { doing, source: Box::new(source) }
}

#[cfg(test)]
mod tests;
