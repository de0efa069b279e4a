//! The pages of docs/custody, word for word: real programs, a server, simulated devices. After each, no secret of it
//! stands in anything that it left behind or said.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use emulator::script;
use system_tests::secrets::Secrets;
use system_tests::xtask;

/// Keeps what a drill removes, so that its secrets are looked for too; then removes it.
const RM: &str = "#!/bin/sh\nfor file; do\n    case $file in -*) ;; *) cp -R --parents -- \"$file\" \"$KEPT\" ;; esac\ndone\n\
                  exec /bin/rm \"$@\"\n";

fn pages() -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/custody")).to_owned()
}

/// The commands of a drill's page that are checks, a loop counted once.
fn checks_of(page: &str) -> usize {
    let lines = script::blocks(page).into_iter().flat_map(str::lines);
    lines
        .filter(|line| ["shows ", "refused "].iter().any(|check| line.trim_start().starts_with(check)))
        .count()
}

/// Runs a drill, and looks for its secrets.
fn drill(name: &str) -> Result<()> {
    page(&format!("drill-{name}"))
}

/// The same of any page. Two roots, a release key, six shares, a passphrase and a token, in nine forms each, are secrets.
fn page(page: &str) -> Result<()> {
    page_with(page, 9 * 10)
}

/// The same of a page that has more than so many secrets.
fn page_with(page: &str, least: usize) -> Result<()> {
    let name = page.strip_prefix("drill-").unwrap_or(page);
    let programs = xtask::build_programs()?;
    let kept = tempfile::tempdir()?;
    let shim = tempfile::tempdir()?;
    let rm = shim.path().join("rm");
    std::fs::write(&rm, RM)?;
    std::fs::set_permissions(&rm, std::fs::Permissions::from_mode(0o755))?;
    let rest = std::env::var_os("PATH").unwrap_or_default();
    let path = std::iter::once(shim.path().to_owned()).chain(std::env::split_paths(&rest));
    let environment: [(&str, OsString); 2] =
        [("PATH", std::env::join_paths(path)?), ("KEPT", kept.path().into())];

    let directory = programs.to_str().context("the path of the programs is text")?;
    let told = xtask::run_with(&["demo", "--story", name, "--programs", directory], &environment)?;
    let text = std::fs::read_to_string(pages().join(format!("{page}.md")))?;
    let (held, wanted) = (told["checks"].as_array().map_or(0, Vec::len), checks_of(&text));
    ensure!(wanted >= 3 && held >= wanted, "{held} checks held, the page has {wanted}: {told}");

    let files = Path::new(told["directory"].as_str().context("a story has a directory")?);
    let secrets = Secrets::of(&[files, kept.path()], &programs.join("manifest-tool"))?;
    ensure!(secrets.len() > least, "only {} forms of secrets are known", secrets.len());
    let found = secrets.found_below(files)?;
    ensure!(found.is_empty(), "{found:#?}");
    Ok(())
}

#[test]
fn drill_a_lost_release_key() -> Result<()> {
    drill("lost-release-key")
}

#[test]
fn drill_a_stolen_release_key_that_used_up_its_numbers() -> Result<()> {
    drill("stolen-release-key")
}

#[test]
fn drill_a_lost_root() -> Result<()> {
    drill("lost-root")
}

#[test]
fn drill_a_stolen_root() -> Result<()> {
    drill("stolen-root")
}

#[test]
fn drill_a_custodian_leaves() -> Result<()> {
    drill("custodian-leaves")
}

#[test]
fn drill_the_maker_is_sold() -> Result<()> {
    drill("maker-is-sold")
}

#[test]
fn drill_a_forgotten_passphrase() -> Result<()> {
    drill("forgotten-passphrase")
}

#[test]
fn custody_a_year_of_the_keys() -> Result<()> {
    page("year")
}

#[test]
fn custody_a_new_root_that_is_planned() -> Result<()> {
    page("new-root")
}

#[test]
fn custody_a_release_key_in_a_token() -> Result<()> {
    page("ci-token")
}

#[test]
fn custody_a_start_with_two_people_and_a_token() -> Result<()> {
    page("start-two")
}

#[test]
fn custody_a_batch_of_devices_with_identities() -> Result<()> {
    page("production")
}

/// A master key, a guess, and two keys of three devices.
#[test]
fn custody_a_maker_without_public_keys() -> Result<()> {
    page_with("symmetric", 9 * 7)
}

#[test]
fn each_page_is_run_and_linked() -> Result<()> {
    let source = include_str!("drills.rs");
    let contents = std::fs::read_to_string(pages().join("README.md"))?;
    for entry in std::fs::read_dir(pages())? {
        let file = entry?.file_name().to_string_lossy().into_owned();
        ensure!(
            file == "README.md" || contents.contains(&format!("({file})")),
            "README.md does not link {file}"
        );
        let name = file.strip_suffix(".md").context("pages are Markdown")?;
        let call = name
            .strip_prefix("drill-")
            .map_or(format!("page(\"{name}\")"), |name| format!("drill(\"{name}\")"));
        let own = format!("page_with(\"{name}\",");
        // The start runs before each other page.
        let is_run = ["README", "start"].contains(&name) || source.contains(&call) || source.contains(&own);
        ensure!(is_run, "{file} is not run");
    }
    Ok(())
}
