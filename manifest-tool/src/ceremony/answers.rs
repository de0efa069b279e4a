//! Who answers in the room: people at a terminal, or a file for tests and drills. An answer is a name or a word that the
//! plan or a fingerprint gives; whatever else is typed is not repeated anywhere, since it may be a passphrase.

use std::collections::BTreeMap;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use nix::sys::termios::{FlushArg, tcflush};

use super::fault::CeremonyError;
use crate::error::Error;
use crate::files::read;

/// Longest file of answers, bytes.
const MAX_ANSWERS_LEN: u64 = 64 * 1024;
/// Longest line that is read from a terminal, bytes.
const MAX_ANSWER_LEN: u64 = 1024;
/// How often a question is asked.
const MAX_TRIES: usize = 3;
/// Stands for each step that has no line of its own, and for the right answer.
const ANY: &str = "*";

/// A question of a step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Question {
    pub step: String,
    /// What is asked for, and shown.
    pub text: String,
    /// The right answers.
    pub right: Vec<String>,
}

/// Where answers come from.
#[derive(Debug)]
pub enum Answers {
    /// People at the terminal.
    Terminal,
    /// A file.
    File {
        path: PathBuf,
        steps: BTreeMap<String, Vec<String>>,
        /// How many answers of a step were given.
        given: BTreeMap<String, usize>,
    },
    /// One person confirmed the whole plan at its beginning: `setup`.
    WholePlan,
}

impl Answers {
    /// Those of a file, else of the terminal.
    pub fn choose(path: Option<&Path>) -> Result<Self, Error> {
        let Some(path) = path else { return Ok(Self::Terminal) };
        let bytes = read(path, MAX_ANSWERS_LEN)?;
        let text = String::from_utf8(bytes).unwrap_or_default();
        let mut steps: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (place, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = || CeremonyError::Answers { path: path.to_owned(), line: place + 1 };
            let (step, answer) = line.split_once(':').ok_or_else(wrong)?;
            steps.entry(step.trim().to_owned()).or_default().push(answer.trim().to_owned());
        }
        if steps.is_empty() {
            return Err(CeremonyError::Answers { path: path.to_owned(), line: 1 }.into());
        }
        Ok(Self::File { path: path.to_owned(), steps, given: BTreeMap::new() })
    }

    /// How the transcript names them.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Terminal => "people at the terminal".to_owned(),
            Self::File { path, .. } => format!("NOT ATTENDED: the file {}", path.display()),
            Self::WholePlan => "one person, for the whole plan".to_owned(),
        }
    }

    /// A step begins, or begins anew: its answers are given from the first one.
    pub fn begin(&mut self, step: &str) {
        if let Self::File { given, .. } = self {
            given.remove(step);
        }
    }

    /// Asks; which of the right answers was given. [`CeremonyError::NotConfirmed`] when none was.
    pub fn ask(&mut self, question: &Question) -> Result<String, Error> {
        let wrong = || {
            let (step, asked) = (question.step.clone(), question.text.clone());
            Error::from(CeremonyError::NotConfirmed { step, asked })
        };
        match self {
            Self::WholePlan => question.right.first().cloned().ok_or_else(wrong),
            Self::File { steps, given, .. } => {
                let of_step = steps.get(&question.step).or_else(|| steps.get(ANY));
                let answers = of_step.ok_or_else(|| CeremonyError::NobodyToAsk(question.step.clone()))?;
                let place = given.entry(question.step.clone()).or_default();
                // The last answer of a step is that of all further questions.
                let answer = answers.get(*place).or(answers.last()).ok_or_else(wrong)?;
                *place += 1;
                let right = if answer == ANY { question.right.first() } else { find(question, answer) };
                right.cloned().ok_or_else(wrong)
            }
            Self::Terminal => {
                for _ in 0..MAX_TRIES {
                    if let Some(right) = find(question, &type_in(question)?) {
                        return Ok(right.clone());
                    }
                    say("That is not the answer.");
                }
                Err(wrong())
            }
        }
    }
}

/// The right answer that this one is, whatever its case and blanks.
fn find<'q>(question: &'q Question, answer: &str) -> Option<&'q String> {
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    question.right.iter().find(|right| plain(right) == plain(answer))
}

/// Words for the people in the room: on standard error, since standard output may carry an object.
pub(super) fn say(text: &str) {
    // The reader may be gone.
    let _ignored = writeln!(std::io::stderr().lock(), "{}", printable_lines(text));
}

fn printable_lines(text: &str) -> String {
    text.lines().map(trust::host::printable).collect::<Vec<_>>().join("\n")
}

/// A line of the terminal. What was typed before the question appeared does not answer it.
pub(crate) fn type_in(question: &Question) -> Result<String, Error> {
    let nobody = || Error::from(CeremonyError::NobodyToAsk(question.step.clone()));
    let input = std::io::stdin();
    if !input.is_terminal() {
        return Err(nobody());
    }
    tcflush(&input, FlushArg::TCIFLUSH).map_err(|_| nobody())?;
    let _ignored = write!(std::io::stderr().lock(), "{}: ", printable_lines(&question.text));
    let mut line = String::new();
    let read = std::io::Read::take(input.lock(), MAX_ANSWER_LEN).read_line(&mut line);
    match read {
        Ok(0) | Err(_) => Err(nobody()),
        Ok(_) => Ok(line),
    }
}

#[cfg(test)]
mod tests {
    use super::{Answers, Question};

    fn question(step: &str, right: &[&str]) -> Question {
        let right = right.iter().map(|right| (*right).to_owned()).collect();
        Question { step: step.into(), text: "who".into(), right }
    }

    fn answers(content: &str) -> Result<Answers, crate::Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("answers");
        std::fs::write(&path, content).unwrap();
        Answers::choose(Some(&path))
    }

    #[test]
    fn a_file_answers_step_by_step() {
        let mut file =
            answers("# drill\npresent: Ada Example\npresent:  bob   EXAMPLE\n*: *\nlast: nobody\n").unwrap();
        let present = question("present", &["Ada Example", "Bob Example"]);
        assert_eq!(file.ask(&present).unwrap(), "Ada Example");
        assert_eq!(file.ask(&present).unwrap(), "Bob Example");
        file.begin("present");
        assert_eq!(file.ask(&present).unwrap(), "Ada Example");
        assert_eq!(file.ask(&question("other", &["right", "also"])).unwrap(), "right");
        assert_eq!(file.ask(&question("last", &["Ada"])).unwrap_err().code(), "ceremony-not-confirmed");
    }

    #[test]
    fn a_file_without_answers_answers_nothing() {
        for bad in ["", "# only words\n", "no colon\n"] {
            assert_eq!(answers(bad).unwrap_err().code(), "answers-invalid", "{bad:?}");
        }
        let mut file = answers("present: Ada\n").unwrap();
        assert_eq!(file.ask(&question("other", &["Ada"])).unwrap_err().code(), "ceremony-unattended");
    }
}
