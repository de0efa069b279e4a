//! Keys, envelopes, images and blocks for device tests, made by the code the tools use.

use sha2::{Digest as _, Sha256};
use suit_manifest::Target;
use suit_manifest::author::{
    Encryption, SlotImage, UpdateDescription, authenticate, create, image_uri, integrate, sign,
};
use trust::aes::Key128;
use trust::author::{
    CredentialRequest, Derivation, DerivedKey, DeviceKeyRequest, Encrypted, MasterKey, Minimum,
    ProvisioningRequest, Recipient, RevocationRequest, ScopeRequest, Signer as _, SoftwareKey, encrypt,
    issue_credential, sign_revocation,
};
use trust::device_keys::Purpose;
pub use trust::encryption::ContentAlgorithm;
use trust::{Anchor, Kid, MAX_GENERATION, RevokedId, Role, UnixTime};

/// Vendor id of the device under test.
pub const VENDOR: [u8; 16] = [0x11; 16];
/// Class id of the device under test.
pub const CLASS: [u8; 16] = [0x22; 16];
/// Device id of the device under test: UUIDv5 of `device:A-0001`, as docs/records.md makes it.
pub const DEVICE: [u8; 16] =
    [0x72, 0xed, 0xfc, 0x03, 0xd0, 0xc4, 0x5d, 0xba, 0x93, 0xd6, 0x6d, 0xab, 0x7e, 0x79, 0x64, 0xf4];
/// The name of an integrated image.
pub const FILE_URI: &str = "#image";
const NOW: UnixTime = UnixTime(1_700_000_000);

/// A manufacturer: a root and a release key with its credential.
pub struct Factory {
    root: SoftwareKey,
    release: SoftwareKey,
    credential: Vec<u8>,
    cti: [u8; 16],
}

impl Factory {
    /// The manufacturer with this number; another number shares no key.
    pub fn new(number: u8) -> Self {
        let root = SoftwareKey::from_seed(&[number; 32]).expect("root key");
        let release = SoftwareKey::from_seed(&[number ^ 0x80; 32]).expect("release key");
        let cti = [number; 16];
        let credential = credential(&root, &release, cti);
        Self { root, release, credential, cti }
    }

    /// The root's key.
    pub(crate) fn root(&self) -> &SoftwareKey {
        &self.root
    }

    /// The root as an anchor.
    pub fn anchor(&self) -> Anchor {
        Anchor::root(self.root.public_key())
    }

    /// kid of the release key.
    pub fn release_kid(&self) -> Kid {
        self.release.public_key().kid()
    }

    /// The release key's credential.
    pub fn credential(&self) -> &[u8] {
        &self.credential
    }

    /// cti of the release key's credential.
    pub fn credential_cti(&self) -> [u8; 16] {
        self.cti
    }

    /// The same root with another release key.
    pub fn with_new_release_key(&self, number: u8) -> Self {
        let root = SoftwareKey::from_seed(&[self.cti[0]; 32]).expect("root key");
        let release = SoftwareKey::from_seed(&[number ^ 0x40; 32]).expect("release key");
        let cti = [number; 16];
        let credential = credential(&root, &release, cti);
        Self { root, release, credential, cti }
    }

    /// A signed envelope for `image`.
    pub fn envelope(&self, sequence: u64, image: &[u8]) -> Vec<u8> {
        self.envelope_of(&description(sequence, image))
    }

    /// A signed envelope for an image for each slot.
    pub fn envelope_for_slots(&self, sequence: u64, [first, second]: [&[u8]; 2]) -> Vec<u8> {
        let digest: [u8; 32] = Sha256::digest(second).into();
        let (size, uri) = (second.len() as u64, image_uri(&digest));
        let second = SlotImage { digest, size, uri, encryption: None };
        self.envelope_of(&UpdateDescription { second_slot: Some(second), ..description(sequence, first) })
    }

    /// A signed envelope for an image that only devices with one of these keys can read, and its ciphertext.
    pub fn encrypted(
        &self,
        sequence: u64,
        image: &[u8],
        algorithm: ContentAlgorithm,
        keys: &[DerivedKey],
    ) -> (Vec<u8>, Vec<u8>) {
        let (update, ciphertext) = encrypted(&description(sequence, image), image, algorithm, keys);
        (self.envelope_of(&update), ciphertext)
    }

    /// A signed envelope for whatever is described.
    pub fn envelope_of(&self, update: &UpdateDescription) -> Vec<u8> {
        self.sign(&create(update).expect("envelope")).expect("signature")
    }

    /// Signs an envelope that was made elsewhere; `None`: the author refuses it.
    pub fn sign(&self, unsigned: &[u8]) -> Option<Vec<u8>> {
        sign(unsigned, &self.release, &self.credential).ok()
    }

    /// A revocation list that takes back these keys.
    pub fn revocation_list(&self, sequence: u64, kids: &[Kid]) -> Vec<u8> {
        self.revocation_list_of(sequence, kids, &[])
    }

    /// A revocation list as long as they may be, but for its number, that takes back the release key and much else.
    pub fn longest_revocation_list(&self, sequence: u64) -> Vec<u8> {
        let others = (101..132).map(|number| (RevokedId::Credential([number; 16]), usize::from(number)));
        let request = RevocationRequest {
            iss: "r".repeat(64),
            issued_at: UnixTime(u64::MAX),
            sequence,
            revoked: others
                .chain([(RevokedId::Key(self.release_kid()), 0)])
                .map(|(id, number)| id.revoked(Role::ALL[number % Role::ALL.len()], MAX_GENERATION))
                .collect(),
            lowest_generations: Role::ALL.map(|role| (role, MAX_GENERATION)).to_vec(),
            minimum_sequences: (1..=16)
                .map(|number| Minimum { vendor: VENDOR, class: Some([number; 16]), sequence: 1 << 62 })
                .collect(),
        };
        sign_revocation(&request, &self.root).expect("revocation list")
    }

    /// A revocation list that takes back nothing but what `change` adds.
    pub fn revocation_list_with(
        &self,
        sequence: u64,
        change: impl FnOnce(&mut RevocationRequest),
    ) -> Vec<u8> {
        let mut request = RevocationRequest { sequence, ..RevocationRequest::first("root".into(), NOW) };
        change(&mut request);
        sign_revocation(&request, &self.root).expect("revocation list")
    }

    /// A revocation list with minimum sequence numbers for the class under test.
    pub fn revocation_list_of(&self, sequence: u64, kids: &[Kid], minimums: &[u64]) -> Vec<u8> {
        let request = RevocationRequest {
            iss: "root".into(),
            issued_at: NOW,
            sequence,
            revoked: kids.iter().map(|kid| RevokedId::Key(*kid).revoked(Role::Release, 0)).collect(),
            lowest_generations: Vec::new(),
            minimum_sequences: minimums
                .iter()
                .map(|&sequence| Minimum { vendor: VENDOR, class: Some(CLASS), sequence })
                .collect(),
        };
        sign_revocation(&request, &self.root).expect("revocation list")
    }
}

fn credential(root: &SoftwareKey, holder: &SoftwareKey, cti: [u8; 16]) -> Vec<u8> {
    let request = CredentialRequest {
        iss: "root".into(),
        sub: "release".into(),
        key: holder.public_key(),
        role: Role::Release,
        scope: ScopeRequest { vendor: VENDOR, classes: vec![CLASS], serials: Vec::new(), actions: None },
        issued_at: NOW,
        not_before: None,
        expires: None,
        cti,
        generation: 0,
        sequence_ceiling: None,
    };
    issue_credential(&request, root).expect("credential")
}

/// The description of a release of `image`.
pub fn description(sequence: u64, image: &[u8]) -> UpdateDescription {
    let digest: [u8; 32] = Sha256::digest(image).into();
    UpdateDescription {
        vendor: VENDOR,
        class: CLASS,
        sequence,
        version: format!("{sequence}.0.0"),
        image_digest: digest,
        image_size: image.len() as u64,
        uri: image_uri(&digest),
        ..UpdateDescription::default()
    }
}

/// The description of a release of a table.
pub fn table_description(sequence: u64, table: &[u8]) -> UpdateDescription {
    UpdateDescription { target: Target::Table, ..description(sequence, table) }
}

/// The description of a release of firmware and this table.
pub fn with_table(firmware: &UpdateDescription, table: &UpdateDescription) -> UpdateDescription {
    let UpdateDescription { image_digest: digest, image_size: size, uri, encryption, .. } = table.clone();
    UpdateDescription { table: Some(SlotImage { digest, size, uri, encryption }), ..firmware.clone() }
}

/// The description with its image encrypted for these keys, and the ciphertext.
pub fn encrypted(
    update: &UpdateDescription,
    image: &[u8],
    algorithm: ContentAlgorithm,
    keys: &[DerivedKey],
) -> (UpdateDescription, Vec<u8>) {
    let recipients: Vec<_> = keys.iter().map(recipient).collect();
    let Encrypted { info, ciphertext } = encrypt(algorithm, image, &recipients).expect("encryption");
    let digest: [u8; 32] = Sha256::digest(&ciphertext).into();
    let encryption = Some(Encryption { info, digest, size: ciphertext.len() as u64 });
    (UpdateDescription { uri: image_uri(&digest), encryption, ..update.clone() }, ciphertext)
}

fn recipient(key: &DerivedKey) -> Recipient {
    let bytes = key.bytes.as_slice().try_into().expect("an update key");
    Recipient { kid: key.kid.0.to_vec(), key: Key128::new(bytes) }
}

/// The update key of the device with this serial.
pub fn device_key(serial: &str) -> DerivedKey {
    device_key_for(serial, Purpose::Update)
}

/// The authentication key of the device with this serial.
pub fn authentication_key(serial: &str) -> DerivedKey {
    device_key_for(serial, Purpose::Authentication)
}

fn device_key_for(serial: &str, purpose: Purpose) -> DerivedKey {
    let master = MasterKey::new(&[0x5A; 32]).expect("master key");
    let request = DeviceKeyRequest { line: "line", serial, purpose, revision: 0 };
    master.derive(Derivation::HkdfSha256, &request).expect("device key")
}

/// An envelope for whatever is described, authenticated with the key of one device.
pub fn authenticated(update: &UpdateDescription, key: &DerivedKey) -> Vec<u8> {
    let bytes = key.bytes.as_slice().try_into().expect("an authentication key");
    authenticate(&create(update).expect("envelope"), &key.kid, bytes).expect("MAC")
}

/// The description, of a release whose image is integrated.
pub fn in_one_file(update: &UpdateDescription) -> UpdateDescription {
    UpdateDescription { uri: FILE_URI.into(), ..update.clone() }
}

/// One file: this envelope with its image in it.
pub fn one_file(envelope: &[u8], image: &[u8]) -> Vec<u8> {
    integrate(envelope, &[(FILE_URI, image)]).expect("one file")
}

/// An image of `len` bytes with a vector table for this place; `fill` makes it unlike others.
pub fn image(len: usize, fill: u8, address: u32, stack_top: u32) -> Vec<u8> {
    let mut image: Vec<u8> =
        (0..len).map(|index| (index as u32).wrapping_mul(0x9E37_79B1).to_le_bytes()[3] ^ fill).collect();
    image[..4].copy_from_slice(&stack_top.to_le_bytes());
    image[4..8].copy_from_slice(&(address + 9).to_le_bytes());
    image
}

/// A provisioning block for the device under test.
pub fn provisioning_block(anchors: &[Anchor], sequence_floor: Option<u64>) -> Vec<u8> {
    provisioning_block_with(anchors, sequence_floor, &[])
}

/// The same, with keys of the device.
pub fn provisioning_block_with(
    anchors: &[Anchor],
    sequence_floor: Option<u64>,
    keys: &[DerivedKey],
) -> Vec<u8> {
    let request = ProvisioningRequest {
        serial: "A-0001",
        vendor: VENDOR,
        class: CLASS,
        device: DEVICE,
        node_address: 0x21,
        anchors,
        sequence_floor: sequence_floor.unwrap_or_default(),
    };
    request.encode_with_keys(keys).expect("provisioning block")
}
