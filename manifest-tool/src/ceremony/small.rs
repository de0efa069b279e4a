//! The built-in plan `small`: a team that begins has two media, a release key, and no time. And the page that says what to
//! do when something is lost, with the commands as they are for these keys.

use std::path::{Path, PathBuf};

use super::words::Fingerprint;
use crate::error::Error;
use crate::html::{document, escape};

/// Public key of the CI in the bundle.
pub const CI_FILE: &str = "ci.cose";
/// The copy of the root's ledger that is kept up to date, in the folder of the ceremony.
pub const NEWEST_LEDGER: &str = "newest/ledger";
/// The newest published list of the root, beside it.
pub const NEWEST_LIST: &str = "newest/list.cwt";
const NEWEST: &str = "newest";
const FETCH: &str = "Before, save the newest list that your server publishes in newest/list.cwt: a copy of the ledger that lacks it is refused as \
     ledger-stale, and you have to find a newer copy.";
/// Shares that make a key again, and shares that are made.
const THRESHOLD: usize = 2;
const SHARES: usize = 3;

/// What `setup` asks for.
#[derive(Clone, Debug)]
pub struct Small {
    pub domain: String,
    pub product: String,
    /// The first one types and holds the keys, the second one watches, the others keep shares.
    pub people: Vec<String>,
    pub first_medium: PathBuf,
    pub second_medium: PathBuf,
    /// The fingerprint of the key of the CI; none: it is made here.
    pub ci: Option<Fingerprint>,
    pub year: u32,
}

/// A string of TOML: its escapes are those of JSON.
fn quote(text: &str) -> Result<String, Error> {
    serde_json::to_string(text).map_err(|_| Error::Internal("a text has no quoted form"))
}

impl Small {
    /// The plan, as a file.
    pub fn plan(&self) -> Result<String, Error> {
        let (year, first) = (self.year, self.people.first().map(String::as_str).unwrap_or_default());
        let medium = |path: &Path, file: &str| quote(&path.join(file).display().to_string());
        let people = self.people.iter().enumerate().map(|(place, name)| {
            let roles = match (place, self.people.len()) {
                (0, 1) => "[\"operator\", \"witness\", \"custodian\"]",
                (0, _) => "[\"operator\", \"custodian\"]",
                _ => "[\"witness\"]",
            };
            Ok(format!("[[person]]\nname = {}\nroles = {roles}\n", quote(name)?))
        });
        let people = people.collect::<Result<Vec<_>, Error>>()?.concat();
        let holders: Vec<String> =
            self.people.iter().cycle().take(SHARES).map(|name| quote(name)).collect::<Result<_, _>>()?;
        let shares = |folder: &str| {
            format!(
                "threshold = {THRESHOLD}\nholders = [{}]\nkept = \"on paper, each in another place\"\nfolder = \"print/{folder}\"\n",
                holders.join(", ")
            )
        };
        let ci = match &self.ci {
            Some(fingerprint) => format!("public = \"{CI_FILE}\"\nfingerprint = \"{}\"", fingerprint.hex()),
            None => "make = \"ci.pem\"".to_owned(),
        };
        Ok(format!(
            "# Written by manifest-tool setup.\nformat = 1\npurpose = \"The first root, recovery root and release key\"\n\
             vendor = {vendor}\nclasses = [{product}]\nfirst-list = true\nbundle-copies = [{second_folder}]\n\n{people}\n\
             [root]\nname = \"root {year}\"\nholder = {holder}\nkept = {first_kept}\nmake = {root}\n[root.shares]\n\
             {root_shares}\n[recovery-root]\nname = \"recovery root {year}\"\nholder = {holder}\nkept = {second_kept}\n\
             make = {recovery}\n[recovery-root.shares]\n{recovery_shares}\n[[key]]\nname = \"ci {year}\"\nrole = \"release\"\n\
             holder = {holder}\nkept = \"secret of the CI\"\n{ci}\n",
            vendor = quote(&self.domain)?,
            product = quote(&self.product)?,
            second_folder = quote(&self.second_medium.display().to_string())?,
            holder = quote(first)?,
            first_kept = quote(&format!("first medium ({})", self.first_medium.display()))?,
            second_kept = quote(&format!("second medium ({})", self.second_medium.display()))?,
            root = medium(&self.first_medium, "root.pem")?,
            recovery = medium(&self.second_medium, "recovery.pem")?,
            root_shares = shares("root"),
            recovery_shares = shares("recovery-root"),
        ))
    }

    /// The page *What to do when*. `folder`: of the ceremony.
    pub fn page(&self, folder: &Path) -> String {
        let shell = |path: PathBuf| format!("'{}'", path.display().to_string().replace('\'', "'\\''"));
        let text = |text: &str| format!("'{}'", text.replace('\'', "'\\''"));
        let (year, root) = (self.year, shell(self.first_medium.join("root.pem")));
        let (recovery, second) =
            (shell(self.second_medium.join("recovery.pem")), shell(self.second_medium.join("ledger")));
        let ledger = shell(self.first_medium.join("ledger"));
        let anchor = shell(folder.join(format!("out/root-{year}.cose")));
        let copy = shell(folder.join(NEWEST_LEDGER));
        let list = shell(folder.join(NEWEST_LIST));
        let bundle = shell(folder.join(super::BUNDLE_FILE));
        let holder = text(self.people.first().map(String::as_str).unwrap_or_default());
        let domain = text(&self.domain);
        let keep = format!("cp -r {}/. {copy}", shell(self.first_medium.join("ledger")));
        let new_key =
            "manifest-tool key generate --out new.pem\nmanifest-tool key public new.pem --out new.cose";
        let sections: Vec<(&str, String, String)> = vec![
            (
                "Once a month, and each year",
                "It names what is due, with the command for it.".into(),
                format!("manifest-tool today {ledger} {second}\nmanifest-tool doctor {ledger} {second}"),
            ),
            (
                "The first medium was used",
                "Bring the copies up to date at once: of the ledger, and of each list that you publish. Without the newest ones, a root that \
                 follows would certify again what was revoked."
                    .into(),
                format!("{keep}\nmanifest-tool ledger verify {copy} --anchor {anchor} --published {list}"),
            ),
            (
                "Somebody asks whether the keys were made as you say",
                "Give them the bundle and the public key of the root.".into(),
                format!("manifest-tool ceremony verify {bundle} --anchor {anchor}"),
            ),
            (
                "The release key is lost, or the person who had it leaves",
                "Make another one where releases are made; the root certifies it. Sign the next release with it.".into(),
                format!(
                    "{new_key}\nmkdir -p new\nmanifest-tool rotate 'ci {year}' --key {root} --for new.cose --subject 'ci {year}b' \
                     --holder {holder} --kept 'secret of the CI' --out-dir new\n{keep}"
                ),
            ),
            (
                "The release key is stolen",
                format!(
                    "The same, and a list that revokes the stolen key: publish it at once (manifest-tool publish --revocations). {FETCH}"
                ),
                format!(
                    "{new_key}\nmkdir -p stolen\nmanifest-tool rotate 'ci {year}' --key {root} --for new.cose --subject 'ci {year}c' \
                     --holder {holder} --kept 'secret of the CI' --out-dir stolen --list-out stolen.list --published {list}\n\
                     cp stolen.list {list}\n{keep}"
                ),
            ),
            (
                "The first medium is lost, or its passphrase is forgotten",
                format!(
                    "Two shares make the root again, under a new passphrase; the newest copy of the ledger goes with it. {FETCH}"
                ),
                format!(
                    "mkdir -p again\nmanifest-tool key recover --type --public {anchor} --out again/root.pem\n\
                     cp -r {copy} again/ledger\n\
                     manifest-tool ledger verify again/ledger --anchor {anchor} --published {list}"
                ),
            ),
            (
                "The root may be stolen: the first medium was with somebody else, or two of its shares",
                format!(
                    "The recovery root names a new root. Publish the chain (manifest-tool publish --succession successor.chain): server, \
                     hosts and devices take it. Then certify the release key again, but no key that was revoked. {FETCH}"
                ),
                format!(
                    "mkdir -p successor\nmanifest-tool key generate --out successor/root.pem\n\
                     manifest-tool succession request --key successor/root.pem --name 'root {year}b' --by-recovery --history {copy} \
                     --history {second} --list {list} --out request\n\
                     manifest-tool succession grant request --key {recovery} --ledger {second} --retires {copy} --list {list} \
                     --reason stolen --out succession\n\
                     manifest-tool ledger init successor/ledger --key successor/root.pem --name 'root {year}b' --continues {copy} \
                     --vendor {domain} --holder {holder} --kept 'a new medium'\n\
                     manifest-tool revoke --nothing-new --key successor/root.pem --none-published --out successor.list\n\
                     manifest-tool succession chain --history successor/ledger --out successor.chain"
                ),
            ),
            (
                "The second medium is lost",
                "Two shares of the recovery root make it again. If both are lost, devices in the field have no other one: later \
                 devices get a new recovery root in production."
                    .into(),
                format!(
                    "manifest-tool key recover --type --public {} --out recovery-again.pem",
                    shell(folder.join(format!("out/recovery-root-{year}.cose")))
                ),
            ),
        ];
        let mut body = format!(
            "<p>{}: root on the first medium ({}), recovery root on the second one ({}). Keep the media in different \
             places, and each share in a third one. Print this page; it has nothing secret. The folder {} has copies that have to be the \
             newest ones: of the ledger of the root, and of its published list.</p>\n",
            escape(&self.domain),
            escape(&self.first_medium.display().to_string()),
            escape(&self.second_medium.display().to_string()),
            escape(&folder.join(NEWEST).display().to_string()),
        );
        for (title, words, commands) in sections {
            body += &format!(
                "<h2>{}</h2>\n<p>{}</p>\n<pre><code>{}</code></pre>\n",
                escape(title),
                escape(&words),
                commands.lines().map(escape).collect::<Vec<_>>().join("\n")
            );
        }
        document("What to do when", &body)
    }
}
