//! Authentication blocks of every kind, as hosts judge them: nothing holds that was not made with a given key over the payload, and
//! what is read is read by another reader as well.

use std::sync::OnceLock;

use trust::author::{DerivedKey, ProvisioningRequest, Signer as _, SoftwareKey, mac0, signature};
use trust::blocks::{Keys, MAX_BLOCK_PARTS, Outcome, VerifyingKey, judge};
use trust::cbor::Span;
use trust::device_keys::{DeviceKeys, Purpose};
use trust::hmac::hmac_sha256;
use trust::provisioning::ProvisioningBlock;
use trust::{Kid, sha256};

/// The digest of draft-ietf-suit-manifest-37 appendix B, example 0, its block, and the point of its key.
const PAYLOAD: &str = "822f58206658ea560262696dd1f13b782239a064da7c6c5cbaf52fded428a6fc83c7e5af";
const ES256: &str = "d28443a10126a0f65840408d0816f9b510749bf6a51b066951e08a4438f849eb092a1ac768eed9de696c\
    1b1dd35d82ef149e6a73a61976ad2cfe78444b8064293350a122f332cb49f0da";
const SPKI: &str = "3059301306072a8648ce3d020106082a8648ce3d03010703420004\
    8496811aae0baaabd26157189eecda26beaa8bf11b6f3fe6e2b5659c85dbc0ad\
    3b1f2a4b6c098131c0a36dacd1d78bd381dcdfb09c052db33991db7338b4a896";
const MAC_KEY: [u8; 32] = [7; 32];
const MAC_KID: [u8; 8] = *b"mac-of-1";

struct Given {
    payload: Vec<u8>,
    public: Vec<VerifyingKey>,
    device: DeviceKeys,
}

fn signer() -> SoftwareKey {
    SoftwareKey::from_seed(&[3; 32]).unwrap()
}

fn given() -> &'static Given {
    static GIVEN: OnceLock<Given> = OnceLock::new();
    GIVEN.get_or_init(|| {
        let key = |purpose, kid, bytes: &[u8]| DerivedKey {
            purpose,
            revision: 0,
            kid: Kid(kid),
            bytes: bytes.to_vec().into(),
        };
        let request = ProvisioningRequest {
            serial: "A-1",
            vendor: [1; 16],
            class: [2; 16],
            device: [3; 16],
            node_address: 5,
            anchors: &[],
            sequence_floor: 0,
        };
        let keys =
            [key(Purpose::Update, *b"update-1", &[5; 16]), key(Purpose::Authentication, MAC_KID, &MAC_KEY)];
        let block = request.encode_with_keys(&keys).unwrap();
        let (_, device) = ProvisioningBlock::parse_with_keys(&block).unwrap();
        let p256 = VerifyingKey::parse(&hex::decode(SPKI).unwrap()).unwrap();
        let public = vec![p256, signer().public_key().into()];
        Given { payload: hex::decode(PAYLOAD).unwrap(), public, device }
    })
}

/// The bytes are a block.
pub(crate) fn blocks(data: &[u8]) -> bool {
    let Given { payload, public, device } = given();
    let block = Span { bytes: data, base: 0 };
    let keys = Keys { public, device: Some(device), allow_eddsa: true };
    let verdict = judge(block, payload, &keys);
    assert!(verdict.parts.len() <= MAX_BLOCK_PARTS as usize);
    let holds = |outcome: Outcome| matches!(outcome, Outcome::Holds(_));
    assert!(!holds(judge(block, payload, &Keys::default()).outcome), "without a key");
    assert!(!holds(judge(block, b"another digest", &keys).outcome), "over something else");
    if !verdict.parts.is_empty() {
        assert!(ciborium::from_reader::<ciborium::Value, _>(data).is_ok(), "another reader reads it too");
    }
    assert_eq!(holds(verdict.outcome), verdict.keys().next().is_some());
    !verdict.parts.is_empty()
}

pub(crate) fn blocks_seeds() -> Vec<Vec<u8>> {
    let payload = &given().payload;
    let strings = |context: &[u8], strings: &[&[u8]]| {
        let count = 0x81 + u8::try_from(strings.len()).unwrap();
        let mut message = vec![count, 0x60 | u8::try_from(context.len()).unwrap()];
        message.extend(context);
        for string in strings {
            let len = u8::try_from(string.len()).unwrap();
            message.extend(if len < 24 { vec![0x40 | len] } else { vec![0x58, len] });
            message.extend(*string);
        }
        message
    };
    let made = |head: &str, proof: &[u8], tail: &str| {
        [hex::decode(head).unwrap(), proof.to_vec(), hex::decode(tail).unwrap()].concat()
    };
    let signed = |message: Vec<u8>| signature(&signer(), &message).unwrap();
    let ed25519 = signed(strings(b"Signature1", &[b"\xa1\x01\x32", b"", payload]));
    let several = signed(strings(b"Signature", &[b"", b"\xa1\x01\x27", b"", payload]));
    let mac = hmac_sha256(&MAC_KEY, &[&strings(b"MAC", &[b"\xa1\x01\x05", b"", payload])]);
    let recipient = format!("818340a201250448{}40", hex::encode(MAC_KID));
    vec![
        hex::decode(ES256).unwrap(),
        made("d28443a10132a0f65840", &ed25519, ""),
        made("d8628440a0f6818343a10127a05840", &several, ""),
        mac0(payload, &MAC_KID, &MAC_KEY).unwrap(),
        made("d8618543a10105a0f65820", &mac, &recipient),
        made(
            "d8618543a10105a0f65820",
            &sha256(b""),
            "818340a201220448757064617465 2d315828".replace(' ', "").as_str(),
        )
        .into_iter()
        .chain([0; 40])
        .collect(),
    ]
}
