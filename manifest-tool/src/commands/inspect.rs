//! `inspect`: show a file without verifying it: files of this project, and SUIT envelopes of any tool.

mod device_keys;
mod public_key;
mod records;

use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use suit_manifest::author::tree::EnvelopeTree;
use suit_manifest::author::{Outline, diagnostic_notation, inspect, outline};
use suit_manifest::{ErrorKind, Reason};
use trust::author::read_unverified_credential;
use trust::host::KeyFileError;
use trust::provisioning::ProvisioningBlock;

use self::device_keys::DeviceKeyView;
use self::public_key::KeyView;
use self::records::{ChainView, HeadView, chain, record};
use crate::blocks::AuthenticationView;
use crate::describe::{
    CredentialView, ManifestView, RevocationView, SuccessionView, device_key_of, kid, no_anchors, rights,
    uuid,
};
use crate::error::Error;
use crate::files::{MAX_BUNDLE_FILE_LEN, read};
use crate::kind::Kind;
use crate::output::{Report, table};

/// Show an envelope, record, block, public key or image without verifying it
#[derive(clap::Args, Clone, Debug)]
pub struct Inspect {
    /// File to show
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print it in diagnostic notation (RFC 8949 section 8), which leads back to the very bytes
    #[arg(long)]
    edn: bool,
}

#[derive(Debug, Serialize)]
pub struct Inspected {
    /// Always false: `verify` verifies.
    verified: bool,
    bytes: usize,
    /// Why our devices would refuse it, signature and time apart; `null` when they would read it.
    refusal: Option<Refusal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    edn: Option<String>,
    #[serde(flatten)]
    content: Content,
}

/// Why a device would not read the file.
#[derive(Debug, Serialize)]
struct Refusal {
    code: &'static str,
    message: &'static str,
    hint: &'static str,
    position: u32,
    /// The section of a specification that asks for it.
    rule: String,
}

impl Refusal {
    fn new(error: suit_manifest::Error) -> Self {
        let (reason, position) = (error.reason(), error.position);
        let (code, message, hint) = (reason.slug(), reason.message(), reason.hint());
        Self { code, message, hint, position, rule: error.rule().to_string() }
    }

    fn words(&self) -> String {
        format!("{} [{}, byte {}, {}]", self.message, self.code, self.position, self.rule)
    }
}

#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Content {
    Envelope(Box<EnvelopeView>),
    Credential(CredentialView),
    RevocationList(RevocationView),
    Succession(SuccessionView),
    SuccessionRequest(SuccessionView),
    SuccessionChain(ChainView),
    LedgerHead(HeadView),
    ProvisioningBlock(BlockView),
    PublicKey(KeyView),
    Image(PlainImageView),
    /// With `--edn`: what is no file of ours, or what another command shows.
    Cbor,
}

/// Envelope, or bare manifest.
#[derive(Debug, Serialize)]
struct EnvelopeView {
    signed: bool,
    /// What it installs on our devices; absent when they would refuse it.
    #[serde(flatten)]
    manifest: Option<ManifestView>,
    credential: Option<CredentialView>,
    /// kid of the device's key whose MAC stands in the place of a signature.
    #[serde(skip_serializing_if = "Option::is_none")]
    authentication_key: Option<String>,
    /// What covers it, as each of them says: nothing of it is verified.
    blocks: Vec<AuthenticationView>,
    /// What SUIT itself does not allow in it, whatever a device offers: form, digests, bounds. `null`: nothing.
    fault: Option<Refusal>,
    contents: OutlineView,
}

/// An element of an envelope.
#[derive(Debug, Serialize)]
pub(super) struct OutlineView {
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    value: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parts: Vec<OutlineView>,
}

impl From<Outline> for OutlineView {
    fn from(outline: Outline) -> Self {
        let parts = outline.parts.into_iter().map(Self::from).collect();
        Self { name: outline.name, value: outline.value, parts }
    }
}

impl OutlineView {
    pub(super) fn rows(&self, depth: usize, rows: &mut Vec<String>) {
        let colon = if self.value.is_empty() { "" } else { ": " };
        rows.push(format!("{:width$}{}{colon}{}", "", self.name, self.value, width = 2 * depth));
        self.parts.iter().for_each(|part| part.rows(depth + 1, rows));
    }
}

#[derive(Debug, Serialize)]
struct BlockView {
    serial: String,
    vendor: String,
    class: String,
    device: String,
    node_address: u8,
    anchors: Vec<AnchorView>,
    sequence_floor: u64,
    /// Of its keys, what names them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    keys: Vec<DeviceKeyView>,
}

#[derive(Debug, Serialize)]
struct AnchorView {
    kid: String,
    rights: String,
    domain: String,
}

/// Firmware: no envelope came with it.
#[derive(Debug, Serialize)]
struct PlainImageView {
    sha256: String,
    size: usize,
    stack_pointer: Option<u32>,
    reset_vector: Option<u32>,
}

impl Inspect {
    pub fn run(&self) -> Result<Inspected, Error> {
        let file = read(&self.file, MAX_BUNDLE_FILE_LEN)?;
        if self.edn && Kind::of(&file) == Some(Kind::BlockWithKeys) {
            return Err(Error::usage(
                "--edn would show the keys of the block; without it, inspect names them",
            ));
        }
        let (content, refusal) = match Kind::of(&file) {
            Some(Kind::Report) | None if self.edn => (Content::Cbor, None),
            _ => show(&self.file, &file)?,
        };
        let edn = self.edn.then(|| diagnostic_notation(&file)).transpose();
        let edn = edn.map_err(|fault| Error::NoNotation { path: self.file.clone(), fault })?;
        Ok(Inspected { verified: false, bytes: file.len(), refusal, edn, content })
    }
}

fn show(path: &Path, file: &[u8]) -> Result<(Content, Option<Refusal>), Error> {
    let content = match Kind::of(file) {
        Some(Kind::PrivateKey) => return Err(Error::public_key(path, KeyFileError::PrivateKey)),
        Some(Kind::Envelope | Kind::Manifest) => {
            let refused = || match inspect(file) {
                Ok(_) => Error::Internal("the envelope has no outline"),
                Err(error) => Error::refused_manifest(path, error),
            };
            return outline(file).map(|contents| envelope(file, contents)).ok_or_else(refused);
        }
        Some(Kind::LedgerHead) => record(path, &ledger::head_of_file(file).unwrap_or(file.to_vec()))?,
        Some(
            Kind::Credential
            | Kind::RevocationList
            | Kind::Succession
            | Kind::SuccessionRequest
            | Kind::Record,
        ) => record(path, file)?,
        Some(Kind::SuccessionChain) => Content::SuccessionChain(chain(path, file)?),
        Some(Kind::ProvisioningBlock | Kind::BlockWithKeys) => Content::ProvisioningBlock(block(path, file)?),
        Some(Kind::PublicKey | Kind::Pem) => Content::PublicKey(KeyView::of(path, file)?),
        Some(Kind::Firmware) => Content::Image(image(file)),
        Some(
            Kind::MasterKey
            | Kind::Recipients
            | Kind::Share
            | Kind::DeviceList
            | Kind::LineLog
            | Kind::Transcript
            | Kind::Report,
        ) => return Err(Error::FileUnknown(path.to_owned(), Kind::of(file))),
        None => return Err(Error::FileUnknown(path.to_owned(), None)),
    };
    Ok((content, None))
}

fn envelope(file: &[u8], contents: Outline) -> (Content, Option<Refusal>) {
    let strict = inspect(file);
    let mut view = EnvelopeView {
        signed: false,
        manifest: None,
        credential: None,
        authentication_key: None,
        blocks: Vec::new(),
        fault: None,
        contents: contents.into(),
    };
    view.fault = match EnvelopeTree::read(file) {
        Ok(tree) => {
            view.blocks = AuthenticationView::claimed(&tree);
            tree.fault_inside().map(Refusal::new)
        }
        // Legal, and not an envelope.
        Err(error) if error.kind == ErrorKind::ManifestBare => None,
        Err(error) => Some(Refusal::new(error)),
    };
    let refusal = match &strict {
        Ok(inspection) => {
            view.signed = inspection.sign1().is_some();
            view.authentication_key = device_key_of(inspection);
            view.credential = inspection
                .credential()
                .and_then(|cwt| read_unverified_credential(cwt).ok())
                .map(|claims| CredentialView::new(&claims));
            ManifestView::of_inspection(inspection).map(|manifest| view.manifest = Some(manifest)).err()
        }
        Err(error) => {
            view.signed = is_signed(&view.contents);
            Some(*error)
        }
    };
    let refusal = refusal.map(Refusal::new);
    (Content::Envelope(Box::new(view)), refusal)
}

/// Whether the outline shows anything beside the digest in the wrapper.
fn is_signed(contents: &OutlineView) -> bool {
    let wrapper = contents.parts.iter().find(|part| part.name.starts_with("authentication-wrapper"));
    wrapper.is_some_and(|wrapper| wrapper.parts.len() > 1)
}

fn block(path: &Path, file: &[u8]) -> Result<BlockView, Error> {
    let refused =
        |error: trust::Error| Error::refused(path, Reason::of_provisioning(error.kind), error.position);
    let (block, keys) = ProvisioningBlock::parse_with_keys(file).map_err(refused)?;
    Ok(BlockView {
        serial: block.identity.serial().to_owned(),
        vendor: uuid(&block.identity.vendor),
        class: uuid(&block.identity.class),
        device: uuid(&block.identity.device),
        node_address: block.identity.node_address,
        anchors: block
            .anchors
            .as_slice()
            .iter()
            .map(|anchor| AnchorView {
                kid: kid(anchor.kid()),
                rights: rights(anchor.rights()),
                domain: kid(anchor.domain().0),
            })
            .collect(),
        sequence_floor: block.sequence_floor,
        keys: DeviceKeyView::of(&keys),
    })
}

fn image(file: &[u8]) -> PlainImageView {
    let (vectors, _) = file.as_chunks::<4>();
    let vector = |index: usize| vectors.get(index).map(|vector| u32::from_le_bytes(*vector));
    PlainImageView {
        sha256: hex::encode(Sha256::digest(file)),
        size: file.len(),
        stack_pointer: vector(0),
        reset_vector: vector(1),
    }
}

impl Report for Inspected {
    fn lines(&self) -> String {
        if let Some(edn) = &self.edn {
            return edn.clone();
        }
        let (kind, rows) = self.content.rows();
        let mut all = vec![("file", format!("{kind}, {} bytes, NOT verified here", self.bytes))];
        if let Some(refusal) = &self.refusal {
            all.push(("our devices", format!("would refuse it: {}", refusal.words())));
        }
        all.extend(rows);
        let mut text = table(&all);
        if let Content::Envelope(view) = &self.content {
            view.append(&mut text);
        }
        text
    }
}

impl EnvelopeView {
    fn append(&self, text: &mut String) {
        match &self.credential {
            Some(credential) => {
                text.push_str("\n\ncredential that came with the signature:\n");
                text.push_str(&table(&credential.rows()));
            }
            None if self.signed => text.push_str("\n\nno credential of ours came with the signature"),
            None => {}
        }
        let mut rows = Vec::new();
        self.contents.rows(0, &mut rows);
        text.push_str("\n\n");
        let rows: Vec<String> = rows.iter().map(|row| trust::host::printable(row)).collect();
        text.push_str(&rows.join("\n"));
    }
}

impl Content {
    fn rows(&self) -> (&'static str, Vec<(&'static str, String)>) {
        match self {
            Self::Envelope(view) => {
                let signed = match &view.authentication_key {
                    Some(key) => format!("no; authenticated for one device, by its key {key}"),
                    None if view.signed => "yes".to_owned(),
                    None => "NO".to_owned(),
                };
                let mut rows = vec![("signed", signed)];
                rows.extend(view.blocks.iter().flat_map(AuthenticationView::rows));
                rows.extend(view.fault.as_ref().map(|fault| ("NOT AS SUIT ASKS", fault.words())));
                rows.extend(view.manifest.as_ref().map(ManifestView::rows).unwrap_or_default());
                ("envelope", rows)
            }
            Self::Credential(view) => ("credential", view.rows()),
            Self::RevocationList(view) => ("revocation list", view.rows()),
            Self::Succession(view) => ("succession", view.rows()),
            Self::SuccessionRequest(view) => ("request for a succession", view.rows()),
            Self::SuccessionChain(view) => ("succession chain", view.rows()),
            Self::LedgerHead(view) => ("head of a ledger", view.rows()),
            Self::ProvisioningBlock(view) => ("provisioning block", view.rows()),
            Self::PublicKey(view) => ("public key", view.rows()),
            Self::Image(view) => ("image", view.rows()),
            Self::Cbor => ("CBOR", Vec::new()),
        }
    }
}

impl BlockView {
    fn rows(&self) -> Vec<(&'static str, String)> {
        let mut rows = vec![
            ("serial", self.serial.clone()),
            ("vendor", self.vendor.clone()),
            ("class", self.class.clone()),
            ("device", self.device.clone()),
            ("node address", format!("{:#04x}", self.node_address)),
            ("sequence floor", self.sequence_floor.to_string()),
        ];
        rows.extend(self.keys.iter().map(DeviceKeyView::row));
        rows.extend(self.anchors.iter().map(|anchor| {
            ("anchor", format!("{} ({}; domain {})", anchor.kid, anchor.rights, anchor.domain))
        }));
        if self.anchors.is_empty() {
            let authenticates = self.keys.iter().any(DeviceKeyView::authenticates);
            rows.push(("anchors", no_anchors(authenticates).to_owned()));
        }
        rows
    }
}

impl PlainImageView {
    fn rows(&self) -> Vec<(&'static str, String)> {
        let mut rows = vec![("SHA-256", self.sha256.clone())];
        rows.extend(self.stack_pointer.map(|value| ("stack pointer", format!("{value:#010x}"))));
        rows.extend(self.reset_vector.map(|value| ("reset vector", format!("{value:#010x}"))));
        rows
    }
}
