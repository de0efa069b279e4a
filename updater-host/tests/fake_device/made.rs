//! Keys, releases and lists for these tests, in a folder.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use suit_manifest::author::{SlotImage, UpdateDescription, create, image_uri, recertify, sign};
use trust::author::{
    CredentialRequest, ProvisioningRequest, RevocationRequest, ScopeRequest, Signer as _, SoftwareKey,
    issue_credential, sign_revocation,
};
use trust::{Anchor, RevokedId, Role, UnixTime};

pub(crate) const VENDOR: [u8; 16] = [1; 16];
pub(crate) const CLASS: [u8; 16] = [2; 16];
/// UUIDv5 of `device:FAKE-1`, as docs/records.md makes it.
pub(crate) const DEVICE: [u8; 16] =
    [0x09, 0x29, 0xd0, 0x4f, 0x58, 0x4e, 0x5b, 0x40, 0xb7, 0xe9, 0xd0, 0x00, 0x2b, 0x6f, 0x1d, 0x10];
/// Sequence number of the release.
pub(crate) const SEQUENCE: u64 = 5;
/// The table of `table.suit`, and its sequence number.
pub(crate) const TABLE: &[u8] = b"max_pressure = 80\nmin_pressure = 12\n";
pub(crate) const TABLE_SEQUENCE: u64 = 3;
pub(crate) const IMAGE_LEN: usize = 20_000;
/// The same, as the device says it.
pub(crate) const IMAGE_SIZE: u32 = 20_000;

/// A provisioning block of this manufacturer.
pub(crate) fn block(serial: &str, node_address: u8) -> Vec<u8> {
    block_of_device(serial, node_address, trust::host::device_id(VENDOR, serial))
}

pub(crate) fn block_of_device(serial: &str, node_address: u8, device: [u8; 16]) -> Vec<u8> {
    let root = SoftwareKey::from_seed(&[7; 32]).unwrap();
    let anchors = [Anchor::root(root.public_key())];
    let (vendor, class) = (VENDOR, CLASS);
    let request = ProvisioningRequest {
        serial,
        vendor,
        class,
        device,
        node_address,
        anchors: &anchors,
        sequence_floor: 0,
    };
    request.encode().unwrap()
}

/// A revocation list of this manufacturer that takes back these credentials.
pub(crate) fn list(sequence: u64, revoked: &[[u8; 16]]) -> Vec<u8> {
    let root = SoftwareKey::from_seed(&[7; 32]).unwrap();
    let revoked = revoked.iter().map(|cti| RevokedId::Credential(*cti).revoked(Role::Release, 0));
    let request = RevocationRequest {
        iss: "root".to_owned(),
        issued_at: UnixTime(1_700_000_000),
        sequence,
        revoked: revoked.collect(),
        lowest_generations: vec![],
        minimum_sequences: vec![],
    };
    sign_revocation(&request, &root).unwrap()
}

/// A folder with `root.cose`, `release.suit`, `image.bin`, `two.suit` and `image2.bin` (for two slots), `both.suit` (firmware and table), `list.cwt` (3) and `revoking.cwt` (4), which takes back the
/// credential of the release.
pub(crate) struct Made {
    folder: tempfile::TempDir,
    pub(crate) manifest_digest: [u8; 32],
    /// kid of the root.
    pub(crate) root: [u8; 8],
}

impl Made {
    pub(crate) fn new() -> Self {
        let (root, key) = (SoftwareKey::from_seed(&[7; 32]), SoftwareKey::from_seed(&[9; 32]));
        let (root, key) = (root.unwrap(), key.unwrap());
        let image: Vec<u8> = (0..=250).cycle().take(IMAGE_LEN).collect();
        let digest: [u8; 32] = Sha256::digest(&image).into();
        let description = UpdateDescription {
            vendor: VENDOR,
            class: CLASS,
            sequence: SEQUENCE,
            version: "5.0.0".to_owned(),
            image_digest: digest,
            image_size: IMAGE_LEN as u64,
            uri: image_uri(&digest),
            ..UpdateDescription::default()
        };
        let request = CredentialRequest {
            iss: "root".to_owned(),
            sub: "release".to_owned(),
            key: key.public_key(),
            role: Role::Release,
            scope: ScopeRequest { vendor: VENDOR, classes: vec![], serials: vec![], actions: None },
            issued_at: UnixTime(1_700_000_000),
            not_before: None,
            expires: None,
            cti: [4; 16],
            generation: 0,
            sequence_ceiling: None,
        };
        let credential = issue_credential(&request, &root).unwrap();
        let envelope = sign(&create(&description).unwrap(), &key, &credential).unwrap();
        let manifest_digest = *suit_manifest::author::inspect(&envelope).unwrap().digest();
        let root_kid = root.public_key().kid().0;
        let made = Self { folder: tempfile::tempdir().unwrap(), manifest_digest, root: root_kid };
        made.write("root.cose", &root.public_key().to_cose_key());
        made.write("release.suit", &envelope);
        made.write("image.bin", &image);
        made.write("list.cwt", &list(3, &[[0xee; 16]]));
        let second = made.second_image();
        let digest: [u8; 32] = Sha256::digest(&second).into();
        let second_slot =
            Some(SlotImage { digest, size: second.len() as u64, uri: image_uri(&digest), encryption: None });
        let two = UpdateDescription { second_slot, ..description };
        made.write("two.suit", &sign(&create(&two).unwrap(), &key, &credential).unwrap());
        made.write("image2.bin", &second);
        for (name, sequence, device) in
            [("table.suit", TABLE_SEQUENCE, None), ("foreign.suit", TABLE_SEQUENCE, Some([9; 16]))]
        {
            let digest: [u8; 32] = Sha256::digest(TABLE).into();
            let table = UpdateDescription {
                target: suit_manifest::Target::Table,
                device,
                sequence,
                version: "limits 3".to_owned(),
                image_digest: digest,
                image_size: TABLE.len() as u64,
                uri: image_uri(&digest),
                second_slot: None,
                ..two.clone()
            };
            made.write(name, &sign(&create(&table).unwrap(), &key, &credential).unwrap());
        }
        made.write("table.bin", TABLE);
        let table: [u8; 32] = Sha256::digest(TABLE).into();
        let uri = image_uri(&table);
        let table = Some(SlotImage { digest: table, size: TABLE.len() as u64, uri, encryption: None });
        let both = UpdateDescription { second_slot: None, table, ..two };
        made.write("both.suit", &sign(&create(&both).unwrap(), &key, &credential).unwrap());
        made.write("revoking.cwt", &list(4, &[[0xee; 16], request.cti]));
        made
    }

    /// The image of `two.suit` for the second slot; for the first one it has that of the release.
    pub(crate) fn second_image(&self) -> Vec<u8> {
        (0..=249).cycle().take(IMAGE_LEN).collect()
    }

    /// Puts a credential into `release.suit` that is issued at this time, seconds.
    pub(crate) fn renew(&self, issued_at: u64) {
        let root = SoftwareKey::from_seed(&[7; 32]).unwrap();
        let request = CredentialRequest {
            iss: "root".to_owned(),
            sub: "release".to_owned(),
            key: SoftwareKey::from_seed(&[9; 32]).unwrap().public_key(),
            role: Role::Release,
            scope: ScopeRequest { vendor: VENDOR, classes: vec![], serials: vec![], actions: None },
            issued_at: UnixTime(issued_at),
            not_before: None,
            expires: None,
            cti: [5; 16],
            generation: 0,
            sequence_ceiling: None,
        };
        let credential = issue_credential(&request, &root).unwrap();
        self.write("release.suit", &recertify(&self.read("release.suit"), &credential).unwrap());
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.folder().join(name)).unwrap()
    }
}
