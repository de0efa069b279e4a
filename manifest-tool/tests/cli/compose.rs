//! `compose`: descriptions of envelopes in TOML. Those of the drafts' examples make the very manifests that were published.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use suit_manifest::argument::DigestAlgorithm;
use suit_manifest::author::tree::{ArgumentTree, CommandTree, EnvelopeTree};
use suit_manifest::vocabulary::{CommandCode, ManifestElement, ParameterKey};

use super::workshop::{Workshop, split};

/// What the examples of draft-ietf-suit-manifest-37, appendix B, have in common.
const IDENTITY: &str = r#"
vendor-id = "fa6b4a53-d5ad-5fdf-be9d-e663e4d41ffe"
class-id = "1492af14-2569-5e48-bf42-9b2d51f2ab45"
"#;
const FIRST: &str = r#"
image-digest = { sha-256 = "00112233445566778899aabbccddeeff0123456789abcdeffedcba9876543210" }
image-size = 34768
"#;
const SECOND: &str = r#"
image-digest = { sha-256 = "0123456789abcdeffedcba987654321000112233445566778899aabbccddeeff" }
image-size = 76834
"#;

/// An inline table of lines of `key = value`.
fn inline(lines: &str) -> String {
    let lines: Vec<&str> = lines.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    format!("{{ {} }}", lines.join(", "))
}

fn composed(workshop: &Workshop, description: &str) -> Value {
    workshop.write("d.toml", description.as_bytes());
    workshop.ok(&split("compose d.toml --out e.suit --force"))
}

/// Digests of the manifests of examples 0 to 5, as the draft prints them.
#[test]
fn the_examples_of_the_draft_are_composed_to_the_bit() {
    let workshop = Workshop::new();
    let shared = |parameters: &str| {
        let parameters = inline(&format!("{IDENTITY}{parameters}"));
        format!("{{ override-parameters = {parameters} }}, \"vendor-identifier\", \"class-identifier\"")
    };
    let head = |number: u64, components: &str| {
        format!("format = 1\nsequence-number = {number}\ncomponents = {components}\n")
    };
    let one = r#"[[{ hex = "00" }]]"#;
    let validate_and_invoke = "validate = [\"image-match\"]\ninvoke = [\"invoke\"]\n";
    let fetch =
        |uri: &str| format!(r#"{{ override-parameters = {{ uri = "{uri}" }} }}, "fetch", "image-match""#);
    let example_0 =
        format!("{}[sequences]\nshared = [{}]\n{validate_and_invoke}", head(0, one), shared(FIRST));
    let example_1 = format!(
        "{}[sequences]\nshared = [{}]\nvalidate = [\"image-match\"]\ninstall = [{}]\n",
        head(1, one),
        shared(FIRST),
        fetch("http://example.com/file.bin")
    );
    let text = "\
[text.en-US]
manifest-description = '''## Example 2: Simultaneous Download, Installation, Secure Boot, Severed Fields

    This example covers the following templates:
    
    * Compatibility Check ({{template-compatibility-check}})
    * Secure Boot ({{template-secure-boot}})
    * Firmware Download ({{firmware-download-template}})
    
    This example also demonstrates severable elements ({{ovr-severable}}), and text ({{manifest-digest-text}}).'''
[[text.en-US.component]]
id = [{ hex = \"00\" }]
vendor-domain = \"arm.com\"
component-description = \"This component is a demonstration. The digest is a sample pattern, not a real one.\"
";
    let example_2 = format!(
        "{}reference-uri = \"https://git.io/JJYoj\"\nsevered = [\"install\", \"text\"]\n{text}[sequences]\nshared = [{}]\n\
         {validate_and_invoke}install = [{}]\n",
        head(2, one),
        shared(FIRST),
        fetch("http://example.com/very/long/path/to/file/file.bin")
    );
    let slot = |number: u64, parameters: &str| {
        let parameters = inline(parameters);
        format!(
            "[{{ override-parameters = {{ component-slot = {number} }} }}, {{ component-slot = 5 }}, \
             {{ override-parameters = {parameters} }}]"
        )
    };
    let example_3 = format!(
        "{}[sequences]\nshared = [{{ override-parameters = {} }}, {{ try-each = [{}, {}] }}, \"vendor-identifier\", \
         \"class-identifier\"]\nvalidate = [\"image-match\"]\ninstall = [{{ try-each = [{}, {}] }}, \"fetch\", \"image-match\"]\n",
        head(3, one),
        inline(IDENTITY),
        slot(0, FIRST),
        slot(1, SECOND),
        slot(0, r#"uri = "http://example.com/file1.bin""#),
        slot(1, r#"uri = "http://example.com/file2.bin""#)
    );
    let select = |index: u64| format!("{{ set-component-index = {index} }}");
    let with = |parameters: &str| format!("{{ override-parameters = {} }}", inline(parameters));
    let example_4 = format!(
        "{}[sequences]\nshared = [{}, {}]\nvalidate = [{}, \"image-match\"]\nload = [{}, {}, \"copy\", \"image-match\"]\n\
         invoke = [{}, \"invoke\"]\npayload-fetch = [{}, {}, \"fetch\", \"image-match\"]\n\
         install = [{}, {}, \"copy\", \"image-match\"]\n",
        head(4, r#"[[{ hex = "00" }], [{ hex = "02" }], [{ hex = "01" }]]"#),
        select(0),
        shared(FIRST),
        select(0),
        select(2),
        with(&format!("{SECOND}source-component = 0")),
        select(2),
        select(1),
        with(&format!("{}uri = \"http://example.com/file.bin\"", FIRST.replace("image-size = 34768", ""))),
        select(0),
        with("source-component = 1")
    );
    let example_5 = format!(
        "{}[sequences]\nshared = [{}, {}, {}, {}]\nvalidate = [{}, \"image-match\", {}, \"image-match\"]\n\
         invoke = [{}, \"invoke\"]\ninstall = [{}, {}, {}, {}]\n",
        head(5, r#"[[{ hex = "00" }], [{ hex = "01" }]]"#),
        select(0),
        shared(FIRST),
        select(1),
        with(SECOND),
        select(0),
        select(1),
        select(0),
        select(0),
        fetch("http://example.com/file1.bin"),
        select(1),
        fetch("http://example.com/file2.bin")
    );
    for (description, digest) in [
        (example_0, "6658ea560262696dd1f13b782239a064da7c6c5cbaf52fded428a6fc83c7e5af"),
        (example_1, "1f2e7acca0dc2786f2fe4eb947f50873a6a3cfaa98866c5b02e621f42074daf2"),
        (example_2, "6a5197ed8f9dccf733d1c89a359441708e070b4c6dcb9a1c2c82c6165f609b90"),
        (example_3, "f6d44a62ec906b392500c242e78e908e9cc5057f3f04104a06a8566200da2ee0"),
        (example_4, "5b5f6586b1e6cdf19ee479a5adabf206581000bd584b0832a9bdaf4f72cdbdd6"),
        (example_5, "15ce60f77657e4531dc329155f8b0ed78f94bdc6d165b2665473693dcc34f470"),
    ] {
        let made = composed(&workshop, &description);
        let edn = workshop.run(&split("inspect e.suit --edn")).stdout;
        assert_eq!(made["manifest_digest"], json!(digest), "{description}\n{edn}");
    }
}

/// Those of suit-trust-domains, appendix B, and of suit-firmware-encryption, section 10.
#[test]
fn the_examples_of_the_other_drafts_are_composed_to_the_bit() {
    const DEPENDENT: &str = r#"
format = 1
sequence-number = 0
components = [["00"]]
component-id = ["dependent.suit"]
[sequences]
invoke = [{ override-parameters = { invoke-args = { text = "cat 00" } } }, { invoke = 15 }]
install = [{ override-parameters = { content = { text = "hello world" } } }, { write = 15 }]
"#;
    const FETCHED: &str = r#"
format = 1
sequence-number = 0
components = [["10"]]
component-id = ["depending.suit"]
dependencies = { 1 = { prefix = ["dependent.suit"] } }
[sequences]
dependency-resolution = [
    { set-component-index = 1 },
    { override-parameters = {
        image-digest = { sha-256 = "0f02caf6d3e61920d36bf3cea7f862a13bb8fb1f09c3f4c29b121feab78ef3d8" },
        image-size = 190,
        uri = "http://example.com/dependent.suit",
    } },
    "fetch",
    "image-match",
]
install = [
    { set-component-index = 1 },
    { override-parameters = {
        image-digest = { sha-256 = "0f02caf6d3e61920d36bf3cea7f862a13bb8fb1f09c3f4c29b121feab78ef3d8" },
    } },
    "dependency-integrity",
    { process-dependency = 0 },
    { set-component-index = 0 },
    { override-parameters = { content = { text = " in multiple trust domains" } } },
    { write = 15 },
]
invoke = [
    { set-component-index = 0 },
    { override-parameters = { invoke-args = { text = "cat 00 10" } } },
    { invoke = 15 },
]
"#;
    const KEY_WRAP: &str = r#"
format = 1
sequence-number = 1
components = [[{ hex = "00" }], [{ hex = "01" }]]
[sequences]
install = [
    { set-component-index = 1 },
    { override-parameters = { image-size = 46, uri = "coaps://example.com/encrypted-firmware" } },
    { fetch = 15 },
    { set-component-index = 0 },
    { override-parameters = { source-component = 1, encryption-info = { hex = "d8608443a10101a1054cf14aab9d81d51f7ad943fe87f6818340a2012204456b69642d31581875603ffc9518d794713c8ca8a115a7fb32565a6d59534d62" } } },
    { copy = 15 },
]
"#;
    const AGREED: &str = r#"
format = 1
sequence-number = 1
components = [["decrypted-firmware"]]
[sequences]
install = [
    { set-component-index = 0 },
    { override-parameters = { content = { hex = "758c4b7bbae2c4c1d462423e0f0dc3164ffa7b85bb94d4bd6d7ed26ab32feb063385d4d3465927ec82cb5e198a59" }, encryption-info = { hex = "d8608443a10101a1054cf14aab9d81d51f7ad943fe87f6818344a101381ca220a40102200121582073024f415aa51529a66ccefd88f3f62a734492ff45f6ad37fd2888e73eaf19da2258204005b48a6fd091aa6abfe3cfbeede88b347e521d43405fdbd7d2cff0ebc21b2604456b69642d325818a06b8e6550f308712b1df044b21b7d11d9b22792f1de0997" } } },
    { write = 15 },
]
"#;
    let workshop = Workshop::new();
    workshop.write("dependent.suit", b"what a dependency is, its author says");
    let install = FETCHED.find("install = [").unwrap();
    let (before, after) = FETCHED.split_at(install);
    let from = after.find("    { override-parameters = {\n        image-digest").unwrap();
    let to = after.find("    { process-dependency").unwrap();
    let integrated = format!(
        "{}{}{}[integrated]\n\"#dependent.suit\" = {{ file = \"dependent.suit\" }}\n",
        before.replace("http://example.com/dependent.suit", "#dependent.suit"),
        &after[..from],
        &after[to..]
    );
    for (description, digest) in [
        (DEPENDENT, "0f02caf6d3e61920d36bf3cea7f862a13bb8fb1f09c3f4c29b121feab78ef3d8"),
        (FETCHED, "aeba316a9a1e38253b29e6c99b60538368b8ac8b5e6b9ace1d239970830bbe62"),
        (&integrated, "88e1199580864eb1d1ad35eb5925be68ca565ee3bb39c27cdb31ceda4dd667df"),
        (KEY_WRAP, "6d74bd3110a2573236e03dd78693d5b21c299c917a4327d9939ddf3582a41de3"),
        (AGREED, "1db69ef1477e9942815f29f78e09957b26b4add03902bdb3d1edf3da2075f593"),
    ] {
        let made = composed(&workshop, description);
        let edn = workshop.run(&split("inspect e.suit --edn")).stdout;
        assert_eq!(made["manifest_digest"], json!(digest), "{description}\n{edn}");
    }
}

/// What the drafts number, all of it, and something custom.
const EVERYTHING: &str = r##"
format = 1
digest = "sha-512"
sequence-number = 0x10
reference-uri = "https://example.com/1"
component-id = ["main"]
set-version = "1.2.3"
components = [["app"], ["config"], [{ hex = "ff" }]]
dependencies = { 1 = {}, 2 = { prefix = ["low", "lower"] } }
severed = ["dependency-resolution", "payload-fetch", "candidate-verification", "install", "text", "coswid"]
coswid = { hex = "a0" }
[sequences]
shared = [
    { set-component-index = 0 },
    { override-parameters = {
        vendor-id = "example.com",
        class-id = "node",
        device-id = { serial = "A-1" },
        image-digest = { file = "image.bin", algorithm = "shake128" },
        image-size = { file = "image.bin" },
        use-before = 2000000000,
        component-slot = 1,
        strict-order = true,
        soft-failure = false,
        content = { text = "x" },
        encryption-info = { hex = "d8608443a10101a0f680" },
        uri = { file = "image.bin" },
        source-component = 1,
        invoke-args = { hex = "00ff" },
        fetch-arguments = { file = "image.bin" },
        minimum-battery = 5,
        update-priority = -3,
        version = ">= 1.2.-1",
        wait-info = { authorization = 1, power = 2, network = 3, other-device-version = { device = { text = "d" }, versions = ["< 2", "= 1.1"] }, time = 5, time-of-day = 6, day-of-week = 0, time-of-day-utc = 8, day-of-week-utc = 1 },
        component-metadata = { hex = "a10118c0" },
    } },
    { set-component-index = true },
    { override-parameters = { vendor-id = { pen = 32473 } } },
    { set-component-index = [0, 2] },
    { set-parameters = { soft-failure = true } },
    { override-multiple = { 0 = { component-slot = 0 }, 2 = { image-size = 7 } } },
    { copy-params = { 0 = ["image-digest", "image-size"] } },
    "vendor-identifier", "class-identifier", "device-identifier", "component-slot", "check-content", "use-before",
    "dependency-integrity", "is-dependency", { image-not-match = 0 }, "minimum-battery", "update-authorized", "version",
    { try-each = [["image-match"], ["abort"], "nothing"] },
    { run-sequence = ["image-match"] },
]
dependency-resolution = ["fetch"]
payload-fetch = ["wait", "swap", { -5 = { hex = "01" } }, { override-parameters = { -300 = { hex = "f5" } } }]
candidate-verification = ["image-match"]
install = ["process-dependency", "write", "copy", "unlink"]
validate = ["image-match"]
load = ["copy"]
invoke = ["invoke"]
uninstall = ["unlink"]
[text.en]
manifest-description = "a"
update-description = "b"
manifest-json-source = "c"
manifest-yaml-source = "d"
[[text.en.component]]
id = ["config"]
current-version = "1"
[[text.en.component]]
id = ["app"]
vendor-name = "a"
model-name = "b"
vendor-domain = "c"
model-info = "d"
component-description = "e"
component-version = "1.2.3"
version-required = "1.0"
[text.de-DE]
update-description = "x"
[integrated]
"#second" = { text = "22" }
"#app" = { file = "image.bin" }
"##;

#[test]
fn everything_that_the_drafts_number_can_be_described() {
    fn collect(commands: &[CommandTree<'_>], codes: &mut BTreeSet<i64>, keys: &mut BTreeSet<i64>) {
        for CommandTree { code, argument, .. } in commands {
            codes.insert(*code);
            match argument {
                ArgumentTree::Parameters(parameters) => keys.extend(parameters.iter().map(|one| one.key)),
                ArgumentTree::Sequence(commands) => collect(commands, codes, keys),
                ArgumentTree::Alternatives(all) => {
                    all.iter().flatten().for_each(|commands| collect(commands, codes, keys));
                }
                _ => {}
            }
        }
    }
    let workshop = Workshop::new();
    workshop.write("image.bin", b"image");
    let made = composed(&workshop, EVERYTHING);
    assert_eq!((&made["sequence"], &made["components"]), (&json!(16), &json!(3)));
    assert_eq!(made["files"].as_array().unwrap().len(), 1);
    let envelope = workshop.read("e.suit");
    let tree = EnvelopeTree::read(&envelope).unwrap();
    let manifest = &tree.manifest;
    let (mut codes, mut keys) = (BTreeSet::new(), BTreeSet::new());
    collect(manifest.shared.as_ref().unwrap(), &mut codes, &mut keys);
    for (_, section) in &manifest.sections {
        collect(section.content().unwrap(), &mut codes, &mut keys);
    }
    let all: BTreeSet<i64> = CommandCode::ALL.iter().map(|code| code.number()).chain([-5]).collect();
    assert_eq!(codes, all);
    let all: BTreeSet<i64> = ParameterKey::ALL.iter().map(|key| key.number()).chain([-300]).collect();
    assert_eq!(keys, all);
    let sections: Vec<_> = manifest.sections.iter().map(|(element, _)| *element).collect();
    let sequences = ManifestElement::ALL.iter().copied().filter(|element| element.is_sequence());
    assert_eq!(sections, sequences.collect::<Vec<_>>());
    assert_eq!(tree.digest.algorithm(), DigestAlgorithm::Sha512);
    let uris: Vec<_> = tree.integrated.iter().map(|member| (member.uri, member.content.bytes)).collect();
    assert_eq!(uris, [("#app", &b"image"[..]), ("#second", b"22")]);
    // What people see of it has each of the names, and leads back to the bytes.
    let shown = workshop.run(&split("inspect e.suit")).stdout;
    for word in ["wait", "override-multiple", "112(81fd59)", "coswid", "uninstall", "de-DE"] {
        assert!(shown.contains(word), "{word}: {shown}");
    }
    // What our devices do not run is said at once.
    let findings = made["findings"].as_array().unwrap();
    assert!(findings.len() > 10, "{findings:?}");
    assert_eq!(workshop.run(&split("lint e.suit")).exit, 6);
}

#[test]
fn a_description_that_is_not_understood_names_its_line() {
    let workshop = Workshop::new();
    workshop.write("image.bin", b"image");
    for (from, to, line, says) in [
        ("format = 1", "format = 2", 2, "format 1"),
        ("format = 1", "format = 1\nformat = 1", 3, "duplicate key"),
        ("sequence-number = 0x10", "", 1, "sequence-number is missing"),
        ("sequence-number = 0x10", "sequence-number = -1", 4, "0 to 2^64-1"),
        ("sequence-number = 0x10", "sequence-number = \"1\"", 4, "of type string"),
        ("\"sha-512\"", "\"md5\"", 3, "none of sha-256, sha-384"),
        ("reference-uri", "reference", 5, "not known here"),
        ("\"1.2.3\"\ncomponents", "\"1.2.x\"\ncomponents", 7, "no version"),
        ("\"coswid\"]", "\"coswid\", \"validate\"]", 10, "cannot be severed"),
        ("coswid = { hex = \"a0\" }", "", 10, "no coswid to be severed"),
        ("[{ hex = \"ff\" }]", "[{ hex = \"f\" }]", 8, "hexadecimal"),
        ("dependencies = { 1", "dependencies = { x", 9, "no index"),
        ("class-id = \"node\",", "class = \"node\",", 17, "a number below 0"),
        ("vendor-id = \"example.com\",", "vendor-id = \"Example.com\",", 16, "a vendor is"),
        ("vendor-id = \"example.com\",\n", "", 16, "needs vendor-id beside it"),
        ("serial = \"A-1\"", "serial = \"unprovisioned\"", 18, "no serial"),
        ("algorithm = \"shake128\"", "algorithm = \"sha1\"", 19, "none of sha-256"),
        ("\"#second\" = { text", "\"#second\" = { word", 76, "none of hex, text, file"),
        ("version = \">= 1", "version = \"~ 1", 33, "begins with none of"),
        ("soft-failure = false", "soft-failure = 0", 24, "true or false is required"),
        ("{ set-component-index = true }", "{ set-component-index = false }", 37, "true, or a list"),
        ("{ set-component-index = true }", "\"set-component-index\"", 37, "has an argument"),
        ("{ set-component-index = true }", "{ fetch = 2, copy = 2 }", 37, "one entry"),
        ("{ image-not-match = 0 }", "{ image-not-match = 16 }", 44, "0 to 15"),
        ("\"minimum-battery\",", "\"battery\",", 44, "no command \"battery\""),
        ("[\"image-digest\", \"image-size\"]", "[\"digest\"]", 42, "no parameter \"digest\""),
        ("{ -5 =", "{ 5 =", 49, "a number below 0"),
        ("load = [", "loads = [", 53, "no sequence \"loads\""),
        ("uninstall = [", "text = [", 55, "no sequence \"text\""),
        ("{ -5 = { hex = \"01\" } }", "{ -5 = { hex = \"01ff\" } }", 49, "one item of CBOR"),
        ("{ -5 = { hex = \"01\" } }", "{ -5 = { hex = \"1801\" } }", 49, "deterministic"),
        ("coswid = { hex = \"a0\" }", "coswid = { hex = \"\" }", 11, "one item of CBOR"),
        ("{ hex = \"a10118c0\" }", "{ hex = \"bf0118c0ff\" }", 35, "one item of CBOR"),
        ("dependencies = { 1 =", "dependencies = { 02 =", 9, "no index"),
        ("2 = { image-size = 7 }", "00 = { image-size = 7 }", 41, "no index"),
        ("{ -5 =", "{ -05 =", 49, "32 bits"),
        ("authorization = 1", "authorisation = 1", 34, "no event"),
        ("model-info", "model", 69, "not known here"),
    ] {
        assert!(EVERYTHING.contains(from), "{from}");
        workshop.write("d.toml", EVERYTHING.replacen(from, to, 1).as_bytes());
        let run = workshop.run(&split("--json compose d.toml --out e.suit"));
        let error = &run.object()["error"];
        let message = error["message"].as_str().unwrap();
        assert_eq!((run.exit, &error["code"]), (5, &json!("description-invalid")), "{to}: {message}");
        assert!(
            message.contains(&format!("line {line} of d.toml")) && message.contains(says),
            "{to}: {message}"
        );
        assert!(!workshop.path("e.suit").exists(), "{to}");
    }
    // An envelope is for everybody.
    let keys = super::personalize::desk();
    keys.key("release");
    for name in ["release.pem", "master.key", "batch/A-0001.block"] {
        let description = EVERYTHING
            .replace("\"#app\" = { file = \"image.bin\" }", &format!("\"#app\" = {{ file = \"{name}\" }}"));
        keys.write("image.bin", b"image");
        keys.write("d.toml", description.as_bytes());
        let run = keys.run(&split("--json compose d.toml --out e.suit"));
        let message = run.object()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains("is for everybody") && message.contains(name), "{message}");
        let create = format!(
            "create --image {name} --image-format bin --allow-non-firmware --vendor v --class c --sequence 1 --version 1 --out e \
             --image-out i"
        );
        assert_eq!(keys.refused(&split(&create)), ("image-unusable".into(), 5), "{name}");
    }
    // A file that is not there is named, and what the documents do not allow is told by its rule.
    let refused = |from: &str, to: &str| {
        workshop.write("d.toml", EVERYTHING.replacen(from, to, 1).as_bytes());
        workshop.refused(&split("compose d.toml --out e.suit"))
    };
    assert_eq!(
        refused("{ file = \"image.bin\" },\n        use", "{ file = \"absent\" },\n        use").0,
        "file-read"
    );
    assert_eq!(
        refused("\"vendor-identifier\", \"class", "\"fetch\", \"class"),
        ("command-not-shared".into(), 5)
    );
    workshop.write("d.toml", &[0xff, 0xfe]);
    assert_eq!(workshop.refused(&split("compose d.toml --out e.suit")).0, "description-invalid");
    workshop.write("d.toml", EVERYTHING.as_bytes());
    assert_eq!(workshop.refused(&split("compose d.toml --out d.toml --force")), ("same-file".into(), 2));
    assert_eq!(workshop.refused(&split("compose d.toml --out image.bin --force")), ("same-file".into(), 2));
}
