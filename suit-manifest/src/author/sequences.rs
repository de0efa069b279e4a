//! Command sequences to write, draft-ietf-suit-manifest-37 sections 8.4.6 to 8.4.10, as far as this decoder supports
//! them. [`compose`] writes any of them; [`crate::image_reference`] decides whether a device takes the result.

use std::collections::BTreeMap;

use ciborium::Value;

use super::{
    APPLICATION, AuthorError, Encryption, RECORD_CONDITION, RECORD_DIRECTIVE, SHA_256, STAGING, SlotImage,
    UpdateDescription, bytes, digest_over, encode, map, seal, sequence, text, wrap,
};
use crate::manifest::{ComponentId, INSTALL, INVOKE, PAYLOAD_FETCH, TEXT, VALIDATE};

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
    /// suit-directive-set-component-index to one component: 0 is `["app"]`, 1 is `["app", "encrypted"]`
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
}

/// The sequences of a manifest with the component `["app"]`, and `["app", "encrypted"]` if a command selects one.
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
        let mut images = Vec::new();
        let mut sources = source_of(&first);
        match &update.second_slot {
            // Appendix B, example 3 (A/B images): the slot chooses the image.
            Some(second) => {
                let of =
                    |image: &SlotImage| [vec![Command::Override(parameters_of(image))], ciphertext_of(image)];
                images.push(in_each_slot([of(&first).concat(), of(second).concat()]));
                sources = vec![in_each_slot([sources, source_of(second)])];
            }
            None => {
                identity.extend(parameters_of(&first));
                images = ciphertext_of(&first);
            }
        }
        let shared = [vec![Command::Override(identity)], checks, images].concat();
        let install = match update.encryption {
            Some(_) => {
                let fetch = [Command::Select(STAGING), Command::Fetch, Command::ImageMatch];
                let copy = [Command::Select(APPLICATION), Command::Copy, Command::ImageMatch];
                [sources, fetch.to_vec(), copy.to_vec()].concat()
            }
            None => [sources, vec![Command::Fetch, Command::ImageMatch]].concat(),
        };
        // Section 6.2: with two components each sequence begins with one of them.
        let begun = |commands: Vec<Command>| match update.encryption {
            Some(_) => [vec![Command::Select(APPLICATION)], commands].concat(),
            None => commands,
        };
        Self {
            shared: begun(shared),
            payload_fetch: None,
            install: Some(begun(install)),
            validate: Some(begun(vec![Command::ImageMatch])),
            invoke: Some(begun(vec![Command::Invoke])),
        }
    }

    /// Whether a command selects the second component.
    fn has_staging(&self) -> bool {
        fn selects(commands: &[Command]) -> bool {
            commands.iter().any(|command| match command {
                Command::Select(component) => *component == STAGING,
                Command::RunSequence(sequence) => selects(sequence),
                Command::TryEach { sequences, .. } => sequences.iter().any(|sequence| selects(sequence)),
                _ => false,
            })
        }
        let sections = [&self.payload_fetch, &self.install, &self.validate, &self.invoke];
        selects(&self.shared) || sections.into_iter().flatten().any(|commands| selects(commands))
    }
}

/// Digest and size of what is installed.
fn parameters_of(image: &SlotImage) -> Vec<Parameter> {
    vec![Parameter::ImageDigest(image.digest), Parameter::ImageSize(image.size)]
}

/// Digest and size of what is fetched, where that is another component.
fn ciphertext_of(image: &SlotImage) -> Vec<Command> {
    let Some(Encryption { digest, size, .. }) = &image.encryption else { return Vec::new() };
    let parameters = vec![Parameter::ImageDigest(*digest), Parameter::ImageSize(*size)];
    vec![Command::Select(STAGING), Command::Override(parameters)]
}

/// Where it is fetched from; where that is another component, how it is decrypted as well.
fn source_of(image: &SlotImage) -> Vec<Command> {
    let uri = Command::Override(vec![Parameter::Uri(image.uri.clone())]);
    let Some(Encryption { info, .. }) = &image.encryption else { return vec![uri] };
    let decryption = vec![Parameter::EncryptionInfo(info.clone()), Parameter::Source(STAGING)];
    vec![Command::Override(decryption), Command::Select(STAGING), uri]
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
    let wrapped_text = wrap(&encode(&text(update))?)?;
    let mut components = vec![ComponentId::APP];
    components.extend(sequences.has_staging().then_some(ComponentId::ENCRYPTED));
    let component = |id: ComponentId<'_>| Value::Array(id.segments().map(bytes).collect());
    let common = map([
        (2, Value::Array(components.into_iter().map(component).collect())),
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
            Self::Select(component) => (12, (*component).into()),
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
            Self::Copy => (22, RECORD_DIRECTIVE.into()),
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
            Self::EncryptionInfo(info) => (19, bytes(info)),
            Self::Uri(uri) => (21, Value::Text(uri.clone())),
            Self::Source(component) => (22, (*component).into()),
            Self::Device(id) => (24, bytes(id)),
        })
    }
}
