//! Why a file is not a usable private key, and the command that converts it.

use trust::host::PemError;

/// Why a private key file is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyFault {
    /// No byte in it.
    Empty,
    /// PEM that cannot be read.
    Pem(PemError),
    /// A private key, but not PEM: DER or COSE_Key.
    Der,
    /// A key in a form that is not read: its name.
    OtherForm(&'static str),
    /// A public key, a certificate.
    Public,
    /// A PEM of another form of private keys, such as SEC 1.
    Label,
    /// The form of ssh-keygen.
    OpenSsh,
    /// The same, of an algorithm that is not imported.
    OpenSshOther,
    /// The same, of Ed25519, and it cannot be read.
    OpenSshDamaged,
    /// Encrypted in another way than PBES2 with a derivation and a cipher that we have.
    Encryption,
    /// Opening it would cost more time or memory than the limits.
    Cost,
    /// Not an Ed25519 key.
    Algorithm,
    /// Neither an Ed25519 key nor one of P-256, where one of both is asked for; or its halves belong to different keys.
    Curve,
    /// The curve is described by its numbers (RFC 3279 section 2.3.5), which RFC 5480 forbids: it may be any.
    Parameters,
    /// The two halves belong to different keys.
    Halves,
    /// The public half would be a weak one.
    Unusable,
}

impl KeyFault {
    /// An imperative sentence for the maker.
    #[must_use]
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Pem(PemError::Headers) | Self::Encryption | Self::Cost | Self::Label => {
                "Convert it: openssl pkcs8 -topk8 -v2 aes-256-cbc -in KEY -out NEW.pem (for keys of OpenSSL before \
                 1.0 add: -provider legacy -provider default)."
            }
            Self::OpenSshOther => {
                "Use an Ed25519 key. Where one of P-256 is taken, convert a copy of it: ssh-keygen -p -m PKCS8 -f COPY"
            }
            Self::Der | Self::OpenSsh => "Import it: manifest-tool key import KEY --out NEW.pem",
            Self::OtherForm(_) => {
                "Export it as PKCS#8 from the program that made it, or generate a key with manifest-tool key generate."
            }
            Self::Pem(PemError::Utf16) => "Save the file as ASCII or UTF-8.",
            Self::Pem(PemError::Several) => "Leave one private key in the file.",
            Self::Public => "Pass the private key of this pair.",
            Self::Pem(PemError::Unfinished | PemError::Base64) | Self::OpenSshDamaged => {
                "Restore the file from its backup."
            }
            Self::Curve => {
                "Use a key of Ed25519 or P-256: openssl ecparam -name prime256v1 -genkey -noout -out KEY.pem"
            }
            Self::Parameters => {
                "Write it again with the name of its curve: openssl ec -in KEY -param_enc named_curve -out NEW.pem"
            }
            Self::Algorithm => "Use an Ed25519 key; manifest-tool key generate makes one.",
            Self::Empty | Self::Pem(PemError::Absent | PemError::NotText) | Self::Halves | Self::Unusable => {
                "Pass the file of a private key, as manifest-tool key generate or key import wrote it; key import and key info take those \
                 of other programs."
            }
        }
    }
}

impl std::fmt::Display for KeyFault {
    /// One sentence about "it", without a full stop.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Empty => "it is empty",
            Self::Pem(error) => error.message(),
            Self::Der => "it is a private key, but not PEM",
            Self::OtherForm(name) => return write!(f, "it is {name}"),
            Self::Public => "it is a public key",
            Self::OpenSsh => "it is an OpenSSH key",
            Self::OpenSshOther => "it is an OpenSSH key of another algorithm than Ed25519",
            Self::OpenSshDamaged => "it is an OpenSSH key, and damaged",
            Self::Label => "it is PEM of another form than PKCS#8",
            Self::Encryption => "its encryption is not supported",
            Self::Cost => "opening it costs more time or memory than the limits of this program",
            Self::Algorithm => "it is a key of another algorithm",
            Self::Curve => "it is neither a key of Ed25519 nor one of P-256",
            Self::Parameters => "its curve is described by numbers, and not by a name",
            Self::Halves => "its public half belongs to another key",
            Self::Unusable => "its public half is unusable",
        })
    }
}
