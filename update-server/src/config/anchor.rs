//! Anchor files: a COSE_Key or an SPKI PEM (docs/records.md, Public key and anchor).

use std::io::{self, Read as _};
use std::path::Path;

use pkcs8::der::Document;
use pkcs8::{ObjectIdentifier, SubjectPublicKeyInfoRef};
use trust::PublicKey;

/// id-Ed25519, RFC 8410 section 3.
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// No public key comes near this.
const MAX_FILE_LEN: u64 = 4096;

/// Why a file is not an anchor.
#[derive(Debug, thiserror::Error)]
pub enum AnchorError {
    /// It cannot be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A private key has no business on a server.
    #[error(
        "it holds a private key; give the server the public half only, and take the private one off this machine"
    )]
    PrivateKey,
    /// Neither a COSE_Key nor a PEM.
    #[error("it is neither a COSE_Key nor a PEM public key")]
    Format,
    /// Another algorithm.
    #[error("its key is not an Ed25519 key")]
    Algorithm,
    /// Not a key.
    #[error("{0}")]
    Key(trust::Error),
}

/// Reads an anchor from a file of either format.
pub fn read_anchor(path: &Path) -> Result<PublicKey, AnchorError> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(MAX_FILE_LEN).read_to_end(&mut bytes)?;
    parse_anchor(&bytes)
}

fn parse_anchor(bytes: &[u8]) -> Result<PublicKey, AnchorError> {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.trim_start().starts_with("-----BEGIN") => parse_pem(text.trim()),
        _ => PublicKey::from_cose_key(bytes).map_err(|_| AnchorError::Format),
    }
}

fn parse_pem(text: &str) -> Result<PublicKey, AnchorError> {
    if text.contains("PRIVATE KEY-----") {
        return Err(AnchorError::PrivateKey);
    }
    let (label, document) = Document::from_pem(text).map_err(|_| AnchorError::Format)?;
    if label != "PUBLIC KEY" {
        return Err(AnchorError::Format);
    }
    let info: SubjectPublicKeyInfoRef<'_> = document.decode_msg().map_err(|_| AnchorError::Format)?;
    if info.algorithm.oid != ED25519 || info.algorithm.parameters.is_some() {
        return Err(AnchorError::Algorithm);
    }
    let key = info.subject_public_key.as_bytes().and_then(|bytes| bytes.try_into().ok());
    PublicKey::from_bytes(key.ok_or(AnchorError::Format)?).map_err(AnchorError::Key)
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 8410 section 10.1, the public key and the private key of the examples.
    const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----
";
    const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
-----END PRIVATE KEY-----
";
    const KEY: &str = "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1";

    #[test]
    fn both_formats_give_the_same_key() {
        let from_pem = parse_anchor(PUBLIC.as_bytes()).unwrap();
        assert_eq!(hex::encode(from_pem.as_bytes()), KEY);
        assert_eq!(parse_anchor(&from_pem.to_cose_key()).unwrap(), from_pem);
    }

    #[test]
    fn what_is_not_an_ed25519_public_key_is_refused() {
        assert!(matches!(parse_anchor(PRIVATE.as_bytes()), Err(AnchorError::PrivateKey)));
        assert!(matches!(parse_anchor(b""), Err(AnchorError::Format)));
        assert!(matches!(parse_anchor(b"-----BEGIN CERTIFICATE-----"), Err(AnchorError::Format)));
        assert!(matches!(parse_anchor(&PUBLIC.as_bytes()[..60]), Err(AnchorError::Format)));
        // X25519 (1.3.101.110) differs in one octet of the identifier.
        let x25519 = PUBLIC.replace("MCowBQYDK2VwAyEA", "MCowBQYDK2VuAyEA");
        assert!(matches!(parse_anchor(x25519.as_bytes()), Err(AnchorError::Algorithm)));
        // The neutral element is of small order.
        let mut small = parse_anchor(PUBLIC.as_bytes()).unwrap().to_cose_key();
        let start = small.len() - 32;
        small[start..].fill(0);
        small[start] = 1;
        assert!(parse_anchor(&small).is_err());
    }
}
