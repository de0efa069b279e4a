//! The rules of the code base, as code: what ARCHITECTURE.md and CONTRIBUTING.md ask and no compiler checks.
//!
//! Each rule is a function from text to findings, and the tests plant a fault for each in a copy of the tree.

mod attacks;
mod codes;
mod compliance;
mod edges;
mod features;
mod files;
mod imports;
mod kinds;
mod requirements;
mod rule;
#[cfg(test)]
mod tests;
mod tokens;

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::process;
use crate::workspace::Workspace;
use rule::Rule;

/// Longest Rust file.
const MAX_LINES: usize = 800;
/// Files over this are listed: a hint that one file has become two.
const LONG_LINES: usize = 400;
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    rule: Rule,
    /// File relative to the root, or package.
    place: String,
    /// 1-based; 0 when the whole file is meant.
    line: usize,
    message: String,
}

impl Finding {
    fn new(rule: Rule, place: impl Into<String>, line: usize, message: impl Into<String>) -> Self {
        Self { rule, place: place.into(), line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(formatter, "{}: {}", self.place, self.message),
            line => write!(formatter, "{}:{line}: {}", self.place, self.message),
        }
    }
}

#[derive(clap::Args, Default)]
pub(crate) struct Arguments {
    /// Put imports in order, in files below these folders [default: all]
    #[arg(long, value_name = "FOLDER", num_args = 0..)]
    fix: Option<Vec<PathBuf>>,
    /// List the rules
    #[arg(long, conflicts_with = "fix")]
    list: bool,
}
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    if arguments.list {
        Rule::ALL.iter().for_each(|rule| println!("{}", rule.words()));
        return Ok(());
    }
    if let Some(folders) = &arguments.fix {
        fix(workspace.root(), folders)?;
    }
    let tree = check(workspace)?;
    for (lines, path) in &tree.long {
        println!("note: {path} has {lines} lines; the aim is {LONG_LINES}");
    }
    for finding in &tree.findings {
        println!("{finding}");
    }
    if tree.findings.is_empty() {
        println!("tidy: {} files, no findings", tree.files);
        return Ok(());
    }
    bail!("tidy: {} findings", tree.findings.len())
}

/// What there is to say about a tree.
struct Tree {
    files: usize,
    /// Lines and path of each long file, the longest first.
    long: Vec<(usize, String)>,
    findings: Vec<Finding>,
}

fn check(workspace: &Workspace) -> Result<Tree> {
    let members = edges::members(&workspace.metadata()?)?;
    let mut findings = edges::check(&members);
    findings.extend(features::check(workspace)?);

    let files = tracked_files(workspace.root())?;
    let rust = files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let mut long = Vec::new();
    let mut sources = Vec::new();
    for path in rust {
        let text = std::fs::read_to_string(workspace.root().join(path))
            .with_context(|| format!("cannot read {}", path.display()))?;
        let lines = text.lines().count();
        if lines > LONG_LINES {
            long.push((lines, path.display().to_string()));
        }
        sources.push(tokens::Source { path: path.clone(), text });
    }
    findings.extend(tokens::check(&sources));
    findings.extend(sources.iter().filter_map(imports::check));
    findings.extend(kinds::check(&sources, &crate_names(&members)));
    findings.extend(codes::check(&sources, |page| std::fs::read_to_string(workspace.root().join(page)).ok()));
    let attacks = std::fs::read_to_string(workspace.root().join(attacks::DOCUMENT))
        .with_context(|| format!("cannot read {}", attacks::DOCUMENT))?;
    findings.extend(attacks::check(&attacks, &sources));
    let compliance = std::fs::read_to_string(workspace.root().join(compliance::DOCUMENT))
        .with_context(|| format!("cannot read {}", compliance::DOCUMENT))?;
    findings.extend(compliance::check(&compliance, &sources));
    let pages = requirement_pages(workspace.root(), &files)?;
    findings.extend(requirements::check(&pages, &sources, |path| {
        files.iter().any(|file| file == Path::new(path))
    }));
    for path in &files {
        findings.extend(files::check_name(path));
        // What is not text holds no words.
        if let Ok(text) = std::fs::read_to_string(workspace.root().join(path)) {
            findings.extend(files::check_text(path, &text, workspace.root()));
        }
    }

    long.sort_by(|one, other| other.cmp(one));
    Ok(Tree { files: files.len(), long, findings })
}

/// The pages of requirements among these files.
fn requirement_pages(root: &Path, files: &[PathBuf]) -> Result<Vec<requirements::Page>> {
    let paths = files.iter().filter(|path| path.starts_with(requirements::FOLDER));
    paths
        .map(|path| {
            let text = std::fs::read_to_string(root.join(path))
                .with_context(|| format!("cannot read {}", path.display()))?;
            Ok(requirements::Page { path: path.display().to_string(), text })
        })
        .collect()
}

/// The crates of the workspace, as Rust names them.
fn crate_names(members: &[edges::Member]) -> BTreeSet<String> {
    members.iter().map(|member| member.name.replace('-', "_")).collect()
}

/// Puts the imports of all tracked Rust files below `folders` in order.
fn fix(root: &Path, folders: &[PathBuf]) -> Result<()> {
    for path in tracked_files(root)? {
        let chosen = folders.is_empty() || folders.iter().any(|folder| path.starts_with(folder));
        if !chosen || path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let text = std::fs::read_to_string(root.join(&path))?;
        if let Some(text) = imports::ordered(&text) {
            std::fs::write(root.join(&path), text)?;
            println!("{}: imports put in order", path.display());
        }
    }
    println!("tidy: run cargo fmt --all now; it sorts each group");
    Ok(())
}

/// What git tracks or would track.
fn tracked_files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut command = std::process::Command::new("git");
    command.current_dir(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let listing = String::from_utf8(process::output(&mut command)?)?;
    let paths = listing.split('\0').filter(|path| !path.is_empty()).map(PathBuf::from);
    // A file that was deleted and not yet committed is still in the index.
    let files: Vec<_> = paths.filter(|path| root.join(path).is_file()).collect();
    // In a checkout that a repository around it ignores there is nothing to check, and no rule would be broken.
    ensure!(files.iter().any(|path| path == Path::new("Cargo.toml")), "git lists no file of this workspace");
    Ok(files)
}
