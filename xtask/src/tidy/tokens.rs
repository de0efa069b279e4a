//! Rules about Rust sources, checked on their tokens: comments and strings are out of the way by themselves.

mod inclusion;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

use super::{Finding, MAX_LINES, Rule};

/// Here, and nowhere else, may `unsafe` be written: at the hardware, and at the border to C. Every use says why it is sound
/// (clippy checks that).
const UNSAFE_ALLOWED: [&str; 2] = ["bootloader/boards/", "anchorage-app/"];
/// Sources that run on a device: no heap and no operating system.
const HEAP_FREE: [&str; 6] = [
    "anchorage-app/src/",
    "trust/src/",
    "firmware-image/src/",
    "suit-manifest/src/",
    "update-protocol/src/",
    "bootloader/src/",
];
/// Where each board is one of them, but for those that run on an operating system.
const BOARDS: &str = "bootloader/boards/";
const HOST_BOARDS: [&str; 2] = ["bootloader/boards/sim/", "bootloader/boards/linker-scripts/"];
/// With an allocator here a device build would link whatever asks for a heap, and prove nothing by that.
const WITHOUT_ALLOCATOR: [&str; 2] = ["bootloader/", "anchorage-app/"];
/// Crates only a heap or an operating system can give.
const HEAP_CRATES: [&str; 2] = ["alloc", "std"];
/// Macros that say the work is not done.
/// Methods of other people's traits (`x509_cert::builder::profile::BuilderProfile`).
const FOREIGN_ACCESSORS: [&str; 2] = ["get_issuer", "get_subject"];
const UNFINISHED: [&str; 3] = ["todo", "unimplemented", "dbg"];
/// Programs, and libraries that only tests depend on: `pub` there promises nothing to a product.
const PROGRAMS: [&str; 7] =
    ["manifest-tool", "update-server", "updater-host", "tests", "xtask", "fuzz", "bootloader/boards/sim"];
/// What a library warns of: each public item is documented, errors have a section, a result is not dropped.
const LIBRARY_LINTS: [&str; 3] = ["missing_docs", "clippy::missing_errors_doc", "clippy::must_use_candidate"];
/// A crate of fewer tokens does nothing.
const EMPTY_CRATE: usize = 40;

/// A Rust file, its path relative to the root.
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

impl Source {
    pub(super) fn place(&self) -> String {
        self.path.display().to_string()
    }

    /// Whether no product is built from it.
    pub(super) fn is_test(&self) -> bool {
        self.path.components().any(|part| part.as_os_str() == "tests")
            || self.path.file_name().is_some_and(|file| file == "tests.rs")
    }

    fn is_below(&self, directory: &str) -> bool {
        self.path.starts_with(directory)
    }

    /// `src/lib.rs`, `src/main.rs`, `src/bin/*.rs`.
    fn is_crate_root(&self) -> bool {
        let parent_is = |name: &str| self.path.parent().is_some_and(|parent| parent.ends_with(name));
        let named = |name: &str| self.path.file_name().is_some_and(|file| file == name);
        (parent_is("src") && (named("lib.rs") || named("main.rs"))) || parent_is("src/bin")
    }
}

/// All findings in all sources.
pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut parsed = Vec::new();
    let mut host_only = BTreeSet::new();
    for source in sources {
        let lines = source.text.lines().count();
        if lines > MAX_LINES {
            findings.push(Finding::new(
                Rule::FileLength,
                source.place(),
                0,
                format!("{lines} lines, at most {MAX_LINES}"),
            ));
        }
        match source.text.parse::<TokenStream>() {
            Ok(tokens) => {
                collect_host_modules(source, &tokens, &mut host_only);
                parsed.push((source, tokens));
            }
            Err(error) => {
                findings.push(Finding::new(Rule::NotRust, source.place(), 0, format!("is no Rust: {error}")))
            }
        }
    }
    for (source, tokens) in &parsed {
        let in_host_module = host_only.iter().any(|module| source.path.starts_with(module))
            || host_only.contains(&source.path.with_extension(""));
        let heap_free = is_heap_free(source) && !in_host_module;
        let mut walk = Walk { source, heap_free, findings: &mut findings };
        walk.stream(tokens, false);
        check_crate_root(source, tokens, &parsed, &mut findings);
    }
    findings
}

/// Whether a device runs it: the sources of the device crates, and of each board that is not for an operating system.
fn is_heap_free(source: &Source) -> bool {
    let is_of_a_board = source.is_below(BOARDS)
        && !HOST_BOARDS.iter().any(|place| source.is_below(place))
        && source.path.iter().nth(3).is_some_and(|directory| directory == "src");
    is_of_a_board || HEAP_FREE.iter().any(|place| source.is_below(place))
}

/// What every crate root must say, and that there is a crate behind it.
fn check_crate_root(
    source: &Source,
    tokens: &TokenStream,
    all: &[(&Source, TokenStream)],
    findings: &mut Vec<Finding>,
) {
    if !source.is_crate_root() {
        return;
    }
    if !UNSAFE_ALLOWED.iter().any(|place| source.is_below(place)) && !forbids_unsafe(tokens) {
        findings.push(Finding::new(Rule::ForbidUnsafe, source.place(), 0, "has no #![forbid(unsafe_code)]"));
    }
    if source.path.ends_with("src/lib.rs") && !PROGRAMS.iter().any(|program| source.is_below(program)) {
        let warned: Vec<_> = attributes(tokens)
            .iter()
            .map(|attribute| squeeze(&attribute.stream()))
            .filter_map(|text| Some(text.strip_prefix("warn(")?.strip_suffix(')')?.to_owned()))
            .collect();
        let warns = |lint: &&str| warned.iter().any(|lints| lints.split(',').any(|warned| warned == *lint));
        for lint in LIBRARY_LINTS.iter().filter(|lint| !warns(lint)) {
            let message = format!("has no #![warn({lint})]");
            findings.push(Finding::new(Rule::LibraryLint, source.place(), 0, message));
        }
    }
    let directory = source.path.parent().unwrap_or(Path::new(""));
    let size: usize = all
        .iter()
        .filter(|(other, _)| other.path.starts_with(directory))
        .map(|(_, tokens)| count(tokens))
        .sum();
    if size < EMPTY_CRATE {
        findings.push(Finding::new(Rule::EmptyCrate, source.place(), 0, "the crate is empty"));
    }
}

/// Tokens but for attributes, so that documentation does not count as work.
fn count(tokens: &TokenStream) -> usize {
    let mut size = 0;
    let mut previous_hash = false;
    for token in tokens.clone() {
        match &token {
            TokenTree::Group(group) if previous_hash && group.delimiter() == Delimiter::Bracket => {}
            TokenTree::Group(group) => size += 1 + count(&group.stream()),
            TokenTree::Punct(punct) if matches!(punct.as_char(), '#' | '!') => {}
            _ => size += 1,
        }
        previous_hash = matches!(&token, TokenTree::Punct(punct) if matches!(punct.as_char(), '#' | '!'));
    }
    size
}

fn forbids_unsafe(tokens: &TokenStream) -> bool {
    attributes(tokens).iter().any(|attribute| squeeze(&attribute.stream()) == "forbid(unsafe_code)")
}

/// The bracket groups of `#![...]` and `#[...]` directly in this stream.
fn attributes(tokens: &TokenStream) -> Vec<Group> {
    let trees: Vec<_> = tokens.clone().into_iter().collect();
    let mut found = Vec::new();
    for (index, tree) in trees.iter().enumerate() {
        if let Some((attribute, _)) = attribute_at(&trees, index)
            && is_punct(tree, '#')
        {
            found.push(attribute.clone());
        }
    }
    found
}

/// The attribute that starts at `index`, and the index after it.
pub(super) fn attribute_at(trees: &[TokenTree], index: usize) -> Option<(&Group, usize)> {
    if !trees.get(index).is_some_and(|tree| is_punct(tree, '#')) {
        return None;
    }
    let at = if trees.get(index + 1).is_some_and(|tree| is_punct(tree, '!')) { index + 2 } else { index + 1 };
    match trees.get(at) {
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Bracket => Some((group, at + 1)),
        _ => None,
    }
}

pub(super) fn is_punct(tree: &TokenTree, character: char) -> bool {
    matches!(tree, TokenTree::Punct(punct) if punct.as_char() == character)
}

pub(super) fn is_ident(tree: &TokenTree, word: &str) -> bool {
    matches!(tree, TokenTree::Ident(ident) if ident == word)
}

/// Whether a word is anywhere in a group.
pub(super) fn mentions(group: &Group, word: &str) -> bool {
    group.stream().into_iter().any(|tree| match tree {
        TokenTree::Group(inner) => mentions(&inner, word),
        tree => is_ident(&tree, word),
    })
}

/// The tokens without white space.
fn squeeze(tokens: &TokenStream) -> String {
    tokens.to_string().split_whitespace().collect()
}

/// Whether an attribute is a `cfg` that no device build fulfils.
fn is_host_cfg(attribute: &Group) -> bool {
    let mut trees = attribute.stream().into_iter();
    match (trees.next(), trees.next()) {
        (Some(name), Some(TokenTree::Group(condition))) => {
            is_ident(&name, "cfg") && is_host_condition(&condition.stream().into_iter().collect::<Vec<_>>())
        }
        _ => false,
    }
}

/// Features of the device crates for hosts (std) or tests (skipped checks, computed once): never on in a device build
/// (`features.rs`).
pub(super) const HOST_FEATURES: [&str; 5] = ["author", "blocks", "host", "fault-injection", "memo"];

/// `test` and the features of [`HOST_FEATURES`] are not built for a device, nor what `all` and `any` make of them.
/// What `not` makes is taken to be built.
fn is_host_condition(condition: &[TokenTree]) -> bool {
    match condition {
        [word] => is_ident(word, "test"),
        [word, equals, TokenTree::Literal(feature)] => {
            let names = |host: &str| feature.to_string() == format!("\"{host}\"");
            is_ident(word, "feature") && is_punct(equals, '=') && HOST_FEATURES.iter().any(|host| names(host))
        }
        [word, TokenTree::Group(parts)] => {
            let parts: Vec<_> = parts.stream().into_iter().collect();
            let mut parts = parts
                .split(|tree| is_punct(tree, ','))
                .filter(|part| !part.is_empty())
                .map(is_host_condition);
            match word.to_string().as_str() {
                "all" => parts.any(|host| host),
                "any" => parts.all(|host| host),
                _ => false,
            }
        }
        _ => false,
    }
}

/// Where an item that starts at `index` ends: after its braces or its semicolon.
fn item_end(trees: &[TokenTree], mut index: usize) -> usize {
    while let Some(tree) = trees.get(index) {
        index += 1;
        let braces = matches!(tree, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace);
        if braces || is_punct(tree, ';') {
            break;
        }
    }
    index
}

/// Finds `#[cfg(test)] mod name;` and the like: the files of such a module are not built for a device.
fn collect_host_modules(source: &Source, tokens: &TokenStream, found: &mut BTreeSet<PathBuf>) {
    let trees: Vec<_> = tokens.clone().into_iter().collect();
    let mut host = false;
    let mut index = 0;
    while index < trees.len() {
        if let Some((attribute, next)) = attribute_at(&trees, index) {
            host |= is_host_cfg(attribute);
            index = next;
            continue;
        }
        if host {
            let end = item_end(&trees, index);
            let item = trees.get(index..end).unwrap_or_default();
            let name = item.iter().position(|tree| is_ident(tree, "mod")).and_then(|at| item.get(at + 1));
            if let Some(TokenTree::Ident(name)) = name {
                found.insert(module_directory(source).join(name.to_string()));
            }
            index = end;
        } else {
            index += 1;
        }
        host = false;
    }
}

/// The directory in which a file's modules lie: `src` for `src/lib.rs`, `src/cose` for `src/cose.rs`.
fn module_directory(source: &Source) -> PathBuf {
    if source.is_crate_root() {
        source.path.parent().unwrap_or(Path::new("")).to_path_buf()
    } else {
        source.path.with_extension("")
    }
}

struct Walk<'a> {
    source: &'a Source,
    heap_free: bool,
    findings: &'a mut Vec<Finding>,
}

impl Walk<'_> {
    fn report(&mut self, rule: Rule, tree: &TokenTree, message: impl Into<String>) {
        let line = tree.span().start().line;
        self.findings.push(Finding::new(rule, self.source.place(), line, message));
    }

    /// Walks a stream; `host` says that it is not built for a device.
    fn stream(&mut self, tokens: &TokenStream, host: bool) {
        let trees: Vec<_> = tokens.clone().into_iter().collect();
        let mut index = 0;
        let mut host_until = 0;
        while let Some(tree) = trees.get(index) {
            if let Some((attribute, next)) = attribute_at(&trees, index) {
                self.attribute(attribute);
                if is_host_cfg(attribute) {
                    host_until = host_until.max(item_end(&trees, next));
                }
                index = next;
                continue;
            }
            let host_here = host || index < host_until;
            match tree {
                TokenTree::Group(group) => self.stream(&group.stream(), host_here),
                TokenTree::Ident(_) => self.ident(&trees, index, host_here),
                _ => {}
            }
            index += 1;
        }
    }

    fn attribute(&mut self, attribute: &Group) {
        let first = attribute.stream().into_iter().next();
        if let Some(tree) = first.filter(|tree| is_ident(tree, "ignore")) {
            self.report(Rule::IgnoredTest, &tree, "an ignored test");
        }
        let place = TokenTree::Group(attribute.clone());
        if WITHOUT_ALLOCATOR.iter().any(|place| self.source.is_below(place))
            && mentions(attribute, "global_allocator")
        {
            self.report(Rule::Allocator, &place, "an allocator in the device's product");
        }
        if let Some(named) = inclusion::of_attribute(attribute) {
            self.inclusion(&place, &named);
        }
    }

    fn inclusion(&mut self, place: &TokenTree, named: &str) {
        if !inclusion::is_allowed(&self.source.path, named) {
            self.report(Rule::Inclusion, place, format!("takes in `{named}`, which is another package's"));
        }
    }

    fn ident(&mut self, trees: &[TokenTree], index: usize, host: bool) {
        let Some(tree @ TokenTree::Ident(ident)) = trees.get(index) else { return };
        let word = ident.to_string();
        let next = |step: usize, character: char| {
            trees.get(index + step).is_some_and(|tree| is_punct(tree, character))
        };
        for named in inclusion::of_macro(trees, index) {
            self.inclusion(tree, &named);
        }
        if word == "unsafe" && !UNSAFE_ALLOWED.iter().any(|place| self.source.is_below(place)) {
            self.report(Rule::UnsafeOutsideBoards, tree, "`unsafe` outside the boards and the C library");
        }
        if UNFINISHED.contains(&word.as_str()) && next(1, '!') {
            self.report(Rule::Unfinished, tree, format!("`{word}!` in finished code"));
        }
        if word == "fn"
            && self.source.path.components().any(|part| part.as_os_str() == "src")
            && let Some(TokenTree::Ident(name)) = trees.get(index + 1)
            && name.to_string().starts_with("get_")
            && !FOREIGN_ACCESSORS.contains(&name.to_string().as_str())
        {
            self.report(
                Rule::GetAccessor,
                tree,
                format!("`{name}`: an accessor has the name of what it returns"),
            );
        }
        if self.heap_free && !host && HEAP_CRATES.contains(&word.as_str()) {
            // A path segment further in, such as `a::std`, is somebody else's name.
            let starts_path = next(1, ':') && next(2, ':') && !self.follows(trees, index, ':');
            let named = index.checked_sub(1).and_then(|at| trees.get(at)).is_some_and(|previous| {
                is_ident(previous, "use") || is_ident(previous, "crate") && self.follows_extern(trees, index)
            });
            if starts_path || named {
                self.report(Rule::HeapInDeviceCode, tree, format!("`{word}` in code that a device runs"));
            }
        }
    }

    /// Whether `a::` stands before the token; a leading `::` alone is a path's start.
    fn follows(&self, trees: &[TokenTree], index: usize, character: char) -> bool {
        let at = |back: usize| index.checked_sub(back).and_then(|at| trees.get(at));
        at(1).is_some_and(|tree| is_punct(tree, character)) && matches!(at(3), Some(TokenTree::Ident(_)))
    }

    fn follows_extern(&self, trees: &[TokenTree], index: usize) -> bool {
        index.checked_sub(2).and_then(|at| trees.get(at)).is_some_and(|tree| is_ident(tree, "extern"))
    }
}

#[cfg(test)]
mod tests;
