//! `verify --public-key`: do the blocks of an envelope hold under these keys? Nothing else of what a device asks is asked.

mod named;

use std::path::{Path, PathBuf};

use serde::Serialize;
use suit_manifest::author::digest_name;
use trust::blocks::{Keys, VerifyingKey};
use trust::host::MAX_KEY_FILE_LEN;

use self::named::Named;
use super::NO_TABLE_BESIDE;
use crate::agreement::open_private_key;
use crate::blocks::{AuthenticationView, held, judge_all};
use crate::bundle::Bundle;
use crate::error::Error;
use crate::files::{is_standard, read};
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
    /// Private key of one who may read the image, P-256 or X25519: decrypt --image and --table with it, and compare what comes out. Not encrypted
    #[arg(long, value_name = "FILE", requires = "bare", requires = "compared")]
    decryption_key: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
pub struct BareReport {
    verified: bool,
    image_verified: bool,
    /// Components whose image `--image` is: of an encrypted release, those of what is sent, or of what is installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    image_component: Option<String>,
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
    /// URIs of members of the envelope that are compared with no digest.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    members_not_compared: Vec<String>,
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
        let named = Named::of(&tree.manifest);
        // Of a release of ours the device's walk says what is fetched from where, for each slot.
        let inside = match bundle.check_release()? {
            Some(inside) => inside,
            None => named.check_inside(&bundle, &tree.integrated)?,
        };
        let (named, named_table) = named.halves();
        if table.is_some() && named_table.is_none() {
            return Err(Error::usage(NO_TABLE_BESIDE));
        }
        let fits = |path: &Path, named: &Named<'_>| named.compare((envelope, path), secret.as_ref());
        let options = ["--image", "--table"];
        let compare =
            |path: Option<&Path>, named: &Named<'_>, other: Option<&Named<'_>>, [given, meant]: [_; 2]| {
                let Some(path) = path else { return Ok(None) };
                fits(path, named).map(Some).map_err(|error| match other {
                    Some(other) if !is_standard(path) && fits(path, other).is_ok() => {
                        Error::misplaced(path, given, meant)
                    }
                    _ => error,
                })
            };
        let image_component = compare(image, &named, named_table.as_ref(), options)?;
        let [first, second] = options;
        named_table
            .as_ref()
            .map(|of_table| compare(table, of_table, Some(&named), [second, first]))
            .transpose()?;
        let image_verified = image.is_some() || inside.image;
        let table_verified = named_table.map(|_| table.is_some() || inside.table);
        let mut not_checked = vec!["credential", "scope", "revocation", "device"];
        not_checked.extend((!image_verified).then_some("image"));
        not_checked.extend((table_verified == Some(false)).then_some("table"));
        not_checked.extend((!inside.not_compared.is_empty()).then_some("members"));
        Ok(BareReport {
            verified: true,
            image_verified,
            image_component,
            table_verified,
            image_decrypted: secret.is_some() && image.is_some(),
            table_decrypted: secret.is_some() && table.is_some(),
            manifest_digest: hex::encode(tree.digest.bytes()),
            digest_algorithm: digest_name(tree.digest.algorithm()),
            sequence: tree.manifest.sequence_number,
            keys,
            blocks,
            not_checked,
            members_not_compared: inside.not_compared,
        })
    }
}

fn open(path: &Path) -> Result<VerifyingKey, Error> {
    VerifyingKey::parse(&read(path, MAX_KEY_FILE_LEN)?)
        .map_err(|source| Error::VerifyingKey { path: path.to_owned(), source })
}

impl Report for BareReport {
    fn lines(&self) -> String {
        let image = match (self.image_verified, &self.image_component) {
            (true, Some(component)) => format!("yes, that of component {component}"),
            (true, None) => "yes".to_owned(),
            (false, _) => {
                "not compared: no --image was given, and the envelope has none that is named".to_owned()
            }
        };
        let table_words = |is_verified| {
            if is_verified {
                "yes"
            } else {
                "not compared: no --table was given, and it is not in the envelope"
            }
        };
        let mut rows = vec![
            ("blocks hold", format!("yes, under {} of the given keys", self.keys)),
            ("manifest", format!("{} {}", self.digest_algorithm, self.manifest_digest)),
            ("sequence", self.sequence.to_string()),
            ("image matches", image),
        ];
        rows.extend(self.table_verified.map(|is| ("table matches", table_words(is).to_owned())));
        rows.extend(self.image_decrypted.then(|| ("image decrypts", "yes".to_owned())));
        rows.extend(self.table_decrypted.then(|| ("table decrypts", "yes".to_owned())));
        rows.extend(self.blocks.iter().flat_map(AuthenticationView::rows));
        rows.extend(self.members_not_compared.iter().map(|uri| {
            ("NOT compared", format!("member {uri:?} of the envelope: no digest in the manifest is of it"))
        }));
        let not_checked =
            "whether these keys may sign it: no credential, scope, revocation, or device was looked at";
        rows.push(("NOT checked", not_checked.to_owned()));
        table(&rows)
    }
}
