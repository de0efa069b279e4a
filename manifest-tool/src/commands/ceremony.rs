//! `ceremony`: plan, rehearse, run, seal, verify (docs/ceremony.md).

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde::Serialize;

use crate::ceremony::answers::Answers;
use crate::ceremony::bundle::{Bundle, MAX_BUNDLE_LEN};
use crate::ceremony::plan::{Plan, page};
use crate::ceremony::verify::{Verified, verify};
use crate::ceremony::{CeremonyError, KeySecrets, Options, PLAN_FILE, Room, Sealed};
use crate::commands::key::Protection;
use crate::error::Error;
use crate::files::{OverwriteArguments, must_differ, read};
use crate::output::{Output, Report, table};
use crate::public_key;
use crate::time::IssueTime;

/// Carry out a key ceremony
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Check a plan and print it as a page
    Plan(PlanCommand),
    /// Put files that go into the room into one bundle
    Pack(Pack),
    /// Carry a plan out with throw-away keys
    Rehearse(Rehearse),
    /// Carry a plan out, or go on with it
    Run(Run),
    /// Have the root sign the end of the transcript, and write what goes out
    Seal(Seal),
    /// Verify a ceremony
    Verify(Verify),
}

impl Command {
    pub fn run(&self, output: Output) -> Result<(), Error> {
        match self {
            Self::Plan(command) => output.result(&command.run()?),
            Self::Pack(command) => output.result(&command.run()?),
            Self::Rehearse(command) => output.result(&command.run()?),
            Self::Run(command) => output.result(&command.run()?),
            Self::Seal(command) => output.result(&command.run()?),
            Self::Verify(command) => output.result(&command.run()?),
        }
    }
}

/// Check a plan and print it as a page
#[derive(clap::Args, Clone, Debug)]
pub struct PlanCommand {
    /// Plan (TOML)
    #[arg(value_name = "PLAN")]
    plan: PathBuf,
}

#[derive(Debug, Serialize)]
pub struct Planned {
    sha256: String,
    words: String,
    steps: Vec<String>,
    #[serde(skip)]
    page: String,
}

impl PlanCommand {
    fn run(&self) -> Result<Planned, Error> {
        let plan = Plan::open(&self.plan)?;
        let fingerprint = plan.fingerprint();
        Ok(Planned {
            sha256: fingerprint.hex(),
            words: fingerprint.words().join(" "),
            steps: plan.steps().into_iter().map(|step| step.id).collect(),
            page: page::text(&plan),
        })
    }
}

impl Report for Planned {
    fn lines(&self) -> String {
        self.page.clone()
    }
}

/// Put files that go into the room into one bundle
#[derive(clap::Args, Clone, Debug)]
pub struct Pack {
    /// Public keys that the plan certifies, and whatever else is needed in the room
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Bundle to write (tar)
    #[arg(long, value_name = "BUNDLE")]
    out: PathBuf,
    #[command(flatten)]
    overwrite: OverwriteArguments,
}

#[derive(Debug, Serialize)]
pub struct Packed {
    out: PathBuf,
    sha256: String,
    words: String,
    files: Vec<String>,
}

impl Pack {
    fn run(&self) -> Result<Packed, Error> {
        let inputs: Vec<&Path> = self.files.iter().map(PathBuf::as_path).collect();
        must_differ(&self.out, &inputs)?;
        let mut files = Vec::new();
        for path in &self.files {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let content = read(path, MAX_BUNDLE_LEN)?;
            if trust::host::is_private_key(&content) {
                return Err(Error::usage(format!("{} is a private key: no bundle has one", path.display())));
            }
            files.push((name, content));
        }
        let refused = |fault| CeremonyError::Bundle { path: self.out.clone(), fault };
        let bundle = Bundle::new(files).map_err(refused)?;
        let fingerprint = bundle.write(&self.out, self.overwrite.existing())?;
        Ok(Packed {
            out: self.out.clone(),
            sha256: fingerprint.hex(),
            words: fingerprint.words().join(" "),
            files: bundle.files().iter().map(|(name, _)| name.clone()).collect(),
        })
    }
}

impl Report for Packed {
    fn lines(&self) -> String {
        let mut rows = vec![
            ("bundle", self.out.display().to_string()),
            ("SHA-256", self.sha256.clone()),
            ("in words", self.words.clone()),
        ];
        rows.extend(self.files.iter().map(|file| ("file", file.clone())));
        table(&rows)
    }
}

/// How a plan is carried out.
#[derive(clap::Args, Clone, Debug)]
struct RoomArguments {
    /// Folder of the ceremony: its state, and everything that is made
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Bundle that comes in
    #[arg(long = "in", value_name = "BUNDLE")]
    bundle: Option<PathBuf>,
    #[command(flatten)]
    protection: Protection,
    #[command(flatten)]
    common: CommonArguments,
}

impl RoomArguments {
    fn options(&self, rehearsal: bool) -> Result<Options, Error> {
        let (bundle, protection) = (self.bundle.clone(), self.protection.clone());
        Ok(Options { rehearsal, bundle, protection, ..self.common.options()? })
    }
}

/// What sealing takes too.
#[derive(clap::Args, Clone, Debug)]
struct CommonArguments {
    /// Answers in place of the people, as STEP: ANSWER lines; for tests and drills
    #[arg(long, value_name = "FILE")]
    answers: Option<PathBuf>,
    #[command(flatten)]
    secrets: KeySecrets,
    #[command(flatten)]
    time: IssueTime,
}

impl CommonArguments {
    /// For a room in which keys are opened, and none is made.
    fn options(&self) -> Result<Options, Error> {
        Ok(Options {
            rehearsal: false,
            bundle: None,
            protection: Protection::encrypted(false),
            answers: Answers::choose(self.answers.as_deref())?,
            secrets: self.secrets.clone(),
            time: self.time,
        })
    }
}

/// Carry a plan out with throw-away keys
#[derive(clap::Args, Clone, Debug)]
pub struct Rehearse {
    /// Plan (TOML)
    #[arg(value_name = "PLAN")]
    plan: PathBuf,
    #[command(flatten)]
    room: RoomArguments,
}

impl Rehearse {
    fn run(&self) -> Result<Sealed, Error> {
        let options = self.room.options(true)?;
        let mut room = Room::enter(&self.plan, &self.room.dir, options)?;
        if room.is_thrown_away() {
            return Err(CeremonyError::Sealed(self.room.dir.clone()).into());
        }
        room.run()?;
        let sealed = room.seal()?;
        room.throw_away()?;
        Ok(sealed)
    }
}

/// Carry a plan out, or go on with it
#[derive(clap::Args, Clone, Debug)]
pub struct Run {
    /// Plan (TOML)
    #[arg(value_name = "PLAN")]
    plan: PathBuf,
    #[command(flatten)]
    room: RoomArguments,
}

#[derive(Debug, Serialize)]
pub struct Ran {
    folder: PathBuf,
    steps: usize,
    outputs: Vec<String>,
}

impl Run {
    fn run(&self) -> Result<Ran, Error> {
        let options = self.room.options(false)?;
        let mut room = Room::enter(&self.plan, &self.room.dir, options)?;
        if room.is_sealed() {
            return Err(CeremonyError::Sealed(self.room.dir.clone()).into());
        }
        room.run()?;
        let (steps, outputs) = room.made();
        Ok(Ran { folder: self.room.dir.clone(), steps, outputs })
    }
}

impl Report for Ran {
    fn lines(&self) -> String {
        let mut rows = vec![
            ("ceremony", self.folder.display().to_string()),
            ("steps", format!("all {} are done", self.steps)),
        ];
        rows.extend(self.outputs.iter().map(|output| ("made", output.clone())));
        rows.push(("to be done", format!("manifest-tool ceremony seal {}", self.folder.display())));
        table(&rows)
    }
}

/// Have the root sign the end of the transcript, and write what goes out
#[derive(clap::Args, Clone, Debug)]
pub struct Seal {
    /// Folder of the ceremony
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    #[command(flatten)]
    common: CommonArguments,
}

impl Seal {
    fn run(&self) -> Result<Sealed, Error> {
        let plan = self.dir.join(PLAN_FILE);
        if !plan.exists() {
            return Err(CeremonyError::Absent(self.dir.clone()).into());
        }
        let mut room = Room::enter(&plan, &self.dir, self.common.options()?)?;
        room.seal()
    }
}

/// Verify a ceremony
#[derive(clap::Args, Clone, Debug)]
pub struct Verify {
    /// Folder of the ceremony, or its bundle
    #[arg(value_name = "DIR")]
    ceremony: PathBuf,
    /// Public key of the root that sealed it
    #[arg(long, value_name = "ANCHOR")]
    anchor: PathBuf,
    /// Accept a rehearsal
    #[arg(long)]
    rehearsal: bool,
}

impl Verify {
    fn run(&self) -> Result<Verified, Error> {
        verify(&self.ceremony, &public_key::open(&self.anchor)?, self.rehearsal)
    }
}
