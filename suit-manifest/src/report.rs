//! SUIT_Report (draft-ietf-suit-report-18) as a device writes it: what became of its last attempt, with the record of the
//! command that refused. [`ReportTree`] reads reports of anybody.
//!
//! A report of a device has no records but that of its result, no system properties and no capability report, and an empty
//! reference URI: the digest names the manifest (docs/suit-support.md).

#[cfg(any(test, feature = "host"))]
mod tree;

use trust::cbor::Writer;

use crate::argument::DigestAlgorithm;
use crate::reason::Reason;
use crate::vocabulary::{ManifestElement, ParameterKey, ReportElement, ReportReason, ReportResultElement};

#[cfg(any(test, feature = "host"))]
pub use crate::entries::{Identifier, ParameterTree};
#[cfg(any(test, feature = "host"))]
pub use tree::{
    CapabilityTree, ComponentCapability, RecordEntry, RecordTree, ReportError, ReportOutcome, ReportResult,
    ReportTree, SystemProperties, open_report, show_report,
};

/// Fewest bytes of a nonce, where there is one: it is not drawn twice.
pub const MIN_REPORT_NONCE_LEN: usize = 8;
/// Most bytes of a nonce, as RFC 9711 section 4.1 has them.
pub const MAX_REPORT_NONCE_LEN: usize = 64;
/// Most bytes of a report of a device.
pub const MAX_REPORT_LEN: usize = 160;

/// The section of a record that is about no command sequence. Its offset is the byte of the object that was refused, else 0.
/// No element of a manifest has this number.
pub const NO_SECTION: i32 = 0;
/// The section of a record that is about the shared sequence: the draft numbers the sequences that are elements of the
/// manifest, and this one is in suit-common.
pub const SHARED_SECTION: i32 = ManifestElement::COMMON;

/// What makes an old report no answer to a new question (section 4, suit-report-nonce).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReportNonce<'a>(&'a [u8]);

impl<'a> ReportNonce<'a> {
    /// A nonce of [`MIN_REPORT_NONCE_LEN`] to [`MAX_REPORT_NONCE_LEN`] bytes, or of none: the report has no nonce then.
    #[must_use]
    pub const fn of(bytes: &'a [u8]) -> Option<Self> {
        match bytes.len() {
            0 | MIN_REPORT_NONCE_LEN..=MAX_REPORT_NONCE_LEN => Some(Self(bytes)),
            _ => None,
        }
    }
}

/// How far an attempt has come that nothing has refused so far: the result-code of a report.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Progress {
    /// The envelope was accepted; the image comes.
    Receiving = 1,
    /// The image is whole and waits for a reset.
    Pending = 2,
    /// The image runs, or is about to, and has not confirmed itself.
    Trial = 3,
}

impl Progress {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Receiving, Self::Pending, Self::Trial];

    /// The result-code. Codes of reasons begin at 0x0100.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The reason that a report gives: the draft has a word for an image that is about to be invoked, and none for one that
    /// still comes.
    #[must_use]
    pub const fn reason(self) -> ReportReason {
        match self {
            Self::Receiving => ReportReason::Ok,
            Self::Pending | Self::Trial => ReportReason::InvokePending,
        }
    }

    /// One sentence for people.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::Receiving => "The envelope was accepted; the image is still to come.",
            Self::Pending => "The image is installed and waits for a reset.",
            Self::Trial => "The image is on trial: it has not confirmed itself yet.",
        }
    }
}

/// Where an attempt ended (section 3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Number of the command sequence in the manifest, [`SHARED_SECTION`], or [`NO_SECTION`].
    pub section: i32,
    /// Byte of that sequence, or of the object that was refused.
    pub offset: u32,
    /// Index of the component.
    pub component: u32,
}

impl Place {
    /// In no command sequence.
    #[must_use]
    pub const fn outside(position: u32) -> Self {
        Self { section: NO_SECTION, offset: position, component: 0 }
    }
}

/// What the device has where the manifest asks for something else.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Measured<'a> {
    /// Nothing that is reported.
    Nothing,
    /// Its vendor id.
    Vendor(&'a [u8; 16]),
    /// Its class id.
    Class(&'a [u8; 16]),
    /// Its device id.
    Device(&'a [u8; 16]),
}

impl<'a> Measured<'a> {
    /// What led to a refusal, of a device with these ids.
    #[must_use]
    pub fn of(reason: Reason, vendor: &'a [u8; 16], class: &'a [u8; 16], device: &'a [u8; 16]) -> Self {
        let ids = [
            (Reason::VendorMismatch, Self::Vendor(vendor)),
            (Reason::ClassMismatch, Self::Class(class)),
            (Reason::DeviceMismatch, Self::Device(device)),
        ];
        ids.into_iter().find(|(led_to, _)| *led_to == reason).map_or(Self::Nothing, |(_, id)| id)
    }
}

/// What became of an attempt (section 4.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome<'a> {
    /// The image runs, and confirmed itself.
    Success,
    /// It is not over.
    Underway(Progress),
    /// It was refused, or reverted.
    Refused {
        /// Why.
        reason: Reason,
        /// Where.
        place: Place,
        /// What the device has instead.
        measured: Measured<'a>,
    },
}

/// A report of a device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Report<'a> {
    /// SHA-256 of the manifest that was attempted; zeros if none authenticated.
    pub manifest_digest: &'a [u8; 32],
    /// That of the question.
    pub nonce: ReportNonce<'a>,
    /// What became of it.
    pub outcome: Outcome<'a>,
}

impl Report<'_> {
    /// Writes the report into `buffer`, which has [`MAX_REPORT_LEN`] bytes; the part of it that was written.
    ///
    /// # Errors
    /// [`trust::ErrorKind::TooLong`] when the buffer is shorter than the report.
    #[inline(never)]
    pub fn encode<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], trust::Error> {
        let mut writer = Writer::new(buffer);
        let ReportNonce(nonce) = self.nonce;
        // In the order of the encoded keys (RFC 8949 section 4.2.1).
        writer.map(if nonce.is_empty() { 3 } else { 4 });
        if !nonce.is_empty() {
            writer.int(ReportElement::NONCE);
            writer.bytes(nonce);
        }
        writer.int(ReportElement::RECORDS);
        writer.array(0);
        writer.int(ReportElement::RESULT);
        let outside = Place::outside(0);
        match self.outcome {
            Outcome::Success => writer.yes(),
            Outcome::Underway(progress) => {
                let (code, reason) = (progress.code().into(), progress.reason() as u8);
                write_result(&mut writer, code, reason, outside, Measured::Nothing);
            }
            Outcome::Refused { reason, place, measured } => {
                write_result(&mut writer, reason.code(), reason.suit_report(), place, measured);
            }
        }
        writer.int(ReportElement::REFERENCE);
        writer.array(2);
        writer.text("");
        writer.array(2);
        writer.int(DigestAlgorithm::Sha256.number());
        writer.bytes(self.manifest_digest);
        writer.finish()
    }
}

/// Section 4.2: code, record, reason.
#[inline(never)]
fn write_result(writer: &mut Writer<'_>, code: u16, reason: u8, place: Place, measured: Measured<'_>) {
    writer.map(3);
    writer.int(ReportResultElement::CODE);
    writer.uint(code.into());
    writer.int(ReportResultElement::RECORD);
    // Section 3; the root manifest has an empty id.
    writer.array(5);
    writer.array(0);
    writer.int(place.section);
    writer.uint(place.offset);
    writer.uint(place.component);
    let (key, id) = match measured {
        Measured::Nothing => (0, &[0; 16]),
        Measured::Vendor(id) => (ParameterKey::VENDOR_ID, id),
        Measured::Class(id) => (ParameterKey::CLASS_ID, id),
        Measured::Device(id) => (ParameterKey::DEVICE_ID, id),
    };
    if key == 0 {
        writer.map(0);
    } else {
        writer.map(1);
        writer.int(key);
        writer.bytes(id);
    }
    writer.int(ReportResultElement::REASON);
    writer.uint(reason.into());
}
