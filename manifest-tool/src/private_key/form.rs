//! What a private key file is, without opening it.

use pkcs8::EncryptedPrivateKeyInfoRef;
use pkcs8::pkcs5::EncryptionScheme;
use pkcs8::pkcs5::pbes2::{EncryptionScheme as Cipher, Kdf, Pbkdf2Prf};
use ssh_key::PrivateKey;
use zeroize::Zeroizing;

use super::{ENCRYPTED_LABEL, KeyFault, OPENSSH_LABEL, foreign, private_block};

/// Form and encryption of a private key file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileForm {
    pub form: &'static str,
    /// `None`: not encrypted.
    pub encryption: Option<String>,
}

/// Reads what can be read without the passphrase.
///
/// # Errors
/// [`KeyFault`] when it is no private key that can be opened or imported.
pub fn form(file: &[u8]) -> Result<FileForm, KeyFault> {
    let block = match private_block(file) {
        Err(KeyFault::Der) => {
            let is_encrypted = foreign::label_of_der(file) == ENCRYPTED_LABEL;
            let encryption = is_encrypted.then(|| pbes2(file)).transpose()?;
            return Ok(FileForm { form: "PKCS#8 DER; import it to sign with it", encryption });
        }
        block => block?,
    };
    let mut der = Zeroizing::new(Vec::new());
    block.decode(&mut der).map_err(KeyFault::Pem)?;
    match block.label() {
        ENCRYPTED_LABEL => Ok(FileForm { form: "PKCS#8 PEM", encryption: Some(pbes2(&der)?) }),
        OPENSSH_LABEL => {
            let key = PrivateKey::from_bytes(&der).map_err(|_| foreign::unread(&der))?;
            let encryption = match key.kdf() {
                ssh_key::Kdf::Bcrypt { rounds, .. } => {
                    Some(format!("bcrypt, {rounds} rounds; {}", key.cipher().as_str()))
                }
                _ => None,
            };
            Ok(FileForm { form: "OpenSSH; import it to sign with it", encryption })
        }
        _ => Ok(FileForm { form: "PKCS#8 PEM", encryption: None }),
    }
}

/// In words: derivation, its cost, cipher.
fn pbes2(der: &[u8]) -> Result<String, KeyFault> {
    let info = EncryptedPrivateKeyInfoRef::try_from(der).map_err(|_| KeyFault::Encryption)?;
    let EncryptionScheme::Pbes2(parameters) = &info.encryption_algorithm else {
        return Err(KeyFault::Encryption);
    };
    let derivation = match &parameters.kdf {
        Kdf::Scrypt(scrypt) => {
            let (n, r, p) = (scrypt.cost_parameter, scrypt.block_size, scrypt.parallelization);
            let mib = n.saturating_mul(r.into()).saturating_mul(128) >> 20;
            format!("scrypt, {mib} MiB a guess (N = {n}, r = {r}, p = {p})")
        }
        Kdf::Pbkdf2(pbkdf2) => {
            let hash = match pbkdf2.prf {
                Pbkdf2Prf::HmacWithSha1 => "SHA-1",
                Pbkdf2Prf::HmacWithSha224 => "SHA-224",
                Pbkdf2Prf::HmacWithSha256 => "SHA-256",
                Pbkdf2Prf::HmacWithSha384 => "SHA-384",
                Pbkdf2Prf::HmacWithSha512 => "SHA-512",
                _ => "another hash",
            };
            format!("PBKDF2, {} rounds of HMAC-{hash}", pbkdf2.iteration_count)
        }
        _ => return Err(KeyFault::Encryption),
    };
    let cipher = match parameters.encryption {
        Cipher::Aes128Cbc { .. } => "AES-128-CBC",
        Cipher::Aes192Cbc { .. } => "AES-192-CBC",
        Cipher::Aes256Cbc { .. } => "AES-256-CBC",
        _ => "another cipher",
    };
    Ok(format!("{derivation}; {cipher}"))
}
