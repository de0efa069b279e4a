//! A batch of devices: blocks, credentials, the entry of the ledger, and the folder for the production line.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use device_lists::{LIST_FILE, Row, file_name, write_list};
use ledger::{AnchorFacts, Base64, DeviceLine, Hex, Ledger, Stored};
use trust::author::{
    DeviceCredentialRequest, ProvisioningRequest, Unsigned, prepare_device_credential, random_cti,
    read_unverified_credential,
};
use trust::{Anchor, Kid, Role, UnixTime};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::plan::Planned;
use crate::commands::credential::CredentialFile;
use crate::custody::roles::{ROOT, anchor_in_other_role, keys_of, role_of};
use crate::error::Error;
use crate::identifiers::device_id;
use crate::master_key::{DeviceKeySet, LineKeys, key_checks};
use crate::recording::Batch;

/// A device with its block.
pub(super) struct Made {
    pub(super) planned: Planned,
    /// A secret, if it has a key.
    pub(super) block: Zeroizing<Vec<u8>>,
    pub(super) device: Uuid,
    /// The key-check values of its keys, if it has any.
    pub(super) key_check: Option<String>,
}

/// The blocks of devices, with their keys if `keys` are given.
pub(super) fn blocks(
    vendor: Uuid,
    anchors: &[Anchor],
    devices: Vec<Planned>,
    keys: Option<(&LineKeys, DeviceKeySet)>,
) -> Result<Vec<Made>, Error> {
    devices
        .into_iter()
        .map(|planned| {
            let device = device_id(&planned.serial, vendor);
            let request = ProvisioningRequest {
                serial: planned.serial.as_str(),
                vendor: vendor.into_bytes(),
                class: planned.class.into_bytes(),
                device: device.into_bytes(),
                node_address: planned.node_address,
                anchors,
                sequence_floor: planned.sequence_floor,
            };
            let keys = keys.map(|(line, set)| line.keys(planned.serial.as_str(), set)).transpose()?;
            let keys = keys.unwrap_or_default();
            let key_check = key_checks(&keys);
            let block = request
                .encode_with_keys(&keys)
                .map(Zeroizing::new)
                .map_err(|error| Error::author("the provisioning block", None, error))?;
            Ok(Made { planned, block, device, key_check })
        })
        .collect()
}

/// The issuing key of a batch.
pub(super) struct Issuing<'a> {
    /// Its credential.
    pub(super) credential: &'a [u8],
    pub(super) path: &'a Path,
    /// kid of the root that certified it.
    pub(super) root: trust::Kid,
    /// Its name, and that of the issuer of the devices' credentials.
    pub(super) name: &'a str,
}

impl Issuing<'_> {
    /// The credential of a device that has a key; without a cti it gets a new one.
    pub(super) fn prepare(
        &self,
        (vendor, anchors): (Uuid, &[Anchor]),
        planned: &Planned,
        (issued_at, cti): (UnixTime, Option<[u8; 16]>),
    ) -> Result<Option<Unsigned>, Error> {
        let Some(key) = planned.key else { return Ok(None) };
        if anchors.iter().any(|anchor| *anchor.key() == key) || key.kid() == self.root {
            let what = "the credential";
            let refused = trust::Error::new(trust::ErrorKind::CredentialForAnchor, 0);
            return Err(Error::author(what, Some(self.path), refused.into()));
        }
        let request = DeviceCredentialRequest {
            iss: self.name.to_owned(),
            sub: planned.serial.as_str().to_owned(),
            key,
            vendor: vendor.into_bytes(),
            class: planned.class.into_bytes(),
            serial: planned.serial.as_str().to_owned(),
            issued_at,
            expires: None,
            cti: cti
                .map_or_else(random_cti, Ok)
                .map_err(|error| Error::KeyOperation { doing: "generated", source: Box::new(error) })?,
        };
        prepare_device_credential(&request, self.credential)
            .map(Some)
            .map_err(|error| Error::author("the credential", Some(self.path), error))
    }
}

/// Fails unless the credentials that wait for their signatures are those that would be made now, but for their ctis and
/// with the time of their entry: somebody else may have written the ledger.
pub(super) fn check_begun(
    begun: &Stored,
    devices: &[Made],
    issuing: &Issuing<'_>,
    of_vendor: (Uuid, &[Anchor]),
) -> Result<(), Error> {
    let key = *read_unverified_credential(issuing.credential)
        .map_err(|error| Error::refused_record(issuing.path, error))?
        .key();
    let ledger::Time(issued_at) = begun.entry.time;
    for (made, line) in devices.iter().zip(&begun.devices) {
        let read = |error| Error::author("the credential", Some(issuing.path), error);
        let Some(unsigned) = line.unsigned(&key).map_err(read)? else { continue };
        let blank = unsigned.with_blank_signature().map_err(read)?;
        let cti = *read_unverified_credential(&blank).map_err(|error| read(error.into()))?.cti();
        let wanted = issuing.prepare(of_vendor, &made.planned, (issued_at, Some(cti)))?;
        if wanted.as_ref() != Some(&unsigned) {
            let serial = made.planned.serial.as_str().to_owned();
            return Err(Error::BatchDiffers { serial, entry: begun.entry.number });
        }
    }
    Ok(())
}

/// What a ledger says of a device.
pub(super) fn line(made: &Made, unsigned: Option<&Unsigned>) -> DeviceLine {
    let planned = &made.planned;
    DeviceLine {
        serial: planned.serial.as_str().to_owned(),
        node_address: planned.node_address,
        class: planned.class.to_string(),
        sequence_floor: planned.sequence_floor,
        kid: planned.key.map(|key| Hex(key.kid().0)),
        key_check: made.key_check.clone(),
        to_be_signed: unsigned.map(|unsigned| Base64(unsigned.to_be_signed())),
    }
}

pub(super) fn batch(vendor: Uuid, anchors: &[Anchor], lines: Vec<DeviceLine>) -> Batch {
    let facts = |anchor: &Anchor| AnchorFacts {
        public_key: Hex(anchor.key().to_cose_key()),
        rights: anchor.rights().bits(),
        domain: Hex(anchor.domain().0.0),
    };
    Batch { vendor: vendor.to_string(), anchors: anchors.iter().map(facts).collect(), lines }
}

/// The entry of a batch that was begun with the same devices and the same anchors: the same command goes on with it.
pub(super) fn same_batch(ledger: &Ledger, wanted: &Batch) -> Option<u64> {
    let plain = |line: &DeviceLine| DeviceLine { to_be_signed: None, ..line.clone() };
    ledger.entries().iter().rev().find_map(|stored| {
        let ledger::Event::Devices(batch) = &stored.entry.event else { return None };
        let is_same = batch.vendor == wanted.vendor
            && batch.anchors == wanted.anchors
            && stored.devices.iter().map(plain).eq(wanted.lines.iter().map(plain));
        (is_same && !ledger.is_void(stored.entry.number)).then_some(stored.entry.number)
    })
}

/// A device that is there already.
struct Known<'l> {
    serial: String,
    kid: Option<[u8; 8]>,
    place: Place<'l>,
}

/// Where it is.
enum Place<'l> {
    Entry(&'l Ledger, u64),
    Credential(&'l Path),
}

impl Known<'_> {
    fn refuse(&self, what: String) -> Error {
        let place = match self.place {
            Place::Entry(ledger, entry) => format!("entry {entry} of the ledger of {}", ledger.opened().name),
            Place::Credential(path) => format!("a credential of {}", path.display()),
        };
        Error::DeviceKnown { what, place }
    }
}

/// The devices that ledgers and credentials have, but for those of batches that have these digests.
fn known_devices<'l>(
    ledgers: &[&'l Ledger],
    credentials: &'l [CredentialFile],
    passed: &BTreeSet<[u8; 32]>,
) -> Result<Vec<Known<'l>>, Error> {
    let mut known = Vec::new();
    for ledger in ledgers {
        for (stored, _) in ledger.batches().filter(|(stored, _)| !passed.contains(&stored.digest)) {
            known.extend(stored.devices.iter().map(|line| Known {
                serial: line.serial.clone(),
                kid: line.kid.map(|kid| kid.0),
                place: Place::Entry(ledger, stored.entry.number),
            }));
        }
    }
    for file in credentials {
        let claims = file.claims()?;
        if claims.role() != Role::Device {
            continue;
        }
        let kid = Some(claims.key().kid().0);
        let mut serials: Vec<String> = claims.scope().serials().map(str::to_owned).collect();
        if serials.is_empty() {
            serials.push(claims.sub().to_owned());
        }
        let place = || Place::Credential(&file.path);
        known.extend(serials.into_iter().map(|serial| Known { serial, kid, place: place() }));
    }
    Ok(known)
}

/// Fails if a ledger or a credential has a device already: a serial, also in another case, or a key under another serial.
/// `begun`: the recorder's ledger, if it has begun this batch: what it has is no other device, in a copy of it neither.
pub(super) fn check_known(
    (ledgers, credentials): (&[&Ledger], &[CredentialFile]),
    devices: &[Made],
    begun: Option<&Ledger>,
    again: bool,
) -> Result<(), Error> {
    let passed = begun.into_iter().flat_map(Ledger::batches).map(|(stored, _)| stored.digest).collect();
    let known = known_devices(ledgers, credentials, &passed)?;
    let mut serials: BTreeMap<String, Vec<&Known<'_>>> = BTreeMap::new();
    let mut keys: BTreeMap<[u8; 8], Vec<&Known<'_>>> = BTreeMap::new();
    for known in &known {
        serials.entry(known.serial.to_ascii_lowercase()).or_default().push(known);
        known.kid.into_iter().for_each(|kid| keys.entry(kid).or_default().push(known));
    }
    for made in devices {
        let serial = made.planned.serial.as_str();
        let kid = made.planned.key.map(|key| key.kid().0);
        for known in serials.get(&serial.to_ascii_lowercase()).into_iter().flatten() {
            // People and sticks do not tell them apart.
            if known.serial != serial {
                let other = &known.serial;
                return Err(known.refuse(format!("the serial {serial}, in another case as {other},")));
            }
            // The credential that the batch itself led to.
            let is_own = begun.is_some() && matches!(known.place, Place::Credential(_)) && known.kid == kid;
            if !again && !is_own {
                return Err(known.refuse(format!("the serial {serial}")));
            }
        }
        let mut of_key = kid.and_then(|kid| keys.get(&kid)).into_iter().flatten();
        if let Some(known) = of_key.find(|known| known.serial != serial) {
            return Err(known.refuse(format!("the key of {serial}, as that of {},", known.serial)));
        }
    }
    Ok(())
}

/// Fails if an anchor is known to a ledger as something else than the root or recovery root as which it is given.
pub(super) fn check_anchors(ledgers: &[&Ledger], anchors: &[Anchor]) -> Result<(), Error> {
    let pairs = ledgers.iter().flat_map(|ledger| anchors.iter().map(move |anchor| (*ledger, anchor)));
    for (ledger, anchor) in pairs {
        if let Some(known) = anchor_in_other_role(ledger, anchor) {
            return Err(Error::AnchorHasRole {
                kid: crate::describe::kid(anchor.kid()),
                wanted: role_of(anchor.rights()),
                path: known.ledger.folder().to_owned(),
                role: known.role,
            });
        }
    }
    Ok(())
}

/// Fails if the key of a device is known in another role, be it to a ledger or from a credential. `refused`: what is
/// refused as such ([`Issuing::prepare`]), anchors and the issuing key.
pub(super) fn check_roles(
    ledgers: &[&Ledger],
    known: &[CredentialFile],
    (refused, devices): (&[Kid], &[Made]),
) -> Result<(), Error> {
    let mut roles: BTreeMap<[u8; 8], (&'static str, &Path)> = BTreeMap::new();
    for known in ledgers.iter().flat_map(|ledger| keys_of(ledger)) {
        if known.role != Role::Device.name() {
            roles.insert(known.kid.0, (known.role, known.ledger.folder()));
        }
    }
    for file in known {
        let claims = file.claims()?;
        let issuer = if claims.role() == Role::Device { Role::Identity.name() } else { ROOT };
        roles.insert(claims.issuer_kid().0, (issuer, &file.path));
        if claims.role() != Role::Device {
            roles.insert(claims.key().kid().0, (claims.role().name(), &file.path));
        }
    }
    for made in devices {
        let Some(kid) = made.planned.key.map(|key| key.kid()) else { continue };
        if refused.contains(&kid) {
            continue;
        }
        if let Some((role, path)) = roles.get(&kid.0) {
            return Err(Error::DeviceKeyHasRole {
                serial: made.planned.serial.as_str().to_owned(),
                kid: crate::describe::kid(kid),
                path: (*path).to_owned(),
                role,
            });
        }
    }
    Ok(())
}

/// A file of a batch.
pub(super) struct BatchFile {
    pub(super) path: PathBuf,
    pub(super) bytes: Zeroizing<Vec<u8>>,
    /// A block with a key.
    pub(super) is_secret: bool,
}

impl BatchFile {
    fn public(path: PathBuf, bytes: Vec<u8>) -> Self {
        Self { path, bytes: Zeroizing::new(bytes), is_secret: false }
    }
}

/// The files of a batch, by their names: blocks, credentials, and last the list of them.
pub(super) fn files(
    folder: &Path,
    vendor: Uuid,
    devices: &[Made],
    credentials: &[Option<Vec<u8>>],
) -> Result<Vec<BatchFile>, Error> {
    let failed = |_| Error::Internal("devices.csv cannot be written");
    let (mut files, mut rows) = (Vec::new(), Vec::new());
    for (made, credential) in devices.iter().zip(credentials) {
        let planned = &made.planned;
        let [block, record] = names(planned);
        rows.push(Row {
            serial: planned.serial.as_str().to_owned(),
            node_address: planned.node_address,
            vendor,
            class: planned.class,
            device: made.device,
            block_sha256: trust::sha256(&made.block),
            credential: if credential.is_some() { record.clone() } else { String::new() },
            kid: planned.key.map(|key| hex::encode(key.kid().0)).unwrap_or_default(),
            key_check: made.key_check.clone().unwrap_or_default(),
            block: block.clone(),
        });
        let (path, bytes) = (folder.join(block), made.block.clone());
        files.push(BatchFile { path, bytes, is_secret: made.key_check.is_some() });
        let credential = credential.as_ref();
        files.extend(credential.map(|bytes| BatchFile::public(folder.join(record), bytes.clone())));
    }
    files.push(BatchFile::public(folder.join(LIST_FILE), write_list(&rows).map_err(failed)?));
    Ok(files)
}

/// Names of the block and of the credential of a device.
pub(super) fn names(planned: &Planned) -> [String; 2] {
    let name = file_name(planned.serial.as_str());
    [format!("{name}.block"), format!("{name}.cwt")]
}
