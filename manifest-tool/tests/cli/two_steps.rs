//! Signing in two steps: the private keys lie in a vault that the program never sees.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::Command;

use serde_json::{Value, json};

use super::agent::Agent;
use super::cuts::kill_everywhere;
use super::workshop::{Workshop, split};

const ISSUE: &str =
    "credential issue --key root.cose --vendor anchorage.example --class demo-node --role release";

/// Keys whose private halves only [`sign`] reads.
fn vault() -> Workshop {
    let workshop = Workshop::with_release();
    std::fs::create_dir(workshop.path("vault")).unwrap();
    for name in ["root.pem", "release.pem"] {
        std::fs::rename(workshop.path(name), workshop.path("vault").join(name)).unwrap();
    }
    workshop
}

/// What a person does at the other machine: OpenSSL signs `NAME` and writes `NAME.sig`.
fn sign(workshop: &Workshop, key: &str, name: &str) {
    let line = format!("pkeyutl -sign -rawin -inkey vault/{key}.pem -in {name} -out {name}.sig");
    let status = Command::new("openssl").current_dir(workshop.path("")).args(split(&line)).status();
    assert!(status.unwrap().success(), "{line}");
}

fn attach(name: &str, more: &str) -> String {
    format!("attach --tbs {name} --signature {name}.sig {more}")
}

/// A ledger whose head was signed elsewhere.
fn with_ledger() -> Workshop {
    let workshop = vault();
    let begun = workshop.ok(&split(
        "ledger init ledger --key root.cose --tbs-out head --name maker --holder Ada --kept vault",
    ));
    assert_eq!(begun["to_be_signed"]["tbs"], "head");
    sign(&workshop, "root", "head");
    let attached = workshop.ok(&split(&attach("head", "--ledger ledger")));
    assert_eq!((&attached["uncovered"], &attached["ledger_entry"]), (&json!(0), &json!(1)));
    workshop
}

fn verified(workshop: &Workshop) -> Value {
    workshop.ok(&split("ledger verify ledger --anchor root.cose"))
}

#[test]
fn a_root_that_no_program_reaches_signs_with_a_ledger() {
    let workshop = with_ledger();
    workshop.key("ci");
    let issue = format!("{ISSUE} --for ci.cose --subject ci --holder Bob --tbs-out ci.tbs");
    let begun = workshop.ok(&split(&issue));
    assert_eq!((&begun["ledger_entry"], &begun["out"]), (&json!(2), &Value::Null));
    assert_eq!(verified(&workshop)["begun"], 2);
    // The person who signs reads what it is.
    let text = String::from_utf8(workshop.read("ci.tbs.txt")).unwrap();
    let digest = begun["to_be_signed"]["sha256"].as_str().unwrap();
    for word in ["credential", "ci.tbs", digest, "release", "demo-node", "maker", "anchorage.example"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    let kid = workshop.ok(&["key", "public", "root.cose"])["kid"].as_str().unwrap().to_owned();
    assert!(text.contains(&kid), "{text}");
    assert_eq!(workshop.refused(&split(&format!("{issue}2 --ledger ledger"))), ("ledger-begun".into(), 5));

    sign(&workshop, "root", "ci.tbs");
    let done = workshop.ok(&split(&attach("ci.tbs", "--ledger ledger --out ci.cwt --tbs-out head2")));
    assert_eq!((&done["ledger_entry"], &done["uncovered"]), (&json!(2), &json!(1)));
    workshop.ok(&split("credential inspect ci.cwt --anchor root.cose"));
    // The same once more, as after a power cut: the same files.
    workshop.ok(&split(&attach("ci.tbs", "--ledger ledger --out ci.cwt")));
    sign(&workshop, "root", "head2");
    workshop.ok(&split(&attach("head2", "--ledger ledger")));
    assert_eq!((&verified(&workshop)["uncovered"], &verified(&workshop)["begun"]), (&json!(0), &Value::Null));
    assert_eq!(workshop.refused(&split(&attach("head", "--ledger ledger"))), ("ledger-old-head".into(), 2));

    let revoke = "revoke ci --key root.cose --none-published --reason lost --tbs-out list.tbs";
    workshop.ok(&split(revoke));
    assert!(String::from_utf8(workshop.read("list.tbs.txt")).unwrap().contains("revocation list"));
    // The bytes once more, from the ledger: the first file was lost.
    workshop.ok(&split("ledger finish ledger --key root.cose --tbs-out again.tbs"));
    assert_eq!(workshop.read("again.tbs"), workshop.read("list.tbs"));
    sign(&workshop, "root", "again.tbs");
    workshop.ok(&split(&attach("again.tbs", "--ledger ledger --out list.cwt")));
    workshop.ok(&split("ledger finish ledger --key root.cose --tbs-out head3"));
    sign(&workshop, "root", "head3");
    workshop.ok(&split(&attach("head3", "--ledger ledger")));
    let shown = workshop.ok(&["ledger", "show", "ledger"]);
    assert_eq!((&shown["keys"][0]["status"], &shown["uncovered"]), (&json!("revoked"), &json!(0)));
}

/// The envelope is the very one that a key at hand makes.
#[test]
fn a_release_is_signed_in_two_steps() {
    let workshop = vault();
    let line = "sign unsigned.suit --key release.cose --credential release.cwt --tbs-out release.tbs";
    let written = workshop.ok(&split(line));
    assert_eq!((&written["envelope"], &written["sequence"]), (&Value::Null, &json!(2)));
    let text = String::from_utf8(workshop.read("release.tbs.txt")).unwrap();
    assert!(text.contains("2.0.0") && text.contains(written["manifest_digest"].as_str().unwrap()), "{text}");
    sign(&workshop, "release", "release.tbs");
    let attach =
        attach("release.tbs", "--envelope unsigned.suit --credential release.cwt --out attached.suit");
    workshop.ok(&split(&attach));
    assert_eq!(workshop.read("attached.suit"), workshop.read("signed.suit"));
    // Another envelope was not signed.
    let create = "create --image firmware.bin --vendor anchorage.example --class demo-node --sequence 3 \
                  --version 3 --out other.suit --image-out image.bin";
    workshop.ok(&split(create));
    let other = attach.replace("unsigned", "other").replace("attached", "no");
    assert_eq!(workshop.refused(&split(&other)), ("tbs-mismatch".into(), 5));
    let of_root = line.replace("release.cose", "root.cose").replace("release.tbs", "no.tbs");
    assert_eq!(workshop.refused(&split(&of_root)), ("key-mismatch".into(), 5));
}

#[test]
fn a_signature_that_does_not_hold_changes_nothing() {
    let workshop = with_ledger();
    workshop.key("ci");
    workshop.ok(&split(&format!("{ISSUE} --for ci.cose --subject ci --tbs-out ci.tbs")));
    let attach =
        |more: &str| split(&attach("ci.tbs", more)).into_iter().map(String::from).collect::<Vec<_>>();
    let refused = |more: &str| {
        let line = attach(more);
        workshop.refused(&line.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let (in_ledger, alone) = ("--ledger ledger --out no.cwt", "--signer root.cose --out no.cwt");
    let foreign = ("signature-foreign".to_owned(), 4);
    // Of another key.
    sign(&workshop, "release", "ci.tbs");
    assert_eq!((refused(in_ledger), refused(alone)), (foreign.clone(), foreign.clone()));
    // Over other bytes: a digest of them, as a hurried person signs.
    sign(&workshop, "root", "head");
    std::fs::copy(workshop.path("head.sig"), workshop.path("ci.tbs.sig")).unwrap();
    assert_eq!((refused(in_ledger), refused(alone)), (foreign.clone(), foreign.clone()));
    // One bit.
    sign(&workshop, "root", "ci.tbs");
    let good = workshop.read("ci.tbs.sig");
    let mut bad = good.clone();
    bad[40] ^= 1;
    workshop.write("ci.tbs.sig", &bad);
    assert_eq!((refused(in_ledger), refused(alone)), (foreign.clone(), foreign));
    for form in [&b""[..], b"not a signature", &good[1..]] {
        workshop.write("ci.tbs.sig", form);
        assert_eq!(refused(in_ledger), ("signature-form".into(), 5), "{form:?}");
    }
    // Good, and not for this.
    workshop.write("ci.tbs.sig", hex::encode(&good).as_bytes());
    assert_eq!(refused("--ledger ledger --signer release.cose --out no.cwt"), ("ledger-other-key".into(), 4));
    assert_eq!(refused("--signer release.cose --out no.cwt"), ("key-mismatch".into(), 5));
    assert_eq!(refused("--ledger ledger"), ("usage".into(), 2));
    assert_eq!(refused("--ledger ledger --out ci.tbs"), ("same-file".into(), 2));
    assert_eq!(refused("--ledger ledger --out root.cose"), ("file-exists".into(), 2));
    assert_eq!(refused("--out no.cwt"), ("usage".into(), 2));
    assert_eq!(refused("--signer root.cose --out no.cwt --tbs-out head9"), ("usage".into(), 2));
    // Given up, begun anew: the signature of the first one is not taken for the second.
    workshop.ok(&split("ledger void ledger --reason slip"));
    assert_eq!(refused(in_ledger), ("ledger-nothing-begun".into(), 2));
    workshop.ok(&split(&format!("{ISSUE} --for ci.cose --subject ci --tbs-out second.tbs")));
    assert_eq!(refused(in_ledger), ("ledger-begun".into(), 5));
    sign(&workshop, "root", "second.tbs");
    workshop.ok(&split("attach --tbs second.tbs --signature second.tbs.sig --ledger ledger --out ci.cwt"));
}

#[test]
fn bytes_that_are_no_record_are_refused() {
    let workshop = vault();
    workshop.ok(&split("sign unsigned.suit --key release.cose --credential release.cwt --tbs-out r.tbs"));
    sign(&workshop, "release", "r.tbs");
    std::fs::copy(workshop.path("r.tbs.sig"), workshop.path("s")).unwrap();
    workshop.write("long.tbs", &[0; 4097]);
    workshop.write("noise.tbs", &[0x84; 40]);
    for (tbs, code, exit) in
        [("r.tbs", "usage", 2), ("long.tbs", "file-too-long", 5), ("noise.tbs", "record-malformed", 5)]
    {
        let line = format!("attach --tbs {tbs} --signature s --signer release.cose --out no.cwt");
        assert_eq!(workshop.refused(&split(&line)), (code.into(), exit), "{tbs}");
    }
    // Nothing is begun when the bytes cannot be written.
    let line = format!("{ISSUE} --for release.cose --subject ci --issuer root --tbs-out firmware.bin");
    assert_eq!(workshop.refused(&split(&line)), ("file-exists".into(), 2));
    let both = format!("{ISSUE} --for release.cose --subject ci --issuer root --tbs-out a --out b");
    assert_eq!(workshop.refused(&split(&both)), ("usage".into(), 2));
}

/// An SSH agent elsewhere: the blob of its answer goes into a file as it is (RFC 8709 section 6).
#[test]
fn the_answer_of_an_agent_is_attached() {
    let workshop = Workshop::with_release();
    let agent = Agent::start();
    agent.add(&workshop, "ed25519", "elsewhere", &[]);
    let line = "credential issue --key elsewhere.pub --vendor anchorage.example --role release --issuer e \
                --for release.cose --subject ci --tbs-out ci.tbs";
    workshop.ok(&split(line));
    let public = String::from_utf8(workshop.read("elsewhere.pub")).unwrap();
    let blob = <base64ct::Base64 as base64ct::Encoding>::decode_vec(split(&public)[1]).unwrap();
    let string = |bytes: &[u8]| [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat();
    let request = [&[13][..], &string(&blob), &string(&workshop.read("ci.tbs")), &[0; 4]].concat();
    let mut socket = UnixStream::connect(&agent.socket).unwrap();
    socket.write_all(&string(&request)).unwrap();
    let mut head = [0; 9];
    socket.read_exact(&mut head).unwrap();
    assert_eq!(head[4], 14, "{head:?}");
    let mut answer = vec![0; usize::try_from(u32::from_be_bytes(head[5..].try_into().unwrap())).unwrap()];
    socket.read_exact(&mut answer).unwrap();
    workshop.write("ci.sig", &answer);
    workshop.ok(&split("attach --tbs ci.tbs --signature ci.sig --signer elsewhere.pub --out ci.cwt"));
    workshop.ok(&split("key public elsewhere.pub --out e.cose"));
    workshop.ok(&split("credential inspect ci.cwt --anchor e.cose"));
}

/// SIGKILL at each system call that writes: the same command once more ends with the same files, and nothing is signed twice.
#[test]
fn a_kill_while_attaching_leaves_what_the_next_try_finishes() {
    let workshop = with_ledger();
    workshop.key("ci");
    workshop.ok(&split(&format!("{ISSUE} --for ci.cose --subject ci --tbs-out ci.tbs")));
    sign(&workshop, "root", "ci.tbs");
    let line = attach("ci.tbs", "--ledger ledger --out ci.cwt --tbs-out head2 --force");
    let killed = kill_everywhere(&workshop, &line, |what| {
        verified(&workshop);
        let done = workshop.ok(&split(&line));
        assert_eq!((&done["ledger_entry"], &done["uncovered"]), (&json!(2), &json!(1)), "{what}");
        assert_eq!(workshop.read("ci.cwt"), workshop.read("ledger/000002-credential.cwt"), "{what}");
    });
    assert!(killed > 8, "{killed}");
}
