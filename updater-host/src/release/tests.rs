use suit_manifest::author::{
    SlotImage, UpdateDescription, authenticate as authenticate_with, create, image_uri, sign,
};
use trust::UnixTime;
use trust::author::{
    CredentialRequest, Minimum, RevocationRequest, ScopeRequest, Signer as _, SoftwareKey, issue_credential,
    sign_revocation,
};
use trust::{Anchor, RevokedId, Role};
use update_protocol::profile::{ImageState, StateRecord};

use super::*;
use crate::device::identity;
use crate::text::DeviceText;

const VENDOR: [u8; 16] = [1; 16];
const CLASS: [u8; 16] = [2; 16];
const DEVICE: [u8; 16] = [3; 16];
pub(crate) const IMAGE: &[u8] = b"an image of some bytes";
const CTI: [u8; 16] = [0x55; 16];

fn root() -> SoftwareKey {
    SoftwareKey::from_seed(&[7; 32]).unwrap()
}

pub(crate) struct Made {
    description: UpdateDescription,
    role: Role,
    scope: ScopeRequest,
    issued_at: UnixTime,
    not_before: Option<UnixTime>,
    expires: Option<UnixTime>,
}

impl Made {
    pub(crate) fn good() -> Self {
        let digest: [u8; 32] = Sha256::digest(IMAGE).into();
        Self {
            description: UpdateDescription {
                vendor: VENDOR,
                class: CLASS,
                sequence: 5,
                version: "2.0.0".to_owned(),
                image_digest: digest,
                image_size: IMAGE.len() as u64,
                uri: image_uri(&digest),
                ..UpdateDescription::default()
            },
            role: Role::Release,
            scope: ScopeRequest { vendor: VENDOR, classes: vec![], serials: vec![], actions: None },
            issued_at: UnixTime(1_700_000_000),
            not_before: None,
            expires: None,
        }
    }

    /// The same with an image of its own for the second slot.
    pub(crate) fn with_second_image(mut self, image: &[u8]) -> Self {
        let digest: [u8; 32] = Sha256::digest(image).into();
        self.description.second_slot =
            Some(SlotImage { digest, size: image.len() as u64, uri: image_uri(&digest), encryption: None });
        self
    }

    /// The same of a table, with this number.
    pub(crate) fn of_table(mut self, sequence: u64) -> Self {
        self.description.target = suit_manifest::Target::Table;
        self.description.sequence = sequence;
        self
    }

    /// The same with a table beside the firmware.
    pub(crate) fn with_table(mut self, table: &[u8]) -> Self {
        let digest: [u8; 32] = Sha256::digest(table).into();
        self.description.table =
            Some(SlotImage { digest, size: table.len() as u64, uri: image_uri(&digest), encryption: None });
        self
    }

    pub(crate) fn envelope(&self) -> Vec<u8> {
        self.envelope_by(&root())
    }

    pub(crate) fn envelope_by(&self, root: &SoftwareKey) -> Vec<u8> {
        let key = SoftwareKey::from_seed(&[9; 32]).unwrap();
        let request = CredentialRequest {
            iss: "root".to_owned(),
            sub: "release".to_owned(),
            key: key.public_key(),
            role: self.role,
            scope: self.scope.clone(),
            issued_at: self.issued_at,
            not_before: self.not_before,
            expires: self.expires,
            cti: CTI,
            generation: 0,
            sequence_ceiling: None,
        };
        let credential = issue_credential(&request, root).unwrap();
        sign(&create(&self.description).unwrap(), &key, &credential).unwrap()
    }
}

pub(crate) fn trusted() -> TrustStoreBuf {
    TrustStoreBuf::new([Anchor::root(root().public_key())])
}

pub(crate) fn device() -> Device {
    let state = StateRecord {
        mode: Mode::Application,
        image: ImageState::Confirmed,
        sequence_floor: 4,
        active_sequence: 4,
        ..StateRecord::factory(4095, 1024)
    };
    Device {
        node: 0x10,
        serial: DeviceText::new(b"A-1").unwrap(),
        identity: identity(&[VENDOR, CLASS, DEVICE].concat()).unwrap(),
        component: Component::Firmware,
        state,
        other: None,
        application_version: None,
        loader_version: None,
        trust: None,
    }
}

/// Code and exit code of the refusal.
fn refusal(envelope: &[u8], trusted: &TrustStoreBuf, device: &Device) -> (String, u8) {
    let error = check_envelope(envelope, trusted, device).unwrap_err();
    (error.code(), error.exit_code())
}

fn refused(made: &Made, slug: &str, exit: u8) {
    assert_eq!(refusal(&made.envelope(), &trusted(), &device()), (slug.to_owned(), exit));
}

#[test]
fn a_good_release_says_what_it_is() {
    let facts = check_envelope(&Made::good().envelope(), &trusted(), &device()).unwrap();
    assert_eq!((facts.sequence, facts.version.as_deref()), (5, Some("2.0.0")));
    assert_eq!(facts.image.size, IMAGE.len() as u64);
    assert_eq!(facts.anchor(), Some(root().public_key().kid()));
    check_image(&facts, IMAGE).unwrap();
}

const KID: Kid = Kid(*b"device 1");

/// Authenticated with a key of the device.
fn with_mac(made: &Made) -> Vec<u8> {
    authenticate_with(&create(&made.description).unwrap(), &KID, &[7; 32]).unwrap()
}

fn nobody() -> TrustStoreBuf {
    TrustStoreBuf::new([])
}

/// docs/attacks.md, HOST42: the rest of it is checked as ever.
#[test]
fn host42_what_only_the_device_can_verify_is_checked_for_all_else() {
    let made = Made::good();
    let facts = check_envelope(&with_mac(&made), &nobody(), &device()).unwrap();
    assert_eq!((facts.sequence, facts.authority.clone()), (5, Authority::DeviceKey));
    assert_eq!(facts.anchor(), None);
    #[cfg(feature = "http")]
    assert_eq!(facts.release_key(), None);
    check_image(&facts, IMAGE).unwrap();

    let refused = |change: &dyn Fn(&mut Made, &mut Device)| {
        let (mut made, mut device) = (Made::good(), device());
        change(&mut made, &mut device);
        refusal(&with_mac(&made), &nobody(), &device).0
    };
    assert_eq!(refused(&|made, _| made.description.sequence = 3), "sequence-rollback");
    assert_eq!(refused(&|made, _| made.description.class = [9; 16]), "class-mismatch");
    assert_eq!(refused(&|made, _| made.description.device = Some([9; 16])), "device-mismatch");
    assert_eq!(refused(&|_, device| device.state.slot_capacity = 4), "image-too-large");
    assert_eq!(refused(&|_, device| device.state.mode = Mode::Factory), "not-provisioned");
    let mut changed = with_mac(&made);
    let digest: [u8; 32] = Sha256::digest(IMAGE).into();
    let at = changed.windows(32).position(|window| window == digest).unwrap();
    changed[at] ^= 1;
    assert_eq!(refusal(&changed, &nobody(), &device()).0, "manifest-digest-mismatch");
}

/// docs/attacks.md, HOST43: whoever names an anchor wants a signature under it, and no signature goes without an anchor.
#[test]
fn host43_a_mac_does_not_pass_for_a_signature_nor_a_signature_without_an_anchor() {
    let made = Made::good();
    assert_eq!(refusal(&with_mac(&made), &trusted(), &device()), ("cose-unsupported".to_owned(), 5));
    assert_eq!(refusal(&made.envelope(), &nobody(), &device()), ("anchor-missing".to_owned(), 2));
    let unsigned = create(&made.description).unwrap();
    assert_eq!(refusal(&unsigned, &nobody(), &device()).0, "signature-missing");
}

/// Such a clock finds no credential expired.
#[test]
fn a_clock_before_the_credential_was_issued_gives_a_warning() {
    let mut made = Made::good();
    let warning =
        |made: &Made| match check_envelope(&made.envelope(), &trusted(), &device()).unwrap().authority {
            Authority::Credential { clock_warning, .. } => clock_warning,
            Authority::DeviceKey => panic!("it is signed"),
        };
    assert_eq!(warning(&made), None);
    made.issued_at = UnixTime(1 << 40);
    assert!(warning(&made).unwrap().contains("set the clock"));
}

#[test]
fn another_vendor_class_or_device_is_refused() {
    let mut made = Made::good();
    made.description.class = [9; 16];
    refused(&made, "class-mismatch", 5);
    let mut made = Made::good();
    made.description.device = Some([9; 16]);
    refused(&made, "device-mismatch", 5);
    let mut made = Made::good();
    made.description.vendor = [9; 16];
    made.scope.vendor = [9; 16];
    refused(&made, "vendor-mismatch", 5);
    let mut made = Made::good();
    made.description.device = Some(DEVICE);
    assert!(check_envelope(&made.envelope(), &trusted(), &device()).is_ok());
}

#[test]
fn a_rollback_is_refused_and_the_floor_itself_is_not() {
    let mut made = Made::good();
    made.description.sequence = 3;
    refused(&made, "sequence-rollback", 6);
    made.description.sequence = 4;
    assert!(check_envelope(&made.envelope(), &trusted(), &device()).is_ok());
}

#[test]
fn an_image_that_does_not_fit_the_slot_is_refused() {
    let mut device = device();
    device.state.slot_capacity = u32::try_from(IMAGE.len()).unwrap() - 1;
    let envelope = Made::good().envelope();
    assert_eq!(refusal(&envelope, &trusted(), &device), ("image-too-large".to_owned(), 5));
    device.state.slot_capacity += 1;
    assert!(check_envelope(&envelope, &trusted(), &device).is_ok());
}

/// The image for the slot that the device writes in its session has to fit as well.
#[test]
fn the_image_of_the_other_slot_fits_or_is_refused() {
    let (device, second) = (device(), b"the image for the second slot".to_vec());
    let envelope = Made::good().with_second_image(&second).envelope();
    let release = Release {
        facts: Some(check_envelope(&envelope, &trusted(), &device).unwrap()),
        envelope,
        image: IMAGE.to_vec(),
        other_image: Some(second.clone()),
        table: None,
    };
    let mut state = device.state;
    assert!(!release.clone().follow_slot(&state).unwrap());
    state.flags.second_slot = true;
    let mut followed = release.clone();
    assert!(followed.follow_slot(&state).unwrap());
    assert_eq!((&followed.image, followed.other_image.as_deref()), (&second, Some(IMAGE)));
    check_image(followed.facts.as_ref().unwrap(), &second).unwrap();
    assert!(!followed.follow_slot(&state).unwrap());
    state.flags.second_slot = false;
    assert!(followed.follow_slot(&state).unwrap());
    assert_eq!(followed, release);
    state.flags.second_slot = true;
    state.slot_capacity = u32::try_from(second.len()).unwrap() - 1;
    assert_eq!(release.clone().follow_slot(&state).unwrap_err().code(), "image-too-large");
    let mut alone = Release { other_image: None, ..release };
    assert_eq!(alone.follow_slot(&state).unwrap_err().code(), "slot-changed");
}

#[test]
fn a_device_in_factory_state_gets_nothing() {
    let mut device = device();
    device.state.mode = Mode::Factory;
    let envelope = Made::good().envelope();
    assert_eq!(refusal(&envelope, &trusted(), &device), ("not-provisioned".to_owned(), 5));
}

#[test]
fn a_foreign_root_is_refused() {
    let stranger = TrustStoreBuf::new([Anchor::root(SoftwareKey::from_seed(&[8; 32]).unwrap().public_key())]);
    let envelope = Made::good().envelope();
    assert_eq!(refusal(&envelope, &stranger, &device()), ("anchor-unknown".to_owned(), 5));
}

#[test]
fn the_time_is_checked() {
    let mut made = Made::good();
    made.expires = Some(UnixTime(1_700_000_001));
    refused(&made, "credential-expired", 6);
    let mut made = Made::good();
    made.not_before = Some(UnixTime(99_000_000_000));
    refused(&made, "credential-not-yet-valid", 6);
}

#[test]
fn a_revoked_credential_and_a_minimum_sequence_are_refused() {
    let list = |sequence, revoked, minimum_sequences| {
        let request = RevocationRequest {
            iss: "root".to_owned(),
            issued_at: UnixTime(1_700_000_000),
            sequence,
            revoked,
            lowest_generations: vec![],
            minimum_sequences,
        };
        sign_revocation(&request, &root()).unwrap()
    };
    let envelope = Made::good().envelope();
    let mut revoked = trusted();
    revoked.add_list(list(1, vec![RevokedId::Credential(CTI).revoked(Role::Release, 0)], vec![])).unwrap();
    assert_eq!(refusal(&envelope, &revoked, &device()), ("credential-revoked".to_owned(), 6));

    let mut minimum = trusted();
    minimum
        .add_list(list(1, vec![], vec![Minimum { vendor: VENDOR, class: Some(CLASS), sequence: 6 }]))
        .unwrap();
    assert_eq!(refusal(&envelope, &minimum, &device()), ("sequence-below-minimum".to_owned(), 6));
}

#[test]
fn every_truncation_and_every_changed_byte_is_refused() {
    let envelope = Made::good().envelope();
    let (trusted, device) = (trusted(), device());
    for len in 0..envelope.len() {
        let error = check_envelope(&envelope[..len], &trusted, &device).unwrap_err();
        assert!((4..=6).contains(&error.exit_code()), "{len}: {error}");
    }
    for at in 0..envelope.len() {
        let mut changed = envelope.clone();
        changed[at] ^= 0x10;
        let error = check_envelope(&changed, &trusted, &device).unwrap_err();
        assert!((4..=6).contains(&error.exit_code()), "{at}: {error}");
    }
}

#[test]
fn an_image_with_another_byte_or_length_is_refused() {
    let facts = check_envelope(&Made::good().envelope(), &trusted(), &device()).unwrap();
    let mut changed = IMAGE.to_vec();
    changed[3] ^= 1;
    for image in [&changed[..], &IMAGE[1..], b"", &[IMAGE, b"x"].concat()] {
        let error = check_image(&facts, image).unwrap_err();
        assert_eq!((error.code().as_str(), error.exit_code()), ("image-digest-mismatch", 5));
    }
}

#[test]
fn a_long_text_is_severed_for_the_device() {
    let mut made = Made::good();
    made.description.description = Some("long ".repeat(800));
    let envelope = made.envelope();
    assert!(envelope.len() > MAX_ENVELOPE_HEAD_LEN);
    let severed = for_device(&envelope).unwrap();
    assert!(severed.len() <= MAX_ENVELOPE_HEAD_LEN);
    let facts = check_envelope(&severed, &trusted(), &device()).unwrap();
    assert_eq!(
        facts.manifest_digest,
        check_envelope(&envelope, &trusted(), &device()).unwrap().manifest_digest
    );

    let short = Made::good().envelope();
    assert_eq!(for_device(&short).unwrap(), short);
    let error = for_device(&[0; MAX_ENVELOPE_HEAD_LEN + 1]).unwrap_err();
    assert_eq!(error.code(), "envelope-too-large");
}
