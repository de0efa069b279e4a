//! Devices that are revoked by their serials, and devices that a list must not bring back (docs/records.md, Identity of a
//! device). The root knows the issuing key, and the ledger of the issuing key its devices.

use std::path::PathBuf;

use ledger::{DeviceLine, Ledger};
use trust::author::{RevocationRequest, read_unverified_credential};
use trust::host::Serial;
use trust::{Kid, Revoked, RevokedId, Role, UnixTime};

use crate::describe::kid;
use crate::error::Error;

const NO_LINE: &str = "--serial goes by the ledger of the production line, which knows the keys of its devices: pass it as \
                       --devices, or name the key with --kid, --role device and --generation";
const NO_ROOT: &str =
    "--serial needs the ledger of the root, which knows the generations of issuing keys: pass --ledger";

/// Devices to revoke, and the ledgers that know them.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct DeviceArguments {
    /// Serial of a device whose keys to revoke (repeatable)
    #[arg(long = "serial", value_name = "SERIAL", group = "what")]
    serials: Vec<Serial>,
    /// Ledger of an issuing key, which knows its devices (repeatable)
    #[arg(long = "devices", value_name = "DIR")]
    lines: Vec<PathBuf>,
    /// Accept a lowest generation that takes revoked devices from the list whose issuing key is good
    #[arg(long, requires = "lowest_generations")]
    allow_return_of_devices: bool,
}

/// The ledgers of issuing keys.
pub(super) struct Lines(Vec<Ledger>);

impl DeviceArguments {
    pub(super) fn open(&self) -> Result<Lines, Error> {
        if !self.serials.is_empty() && self.lines.is_empty() {
            return Err(Error::usage(NO_LINE));
        }
        Ok(Lines(self.lines.iter().map(|path| Ledger::open(path)).collect::<Result<_, _>>()?))
    }

    /// The keys of the named devices, each with the highest generation under which the root ever certified its issuing key.
    pub(super) fn named(
        &self,
        lines: &Lines,
        root: Option<&Ledger>,
        now: UnixTime,
    ) -> Result<Vec<Revoked>, Error> {
        let mut revoked = Vec::new();
        for serial in &self.serials {
            let root = root.ok_or_else(|| Error::usage(NO_ROOT))?;
            let known: Vec<_> = lines.of_serial(serial.as_str()).collect();
            let unknown =
                |what: &str| Error::NoSuchDevice { serial: serial.to_string(), what: what.to_owned() };
            if known.is_empty() {
                return Err(unknown("is in none of the ledgers of --devices"));
            }
            let before = revoked.len();
            for (line, device) in known {
                let Some(key) = device.kid else { continue };
                let issuing = line.key().kid();
                let certified = root.keys(now).into_iter().find(|certified| {
                    certified.kid.0 == issuing.0 && Role::from_name(certified.role) == Some(Role::Identity)
                });
                let certified = certified.ok_or_else(|| {
                    unknown(&format!(
                        "is of the issuing key {}, which this root has not certified",
                        kid(issuing)
                    ))
                })?;
                revoked.push(RevokedId::Key(Kid(key.0)).revoked(Role::Device, certified.generation()));
            }
            if revoked.len() == before {
                return Err(unknown("has no key that could be revoked"));
            }
        }
        Ok(revoked)
    }

    /// A lowest generation takes the entries below it from the list. A credential of a higher generation for the issuing
    /// key would bring their devices back, so that key has to be revoked for good.
    pub(super) fn check_lowest(
        &self,
        lines: &Lines,
        request: &RevocationRequest,
        lowest: u64,
    ) -> Result<(), Error> {
        if self.allow_return_of_devices {
            return Ok(());
        }
        let dropped = request
            .revoked
            .iter()
            .filter(|revoked| revoked.role == Role::Device && revoked.generation < lowest);
        let is_revoked_for_good = |issuing: Kid| {
            request.revoked.iter().any(|revoked| {
                revoked.role == Role::Identity
                    && revoked.id == RevokedId::Key(issuing)
                    && revoked.generation >= request.lowest_generation(Role::Identity)
            })
        };
        let mut back = Vec::new();
        for revoked in dropped {
            match lines.of_id(&revoked.id) {
                Some((line, _)) if is_revoked_for_good(line.key().kid()) => {}
                Some((line, device)) => {
                    back.push(format!("{} (issuing key {})", device.serial, kid(line.key().kid())));
                }
                None => back.push(format!("{} (of an unknown line)", hex::encode(revoked.id.as_bytes()))),
            }
        }
        if back.is_empty() { Ok(()) } else { Err(Error::DevicesReturn { lowest, devices: back }) }
    }
}

impl Lines {
    fn devices(&self) -> impl Iterator<Item = (&Ledger, &DeviceLine)> {
        self.0.iter().flat_map(|line| line.devices().map(move |(_, _, device)| (line, device)))
    }

    fn of_serial<'a>(&'a self, serial: &'a str) -> impl Iterator<Item = (&'a Ledger, &'a DeviceLine)> {
        self.devices().filter(move |(_, device)| device.serial == serial)
    }

    /// The device of a revoked key or credential.
    fn of_id(&self, id: &RevokedId) -> Option<(&Ledger, &DeviceLine)> {
        self.devices().find(|(line, device)| match id {
            RevokedId::Key(kid) => device.kid.is_some_and(|known| known.0 == kid.0),
            RevokedId::Credential(cti) => cti_of(line, device).as_ref() == Some(cti),
        })
    }
}

/// cti of the credential of a device.
fn cti_of(line: &Ledger, device: &DeviceLine) -> Option<[u8; 16]> {
    let blank = device.unsigned(line.key()).ok()??.with_blank_signature().ok()?;
    read_unverified_credential(&blank).ok().map(|claims| *claims.cti())
}
