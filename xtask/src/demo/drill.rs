//! `cargo xtask demo --story NAME`: a drill or process of docs/custody, its commands as they stand, told as it goes.
//!
//! Each page goes on where docs/custody/start.md ends, so that page runs first, in the same shell. A page `start-...` is
//! another start: its sections are done in place of those of start.md that have the same title. A page that is its own
//! beginning takes the checks of start.md alone.
//! Its files stay in `target/story-NAME/`, with all that its programs said in `said.log`.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use emulator::Behaviour;
use emulator::script::{Script, blocks};
use serde::Serialize;

use super::device;
use super::story::Story;
use crate::board;
use crate::workspace::Workspace;

/// Where the pages are, from the root of the workspace.
const PAGES: &str = "docs/custody";
/// Each drill goes on from here.
const START: &str = "start.md";
/// Pages that go on from nowhere.
const NO_STORIES: [&str; 2] = [START, "README.md"];
/// The section of the start that has the words for checks.
const CHECKS: &str = "Checks";
/// Stories that are their own beginning.
const OWN_START: [&str; 1] = ["symmetric"];
/// Begins the names of pages that are another start.
const OTHER_START: &str = "start-";
/// Begins the names of pages, and not those of their stories.
const PREFIX: &str = "drill-";
/// What every program of the story says.
const SAID: &str = "said.log";
const PASSPHRASE_FILE: &str = "passphrase";
const PASSPHRASE: &str = "exercise only, and nobody's secret 8841\n";
/// The versions of the application that the pages release.
const VERSIONS: [&str; 3] = ["1.0.0", "2.0.0", "3.0.0"];
/// A line of the script's stdout that begins with this names the section that begins.
const SECTION: &str = "\u{1e}section ";
/// What the checks of the pages say when they hold.
const CHECK: &str = "ok: ";
/// Far above what a story takes.
const LIMIT: Duration = Duration::from_secs(900);

/// What came of a story.
#[derive(Serialize)]
pub(super) struct Told {
    story: String,
    /// Where its files are.
    directory: PathBuf,
    /// What each check of the drill's page found, in their order.
    checks: Vec<String>,
    /// Of the commands, without building.
    seconds: f64,
}

/// The pages that have a story, by its name.
fn stories(workspace: &Workspace) -> Result<BTreeMap<String, PathBuf>> {
    let mut stories = BTreeMap::new();
    for entry in std::fs::read_dir(workspace.root().join(PAGES))? {
        let path = entry?.path();
        let name = path.file_stem().and_then(OsStr::to_str).unwrap_or_default();
        let name = name.strip_prefix(PREFIX).unwrap_or(name).to_owned();
        if !NO_STORIES.iter().any(|page| path.ends_with(page)) {
            stories.insert(name, path);
        }
    }
    Ok(stories)
}

/// Runs the page of this name, and tells it.
pub(super) fn tell(
    workspace: &Workspace,
    name: &str,
    programs: Option<&Path>,
    story: &mut Story,
) -> Result<Told> {
    let stories = stories(workspace)?;
    let known = || stories.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    let page =
        stories.get(name).with_context(|| format!("there is no story {name}; there are {}", known()))?;
    let page = std::fs::read_to_string(page)?;
    let start = std::fs::read_to_string(workspace.root().join(PAGES).join(START))?;

    let state = format!("story-{name}");
    let _lock = workspace.lock(&state)?;
    let directory = workspace.fresh_directory(&state)?;
    story.title("Build (from nothing: some minutes)");
    let programs = workspace.host_programs(programs)?;
    board::build_loader(workspace)?;
    for version in VERSIONS {
        board::build_application(workspace, version, Behaviour::Confirms, None)?;
    }
    story.step("manifest-tool, update-server, updater-host, sim, and the application in three versions");

    let mut options = std::fs::File::options();
    options.write(true).create_new(true).mode(0o600);
    options.open(directory.join(PASSPHRASE_FILE))?.write_all(PASSPHRASE.as_bytes())?;
    let rest = std::env::var_os("PATH").unwrap_or_default();
    let path = std::iter::once(programs).chain(std::env::split_paths(&rest));
    let environment: [(&str, OsString); 4] = [
        ("PATH", std::env::join_paths(path)?),
        ("ANCHORAGE_PASSPHRASE_FILE", directory.join(PASSPHRASE_FILE).into()),
        // A bus and a port of its own, so that other stories do not answer.
        ("ANCHORAGE_BUS", device::unused_bus("")?.into()),
        ("SERVER", unused_address()?.into()),
    ];
    let mut start = sections_of(&start);
    if OWN_START.contains(&name) {
        start.retain(|section| section.title == CHECKS);
    }
    let sections = joined(start, sections_of(&page), name.starts_with(OTHER_START));

    let said = std::fs::File::options().create_new(true).append(true).open(directory.join(SAID))?;
    let mut log = said.try_clone()?;
    let text = script(&sections);
    let script = Script {
        text: &text,
        directory: &directory,
        environment: &environment,
        limit: LIMIT,
        stderr: said.into(),
    };
    let began = Instant::now();
    let mut checks = Vec::new();
    let mut section = 0;
    let status = script.run(|line| {
        if let Some(number) = line.strip_prefix(SECTION) {
            section = number.parse().unwrap_or(section);
            if let Some(section) = sections.get(section) {
                story.title(section.title);
            }
        } else if let Some(check) =
            line.strip_prefix(CHECK).filter(|_| sections.get(section).is_some_and(|section| section.is_told))
        {
            story.step(check);
            checks.push(check.to_owned());
        }
        // Without it the story is told all the same.
        let _ = writeln!(log, "{line}");
    })?;
    let seconds = began.elapsed().as_secs_f64();
    let section = sections.get(section).map_or("", |section| section.title);
    ensure!(
        status.is_some_and(|status| status.success()),
        "`{section}` of {name} ended with {status:?}; {SAID} has all that was said, and ends with\n{}",
        tail(&directory.join(SAID))?
    );
    Ok(Told { story: name.to_owned(), directory, checks, seconds })
}

/// A part of a page under a heading.
struct Section<'a> {
    title: &'a str,
    blocks: Vec<&'a str>,
    /// Of the story's page: the checks of the start are not the story's.
    is_told: bool,
}

/// The start, then the page. With `replaces`, a section of the page that has the title of one of the start takes its place.
fn joined<'a>(mut start: Vec<Section<'a>>, page: Vec<Section<'a>>, replaces: bool) -> Vec<Section<'a>> {
    for section in page.into_iter().map(|section| Section { is_told: true, ..section }) {
        let is_place = |other: &&mut Section<'_>| replaces && !other.is_told && other.title == section.title;
        match start.iter_mut().find(is_place) {
            Some(other) => *other = section,
            None => start.push(section),
        }
    }
    start
}

/// The sections of a page that have commands.
fn sections_of(page: &str) -> Vec<Section<'_>> {
    let section = |part| {
        let (title, text) = str::split_once(part, '\n').unwrap_or((part, ""));
        Section { title: title.trim_start_matches("# "), blocks: blocks(text), is_told: false }
    };
    page.split("\n## ").map(section).filter(|section| !section.blocks.is_empty()).collect()
}

/// The blocks as they stand, with a line before each section that names it.
fn script(sections: &[Section<'_>]) -> String {
    let mut script = String::new();
    for (number, section) in sections.iter().enumerate() {
        script.push_str(&format!("echo '{SECTION}{number}'\n"));
        script.extend(section.blocks.iter().copied());
    }
    script
}

/// An address of this machine where nobody listens.
fn unused_address() -> Result<String> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

/// The last lines of a file.
fn tail(path: &Path) -> Result<String> {
    const LINES: usize = 12;
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    Ok(lines[lines.len().saturating_sub(LINES)..].join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titles(replaces: bool) -> Vec<(&'static str, bool)> {
        let page = |body: &'static str| sections_of(body);
        let start = page("# Start\n\n## Keys\n```sh\na\n```\n\n## Server\n```sh\nb\n```\n");
        let other = page("# Other\n\n## Keys\n```sh\nc\n```\n\n## After\n```sh\nd\n```\n");
        joined(start, other, replaces).iter().map(|section| (section.title, section.is_told)).collect()
    }

    #[test]
    fn another_start_takes_the_place_of_sections_and_a_drill_follows_them() {
        assert_eq!(titles(true), [("Keys", true), ("Server", false), ("After", true)]);
        assert_eq!(titles(false), [("Keys", false), ("Server", false), ("Keys", true), ("After", true)]);
    }
}
