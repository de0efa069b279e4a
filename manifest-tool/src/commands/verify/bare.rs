//! `verify --public-key`: do the blocks of an envelope hold under these keys? Nothing else of what a device asks is asked.

use std::path::{Path, PathBuf};

use serde::Serialize;
use suit_manifest::argument::{AnyDigest, ParameterValue};
use suit_manifest::author::digest_name;
use suit_manifest::author::tree::{ArgumentTree, CommandTree, ManifestTree, ParameterTree};
use trust::blocks::{Keys, VerifyingKey};
use trust::host::MAX_KEY_FILE_LEN;

use crate::blocks::{AuthenticationView, held, judge_all};
use crate::bundle::Bundle;
use crate::error::{Error, ImageDifference};
use crate::files::read;
use crate::image::MAX_IMAGE_LEN;
use crate::output::{Report, table};
use crate::provisioned::ProvisionedDevice;

/// Most keys that `--require` can ask for.
const MAX_REQUIRED: i64 = 64;

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
}

#[derive(Debug, Serialize)]
pub struct BareReport {
    verified: bool,
    image_verified: bool,
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

    pub(super) fn run(&self, envelope: &Path, image: Option<&Path>) -> Result<BareReport, Error> {
        let public = self.public_keys.iter().map(|path| open(path)).collect::<Result<Vec<_>, _>>()?;
        let device = self.keys_of.as_deref().map(ProvisionedDevice::open).transpose()?;
        let device = device.as_ref().map(ProvisionedDevice::keys);
        let bundle = Bundle::read(envelope)?;
        let tree = bundle.tree()?;
        let keys = Keys { public: &public, device, allow_eddsa: self.allow_eddsa };
        let verdicts = judge_all(&tree, &keys);
        let blocks: Vec<AuthenticationView> = verdicts.iter().map(AuthenticationView::judged).collect();
        let keys = match held(&verdicts, self.require.map(usize::from)) {
            Ok(keys) => keys,
            Err(shortfall) => return Err(Error::Blocks { path: envelope.to_owned(), shortfall, blocks }),
        };
        if let Some(path) = image {
            check_image(&tree.manifest, path)?;
        }
        let mut not_checked = vec!["credential", "scope", "revocation", "device"];
        not_checked.extend(image.is_none().then_some("image"));
        Ok(BareReport {
            verified: true,
            image_verified: image.is_some(),
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

/// Fails unless the image is one that the manifest names, wherever in it that stands: what a device makes of the sequences is its
/// own business.
fn check_image(manifest: &ManifestTree<'_>, path: &Path) -> Result<(), Error> {
    let image = read(path, MAX_IMAGE_LEN)?;
    let mut named = Vec::new();
    let sections = manifest.sections.iter().filter_map(|(_, member)| member.content());
    for commands in manifest.shared.iter().chain(sections) {
        images(commands, &mut named);
    }
    let len = image.len() as u64;
    let difference =
        match named.iter().filter(|(digest, _)| digest.is_of(&image)).map(|(_, size)| *size).min() {
            // Section 8.4.8.6: the digest is over so many bytes.
            Some(Some(size)) if size != len => ImageDifference::Size(len, size),
            Some(_) => return Ok(()),
            None if named.is_empty() => ImageDifference::NoneNamed,
            None => ImageDifference::Digest,
        };
    Err(Error::ImageMismatch { path: path.to_owned(), difference })
}

/// Each image-digest, with the size that is set beside it.
fn images<'a>(commands: &[CommandTree<'a>], named: &mut Vec<(AnyDigest<'a>, Option<u64>)>) {
    for command in commands {
        match &command.argument {
            ArgumentTree::Parameters(parameters) => named.extend(image_of(parameters)),
            ArgumentTree::ByComponent(components) => {
                named.extend(components.iter().filter_map(|(_, parameters)| image_of(parameters)));
            }
            ArgumentTree::Sequence(inner) => images(inner, named),
            ArgumentTree::Alternatives(sequences) => {
                sequences.iter().flatten().for_each(|inner| images(inner, named));
            }
            ArgumentTree::Policy(_)
            | ArgumentTree::Index(_)
            | ArgumentTree::Keys(_)
            | ArgumentTree::Custom(_) => {}
        }
    }
}

fn image_of<'a>(parameters: &[ParameterTree<'a>]) -> Option<(AnyDigest<'a>, Option<u64>)> {
    let mut image = (None, None);
    for parameter in parameters {
        match parameter.value {
            ParameterValue::ImageDigest(digest) => image.0 = Some(digest),
            ParameterValue::ImageSize(size) => image.1 = Some(size),
            _ => {}
        }
    }
    Some((image.0?, image.1))
}

impl Report for BareReport {
    fn lines(&self) -> String {
        let image = match self.image_verified {
            true => "yes",
            false => "not compared: no --image was given",
        };
        let mut rows = vec![
            ("blocks hold", format!("yes, under {} of the given keys", self.keys)),
            ("manifest", format!("{} {}", self.digest_algorithm, self.manifest_digest)),
            ("sequence", self.sequence.to_string()),
            ("image matches", image.to_owned()),
        ];
        rows.extend(self.blocks.iter().flat_map(AuthenticationView::rows));
        let not_checked =
            "whether these keys may sign it: no credential, scope, revocation, or device was looked at";
        rows.push(("NOT checked", not_checked.to_owned()));
        table(&rows)
    }
}
