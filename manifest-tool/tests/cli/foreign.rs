//! Credentials and envelopes that this tool does not make: well formed, and no device takes them.

use manifest_tool::public_key;
use minicbor::data::Tag;
use minicbor::{Decoder, Encoder};
use sha2::{Digest as _, Sha256};
use trust::author::{
    CredentialRequest, ScopeRequest, Signer as _, SoftwareKey, issue_credential, sign1_detached_chained,
};
use trust::{PublicKey, Role, UnixTime};

use super::workshop::{CLASS, VENDOR, Workshop, split};

/// draft-ietf-suit-manifest-37 appendix B, example 0: secure boot of another component, nothing is installed.
const DRAFT_0: &str = "\
    d86ba2025873825824822f58206658ea560262696dd1f13b782239a064da7c6c5cbaf52fded428a6fc83c7e5af584ad28443\
    a10126a0f65840408d0816f9b510749bf6a51b066951e08a4438f849eb092a1ac768eed9de696c1b1dd35d82ef149e6a73a6\
    1976ad2cfe78444b8064293350a122f332cb49f0da035871a50101020003585fa202818141000458568614a40150fa6b4a53\
    d5ad5fdfbe9de663e4d41ffe02501492af1425695e48bf429b2d51f2ab45035824822f582000112233445566778899aabbcc\
    ddeeff0123456789abcdeffedcba98765432100e1987d0010f020f074382030f0943821702";
const DRAFT_VENDOR: &str = "fa6b4a53-d5ad-5fdf-be9d-e663e4d41ffe";

fn root() -> SoftwareKey {
    SoftwareKey::from_seed(&[1; 32]).unwrap()
}

/// A release credential of [`root`] for the vendor of the workshop.
fn credential(key: PublicKey, serials: &[&str]) -> Vec<u8> {
    let vendor = VENDOR.parse::<manifest_tool::identifiers::Vendor>().unwrap();
    let request = CredentialRequest {
        iss: "root".into(),
        sub: "release".into(),
        key,
        role: Role::Release,
        scope: ScopeRequest {
            vendor: vendor.id().into_bytes(),
            classes: vec![],
            serials: serials.iter().map(|serial| (*serial).to_owned()).collect(),
            actions: None,
        },
        issued_at: UnixTime(1_700_000_000),
        not_before: None,
        expires: None,
        cti: [7; 16],
        generation: 0,
        sequence_ceiling: None,
    };
    issue_credential(&request, &root()).unwrap()
}

/// No verifier takes what such a credential signs: it is neither issued nor signed with.
#[test]
fn a_release_credential_has_no_serials() {
    let workshop = Workshop::with_release();
    let issue = |role: &str| {
        let arguments = format!(
            "credential issue --key root.pem --for release.cose --role {role} --vendor {VENDOR} \
             --serial A-1 --issuer root --subject s --out {role}.credential"
        );
        arguments.split(' ').map(str::to_owned).collect::<Vec<_>>()
    };
    let (release, service) = (issue("release"), issue("service"));
    let words =
        |arguments: &[String]| workshop.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(words(&release).exit, 2);
    assert!(!workshop.path("release.credential").exists());
    assert_eq!(words(&service).exit, 0);

    let key = public_key::open(&workshop.path("release.cose")).unwrap();
    workshop.write("serial.cwt", &credential(key, &["A-1"]));
    let refusal = workshop
        .refused(&split("sign unsigned.suit --key release.pem --credential serial.cwt --out no.suit"));
    assert_eq!(refusal, ("scope-device".into(), 6));
}

#[test]
fn a_manifest_that_no_device_takes_is_not_signed() {
    let workshop = Workshop::new();
    workshop.key("root");
    workshop.key("release");
    workshop.write("draft.suit", &hex::decode(DRAFT_0).unwrap());
    workshop.ok(&[
        "credential",
        "issue",
        "--key",
        "root.pem",
        "--for",
        "release.cose",
        "--role",
        "release",
        "--vendor",
        DRAFT_VENDOR,
        "--issuer",
        "i",
        "--subject",
        "s",
        "--out",
        "release.cwt",
    ]);
    let refusal =
        workshop.refused(&split("sign draft.suit --key release.pem --credential release.cwt --out no.suit"));
    // It is shown all the same, and said apart that our devices would refuse it.
    let shown = workshop.ok(&["inspect", "draft.suit"]);
    assert_eq!((&shown["kind"], &shown["signed"]), (&"envelope".into(), &true.into()));
    assert_eq!(shown["refusal"]["code"], refusal.0);
    let words = workshop.run(&["inspect", "draft.suit"]).stdout;
    for line in [
        "would refuse it: ",
        "protected alg (1): ES256 (-7)",
        "condition image-match (3): 15",
        "invoke (23): 2",
    ] {
        assert!(words.contains(line), "{line}: {words}");
    }
    assert_eq!(refusal, ("component-unsupported".into(), 5));
}

/// The manifest of an envelope, and its text.
fn parts(envelope: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut decoder = Decoder::new(envelope);
    decoder.tag().unwrap();
    let mut members = (Vec::new(), Vec::new());
    for _ in 0..decoder.map().unwrap().unwrap() {
        let (key, content) = (decoder.u8().unwrap(), decoder.bytes().unwrap());
        match key {
            3 => members.0 = content.to_vec(),
            23 => members.1 = content.to_vec(),
            _ => {}
        }
    }
    members
}

fn wrap(content: &[u8]) -> Vec<u8> {
    let mut wrapped = Vec::new();
    Encoder::new(&mut wrapped).bytes(content).unwrap();
    wrapped
}

/// A text can be severed away for the device only where it is severed: in the manifest it is signed as it stands.
#[test]
fn an_envelope_too_long_for_a_device_is_not_verified() {
    let workshop = Workshop::with_release();
    let description = "x".repeat(4000);
    workshop.ok(&[
        "create",
        "--image",
        "firmware.bin",
        "--vendor",
        VENDOR,
        "--class",
        CLASS,
        "--sequence",
        "3",
        "--version",
        "3",
        "--description",
        &description,
        "--out",
        "unsigned.suit",
        "--image-out",
        "image.bin",
        "--force",
    ]);
    workshop.sign("release", "long.suit");
    assert!(workshop.read("long.suit").len() > 4096);
    workshop.ok(&["verify", "long.suit", "--anchor", "root.cose"]);

    // The digest of the text, the last member, gives way to the text itself.
    let (mut manifest, text) = parts(&workshop.read("unsigned.suit"));
    let digest_len = 36;
    manifest.truncate(manifest.len() - digest_len);
    assert_eq!(manifest.last(), Some(&0x17));
    manifest.extend(wrap(&text));
    let key = SoftwareKey::from_seed(&[2; 32]).unwrap();
    let digest = [&[0x82, 0x2f, 0x58, 0x20][..], Sha256::digest(wrap(&manifest)).as_slice()].concat();
    let sign1 = sign1_detached_chained(&digest, &key, &credential(key.public_key(), &[])).unwrap();
    let (mut wrapper, mut envelope) = (Vec::new(), Vec::new());
    Encoder::new(&mut wrapper).array(2).unwrap().bytes(&digest).unwrap().bytes(&sign1).unwrap();
    let mut encoder = Encoder::new(&mut envelope);
    encoder.tag(Tag::new(107)).unwrap().map(2).unwrap().u8(2).unwrap().bytes(&wrapper).unwrap();
    encoder.u8(3).unwrap().bytes(&manifest).unwrap();
    workshop.write("inside.suit", &envelope);
    workshop.write("seed.cose", &root().public_key().to_cose_key());
    let refusal = workshop.refused(&["verify", "inside.suit", "--anchor", "seed.cose"]);
    assert_eq!(refusal, ("envelope-too-large".into(), 5));
}
