//! What is wrong with an envelope, or more than a small device runs: findings with stable codes (docs/manifest-tool.md).
//! Nothing is verified, and nothing of it decides for a device; the device's own verdict is one of the findings.

mod commands;
mod version;

use serde::Serialize;
use suit_manifest::author::tree::{EnvelopeTree, Member, MemberKey};
use suit_manifest::author::{inspect, sever_text, take_out};
use suit_manifest::profile::{Loader, Profile as _};
use suit_manifest::vocabulary::{CommonElement, ComponentText, EnvelopeElement, ManifestElement, Rule};
use suit_manifest::{Error, MAX_ENVELOPE_HEAD_LEN};

use crate::bundle::images_of;

/// The code of a finding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Code {
    /// Not what the documents of SUIT allow.
    NotSuit,
    /// Our devices would refuse it.
    DeviceRefuses,
    /// A part that our devices do not run.
    Unsupported,
    /// An image in the envelope.
    Integrated,
    /// No signature.
    Unsigned,
    /// A signature, and no release credential of ours with it.
    CredentialMissing,
    /// Longer than a device takes, without its text.
    TooLong,
    UriMissing,
    DigestMissing,
    SizeMissing,
    /// What is written is not matched.
    ImageUnchecked,
    VersionMissing,
    VersionDiffers,
    TextMalformed,
    SlotTooSmall,
    OutsideRange,
    /// The image that was given is not the one of the manifest.
    ImageDiffers,
}

impl Code {
    pub const fn slug(self) -> &'static str {
        match self {
            Self::NotSuit => "not-suit",
            Self::DeviceRefuses => "device-refuses",
            Self::Unsupported => "unsupported",
            Self::Integrated => "integrated",
            Self::Unsigned => "unsigned",
            Self::CredentialMissing => "credential-missing",
            Self::TooLong => "too-long",
            Self::UriMissing => "uri-missing",
            Self::DigestMissing => "digest-missing",
            Self::SizeMissing => "size-missing",
            Self::ImageUnchecked => "image-unchecked",
            Self::VersionMissing => "version-missing",
            Self::VersionDiffers => "version-differs",
            Self::TextMalformed => "text-malformed",
            Self::SlotTooSmall => "slot-too-small",
            Self::OutsideRange => "outside-range",
            Self::ImageDiffers => "image-differs",
        }
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.slug())
    }
}

/// Something that was found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Finding {
    pub code: Code,
    pub message: String,
    /// Byte of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<u32>,
    /// The section that says so, or that defines what is not supported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
}

impl Finding {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), position: None, rule: None }
    }

    fn at(mut self, position: u32, rule: Rule) -> Self {
        self.position = Some(position);
        self.rule = Some(rule.to_string());
        self
    }

    fn under(mut self, rule: Rule) -> Self {
        self.rule = Some(rule.to_string());
        self
    }

    fn of_error(code: Code, error: Error) -> Self {
        let reason = error.reason();
        Self::new(code, format!("{} [{}]", reason.message(), reason.slug())).at(error.position, error.rule())
    }

    /// A line for people.
    pub fn line(&self) -> String {
        let place = match (self.position, &self.rule) {
            (Some(position), Some(rule)) => format!(" (byte {position}, {rule})"),
            (Some(position), None) => format!(" (byte {position})"),
            (None, Some(rule)) => format!(" ({rule})"),
            (None, None) => String::new(),
        };
        format!("{}: {}{place}", self.code.slug(), self.message)
    }
}

/// What is found in an envelope, whatever device it is for. `slot_size`: bytes that a slot has.
pub fn findings(file: &[u8], slot_size: Option<u64>) -> Vec<Finding> {
    let tree = match EnvelopeTree::read(file) {
        Ok(tree) => tree,
        Err(error) => return vec![Finding::of_error(Code::NotSuit, error)],
    };
    let mut found = Vec::new();
    found.extend(tree.fault_inside().map(|error| Finding::of_error(Code::NotSuit, error)));
    found.extend(of_devices(file));
    unsupported_elements(&tree, &mut found);
    commands::check(&tree.manifest, slot_size, &mut found);
    found.extend(of_versions(&tree));
    found
}

/// What our devices say, of the envelope without what is integrated in it: that is a finding of its own.
fn of_devices(file: &[u8]) -> Vec<Finding> {
    let Ok(release) = take_out(file, &[]) else { return Vec::new() };
    let mut found = Vec::new();
    found.extend(images_of(&release).err().map(|error| Finding::of_error(Code::DeviceRefuses, error)));
    if let Ok(inspection) = inspect(&release) {
        if inspection.block().is_none() {
            found.push(Finding::new(Code::Unsigned, "no signature covers it, and no MAC"));
        } else if inspection.sign1().is_some() && inspection.credential().is_none() {
            let message = "no release credential came with the signature: our devices know no key for it";
            found.push(Finding::new(Code::CredentialMissing, message));
        }
    }
    let head = sever_text(&release).map_or(release.len(), |head| head.len());
    if head > MAX_ENVELOPE_HEAD_LEN {
        let message =
            format!("without its text it has {head} bytes, and a device takes {MAX_ENVELOPE_HEAD_LEN}");
        found.push(Finding::new(Code::TooLong, message));
    }
    found
}

/// Members and elements that no device of ours takes.
fn unsupported_elements(tree: &EnvelopeTree<'_>, found: &mut Vec<Finding>) {
    let mut unsupported = |name: &str, number: i64, rule: Rule| {
        found.push(Finding::new(Code::Unsupported, format!("{name} ({number})")).under(rule));
    };
    let is_offered = |number: i64, offered: fn(i32) -> bool| i32::try_from(number).is_ok_and(offered);
    let manifest = &tree.manifest;
    let optional = [
        (manifest.component_id.is_some(), ManifestElement::ComponentId),
        (manifest.set_version.is_some(), ManifestElement::SetVersion),
        (manifest.coswid.is_some(), ManifestElement::Coswid),
    ];
    let elements = optional.into_iter().filter(|(is_there, _)| *is_there).map(|(_, element)| element);
    for element in elements.chain(manifest.sections.iter().map(|(element, _)| *element)) {
        if !is_offered(element.number(), |number| Loader::MANIFEST.has(number)) {
            unsupported(element.name(), element.number(), element.rule());
        }
    }
    if !manifest.dependencies.is_empty()
        && !is_offered(CommonElement::Dependencies.number(), |n| Loader::COMMON.has(n))
    {
        let element = CommonElement::Dependencies;
        unsupported(element.name(), element.number(), element.rule());
    }
    for member in &tree.members {
        match member.key {
            MemberKey::Uri(uri) => {
                // Without the head of the byte string.
                let size = tree.integrated(uri).map_or(0, |member| member.content.bytes.len());
                let message = format!("{uri:?}, {size} bytes: our devices take images beside the envelope");
                found.push(
                    Finding::new(Code::Integrated, message)
                        .at(member.value.base, EnvelopeElement::Manifest.rule()),
                );
            }
            // Those of the manifest were named above.
            MemberKey::Element(_) => {}
        }
    }
}

/// The version for people and the one for machines.
fn of_versions(tree: &EnvelopeTree<'_>) -> Vec<Finding> {
    let texts = match tree.manifest.texts() {
        Ok(texts) => texts,
        Err(error) => return vec![Finding::of_error(Code::TextMalformed, error)],
    };
    let for_people: Vec<&str> = texts
        .iter()
        .filter(|entry| entry.component.is_some() && entry.key == ComponentText::ComponentVersion.number())
        .map(|entry| entry.text)
        .collect();
    let set = tree.manifest.set_version.map(|version| version.numbers().collect::<Vec<_>>());
    let rule = ManifestElement::SetVersion.rule();
    match (for_people.as_slice(), set) {
        ([], None) => {
            // A text that was left away may have it.
            let is_left_away = matches!(tree.manifest.text, Some(Member::Severed(_, None)));
            let message = "neither a text nor set-version names a version";
            (!is_left_away).then(|| Finding::new(Code::VersionMissing, message)).into_iter().collect()
        }
        ([], Some(_)) | (_, None) => Vec::new(),
        (texts, Some(set)) => {
            let agrees =
                texts.iter().any(|text| version::numbers(text).is_some_and(|it| version::equal(&it, &set)));
            let message =
                format!("the text says {:?}, set-version {}", texts.join(", "), version::words(&set));
            (!agrees).then(|| Finding::new(Code::VersionDiffers, message).under(rule)).into_iter().collect()
        }
    }
}
