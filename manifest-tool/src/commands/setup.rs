//! `setup`: from nothing to root, recovery root, release key, ledgers, first list and shares, by five questions. It is a
//! ceremony with the built-in plan `small` (docs/ceremony.md).

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::Serialize;
use trust::host::Existing;

use crate::ceremony::answers::Answers;
use crate::ceremony::bundle::Bundle;
use crate::ceremony::plan::{Plan, page};
use crate::ceremony::small::{CI_FILE, NEWEST_LEDGER, NEWEST_LIST, Small};
use crate::ceremony::words::Fingerprint;
use crate::ceremony::{CeremonyError, Options, PLAN_FILE, PassphraseFiles, Room, Sealed};
use crate::commands::key::Protection;
use crate::confirm::ConfirmArguments;
use crate::error::Error;
use crate::files::write;
use crate::output::{Output, Report, table, warning};
use crate::public_key;
use crate::time::IssueTime;

/// What goes in, if the key of the CI is there.
const BUNDLE: &str = "in.tar";
/// The page.
const PAGE: &str = "what-to-do-when.html";

/// Set up root, recovery root, release key, ledgers, first list and shares
#[derive(clap::Args, Clone, Debug)]
pub struct Setup {
    /// Folder for everything that is public; run it again to go on
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Domain of the company [default: ask]
    #[arg(long)]
    domain: Option<String>,
    /// Name of the product [default: ask]
    #[arg(long)]
    product: Option<String>,
    /// Who is present; the first one holds the keys, the second one watches (repeatable) [default: ask]
    #[arg(long = "who", value_name = "PERSON")]
    people: Vec<String>,
    /// Folder of the medium for the root, such as a stick [default: ask]
    #[arg(long, value_name = "FOLDER", requires = "second_medium")]
    first_medium: Option<PathBuf>,
    /// Folder of the medium for the recovery root [default: ask]
    #[arg(long, value_name = "FOLDER", requires = "first_medium")]
    second_medium: Option<PathBuf>,
    /// Public key of the CI, which signs releases [default: ask]
    #[arg(long, value_name = "PUBLIC")]
    ci_public: Option<PathBuf>,
    /// Make the key of the CI here
    #[arg(long, conflicts_with = "ci_public")]
    ci_make: bool,
    #[command(flatten)]
    confirm: ConfirmArguments,
    #[command(flatten)]
    passphrases: PassphraseFiles,
    #[command(flatten)]
    protection: Protection,
    #[command(flatten)]
    time: IssueTime,
}

#[derive(Debug, Serialize)]
pub struct Ready {
    #[serde(flatten)]
    sealed: Sealed,
    page_what_to_do: PathBuf,
    print: PathBuf,
}

impl Setup {
    pub fn run(&self, output: Output) -> Result<Ready, Error> {
        let plan_path = self.dir.join(PLAN_FILE);
        if plan_path.exists() {
            if self.is_answered() {
                return Err(Error::usage(format!(
                    "{} has answers already: omit them to go on, or set up in another folder",
                    plan_path.display()
                )));
            }
        } else {
            self.begin(output, &plan_path)?;
        }
        let bundle = Some(self.dir.join(BUNDLE)).filter(|path| path.exists());
        let options = Options {
            rehearsal: false,
            bundle,
            answers: Answers::WholePlan,
            secrets: self.passphrases.clone().into(),
            protection: self.protection.clone(),
            time: self.time,
        };
        let mut room = Room::enter(&plan_path, &self.dir, options)?;
        room.run()?;
        let sealed = room.seal()?;
        room.begin_copies(&self.dir.join(NEWEST_LEDGER), &self.dir.join(NEWEST_LIST))?;
        Ok(Ready { sealed, page_what_to_do: self.dir.join(PAGE), print: self.dir.join("print") })
    }

    fn is_answered(&self) -> bool {
        self.domain.is_some()
            || self.product.is_some()
            || !self.people.is_empty()
            || self.first_medium.is_some()
            || self.ci_public.is_some()
            || self.ci_make
    }

    /// Asks, shows the plan, and writes it when somebody has said yes. The plan comes last: with it, the answers stand.
    fn begin(&self, output: Output, plan_path: &Path) -> Result<(), Error> {
        let (small, ci_path) = self.small()?;
        let content = small.plan()?;
        let plan = Plan::parse(plan_path, content.clone().into_bytes())?;
        if small.people.len() == 1 {
            warning(
                "one person has all roles, and all shares: whoever loses or steals them needs nobody else",
            );
        }
        self.confirm.ask(output, &page::text(&plan), "Make these keys?")?;
        crate::ceremony::bundle::make_folder(&self.dir)?;
        let html = small.page(&self.dir.canonicalize().unwrap_or_else(|_| self.dir.clone()));
        write(&self.dir.join(PAGE), html.as_bytes(), Existing::Replace)?;
        if let Some(path) = ci_path {
            let key = public_key::open(&path)?.to_cose_key().to_vec();
            let bundle_path = self.dir.join(BUNDLE);
            let refused = |fault| CeremonyError::Bundle { path: bundle_path.clone(), fault };
            let bundle = Bundle::new(vec![(CI_FILE.to_owned(), key)]).map_err(refused)?;
            bundle.write(&bundle_path, Existing::Replace)?;
        }
        write(plan_path, content.as_bytes(), Existing::Keep)
    }

    /// The answers, and the file of the key of the CI.
    fn small(&self) -> Result<(Small, Option<PathBuf>), Error> {
        let domain = answer(self.domain.clone(), "--domain", "Domain of the company")?;
        let product = answer(self.product.clone(), "--product", "Name of the product")?;
        let people = if self.people.is_empty() {
            let names = answer(None, "--who", "Who is present, with commas between the names")?;
            names.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
        } else {
            self.people.clone()
        };
        let medium = |given: &Option<PathBuf>, option, question| {
            let given = given.as_ref().map(|path| path.display().to_string());
            let path = PathBuf::from(answer(given, option, question)?);
            path.canonicalize().ok().filter(|path| path.is_dir()).ok_or_else(|| {
                Error::usage(format!("{option} {} is not a folder: is the medium mounted?", path.display()))
            })
        };
        let first_medium = medium(&self.first_medium, "--first-medium", "Folder of the first medium (root)")?;
        let second_medium =
            medium(&self.second_medium, "--second-medium", "Folder of the second medium (recovery root)")?;
        check_media(&first_medium, &second_medium)?;
        let ci_path = match &self.ci_public {
            None if !self.ci_make => {
                let question = "Public key of the CI, or a hyphen to make the key here";
                Some(PathBuf::from(answer(None, "--ci-public or --ci-make", question)?))
            }
            given => given.clone(),
        };
        let ci_path = ci_path.filter(|path| *path != Path::new("-"));
        let ci = ci_path.as_deref().map(public_key::open).transpose()?.map(|key| Fingerprint::of_key(&key));
        let now = self.time.after(None)?;
        let year = crate::time::display(now).get(..4).and_then(|year| year.parse().ok()).unwrap_or_default();
        Ok((Small { domain, product, people, first_medium, second_medium, ci, year }, ci_path))
    }
}

/// Whoever steals one of the media must not have both roots.
fn check_media(first: &Path, second: &Path) -> Result<(), Error> {
    if first == second {
        return Err(Error::usage("the two media are one folder"));
    }
    let device = |path: &Path| path.metadata().map(|metadata| metadata.dev()).ok();
    if device(first) == device(second) {
        warning(
            "both media are on one device: copy the recovery root to a medium of its own, and delete it here",
        );
    }
    Ok(())
}

/// What is given, else what somebody types.
fn answer(given: Option<String>, option: &str, question: &str) -> Result<String, Error> {
    if let Some(given) = given {
        return Ok(given);
    }
    let input = std::io::stdin();
    if !input.is_terminal() {
        return Err(Error::usage(format!("{option} is required: there is no terminal to ask on")));
    }
    let mut stderr = std::io::stderr();
    // The reader may be gone; then nobody answers.
    let _ignored = write!(stderr, "{question}: ").and_then(|()| stderr.flush());
    let mut line = String::new();
    match std::io::Read::take(input.lock(), 1024).read_line(&mut line) {
        Ok(1..) if !line.trim().is_empty() => Ok(line.trim().to_owned()),
        _ => Err(Error::usage(format!("{option} is required"))),
    }
}

impl Report for Ready {
    fn lines(&self) -> String {
        let next = table(&[
            ("to print, hand over and delete", self.print.display().to_string()),
            ("to print and keep", self.page_what_to_do.display().to_string()),
        ]);
        format!("{}\n{next}", self.sealed.lines())
    }
}
