//! `provision`: make the blocks that give new devices their identity and anchors (docs/records.md, version 1), and the
//! credentials of those that have keys.

mod batch;
mod plan;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use device_lists::{LIST_FILE, LOG_FILE};
use ledger::Ledger;
use serde::Serialize;
use trust::author::Signer;
use trust::device_keys::Purpose;
use trust::host::{Existing, Serial, folder_of};
use trust::provisioning::{MAX_NODE_ADDRESS, is_node_address};
use trust::{
    Anchor, AnchorSet, BLOCK_ANCHORS_MAX, DOMAINS_MAX, MAX_MINIMUM_SEQUENCE, Rights, Role, TrustStoreBuf,
    UnixTime,
};
use uuid::Uuid;

use self::batch::{
    BatchFile, Issuing, Made, blocks, check_anchors, check_known, check_roles, files, line, same_batch,
};
use self::plan::{Defaults, Planned, read_devices};
use super::credential::{InUse, read_issuing};
use super::{OptionalKeyArguments, SigningKeyArguments, read_anchors};
use crate::custody::scopes::{self, Unfamiliar};
use crate::describe::{kid, no_anchors};
use crate::error::{Error, FileAction};
use crate::files::{
    Kept, MAX_RECORD_FILE_LEN, OverwriteArguments, Wanted, check_content, check_outputs, make_folder,
    must_differ, read, write, write_private,
};
use crate::identifiers::{Class, Vendor, device_serial};
use crate::kind::Kind;
use crate::master_key::{DeviceKeySet, MasterArguments, purpose_name};
use crate::output::{Output, Report, progress_bar, table, warning};
use crate::public_key;
use crate::recording::{Batch, LedgerArguments};
use crate::step::StepArguments;
use crate::time::IssueTime;
use crate::trusted::{RecordArguments, verify_credential};

pub use self::plan::LineFault;

/// Make the provisioning blocks of devices, and the credentials of those that have keys
#[derive(clap::Args, Clone, Debug)]
pub struct Provision {
    /// CSV file of devices: serial, and node, class, sequence_floor, public_key where they are needed
    #[arg(long, value_name = "FILE", required_unless_present = "serial", requires = "out_dir")]
    devices: Option<PathBuf>,
    /// Serial of one device
    #[arg(long, conflicts_with = "devices", requires = "out")]
    serial: Option<Serial>,
    /// Vendor: UUID or domain
    #[arg(long)]
    vendor: Vendor,
    /// Class: UUID or name [default: that of each device in the file]
    #[arg(long, required_unless_present = "devices")]
    class: Option<Class>,
    /// Node address on the bus, 1 to 239, as 16 or 0x10, where the file has none
    #[arg(long, value_name = "N", default_value = "0x10", value_parser = node_address)]
    node_address: u8,
    /// Public key of a root that the devices trust, at most 2; none if it is compiled in, or they use no public keys (repeatable)
    #[arg(long = "anchor", value_name = "ANCHOR")]
    anchors: Vec<PathBuf>,
    /// Public key of the recovery root of an anchor, in the order of the anchors (repeatable)
    #[arg(long = "recovery-anchor", value_name = "ANCHOR", requires = "anchors")]
    recovery_anchors: Vec<PathBuf>,
    /// Sequence number below which the devices refuse releases
    #[arg(long, value_name = "SEQUENCE", default_value_t = 0,
          value_parser = clap::value_parser!(u64).range(..=MAX_MINIMUM_SEQUENCE))]
    sequence_floor: u64,
    /// Public key of the one device
    #[arg(long, value_name = "PUBLIC", conflicts_with = "devices",
          requires_all = ["serial", "issuing", "credential_out"])]
    device_key: Option<PathBuf>,
    /// Credential of the issuing key, which --key is
    #[arg(long, value_name = "FILE", requires = "key")]
    issuing: Option<PathBuf>,
    #[command(flatten)]
    key: OptionalKeyArguments,
    /// Ledger, or credential in use: its keys become no device's, and its devices are not made again (repeatable)
    #[arg(long, value_name = "FILE")]
    known: Vec<PathBuf>,
    #[command(flatten)]
    records: RecordArguments,
    #[command(flatten)]
    ledger: LedgerArguments,
    /// Make devices again that a ledger, or a credential of --known, has
    #[arg(long)]
    again: bool,
    #[command(flatten)]
    master: MasterArguments,
    /// Keys that each device gets out of the master key [default: update]
    #[arg(long, value_enum, requires = "master")]
    keys: Option<DeviceKeySet>,
    #[command(flatten)]
    time: IssueTime,
    /// Folder for the blocks and credentials of the devices, and their list devices.csv; it is made if it is not there
    #[arg(long, value_name = "DIR", requires = "devices", conflicts_with = "serial")]
    out_dir: Option<PathBuf>,
    /// Provisioning block of the one device to write
    #[arg(long, value_name = "FILE", requires = "serial", conflicts_with = "devices")]
    out: Option<PathBuf>,
    /// Credential of the one device to write
    #[arg(long, value_name = "FILE", requires = "device_key", conflicts_with = "devices")]
    credential_out: Option<PathBuf>,
    /// Accept a sequence floor above 1048576
    #[arg(long)]
    allow_large_step: bool,
    #[command(flatten)]
    overwrite: OverwriteArguments,
}

#[derive(Debug, Serialize)]
struct DeviceView {
    serial: String,
    class: String,
    device: String,
    node_address: u8,
    sequence_floor: u64,
    /// kid of its own key, if it has a credential.
    kid: Option<String>,
    /// Of its symmetric keys, if it has any.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_check: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct Provisioned {
    /// The block of one device, or the folder of many.
    out: PathBuf,
    credential_out: Option<PathBuf>,
    vendor: String,
    /// What the devices have symmetric keys for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    keys: Vec<&'static str>,
    anchors: Vec<String>,
    recovery_anchors: Vec<String>,
    /// Of the issuing key.
    issuing_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ledger_entry: Option<u64>,
    /// An earlier run had begun it.
    went_on: bool,
    /// Vendor or classes that nothing at hand knows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unfamiliar: Vec<Unfamiliar>,
    /// The one device of the command line.
    #[serde(flatten)]
    one: Option<DeviceView>,
    /// Those of a file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    devices: Vec<DeviceView>,
}

impl Provision {
    pub fn run(&self, output: Output) -> Result<Provisioned, Error> {
        let key = self.key.given()?;
        self.check_files(key.as_ref())?;
        let vendor = self.vendor.id();
        let anchors = self.anchors()?;
        StepArguments::of(self.allow_large_step).check("sequence floor", 0, self.sequence_floor)?;
        let planned = self.planned(vendor)?;
        for device in &planned {
            StepArguments::of(self.allow_large_step).check("sequence floor", 0, device.sequence_floor)?;
        }
        if self.records.are_given() && self.issuing.is_none() {
            return Err(Error::usage("--succession and --revocations are for the credential of --issuing"));
        }
        if key.is_some() && self.issuing.is_none() {
            return Err(Error::usage("--key requires --issuing: nothing else of a device is signed"));
        }
        let has_keys = planned.iter().any(|device| device.key.is_some());
        if has_keys != self.issuing.is_some() {
            return Err(Error::usage(if has_keys {
                "devices with public keys get credentials: pass --issuing and --key"
            } else {
                "--issuing and --key are for devices with public keys, and none has one"
            }));
        }
        let master = self.master.open()?;
        let keys = master.as_ref().map(|master| (master, self.keys.unwrap_or_default()));
        let made = blocks(vendor, &anchors, planned, keys)?;
        // A ledger of --known has devices too.
        let needs_ledger = [("--again", self.again && self.known.is_empty())];
        let key_file = key.as_ref().and_then(SigningKeyArguments::file);
        let mut recorder = self.ledger.open(key_file.as_deref(), &needs_ledger)?;
        let issuing =
            self.issuing.as_ref().map(|path| read(path, MAX_RECORD_FILE_LEN).map(|bytes| (path, bytes)));
        let issuing = issuing.transpose()?;
        let issuing_claims = issuing.as_ref().map(|(path, bytes)| read_issuing(path, bytes));
        let issuing_claims = issuing_claims.transpose()?;
        let issued_at = recorder.time(self.time, issuing_claims.as_ref().map(|claims| claims.issued_at()))?;
        self.time.warn();
        if let Some((path, bytes)) = &issuing {
            self.check_issuing(path, bytes, &anchors, issued_at, &made)?;
        }
        let signer = key.as_ref().map(SigningKeyArguments::open).transpose()?;
        if let (Some(signer), Some(claims), Some((path, _))) = (&signer, &issuing_claims, &issuing)
            && signer.public_key() != *claims.key()
        {
            return Err(Error::CredentialOfAnotherKey((*path).clone()));
        }
        let signer = signer.as_deref();

        let plain = made.iter().map(|made| line(made, None)).collect();
        let wanted = batch::batch(vendor, &anchors, plain);
        let begun = recorder.ledger().and_then(|ledger| same_batch(ledger, &wanted)).filter(|_| !self.again);
        let in_use = InUse::read(&self.known)?;
        let ledgers: Vec<&Ledger> = recorder.ledger().into_iter().chain(&in_use.ledgers).collect();
        check_anchors(&ledgers, &anchors)?;
        let refused =
            anchors.iter().map(Anchor::kid).chain(issuing_claims.as_ref().map(|claims| claims.key().kid()));
        check_roles(&ledgers, &in_use.credentials, (&refused.collect::<Vec<_>>(), &made))?;
        let begun_in = recorder.ledger().filter(|_| begun.is_some());
        check_known((&ledgers, &in_use.credentials), &made, begun_in, self.again)?;
        let known: Vec<_> = in_use.credentials.iter().collect();
        let unfamiliar = scopes::check(&ledgers, &known, vendor, made.iter().map(|made| made.planned.class))?;
        let issuing = issuing.as_ref().zip(issuing_claims.as_ref());
        let issuing = issuing.map(|((path, credential), claims)| Issuing {
            credential,
            path,
            root: claims.issuer_kid(),
            name: claims.sub(),
        });
        let with_key = made.iter().filter(|made| made.planned.key.is_some()).count() as u64;
        let signing = progress_bar(with_key, "  signing {bar:30} {pos}/{len} {eta}", output);
        let credentials = if let Some(entry) = begun {
            let begun = recorder.ledger().and_then(Ledger::begun);
            if let Some((begun, issuing)) =
                begun.filter(|begun| begun.entry.number == entry).zip(issuing.as_ref())
            {
                batch::check_begun(begun, &made, issuing, (vendor, &anchors))?;
            }
            self.check_out(vendor, &made, true)?;
            recorder.go_on_with_devices(entry, signer, &signing)?
        } else {
            let batch = self.batch(vendor, &anchors, &made, issuing.as_ref(), issued_at)?;
            if let Some(signer) = signer {
                recorder.check(&signer.public_key())?;
                self.ledger.warn_without(&recorder, "signature");
            }
            self.check_out(vendor, &made, false)?;
            recorder.record_devices(batch, issued_at, signer, &signing)?
        };
        self.write(vendor, &made, credentials, output)?;
        let ledger_entry = match signer {
            Some(signer) => recorder.close(issued_at, signer)?,
            None => begun.or_else(|| Some(recorder.ledger()?.entries().last()?.entry.number)),
        };
        let went_on = begun.is_some();
        let keys = keys.map(|(_, set)| set.names()).unwrap_or_default();
        let report = self.report(vendor, &anchors, &made, signer);
        Ok(Provisioned { ledger_entry, went_on, unfamiliar, keys, ..report })
    }

    fn inputs(&self) -> impl Iterator<Item = &Path> {
        let files = self.anchors.iter().chain(&self.recovery_anchors).chain(&self.devices);
        let files = files.chain(&self.device_key).chain(&self.issuing);
        let files = files.chain(&self.known);
        files.map(PathBuf::as_path).chain(self.records.files())
    }

    /// No output is an input.
    fn check_files(&self, key: Option<&SigningKeyArguments>) -> Result<(), Error> {
        let master = self.master.file()?;
        let inputs: Vec<&Path> = self.inputs().chain(master.as_deref()).collect();
        for out in self.out.iter().chain(&self.credential_out) {
            match key {
                Some(key) => key.must_differ_from(out, &inputs)?,
                None => must_differ(out, &inputs)?,
            }
        }
        Ok(())
    }

    /// What the devices trust: roots, and their recovery roots.
    fn anchors(&self) -> Result<Vec<Anchor>, Error> {
        let trusted = read_anchors(&self.anchors)?;
        let mut anchors = trusted.anchors().to_vec();
        if self.recovery_anchors.len() > anchors.len() {
            return Err(Error::usage("--recovery-anchor is given more often than --anchor"));
        }
        for (path, root) in self.recovery_anchors.iter().zip(trusted.anchors()) {
            anchors.push(Anchor::new(public_key::open(path)?, Rights::SUCCESSION, root.domain()));
        }
        if anchors.len() > BLOCK_ANCHORS_MAX || AnchorSet::of(&anchors).is_err() {
            let message = format!(
                "a device has at most {BLOCK_ANCHORS_MAX} different anchors, of {DOMAINS_MAX} domains"
            );
            return Err(Error::usage(message));
        }
        Ok(anchors)
    }

    fn planned(&self, vendor: Uuid) -> Result<Vec<Planned>, Error> {
        let class = self.class.as_ref().map(|class| class.id(vendor));
        let Some(serial) = &self.serial else {
            let path = self.devices.as_ref().ok_or(Error::Internal("neither one device nor a file"))?;
            let defaults = Defaults {
                vendor,
                class,
                node_address: self.node_address,
                sequence_floor: self.sequence_floor,
            };
            return read_devices(path, &defaults);
        };
        let serial =
            device_serial(serial.as_str()).map_err(|message| Error::usage(format!("--serial: {message}")))?;
        Ok(vec![Planned {
            serial,
            class: class.ok_or(Error::Internal("a device without a class"))?,
            node_address: self.node_address,
            sequence_floor: self.sequence_floor,
            key: self.device_key.as_deref().map(public_key::open).transpose()?,
            key_path: self.device_key.clone(),
        }])
    }

    /// The credential of the issuing key is good, under the anchors of the devices; and no list has revoked their keys.
    fn check_issuing(
        &self,
        path: &Path,
        credential: &[u8],
        anchors: &[Anchor],
        now: UnixTime,
        made: &[Made],
    ) -> Result<(), Error> {
        if anchors.is_empty() {
            warning("the credential of the issuing key is not verified: no --anchor was given");
            return Ok(());
        }
        let mut trusted = TrustStoreBuf::new(anchors.iter().copied());
        self.records.add_to(&mut trusted)?;
        verify_credential(&trusted, path, credential, Role::Identity, now)?;
        // A device whose key a list takes back would be refused from its first day on.
        for made in made {
            let Some(key) = made.planned.key else { continue };
            let mut lists = anchors.iter().filter_map(|anchor| trusted.list_of(anchor.domain()));
            if lists.any(|list| list.revokes_kid(Role::Device, &key.kid())) {
                let name = format!("the key of {}", made.planned.serial.as_str());
                return Err(Error::KeyWasRevoked { name, kid: kid(key.kid()) });
            }
        }
        Ok(())
    }

    /// The batch with the credentials to be signed.
    fn batch(
        &self,
        vendor: Uuid,
        anchors: &[Anchor],
        made: &[Made],
        issuing: Option<&Issuing<'_>>,
        issued_at: UnixTime,
    ) -> Result<Batch, Error> {
        let lines = made.iter().map(|made| {
            let unsigned = issuing
                .map(|issuing| issuing.prepare((vendor, anchors), &made.planned, (issued_at, None)))
                .transpose()?;
            Ok(line(made, unsigned.flatten().as_ref()))
        });
        Ok(batch::batch(vendor, anchors, lines.collect::<Result<_, Error>>()?))
    }

    /// Before anything is recorded: the outputs can be written. Credentials that are made now are in no file yet.
    fn check_out(&self, vendor: Uuid, made: &[Made], goes_on: bool) -> Result<(), Error> {
        let existing = self.overwrite.existing();
        for (out, made) in self.out.iter().zip(made) {
            check_content(out, &made.block, existing)?;
        }
        let credential = Some(Kind::Credential);
        let outputs: Vec<Wanted<'_>> =
            self.credential_out.iter().map(|out| (out.as_path(), credential)).collect();
        if !goes_on {
            check_outputs(&outputs, existing)?;
        }
        let Some(folder) = &self.out_dir else { return Ok(()) };
        make_folder(folder)?;
        self.check_folder(folder, made)?;
        let blank: Vec<_> = made.iter().map(|made| made.planned.key.map(|_| Vec::new())).collect();
        for BatchFile { path, bytes, .. } in files(folder, vendor, made, &blank)? {
            if bytes.is_empty() {
                if !goes_on {
                    check_outputs(&[(&path, credential)], existing)?;
                }
            } else {
                check_content(&path, &bytes, existing)?;
            }
        }
        Ok(())
    }

    /// No file of the folder is an input, and no line works through another list there: neither is replaced.
    fn check_folder(&self, folder: &Path, made: &[Made]) -> Result<(), Error> {
        let cannot_read = |source| Error::File { action: FileAction::Read, path: folder.to_owned(), source };
        let real = folder.canonicalize().map_err(cannot_read)?;
        let log = folder.join(LOG_FILE);
        if log.exists() && !folder.join(LIST_FILE).exists() {
            return Err(Error::FileKept { path: log, kept: Kept::Kind(Kind::LineLog) });
        }
        let key = self.key.given()?.and_then(|key| key.file());
        let master = self.master.file()?;
        let keys = made.iter().filter_map(|made| made.planned.key_path.as_deref());
        let names: BTreeSet<String> = made.iter().flat_map(|made| batch::names(&made.planned)).collect();
        for input in self.inputs().chain(keys).chain(key.as_deref()).chain(master.as_deref()) {
            let Some(name) = input.file_name().and_then(OsStr::to_str) else { continue };
            let is_there = folder_of(input).canonicalize().is_ok_and(|folder| folder == real);
            if is_there && (name == LIST_FILE || names.contains(name)) {
                return Err(Error::SameFile(input.to_owned()));
            }
        }
        Ok(())
    }

    fn write(
        &self,
        vendor: Uuid,
        made: &[Made],
        credentials: Vec<Vec<u8>>,
        output: Output,
    ) -> Result<(), Error> {
        let mut credentials = credentials.into_iter();
        let of_device: Vec<Option<Vec<u8>>> =
            made.iter().map(|made| made.planned.key.and_then(|_| credentials.next())).collect();
        let existing = self.overwrite.existing();
        if let Some(folder) = &self.out_dir {
            let files = files(folder, vendor, made, &of_device)?;
            let writing = progress_bar(files.len() as u64, "  writing {bar:30} {pos}/{len} {eta}", output);
            for BatchFile { path, bytes, is_secret } in writing.wrap_iter(files.iter()) {
                write_block(path, bytes, *is_secret, existing)?;
            }
            return Ok(());
        }
        for (out, made) in self.out.iter().zip(made) {
            write_block(out, &made.block, made.key_check.is_some(), existing)?;
        }
        for (out, credential) in self.credential_out.iter().zip(of_device.iter().flatten()) {
            write(out, credential, existing)?;
        }
        Ok(())
    }

    fn report(
        &self,
        vendor: Uuid,
        anchors: &[Anchor],
        made: &[Made],
        signer: Option<&dyn Signer>,
    ) -> Provisioned {
        let is_recovery = |anchor: &&Anchor| anchor.rights() == Rights::SUCCESSION;
        let view = |made: &Made| DeviceView {
            serial: made.planned.serial.as_str().to_owned(),
            class: made.planned.class.to_string(),
            device: made.device.to_string(),
            node_address: made.planned.node_address,
            sequence_floor: made.planned.sequence_floor,
            kid: made.planned.key.map(|key| kid(key.kid())),
            key_check: made.key_check.clone(),
        };
        Provisioned {
            out: self.out_dir.clone().or_else(|| self.out.clone()).unwrap_or_default(),
            credential_out: self.credential_out.clone(),
            vendor: vendor.to_string(),
            keys: Vec::new(),
            anchors: anchors
                .iter()
                .filter(|anchor| !is_recovery(anchor))
                .map(|anchor| kid(anchor.kid()))
                .collect(),
            recovery_anchors: anchors.iter().filter(is_recovery).map(|anchor| kid(anchor.kid())).collect(),
            issuing_key: signer.map(|signer| kid(signer.public_key().kid())),
            ledger_entry: None,
            went_on: false,
            unfamiliar: Vec::new(),
            one: self.serial.as_ref().and_then(|_| made.first()).map(view),
            devices: made.iter().filter(|_| self.devices.is_some()).map(view).collect(),
        }
    }
}

impl Report for Provisioned {
    fn lines(&self) -> String {
        let anchors = match &self.anchors[..] {
            [] => no_anchors(self.keys.contains(&purpose_name(Purpose::Authentication))).to_owned(),
            anchors => anchors.join(", "),
        };
        let mut rows = match &self.one {
            Some(device) => vec![
                ("provisioning block", self.out.display().to_string()),
                ("serial", device.serial.clone()),
                ("vendor", self.vendor.clone()),
                ("class", device.class.clone()),
                ("device", device.device.clone()),
                ("node address", format!("{:#04x}", device.node_address)),
                ("sequence floor", device.sequence_floor.to_string()),
            ],
            None => vec![
                ("devices", self.devices.len().to_string()),
                ("list of them", self.out.join(LIST_FILE).display().to_string()),
                ("vendor", self.vendor.clone()),
                (
                    "with a credential",
                    self.devices.iter().filter(|device| device.kid.is_some()).count().to_string(),
                ),
            ],
        };
        let checks = self.one.as_ref().and_then(|device| device.key_check.clone());
        rows.extend(checks.map(|check| ("key-check value", check)));
        if !self.keys.is_empty() {
            rows.push(("keys of each device", self.keys.join(", ")));
        }
        rows.push(("anchors", anchors));
        if !self.recovery_anchors.is_empty() {
            rows.push(("recovery anchors", self.recovery_anchors.join(", ")));
        }
        rows.extend(self.credential_out.as_ref().map(|path| ("credential", path.display().to_string())));
        rows.extend(self.issuing_key.as_ref().map(|kid| ("issuing key", kid.clone())));
        rows.extend(self.ledger_entry.map(|entry| ("entry of the ledger", entry.to_string())));
        if self.went_on {
            rows.push(("begun by", "an earlier run, with which this one went on".to_owned()));
        }
        table(&rows)
    }
}

/// A block, or another file of a batch.
fn write_block(path: &Path, bytes: &[u8], is_secret: bool, existing: Existing) -> Result<(), Error> {
    if is_secret { write_private(path, bytes, existing) } else { write(path, bytes, existing) }
}

/// Decimal, or hexadecimal with `0x`; 1 to 239.
fn node_address(text: &str) -> Result<u8, String> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u8::from_str_radix(digits, 16),
        None => text.parse(),
    };
    let address = number.ok().filter(|address| is_node_address(*address));
    address.ok_or(format!("a node address is 1 to {MAX_NODE_ADDRESS}"))
}

#[cfg(test)]
mod tests;
