//! What others make of our envelopes: coset of the signature, suit_validator (written for draft -34) of the
//! envelope and manifest.

use std::cell::Cell;

use coset::iana::{Algorithm, EnumI64 as _};
use coset::{CoseSign1, Label, RegisteredLabelWithPrivate, TaggedCborSerializable as _};
use suit_validator::SuitError;
use suit_validator::crypto::{CoseCrypto, SuitCrypto};
use suit_validator::handler::{PairView, SuitCommandHandler, SuitSharedSequenceHandler, SuitStartHandler};
use suit_validator::suit_manifest as theirs;
use trust::author::Signer;

use super::support::*;
use crate::author::inspect;

/// Verifies with coset's Sig_structure and ed25519-dalek, under the release key.
fn verify_with_coset(sign1: &[u8], payload: &[u8]) -> bool {
    let key = ed25519_dalek::VerifyingKey::from_bytes(release_key().public_key().as_bytes()).unwrap();
    let sign1 = CoseSign1::from_tagged_slice(sign1).unwrap();
    sign1
        .verify_detached_signature(payload, b"", |signature, message| {
            key.verify_strict(message, &ed25519_dalek::Signature::from_slice(signature)?)
        })
        .is_ok()
}

#[test]
fn coset_reads_and_verifies_the_signature() {
    let envelope = release();
    let inspection = inspect(&envelope).unwrap();
    let sign1 = inspection.sign1().unwrap();
    let parsed = CoseSign1::from_tagged_slice(sign1).unwrap();
    let header = &parsed.protected.header;
    assert_eq!(header.alg, Some(RegisteredLabelWithPrivate::Assigned(Algorithm::Ed25519)));
    assert_eq!(Algorithm::Ed25519.to_i64(), -19);
    assert_eq!(header.key_id, release_key().public_key().kid().0);
    assert_eq!(parsed.payload, None);
    let [(label, kcwt)] = &parsed.unprotected.rest[..] else { panic!() };
    assert_eq!((label, encode(kcwt)), (&Label::Int(13), credential()));

    let payload = encode(&digest_value(-16, inspection.digest()));
    assert!(verify_with_coset(sign1, &payload));
    assert!(!verify_with_coset(sign1, &encode(&bytes(&payload))), "not over the bstr");
    assert!(!verify_with_coset(sign1, &payload[1..]));
}

/// suit_validator brings no Ed25519 of number -19; it hands block and payload to whoever verifies.
struct Ed25519;

impl SuitCrypto for Ed25519 {
    fn verify_cose(&self, block: &[u8], payload: &[u8]) -> Result<(), SuitError> {
        if verify_with_coset(block, payload) { Ok(()) } else { Err(SuitError::invalid_digest()) }
    }
}

/// Decodes all that it is given, down to the last command, and keeps what it found.
#[derive(Default)]
struct Reader {
    sequence_number: Cell<u64>,
    commands: Cell<usize>,
    shared: Cell<usize>,
}

impl SuitStartHandler for Reader {
    fn on_envelope<'a>(&mut self, envelope: theirs::SuitEnvelope<'a>) -> Result<(), SuitError> {
        let manifest = envelope.manifest.get()?;
        self.sequence_number.set(manifest.sequence_number);
        let common = manifest.common.get()?;
        assert_eq!(common.components.get()?.count(), 1);
        if let Some(shared) = common.shared_seq {
            shared.get()?.decode_and_dispatch(self)?;
        }
        for section in [manifest.validate, manifest.invoke].into_iter().flatten() {
            section.get()?.decode_and_dispatch(self)?;
        }
        for section in [manifest.payload_fetch, manifest.install].into_iter().flatten() {
            if let theirs::DigestOrCbor::Cbor(section) = section {
                section.get()?.decode_and_dispatch(self)?;
            }
        }
        Ok(())
    }

    fn on_manifest<'a>(&mut self, _manifest: theirs::SuitManifest<'a>) -> Result<(), SuitError> {
        panic!("not a bare manifest")
    }
}

impl SuitSharedSequenceHandler for Reader {
    fn on_conditions<'a>(
        &mut self,
        conditions: impl Iterator<Item = PairView<'a, theirs::SuitCondition>>,
    ) -> Result<(), SuitError> {
        for condition in conditions {
            condition.get()?;
            self.shared.set(self.shared.get() + 1);
        }
        Ok(())
    }

    fn on_commands<'a>(
        &mut self,
        commands: impl Iterator<Item = PairView<'a, theirs::SuitSharedCommand<'a>>>,
    ) -> Result<(), SuitError> {
        for command in commands {
            let theirs::SuitSharedCommand::OverrideParameters(parameters) = command.get()? else { panic!() };
            assert_eq!(parameters.vendor_identifier, Some(VENDOR.as_slice()));
            assert_eq!(parameters.image_size, Some(IMAGE_SIZE));
            self.shared.set(self.shared.get() + 1);
        }
        Ok(())
    }
}

impl SuitCommandHandler for Reader {
    fn on_conditions<'a>(
        &mut self,
        conditions: impl Iterator<Item = PairView<'a, theirs::SuitCondition>>,
    ) -> Result<(), SuitError> {
        for condition in conditions {
            condition.get()?;
            self.commands.set(self.commands.get() + 1);
        }
        Ok(())
    }

    fn on_directives<'a>(
        &mut self,
        directives: impl Iterator<Item = PairView<'a, theirs::SuitDirective<'a>>>,
    ) -> Result<(), SuitError> {
        for directive in directives {
            directive.get()?;
            self.commands.set(self.commands.get() + 1);
        }
        Ok(())
    }

    fn on_customs<'a>(
        &mut self,
        customs: impl Iterator<Item = PairView<'a, theirs::CommandCustomValue<'a>>>,
    ) -> Result<(), SuitError> {
        assert_eq!(customs.count(), 0);
        Ok(())
    }
}

#[test]
fn suit_validator_accepts_what_sign_makes() {
    let mut reader = Reader::default();
    suit_validator::suit_decode(&release(), &mut reader, &mut Ed25519).unwrap();
    // Shared: parameters, vendor, class. Validate 1, invoke 1, install 3.
    assert_eq!((reader.sequence_number.get(), reader.shared.get(), reader.commands.get()), (5, 3, 5));
}

#[test]
fn suit_validator_refuses_what_we_refuse() {
    let refused = |envelope: &[u8]| {
        suit_validator::suit_decode(envelope, &mut Reader::default(), &mut Ed25519).is_err()
    };
    let good = release();
    assert!(!refused(&good));
    for needle in [&VENDOR[..], &[0x0e, 0x19, 0x87, 0xd0][..]] {
        let mut tampered = good.clone();
        // The last occurrence: the credential in front of the manifest speaks of the vendor too.
        let position = good.windows(needle.len()).rposition(|window| window == needle).unwrap();
        tampered[position + 1] ^= 1;
        assert!(refused(&tampered));
        assert!(authenticate(&tampered).is_err());
    }
}

/// That our reading of the payload is theirs, with an algorithm that suit_validator brings along: the draft's own
/// example 0, ES256, under the draft's key (appendix B).
#[test]
fn suit_validator_verifies_the_example_of_the_draft() {
    let x = hex::decode("8496811aae0baaabd26157189eecda26beaa8bf11b6f3fe6e2b5659c85dbc0ad").unwrap();
    let y = hex::decode("3b1f2a4b6c098131c0a36dacd1d78bd381dcdfb09c052db33991db7338b4a896").unwrap();
    // A COSE_KeySet with one EC2 key: kty 2, alg ES256, crv P-256.
    let keys = encode(&ciborium::Value::Array(vec![map([
        (1, 2.into()),
        (3, (-7).into()),
        (-1, 1.into()),
        (-2, bytes(&x)),
        (-3, bytes(&y)),
    ])]));
    struct Accepted;
    impl SuitStartHandler for Accepted {
        fn on_envelope<'a>(&mut self, envelope: theirs::SuitEnvelope<'a>) -> Result<(), SuitError> {
            assert_eq!(envelope.manifest.get()?.sequence_number, 0);
            Ok(())
        }
        fn on_manifest<'a>(&mut self, _manifest: theirs::SuitManifest<'a>) -> Result<(), SuitError> {
            panic!("not a bare manifest")
        }
    }
    let envelope = hex::decode(super::vectors::DRAFT_0).unwrap();
    suit_validator::suit_decode(&envelope, &mut Accepted, &mut CoseCrypto::new(&keys)).unwrap();
    let mut tampered = envelope.clone();
    tampered[60] ^= 1;
    assert!(suit_validator::suit_decode(&tampered, &mut Accepted, &mut CoseCrypto::new(&keys)).is_err());
}
