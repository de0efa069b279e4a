//! What a ceremony refuses: plans, people, keys, bundles, and transcripts that somebody changed afterwards; and that no
//! secret is in what it leaves.

use base64ct::Encoding as _;

use super::ceremony::{PLAN, RUN, SEAL, VERIFY, desk, fails, fingerprint, text};
use super::workshop::{Workshop, split};

/// A ceremony that has ended.
fn sealed() -> Workshop {
    let workshop = desk();
    workshop.ok(&split(RUN));
    workshop.ok(&split(SEAL));
    workshop
}

#[test]
fn a_plan_that_cannot_be_carried_out_is_refused() {
    let workshop = desk();
    let plan = text(&workshop, "plan.toml");
    let invalid = "plan-invalid";
    for (from, to, code) in [
        ("purpose = ", "porpoise = ", invalid),
        ("purpose = \"The first root of Example\"", "purpose = \" \"", invalid),
        ("format = 1", "format = 2", invalid),
        ("vendor = \"anchorage.example\"", "vendor = \"Anchorage Ltd\"", invalid),
        ("vendor = \"anchorage.example\"", "vendor = \"98d315fc-4e56-530f-824f-d6164a8b8093\"", invalid),
        ("roles = [\"witness\"]", "roles = [\"spectator\"]", invalid),
        ("roles = [\"witness\"]", "roles = []", invalid),
        ("roles = [\"witness\"]", "roles = [\"operator\"]", "plan-role-missing"),
        (
            "roles = [\"operator\", \"custodian\"]",
            "roles = [\"witness\", \"custodian\"]",
            "plan-role-missing",
        ),
        ("roles = [\"operator\", \"custodian\"]", "roles = [\"operator\"]", "plan-role-missing"),
        (
            "holder = \"Cleo Example\"\nkept = \"bank\"",
            "holder = \"Dan\"\nkept = \"bank\"",
            "plan-person-missing",
        ),
        ("name = \"Bob Example\"\nroles", "name = \"ada example\"\nroles", invalid),
        ("name = \"line 1\"", "name = \"CI 2026\"", invalid),
        ("name = \"line 1\"", "name = \"…\"", invalid),
        (
            "name = \"line 1\"",
            "name = \"a name that is longer than fifty-four bytes, which no plan has\"",
            invalid,
        ),
        ("make = \"stick-3/recovery.pem\"", "make = \"stick-1/root.pem\"", invalid),
        ("make = \"stick-3/recovery.pem\"", "make = \"stick-1/recovery.pem\"", invalid),
        ("make = \"stick-3/recovery.pem\"", "key = \"r.pem\"\nfingerprint = \"FF\"", invalid),
        ("make = \"line/issuing.pem\"", "make = \"line/issuing.pem\"\npublic = \"x.cose\"", invalid),
        ("make = \"line/issuing.pem\"", "public = \"line.cose\"", invalid),
        ("role = \"identity\"", "role = \"device\"", invalid),
        ("role = \"identity\"", "role = \"boss\"", invalid),
        ("public = \"ci.cose\"", "public = \"../ci.cose\"", invalid),
        ("threshold = 2", "threshold = 1", invalid),
        ("threshold = 2", "threshold = 4", invalid),
        ("first-list = true", "first-list = \"yes\"", invalid),
        ("fingerprint = \"", "fingerprint = \"0", invalid),
        ("kept = \"production\"", "kept = \"production\"\nexpires = \"tomorrow\"", invalid),
        ("classes = [\"demo-node\"]", "classes = [\"demo-node\"", invalid),
    ] {
        assert!(plan.contains(from), "{from}");
        workshop.write("bad.toml", plan.replacen(from, to, 1).as_bytes());
        for line in ["ceremony plan bad.toml", "ceremony run bad.toml --dir bad --answers answers"] {
            assert_eq!(workshop.refused(&split(line)), (code.into(), 2), "{from} -> {to}");
        }
    }
    let table = |number: usize| {
        format!(
            "[[key]]\nname = \"k{number}\"\nrole = \"service\"\nmake = \"k{number}.pem\"\nholder = \"B\"\nkept = \"k\"\n"
        )
    };
    let long = format!("{plan}{}", (0..14).map(table).collect::<String>());
    workshop.write("bad.toml", long.as_bytes());
    assert_eq!(workshop.refused(&split("ceremony plan bad.toml")), ("plan-too-long".into(), 2));
    workshop.write("bad.toml", &[0xff]);
    assert_eq!(workshop.refused(&split("ceremony plan bad.toml")), (invalid.into(), 2));
}

#[test]
fn the_wrong_person_and_the_wrong_word_confirm_nothing() {
    let workshop = desk();
    for (answers, made) in [
        ("present: Ada Example\npresent: Bob Example\npresent: Dan Example\n*: *\n", "room/in"),
        // The witness cannot stand in for the custodian, nor the custodian for the witness.
        ("make-root: Bob Example\n*: *\n", "room/stick-1"),
        ("make-root: Ada Example\nmake-root: Ada Example\n*: *\n", "room/out"),
        ("make-root: *\nmake-root: *\nmake-root: wrongword\n*: *\n", "room/out"),
        ("take-in: *\ntake-in: wrongword\n*: *\n", "room/stick-1"),
        ("certify-ci-2026: Cleo Example\n*: *\n", "room/out/ci-2026.cwt"),
        ("first-list: Bob Example\n*: *\n", "room/out/list.cwt"),
    ] {
        let _absent = std::fs::remove_dir_all(workshop.path("room"));
        workshop.write("answers", answers.as_bytes());
        assert_eq!(fails(&workshop, RUN), ("ceremony-not-confirmed".into(), 4), "{answers}");
        assert!(!workshop.path(made).exists(), "{answers}");
        let transcript = text(&workshop, "room/transcript.jsonl");
        assert!(transcript.contains("not-confirmed") && !transcript.contains("wrongword"), "{answers}");
    }
    workshop.write("answers", b"*: *\nseal: Bob Example\n");
    workshop.ok(&split(RUN));
    assert_eq!(fails(&workshop, SEAL), ("ceremony-not-confirmed".into(), 4));
    assert!(!workshop.path("room/seal.cwt").exists());
}

/// What comes in is not what the plan expects: nothing of it is taken.
#[test]
fn another_key_and_another_bundle_do_not_come_in() {
    let workshop = desk();
    let no_bundle = RUN.replace(" --in in.tar", "");
    assert_eq!(fails(&workshop, &no_bundle), ("ceremony-input-missing".into(), 2));
    let good = workshop.read("in.tar");
    workshop.key("thief");
    std::fs::create_dir(workshop.path("forged")).unwrap();
    std::fs::copy(workshop.path("thief.cose"), workshop.path("forged/ci.cose")).unwrap();
    workshop.ok(&split("ceremony pack forged/ci.cose --out in.tar --force"));
    assert_eq!(fails(&workshop, RUN), ("fingerprint-mismatch".into(), 5));
    workshop.ok(&split("ceremony pack thief.cose --out in.tar --force"));
    assert_eq!(fails(&workshop, RUN), ("ceremony-input-missing".into(), 2));
    for (at, code) in [(700, "bundle-invalid"), (good.len() - 1, "bundle-invalid")] {
        let mut other = good.clone();
        other[at] ^= 1;
        workshop.write("in.tar", &other);
        assert_eq!(fails(&workshop, RUN), (code.into(), 5));
    }
    assert!(!workshop.path("room/in").exists());
    assert_eq!(
        workshop.refused(&split("ceremony pack ci.pem --out no.tar")),
        ("usage".into(), 2),
        "a private key"
    );
    assert_eq!(
        workshop.refused(&split("ceremony pack ci.cose ci.cose --out no.tar")),
        ("bundle-invalid".into(), 5)
    );

    // It came in; then somebody changes it where it lies, or brings another bundle.
    workshop.write("in.tar", &good);
    workshop.write("answers", b"make-root: nobody\n*: *\n");
    assert_eq!(fails(&workshop, RUN).0, "ceremony-not-confirmed");
    workshop.write("answers", b"*: *\n");
    workshop.ok(&split("ceremony pack ci.cose thief.cose --out in.tar --force"));
    assert_eq!(fails(&workshop, RUN), ("ceremony-other-bundle".into(), 5));
    std::fs::copy(workshop.path("thief.cose"), workshop.path("room/in/ci.cose")).unwrap();
    assert_eq!(fails(&workshop, &no_bundle), ("fingerprint-mismatch".into(), 5));
    assert!(!workshop.path("room/out/ci-2026.cwt").exists());
    // And the plan is not exchanged on the way.
    let plan = text(&workshop, "plan.toml").replace("ci 2026", "ci 2027");
    workshop.write("plan.toml", plan.as_bytes());
    assert_eq!(workshop.refused(&split(RUN)), ("ceremony-other-plan".into(), 2));
}

/// A key that lies there before the step, or another one that comes in its place, is not taken for the one that was made.
#[test]
fn a_key_that_the_ceremony_did_not_make_is_not_used() {
    let workshop = desk();
    std::fs::create_dir_all(workshop.path("room/stick-1")).unwrap();
    std::fs::copy(workshop.path("ci.pem"), workshop.path("room/stick-1/root.pem")).unwrap();
    assert_eq!(fails(&workshop, RUN), ("file-exists".into(), 2));
    std::fs::remove_file(workshop.path("room/stick-1/root.pem")).unwrap();
    workshop.write("answers", b"begin-root: nobody\n*: *\n");
    assert_eq!(fails(&workshop, RUN).0, "ceremony-not-confirmed");
    workshop.write("answers", b"*: *\n");
    std::fs::copy(workshop.path("ci.pem"), workshop.path("room/stick-1/root.pem")).unwrap();
    assert_eq!(fails(&workshop, RUN), ("fingerprint-mismatch".into(), 5));
    // While the step is not done: one without a passphrase, where the ceremony would have encrypted it.
    let other = desk();
    other.write("answers", b"make-root: *\nmake-root: Bob Example\nmake-root: no\n*: *\n");
    let encrypted = RUN.replace("--no-passphrase", "--passphrase-file passphrase --weak-passphrase");
    assert_eq!(fails(&other, &encrypted).0, "ceremony-not-confirmed");
    other.write("room/stick-1/root.pem", &workshop.read("ci.pem"));
    other.write("answers", b"*: *\n");
    assert_eq!(fails(&other, &encrypted), ("file-exists".into(), 2));
}

/// Whatever is changed in a transcript afterwards, or in the files of a ceremony, is found.
#[test]
fn a_ceremony_that_was_changed_proves_nothing() {
    let workshop = sealed();
    let whole = text(&workshop, "room/transcript.jsonl");
    let lines: Vec<&str> = whole.lines().collect();
    let refused = |content: String, code: &str| {
        workshop.write("room/transcript.jsonl", content.as_bytes());
        assert_eq!(workshop.refused(&split(VERIFY)).0, code, "{content}");
        workshop.write("room/transcript.jsonl", whole.as_bytes());
    };
    let damaged = "transcript-damaged";
    let join = |lines: &[&str]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    for place in 0..lines.len() {
        let without = [&lines[..place], &lines[place + 1..]].concat();
        // Without its last line it has no end.
        refused(join(&without), if place + 1 == lines.len() { "ceremony-not-sealed" } else { damaged });
    }
    refused(whole.replacen("\"person\":\"Bob Example\"", "\"person\":\"Eve Example\"", 1), damaged);
    refused(whole.replacen("\"line\":2,", "\"line\": 2,", 1), damaged);
    refused(whole.replacen("\"line\":2,", "\"line\":2,\"more\":1,", 1), damaged);
    refused(format!("{whole}{}\n", lines[1]), damaged);
    refused(whole[..whole.len() - 1].to_owned(), damaged);
    refused(String::new(), damaged);
    let swapped = [&lines[..3], &[lines[4], lines[3]], &lines[5..]].concat();
    refused(join(&swapped), damaged);

    for (name, code) in [
        ("out/ci-2026.cwt", "ceremony-file"),
        ("out/root-2026.cose", "ceremony-file"),
        ("in/ci.cose", "ceremony-file"),
        ("plan.toml", "ceremony-file"),
        ("seal.cwt", "signature-invalid"),
        ("ledgers/root-2026/000002-credential.cwt", "ledger-damaged"),
    ] {
        let path = format!("room/{name}");
        let good = workshop.read(&path);
        let mut other = good.clone();
        *other.last_mut().unwrap() ^= 1;
        workshop.write(&path, &other);
        // The anchor comes from elsewhere.
        workshop.write("anchor.cose", if name == "out/root-2026.cose" { &good } else { &[] });
        let line =
            if name == "out/root-2026.cose" { "ceremony verify room --anchor anchor.cose" } else { VERIFY };
        assert_eq!(workshop.refused(&split(line)).0, code, "{name}");
        workshop.write(&path, &good);
    }
    std::fs::remove_file(workshop.path("room/in/ci.cose")).unwrap();
    assert_eq!(workshop.refused(&split(VERIFY)).0, "file-read");
    workshop.write("room/in/ci.cose", &workshop.read("ci.cose"));
    workshop.ok(&split(VERIFY));

    // A whole ceremony of somebody else, and the ledger without this one.
    assert_eq!(workshop.refused(&split("ceremony verify room --anchor ci.cose")).0, "anchor-unknown");
    std::fs::remove_file(workshop.path("room/ledgers/root-2026/head.json")).unwrap();
    assert_eq!(workshop.refused(&split(VERIFY)).0, "ceremony-file");
    assert_eq!(workshop.refused(&split("ceremony verify nowhere --anchor ci.cose")).0, "ceremony-absent");
}

/// The root signs what it is given: a transcript that somebody wrote by hand still has to have each step of its plan.
#[test]
fn the_end_of_another_transcript_is_not_this_one() {
    let (one, other) = (sealed(), desk());
    one.write("room/seal.cwt", b"");
    assert_eq!(one.refused(&split(VERIFY)).0, "record-malformed");
    // That of another ceremony of the same root.
    std::fs::create_dir_all(other.path("room")).unwrap();
    drop(other);
    let twice = sealed();
    let seal = twice.read("room/seal.cwt");
    let second =
        PLAN.split("[root]").next().unwrap().replace("first-list = true\n", "").replace("\"office\"", "");
    let root = format!(
        "{second}\n[root]\nname = \"root 2026\"\nholder = \"Ada Example\"\nkept = \"k\"\nkey = \"../room/stick-1/root.pem\"\n\
         fingerprint = \"{}\"\nledger = \"../room/stick-1/ledger\"\n",
        fingerprint(&twice, "room/out/root-2026.cose")
    );
    twice.write("second.toml", root.as_bytes());
    twice.ok(&split("ceremony run second.toml --dir second --answers answers"));
    twice.ok(&split("ceremony seal second --answers answers"));
    twice.write("second/seal.cwt", &seal);
    let refused = twice.refused(&split("ceremony verify second --anchor room/out/root-2026.cose"));
    assert_eq!(refused, ("ceremony-file".into(), 5));
}

#[test]
fn one_program_at_a_time_is_in_the_room() {
    let workshop = desk();
    workshop.ok(&split(RUN));
    let lock = std::fs::File::options().write(true).open(workshop.path("room/.lock")).unwrap();
    lock.try_lock().unwrap();
    assert_eq!(workshop.refused(&split(SEAL)), ("ceremony-in-use".into(), 3));
    drop(lock);
    let back = format!("{SEAL} --now 2001-01-01T00:00:00Z");
    assert_eq!(workshop.refused(&split(&back)), ("usage".into(), 2), "before the last line");
    workshop.ok(&split(SEAL));
}

/// No byte string that is secret is in what a ceremony writes or shows, beside the keys and the pages of shares.
#[test]
fn no_secret_is_in_what_a_ceremony_leaves() {
    let workshop = desk();
    let words = "reading glasses under a quiet bridge";
    workshop.write("passphrase", format!("{words}\n").as_bytes());
    let run = RUN.replace("--no-passphrase", "--passphrase-file passphrase");
    let mut shown = String::new();
    // Somebody types the passphrase where a name is asked for.
    workshop.write("answers", format!("begin-root: {words}\n*: *\n").as_bytes());
    let mut go = |line: &str| {
        let run = workshop.run(&split(line));
        shown.push_str(&run.stdout);
        shown.push_str(&run.stderr);
        run.exit
    };
    assert_eq!(go(&run), 4);
    workshop.write("answers", b"*: *\n");
    assert_eq!(go(&run), 0);
    assert_eq!(go(&format!("{SEAL} --passphrase-file passphrase")), 0);
    assert_eq!(go(VERIFY), 0);

    let mut secrets = vec![words.as_bytes().to_vec()];
    for key in ["stick-1/root", "stick-3/recovery", "line/issuing"] {
        workshop.ok(&split(&format!(
            "key convert room/{key}.pem --passphrase-file passphrase --to pkcs8-der --no-passphrase --out plain.der"
        )));
        let der = workshop.read("plain.der");
        std::fs::remove_file(workshop.path("plain.der")).unwrap();
        let seed = &der[der.len() - 32..];
        let base64 = base64ct::Base64::encode_string(seed);
        secrets.extend([
            seed.to_vec(),
            hex::encode(seed).into_bytes(),
            hex::encode_upper(seed).into_bytes(),
            base64.trim_end_matches('=').as_bytes().to_vec(),
            base64ct::Base64::encode_string(&der).into_bytes(),
        ]);
    }
    let files = workshop.snapshot().into_iter().filter(|(path, _)| {
        let name = path.display().to_string();
        !name.contains("/print/") && !name.ends_with("/passphrase")
    });
    let all = files.chain([("what was shown".into(), shown.into_bytes())]);
    let mut looked = 0;
    for (path, content) in all {
        looked += 1;
        for secret in &secrets {
            let found = content.windows(secret.len()).any(|window| window == secret);
            assert!(!found, "{} has {}", path.display(), String::from_utf8_lossy(secret));
        }
    }
    assert!(looked > 40, "{looked}");
}
