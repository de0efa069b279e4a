//! Private keys in the forms of other programs: PKCS#8 in DER, and what ssh-keygen writes (PROTOCOL.key of OpenSSH). They
//! are imported and exported; the commands that sign open PKCS#8 PEM only.

use std::path::Path;

use ssh_key::private::{Ed25519Keypair, Ed25519PrivateKey, KeypairData};
use ssh_key::public::Ed25519PublicKey;
use ssh_key::{Cipher, Kdf, LineEnding, PrivateKey};
use trust::author::{Signer as _, SoftwareKey};
use trust::host::{Pem, contains};
use zeroize::Zeroizing;

use super::{
    DER_SEQUENCE, ENCRYPTED_LABEL, KeyFault, OPENSSH_LABEL, PLAIN_LABEL, decode_der, decode_with_seed,
    operation, private_block, random,
};
use crate::error::Error;

/// Most rounds of bcrypt that are run for a key of OpenSSH: it writes 16 to 24, and a file names its own cost.
const MAX_BCRYPT_ROUNDS: u32 = 4096;
/// Rounds for a key that is exported.
const BCRYPT_ROUNDS: u32 = 64;
const SALT_LEN: usize = 16;

type Seed = Zeroizing<[u8; 32]>;

/// Opens a private key in any of the forms.
pub(super) fn decode(
    path: &Path,
    file: &[u8],
    passphrase: impl FnOnce() -> Result<Zeroizing<String>, Error>,
) -> Result<(Seed, SoftwareKey), Error> {
    match private_block(file) {
        Ok(block) if block.label() == OPENSSH_LABEL => decode_ssh(path, &block, passphrase),
        Err(KeyFault::Der) => decode_der(path, label_of_der(file), file, passphrase),
        _ => decode_with_seed(path, file, passphrase),
    }
}

/// An encrypted key begins with the SEQUENCE of an algorithm, a plain one with its version.
pub(super) fn label_of_der(der: &[u8]) -> &'static str {
    // After the tag and the length, in its short or its long form.
    let after_length = match der.get(1) {
        Some(0x81) => 3,
        Some(0x82) => 4,
        _ => 2,
    };
    if der.get(after_length) == Some(&DER_SEQUENCE) { ENCRYPTED_LABEL } else { PLAIN_LABEL }
}

/// Why a key of OpenSSH is not opened where PKCS#8 is asked for.
pub(super) fn fault_of_ssh(bytes: &[u8]) -> KeyFault {
    if is_ed25519(bytes) { KeyFault::OpenSsh } else { KeyFault::OpenSshOther }
}

/// Why one is not read at all.
pub(super) fn unread(bytes: &[u8]) -> KeyFault {
    if is_ed25519(bytes) { KeyFault::OpenSshDamaged } else { KeyFault::OpenSshOther }
}

/// Its public half stands in clear, with the name of the algorithm.
fn is_ed25519(bytes: &[u8]) -> bool {
    contains(bytes, b"ssh-ed25519")
}

fn decode_ssh(
    path: &Path,
    block: &Pem<'_>,
    passphrase: impl FnOnce() -> Result<Zeroizing<String>, Error>,
) -> Result<(Seed, SoftwareKey), Error> {
    let unusable = |fault| Error::PrivateKey { path: path.to_owned(), fault };
    let mut bytes = Zeroizing::new(Vec::new());
    block.decode(&mut bytes).map_err(|error| unusable(KeyFault::Pem(error)))?;
    let key = PrivateKey::from_bytes(&bytes).map_err(|_| unusable(unread(&bytes)))?;
    let key = if key.is_encrypted() {
        if matches!(key.kdf(), Kdf::Bcrypt { rounds, .. } if *rounds > MAX_BCRYPT_ROUNDS) {
            return Err(unusable(KeyFault::Cost));
        }
        key.decrypt(passphrase()?.as_bytes()).map_err(|error| match error {
            ssh_key::Error::AlgorithmUnknown | ssh_key::Error::AlgorithmUnsupported { .. } => {
                unusable(KeyFault::Encryption)
            }
            _ => Error::PassphraseWrong(path.to_owned()),
        })?
    } else {
        key
    };
    let KeypairData::Ed25519(pair) = key.key_data() else {
        return Err(unusable(KeyFault::OpenSshOther));
    };
    let seed = Zeroizing::new(pair.private.to_bytes());
    let software = SoftwareKey::from_seed(&seed).map_err(|_| unusable(KeyFault::Unusable))?;
    if pair.public.0 != *software.public_key().as_bytes() {
        return Err(unusable(KeyFault::Halves));
    }
    Ok((seed, software))
}

/// The key as ssh-keygen writes it.
pub(super) fn encode_ssh(seed: &[u8; 32], passphrase: Option<&str>) -> Result<Zeroizing<String>, Error> {
    let failed = |error: ssh_key::Error| operation("encoded", error);
    let public = SoftwareKey::from_seed(seed).map_err(|error| operation("encoded", error))?.public_key();
    let pair = Ed25519Keypair {
        public: Ed25519PublicKey(*public.as_bytes()),
        private: Ed25519PrivateKey::from_bytes(seed),
    };
    let mut key = PrivateKey::new(KeypairData::Ed25519(pair), "").map_err(failed)?;
    if let Some(passphrase) = passphrase {
        let mut salt = vec![0; SALT_LEN];
        random(&mut salt)?;
        let mut check = [0; 4];
        random(&mut check)?;
        let kdf = Kdf::Bcrypt { salt, rounds: BCRYPT_ROUNDS };
        key = key
            .encrypt_with(Cipher::Aes256Ctr, kdf, u32::from_be_bytes(check), passphrase.as_bytes())
            .map_err(failed)?;
    }
    key.to_openssh(LineEnding::LF).map_err(failed)
}
