//! `verify --public-key`: do the blocks of an envelope hold under these keys? Nothing else of what a device asks is asked.

use std::path::{Path, PathBuf};

use serde::Serialize;
use suit_manifest::argument::{AnyDigest, ParameterValue};
use suit_manifest::author::digest_name;
use suit_manifest::author::tree::{
    ArgumentTree, CommandTree, Identifier, IndexTree, ManifestTree, ParameterTree,
};
use trust::ErrorKind;
use trust::blocks::encryption::{AgreementSecret, HostEncryption};
use trust::blocks::{Keys, VerifyingKey};
use trust::cbor::Span;
use trust::host::MAX_KEY_FILE_LEN;

use super::NO_TABLE_BESIDE;
use crate::agreement::open_private_key;
use crate::blocks::{AuthenticationView, held, judge_all};
use crate::bundle::Bundle;
use crate::error::{Error, ImageDifference};
use crate::files::read;
use crate::image::MAX_PAYLOAD_LEN;
use crate::output::{Report, table};
use crate::provisioned::ProvisionedDevice;

/// Most keys that `--require` can ask for.
const MAX_REQUIRED: i64 = 64;
/// What the identifiers of a table's components begin with.
const TABLE_SEGMENT: &[u8] = b"table";

/// Keys that are trusted as they are, and what they have to do.
#[derive(clap::Args, Clone, Debug)]
#[group(skip)]
pub(super) struct BareArguments {
    /// Public key that may have signed, Ed25519 or P-256: PEM, COSE_Key. No credential is asked for (repeatable)
    #[arg(long = "public-key", value_name = "FILE", conflicts_with_all = [
        "anchors", "recovery_anchors", "successions", "revocations", "block", "vendor", "class", "serial", "sequence_floor",
        "now",
    ])]
    public_keys: Vec<PathBuf>,
    /// Provisioning block of a device whose keys may have made a MAC, as --public-key
    #[arg(long, value_name = "FILE", conflicts_with_all = [
        "anchors", "recovery_anchors", "successions", "revocations", "block", "vendor", "class", "serial", "sequence_floor",
        "now",
    ])]
    keys_of: Option<PathBuf>,
    /// Ask for blocks under N different keys, whatever becomes of the others [default: one, and no block may fail]
    #[arg(long, value_name = "N", requires = "bare", conflicts_with_all = ["anchors", "block"], value_parser = clap::value_parser!(u8).range(1..=MAX_REQUIRED))]
    require: Option<u8>,
    /// Take EdDSA (-8) for Ed25519
    #[arg(long, requires = "public_keys", conflicts_with_all = ["anchors", "block"])]
    allow_eddsa: bool,
    /// Private key of one who may read the image, P-256 or X25519: decrypt --image and --table with it, and compare what comes out. Not encrypted
    #[arg(long, value_name = "FILE", requires = "bare", requires = "compared")]
    decryption_key: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
pub struct BareReport {
    verified: bool,
    image_verified: bool,
    /// Of a release of firmware and a table.
    #[serde(skip_serializing_if = "Option::is_none")]
    table_verified: Option<bool>,
    /// Whether what the key made of it is the image.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    image_decrypted: bool,
    /// The same of the table.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    table_decrypted: bool,
    manifest_digest: String,
    digest_algorithm: String,
    sequence: u64,
    /// Keys under which a block holds.
    keys: usize,
    blocks: Vec<AuthenticationView>,
    not_checked: Vec<&'static str>,
}

impl BareArguments {
    /// Whether blocks are judged by keys alone.
    pub(super) fn are_given(&self) -> bool {
        !self.public_keys.is_empty() || self.keys_of.is_some()
    }

    pub(super) fn run(
        &self,
        envelope: &Path,
        image: Option<&Path>,
        table: Option<&Path>,
    ) -> Result<BareReport, Error> {
        let public = self.public_keys.iter().map(|path| open(path)).collect::<Result<Vec<_>, _>>()?;
        let device = self.keys_of.as_deref().map(ProvisionedDevice::open).transpose()?;
        let device = device.as_ref().map(ProvisionedDevice::keys);
        let secret = self.decryption_key.as_deref().map(open_private_key).transpose()?;
        let bundle = Bundle::read(envelope)?;
        let tree = bundle.tree()?;
        let keys = Keys { public: &public, device, allow_eddsa: self.allow_eddsa };
        let verdicts = judge_all(&tree, &keys);
        let blocks: Vec<AuthenticationView> = verdicts.iter().map(AuthenticationView::judged).collect();
        let keys = match held(&verdicts, self.require.map(usize::from)) {
            Ok(keys) => keys,
            Err(shortfall) => return Err(Error::Blocks { path: envelope.to_owned(), shortfall, blocks }),
        };
        let (named, named_table) = Named::of(&tree.manifest).halves();
        if table.is_some() && named_table.is_none() {
            return Err(Error::usage(NO_TABLE_BESIDE));
        }
        let compare = |path: Option<&Path>, named: &Named<'_>| {
            path.map_or(Ok(()), |path| named.compare((envelope, path), secret.as_ref()))
        };
        compare(image, &named)?;
        named_table.as_ref().map_or(Ok(()), |named| compare(table, named))?;
        let mut not_checked = vec!["credential", "scope", "revocation", "device"];
        not_checked.extend(image.is_none().then_some("image"));
        not_checked.extend((named_table.is_some() && table.is_none()).then_some("table"));
        Ok(BareReport {
            verified: true,
            image_verified: image.is_some(),
            table_verified: named_table.map(|_| table.is_some()),
            image_decrypted: secret.is_some() && image.is_some(),
            table_decrypted: secret.is_some() && table.is_some(),
            manifest_digest: hex::encode(tree.digest.bytes()),
            digest_algorithm: digest_name(tree.digest.algorithm()),
            sequence: tree.manifest.sequence_number,
            keys,
            blocks,
            not_checked,
        })
    }
}

fn open(path: &Path) -> Result<VerifyingKey, Error> {
    VerifyingKey::parse(&read(path, MAX_KEY_FILE_LEN)?)
        .map_err(|source| Error::VerifyingKey { path: path.to_owned(), source })
}

/// What a manifest says of images, wherever in it that stands: what a device makes of the sequences is its own business.
#[derive(Default)]
struct Named<'a> {
    /// Components of the manifest.
    count: u64,
    /// Those of a table, and all others.
    table: Vec<u64>,
    others: Vec<u64>,
    images: Vec<NamedDigest<'a>>,
    /// With the components that they are set for: what is decrypted is the image of those.
    encryption_infos: Vec<(Vec<u64>, Span<'a>)>,
}

/// An image-digest.
#[derive(Clone)]
struct NamedDigest<'a> {
    components: Vec<u64>,
    digest: AnyDigest<'a>,
    /// That is set beside it.
    size: Option<u64>,
}

impl<'a> Named<'a> {
    fn of(manifest: &ManifestTree<'a>) -> Self {
        let is_table = |id: &Identifier<'_>| id.first() == Some(&TABLE_SEGMENT);
        let (mut table, mut others) = (Vec::new(), Vec::new());
        for (index, id) in (0..).zip(&manifest.components) {
            if is_table(id) { &mut table } else { &mut others }.push(index);
        }
        let count = manifest.components.len() as u64;
        let mut named = Self { count, table, others, ..Self::default() };
        let sections = manifest.sections.iter().filter_map(|(_, member)| member.content());
        for commands in manifest.shared.iter().chain(sections) {
            named.sequence(commands, vec![0]);
        }
        named
    }

    fn sequence(&mut self, commands: &[CommandTree<'a>], mut selected: Vec<u64>) {
        for command in commands {
            match &command.argument {
                ArgumentTree::Index(IndexTree::One(index)) => selected = vec![*index],
                ArgumentTree::Index(IndexTree::All) => selected = (0..self.count).collect(),
                ArgumentTree::Index(IndexTree::List(indices)) => selected.clone_from(indices),
                ArgumentTree::Parameters(parameters) => self.parameters(parameters, &selected),
                ArgumentTree::ByComponent(components) => {
                    for (index, parameters) in components {
                        selected = vec![*index];
                        self.parameters(parameters, &selected);
                    }
                }
                ArgumentTree::Sequence(inner) => self.sequence(inner, selected.clone()),
                ArgumentTree::Alternatives(sequences) => {
                    sequences.iter().flatten().for_each(|inner| self.sequence(inner, selected.clone()));
                }
                ArgumentTree::Policy(_) | ArgumentTree::Keys(_) | ArgumentTree::Custom(_) => {}
            }
        }
    }

    fn parameters(&mut self, parameters: &[ParameterTree<'a>], components: &[u64]) {
        let mut image = (None, None);
        for parameter in parameters {
            match parameter.value {
                ParameterValue::ImageDigest(digest) => image.0 = Some(digest),
                ParameterValue::ImageSize(size) => image.1 = Some(size),
                ParameterValue::EncryptionInfo(info) => {
                    self.encryption_infos.push((components.to_vec(), info));
                }
                _ => {}
            }
        }
        self.images.extend(image.0.map(|digest| NamedDigest {
            components: components.to_vec(),
            digest,
            size: image.1,
        }));
    }

    /// What it says of its image, and, if it has a table beside one, of that: neither stands in for the other.
    fn halves(self) -> (Self, Option<Self>) {
        if self.table.is_empty() || self.others.is_empty() {
            return (self, None);
        }
        (self.of_components(&self.others), Some(self.of_components(&self.table)))
    }

    /// The images of these components, and how they are decrypted.
    fn of_components(&self, wanted: &[u64]) -> Self {
        let are_theirs = |components: &[u64]| components.iter().any(|index| wanted.contains(index));
        let images = self.images.iter().filter(|image| are_theirs(&image.components));
        let infos = self.encryption_infos.iter().filter(|(components, _)| are_theirs(components));
        Self {
            images: images.cloned().collect(),
            encryption_infos: infos.cloned().collect(),
            ..Self::default()
        }
    }

    /// Fails unless the file, or what the private key makes of it, is one of those that are named.
    fn compare(
        &self,
        (envelope, path): (&Path, &Path),
        secret: Option<&AgreementSecret>,
    ) -> Result<(), Error> {
        let file = read(path, MAX_PAYLOAD_LEN)?;
        let Some(secret) = secret else { return self.check(path, &file) };
        if self.encryption_infos.is_empty() {
            return Err(Error::usage("the release is not encrypted; omit --decryption-key"));
        }
        self.check(path, &self.decrypted((envelope, path), &file, secret)?)
    }

    /// What a private key makes of a ciphertext, under the first encryption-info that is for it: the image of the component
    /// that has it. Counter mode makes the ciphertext out of the plaintext, which is the image of another component.
    fn decrypted(
        &self,
        (envelope, path): (&Path, &Path),
        ciphertext: &[u8],
        secret: &AgreementSecret,
    ) -> Result<Vec<u8>, Error> {
        let mut refusal = Error::NoRecipient(envelope.to_owned());
        for (components, info) in &self.encryption_infos {
            let theirs = self.of_components(components);
            let opened = HostEncryption::read(*info)
                .and_then(|info| info.open(&info.content_key(secret)?, ciphertext));
            let right = if theirs.images.is_empty() { self } else { &theirs };
            let checked = match opened {
                Ok(image) => match right.check(path, &image) {
                    Ok(()) => return Ok(image),
                    Err(error) => Err(error),
                },
                // Where the ciphertext is named too, another file is not laid at the door of the envelope.
                Err(error) if error.kind == ErrorKind::ContentTag => {
                    refusal = Error::refused(envelope, error.into(), error.position);
                    if self.images.len() > 1 { self.check(path, ciphertext) } else { Ok(()) }
                }
                Err(error) if error.kind == ErrorKind::DeviceKeyUnknown => continue,
                Err(error) => {
                    refusal = Error::refused(envelope, error.into(), error.position);
                    continue;
                }
            };
            // Neither is what comes out, in the place of what goes in.
            if theirs.check(path, ciphertext).is_ok() {
                let difference = ImageDifference::Decrypted;
                return Err(Error::ImageMismatch { path: path.to_owned(), difference });
            }
            checked?;
        }
        Err(refusal)
    }

    /// Fails unless the image is one of those that are named.
    fn check(&self, path: &Path, image: &[u8]) -> Result<(), Error> {
        let len = image.len() as u64;
        let sizes = self.images.iter().filter(|named| named.digest.is_of(image)).map(|named| named.size);
        let difference = match sizes.min() {
            // Section 8.4.8.6: the digest is over so many bytes.
            Some(Some(size)) if size != len => ImageDifference::Size(len, size),
            Some(_) => return Ok(()),
            None if self.images.is_empty() => ImageDifference::NoneNamed,
            None => ImageDifference::Digest,
        };
        Err(Error::ImageMismatch { path: path.to_owned(), difference })
    }
}

impl Report for BareReport {
    fn lines(&self) -> String {
        let image = match self.image_verified {
            true => "yes",
            false => "not compared: no --image was given",
        };
        let table_words = |is_verified| {
            if is_verified { "yes" } else { "not compared: no --table was given" }
        };
        let mut rows = vec![
            ("blocks hold", format!("yes, under {} of the given keys", self.keys)),
            ("manifest", format!("{} {}", self.digest_algorithm, self.manifest_digest)),
            ("sequence", self.sequence.to_string()),
            ("image matches", image.to_owned()),
        ];
        rows.extend(self.table_verified.map(|is| ("table matches", table_words(is).to_owned())));
        rows.extend(self.image_decrypted.then(|| ("image decrypts", "yes".to_owned())));
        rows.extend(self.table_decrypted.then(|| ("table decrypts", "yes".to_owned())));
        rows.extend(self.blocks.iter().flat_map(AuthenticationView::rows));
        let not_checked =
            "whether these keys may sign it: no credential, scope, revocation, or device was looked at";
        rows.push(("NOT checked", not_checked.to_owned()));
        table(&rows)
    }
}
