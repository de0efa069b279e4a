//! Passphrases: from a file or a prompt; never an argument, never printed.

use std::fs::File;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use trust::host::{MAX_KEY_FILE_LEN, printable, without_mark};
use zeroize::Zeroizing;

use crate::error::{Error, PassphraseFault};
use crate::files::read_secret;
use crate::memory;

/// Names a file whose first line is the passphrase, when `--passphrase-file` is not given.
pub(crate) const PASSPHRASE_FILE_VARIABLE: &str = "ANCHORAGE_PASSPHRASE_FILE";
/// Begins each PEM file, a swapped key file for one.
const PEM_MARK: &str = "-----BEGIN ";
/// The terminal from which rpassword reads.
const TERMINAL: &str = "/dev/tty";
/// Least strength of a passphrase for a new key: 10^8 guesses, each of which costs 128 MiB of memory.
const MIN_STRENGTH: zxcvbn::Score = zxcvbn::Score::Three;
/// Longest passphrase, bytes.
pub(crate) const MAX_PASSPHRASE_LEN: usize = 1024;

/// Where a passphrase comes from.
#[derive(Clone, Debug)]
pub enum PassphraseSource {
    /// The first line of a file.
    File(PathBuf),
    /// A person at the terminal.
    Terminal,
    /// The same, of a key beside the one that the environment's file opens.
    NewTerminal,
}

/// Why a passphrase is needed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// To open an existing key.
    Open,
    /// To protect a new key: prompted for twice, and not weak.
    Protect,
    /// To protect a new key that only tests use: a weak one is accepted.
    ProtectForTests,
}

impl PassphraseSource {
    /// The file of the argument, else that of the environment, else the terminal.
    pub fn choose(argument: Option<PathBuf>) -> Self {
        let variable = || std::env::var_os(PASSPHRASE_FILE_VARIABLE).filter(|value| !value.is_empty());
        argument.or_else(|| variable().map(PathBuf::from)).map_or(Self::Terminal, Self::File)
    }

    /// That of a new key beside the one that is opened: the file of the argument, else the terminal. The environment has that
    /// of the old one.
    pub fn of_new(argument: Option<PathBuf>) -> Self {
        argument.map_or(Self::NewTerminal, Self::File)
    }

    /// The file, if it is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Terminal | Self::NewTerminal => None,
        }
    }

    pub fn passphrase(&self, purpose: Purpose, key: &Path) -> Result<Zeroizing<String>, Error> {
        let passphrase = match self {
            Self::File(path) => first_line(path)?,
            Self::Terminal => ask(purpose, key)?,
            Self::NewTerminal => ask(purpose, key).map_err(|error| match error {
                Error::PassphraseNeeded => Error::NewPassphraseNeeded,
                other => other,
            })?,
        };
        if purpose != Purpose::Open && passphrase.starts_with(PEM_MARK) {
            return Err(Error::PassphraseUnusable(PassphraseFault::Pem));
        }
        match passphrase.len() {
            0 => Err(Error::PassphraseUnusable(PassphraseFault::Empty)),
            1..=MAX_PASSPHRASE_LEN if purpose == Purpose::Protect => {
                check_strength(&passphrase)?;
                Ok(passphrase)
            }
            1..=MAX_PASSPHRASE_LEN => Ok(passphrase),
            _ => Err(Error::PassphraseUnusable(PassphraseFault::TooLong)),
        }
    }
}

pub(crate) fn first_line(path: &Path) -> Result<Zeroizing<String>, Error> {
    let bytes = read_secret(path, MAX_KEY_FILE_LEN)?;
    let line = without_mark(&bytes).split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = std::str::from_utf8(line).map_err(|_| Error::PassphraseUnusable(PassphraseFault::NotUtf8))?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// Refuses a passphrase below [`MIN_STRENGTH`], which a thief of the key file could guess.
fn check_strength(passphrase: &str) -> Result<(), Error> {
    let estimate = zxcvbn::zxcvbn(passphrase, &[]);
    if estimate.score() >= MIN_STRENGTH {
        return Ok(());
    }
    let warning = estimate.feedback().and_then(|feedback| feedback.warning());
    // In the form of our messages: no capital, no full stop.
    let why = warning.map(|warning| warning.to_string()).unwrap_or_default();
    let why = why.trim_end_matches('.').to_lowercase();
    Err(Error::PassphraseWeak(if why.is_empty() { "it is too easy to guess".to_owned() } else { why }))
}

fn ask(purpose: Purpose, key: &Path) -> Result<Zeroizing<String>, Error> {
    let key = printable(&key.display().to_string());
    let passphrase = prompt(format!("Passphrase for {key}: "))?;
    if purpose != Purpose::Open && *passphrase != *prompt("Repeat it: ".to_owned())? {
        return Err(Error::PassphraseUnusable(PassphraseFault::Differs));
    }
    Ok(passphrase)
}

/// Asks a person; [`Error::PassphraseNeeded`] when there is none.
pub(crate) fn prompt(text: String) -> Result<Zeroizing<String>, Error> {
    if !std::io::stdin().is_terminal() {
        return Err(Error::PassphraseNeeded);
    }
    memory::lock();
    let _quiet = Quiet::new().map_err(|_| Error::PassphraseNeeded)?;
    rpassword::prompt_password(text).map(Zeroizing::new).map_err(|error| match error.kind() {
        // Ctrl-D.
        std::io::ErrorKind::UnexpectedEof => Error::PassphraseUnusable(PassphraseFault::Empty),
        _ => Error::PassphraseNeeded,
    })
}

/// A terminal without echo and without type-ahead, from before the prompt appears until this is dropped: otherwise the
/// lines that follow the command in a pasted block become its passphrase, and a fast typist's first letters are shown.
struct Quiet {
    terminal: File,
    before: Termios,
    interrupt: SigSet,
}

impl Quiet {
    fn new() -> std::io::Result<Self> {
        let terminal = File::options().read(true).write(true).open(TERMINAL)?;
        let before = tcgetattr(&terminal)?;
        let mut quiet = before.clone();
        // The mode that rpassword sets after it has prompted: a key that is pressed in between counts as well.
        let cooked = LocalFlags::ECHO | LocalFlags::ECHONL | LocalFlags::ICANON | LocalFlags::ISIG;
        quiet.local_flags.remove(cooked);
        // rpassword raises SIGINT on Ctrl-C while the terminal is raw. It has to wait until the terminal is restored.
        let mut interrupt = SigSet::empty();
        interrupt.add(Signal::SIGINT);
        interrupt.thread_block()?;
        let quiet_terminal = Self { terminal, before, interrupt };
        tcsetattr(&quiet_terminal.terminal, SetArg::TCSAFLUSH, &quiet)?;
        Ok(quiet_terminal)
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // Nothing more can be done for a terminal that is gone.
        let _gone = tcsetattr(&self.terminal, SetArg::TCSANOW, &self.before);
        let _ignored = self.interrupt.thread_unblock();
    }
}
