//! Objects that several commands show: a scope, a credential, a revocation list, a manifest.

use serde::Serialize;
use suit_manifest::author::Inspection;
use suit_manifest::host::Manifest;
use suit_manifest::{ComponentText, ImageReference, ManifestText, ReleaseImages, Target};
use trust::blocks::encryption::{HostEncryption, HostRecipient};
use trust::cbor::Span;
use trust::encryption::EncryptionInfo;
use trust::{
    CredentialClaims, Kid, MinimumSequence, PublicKey, RevocationClaims, Revoked, Rights, Role, Scope,
    SuccessionClaims, UnixTime,
};
use uuid::Uuid;

use crate::blocks::algorithm_words;
use crate::identifiers::{Class, Vendor};
use crate::output::warning;
use crate::time;

/// Lowercase hex.
pub(crate) fn kid(kid: Kid) -> String {
    hex::encode(kid.0)
}

/// The key of a device that a COSE_Mac0 names, **which nobody has verified**; `None` without a MAC.
pub(crate) fn device_key_of(inspection: &Inspection<'_>) -> Option<String> {
    inspection.mac0()?;
    let key = inspection.device_key().ok().flatten();
    Some(key.map_or_else(|| "unknown".to_owned(), kid))
}

/// Instead of anchors, what a block without them is for.
pub(crate) const fn no_anchors(has_authentication_key: bool) -> &'static str {
    if has_authentication_key {
        "none: for devices without public keys, which know their maker by the authentication key"
    } else {
        "none: the loader must have its own compiled in"
    }
}

/// Hyphenated.
pub(crate) fn uuid(bytes: &[u8; 16]) -> String {
    Uuid::from_bytes(*bytes).to_string()
}

const RIGHTS: [(Rights, &str); 4] = [
    (Rights::FIRMWARE, "firmware"),
    (Rights::GOVERNANCE, "governance"),
    (Rights::SUCCESSION, "succession"),
    (Rights::BOOT, "boot"),
];

/// Rights with these names, with commas between them.
pub(crate) fn rights_of(names: &str) -> Result<Rights, String> {
    let mut bits = 0;
    for name in names.split(',').map(str::trim) {
        let right = RIGHTS.iter().find(|(_, known)| *known == name);
        let (right, _) = right.ok_or_else(|| {
            format!("{name:?} is not a right; they are firmware, governance, succession and boot")
        })?;
        bits |= u64::from(right.bits());
    }
    Rights::from_bits(bits).ok_or_else(|| "at least one right is required".to_owned())
}

/// Rights of an anchor by name.
pub(crate) fn rights(rights: Rights) -> String {
    let held = RIGHTS.iter().filter(|(right, _)| rights.include(*right)).map(|(_, name)| *name);
    held.collect::<Vec<_>>().join(", ")
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
    /// Domain of which the vendor id was made, where the command line gave it.
    pub(crate) vendor_domain: Option<String>,
    pub(crate) classes: Vec<String>,
    /// Name of which each class id was made, where the command line gave it.
    pub(crate) class_names: Vec<Option<String>>,
    pub(crate) serials: Vec<String>,
    /// Permitted actions, a bit set; `null` permits any.
    pub(crate) actions: Option<u64>,
    pub(crate) cti: String,
    /// Seconds since the epoch, like the two below.
    pub(crate) issued_at: u64,
    pub(crate) not_before: Option<u64>,
    pub(crate) expires: Option<u64>,
    /// `null` under an issuing key.
    pub(crate) generation: Option<u64>,
    /// kid of the issuing key of a device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) issuing_key: Option<String>,
    /// Of a release credential.
    pub(crate) sequence_ceiling: Option<u64>,
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
            vendor_domain: None,
            classes: scope.classes().map(uuid).collect(),
            class_names: scope.classes().map(|_| None).collect(),
            serials: scope.serials().map(str::to_owned).collect(),
            actions: scope.actions(),
            cti: hex::encode(claims.cti()),
            issued_at: claims.issued_at().0,
            not_before: claims.not_before().map(|time| time.0),
            expires: claims.expires().map(|time| time.0),
            generation: claims.issuing_key().is_none().then(|| claims.generation()),
            issuing_key: claims.issuing_key().map(kid),
            sequence_ceiling: (claims.role() == Role::Release).then(|| claims.sequence_ceiling()),
        }
    }

    /// Adds the names of which the command line made the ids.
    pub(crate) fn with_names(mut self, vendor: &Vendor, classes: &[&Class]) -> Self {
        self.vendor_domain = vendor.domain().map(str::to_owned);
        self.class_names = classes.iter().map(|class| class.name().map(str::to_owned)).collect();
        self
    }

    pub(crate) fn rows(&self) -> Vec<(&'static str, String)> {
        let any = |list: &[String]| if list.is_empty() { "any".to_owned() } else { list.join(", ") };
        let classes: Vec<String> =
            self.classes.iter().zip(&self.class_names).map(|(id, name)| named(id, name.as_deref())).collect();
        let at = |time: u64| time::display(UnixTime(time));
        let mut rows = vec![
            ("issuer", format!("{} ({})", self.issuer, self.issuer_kid)),
            ("subject", format!("{} ({})", self.subject, self.kid)),
            ("role", self.role.to_owned()),
            ("vendor", named(&self.vendor, self.vendor_domain.as_deref())),
            ("classes", any(&classes)),
            ("serials", any(&self.serials)),
            ("actions", self.actions.map_or("any".to_owned(), |actions| format!("{actions:#x} (bit set)"))),
            ("cti", self.cti.clone()),
            ("issued", at(self.issued_at)),
            ("valid from", self.not_before.map_or("any time".to_owned(), at)),
            ("valid until", self.expires.map_or("no expiry".to_owned(), at)),
        ];
        rows.extend(self.generation.map(|generation| ("generation", generation.to_string())));
        rows.extend(self.issuing_key.as_ref().map(|kid| ("issuing key", kid.clone())));
        rows.extend(self.sequence_ceiling.map(|ceiling| ("highest sequence", ceiling.to_string())));
        rows
    }
}

/// What a release of firmware and a table installs, for programs.
pub(crate) const BOTH: &str = "both";
/// The words for a table: what is installed, what is fetched, and where that is.
const OF_TABLE: [&str; 3] = ["table", "encrypted table", "table URI"];

/// What a manifest says.
#[derive(Debug, Serialize)]
pub(crate) struct ManifestView {
    pub(crate) manifest_digest: String,
    /// What it installs: `firmware`, `table` or `both`.
    #[serde(rename = "target")]
    pub(crate) installs: &'static str,
    /// By its first component.
    #[serde(skip)]
    target: Target,
    pub(crate) sequence: u64,
    pub(crate) version: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) vendor_domain: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) vendor: String,
    pub(crate) class: String,
    pub(crate) device: Option<String>,
    pub(crate) image: ImageView,
    /// That for component-slot 1, if it is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) second_image: Option<ImageView>,
    /// The table that comes with firmware.
    #[serde(skip_serializing_if = "Option::is_none")]
    table: Option<ImageView>,
}

/// The image that a manifest fetches.
#[derive(Debug, Serialize)]
pub(crate) struct ImageView {
    pub(crate) sha256: String,
    pub(crate) size: u64,
    pub(crate) uri: String,
    /// What it is once it is decrypted, if it comes encrypted.
    #[serde(skip_serializing_if = "Option::is_none")]
    decrypted: Option<DecryptedView>,
}

/// The image that is installed, where another one is fetched.
#[derive(Debug, Serialize)]
struct DecryptedView {
    sha256: String,
    size: u64,
    /// The keys of devices with which it can be decrypted.
    recipients: Vec<String>,
    /// Who else can: holders of keys that devices of ours do not have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    other_recipients: Vec<OtherRecipientView>,
}

#[derive(Debug, Serialize)]
struct OtherRecipientView {
    /// By which it gets the key.
    algorithm: String,
    kid: Option<String>,
}

impl OtherRecipientView {
    /// Those of an encryption-info that are for no device of ours.
    fn all(info: Span<'_>) -> Vec<Self> {
        let Ok(info) = HostEncryption::read(info) else { return Vec::new() };
        let others = info.recipients().iter().filter(|one| !one.is_for_devices());
        let view = |one: &HostRecipient<'_>| Self {
            algorithm: one.algorithm.map_or_else(|| "no algorithm".to_owned(), algorithm_words),
            kid: one.kid.map(hex::encode),
        };
        others.map(view).collect()
    }

    fn words(&self) -> String {
        let Self { algorithm, kid } = self;
        kid.as_ref().map_or_else(|| algorithm.clone(), |kid| format!("{algorithm} {kid}"))
    }
}

impl ImageView {
    fn of(image: &ImageReference<'_>) -> Self {
        let decrypted = image.decrypted.map(|decrypted| DecryptedView {
            sha256: hex::encode(decrypted.digest.sha256()),
            size: decrypted.size,
            recipients: EncryptionInfo::read(decrypted.info)
                .map(|info| info.kids().map(hex::encode).collect())
                .unwrap_or_default(),
            other_recipients: OtherRecipientView::all(decrypted.info),
        });
        Self { sha256: hex::encode(image.digest), size: image.size, uri: image.uri.to_owned(), decrypted }
    }

    fn rows(&self, [installed, fetched, uri]: [&'static str; 3]) -> Vec<(&'static str, String)> {
        let words = |size, sha256: &str| format!("{size} bytes, SHA-256 {sha256}");
        let own = words(self.size, &self.sha256);
        let mut rows = match &self.decrypted {
            Some(decrypted) => {
                let DecryptedView { sha256, size, recipients, other_recipients } = decrypted;
                let names = recipients.join(", ");
                let others: Vec<_> = other_recipients.iter().map(OtherRecipientView::words).collect();
                let others = others.join(", ");
                let readers = match (recipients.len(), other_recipients.len()) {
                    (count, 0) => format!("for {count} key(s): {names}"),
                    (0, _) => format!("for no device of ours, for others: {others}"),
                    (count, _) => format!("for {count} key(s): {names}; for others: {others}"),
                };
                let fetched_words = format!("{own}, {readers}");
                vec![(installed, words(*size, sha256)), (fetched, fetched_words)]
            }
            None => vec![(installed, own)],
        };
        rows.push((uri, self.uri.clone()));
        rows
    }
}

impl ManifestView {
    /// What it installs; of [both](BOTH), the firmware.
    pub(crate) fn target(&self) -> Target {
        self.target
    }

    /// Everything that it installs.
    pub(crate) fn targets(&self) -> impl Iterator<Item = Target> {
        std::iter::once(self.target).chain(self.table.as_ref().map(|_| Target::Table))
    }

    /// Warns where every recipient of an encrypted image has a key pair, or no name.
    pub(crate) fn warn_of_recipients(&self) {
        let images = std::iter::once(&self.image).chain(&self.second_image).chain(&self.table);
        let mut decrypted = images.filter_map(|image| image.decrypted.as_ref());
        if decrypted.any(|decrypted| decrypted.recipients.iter().all(String::is_empty)) {
            warning(
                "no device of ours can decrypt this release: its recipients are holders of key pairs alone",
            );
        }
    }

    pub(crate) fn of_inspection(inspection: &Inspection<'_>) -> Result<Self, suit_manifest::Error> {
        Self::new(inspection.manifest(), inspection.digest(), &inspection.images()?)
    }

    pub(crate) fn new(
        manifest: &Manifest<'_>,
        digest: &[u8; 32],
        images: &ReleaseImages<'_>,
    ) -> Result<Self, suit_manifest::Error> {
        let text = manifest.text()?;
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let component = |which| owned(text.and_then(|text| text.component_text(0, which)));
        Ok(Self {
            manifest_digest: hex::encode(digest),
            installs: if manifest.installs_both() { BOTH } else { manifest.target().name() },
            target: manifest.target(),
            sequence: manifest.sequence_number(),
            version: owned(manifest.version_text()),
            description: owned(text.and_then(|text| text.manifest_text(ManifestText::UpdateDescription))),
            vendor_domain: component(ComponentText::VendorDomain),
            model: component(ComponentText::ModelInfo),
            vendor: uuid(&images.first.vendor),
            class: uuid(&images.first.class),
            device: images.first.device.as_ref().map(uuid),
            image: ImageView::of(&images.first),
            second_image: images.second.as_ref().map(ImageView::of),
            table: images.table.as_ref().map(ImageView::of),
        })
    }

    pub(crate) fn rows(&self) -> Vec<(&'static str, String)> {
        // A text may name anything: only a name that makes this id is its name.
        let vendor = self.vendor_domain.as_deref().map(|domain| (domain, domain.parse::<Vendor>()));
        let vendor_id = self.vendor.parse().unwrap_or_default();
        let vendor = match vendor {
            Some((domain, Ok(vendor))) if vendor.id() == vendor_id => named(&self.vendor, Some(domain)),
            Some((domain, _)) => format!("{}, NOT the id of {domain}, which its text names", self.vendor),
            None => self.vendor.clone(),
        };
        let class = match self.model.as_deref().map(|model| (model, model.parse::<Class>())) {
            Some((model, Ok(class))) if class.id(vendor_id).to_string() == self.class => {
                named(&self.class, Some(model))
            }
            Some((model, _)) => format!("{}, NOT the id of {model}, which its text names", self.class),
            None => self.class.clone(),
        };
        let mut rows = vec![
            ("manifest", self.manifest_digest.clone()),
            ("sequence", self.sequence.to_string()),
            ("version", self.version.clone().unwrap_or_else(|| "none".to_owned())),
            ("vendor", vendor),
            ("class", class),
        ];
        rows.extend(self.device.clone().map(|device| ("device", device)));
        rows.extend(self.description.clone().map(|description| ("description", description)));
        rows.push((
            "installs",
            if self.installs == BOTH { "firmware and a table" } else { self.installs }.to_owned(),
        ));
        rows.extend(self.image.rows(match self.target {
            Target::Firmware => ["image", "encrypted image", "image URI"],
            Target::Table => OF_TABLE,
        }));
        if let Some(second) = &self.second_image {
            rows.extend(second.rows(["second image", "encrypted second image", "second image URI"]));
        }
        if let Some(table) = &self.table {
            rows.extend(table.rows(OF_TABLE));
        }
        rows
    }
}

/// An id, and the name of which it was made.
pub(crate) fn named(id: &str, name: Option<&str>) -> String {
    match name {
        Some(name) => format!("{id} ({name})"),
        None => id.to_owned(),
    }
}

/// What a revocation list says.
#[derive(Debug, Serialize)]
pub(crate) struct RevocationView {
    issuer: String,
    issuer_kid: String,
    /// Seconds since the epoch.
    issued_at: u64,
    list_sequence: u64,
    revoked: Vec<RevokedView>,
    /// Those above 0.
    lowest_generations: Vec<GenerationView>,
    minimum_sequences: Vec<MinimumView>,
}

#[derive(Debug, Serialize)]
pub(crate) struct RevokedView {
    role: &'static str,
    generation: u64,
    id: String,
}

impl From<Revoked> for RevokedView {
    fn from(revoked: Revoked) -> Self {
        Self {
            role: revoked.role.name(),
            generation: revoked.generation,
            id: hex::encode(revoked.id.as_bytes()),
        }
    }
}

impl RevokedView {
    pub(crate) fn in_words(&self) -> String {
        format!("{} ({})", self.id, self.role)
    }
}

/// The lowest valid generation of a role.
#[derive(Debug, Serialize)]
pub(crate) struct GenerationView {
    role: &'static str,
    lowest: u64,
}

/// The least sequence number of a class of devices.
#[derive(Debug, Serialize)]
pub(crate) struct MinimumView {
    vendor: String,
    /// `None`: every class of the vendor.
    class: Option<String>,
    sequence: u64,
}

impl From<MinimumSequence<'_>> for MinimumView {
    fn from(least: MinimumSequence<'_>) -> Self {
        Self { vendor: uuid(least.vendor), class: least.class.map(uuid), sequence: least.sequence }
    }
}

impl MinimumView {
    pub(crate) fn in_words(&self) -> String {
        let class = self.class.as_ref().map_or("every class".to_owned(), |class| format!("class {class}"));
        format!("sequence {} for {class} of {}", self.sequence, self.vendor)
    }
}

impl RevocationView {
    pub(crate) fn new(list: &RevocationClaims<'_>) -> Self {
        Self {
            issuer: list.iss().to_owned(),
            issuer_kid: kid(list.issuer_kid()),
            issued_at: list.issued_at().0,
            list_sequence: list.sequence(),
            revoked: list.revoked().map(RevokedView::from).collect(),
            lowest_generations: Role::ALL
                .into_iter()
                .map(|role| GenerationView { role: role.name(), lowest: list.lowest_generation(role) })
                .filter(|view| view.lowest > 0)
                .collect(),
            minimum_sequences: list.minimum_sequences().map(MinimumView::from).collect(),
        }
    }

    pub(crate) fn rows(&self) -> Vec<(&'static str, String)> {
        let revoked: Vec<_> = self.revoked.iter().map(RevokedView::in_words).collect();
        let revoked = if revoked.is_empty() { "nothing".to_owned() } else { revoked.join(", ") };
        let mut rows = vec![
            ("issuer", format!("{} ({})", self.issuer, self.issuer_kid)),
            ("list-sequence", self.list_sequence.to_string()),
            ("issued", time::display(UnixTime(self.issued_at))),
            ("revoked", revoked),
        ];
        rows.extend(
            self.lowest_generations
                .iter()
                .map(|view| ("lowest generation", format!("{} for {} credentials", view.lowest, view.role))),
        );
        rows.extend(self.minimum_sequences.iter().map(|least| ("minimum", least.in_words())));
        rows
    }
}

/// What a succession says, or a request for one.
#[derive(Debug, Serialize)]
pub(crate) struct SuccessionView {
    pub(crate) name: String,
    pub(crate) kid: String,
    /// SHA-256 of the COSE_Key of the new root (RFC 9679).
    pub(crate) thumbprint: String,
    pub(crate) domain: String,
    /// Recovery-epoch and succession-sequence of the new root, with a point between them.
    pub(crate) number: String,
    pub(crate) rights: String,
    /// Seconds since the epoch.
    issued_at: u64,
    /// kid of the root or recovery root that granted it; absent in a request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) granted_by: Option<String>,
}

impl SuccessionView {
    pub(crate) fn new(claims: &SuccessionClaims<'_>) -> Self {
        Self { granted_by: Some(kid(claims.grantor())), ..Self::of_request(claims) }
    }

    pub(crate) fn of_request(claims: &SuccessionClaims<'_>) -> Self {
        Self {
            name: claims.iss().to_owned(),
            kid: kid(claims.key().kid()),
            thumbprint: thumbprint(claims.key()),
            domain: kid(claims.domain().0),
            number: claims.number().to_string(),
            rights: rights(claims.rights()),
            issued_at: claims.issued_at().0,
            granted_by: None,
        }
    }

    pub(crate) fn rows(&self) -> Vec<(&'static str, String)> {
        let mut rows = vec![
            ("new root", format!("{} ({})", self.name, self.kid)),
            ("thumbprint", self.thumbprint.clone()),
            ("domain", self.domain.clone()),
            ("number", self.number.clone()),
            ("rights", self.rights.clone()),
            ("issued", time::display(UnixTime(self.issued_at))),
        ];
        rows.extend(self.granted_by.clone().map(|kid| ("granted by", kid)));
        rows
    }
}

/// SHA-256 of a COSE_Key (RFC 9679).
pub(crate) fn thumbprint(key: &PublicKey) -> String {
    hex::encode(trust::sha256(&key.to_cose_key()))
}
