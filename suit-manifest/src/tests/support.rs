//! Keys, envelopes built piece by piece (also wrong ones, which `author` would not make), and a modelled device.

use ciborium::Value;
use sha2::{Digest as _, Sha256};
use trust::author::{
    CredentialRequest, Minimum, RevocationRequest, ScopeRequest, Signer, SoftwareKey, issue_credential,
    sign_revocation,
};
use trust::{Anchor, RevocationList, Role, TrustStore, UnixTime};

use crate::author::UpdateDescription;
use crate::{
    Authenticated, ComponentId, Digest, Envelope, Error, ErrorKind, Platform, PlatformError, Processor,
    Reason, Section, Step, Wanted,
};

pub(super) const VENDOR: [u8; 16] = [0xa1; 16];
pub(super) const CLASS: [u8; 16] = [0xc1; 16];
pub(super) const OTHER_CLASS: [u8; 16] = [0xc2; 16];
pub(super) const FOREIGN: [u8; 16] = [0xee; 16];
pub(super) const DEVICE: [u8; 16] = [0xd1; 16];
pub(super) const IMAGE: [u8; 32] = [0x11; 32];
pub(super) const IMAGE_SIZE: u64 = 34768;

pub(super) fn root() -> SoftwareKey {
    SoftwareKey::from_seed(&[1; 32]).unwrap()
}

pub(super) fn release_key() -> SoftwareKey {
    SoftwareKey::from_seed(&[2; 32]).unwrap()
}

pub(super) fn credential_with(scope: ScopeRequest, role: Role) -> Vec<u8> {
    let request = CredentialRequest {
        iss: "root".into(),
        sub: "release".into(),
        key: release_key().public_key(),
        role,
        scope,
        issued_at: UnixTime(1_700_000_000),
        not_before: None,
        expires: None,
        cti: [7; 16],
        generation: 0,
        sequence_ceiling: None,
    };
    issue_credential(&request, &root()).unwrap()
}

/// For the vendor and both of its classes.
pub(super) fn credential() -> Vec<u8> {
    let classes = vec![CLASS, OTHER_CLASS];
    credential_with(ScopeRequest { vendor: VENDOR, classes, serials: vec![], actions: None }, Role::Release)
}

/// Vendor, class, sequence number.
pub(super) fn minimum(vendor: [u8; 16], class: [u8; 16], sequence: u64) -> Minimum {
    Minimum { vendor, class: Some(class), sequence }
}

pub(super) fn revocation(minimum_sequences: Vec<Minimum>) -> Vec<u8> {
    revocation_by(&root(), minimum_sequences)
}

pub(super) fn revocation_by(anchor: &SoftwareKey, minimum_sequences: Vec<Minimum>) -> Vec<u8> {
    let request = RevocationRequest {
        iss: "root".into(),
        issued_at: UnixTime(1_700_000_000),
        sequence: 1,
        revoked: vec![],
        lowest_generations: vec![],
        minimum_sequences,
    };
    sign_revocation(&request, anchor).unwrap()
}

pub(super) fn authenticate(envelope: &[u8]) -> Result<Authenticated<'_>, Error> {
    authenticate_with(envelope, &[])
}

pub(super) fn authenticate_with<'a>(
    envelope: &'a [u8],
    revocations: &[RevocationList<'_>],
) -> Result<Authenticated<'a>, Error> {
    let anchors = [Anchor::root(root().public_key())];
    Envelope::parse(envelope)?.authenticate(&TrustStore::new(&anchors).with_lists(revocations))
}

pub(super) fn refusal(envelope: &[u8]) -> ErrorKind {
    authenticate(envelope).unwrap_err().kind
}

pub(super) fn update() -> UpdateDescription {
    UpdateDescription {
        target: crate::Target::Firmware,
        vendor: VENDOR,
        class: CLASS,
        device: None,
        sequence: 5,
        version: "1.2.3".into(),
        image_digest: IMAGE,
        image_size: IMAGE_SIZE,
        uri: crate::author::image_uri(&IMAGE),
        encryption: None,
        second_slot: None,
        table: None,
        vendor_domain: Some("example.com".into()),
        model: Some("pump".into()),
        description: Some("Fixes the pump.".into()),
    }
}

pub(super) fn release() -> Vec<u8> {
    crate::author::sign(&crate::author::create(&update()).unwrap(), &release_key(), &credential()).unwrap()
}

// --- CBOR by hand

pub(super) fn encode(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    ciborium::into_writer(value, &mut out).unwrap();
    out
}

pub(super) fn bytes(bytes: &[u8]) -> Value {
    Value::Bytes(bytes.to_vec())
}

pub(super) fn map(entries: impl IntoIterator<Item = (i64, Value)>) -> Value {
    Value::Map(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
}

/// `[code, argument, ...]`, encoded.
pub(super) fn sequence(commands: impl IntoIterator<Item = (i64, Value)>) -> Vec<u8> {
    encode(&Value::Array(commands.into_iter().flat_map(|(code, argument)| [code.into(), argument]).collect()))
}

/// A condition or directive whose argument is a reporting policy.
pub(super) fn simple(code: i64) -> (i64, Value) {
    (code, 0.into())
}

pub(super) fn parameters(entries: impl IntoIterator<Item = (i64, Value)>) -> (i64, Value) {
    (20, map(entries))
}

pub(super) fn component_index(argument: impl Into<Value>) -> (i64, Value) {
    (12, argument.into())
}

pub(super) fn try_each(alternatives: impl IntoIterator<Item = Vec<u8>>) -> (i64, Value) {
    (15, Value::Array(alternatives.into_iter().map(Value::Bytes).collect()))
}

pub(super) fn try_each_or_nil(alternatives: impl IntoIterator<Item = Vec<u8>>) -> (i64, Value) {
    let (code, Value::Array(mut items)) = try_each(alternatives) else { unreachable!() };
    items.push(Value::Null);
    (code, Value::Array(items))
}

pub(super) fn run_sequence(sequence: Vec<u8>) -> (i64, Value) {
    (32, Value::Bytes(sequence))
}

pub(super) fn digest_value(algorithm: i64, digest: &[u8]) -> Value {
    Value::Array(vec![algorithm.into(), bytes(digest)])
}

/// `bstr .cbor SUIT_Digest`, the value of parameter 3.
pub(super) fn image_digest(digest: &[u8; 32]) -> Value {
    Value::Bytes(encode(&digest_value(-16, digest)))
}

pub(super) fn uri(uri: &str) -> (i64, Value) {
    (21, Value::Text(uri.into()))
}

/// Sets vendor, class, digest and size and checks vendor and class.
pub(super) fn identity() -> Vec<(i64, Value)> {
    vec![
        parameters([
            (1, bytes(&VENDOR)),
            (2, bytes(&CLASS)),
            (3, image_digest(&IMAGE)),
            (14, IMAGE_SIZE.into()),
        ]),
        simple(1),
        simple(2),
    ]
}

/// An envelope to be: valid as it comes, to be spoilt by a test.
#[derive(Clone)]
pub(super) struct Parts {
    pub(super) components: Vec<Value>,
    pub(super) shared: Vec<u8>,
    /// Members of the manifest beside 1, 2 and 3.
    pub(super) members: Vec<(i64, Value)>,
    /// Members of the envelope beside 2 and 3.
    pub(super) severed: Vec<(Value, Value)>,
    pub(super) sequence_number: u64,
}

impl Default for Parts {
    fn default() -> Self {
        Self {
            components: vec![Value::Array(vec![bytes(b"app")])],
            shared: sequence(identity()),
            members: vec![],
            severed: vec![],
            sequence_number: 5,
        }
    }
}

impl Parts {
    /// With these commands in install.
    pub(super) fn install(commands: impl IntoIterator<Item = (i64, Value)>) -> Self {
        Self { members: vec![(20, Value::Bytes(sequence(commands)))], ..Self::default() }
    }

    /// `count` components `["0"]`, `["1"]`, ...; vendor and class are checked for the first one.
    pub(super) fn several(count: u8) -> Self {
        let shared = [vec![component_index(0)], identity()].concat();
        Self {
            components: (0..count).map(|index| Value::Array(vec![bytes(&[b'0' + index])])).collect(),
            shared: sequence(shared),
            ..Self::default()
        }
    }

    pub(super) fn with(mut self, key: i64, value: Value) -> Self {
        self.members.push((key, value));
        self.members.sort_by_key(|(key, _)| *key);
        self
    }

    /// The text or a sequence, severed into the envelope.
    pub(super) fn with_severed(self, key: i64, content: &[u8]) -> Self {
        let digest = Sha256::digest(encode(&bytes(content)));
        let mut parts = self.with(key, digest_value(-16, &digest));
        parts.severed.push((key.into(), bytes(content)));
        parts
    }

    pub(super) fn manifest(&self) -> Vec<u8> {
        let common =
            map([(2, Value::Array(self.components.clone())), (4, Value::Bytes(self.shared.clone()))]);
        let mut members =
            vec![(1, 1.into()), (2, self.sequence_number.into()), (3, Value::Bytes(encode(&common)))];
        members.extend(self.members.clone());
        encode(&map(members))
    }

    pub(super) fn signed(&self) -> Vec<u8> {
        seal(&self.manifest(), &self.severed, &credential())
    }

    pub(super) fn refusal(&self) -> ErrorKind {
        refusal(&self.signed())
    }
}

/// Signs whatever it is given.
pub(super) fn seal(manifest: &[u8], severed: &[(Value, Value)], credential: &[u8]) -> Vec<u8> {
    let digest = encode(&digest_value(-16, &Sha256::digest(encode(&bytes(manifest)))));
    let sign1 = trust::author::sign1_detached_chained(&digest, &release_key(), credential).unwrap();
    assemble(vec![bytes(&digest), bytes(&sign1)], manifest, severed)
}

pub(super) fn assemble(blocks: Vec<Value>, manifest: &[u8], severed: &[(Value, Value)]) -> Vec<u8> {
    let wrapper = encode(&Value::Array(blocks));
    let mut members = vec![(2.into(), bytes(&wrapper)), (3.into(), bytes(manifest))];
    members.extend_from_slice(severed);
    encode(&Value::Tag(107, Box::new(Value::Map(members))))
}

/// A device with its components, that notes what it is asked.
pub(super) struct Device {
    pub(super) vendor: [u8; 16],
    pub(super) class: [u8; 16],
    pub(super) device: [u8; 16],
    pub(super) slot: Option<u64>,
    /// What is in each component.
    pub(super) images: Vec<([u8; 32], u64)>,
    pub(super) broken: Option<Reason>,
    pub(super) supported: usize,
    pub(super) asked: Vec<String>,
}

impl Default for Device {
    fn default() -> Self {
        Self {
            vendor: VENDOR,
            class: CLASS,
            device: DEVICE,
            slot: Some(0),
            images: vec![(IMAGE, IMAGE_SIZE); 4],
            broken: None,
            supported: usize::MAX,
            asked: vec![],
        }
    }
}

impl Platform for Device {
    fn vendor_matches(&mut self, component: u32, id: &[u8; 16]) -> bool {
        self.asked.push(format!("vendor {component}"));
        self.vendor == *id
    }

    fn class_matches(&mut self, component: u32, id: &[u8; 16]) -> bool {
        self.asked.push(format!("class {component}"));
        self.class == *id
    }

    fn device_matches(&mut self, component: u32, id: &[u8; 16]) -> bool {
        self.asked.push(format!("device {component}"));
        self.device == *id
    }

    fn component_slot(&mut self, component: u32) -> Option<u64> {
        self.asked.push(format!("slot {component}"));
        self.slot
    }

    fn image_matches(
        &mut self,
        component: u32,
        digest: &Digest<'_>,
        size: u64,
    ) -> Result<bool, PlatformError> {
        self.asked.push(format!("image {component}"));
        if let Some(reason) = self.broken {
            return Err(PlatformError(reason));
        }
        Ok(self.images.get(component as usize) == Some(&(*digest.sha256(), size)))
    }

    fn supports(&self, component_id: &ComponentId<'_>) -> bool {
        let known: [&[u8]; 7] = [b"app", b"\0", b"\x01", b"0", b"1", b"2", b"3"];
        component_id.segments().count() == 1
            && component_id.segments().all(|segment| known.contains(&segment))
            && self.supported > 0
    }
}

/// What a run asked for, in short: `fetch 0 uri`, `invoke 0`.
pub(super) fn run_on(
    device: &mut Device,
    authenticated: &Authenticated<'_>,
    section: Section,
) -> Result<Vec<String>, Error> {
    let mut processor = Processor::new(authenticated, section)?;
    let mut steps = vec![];
    loop {
        match processor.run(device)? {
            Step::Fetch(fetch) => steps.push(format!("fetch {} {}", fetch.component, fetch.uri.as_str())),
            Step::Invoke { component } => steps.push(format!("invoke {component}")),
            Step::Done => return Ok(steps),
            other => panic!("{other:?}"),
        }
    }
}

pub(super) fn run(parts: &Parts, section: Section) -> Result<Vec<String>, Error> {
    let envelope = parts.signed();
    run_on(&mut Device::default(), &authenticate(&envelope)?, section)
}

/// Runs these commands as install.
pub(super) fn run_install(
    commands: impl IntoIterator<Item = (i64, Value)>,
) -> Result<Vec<String>, ErrorKind> {
    run(&Parts::install(commands), Section::Install).map_err(|error| error.kind)
}

/// The same with the components from which this is wanted, by their names.
pub(super) struct Having {
    pub(super) device: Device,
    pub(super) wanted: Wanted,
    pub(super) decrypts: bool,
}

impl Platform for Having {
    fn vendor_matches(&mut self, component: u32, id: &[u8; 16]) -> bool {
        self.device.vendor_matches(component, id)
    }

    fn class_matches(&mut self, component: u32, id: &[u8; 16]) -> bool {
        self.device.class_matches(component, id)
    }

    fn device_matches(&mut self, component: u32, id: &[u8; 16]) -> bool {
        self.device.device_matches(component, id)
    }

    fn component_slot(&mut self, component: u32) -> Option<u64> {
        self.device.component_slot(component)
    }

    fn image_matches(&mut self, at: u32, digest: &Digest<'_>, size: u64) -> Result<bool, PlatformError> {
        self.device.image_matches(at, digest, size)
    }

    fn supports(&self, id: &ComponentId<'_>) -> bool {
        self.wanted.has(id, self.decrypts)
    }
}
