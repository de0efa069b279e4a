//! X.509 mirrors (RFC 5280, RFC 8410) of roots, issuing keys and devices, for those who need certificates: after IEEE
//! 802.1AR. Nothing of Anchorage reads them. All that stands in one comes from the credential, so it can be made again.

use std::time::Duration;

use ed25519_dalek::ed25519::signature::Keypair;
use ed25519_dalek::pkcs8::PublicKeyBytes;
use ed25519_dalek::pkcs8::spki::EncodePublicKey as _;
use trust::author::{SignError, Signer, check_signature, signature};
use trust::{CredentialClaims, PublicKey, Role, UnixTime};
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::builder::profile::BuilderProfile;
use x509_cert::builder::{self, Builder as _, CertificateBuilder};
use x509_cert::certificate::{Certificate, TbsCertificate};
use x509_cert::der::asn1::{
    Any, BitString, ObjectIdentifier, OctetString, PrintableStringRef, Utf8StringRef,
};
use x509_cert::der::{Decode as _, DecodePem as _, Encode as _, EncodePem as _, pem::LineEnding};
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, KeyUsage, KeyUsages, SubjectKeyIdentifier,
};
use x509_cert::ext::{Extension, ToExtension as _};
use x509_cert::name::{Name, RdnSequence, RelativeDistinguishedName};
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{
    AlgorithmIdentifierOwned, DynSignatureAlgorithmIdentifier, SubjectPublicKeyInfoOwned,
    SubjectPublicKeyInfoRef,
};
use x509_cert::time::{Time, Validity};

/// id-Ed25519, RFC 8410 section 3.
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// id-at-commonName and id-at-serialNumber, X.520.
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const SERIAL_NUMBER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.5");
/// Bytes of a credential's cti, and of the thumbprint that stands in its place for a root.
const SERIAL_LEN: usize = 16;

/// Why there is no certificate.
#[derive(Debug)]
pub enum Fault {
    /// The credential is none of an issuing key or a device.
    Role(&'static str),
    /// The issuer's certificate is for another key than the one that issued.
    OtherIssuer,
    /// The issuer's certificate cannot be read, or its signature does not hold.
    Issuer(String),
    /// It could not be encoded.
    Encoding(String),
    /// The key did not sign.
    Signer(SignError),
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Role(role) => write!(
                f,
                "only issuing keys and devices have certificates; the role of this credential is {role}"
            ),
            Self::OtherIssuer => f.write_str(
                "the certificate of the issuer is for another key than the one that issued the credential",
            ),
            Self::Issuer(why) => write!(f, "the certificate of the issuer cannot be used: {why}"),
            Self::Encoding(why) => write!(f, "the certificate cannot be encoded: {why}"),
            Self::Signer(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Fault {}

impl Fault {
    /// Stable name, as docs/manifest-tool.md lists them.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Role(_) => "certificate-role",
            Self::OtherIssuer => "certificate-other-issuer",
            Self::Issuer(_) => "certificate-invalid",
            Self::Encoding(_) => "certificate-encoding",
            Self::Signer(_) => "key-operation",
        }
    }

    /// What to do about it, one sentence.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Role(_) => "Pass the credential of an issuing key or of a device, or --root.",
            Self::OtherIssuer => "Pass the key that issued the credential, and its certificate.",
            Self::Issuer(_) => "Pass the certificate that credential certificate made of the issuer.",
            Self::Encoding(_) => "Check the names and times of the credential.",
            Self::Signer(_) => "Run the command again.",
        }
    }
}

impl From<builder::Error> for Fault {
    fn from(error: builder::Error) -> Self {
        Self::Encoding(error.to_string())
    }
}

impl From<x509_cert::der::Error> for Fault {
    fn from(error: x509_cert::der::Error) -> Self {
        Self::Encoding(error.to_string())
    }
}

impl From<x509_cert::spki::Error> for Fault {
    fn from(error: x509_cert::spki::Error) -> Self {
        Self::Encoding(error.to_string())
    }
}

/// The certificate of an issuer, whose own signature was verified if it signed itself.
#[derive(Debug)]
pub struct Issuer {
    name: Name,
    key: PublicKey,
}

impl Issuer {
    /// Reads a certificate in PEM or DER.
    pub fn read(bytes: &[u8]) -> Result<Self, Fault> {
        let text = std::str::from_utf8(bytes).ok().filter(|text| text.contains("-----BEGIN"));
        let certificate = match text {
            Some(_) => Certificate::from_pem(bytes),
            None => Certificate::from_der(bytes),
        };
        let fault = |why: String| Fault::Issuer(why);
        let certificate = certificate.map_err(|error| fault(error.to_string()))?;
        let tbs = certificate.tbs_certificate();
        let info = tbs.subject_public_key_info();
        let raw = info.subject_public_key.as_bytes().and_then(|raw| <&[u8; 32]>::try_from(raw).ok());
        let raw = raw.filter(|_| info.algorithm.oid == ED25519);
        let raw = raw.ok_or_else(|| fault("its key is not an Ed25519 key".to_owned()))?;
        let key = PublicKey::from_bytes(raw).map_err(|error| fault(error.to_string()))?;
        if tbs.issuer() == tbs.subject() {
            let message = tbs.to_der()?;
            let signature =
                certificate.signature().as_bytes().and_then(|bytes| <&[u8; 64]>::try_from(bytes).ok());
            let holds = signature.is_some_and(|signature| check_signature(&key, &message, signature).is_ok());
            if !holds {
                return Err(fault("its signature does not hold".to_owned()));
            }
        }
        Ok(Self { name: tbs.subject().clone(), key })
    }
}

/// What the key of a certificate may do, and so its extensions (RFC 5280 sections 4.2.1.3 and 4.2.1.9).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Level {
    Root,
    Issuing,
    Device,
}

/// The certificate of a root, signed by itself: DER.
pub fn root(name: &str, from: UnixTime, root: &dyn Signer) -> Result<Vec<u8>, Fault> {
    let key = root.public_key();
    let subject = distinguished(name, None)?;
    let thumbprint = trust::sha256(&key.to_cose_key());
    let serial = thumbprint.first_chunk::<SERIAL_LEN>().unwrap_or(&[1; SERIAL_LEN]);
    let mirror = Mirror { issuer: subject.clone(), subject, level: Level::Root, key, issuer_key: key };
    mirror.sign(serial, from, None, root)
}

/// The certificate of an issuing key or a device, from its credential: DER. `signer` issued that credential.
pub fn mirror(claims: &CredentialClaims<'_>, issuer: &Issuer, signer: &dyn Signer) -> Result<Vec<u8>, Fault> {
    let level = match (claims.role(), claims.issuing_key()) {
        (Role::Identity, None) => Level::Issuing,
        (Role::Device, Some(_)) => Level::Device,
        (role, _) => return Err(Fault::Role(role.name())),
    };
    if issuer.key != signer.public_key() || claims.issuer_kid() != issuer.key.kid() {
        return Err(Fault::OtherIssuer);
    }
    let serial = claims.scope().serials().next().filter(|_| level == Level::Device);
    let mirror = Mirror {
        issuer: issuer.name.clone(),
        subject: distinguished(claims.sub(), serial)?,
        level,
        key: *claims.key(),
        issuer_key: issuer.key,
    };
    let from = claims.not_before().unwrap_or(claims.issued_at());
    mirror.sign(claims.cti(), from, claims.expires(), signer)
}

/// PEM of a certificate.
pub fn to_pem(der: &[u8]) -> Result<String, Fault> {
    Ok(Certificate::from_der(der)?.to_pem(LineEnding::LF)?)
}

/// `CN=name`, and the serial of a device (IEEE 802.1AR section 8.6).
fn distinguished(name: &str, serial: Option<&str>) -> Result<Name, Fault> {
    let mut sequence = RdnSequence::default();
    let mut push = |oid, value| -> Result<(), Fault> {
        let mut relative = RelativeDistinguishedName::default();
        relative.insert(AttributeTypeAndValue { oid, value })?;
        sequence.push(relative);
        Ok(())
    };
    push(COMMON_NAME, Any::from(Utf8StringRef::new(name)?))?;
    if let Some(serial) = serial {
        // X.520 has a PrintableString here, which lacks some characters that a serial may have.
        let value = match PrintableStringRef::new(serial) {
            Ok(printable) => Any::from(printable),
            Err(_) => Any::from(Utf8StringRef::new(serial)?),
        };
        push(SERIAL_NUMBER, value)?;
    }
    Ok(Name::from_der(&sequence.to_der()?)?)
}

/// A certificate to be made.
struct Mirror {
    issuer: Name,
    subject: Name,
    level: Level,
    key: PublicKey,
    issuer_key: PublicKey,
}

impl Mirror {
    fn sign(
        self,
        serial: &[u8; SERIAL_LEN],
        from: UnixTime,
        until: Option<UnixTime>,
        signer: &dyn Signer,
    ) -> Result<Vec<u8>, Fault> {
        let at = |UnixTime(seconds)| {
            let time = x509_cert::der::DateTime::from_unix_duration(Duration::from_secs(seconds))?;
            Ok::<_, Fault>(Time::from(time))
        };
        // A device without an end has the one of RFC 5280 section 4.1.2.5: 99991231235959Z.
        let validity = Validity::new(at(from)?, until.map_or(Ok(Time::INFINITY), at)?);
        let info = public_key_info(&self.key)?;
        let algorithm = Algorithm(signer.public_key());
        let mut builder = CertificateBuilder::new(self, SerialNumber::new(serial)?, validity, info)?;
        let message = builder.finalize(&algorithm)?;
        let signature = signature(signer, &message).map_err(Fault::Signer)?;
        let certificate = builder.assemble(BitString::from_bytes(&signature)?, &algorithm)?;
        Ok(certificate.to_der()?)
    }
}

fn public_key_info(key: &PublicKey) -> Result<SubjectPublicKeyInfoOwned, Fault> {
    let document = PublicKeyBytes(*key.as_bytes()).to_public_key_der()?;
    Ok(SubjectPublicKeyInfoOwned::from_der(document.as_bytes())?)
}

impl BuilderProfile for Mirror {
    fn get_issuer(&self, _: &Name) -> Name {
        self.issuer.clone()
    }

    fn get_subject(&self) -> Name {
        self.subject.clone()
    }

    fn build_extensions(
        &self,
        _: SubjectPublicKeyInfoRef<'_>,
        _: SubjectPublicKeyInfoRef<'_>,
        tbs: &TbsCertificate,
    ) -> builder::Result<Vec<Extension>> {
        let (is_authority, path, usages) = match self.level {
            Level::Root => (true, None, KeyUsages::KeyCertSign | KeyUsages::CRLSign),
            Level::Issuing => (true, Some(0), KeyUsages::KeyCertSign.into()),
            Level::Device => (false, None, KeyUsages::DigitalSignature.into()),
        };
        // The kid: what our own records call the key.
        let identifier = |key: &PublicKey| OctetString::new(key.kid().0);
        let basic = BasicConstraints { ca: is_authority, path_len_constraint: path };
        let authority = AuthorityKeyIdentifier {
            key_identifier: Some(identifier(&self.issuer_key)?),
            ..AuthorityKeyIdentifier::default()
        };
        let none = &x509_cert::ext::Extensions::default();
        Ok(vec![
            basic.to_extension(tbs.subject(), none)?,
            KeyUsage(usages).to_extension(tbs.subject(), none)?,
            SubjectKeyIdentifier(identifier(&self.key)?).to_extension(tbs.subject(), none)?,
            authority.to_extension(tbs.subject(), none)?,
        ])
    }
}

/// The signer as the builder knows it: it names the algorithm, and signs nothing.
struct Algorithm(PublicKey);

impl Keypair for Algorithm {
    type VerifyingKey = PublicKeyBytes;

    fn verifying_key(&self) -> PublicKeyBytes {
        PublicKeyBytes(*self.0.as_bytes())
    }
}

impl DynSignatureAlgorithmIdentifier for Algorithm {
    fn signature_algorithm_identifier(&self) -> x509_cert::spki::Result<AlgorithmIdentifierOwned> {
        Ok(AlgorithmIdentifierOwned { oid: ED25519, parameters: None })
    }
}
