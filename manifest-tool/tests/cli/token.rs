//! Keys in a token: a real SoftHSM2, and a module in front of it that misbehaves (`faulty.c`).

use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::workshop::{Run, Workshop, finish, split};

/// Where Debian installs SoftHSM2.
const SOFTHSM: &str = "/usr/lib/softhsm/libsofthsm2.so";
const PIN: &str = "1234";
const ROOT: &str = "pkcs11:token=anchorage;object=root";

/// A workshop with a token beside it.
pub(super) struct Token {
    pub(super) workshop: Workshop,
    folder: tempfile::TempDir,
}

impl Token {
    /// A token named `anchorage` with the user PIN [`PIN`], which the file `pin` holds.
    fn new() -> Self {
        let token = Self::empty();
        token.initialize("anchorage");
        token
    }

    /// No token yet, but a place for it, and the file `pin`.
    pub(super) fn empty() -> Self {
        let token = Self { workshop: Workshop::new(), folder: tempfile::tempdir().unwrap() };
        std::fs::create_dir(token.tokens()).unwrap();
        let configuration =
            format!("directories.tokendir = {}\nlog.level = ERROR\n", token.tokens().display());
        std::fs::write(token.configuration(), configuration).unwrap();
        token.workshop.write("pin", PIN.as_bytes());
        token
    }

    pub(super) fn configuration(&self) -> PathBuf {
        self.folder.path().join("softhsm2.conf")
    }

    fn tokens(&self) -> PathBuf {
        self.folder.path().join("tokens")
    }

    /// Makes a token; a machine without SoftHSM2 fails here.
    fn initialize(&self, label: &str) {
        let mut command = Command::new("softhsm2-util");
        command.args(["--init-token", "--free", "--label", label, "--so-pin", "12345678", "--pin", PIN]);
        command.env("SOFTHSM2_CONF", self.configuration()).stdin(Stdio::null());
        let run = finish(command);
        assert_eq!(run.exit, 0, "{run:?}");
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.workshop.command(&[&["--json"], arguments].concat());
        command.env("SOFTHSM2_CONF", self.configuration());
        command.env("ANCHORAGE_PKCS11_MODULE", SOFTHSM).env_remove("ANCHORAGE_PIN_FILE");
        command
    }

    fn run(&self, arguments: &[&str]) -> Run {
        finish(self.command(arguments))
    }

    fn ok(&self, line: &str) -> serde_json::Value {
        let run = self.run(&split(line));
        assert_eq!(run.exit, 0, "{line}: {run:?}");
        run.object()
    }

    /// Fails, and changes no file.
    fn refused(&self, line: &str) -> Run {
        let before = self.workshop.snapshot();
        let run = self.run(&split(line));
        assert_eq!(self.workshop.snapshot(), before, "{line}");
        run
    }

    fn generate(&self, uri: &str) -> serde_json::Value {
        self.ok(&format!("key generate --key {uri} --pin-file pin"))
    }

    /// The module of `faulty.c`.
    fn faulty(&self) -> PathBuf {
        let (source, module) = (Path::new("tests/cli/token/faulty.c"), self.folder.path().join("faulty.so"));
        let mut command = Command::new("gcc");
        command.args(["-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-Wno-cast-function-type", "-o"]);
        command.arg(&module).arg(source).args(["-ldl"]).current_dir(env!("CARGO_MANIFEST_DIR"));
        let run = finish(command);
        assert_eq!(run.exit, 0, "{run:?}");
        module
    }

    /// A run with the module of `faulty.c`.
    fn with_fault(&self, module: &Path, fault: &str, line: &str) -> Run {
        let mut command = self.command(&split(line));
        command.env("ANCHORAGE_PKCS11_MODULE", module).env("FAULTY_MODULE", SOFTHSM);
        command.env("FAULTY", fault).env("FAULTY_TOKENS", self.tokens());
        finish(command)
    }

    /// OpenSC's tool, on the same token.
    fn pkcs11_tool(&self, arguments: &str) -> Run {
        let mut command = Command::new("pkcs11-tool");
        command.args(["--module", SOFTHSM, "--login", "--pin", PIN]).args(arguments.split_whitespace());
        command.env("SOFTHSM2_CONF", self.configuration()).stdin(Stdio::null());
        command.current_dir(self.workshop.path(""));
        finish(command)
    }
}

fn issue(more: &str) -> String {
    format!(
        "credential issue --key {ROOT} --for release.cose --role release --vendor anchorage.example \
         --class demo-node --issuer root --subject s --out release.cwt {more}"
    )
}

/// The whole life: root and release key in a token, and a device's view of what they signed.
#[test]
fn a_token_certifies_and_signs_a_release() {
    let token = Token::new();
    let made = token.generate(ROOT);
    token.generate("pkcs11:token=anchorage;object=release;id=%01%02");
    // The public halves, without the PIN.
    for name in ["root", "release"] {
        token.ok(&format!("key public pkcs11:token=anchorage;object={name} --out {name}.cose"));
    }
    assert_eq!(token.workshop.ok(&["key", "public", "root.cose"])["kid"], made["kid"]);
    let shown = token.ok(&format!("key info {ROOT} --pin-file pin"));
    assert_eq!(shown["kid"], made["kid"]);
    let kept = shown["token"].to_string();
    for words in
        ["anchorage", "SoftHSM", "sensitive, always was, not extractable, never was, made in the token"]
    {
        assert!(kept.contains(words), "{words}: {kept}");
    }
    token.ok(&issue("--pin-file pin"));
    let workshop = &token.workshop;
    workshop.write("firmware.bin", &super::workshop::firmware());
    token.ok(
        "create --image firmware.bin --vendor anchorage.example --class demo-node --sequence 2 --version 2 \
         --out unsigned.suit --image-out image.bin",
    );
    let pin_source = format!("pin-source=file:{}", workshop.path("pin").display());
    let key = format!("pkcs11:object=release;serial={}?{pin_source}", token.serial());
    token.ok(&format!("sign unsigned.suit --key {key} --credential release.cwt --out signed.suit"));
    workshop.ok(&["verify", "signed.suit", "--anchor", "root.cose", "--image", "image.bin"]);
    let key = format!("pkcs11:id=%01%02?{pin_source}&module-name=softhsm2");
    token.ok(&format!("sign unsigned.suit --key {key} --credential release.cwt --out signed.suit"));
    token.ok(&format!(
        "revoke --first --key {ROOT} --pin-file pin --issuer r --key-of release.cwt --out list.cwt"
    ));
    let verify = ["verify", "signed.suit", "--anchor", "root.cose", "--revocations", "list.cwt"];
    assert_eq!(workshop.refused(&verify), ("key-revoked".into(), 6));
}

impl Token {
    fn serial(&self) -> String {
        let shown = self.pkcs11_tool("--list-slots").stdout;
        let line = shown.lines().find(|line| line.contains("serial num")).unwrap();
        line.split(':').nth(1).unwrap().trim().to_owned()
    }
}

/// OpenSC's tool sees the key as we asked for it, and cannot read it.
#[test]
fn a_key_made_in_a_token_does_not_leave_it() {
    let token = Token::new();
    token.generate(ROOT);
    let objects = token.pkcs11_tool("--list-objects --type privkey").stdout;
    let access = objects.lines().find(|line| line.contains("Access:")).unwrap();
    for word in ["sensitive", "always sensitive", "never extractable", "local"] {
        assert!(access.contains(word), "{word}: {objects}");
    }
    // CKR_ATTRIBUTE_SENSITIVE, when `key generate` tries to read the value of the key that it made.
    let made =
        token.with_fault(&token.faulty(), "tells", "key generate --key pkcs11:object=other --pin-file pin");
    assert!(made.exit == 0 && made.stderr.contains("CKA_VALUE: 0x11"), "{made:?}");
}

#[test]
fn a_key_in_a_token_is_never_replaced() {
    let token = Token::new();
    let made = token.generate("pkcs11:object=root;id=%07");
    for uri in ["pkcs11:object=root", "pkcs11:object=root;id=%08", "pkcs11:object=other;id=%07"] {
        let run = token.refused(&format!("key generate --key {uri} --pin-file pin"));
        assert_eq!(run.refusal(), ("key-exists".into(), 2), "{uri}");
    }
    let nameless = token.refused("key generate --key pkcs11:token=anchorage --pin-file pin");
    assert_eq!(nameless.refusal(), ("key-location".into(), 2));
    assert_eq!(token.ok("key public pkcs11:object=root")["kid"], made["kid"]);
    for line in [
        "key generate --key root.pem",
        "key generate --key pkcs11:object=a --out b.pem",
        "key generate --key pkcs11:object=a --no-passphrase",
        "key generate",
        "key public root.pem --pin-file pin",
        "key public pkcs11:object=root --passphrase-file pin",
    ] {
        assert_eq!(token.refused(line).refusal(), ("usage".into(), 2), "{line}");
    }
}

/// The PIN comes from a file, a descriptor, the environment or a person; never from an argument.
#[test]
fn a_pin_comes_from_a_file_a_descriptor_or_the_environment() {
    let token = Token::new();
    token.generate(ROOT);
    token.workshop.key("release");
    let mut command = token.command(&split(&issue("")));
    command.env("ANCHORAGE_PIN_FILE", "pin");
    assert_eq!(finish(command).exit, 0);
    let file = std::fs::File::open(token.workshop.path("pin")).unwrap();
    let inherited = nix::unistd::dup(&file).unwrap();
    let line = format!("{} --force --pin-file /proc/self/fd/{}", issue(""), inherited.as_raw_fd());
    // A duplicate is not closed when the program starts.
    assert_eq!(token.run(&split(&line)).exit, 0);
    let needed = token.refused(&issue("--force"));
    assert_eq!(needed.refusal(), ("pin-needed".into(), 4));
    token.workshop.write("empty", b"\n");
    let empty = token.refused(&issue("--force --pin-file empty"));
    assert_eq!(empty.refusal(), ("pin-unusable".into(), 4));
    let out = issue("--force --pin-file release.cwt");
    assert_eq!(token.refused(&out).refusal(), ("same-file".into(), 2));
}

#[test]
fn a_wrong_pin_signs_nothing_and_the_next_tries_are_named() {
    let token = Token::new();
    token.generate(ROOT);
    token.workshop.key("release");
    token.workshop.write("wrong", b"4321");
    let wrong = token.refused(&issue("--pin-file wrong"));
    assert_eq!(wrong.refusal(), ("pin-wrong".into(), 4));
    assert!(
        wrong.stdout.contains("more wrong PINs lock the token") && !wrong.stdout.contains("4321"),
        "{wrong:?}"
    );

    let module = token.faulty();
    let fault = |fault, line: &str| token.with_fault(&module, fault, line);
    let last = fault("last-try", &issue("--pin-file wrong"));
    assert_eq!(last.refusal(), ("pin-wrong".into(), 4));
    assert!(last.stdout.contains("the next wrong PIN locks the token"), "{last:?}");
    for locked in ["locked", "lock-at-login"] {
        assert_eq!(fault(locked, &issue("--pin-file pin")).refusal(), ("pin-locked".into(), 4), "{locked}");
    }
    token.ok(&issue("--pin-file pin"));
}

#[test]
fn a_token_or_key_that_is_not_there_is_named() {
    let token = Token::new();
    token.generate(ROOT);
    token.generate("pkcs11:object=release");
    let public = |uri: &str| token.run(&["key", "public", "--pin-file", "pin", uri]);
    for (uri, code, exit, words) in [
        ("pkcs11:token=other", "token-absent", 4, "anchorage"),
        ("pkcs11:serial=0", "token-absent", 4, "anchorage"),
        ("pkcs11:slot-id=123", "token-absent", 4, "anchorage"),
        ("pkcs11:model=other", "token-absent", 4, "anchorage"),
        ("pkcs11:manufacturer=other", "token-absent", 4, "anchorage"),
        ("pkcs11:object=absent", "key-absent", 4, "release"),
        ("pkcs11:object=root;id=%99", "key-absent", 4, "root"),
        ("pkcs11:", "key-ambiguous", 4, "2 private keys"),
        ("pkcs11:object=root?module-name=none-such", "token-module", 3, "none-such"),
        ("pkcs11:object=root?module-path=/none.so", "token-module", 3, "/none.so"),
        (
            "pkcs11:object=root?module-path=/usr/lib/x86_64-linux-gnu/libm.so.6",
            "token-module",
            3,
            "libm.so.6",
        ),
    ] {
        let run = public(uri);
        assert_eq!(run.refusal(), (code.to_owned(), exit), "{uri}");
        assert!(run.stdout.contains(words), "{uri}: {run:?}");
    }
    let mut command = token.command(&["key", "public", ROOT]);
    command.env_remove("ANCHORAGE_PKCS11_MODULE");
    assert_eq!(finish(command).refusal(), ("token-module".into(), 3));
    // Keys of another type have the label.
    let made = token.pkcs11_tool("--keypairgen --key-type EC:prime256v1 --label curve");
    assert_eq!(made.exit, 0, "{made:?}");
    assert_eq!(public("pkcs11:object=curve").refusal(), ("key-other-type".into(), 4));

    token.initialize("second");
    assert_eq!(public("pkcs11:object=root").refusal(), ("token-ambiguous".into(), 4));
    assert_eq!(public(ROOT).exit, 0);
    std::fs::remove_dir_all(token.tokens()).unwrap();
    assert_ne!(public(ROOT).exit, 0);
}

/// What a token returns is judged; what it does not return has a name.
#[test]
fn a_token_that_fails_signs_nothing() {
    let token = Token::new();
    token.generate(ROOT);
    token.workshop.key("release");
    let module = token.faulty();
    let before = token.workshop.snapshot();
    for (fault, code, exit) in [
        ("foreign", "signature-foreign", 4),
        ("short", "token-failed", 3),
        ("fails", "token-failed", 3),
        ("removed", "token-removed", 3),
        ("no-public-half", "key-half-missing", 4),
        ("other-curve", "key-other-type", 4),
        ("short-point", "key-other-type", 4),
    ] {
        let run = token.with_fault(&module, fault, &issue("--pin-file pin"));
        assert_eq!(run.refusal(), (code.to_owned(), exit), "{fault}: {run:?}");
        assert_eq!(token.workshop.snapshot(), before, "{fault}");
    }
    // The token is pulled between the login and the signature: its folder is moved away.
    let pulled = token.with_fault(&module, "pulled", &issue("--pin-file pin"));
    let (code, exit) = pulled.refusal();
    assert!(["token-removed", "token-failed"].contains(&code.as_str()) && exit == 3, "{pulled:?}");
    assert_eq!(token.workshop.snapshot(), before);
    std::fs::rename(token.folder.path().join("tokens.away"), token.tokens()).unwrap();
    token.ok(&issue("--pin-file pin"));
}

/// Tokens differ in how they encode curve and point, and in whether each signature wants the PIN.
#[test]
fn the_encodings_and_habits_of_other_tokens_are_read() {
    let token = Token::new();
    let module = token.faulty();
    let kid = token.generate(ROOT)["kid"].clone();
    token.workshop.key("release");
    let shown = token.with_fault(&module, "other-encodings", &format!("key public {ROOT}"));
    assert_eq!(shown.object()["kid"], kid, "{shown:?}");
    for fault in ["none", "other-encodings", "pin-each-time"] {
        let run = token.with_fault(&module, fault, &issue("--pin-file pin --force"));
        assert_eq!(run.exit, 0, "{fault}: {run:?}");
    }
    for form in ["oid-only", "name-only"] {
        let run = token.with_fault(
            &module,
            form,
            &format!("key generate --key pkcs11:object={form} --pin-file pin"),
        );
        assert_eq!(run.exit, 0, "{form}: {run:?}");
        token.ok(&format!("key public pkcs11:object={form}"));
    }
}

/// `doctor` looks at a key in a token: without a PIN it says what it did not see, and it asks nobody.
#[test]
fn the_doctor_finds_a_key_that_the_token_does_not_keep() {
    let token = Token::new();
    let module = token.faulty();
    token.generate(ROOT);
    let looked_at = |report: &serde_json::Value| report["looked_at"][0].as_str().unwrap().to_owned();
    let report = token.ok(&format!("doctor --key {ROOT}"));
    assert!(looked_at(&report).contains("pass --pin-file"), "{report}");
    let report = token.ok(&format!("doctor --key {ROOT} --pin-file pin"));
    assert!(!looked_at(&report).contains("not looked at"), "{report}");
    for fault in ["extractable", "not-sensitive", "not-private", "readable"] {
        let run = token.with_fault(&module, fault, &format!("doctor --key {ROOT} --pin-file pin"));
        assert_eq!(
            (run.exit, &run.object()["findings"][0]["code"]),
            (6, &"key-exposed".into()),
            "{fault}: {run:?}"
        );
    }
    let absent = token.refused(&format!("doctor --key {ROOT}x --pin-file pin"));
    assert_eq!(absent.refusal().0, "key-absent");
    // Somebody tries PINs.
    token.workshop.write("wrong", b"4321");
    assert_eq!(token.refused(&format!("doctor --key {ROOT} --pin-file wrong")).refusal().0, "pin-wrong");
    let run = token.refused(&format!("doctor --key {ROOT}"));
    assert_eq!(run.object()["findings"][0]["code"], "pin-tried", "{run:?}");
    token.ok(&format!("key info {ROOT} --pin-file pin"));
    token.ok(&format!("doctor --key {ROOT}"));
}

/// A key that is no better than a file is not handed out as one in a token.
#[test]
fn a_new_key_that_the_token_does_not_keep_is_deleted() {
    let token = Token::new();
    let module = token.faulty();
    for (fault, code) in [
        ("extractable", "key-exposed"),
        ("not-sensitive", "key-exposed"),
        ("not-private", "key-exposed"),
        ("not-in-token", "key-exposed"),
        ("readable", "key-exposed"),
        ("foreign", "key-exposed"),
        ("no-curve", "token-no-ed"),
        ("removed", "token-removed"),
    ] {
        let run = token.with_fault(&module, fault, &format!("key generate --key {ROOT} --pin-file pin"));
        assert_eq!(run.refusal().0, code, "{fault}: {run:?}");
        let left = token.pkcs11_tool("--list-objects").stdout;
        assert!(!left.contains("root"), "{fault}: {left}");
    }
    token.generate(ROOT);
}
