//! What a person reads: a line a step, with the time it took.

use std::io::IsTerminal;
use std::time::Instant;

/// The story has no more lines than this.
const MAX_LINES: usize = 60;

/// Prints the story to stdout, or to stderr when stdout carries JSON.
pub(super) struct Story {
    to_stderr: bool,
    bold: bool,
    began: Instant,
    step_began: Instant,
    lines: usize,
}

impl Story {
    pub(super) fn new(to_stderr: bool) -> Self {
        let bold = if to_stderr { std::io::stderr().is_terminal() } else { std::io::stdout().is_terminal() };
        Self { to_stderr, bold, began: Instant::now(), step_began: Instant::now(), lines: 0 }
    }
    pub(super) fn title(&mut self, text: &str) {
        if self.bold {
            self.line(&format!("\x1b[1m{text}\x1b[0m"));
        } else {
            self.line(text);
        }
    }

    /// Something done: with the seconds since the last step.
    pub(super) fn step(&mut self, text: &str) {
        let seconds = self.step_began.elapsed().as_secs_f64();
        self.line(&format!("{seconds:7.1} s  {text}"));
        self.step_began = Instant::now();
    }

    /// A line without a time.
    pub(super) fn note(&mut self, text: &str) {
        self.line(&format!("           {text}"));
    }

    pub(super) fn end(&mut self) {
        let seconds = self.began.elapsed().as_secs_f64();
        self.line(&format!("Done in {seconds:.1} s."));
    }

    fn line(&mut self, text: &str) {
        self.lines += 1;
        debug_assert!(self.lines <= MAX_LINES, "the story is too long");
        if self.to_stderr {
            eprintln!("{text}");
        } else {
            println!("{text}");
        }
    }
}
