//! `exec:PROGRAM`: a program signs, and so opens the door to any key service. It gets the bytes to be signed on standard
//! input and answers with the 64 bytes of the signature on standard output. No shell runs it.

use std::io::{Read as _, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use trust::PublicKey;
use trust::author::{SIGNATURE_LEN, SignError, Signer};

use super::fault::HolderError;
use super::location::ProgramKey;
use crate::error::Error;
use crate::public_key;

/// How often the end of the program is looked for.
const POLL: Duration = Duration::from_millis(5);

/// Why a program gave no signature.
#[derive(Debug, thiserror::Error)]
pub enum ProgramFault {
    #[error("it could not be started: {0}")]
    NotStarted(std::io::Error),
    #[error("it failed ({0})")]
    Failed(ExitStatus),
    #[error("it did not answer within {} seconds", .0.as_secs())]
    TimedOut(Duration),
    #[error("it wrote {0} bytes, and a signature has {SIGNATURE_LEN}")]
    Short(usize),
    #[error("it wrote more than the {SIGNATURE_LEN} bytes of a signature")]
    Long,
    /// A pipe or a process of ours failed.
    #[error("its answer could not be read: {0}")]
    Pipe(std::io::Error),
}

impl ProgramFault {
    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::NotStarted(_) => "signer-not-started",
            Self::Failed(_) => "signer-failed",
            Self::TimedOut(_) => "signer-timeout",
            Self::Short(_) | Self::Long => "signer-answer",
            Self::Pipe(_) => "signer-pipe",
        }
    }

    pub(super) const fn hint(&self) -> &'static str {
        match self {
            Self::NotStarted(_) => {
                "Check that the path names an executable program; no shell and no PATH looks for it."
            }
            Self::Failed(_) => "Read what the program wrote above.",
            Self::TimedOut(_) => "Run the command again; timeout=SECONDS in the location gives more time.",
            Self::Short(_) | Self::Long => {
                "Let the program write the 64 bytes of the signature (R, S), as they are, and nothing else."
            }
            Self::Pipe(_) => "Run the command again.",
        }
    }

    pub(super) const fn exit_code(&self) -> u8 {
        match self {
            Self::NotStarted(_) | Self::TimedOut(_) | Self::Pipe(_) => 3,
            Self::Failed(_) | Self::Short(_) | Self::Long => 4,
        }
    }
}

/// The key of a program.
#[derive(Debug)]
pub(super) struct ProgramSigner {
    key: ProgramKey,
    public: PublicKey,
}

impl ProgramSigner {
    /// Reads the public key. The program runs for each signature.
    pub(super) fn open(key: &ProgramKey) -> Result<Self, Error> {
        Ok(Self { key: key.clone(), public: public_key::open(&key.public)? })
    }
}

impl Signer for ProgramSigner {
    fn public_key(&self) -> PublicKey {
        self.public
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; SIGNATURE_LEN], SignError> {
        run(&self.key, message).map_err(|fault| {
            SignError::new(HolderError::Program { program: self.key.program.display().to_string(), fault })
        })
    }
}

fn run(key: &ProgramKey, message: &[u8]) -> Result<[u8; SIGNATURE_LEN], ProgramFault> {
    let deadline = Instant::now().checked_add(key.time_limit);
    let mut command = Command::new(&key.program);
    command.args(&key.arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut child = Running(command.spawn().map_err(ProgramFault::NotStarted)?);
    let (input, output) = (child.0.stdin.take(), child.0.stdout.take());
    // Whoever holds the pipe may never read or never close it: threads wait, and this one keeps the time.
    let message = message.to_vec();
    let (answered, answer) = channel();
    thread::spawn(move || {
        // A program that does not read what it signs is judged by its answer.
        let _closed = input.map(|mut input| input.write_all(&message));
    });
    thread::spawn(move || {
        let mut bytes = Vec::with_capacity(SIGNATURE_LEN.saturating_add(1));
        let limit = SIGNATURE_LEN as u64 + 1;
        let read = output.map_or(Ok(0), |output| output.take(limit).read_to_end(&mut bytes));
        let _gone = answered.send(read.map(|_| bytes));
    });
    let timed_out = || ProgramFault::TimedOut(key.time_limit);
    let bytes = wait_for(&answer, deadline).ok_or_else(timed_out)?.map_err(ProgramFault::Pipe)?;
    if bytes.len() > SIGNATURE_LEN {
        return Err(ProgramFault::Long);
    }
    let status = child.wait_until(deadline).map_err(ProgramFault::Pipe)?.ok_or_else(timed_out)?;
    if !status.success() {
        return Err(ProgramFault::Failed(status));
    }
    bytes.as_slice().try_into().map_err(|_| ProgramFault::Short(bytes.len()))
}

fn remaining(deadline: Option<Instant>) -> Duration {
    deadline.map_or(Duration::ZERO, |deadline| deadline.saturating_duration_since(Instant::now()))
}

/// `None` at the deadline.
fn wait_for<T>(
    answer: &Receiver<std::io::Result<T>>,
    deadline: Option<Instant>,
) -> Option<std::io::Result<T>> {
    match answer.recv_timeout(remaining(deadline)) {
        Ok(answer) => Some(answer),
        Err(RecvTimeoutError::Timeout) => None,
        Err(RecvTimeoutError::Disconnected) => Some(Err(std::io::ErrorKind::BrokenPipe.into())),
    }
}

/// A program that does not outlive its task.
struct Running(Child);

impl Running {
    /// `None` at the deadline.
    fn wait_until(&mut self, deadline: Option<Instant>) -> std::io::Result<Option<ExitStatus>> {
        loop {
            if let Some(status) = self.0.try_wait()? {
                return Ok(Some(status));
            }
            if remaining(deadline).is_zero() {
                return Ok(None);
            }
            thread::sleep(POLL);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended, or it gets no more time.
        let _ended = self.0.kill();
        let _status = self.0.wait();
    }
}
