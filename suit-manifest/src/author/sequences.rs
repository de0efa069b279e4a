//! Command sequences to write, draft-ietf-suit-manifest-37 sections 8.4.6 to 8.4.10, as far as this decoder supports
//! them. [`compose`] writes any of them; [`crate::image_reference`] decides whether a device takes the result.

use std::collections::BTreeMap;

use ciborium::Value;

use super::{
    AuthorError, COMPONENT, RECORD_CONDITION, RECORD_DIRECTIVE, SHA_256, UpdateDescription, bytes,
    digest_over, encode, map, seal, sequence, text, wrap,
};
use crate::manifest::{INSTALL, INVOKE, PAYLOAD_FETCH, TEXT, VALIDATE};

/// A command with its argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// suit-condition-vendor-identifier
    CheckVendor,
    /// suit-condition-class-identifier
    CheckClass,
    /// suit-condition-device-identifier
    CheckDevice,
    /// suit-condition-image-match
    ImageMatch,
    /// suit-condition-component-slot
    CheckSlot,
    /// suit-condition-abort
    Abort,
    /// suit-directive-override-parameters; of a repeated parameter the last one counts.
    Override(Vec<Parameter>),
    /// suit-directive-fetch
    Fetch,
    /// suit-directive-invoke
    Invoke,
    /// suit-directive-run-sequence
    RunSequence(Vec<Command>),
    /// suit-directive-try-each of two sequences or more
    TryEach {
        /// In this order, until one succeeds.
        sequences: Vec<Vec<Command>>,
        /// A nil follows, which succeeds.
        or_nothing: bool,
    },
}

/// A parameter with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parameter {
    /// suit-parameter-vendor-identifier
    Vendor([u8; 16]),
    /// suit-parameter-class-identifier
    Class([u8; 16]),
    /// suit-parameter-device-identifier
    Device([u8; 16]),
    /// suit-parameter-image-digest, SHA-256
    ImageDigest([u8; 32]),
    /// suit-parameter-component-slot
    Slot(u64),
    /// suit-parameter-strict-order
    StrictOrder(bool),
    /// suit-parameter-soft-failure
    SoftFailure(bool),
    /// suit-parameter-image-size, bytes
    ImageSize(u64),
    /// suit-parameter-uri
    Uri(String),
}

/// The sequences of a manifest with the one component `["app"]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequences {
    /// suit-shared-sequence
    pub shared: Vec<Command>,
    /// suit-payload-fetch
    pub payload_fetch: Option<Vec<Command>>,
    /// suit-install
    pub install: Option<Vec<Command>>,
    /// suit-validate
    pub validate: Option<Vec<Command>>,
    /// suit-invoke
    pub invoke: Option<Vec<Command>>,
}

impl Sequences {
    /// The sequences that [`super::create`] writes for this update.
    #[must_use]
    pub fn of(update: &UpdateDescription) -> Self {
        let image = [Parameter::ImageDigest(update.image_digest), Parameter::ImageSize(update.image_size)];
        let uri = Parameter::Uri(update.uri.clone());
        let mut identity = vec![Parameter::Vendor(update.vendor), Parameter::Class(update.class)];
        if update.second_slot.is_none() {
            identity.extend(image.clone());
        }
        let mut checks = vec![Command::CheckVendor, Command::CheckClass];
        if let Some(device) = update.device {
            identity.push(Parameter::Device(device));
            checks.push(Command::CheckDevice);
        }
        let mut shared = [vec![Command::Override(identity)], checks].concat();
        let mut uris = Command::Override(vec![uri.clone()]);
        // Appendix B, example 3 (A/B images): the slot chooses the image.
        if let Some(second) = &update.second_slot {
            let second_image = [Parameter::ImageDigest(second.digest), Parameter::ImageSize(second.size)];
            shared.push(in_each_slot([image.to_vec(), second_image.to_vec()]));
            uris = in_each_slot([vec![uri], vec![Parameter::Uri(second.uri.clone())]]);
        }
        Self {
            shared,
            payload_fetch: None,
            install: Some(vec![uris, Command::Fetch, Command::ImageMatch]),
            validate: Some(vec![Command::ImageMatch]),
            invoke: Some(vec![Command::Invoke]),
        }
    }
}

/// try-each over the slots: the parameters for the one that the device writes, or runs.
fn in_each_slot(parameters: [Vec<Parameter>; 2]) -> Command {
    let sequence = |(slot, parameters)| {
        vec![
            Command::Override(vec![Parameter::Slot(slot)]),
            Command::CheckSlot,
            Command::Override(parameters),
        ]
    };
    Command::TryEach { sequences: (0..).zip(parameters).map(sequence).collect(), or_nothing: false }
}

/// Makes an unsigned envelope with these sequences; sequence number and text are those of `update`. Nothing is
/// checked: [`super::sign`] checks the structure, [`crate::image_reference`] runs it.
///
/// # Errors
///
/// [`AuthorError::Encoding`].
pub fn compose(update: &UpdateDescription, sequences: &Sequences) -> Result<Vec<u8>, AuthorError> {
    let wrapped_text = wrap(&encode(&text(update))?)?;
    let common = map([
        (2, Value::Array(vec![Value::Array(vec![bytes(COMPONENT)])])),
        (4, section(&sequences.shared)?),
    ]);
    let mut members = vec![(1, 1.into()), (2, update.sequence.into()), (3, bytes(&encode(&common)?))];
    let sections = [
        (VALIDATE, &sequences.validate),
        (INVOKE, &sequences.invoke),
        (PAYLOAD_FETCH, &sequences.payload_fetch),
        (INSTALL, &sequences.install),
    ];
    for (key, commands) in sections {
        if let Some(commands) = commands {
            members.push((key, section(commands)?));
        }
    }
    members.push((TEXT, digest_over(&wrapped_text)));
    seal(&encode(&map(members))?, &wrapped_text)
}

/// `bstr .cbor SUIT_Command_Sequence`.
fn section(commands: &[Command]) -> Result<Value, AuthorError> {
    let commands: Result<Vec<_>, _> = commands.iter().map(Command::encode).collect();
    Ok(bytes(&encode(&sequence(commands?))?))
}

impl Command {
    fn encode(&self) -> Result<(i32, Value), AuthorError> {
        Ok(match self {
            Self::CheckVendor => (1, RECORD_CONDITION.into()),
            Self::CheckClass => (2, RECORD_CONDITION.into()),
            Self::ImageMatch => (3, RECORD_CONDITION.into()),
            Self::CheckSlot => (5, RECORD_CONDITION.into()),
            Self::Abort => (14, RECORD_CONDITION.into()),
            Self::TryEach { sequences, or_nothing } => {
                let mut items: Vec<Value> =
                    sequences.iter().map(|sequence| section(sequence)).collect::<Result<_, _>>()?;
                items.extend(or_nothing.then_some(Value::Null));
                (15, Value::Array(items))
            }
            Self::Override(parameters) => {
                let entries: Result<BTreeMap<_, _>, _> = parameters.iter().map(Parameter::encode).collect();
                (20, map(entries?))
            }
            Self::Fetch => (21, RECORD_DIRECTIVE.into()),
            Self::Invoke => (23, RECORD_DIRECTIVE.into()),
            Self::CheckDevice => (24, RECORD_CONDITION.into()),
            Self::RunSequence(sequence) => (32, section(sequence)?),
        })
    }
}

impl Parameter {
    fn encode(&self) -> Result<(i32, Value), AuthorError> {
        Ok(match self {
            Self::Vendor(id) => (1, bytes(id)),
            Self::Class(id) => (2, bytes(id)),
            Self::ImageDigest(digest) => {
                (3, bytes(&encode(&Value::Array(vec![SHA_256.into(), bytes(digest)]))?))
            }
            Self::Slot(slot) => (5, (*slot).into()),
            Self::StrictOrder(strict) => (12, (*strict).into()),
            Self::SoftFailure(soft) => (13, (*soft).into()),
            Self::ImageSize(size) => (14, (*size).into()),
            Self::Uri(uri) => (21, Value::Text(uri.clone())),
            Self::Device(id) => (24, bytes(id)),
        })
    }
}
