//! Confirmation of what no command takes back.

use std::io::{IsTerminal as _, Write as _};

use nix::sys::termios::{FlushArg, tcflush};

use crate::error::Error;
use crate::output::Output;

/// Permission that is given beforehand.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct ConfirmArguments {
    /// Sign without asking
    #[arg(long)]
    yes: bool,
}

impl ConfirmArguments {
    /// Shows what is going to happen, and asks for a yes.
    ///
    /// # Errors
    /// [`Error::ConfirmationNeeded`] when there is no terminal, or scripts read; [`Error::Declined`]
    pub fn ask(self, output: Output, preview: &str, question: &str) -> Result<(), Error> {
        let mut stderr = std::io::stderr();
        let shown = if output.is_json() { Ok(()) } else { writeln!(stderr, "{preview}") };
        if self.yes {
            return Ok(());
        }
        if output.is_json() || !std::io::stdin().is_terminal() || !stderr.is_terminal() {
            return Err(Error::ConfirmationNeeded);
        }
        // What was typed before the question appeared is no answer to it; that the flush fails changes nothing.
        let _ignored = tcflush(std::io::stdin(), FlushArg::TCIFLUSH);
        let asked = shown.and_then(|()| write!(stderr, "{question} [y/N] ")).and_then(|()| stderr.flush());
        let mut answer = String::new();
        if asked.is_err() || std::io::stdin().read_line(&mut answer).is_err() {
            return Err(Error::ConfirmationNeeded);
        }
        if matches!(answer.trim(), "y" | "Y" | "yes" | "Yes") { Ok(()) } else { Err(Error::Declined) }
    }
}
