//! Objects that several commands show: a scope, a credential, a revocation list, a manifest.

use crate::time;
use serde::Serialize;
use suit_manifest::author::Inspection;
use suit_manifest::{ComponentText, Manifest, ManifestText};
use trust::{CredentialClaims, Kid, Revoked, Scope, UnixTime};
use uuid::Uuid;

/// Lowercase hex.
pub(crate) fn kid(kid: Kid) -> String {
    hex::encode(kid.0)
}

/// Hyphenated.
pub(crate) fn uuid(bytes: &[u8; 16]) -> String {
    Uuid::from_bytes(*bytes).to_string()
}

/// What a credential says.
#[derive(Debug, Serialize)]
pub(crate) struct CredentialView {
    pub(crate) issuer: String,
    pub(crate) issuer_kid: String,
    pub(crate) subject: String,
    pub(crate) kid: String,
    pub(crate) role: &'static str,
    pub(crate) vendor: String,
    pub(crate) classes: Vec<String>,
    pub(crate) serials: Vec<String>,
    pub(crate) cti: String,
    /// Seconds since the epoch, like the two below.
    pub(crate) issued_at: u64,
    pub(crate) not_before: Option<u64>,
    pub(crate) expires: Option<u64>,
}

impl CredentialView {
    pub(crate) fn new(claims: &CredentialClaims<'_>) -> Self {
        let scope: &Scope<'_> = claims.scope();
        Self {
            issuer: claims.iss().to_owned(),
            issuer_kid: kid(claims.issuer_kid()),
            subject: claims.sub().to_owned(),
            kid: kid(claims.key().kid()),
            role: claims.role().name(),
            vendor: uuid(scope.vendor()),
            classes: scope.classes().map(uuid).collect(),
            serials: scope.serials().map(str::to_owned).collect(),
            cti: hex::encode(claims.cti()),
            issued_at: claims.issued_at().0,
            not_before: claims.not_before().map(|time| time.0),
            expires: claims.expires().map(|time| time.0),
        }
    }

    pub(crate) fn rows(&self) -> Vec<(&'static str, String)> {
        let any = |list: &[String]| if list.is_empty() { "any".to_owned() } else { list.join(", ") };
        let at = |time: u64| time::display(UnixTime(time));
        vec![
            ("issuer", format!("{} ({})", self.issuer, self.issuer_kid)),
            ("subject", format!("{} ({})", self.subject, self.kid)),
            ("role", self.role.to_owned()),
            ("vendor", self.vendor.clone()),
            ("classes", any(&self.classes)),
            ("serials", any(&self.serials)),
            ("cti", self.cti.clone()),
            ("issued", at(self.issued_at)),
            ("valid from", self.not_before.map_or("always".to_owned(), at)),
            ("valid until", self.expires.map_or("forever".to_owned(), at)),
        ]
    }
}

/// What a manifest says.
#[derive(Debug, Serialize)]
pub(crate) struct ManifestView {
    pub(crate) manifest_digest: String,
    pub(crate) sequence: u64,
    pub(crate) version: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) vendor_domain: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) vendor: String,
    pub(crate) class: String,
    pub(crate) device: Option<String>,
    pub(crate) image: ImageView,
}

/// The image that a manifest installs.
#[derive(Debug, Serialize)]
pub(crate) struct ImageView {
    pub(crate) sha256: String,
    pub(crate) size: u64,
    pub(crate) uri: String,
}

impl ManifestView {
    pub(crate) fn of_inspection(inspection: &Inspection<'_>) -> Result<Self, suit_manifest::Error> {
        Self::new(inspection.manifest(), inspection.digest(), &inspection.image_reference()?)
    }

    pub(crate) fn new(
        manifest: &Manifest<'_>,
        digest: &[u8; 32],
        image: &suit_manifest::ImageReference<'_>,
    ) -> Result<Self, suit_manifest::Error> {
        let text = manifest.text()?;
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let component = |which| owned(text.and_then(|text| text.component_text(0, which)));
        Ok(Self {
            manifest_digest: hex::encode(digest),
            sequence: manifest.sequence_number(),
            version: owned(manifest.version_text()),
            description: owned(text.and_then(|text| text.manifest_text(ManifestText::UpdateDescription))),
            vendor_domain: component(ComponentText::VendorDomain),
            model: component(ComponentText::ModelInfo),
            vendor: uuid(&image.vendor),
            class: uuid(&image.class),
            device: image.device.as_ref().map(uuid),
            image: ImageView {
                sha256: hex::encode(image.digest),
                size: image.size,
                uri: image.uri.to_owned(),
            },
        })
    }

    pub(crate) fn rows(&self) -> Vec<(&'static str, String)> {
        let named = |id: &str, name: &Option<String>| match name {
            Some(name) => format!("{id} ({name})"),
            None => id.to_owned(),
        };
        let mut rows = vec![
            ("manifest", self.manifest_digest.clone()),
            ("sequence", self.sequence.to_string()),
            ("version", self.version.clone().unwrap_or_else(|| "not said".to_owned())),
            ("vendor", named(&self.vendor, &self.vendor_domain)),
            ("class", named(&self.class, &self.model)),
        ];
        rows.extend(self.device.clone().map(|device| ("device", device)));
        rows.extend(self.description.clone().map(|description| ("description", description)));
        rows.push(("image", format!("{} bytes, SHA-256 {}", self.image.size, self.image.sha256)));
        rows.push(("image URI", self.image.uri.clone()));
        rows
    }
}

/// Entry of a revocation list, in hex.
pub(crate) fn revoked(entry: Revoked<'_>) -> String {
    match entry {
        Revoked::Key(kid) => hex::encode(kid.0),
        Revoked::Credential(cti) => hex::encode(cti),
    }
}
