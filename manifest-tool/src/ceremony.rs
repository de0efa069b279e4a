//! A ceremony on a machine without a network: a plan that fits onto a page, the same steps in a rehearsal and in earnest,
//! confirmations by the people in the room, and a transcript whose end the root signs (docs/ceremony.md).

mod acts;
pub mod answers;
pub mod bundle;
pub mod fault;
pub mod page;
pub mod plan;
mod room;
mod seal;
mod secrets;
pub mod small;
pub mod steps;
pub mod transcript;
pub mod verify;
pub mod words;

use std::path::Path;

pub use fault::CeremonyError;
pub use room::{Options, Room};
pub use seal::Sealed;
pub use secrets::{KeySecrets, PassphraseFiles};

use crate::error::{Error, FileAction};

/// The plan, as it is kept in the folder of a ceremony.
pub const PLAN_FILE: &str = "plan.toml";
/// The signed end of the transcript.
pub const SEAL_FILE: &str = "seal.cwt";
/// What came in.
pub const IN: &str = "in";
/// What the steps made and everybody may have.
pub const OUT: &str = "out";
/// Copies of the ledgers.
pub const LEDGERS: &str = "ledgers";
/// The transcript as a page.
pub const PAGE_FILE: &str = "transcript.html";
/// What goes out.
pub const BUNDLE_FILE: &str = "ceremony.tar";

/// A name as a part of file names: letters and digits, joined by hyphens.
#[must_use]
pub fn slug(name: &str) -> String {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { ' ' };
    let plain: String = name.chars().map(plain).collect();
    plain.split_whitespace().collect::<Vec<_>>().join("-")
}

fn cannot_write(path: &Path, source: std::io::Error) -> Error {
    Error::File { action: FileAction::Write, path: path.to_owned(), source }
}

/// SHA-256 of the program that runs.
fn executable() -> Result<[u8; 32], Error> {
    use sha2::{Digest as _, Sha256};

    let path = std::env::current_exe();
    // The program that runs, whatever lies at its path by now.
    let running = Path::new("/proc/self/exe");
    let path = if running.exists() { running.to_owned() } else { path.unwrap_or_default() };
    let failed = |source| Error::File { action: FileAction::Read, path: path.clone(), source };
    let mut file = std::fs::File::open(&path).map_err(failed)?;
    let mut digest = Sha256::new();
    let mut chunk = vec![0; 64 * 1024];
    loop {
        match std::io::Read::read(&mut file, &mut chunk).map_err(failed)? {
            0 => return Ok(digest.finalize().into()),
            len => digest.update(chunk.get(..len).unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::slug;

    #[test]
    fn a_name_makes_a_file_name() {
        for (name, wanted) in [
            ("Root 2026", "root-2026"),
            ("CI / line #1", "ci-line-1"),
            ("../x", "x"),
            ("…", ""),
            ("a--b", "a-b"),
        ] {
            assert_eq!(slug(name), wanted);
        }
    }
}
