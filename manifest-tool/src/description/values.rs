//! Values of parameters in a description (draft-ietf-suit-manifest-37 section 8.4.8 and the extensions).

use std::collections::BTreeMap;

use suit_manifest::argument::DigestAlgorithm;
use suit_manifest::author::tree::EnvelopeTree;
use suit_manifest::author::{Awaited, Identifier, Parameter, diagnostic_notation, image_uri};
use suit_manifest::vocabulary::{Comparison, ParameterKey, WaitEventKey};
use uuid::Uuid;

use super::reader::{Fault, Node, Read};
use super::{DIGESTS, Files};
use crate::error::Error;
use crate::identifiers::{Class, Vendor, device_id, device_serial};

/// Bytes: `{ hex = "..." }`, `{ text = "..." }` or `{ file = "..." }`.
pub(super) fn bytes(node: Node<'_, '_>, files: &Files) -> Read<Vec<u8>> {
    let (form, at, value) = node.table()?.only()?;
    match form {
        "hex" => hex::decode(value.text()?)
            .map_err(|error| value.fault(format!("these are no hexadecimal digits: {error}"))),
        "text" => Ok(value.text()?.as_bytes().to_vec()),
        "file" => files.content(value),
        _ => Err(Fault::At(at, format!("{form:?} is none of hex, text, file"))),
    }
}

/// The same, being one item of CBOR: it stands in the envelope as it is, so that no reader takes it for another one.
pub(super) fn cbor(node: Node<'_, '_>, files: &Files) -> Read<Vec<u8>> {
    let encoded = bytes(node, files)?;
    match diagnostic_notation(&encoded) {
        Ok(_) => Ok(encoded),
        Err(_) => Err(node
            .fault("one item of CBOR in deterministic encoding (RFC 8949 section 4.2.1) is required here")),
    }
}

/// The index of a component as the name of an entry, in its one spelling.
pub(super) fn index(name: &str, at: usize) -> Read<u64> {
    let number = name.parse::<u64>().ok().filter(|number| number.to_string() == name);
    number.ok_or_else(|| Fault::At(at, format!("{name:?} is no index of a component")))
}

/// A component identifier: a list of texts, or `{ hex = "..." }` for what is none.
pub(super) fn identifier(node: Node<'_, '_>) -> Read<Identifier> {
    let segment = |node: Node<'_, '_>| {
        if node.is_text() {
            return Ok(node.text()?.as_bytes().to_vec());
        }
        let mut table = node.table()?;
        let digits = table.need("hex")?;
        table.finish()?;
        hex::decode(digits.text()?)
            .map_err(|error| digits.fault(format!("these are no hexadecimal digits: {error}")))
    };
    node.items()?.into_iter().map(segment).collect()
}

/// A version: `[1, 2, 3]` or "1.2.3".
pub(super) fn version(node: Node<'_, '_>) -> Read<Vec<i64>> {
    if node.is_list() {
        return node.items()?.into_iter().map(Node::int).collect();
    }
    numbers(node, node.text()?)
}

fn numbers(node: Node<'_, '_>, text: &str) -> Read<Vec<i64>> {
    let number =
        |part: &str| part.parse().map_err(|_| node.fault(format!("{text:?} is no version, such as 1.2.3")));
    text.split('.').map(number).collect()
}

/// ">= 1.2.3"
fn comparison(node: Node<'_, '_>) -> Read<(Comparison, Vec<i64>)> {
    const SIGNS: [(&str, Comparison); 5] = [
        (">=", Comparison::GreaterEqual),
        ("<=", Comparison::LesserEqual),
        (">", Comparison::Greater),
        ("<", Comparison::Lesser),
        ("=", Comparison::Equal),
    ];
    let text = node.text()?;
    let found = SIGNS.iter().find_map(|(sign, comparison)| Some((*comparison, text.strip_prefix(sign)?)));
    let (comparison, version) =
        found.ok_or_else(|| node.fault(format!("{text:?} begins with none of >= <= > < =")))?;
    Ok((comparison, numbers(node, version.trim())?))
}

/// A digest: `{ sha-256 = "hexadecimal digits" }`; `{ file = "..." }` with an algorithm beside it if it is not SHA-256; or
/// `{ manifest-of = "..." }`, that by which an envelope names its manifest (suit-trust-domains section 5.6.4).
fn digest(node: Node<'_, '_>, files: &Files) -> Read<(DigestAlgorithm, Vec<u8>)> {
    let mut table = node.table()?;
    if let Some(file) = table.take("file") {
        let algorithm =
            table.take("algorithm").map_or(Ok(DigestAlgorithm::Sha256), |node| node.one_of(&DIGESTS))?;
        table.finish()?;
        return Ok((algorithm, algorithm.digest(&files.content(file)?)));
    }
    if let Some(file) = table.take("manifest-of") {
        table.finish()?;
        let name = file.text()?;
        let content = files.content(file)?;
        let refused = |error| Fault::Of(Box::new(Error::refused_manifest(&files.path(name), error)));
        let digest = EnvelopeTree::read(&content).map_err(refused)?.digest;
        return Ok((digest.algorithm(), digest.bytes().to_vec()));
    }
    let (name, at, value) = table.only()?;
    let algorithm = DIGESTS.iter().find(|(known, _)| *known == name).map(|(_, algorithm)| *algorithm);
    let algorithm =
        algorithm.ok_or_else(|| Fault::At(at, format!("{name:?} is no algorithm of a digest")))?;
    let digest = hex::decode(value.text()?).ok().filter(|digest| digest.len() == algorithm.digest_len());
    let wanted = 2 * algorithm.digest_len();
    Ok((
        algorithm,
        digest.ok_or_else(|| value.fault(format!("{wanted} hexadecimal digits are required here")))?,
    ))
}

/// A map of parameters.
pub(super) fn parameters(node: Node<'_, '_>, files: &Files) -> Read<Vec<Parameter>> {
    let entries = node.table()?.entries();
    // A name of a class or a serial makes an identifier below that of the vendor.
    let vendor = entries.iter().find(|(name, ..)| *name == ParameterKey::VendorId.name());
    let vendor =
        vendor.and_then(|(_, _, node)| node.text().ok()?.parse::<Vendor>().ok()).map(|vendor| vendor.id());
    let parameter = |(name, at, node): (&str, usize, Node<'_, '_>)| {
        let known = ParameterKey::ALL.iter().find(|key| key.name() == name);
        match known {
            Some(key) => parameter(*key, node, vendor, files),
            None => Ok(Parameter::Custom(custom_number(name, at)?, cbor(node, files)?)),
        }
    };
    entries.into_iter().map(parameter).collect()
}

/// The number of something that no document names.
pub(super) fn custom_number(name: &str, at: usize) -> Read<i32> {
    let number = name.parse::<i32>().ok().filter(|number| *number < 0 && number.to_string() == name);
    let unknown = "is not known here; what is custom has a number below 0, of 32 bits";
    number.ok_or_else(|| Fault::At(at, format!("{name:?} {unknown}")))
}

fn parameter(key: ParameterKey, node: Node<'_, '_>, vendor: Option<Uuid>, files: &Files) -> Read<Parameter> {
    let below_vendor = || vendor.ok_or_else(|| node.fault("a name needs vendor-id beside it"));
    Ok(match key {
        ParameterKey::VendorId if node.is_text() => {
            let vendor: Vendor = node.text()?.parse().map_err(|error| node.fault(format!("{error}")))?;
            Parameter::Vendor(vendor.id().into_bytes())
        }
        ParameterKey::VendorId => {
            let mut table = node.table()?;
            let number = table.need("pen")?.uint()?;
            table.finish()?;
            Parameter::Pen(relative_oid(number))
        }
        ParameterKey::ClassId => {
            let class: Class = node.text()?.parse().map_err(|error| node.fault(format!("{error}")))?;
            let id = match &class {
                Class::Id(id) => *id,
                Class::Name(_) => class.id(below_vendor()?),
            };
            Parameter::Class(id.into_bytes())
        }
        ParameterKey::DeviceId if node.is_text() => {
            let id = Uuid::try_parse(node.text()?).map_err(|error| node.fault(format!("{error}")))?;
            Parameter::Device(id.into_bytes())
        }
        ParameterKey::DeviceId => {
            let mut table = node.table()?;
            let serial = table.need("serial")?;
            table.finish()?;
            let serial = device_serial(serial.text()?).map_err(|error| serial.fault(error))?;
            Parameter::Device(device_id(&serial, below_vendor()?).into_bytes())
        }
        ParameterKey::ImageDigest => {
            let (algorithm, digest) = digest(node, files)?;
            Parameter::Digest(algorithm, digest)
        }
        ParameterKey::ImageSize => Parameter::ImageSize(size(node, files)?),
        ParameterKey::Uri if node.is_text() => Parameter::Uri(node.text()?.to_owned()),
        ParameterKey::Uri => Parameter::Uri(image_uri(&trust::sha256(&bytes(node, files)?))),
        ParameterKey::UseBefore => Parameter::UseBefore(node.uint()?),
        ParameterKey::ComponentSlot => Parameter::Slot(node.uint()?),
        ParameterKey::StrictOrder => Parameter::StrictOrder(node.flag()?),
        ParameterKey::SoftFailure => Parameter::SoftFailure(node.flag()?),
        ParameterKey::Content => Parameter::Content(bytes(node, files)?),
        ParameterKey::EncryptionInfo => Parameter::EncryptionInfo(bytes(node, files)?),
        ParameterKey::SourceComponent => Parameter::Source(node.uint()?),
        ParameterKey::InvokeArgs => Parameter::InvokeArguments(bytes(node, files)?),
        ParameterKey::FetchArguments => Parameter::FetchArguments(bytes(node, files)?),
        ParameterKey::MinimumBattery => Parameter::MinimumBattery(node.uint()?),
        ParameterKey::UpdatePriority => Parameter::UpdatePriority(node.int()?),
        ParameterKey::Version => {
            let (comparison, version) = comparison(node)?;
            Parameter::Version(comparison, version)
        }
        ParameterKey::WaitInfo => Parameter::WaitInfo(wait_info(node, files)?),
        ParameterKey::ComponentMetadata => Parameter::Metadata(cbor(node, files)?),
    })
}

/// Bytes of an image: a number, or those of a file.
fn size(node: Node<'_, '_>, files: &Files) -> Read<u64> {
    if let Ok(table) = node.table() {
        table.only()?;
        return Ok(bytes(node, files)?.len() as u64);
    }
    node.uint()
}

/// suit-update-management section 4.5
fn wait_info(node: Node<'_, '_>, files: &Files) -> Read<BTreeMap<WaitEventKey, Awaited>> {
    let mut events = BTreeMap::new();
    for (name, at, node) in node.table()?.entries() {
        let key = WaitEventKey::ALL.iter().find(|key| key.name() == name);
        let key = *key.ok_or_else(|| Fault::At(at, format!("there is no event {name:?}")))?;
        let awaited = match key {
            WaitEventKey::OtherDeviceVersion => {
                let mut table = node.table()?;
                let device = bytes(table.need("device")?, files)?;
                let versions = table.list("versions")?.into_iter().map(comparison).collect::<Read<_>>()?;
                table.finish()?;
                Awaited::Device(device, versions)
            }
            _ => Awaited::Number(node.int()?),
        };
        events.insert(key, awaited);
    }
    Ok(events)
}

/// RFC 9090 section 2: 7 bits a byte, the highest bit on all bytes but the last.
fn relative_oid(mut number: u64) -> Vec<u8> {
    let mut bytes = vec![number.to_le_bytes()[0] & 0x7F];
    number >>= 7;
    while number > 0 {
        bytes.insert(0, number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes
}
