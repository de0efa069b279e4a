//! The transcript of a ceremony: JSON lines, each with the SHA-256 of the one before it, and the only state that a ceremony
//! has. It is written whole after each line, so a power cut leaves it with the line or without (docs/ceremony.md).

use std::path::{Path, PathBuf};

use ledger::{Hex, Time};
use serde::{Deserialize, Serialize};
use trust::host::Existing;
use trust::{MAX_TRANSCRIPT_LINES, UnixTime, sha256};

use super::fault::CeremonyError;
use crate::error::Error;
use crate::files::{read, write};

/// Name of the file.
pub const TRANSCRIPT_FILE: &str = "transcript.jsonl";
/// Longest transcript, bytes.
pub const MAX_TRANSCRIPT_LEN: u64 = 8 * 1024 * 1024;
/// Version of the form of transcripts.
pub const FORMAT: u32 = 1;

/// Whether a file begins as a transcript does.
pub(crate) fn is_transcript(file: &[u8]) -> bool {
    let first = file.split(|byte| *byte == b'\n').next().unwrap_or_default();
    serde_json::from_slice(first).is_ok_and(|line: Line| matches!(line.event, Event::Open { .. }))
}

/// A line.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// From 1, without gaps.
    pub line: u64,
    /// SHA-256 of the line before it, without the line break.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub previous: Option<Hex<32>>,
    /// When it was written, by the clock of that machine.
    pub time: Time,
    pub event: Event,
}

/// What happened.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// The ceremony begins: the first line, and no other.
    Open { format: u32, purpose: String, plan: Hex<32>, rehearsal: bool },
    /// A program took it up, or took it up again.
    Session { tool: String, executable: Hex<32>, answers: String },
    /// A step begins, or begins anew. `ledger`: entries of the root's ledger.
    Begin {
        step: String,
        title: String,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        ledger: Option<u64>,
    },
    /// Somebody confirmed.
    Confirmed {
        step: String,
        person: String,
        role: String,
        confirmed: String,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        word: Option<Word>,
    },
    /// The answer was another one. What was typed is not repeated: it may have been a passphrase.
    NotConfirmed { step: String, asked: String },
    /// A step is done.
    Done {
        step: String,
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        inputs: Vec<FileDigest>,
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        outputs: Vec<FileDigest>,
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        facts: Vec<Fact>,
    },
    /// All steps are done. The root signs this line.
    End { outputs: Vec<FileDigest>, ledgers: Vec<LedgerState> },
}

/// A word of a fingerprint, which somebody read off.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Word {
    pub fingerprint: Hex<32>,
    /// From 1.
    pub place: u8,
    pub word: String,
}

/// A file, by its name in the folder of the ceremony.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileDigest {
    pub name: String,
    pub sha256: Hex<32>,
}

/// Something that a step found or made.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fact {
    pub what: String,
    pub value: String,
}

/// How far a ledger is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerState {
    /// Name of its folder in the bundle.
    pub name: String,
    pub kid: Hex<8>,
    pub entries: u64,
    /// SHA-256 of the last entry.
    pub digest: Hex<32>,
}

/// A transcript whose chain was verified.
#[derive(Clone, Debug)]
pub struct Transcript {
    path: PathBuf,
    bytes: Vec<u8>,
    lines: Vec<Line>,
    last: [u8; 32],
}

impl Transcript {
    /// An empty one, which is not written yet.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self { path: folder.join(TRANSCRIPT_FILE), bytes: Vec::new(), lines: Vec::new(), last: [0; 32] }
    }

    /// Reads and verifies the transcript of a folder; `None` if there is none.
    pub fn open(folder: &Path) -> Result<Option<Self>, Error> {
        let path = folder.join(TRANSCRIPT_FILE);
        if !path.exists() {
            return Ok(None);
        }
        Self::parse(folder, read(&path, MAX_TRANSCRIPT_LEN)?).map(Some)
    }

    /// Verifies the content of a transcript.
    pub fn parse(folder: &Path, bytes: Vec<u8>) -> Result<Self, Error> {
        let mut transcript = Self::new(folder);
        let path = transcript.path.clone();
        let damaged = |line: usize, detail: &str| -> Error {
            let (path, detail) = (path.clone(), detail.to_owned());
            CeremonyError::Transcript { path, line: line as u64, detail }.into()
        };
        let Some(text) = bytes.strip_suffix(b"\n") else {
            return Err(damaged(1, "it does not end with a whole line"));
        };
        for (place, text) in text.split(|byte| *byte == b'\n').enumerate() {
            let number = place + 1;
            let line: Line =
                serde_json::from_slice(text).map_err(|error| damaged(number, &error.to_string()))?;
            if line.line != number as u64 || line.line > MAX_TRANSCRIPT_LINES {
                return Err(damaged(number, "it has another number"));
            }
            if line.previous != transcript.lines.last().map(|_| Hex(transcript.last)) {
                return Err(damaged(number, "it does not follow the line before it"));
            }
            if transcript.lines.last().is_some_and(|before| line.time < before.time) {
                return Err(damaged(number, "it is older than the line before it"));
            }
            if matches!(line.event, Event::Open { .. }) != transcript.lines.is_empty() {
                return Err(damaged(number, "a transcript begins with one line of the kind open"));
            }
            transcript.last = sha256(text);
            transcript.lines.push(line);
        }
        transcript.bytes = bytes;
        Ok(transcript)
    }

    /// Adds a line and writes the file.
    pub fn append(&mut self, event: Event, now: UnixTime) -> Result<(), Error> {
        if let Some(last) = self.lines.last().filter(|last| Time(now) < last.time) {
            return Err(CeremonyError::ClockBack(last.time.to_string()).into());
        }
        let number = self.lines.len() as u64 + 1;
        let previous = self.lines.last().map(|_| Hex(self.last));
        let line = Line { line: number, previous, time: Time(now), event };
        let text = encode(&line)?;
        let bytes = [&self.bytes[..], &text, b"\n"].concat();
        if bytes.len() as u64 > MAX_TRANSCRIPT_LEN || number > MAX_TRANSCRIPT_LINES {
            return Err(Error::FileTooLong { path: self.path.clone(), limit: MAX_TRANSCRIPT_LEN });
        }
        write(&self.path, &bytes, Existing::Replace)?;
        self.last = sha256(&text);
        self.bytes = bytes;
        self.lines.push(line);
        Ok(())
    }

    /// The lines.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// SHA-256 of the last line.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        self.last
    }

    /// The file.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What the first line says: the digest of the plan, and whether it is a rehearsal.
    #[must_use]
    pub fn opened(&self) -> Option<(Hex<32>, bool)> {
        match self.lines.first().map(|line| &line.event) {
            Some(Event::Open { plan, rehearsal, .. }) => Some((*plan, *rehearsal)),
            _ => None,
        }
    }

    /// What the last line says, if the transcript has ended.
    #[must_use]
    pub fn end(&self) -> Option<(&[FileDigest], &[LedgerState])> {
        match self.lines.last().map(|line| &line.event) {
            Some(Event::End { outputs, ledgers }) => Some((outputs, ledgers)),
            _ => None,
        }
    }

    /// The line that says that a step is done.
    #[must_use]
    pub fn done(&self, id: &str) -> Option<&Line> {
        self.lines.iter().find(|line| matches!(&line.event, Event::Done { step, .. } if step == id))
    }

    /// The first line that says that a step begins, with the entries of the root's ledger at that time.
    #[must_use]
    pub fn begun(&self, id: &str) -> Option<Option<u64>> {
        self.lines.iter().find_map(|line| match &line.event {
            Event::Begin { step, ledger, .. } if step == id => Some(*ledger),
            _ => None,
        })
    }

    /// Value of a fact that a step noted.
    #[must_use]
    pub fn fact(&self, id: &str, name: &str) -> Option<&str> {
        match &self.done(id)?.event {
            Event::Done { facts, .. } => {
                facts.iter().find(|fact| fact.what == name).map(|fact| fact.value.as_str())
            }
            _ => None,
        }
    }

    /// What came in, and what the steps made.
    #[must_use]
    pub fn files(&self) -> Vec<FileDigest> {
        let inputs = self.lines.iter().flat_map(|line| match &line.event {
            Event::Done { inputs, .. } => inputs.clone(),
            _ => Vec::new(),
        });
        inputs.chain(self.outputs()).collect()
    }

    /// The files that the steps made.
    #[must_use]
    pub fn outputs(&self) -> Vec<FileDigest> {
        let of = |line: &Line| match &line.event {
            Event::Done { outputs, .. } => outputs.clone(),
            _ => Vec::new(),
        };
        self.lines.iter().flat_map(of).collect()
    }
}

fn encode(line: &Line) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(line).map_err(|_| Error::Internal("a line of the transcript has no JSON form"))
}
