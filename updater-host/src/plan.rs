//! The plan of an update, shown before it begins.

use can_bus::BitRates;
use serde::Serialize;
use suit_manifest::Target;
use trust::{SuccessionNumber, TrustStoreBuf};

use crate::connection::Connection;
use crate::device::{Device, DeviceSummary, Installed, target_of};
use crate::release::{Authority, Release};
use crate::text::bytes_for_people;
use crate::trusted::anchor_of;

/// Bits on a classic bus for a byte of an image: UDS over ISO-TP with 29-bit identifiers.
const BITS_PER_BYTE: u64 = 19;
/// Image bytes in a CAN FD frame, and its bits at the nominal and at the data bit rate, stuff bits included.
const FD_FRAME: (u64, u64, u64) = (63, 55, 590);
/// Bit rate of the example where the real one is unknown, bit/s.
const USUAL_BIT_RATE: u32 = 500_000;

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Plan {
    event: &'static str,
    /// What is updated: `firmware` or `table`.
    target: &'static str,
    device: DeviceSummary,
    before: Installed,
    release: ReleaseName,
    image_size: u64,
    /// Of the table that comes with firmware.
    #[serde(skip_serializing_if = "Option::is_none")]
    table_size: Option<u64>,
    resume_offset: u64,
    /// Of the bus, bit/s, where it is known.
    bit_rate: Option<u32>,
    /// Of the data of CAN FD frames, bit/s, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    data_bit_rate: Option<u32>,
    /// `None` where the bit rate is not known.
    estimated_seconds: Option<u64>,
    /// The present root of the release's domain, if it is not the first one: a device that is behind gets the chain to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    root: Option<String>,
    /// Who can verify the release, if this program cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    verified_by: Option<&'static str>,
    #[serde(skip)]
    is_fd: bool,
}

/// Which release, in plans and results.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct ReleaseName {
    /// Version in the manifest's text; only a name.
    pub(crate) version: Option<String>,
    /// Sequence number; `None` when the envelope did not verify and the host's checks were skipped.
    pub(crate) sequence: Option<u64>,
    /// SHA-256 over the bstr-wrapped manifest, hex.
    pub(crate) manifest_digest: Option<String>,
}

impl ReleaseName {
    #[must_use]
    pub(crate) fn of(release: &Release) -> Self {
        let facts = release.facts.as_ref();
        Self {
            version: facts.and_then(|facts| facts.version.clone()),
            sequence: facts.map(|facts| facts.sequence),
            manifest_digest: facts.map(|facts| hex::encode(facts.manifest_digest)),
        }
    }
}

impl Plan {
    #[must_use]
    pub(crate) fn new(
        device: &Device,
        release: &Release,
        trusted: &TrustStoreBuf,
        connection: &Connection,
    ) -> Self {
        let image_size = release.image.len() as u64;
        let state = &device.state;
        let resumes = release
            .facts
            .as_ref()
            .is_some_and(|facts| state.flags.resumable && facts.manifest_digest == state.manifest_digest);
        let resume_offset = if resumes { u64::from(state.resume_offset).min(image_size) } else { 0 };
        let (BitRates { nominal, data }, is_fd) = (connection.bit_rates(), connection.is_fd());
        let table_size = release.table.as_ref().map(|table| table.image.len() as u64);
        let bytes = (image_size - resume_offset).saturating_add(table_size.unwrap_or(0));
        Self {
            event: "plan",
            target: target_of(device.component).name(),
            device: device.summary(),
            before: device.installed(),
            release: ReleaseName::of(release),
            image_size,
            table_size,
            resume_offset,
            bit_rate: nominal,
            data_bit_rate: data.filter(|_| is_fd),
            estimated_seconds: match (is_fd, nominal, data) {
                (false, Some(rate), _) => Some(seconds(bytes, rate)),
                (true, Some(nominal), Some(data)) => Some(fd_seconds(bytes, nominal, data)),
                (_, None, _) | (true, Some(_), None) => None,
            },
            root: root_of(release, trusted).map(|number| number.to_string()),
            verified_by: is_for_device_alone(release).then_some("device"),
            is_fd,
        }
    }

    /// Lines for people.
    #[must_use]
    pub(crate) fn lines(&self) -> String {
        let unknown = "?".to_owned();
        let number = |sequence: Option<u64>| sequence.map_or(unknown.clone(), |number| number.to_string());
        let installed = match self.before.sequence {
            0 => "nothing".to_owned(),
            sequence => format!(
                "{} (sequence number {sequence})",
                self.before.version.as_deref().unwrap_or("unknown version")
            ),
        };
        let resumed = match self.resume_offset {
            0 => String::new(),
            offset => format!(", of which the device already has {}", bytes_for_people(offset)),
        };
        let (has, image) =
            if self.target == Target::Table.name() { ("Has table", "Table") } else { ("Runs", "Image") };
        let digest = self.release.manifest_digest.as_deref().unwrap_or_default();
        let example = || seconds_for_people(seconds(self.image_size - self.resume_offset, USUAL_BIT_RATE));
        let time = match (self.estimated_seconds, self.bit_rate) {
            (Some(seconds), Some(rate)) => {
                let data =
                    self.data_bit_rate.map_or_else(String::new, |data| format!(" and {}", data / 1000));
                format!("about {} at {}{data} kbit/s", seconds_for_people(seconds), rate / 1000)
            }
            _ if self.is_fd => "unknown: the bit rates of the CAN FD bus are not known".to_owned(),
            _ => {
                format!("unknown: the bit rate of the bus is not known (at 500 kbit/s: about {})", example())
            }
        };
        let mut lines = vec![
            format!("Device     {} (node 0x{:02X})", self.device.serial, self.device.node),
            format!("{has:10} {installed}"),
            format!(
                "Gets       {} (sequence number {}) {}",
                self.release.version.as_deref().unwrap_or("an unnamed version"),
                number(self.release.sequence),
                digest.get(..16).unwrap_or_default(),
            ),
            format!("{image:10} {}{resumed}", bytes_for_people(self.image_size)),
            format!("Time       {time}"),
        ];
        if let Some(size) = self.table_size {
            lines.insert(4, format!("Table      {}", bytes_for_people(size)));
        }
        if let Some(root) = &self.root {
            lines.push(format!("Root       {root}; a device that is behind follows the successions first"));
        }
        if self.verified_by.is_some() {
            lines.push("Verified   by the device alone: nobody else has its key".to_owned());
        }
        lines.join("\n")
    }
}

/// Whether a key authenticates the release that only the device and its maker have.
fn is_for_device_alone(release: &Release) -> bool {
    release.facts.as_ref().is_some_and(|facts| facts.authority == Authority::DeviceKey)
}

/// The number of the root to which a release goes back; `None` for the first root of a domain.
fn root_of(release: &Release, trusted: &TrustStoreBuf) -> Option<SuccessionNumber> {
    let anchor = anchor_of(trusted, release.facts.as_ref()?.anchor()?)?;
    Some(trusted.number_of(anchor.domain())).filter(|number| *number != SuccessionNumber::FIRST)
}

fn seconds(bytes: u64, bit_rate: u32) -> u64 {
    (bytes * BITS_PER_BYTE).div_ceil(u64::from(bit_rate).max(1))
}

fn fd_seconds(bytes: u64, nominal: u32, data: u32) -> u64 {
    let (payload, nominal_bits, data_bits) = FD_FRAME;
    let frames = bytes.div_ceil(payload);
    let micros = |bits: u64, rate: u32| (frames * bits * 1_000_000) / u64::from(rate).max(1);
    (micros(nominal_bits, nominal) + micros(data_bits, data)).div_ceil(1_000_000)
}

/// A duration for people.
#[must_use]
pub(crate) fn seconds_for_people(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        _ => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}
