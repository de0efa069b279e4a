//! A folder of its own for each test, and the program run in it.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

pub(super) const VENDOR: &str = "anchorage.example";
pub(super) const CLASS: &str = "demo-node";

/// Makes the unsigned envelope of [`Workshop::two_slots`], but for `--second-image-out`.
pub(super) const TWO_SLOTS: &str = "create --image firmware.bin --second-image second.bin --vendor anchorage.example \
    --class demo-node --sequence 3 --version 3 --out unsigned.suit --image-out image.bin --force";

/// The arguments of a command line; none of them contains a space.
pub(super) fn split(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// What a run left behind.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) exit: i32,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Run {
    /// The object on the last line of stdout.
    pub(super) fn object(&self) -> Value {
        serde_json::from_str(self.stdout.lines().last().unwrap_or_default())
            .unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Slug of the error; the exit code in the object is that of the process, and people get words too.
    pub(super) fn refusal(&self) -> (String, i32) {
        let object = self.object();
        assert_eq!(object["exit"], self.exit, "{self:?}");
        for member in ["message", "hint"] {
            assert!(object["error"][member].as_str().is_some_and(|text| text.len() > 5), "{self:?}");
        }
        (object["error"]["code"].as_str().unwrap().to_owned(), self.exit)
    }
}

pub(super) struct Workshop {
    folder: tempfile::TempDir,
}

impl Workshop {
    /// An empty folder but for the file `passphrase`.
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("passphrase"), "for tests only\n").unwrap();
        Self { folder }
    }

    /// The same in memory, where that is possible: for commands that synchronise thousands of writes.
    pub(super) fn in_memory() -> Self {
        let memory = std::path::Path::new("/dev/shm");
        let folder =
            if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        std::fs::write(folder.path().join("passphrase"), "for tests only\n").unwrap();
        Self { folder }
    }

    /// Root, release key, credential, image and a signed release 2.0.0 with sequence number 2.
    pub(super) fn with_release() -> Self {
        let workshop = Self::new();
        workshop.key("root");
        workshop.key("release");
        workshop.credential("root", "release", &[]);
        workshop.write("firmware.bin", &firmware());
        workshop.ok(&[
            "create",
            "--image",
            "firmware.bin",
            "--vendor",
            VENDOR,
            "--class",
            CLASS,
            "--sequence",
            "2",
            "--version",
            "2.0.0",
            "--description",
            "More of everything",
            "--out",
            "unsigned.suit",
            "--image-out",
            "image.bin",
        ]);
        workshop.sign("release", "signed.suit");
        workshop
    }

    /// Beside the release of [`Workshop::with_release`] one with an image for each slot, sequence number 3: `two.suit`,
    /// `image.bin` and `image2.bin`. Returns the report of `create`.
    pub(super) fn two_slots(&self) -> Value {
        // The same firmware with its reset vector in another slot.
        let mut second = self.read("firmware.bin");
        second[6] ^= 1;
        self.write("second.bin", &second);
        let created = self.ok(&split(&format!("{TWO_SLOTS} --second-image-out image2.bin")));
        self.sign("release", "two.suit");
        created
    }

    /// `NAME.pem` (not encrypted: deriving keys takes time) and `NAME.cose`.
    pub(super) fn key(&self, name: &str) -> Value {
        let (private, public) = (format!("{name}.pem"), format!("{name}.cose"));
        self.ok(&["key", "generate", "--no-passphrase", "--out", &private]);
        self.ok(&["key", "public", &private, "--out", &public])
    }

    /// `SUBJECT.cwt`
    pub(super) fn credential(&self, root: &str, subject: &str, more: &[&str]) -> Value {
        let (key, public, out) = (format!("{root}.pem"), format!("{subject}.cose"), format!("{subject}.cwt"));
        let mut arguments = vec![
            "credential",
            "issue",
            "--key",
            &key,
            "--for",
            &public,
            "--issuer",
            root,
            "--subject",
            subject,
            "--vendor",
            VENDOR,
            "--out",
            &out,
        ];
        if !more.contains(&"--role") {
            arguments.extend(["--role", "release"]);
        }
        arguments.extend(more);
        self.ok(&arguments)
    }

    pub(super) fn sign(&self, signer: &str, out: &str) -> Value {
        let (key, credential) = (format!("{signer}.pem"), format!("{signer}.cwt"));
        self.ok(&["sign", "unsigned.suit", "--key", &key, "--credential", &credential, "--out", out])
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    pub(super) fn write(&self, name: &str, content: &[u8]) {
        std::fs::write(self.path(name), content).unwrap();
    }

    /// Writes a program, by another process: a file that this one has open for writing cannot be executed, and a child that
    /// another test starts at that moment has it open too.
    pub(super) fn program(&self, name: &str, content: &[u8]) {
        let write = ["-c", "cat > \"$0\" && chmod 755 \"$0\""];
        let mut shell =
            Command::new("sh").args(write).arg(self.path(name)).stdin(Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(&mut shell.stdin.take().unwrap(), content).unwrap();
        assert!(shell.wait().unwrap().success());
    }

    /// Names and contents of everything.
    pub(super) fn snapshot(&self) -> Vec<(PathBuf, Vec<u8>)> {
        fn walk(folder: &std::path::Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, files);
                } else {
                    files.push((path.clone(), std::fs::read(path).unwrap()));
                }
            }
        }
        let mut files = Vec::new();
        walk(self.folder.path(), &mut files);
        files.sort();
        files
    }

    /// The program, for what the other functions do not do.
    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_manifest-tool"));
        command.current_dir(self.folder.path()).args(arguments).stdin(Stdio::null());
        command.env_remove("ANCHORAGE_PASSPHRASE_FILE").env("NO_PROXY", "*");
        command
    }

    pub(super) fn run(&self, arguments: &[&str]) -> Run {
        finish(self.command(arguments))
    }

    /// With `--json`; must succeed. The object.
    pub(super) fn ok(&self, arguments: &[&str]) -> Value {
        let run = self.run(&[&["--json"], arguments].concat());
        assert_eq!(run.exit, 0, "{arguments:?}: {run:?}");
        run.object()
    }

    /// With `--json`; must fail, and leave every file as it was. Slug and exit code.
    pub(super) fn refused(&self, arguments: &[&str]) -> (String, i32) {
        let before = self.snapshot();
        let run = self.run(&[&["--json"], arguments].concat());
        assert_ne!(run.exit, 0, "{arguments:?}: {run:?}");
        assert_eq!(self.snapshot(), before, "{arguments:?}");
        run.refusal()
    }
}

pub(super) fn finish(mut command: Command) -> Run {
    let output = command.output().unwrap();
    Run {
        exit: output.status.code().expect("no signal"),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The first two vectors, and noise behind them.
pub(super) fn firmware() -> Vec<u8> {
    let noise = |index: u32| index.wrapping_mul(2_654_435_761).to_be_bytes()[0];
    let vectors = [0x2001_0000u32, 0x0800_0101, 0, 0].into_iter().flat_map(u32::to_le_bytes);
    vectors.chain([0; 48]).chain((0..4936u32).map(noise)).collect()
}
