//! Command sequences to write: draft-ietf-suit-manifest-37 sections 8.4.6 to 8.4.10, and what suit-trust-domains,
//! suit-update-management and suit-firmware-encryption add. [`compose`] writes those of an update, [`super::Composition`] any;
//! [`crate::image_reference`] decides whether a device takes the result.

use std::collections::BTreeMap;

use ciborium::Value;

use super::{
    APPLICATION, AuthorError, Composition, Encryption, RECORD_CONDITION, RECORD_DIRECTIVE, SHA_256, STAGING,
    SlotImage, UpdateDescription, bytes, encode, map, segments, sequence, text,
};
use crate::argument::{DigestAlgorithm, TAG_PEN};
use crate::component::{ComponentId, Target};
use crate::vocabulary::{CommandCode, Comparison, ManifestElement, ParameterKey, WaitEventKey};

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
    /// suit-directive-set-component-index to one component: 0 is what is installed, 1 what it comes encrypted through
    Select(u64),
    /// suit-directive-fetch
    Fetch,
    /// suit-directive-copy
    Copy,
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
    /// Any command that takes a reporting policy, with its bits (section 8.4.7).
    WithPolicy(CommandCode, u8),
    /// suit-directive-set-component-index to each component
    SelectAll,
    /// suit-directive-set-component-index to these
    SelectEach(Vec<u64>),
    /// suit-directive-set-parameters
    SetParameters(Vec<Parameter>),
    /// suit-directive-override-multiple: the parameters of each component
    OverrideMultiple(BTreeMap<u64, Vec<Parameter>>),
    /// suit-directive-copy-params: which parameters of each component
    CopyParameters(BTreeMap<u64, Vec<ParameterKey>>),
    /// A command that no document names, with its argument in CBOR.
    Custom(i32, Vec<u8>),
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
    /// suit-parameter-source-component
    Source(u64),
    /// suit-parameter-encryption-info
    EncryptionInfo(Vec<u8>),
    /// suit-parameter-vendor-identifier as a CBOR PEN: the bytes of a relative object identifier
    Pen(Vec<u8>),
    /// suit-parameter-image-digest of any algorithm
    Digest(DigestAlgorithm, Vec<u8>),
    /// suit-parameter-use-before: seconds since 1970-01-01
    UseBefore(u64),
    /// suit-parameter-content
    Content(Vec<u8>),
    /// suit-parameter-invoke-args
    InvokeArguments(Vec<u8>),
    /// suit-parameter-fetch-arguments
    FetchArguments(Vec<u8>),
    /// suit-parameter-minimum-battery, mWh
    MinimumBattery(u64),
    /// suit-parameter-update-priority
    UpdatePriority(i64),
    /// suit-parameter-version: how the version that there is compares with this one
    Version(Comparison, Vec<i64>),
    /// suit-parameter-wait-info
    WaitInfo(BTreeMap<WaitEventKey, Awaited>),
    /// suit-parameter-component-metadata, in CBOR
    Metadata(Vec<u8>),
    /// A parameter that no document names, with its value in CBOR.
    Custom(i32, Vec<u8>),
}

/// What a wait waits for (suit-update-management section 4.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// The value of the event: a priority, a state, a time, a day.
    Number(i64),
    /// Versions of another device, all of which are to hold.
    Device(Vec<u8>, Vec<(Comparison, Vec<i64>)>),
}

/// The sequences of a manifest with the component that an update installs, and the one through which it comes encrypted if a
/// command selects that.
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
        let first = update.first_slot();
        let mut identity = vec![Parameter::Vendor(update.vendor), Parameter::Class(update.class)];
        let mut checks = vec![Command::CheckVendor, Command::CheckClass];
        if let Some(device) = update.device {
            identity.push(Parameter::Device(device));
            checks.push(Command::CheckDevice);
        }
        let own = Place::of(update.target, update.encryption.is_some());
        let mut images = Vec::new();
        let mut sources = own.source_of(&first);
        match &update.second_slot {
            // Appendix B, example 3 (A/B images): the slot chooses the image.
            Some(second) => {
                let of = |image: &SlotImage| {
                    [vec![Command::Override(parameters_of(image))], own.ciphertext_of(image)]
                };
                images.push(in_each_slot([of(&first).concat(), of(second).concat()]));
                sources = vec![in_each_slot([sources, own.source_of(second)])];
            }
            None => {
                identity.extend(parameters_of(&first));
                images = own.ciphertext_of(&first);
            }
        }
        let mut shared = [vec![Command::Override(identity)], checks, images].concat();
        let mut install = [sources, own.take(&first)].concat();
        let mut validate = vec![Command::ImageMatch];
        if let Some(table) = &update.table {
            let place = Place::beside(own, table);
            let select = Command::Select(place.component);
            let parameters = Command::Override(parameters_of(table));
            shared.extend([vec![select.clone(), parameters], place.ciphertext_of(table)].concat());
            install.extend([vec![select.clone()], place.source_of(table), place.take(table)].concat());
            validate.extend([select, Command::ImageMatch]);
        }
        // Section 6.2: with two components each sequence begins with one of them.
        let is_alone = update.encryption.is_none() && update.table.is_none();
        let begun = |commands: Vec<Command>| match is_alone {
            true => commands,
            false => [vec![Command::Select(own.component)], commands].concat(),
        };
        Self {
            shared: begun(shared),
            payload_fetch: None,
            install: Some(begun(install)),
            validate: Some(begun(validate)),
            invoke: match update.target {
                Target::Firmware => Some(begun(vec![Command::Invoke])),
                Target::Table => None,
            },
        }
    }

    /// Whether a command selects this component.
    fn selects(&self, wanted: u64) -> bool {
        fn selects(commands: &[Command], wanted: u64) -> bool {
            commands.iter().any(|command| match command {
                Command::Select(component) => *component == wanted,
                Command::RunSequence(sequence) => selects(sequence, wanted),
                Command::TryEach { sequences, .. } => {
                    sequences.iter().any(|sequence| selects(sequence, wanted))
                }
                _ => false,
            })
        }
        let sections = [&self.payload_fetch, &self.install, &self.validate, &self.invoke];
        selects(&self.shared, wanted)
            || sections.into_iter().flatten().any(|commands| selects(commands, wanted))
    }
}

/// Where something is installed, and what it comes through if it comes encrypted: components by their indices.
#[derive(Clone, Copy)]
struct Place {
    target: Target,
    component: u64,
    staging: Option<u64>,
}

impl Place {
    /// That of what stands first.
    fn of(target: Target, is_encrypted: bool) -> Self {
        Self { target, component: APPLICATION, staging: is_encrypted.then_some(STAGING) }
    }

    /// That of a table behind what stands first.
    fn beside(first: Self, table: &SlotImage) -> Self {
        let component = first.staging.unwrap_or(first.component).saturating_add(1);
        let staging = table.encryption.as_ref().map(|_| component.saturating_add(1));
        Self { target: Target::Table, component, staging }
    }

    /// Its components.
    fn ids(self) -> impl Iterator<Item = ComponentId<'static>> {
        let staging = self.staging.map(|_| self.target.encrypted_component());
        [self.target.component()].into_iter().chain(staging)
    }

    /// Digest and size of what is fetched, where that is another component.
    fn ciphertext_of(self, image: &SlotImage) -> Vec<Command> {
        let Some((Encryption { digest, size, .. }, staging)) = image.encryption.as_ref().zip(self.staging)
        else {
            return Vec::new();
        };
        let parameters = vec![Parameter::ImageDigest(*digest), Parameter::ImageSize(*size)];
        vec![Command::Select(staging), Command::Override(parameters)]
    }

    /// Where it is fetched from; where that is another component, how it is decrypted as well.
    fn source_of(self, image: &SlotImage) -> Vec<Command> {
        let uri = Command::Override(vec![Parameter::Uri(image.uri.clone())]);
        let Some((Encryption { info, .. }, staging)) = image.encryption.as_ref().zip(self.staging) else {
            return vec![uri];
        };
        let decryption = vec![Parameter::EncryptionInfo(info.clone()), Parameter::Source(staging)];
        vec![Command::Override(decryption), Command::Select(staging), uri]
    }

    /// Fetches it, and decrypts it where it is encrypted.
    fn take(self, image: &SlotImage) -> Vec<Command> {
        let Some(staging) = self.staging.filter(|_| image.encryption.is_some()) else {
            return vec![Command::Fetch, Command::ImageMatch];
        };
        let fetch = [Command::Select(staging), Command::Fetch, Command::ImageMatch];
        let copy = [Command::Select(self.component), Command::Copy, Command::ImageMatch];
        [fetch, copy].concat()
    }
}

/// Digest and size of what is installed.
fn parameters_of(image: &SlotImage) -> Vec<Parameter> {
    vec![Parameter::ImageDigest(image.digest), Parameter::ImageSize(image.size)]
}

/// try-each over the slots: the commands for the one that the device writes, or runs.
fn in_each_slot(commands: [Vec<Command>; 2]) -> Command {
    let sequence = |(slot, commands)| {
        let check = vec![Command::Override(vec![Parameter::Slot(slot)]), Command::CheckSlot];
        [check, commands].concat()
    };
    Command::TryEach { sequences: (0..).zip(commands).map(sequence).collect(), or_nothing: false }
}

/// Makes an unsigned envelope with these sequences; sequence number and text are those of `update`. Nothing is
/// checked: [`super::sign`] checks the structure, [`crate::image_reference`] runs it.
///
/// # Errors
///
/// [`AuthorError::Encoding`].
pub fn compose(update: &UpdateDescription, sequences: &Sequences) -> Result<Vec<u8>, AuthorError> {
    // What a description does not say, its sequences may.
    let is_encrypted = update.encryption.is_some() || update.table.is_none() && sequences.selects(STAGING);
    let first = Place::of(update.target, is_encrypted);
    let table = update.table.as_ref().map(|table| Place::beside(first, table));
    let components = first.ids().chain(table.into_iter().flat_map(Place::ids));
    let sections = [
        (ManifestElement::Validate, &sequences.validate),
        (ManifestElement::Invoke, &sequences.invoke),
        (ManifestElement::PayloadFetch, &sequences.payload_fetch),
        (ManifestElement::Install, &sequences.install),
    ];
    let composition = Composition {
        sequence_number: update.sequence,
        components: components.map(segments).collect(),
        shared: Some(sequences.shared.clone()),
        sections: sections.into_iter().filter_map(|(key, commands)| Some((key, commands.clone()?))).collect(),
        text: text(update),
        severed: [ManifestElement::Text].into(),
        ..Composition::default()
    };
    composition.encode()
}

/// `bstr .cbor SUIT_Command_Sequence`.
pub(super) fn section(commands: &[Command]) -> Result<Value, AuthorError> {
    let commands: Result<Vec<_>, _> = commands.iter().map(Command::encode).collect();
    Ok(bytes(&encode(&sequence(commands?))?))
}

/// `{+ SUIT_Parameters}`; of a repeated parameter the last one counts.
fn parameter_map(parameters: &[Parameter]) -> Result<Value, AuthorError> {
    let entries: Result<BTreeMap<_, _>, _> = parameters.iter().map(Parameter::encode).collect();
    let mut entries: Vec<(i32, Value)> = entries?.into_iter().collect();
    // RFC 8949 section 4.2.1: numbers below 0 come behind the others, -1 first.
    entries.sort_by_key(|(key, _)| (*key < 0, key.unsigned_abs()));
    Ok(map(entries))
}

/// `[comparison, version]`
fn version_match(comparison: Comparison, version: &[i64]) -> Value {
    Value::Array(vec![comparison.number().into(), numbers(version)])
}

pub(super) fn numbers(numbers: &[i64]) -> Value {
    Value::Array(numbers.iter().map(|number| (*number).into()).collect())
}

/// An item that comes in CBOR, and is written as it came.
pub(super) fn item(encoded: &[u8]) -> Result<Value, AuthorError> {
    let value = ciborium::from_reader(encoded).map_err(|_| AuthorError::Encoding)?;
    if encode(&value)? == encoded { Ok(value) } else { Err(AuthorError::Encoding) }
}

impl Command {
    /// A command that takes a reporting policy, with that of the draft's examples: everything of conditions, failures of
    /// directives.
    #[must_use]
    pub const fn recording(code: CommandCode) -> Self {
        Self::WithPolicy(code, if code.is_condition() { RECORD_CONDITION } else { RECORD_DIRECTIVE })
    }

    fn encode(&self) -> Result<(i32, Value), AuthorError> {
        Ok(match self {
            Self::CheckVendor => (1, RECORD_CONDITION.into()),
            Self::CheckClass => (2, RECORD_CONDITION.into()),
            Self::ImageMatch => (3, RECORD_CONDITION.into()),
            Self::CheckSlot => (5, RECORD_CONDITION.into()),
            Self::Select(component) => (12, (*component).into()),
            Self::Abort => (14, RECORD_CONDITION.into()),
            Self::TryEach { sequences, or_nothing } => {
                let mut items: Vec<Value> =
                    sequences.iter().map(|sequence| section(sequence)).collect::<Result<_, _>>()?;
                items.extend(or_nothing.then_some(Value::Null));
                (15, Value::Array(items))
            }
            Self::Override(parameters) => (20, parameter_map(parameters)?),
            Self::Fetch => (21, RECORD_DIRECTIVE.into()),
            Self::Copy => (22, RECORD_DIRECTIVE.into()),
            Self::Invoke => (23, RECORD_DIRECTIVE.into()),
            Self::CheckDevice => (24, RECORD_CONDITION.into()),
            Self::RunSequence(sequence) => (32, section(sequence)?),
            Self::WithPolicy(code, policy) => (code_of(*code), (*policy).into()),
            Self::SelectAll => (12, true.into()),
            Self::SelectEach(components) => {
                (12, Value::Array(components.iter().map(|component| (*component).into()).collect()))
            }
            Self::SetParameters(parameters) => (19, parameter_map(parameters)?),
            Self::OverrideMultiple(components) => {
                let entry = |(component, parameters): (&u64, &Vec<Parameter>)| {
                    Ok(((*component).into(), parameter_map(parameters)?))
                };
                let entries: Result<_, AuthorError> = components.iter().map(entry).collect();
                (34, Value::Map(entries?))
            }
            Self::CopyParameters(components) => {
                let keys = |keys: &Vec<ParameterKey>| {
                    Value::Array(keys.iter().map(|key| key.number().into()).collect())
                };
                let entry =
                    |(component, copied): (&u64, &Vec<ParameterKey>)| (Value::from(*component), keys(copied));
                (35, Value::Map(components.iter().map(entry).collect()))
            }
            Self::Custom(code, argument) => (*code, item(argument)?),
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
            Self::EncryptionInfo(info) => (19, bytes(info)),
            Self::Uri(uri) => (21, Value::Text(uri.clone())),
            Self::Source(component) => (22, (*component).into()),
            Self::Device(id) => (24, bytes(id)),
            Self::Pen(number) => (1, Value::Tag(TAG_PEN, Box::new(bytes(number)))),
            Self::Digest(algorithm, digest) => {
                (3, bytes(&encode(&Value::Array(vec![algorithm.number().into(), bytes(digest)]))?))
            }
            Self::UseBefore(seconds) => (4, (*seconds).into()),
            Self::Content(content) => (18, bytes(content)),
            Self::InvokeArguments(arguments) => (23, bytes(arguments)),
            Self::FetchArguments(arguments) => (25, bytes(arguments)),
            Self::MinimumBattery(energy) => (26, (*energy).into()),
            Self::UpdatePriority(priority) => (27, (*priority).into()),
            Self::Version(comparison, version) => (28, bytes(&encode(&version_match(*comparison, version))?)),
            Self::WaitInfo(events) => {
                let event =
                    |(key, awaited): (&WaitEventKey, &Awaited)| (Value::from(key.number()), awaited.value());
                (29, bytes(&encode(&Value::Map(events.iter().map(event).collect()))?))
            }
            Self::Metadata(encoded) => (30, bytes(encoded)),
            Self::Custom(key, value) => (*key, item(value)?),
        })
    }
}

impl Awaited {
    fn value(&self) -> Value {
        match self {
            Self::Number(number) => (*number).into(),
            Self::Device(device, versions) => {
                let versions =
                    versions.iter().map(|(comparison, version)| version_match(*comparison, version));
                Value::Array(vec![bytes(device), Value::Array(versions.collect())])
            }
        }
    }
}

/// Every number of a command is a small one.
fn code_of(code: CommandCode) -> i32 {
    i32::from(code as u8)
}
