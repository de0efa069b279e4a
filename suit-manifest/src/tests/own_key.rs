//! Envelopes that are authenticated with the key of one device: a COSE_Mac0 in the place of the signature.

use coset::{CoseMac0, TaggedCborSerializable as _};
use trust::{ErrorKind as Trust, Kid};

use super::support::*;
use crate::author::{self, UpdateDescription, create, inspect};
use crate::{Envelope, Error, ErrorKind, Reason, Target, host, image_reference};

const KID: Kid = Kid(*b"device 1");
const KEY: [u8; 32] = [0x77; 32];

fn made() -> Vec<u8> {
    author::authenticate(&create(&update()).unwrap(), &KID, &KEY).unwrap()
}

fn with_key(envelope: &[u8]) -> Result<[u8; 32], Error> {
    let authenticated = Envelope::parse(envelope)?.authenticate_with(&KID, &KEY)?;
    assert_eq!(authenticated.authority().kid(), &KID);
    image_reference(authenticated.manifest(), Target::Firmware).map(|image| image.digest)
}

#[test]
fn a_device_believes_its_own_key() {
    let envelope = made();
    assert_eq!(with_key(&envelope), Ok(IMAGE));
    let signed = release();
    let authenticated = Envelope::parse(&envelope).unwrap().authenticate_with(&KID, &KEY).unwrap();
    assert_eq!(authenticated.digest(), self::authenticate(&signed).unwrap().digest(), "the same manifest");
    assert_eq!(authenticated.computed_digest(), *authenticated.digest());
    // Both looks at the MAC are kept, for who compares once more.
    for mac in authenticated.authority().macs() {
        assert_eq!(mac.computed, *mac.received);
    }
}

/// coset reads it, with the payload of draft-ietf-suit-manifest-37 section 8.3 detached.
#[test]
fn another_implementation_verifies_the_mac() {
    let envelope = made();
    let inspection = inspect(&envelope).unwrap();
    assert_eq!((inspection.sign1(), inspection.credential()), (None, None));
    let mac0 = CoseMac0::from_tagged_slice(inspection.mac0().unwrap()).unwrap();
    assert_eq!(mac0.protected.header.key_id, KID.0);
    let payload = [&[0x82, 0x2f, 0x58, 0x20][..], inspection.digest()].concat();
    let verify = |tag: &[u8], data: &[u8]| {
        use hmac::{KeyInit as _, Mac as _};
        let mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(&KEY).unwrap();
        mac.chain_update(data).verify_slice(tag)
    };
    let attached = CoseMac0 { payload: Some(payload), ..mac0 };
    attached.verify_payload_tag(&[], || panic!("it has a payload"), verify).unwrap();
}

/// docs/attacks.md, SYM35: not even the maker's own key makes a release that no other one follows.
#[test]
fn sym35_a_device_takes_no_number_that_nothing_exceeds() {
    let numbered = |sequence| {
        let envelope = create(&UpdateDescription { sequence, ..update() }).unwrap();
        // Who authenticates it reads it back as its device does.
        match author::authenticate(&envelope, &KID, &KEY) {
            Ok(envelope) => with_key(&envelope).map_err(|error| error.kind),
            Err(author::AuthorError::Refused(error)) => Err(error.kind),
            Err(other) => panic!("{other}"),
        }
    };
    let ceiling = trust::DEFAULT_SEQUENCE_CEILING;
    assert_eq!(numbered(ceiling), Ok(IMAGE));
    for above in [ceiling + 1, u64::MAX] {
        assert_eq!(numbered(above), Err(ErrorKind::SequenceAboveCeiling), "{above}");
    }
}

/// docs/attacks.md, SYM40.
#[test]
fn sym40_every_bit_and_every_shorter_envelope_is_refused() {
    let envelope = made();
    for bit in 0..envelope.len() * 8 {
        let mut changed = envelope.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(with_key(&changed).is_err(), "bit {} of byte {}", bit % 8, bit / 8);
    }
    for len in 0..envelope.len() {
        assert!(with_key(&envelope[..len]).is_err(), "{len} bytes");
    }
}

/// docs/attacks.md, SYM41. Neither kind of authentication stands in for the other.
#[test]
fn sym41_a_mac_is_no_signature_and_a_signature_no_mac() {
    let of_trust = |result: Result<[u8; 32], Error>| match result.unwrap_err().kind {
        ErrorKind::Trust(kind) => kind,
        other => panic!("{other:?}"),
    };
    assert_eq!(of_trust(with_key(&release())), Trust::CoseUnsupported);
    assert_eq!(of_trust(self::authenticate(&made()).map(|_| [0; 32])), Trust::CoseUnsupported);
    assert_eq!(
        Envelope::parse(&made()).unwrap().claimed_issuer().unwrap_err().reason(),
        Reason::CoseUnsupported
    );
    let unsigned = create(&update()).unwrap();
    assert_eq!(with_key(&unsigned).unwrap_err().kind, ErrorKind::SignatureMissing);
    // An author does not put one beside the other.
    let refused = author::authenticate(&release(), &KID, &KEY).unwrap_err();
    assert!(matches!(
        refused,
        author::AuthorError::Refused(Error { kind: ErrorKind::SignatureMultiple, .. })
    ));
    assert!(author::authenticate(&made(), &KID, &KEY).is_err());
}

/// docs/attacks.md, SYM42.
#[test]
fn sym42_the_key_of_another_device_authenticates_nothing() {
    let unsigned = create(&update()).unwrap();
    let other = author::authenticate(&unsigned, &Kid(*b"device 2"), &[0x78; 32]).unwrap();
    assert_eq!(with_key(&other).unwrap_err().reason(), Reason::DeviceKeyUnknown);
    // Under the name of this device's key.
    let impostor = author::authenticate(&unsigned, &KID, &[0x78; 32]).unwrap();
    assert_eq!(with_key(&impostor).unwrap_err().reason(), Reason::MacInvalid);
}

/// What is behind the MAC is judged as behind a signature: digest, structure, severed members.
#[test]
fn what_is_authenticated_is_judged_as_what_is_signed() {
    let manifest = encode(&map([(1, 1.into()), (2, 5.into())]));
    // The block of the right digest, over a manifest that lacks its common part.
    let digest = encode(&digest_value(-16, &trust::sha256(&encode(&bytes(&manifest)))));
    let mac0 = trust::author::mac0(&digest, &KID.0, &KEY).unwrap();
    let envelope = assemble(vec![bytes(&digest), bytes(&mac0)], &manifest, &[]);
    assert!(matches!(with_key(&envelope).unwrap_err().kind, ErrorKind::Malformed(Trust::MissingKey)));
}

/// A host that has no key reads what it passes on, and says for whom it is.
#[test]
fn a_host_without_the_key_passes_it_on() {
    let envelope = made();
    assert!(host::Envelope::parse(&envelope).unwrap().has_mac());
    let unproven = inspect(&envelope).unwrap();
    assert_eq!(unproven.device_key(), Ok(Some(KID)));
    assert_eq!(image_reference(unproven.manifest(), Target::Firmware).unwrap().digest, IMAGE);
    let signed = release();
    assert!(!host::Envelope::parse(&signed).unwrap().has_mac());
    assert_eq!(inspect(&signed).unwrap().device_key().unwrap_err().reason(), Reason::CoseUnsupported);
    // Its digest is compared all the same.
    let mut changed = envelope.clone();
    let at = changed.windows(32).position(|window| window == IMAGE).unwrap();
    changed[at] ^= 1;
    assert_eq!(inspect(&changed).unwrap_err().kind, ErrorKind::ManifestDigestMismatch);
}
