//! Writes envelopes: for tools, never for a device. The decoder that devices run reads each one back before it is
//! returned.
//!
//! Layout of the envelopes of [`create`], draft-ietf-suit-manifest-37 sections 7.1 to 7.3: the shared sequence sets
//! vendor, class, digest and size and checks vendor and class (and device); install sets the URI, fetches and
//! matches, since the loader installs by streaming (section 8.4.6, goal 1) and payload-fetch is left out; validate
//! matches; invoke invokes. The text is severed into the envelope: it is as long as the rest and no device needs it,
//! so that it can be left away ([`sever_text`]) without touching the signature.

mod composition;
mod diagnostic;
mod inspect;
mod items;
mod members;
mod outline;
mod sequences;
pub mod tree;

use std::collections::BTreeMap;

use base64ct::{Base64UrlUnpadded, Encoding as _};
use ciborium::Value;
use trust::author::{Signer, read_unverified_credential};
use trust::{Kid, Role};

use crate::component::{ComponentId, Target};
use crate::dry_run::{ImageReference, image_for_any};
use crate::envelope::{AUTHENTICATION_WRAPPER, ENVELOPE_TAG, MANIFEST, may_sign_manifests};
use crate::error::{Error, ErrorKind};
use crate::host::{Envelope, Manifest};
use crate::limits::{MAX_ENVELOPE_HEAD_LEN, MAX_URI_LEN};
use crate::manifest::{INSTALL, PAYLOAD_FETCH, TEXT};
use crate::structure::Bounds;
use crate::text::{ComponentText, ManifestText};
use crate::vocabulary::EnvelopeElement;

pub use composition::{Composition, Identifier, LanguageText};
pub use diagnostic::{NotationError, diagnostic_notation};
pub use inspect::{Inspection, inspect};
pub use members::{TakenApart, bare, integrate, sever, sign_alone, take_apart, take_out};
pub use outline::{Outline, algorithm_name, digest_name, identifier_words, outline, structure_name};
pub use sequences::{Awaited, Command, Parameter, Sequences, compose};

/// Longest other text, bytes.
pub const MAX_TEXT_LEN: usize = 4096;

const SHA_256: i32 = -16;
const LANGUAGE: &str = "en";
/// Index of what is installed, and of what an encrypted image comes through.
const APPLICATION: u64 = 0;
const STAGING: u64 = 1;
/// Record everything about conditions; about directives, only failures (the policy of the draft's examples).
const RECORD_CONDITION: u8 = 15;
const RECORD_DIRECTIVE: u8 = 2;

/// An update: one image, or one table, for one class of devices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpdateDescription {
    /// What it installs. A table is an image too, in all that follows: one for both slots.
    pub target: Target,
    /// Vendor id, a UUID.
    pub vendor: [u8; 16],
    /// Class id, a UUID.
    pub class: [u8; 16],
    /// Device id, a UUID, when the update is for a single device.
    pub device: Option<[u8; 16]>,
    /// Sequence number of the manifest, above zero.
    pub sequence: u64,
    /// Version for people, printable ASCII, 1 to 32 bytes.
    pub version: String,
    /// SHA-256 of the image.
    pub image_digest: [u8; 32],
    /// Bytes of the image, above zero.
    pub image_size: u64,
    /// Where the image is, or its ciphertext: [`image_uri`] of its digest, or another URI of at most 256 bytes.
    pub uri: String,
    /// If the image comes encrypted.
    pub encryption: Option<Encryption>,
    /// The image for component-slot 1, of devices that run images where they lie; the fields above are those for slot 0.
    /// Without it the image is for either slot.
    pub second_slot: Option<SlotImage>,
    /// The table that comes with firmware, and is tried and confirmed with it: one for both slots.
    pub table: Option<SlotImage>,
    /// Domain of which the vendor id was made.
    pub vendor_domain: Option<String>,
    /// Name of which the class id was made.
    pub model: Option<String>,
    /// Release notes for people.
    pub description: Option<String>,
}

impl UpdateDescription {
    /// The image for slot 0, or for either.
    fn first_slot(&self) -> SlotImage {
        SlotImage {
            digest: self.image_digest,
            size: self.image_size,
            uri: self.uri.clone(),
            encryption: self.encryption.clone(),
        }
    }
}

/// An image that is linked for one slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotImage {
    /// SHA-256 of the image.
    pub digest: [u8; 32],
    /// Bytes of the image, above zero.
    pub size: u64,
    /// Where the image is, as [`UpdateDescription::uri`].
    pub uri: String,
    /// If it comes encrypted. Both images of a release do, or none.
    pub encryption: Option<Encryption>,
}

/// How an image comes encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encryption {
    /// encryption-info: a tagged COSE_Encrypt without its ciphertext.
    pub info: Vec<u8>,
    /// SHA-256 of the ciphertext, its tag included.
    pub digest: [u8; 32],
    /// Bytes of the ciphertext, its tag included.
    pub size: u64,
}

/// Why no envelope was made.
#[derive(Debug)]
pub enum AuthorError {
    /// A field of the description is missing or out of range: which one, and the bytes that a text may have at most.
    Description(&'static str, Option<usize>),
    /// A table with an image of its own for slot 1.
    TableOfSlots,
    /// A table beside a table.
    TwoTables,
    /// The signature could not be made.
    Signature(trust::author::AuthorError),
    /// The envelope, as it was given or as it was made, is refused by the decoder.
    Refused(Error),
    /// The credential is not a release credential.
    Role,
    /// The envelope without its text, of this many bytes, is longer than a device takes.
    TooLarge(usize),
    /// ciborium failed.
    Encoding,
}

impl std::fmt::Display for AuthorError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Description(field, None) => write!(f, "the {field} is 0; it has to be at least 1"),
            Self::Description(field, Some(limit)) => {
                write!(f, "the {field} has to have 1 to {limit} bytes of printable text")
            }
            Self::TableOfSlots => {
                write!(f, "the table is for both slots: it has no image of its own for slot 1")
            }
            Self::TwoTables => write!(f, "a table comes with firmware, not with another table"),
            Self::Signature(error) => write!(f, "no signature could be made: {error}"),
            Self::Refused(error) => write!(f, "{error}"),
            Self::Role => write!(f, "the credential is not a release credential"),
            Self::TooLarge(len) => {
                write!(
                    f,
                    "the envelope without its text has {len} bytes, a device takes {MAX_ENVELOPE_HEAD_LEN}"
                )
            }
            Self::Encoding => write!(f, "the envelope could not be encoded"),
        }
    }
}

impl std::error::Error for AuthorError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Signature(error) => Some(error),
            Self::Refused(error) => Some(error),
            Self::Description(..)
            | Self::TableOfSlots
            | Self::TwoTables
            | Self::Role
            | Self::TooLarge(_)
            | Self::Encoding => None,
        }
    }
}

impl From<Error> for AuthorError {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

/// URI of an image by its digest, RFC 6920: `ni:///sha-256;` and the digest in base64url without padding.
#[must_use]
pub fn image_uri(digest: &[u8; 32]) -> String {
    format!("ni:///sha-256;{}", Base64UrlUnpadded::encode_string(digest))
}

/// Makes an unsigned envelope: its authentication wrapper holds the manifest's digest only.
///
/// # Errors
/// [`AuthorError::Description`] names the field that is missing or out of range; [`AuthorError::Refused`]
/// when a device would refuse the result; [`AuthorError::Encoding`] when it reads back as something else.
pub fn create(update: &UpdateDescription) -> Result<Vec<u8>, AuthorError> {
    check_description(update)?;
    let envelope = compose(update, &Sequences::of(update))?;

    // The processor of a device reads back the update that was asked for.
    let read = read_unsigned(&envelope)?;
    let first = update.first_slot();
    let second = update.second_slot.as_ref().unwrap_or(&first);
    let mut images = vec![(update.target, 0, &first), (update.target, 1, second)];
    images.extend(update.table.iter().flat_map(|table| [0, 1].map(|slot| (Target::Table, slot, table))));
    for (target, slot, meant) in images {
        let wanted = if update.table.is_some() { target.of_any() } else { target.into() };
        let image = image_for_any(&read, wanted, slot)?;
        if !meant.is(&image)
            || (&image.vendor, &image.class) != (&update.vendor, &update.class)
            || image.device != update.device
        {
            return Err(AuthorError::Encoding);
        }
    }
    if read.version_text() != Some(&update.version) || read.installs_both() != update.table.is_some() {
        return Err(AuthorError::Encoding);
    }
    Ok(envelope)
}

impl SlotImage {
    /// Whether a device finds this image in the manifest.
    fn is(&self, found: &ImageReference<'_>) -> bool {
        let info = found.decrypted.map(|decrypted| decrypted.info.bytes);
        let (fetched, meant) = match &self.encryption {
            Some(encryption) => ((&encryption.digest, encryption.size), Some(encryption.info.as_slice())),
            None => ((&self.digest, self.size), None),
        };
        (&found.installed_digest(), found.installed_size()) == (&self.digest, self.size)
            && (&found.digest, found.size) == fetched
            && info == meant
            && found.uri == self.uri
    }
}

/// Signs an envelope and replaces any signature that it has. Manifest and severed members keep their bytes.
///
/// Before it signs, it checks the digest (draft-ietf-suit-manifest-37 section 8.3), the whole structure, that the
/// manifest names nothing outside the credential's scope, and that the scope is not limited to serials or actions.
///
/// # Errors
/// [`AuthorError::Refused`] when a device would refuse the envelope under this credential;
/// [`AuthorError::Role`] when it is not a release credential; [`AuthorError::Signature`] when the credential
/// does not read or certifies another key, or the signer fails; [`AuthorError::TooLarge`] when a device has
/// no room for it.
pub fn sign(envelope: &[u8], signer: &dyn Signer, credential: &[u8]) -> Result<Vec<u8>, AuthorError> {
    let parsed = Envelope::parse(envelope)?;
    check_authority(&parsed, credential)?;
    let sign1 = trust::author::sign1_detached_chained(parsed.signed().bytes, signer, credential)
        .map_err(AuthorError::Signature)?;
    with_block(&parsed, &sign1)
}

/// What the key of `credential` has to sign for an envelope, after the checks of [`sign`]: for a key that no program of
/// ours reaches. [`sign`] takes the signature, with a signer that returns it.
///
/// # Errors
/// Those of [`sign`] but for the signer's
pub fn to_be_signed(envelope: &[u8], credential: &[u8]) -> Result<Vec<u8>, AuthorError> {
    let parsed = Envelope::parse(envelope)?;
    check_authority(&parsed, credential)?;
    trust::author::detached_to_be_signed(parsed.signed().bytes, credential).map_err(AuthorError::Signature)
}

/// Authenticates an envelope that nobody has signed with the authentication key of the one device that it is for: a
/// COSE_Mac0 (section 8.3; docs/records.md).
///
/// The result is checked by the code of that device.
///
/// # Errors
/// [`AuthorError::Refused`] with [`ErrorKind::SignatureMultiple`] when it has a signature or a MAC, and when the device would
/// refuse it; [`AuthorError::TooLarge`] when a device has no room for it.
pub fn authenticate(envelope: &[u8], kid: &Kid, key: &[u8; 32]) -> Result<Vec<u8>, AuthorError> {
    let parsed = Envelope::parse(envelope)?;
    if let Some(block) = parsed.block() {
        return Err(Error::new(ErrorKind::SignatureMultiple, block.base).into());
    }
    let mac0 = trust::author::mac0(parsed.signed().bytes, &kid.0, key).map_err(AuthorError::Signature)?;
    let made = with_block(&parsed, &mac0)?;
    Envelope::parse(&made)?.authenticate_with(kid, key)?.manifest().text()?;
    Ok(made)
}

/// Exchanges the credential of a signed envelope for another one of the same key. Manifest, severed members and
/// signature keep their bytes, so that a credential is renewed without signing every release again (docs/records.md,
/// Chain of a manifest).
///
/// The result is checked as in [`sign`]; the signature is verified under the new credential.
///
/// # Errors
/// [`AuthorError::Signature`] with `NotTheSignersCredential` when the credential certifies another key;
/// [`AuthorError::Refused`] when the envelope is not signed, or the manifest is outside of the credential's authority
pub fn recertify(envelope: &[u8], credential: &[u8]) -> Result<Vec<u8>, AuthorError> {
    let parsed = Envelope::parse(envelope)?;
    let old = parsed.block().ok_or(Error::new(ErrorKind::SignatureMissing, parsed.wrapper().base))?;
    check_authority(&parsed, credential)?;
    let sign1 = trust::author::exchange_credential(old.bytes, parsed.signed().bytes, credential)
        .map_err(AuthorError::Signature)?;
    with_block(&parsed, &sign1)
}

/// The manifest is well-formed as a whole and within what the credential may sign.
fn check_authority(parsed: &Envelope<'_>, credential: &[u8]) -> Result<(), AuthorError> {
    parsed.check_manifest_digest()?;
    let claims = read_unverified_credential(credential)
        .map_err(|error| AuthorError::Signature(trust::author::AuthorError::Refused(error)))?;
    if claims.role() != Role::Release {
        return Err(AuthorError::Role);
    }
    may_sign_manifests(claims.scope()).map_err(|kind| Error::new(kind, parsed.wrapper().base))?;
    Manifest::read(parsed, Some(Bounds { credential: &claims, list: None }))?.text()?;
    Ok(())
}

/// The envelope with this authentication block, read back.
fn with_block(parsed: &Envelope<'_>, block: &[u8]) -> Result<Vec<u8>, AuthorError> {
    let wrapper = encode(&Value::Array(vec![bytes(parsed.signed().bytes), bytes(block)]))?;
    let signed = rewrite(parsed, &wrapper, true)?;

    let needed = rewrite(parsed, &wrapper, false)?.len();
    if needed > MAX_ENVELOPE_HEAD_LEN {
        return Err(AuthorError::TooLarge(needed));
    }
    let read = Envelope::parse(&signed)?;
    read.check_manifest_digest()?;
    if !read.has_block() || read.digest() != parsed.digest() {
        return Err(AuthorError::Encoding);
    }
    Ok(signed)
}

/// The envelope without its text (section 8.6). The signature holds as before.
///
/// # Errors
/// Those of [`sever`].
pub fn sever_text(envelope: &[u8]) -> Result<Vec<u8>, AuthorError> {
    sever(envelope, &[EnvelopeElement::Text])
}

fn check_description(update: &UpdateDescription) -> Result<(), AuthorError> {
    if update.target == Target::Table && update.second_slot.is_some() {
        return Err(AuthorError::TableOfSlots);
    }
    if update.target == Target::Table && update.table.is_some() {
        return Err(AuthorError::TwoTables);
    }
    let fits =
        |text: &Option<String>| text.as_ref().is_none_or(|text| (1..=MAX_TEXT_LEN).contains(&text.len()));
    let (second, table) = (update.second_slot.as_ref(), update.table.as_ref());
    let checks = [
        ("size of the table", None, table.is_none_or(|table| table.size > 0)),
        (
            "URI of the table",
            Some(MAX_URI_LEN),
            table.is_none_or(|table| (1..=MAX_URI_LEN).contains(&table.uri.len())),
        ),
        ("size of the image for slot 1", None, second.is_none_or(|image| image.size > 0)),
        (
            "URI of the image for slot 1",
            Some(MAX_URI_LEN),
            second.is_none_or(|image| (1..=MAX_URI_LEN).contains(&image.uri.len())),
        ),
        // Two alternatives that are the same would say that it is linked for both.
        ("image for slot 1", None, second.is_none_or(|image| image.digest != update.image_digest)),
        // A manifest has its second component, or it has not.
        (
            "encryption of the image for slot 1",
            None,
            second.is_none_or(|image| image.encryption.is_some() == update.encryption.is_some()),
        ),
        ("sequence number", None, update.sequence > 0),
        ("version", Some(trust::MAX_VERSION_LEN), trust::is_version(&update.version)),
        ("image size", None, update.image_size > 0),
        ("URI", Some(MAX_URI_LEN), (1..=MAX_URI_LEN).contains(&update.uri.len())),
        ("vendor domain", Some(MAX_TEXT_LEN), fits(&update.vendor_domain)),
        ("model", Some(MAX_TEXT_LEN), fits(&update.model)),
        ("description", Some(MAX_TEXT_LEN), fits(&update.description)),
    ];
    match checks.into_iter().find(|(_, _, holds)| !holds) {
        Some((field, limit, _)) => Err(AuthorError::Description(field, limit)),
        None => Ok(()),
    }
}

/// What `create` says of an update to people.
fn text(update: &UpdateDescription) -> BTreeMap<String, LanguageText> {
    let version = Some(update.version.clone());
    let component = [
        (ComponentText::VendorDomain, &update.vendor_domain),
        (ComponentText::ModelInfo, &update.model),
        (ComponentText::ComponentVersion, &version),
    ];
    let component = component.into_iter().filter_map(|(key, text)| Some((key, text.clone()?))).collect();
    let description = (ManifestText::UpdateDescription, update.description.clone());
    let text = LanguageText {
        manifest: [description].into_iter().filter_map(|(key, text)| Some((key, text?))).collect(),
        components: vec![(segments(update.target.component()), component)],
    };
    [(LANGUAGE.to_owned(), text)].into()
}

/// The byte strings of a component identifier.
fn segments(id: ComponentId<'_>) -> Vec<Vec<u8>> {
    id.segments().map(<[u8]>::to_vec).collect()
}

/// The envelope with another authentication wrapper, with or without its text.
fn rewrite(envelope: &Envelope<'_>, wrapper: &[u8], with_text: bool) -> Result<Vec<u8>, AuthorError> {
    let mut severed = *envelope.severed();
    let mut members =
        vec![(AUTHENTICATION_WRAPPER, bytes(wrapper)), (MANIFEST, bytes(envelope.manifest().content.bytes))];
    for key in [PAYLOAD_FETCH, INSTALL, TEXT] {
        let member = severed.member(key).and_then(|member| member.take());
        if let Some(member) = member.filter(|_| with_text || key != TEXT) {
            members.push((key, bytes(member.content.bytes)));
        }
    }
    encode(&Value::Tag(ENVELOPE_TAG, Box::new(map(members))))
}

/// The manifest of an unsigned envelope.
fn read_unsigned(envelope: &[u8]) -> Result<Manifest<'_>, Error> {
    let parsed = Envelope::parse(envelope)?;
    parsed.check_manifest_digest()?;
    Manifest::read(&parsed, None)
}

/// A flat array of code, argument, code, argument, ...
fn sequence(commands: impl IntoIterator<Item = (i32, Value)>) -> Value {
    Value::Array(commands.into_iter().flat_map(|(code, argument)| [code.into(), argument]).collect())
}

/// The keys come in canonical order; the decoder checks that.
fn map(entries: impl IntoIterator<Item = (i32, Value)>) -> Value {
    Value::Map(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
}

fn bytes(bytes: &[u8]) -> Value {
    Value::Bytes(bytes.to_vec())
}

fn encode(value: &Value) -> Result<Vec<u8>, AuthorError> {
    let mut out = Vec::new();
    ciborium::into_writer(value, &mut out).map_err(|_| AuthorError::Encoding)?;
    Ok(out)
}
