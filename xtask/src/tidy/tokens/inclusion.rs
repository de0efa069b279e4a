//! Files that a source takes in by their path: an edge between packages that no Cargo.toml shows.

use std::path::{Component, Path, PathBuf};

use proc_macro2::{Group, TokenTree};

use super::{is_ident, is_punct};

/// Macros that read a file at compile time.
const MACROS: [&str; 3] = ["include", "include_str", "include_bytes"];
/// May be taken in by anybody: what is written there is for all.
const DOCUMENTS: &str = "docs";
/// Where a package has its sources.
const DIRECTORIES: [&str; 4] = ["src", "tests", "benches", "examples"];

/// The file that an attribute names: `path = "..."`, in a `cfg_attr` too.
pub(super) fn of_attribute(attribute: &Group) -> Option<String> {
    let trees: Vec<_> = attribute.stream().into_iter().collect();
    trees.iter().enumerate().find_map(|(index, tree)| {
        match (tree, trees.get(index + 1), trees.get(index + 2)) {
            (TokenTree::Group(group), ..) => of_attribute(group),
            (word, Some(equals), Some(literal)) if is_ident(word, "path") && is_punct(equals, '=') => {
                text(literal)
            }
            _ => None,
        }
    })
}

/// The texts within `include!(...)` and its like, where `index` is at the macro's name.
pub(super) fn of_macro(trees: &[TokenTree], index: usize) -> Vec<String> {
    let named = trees.get(index).is_some_and(|tree| MACROS.iter().any(|name| is_ident(tree, name)));
    match (trees.get(index + 1), trees.get(index + 2)) {
        (Some(mark), Some(TokenTree::Group(group))) if named && is_punct(mark, '!') => texts(group),
        _ => Vec::new(),
    }
}

fn texts(group: &Group) -> Vec<String> {
    let of = |tree| match tree {
        TokenTree::Group(inner) => texts(&inner),
        tree => text(&tree).into_iter().collect(),
    };
    group.stream().into_iter().flat_map(of).collect()
}

/// A string literal's text as it is written.
fn text(literal: &TokenTree) -> Option<String> {
    let TokenTree::Literal(literal) = literal else { return None };
    let written = literal.to_string();
    let written = written.trim_start_matches('r').trim_matches('#');
    Some(written.strip_prefix('"')?.strip_suffix('"')?.to_owned())
}

/// Whether `source` may take in the file `named`: one of its own package, or a document. Code that two packages share
/// is a crate.
pub(super) fn is_allowed(source: &Path, named: &str) -> bool {
    if Path::new(named).is_absolute() {
        // Stands after OUT_DIR or the like in a `concat!`, and stays below it unless it climbs.
        return !Path::new(named).components().any(|part| part == Component::ParentDir);
    }
    let Some(target) = resolve(source, named) else { return false };
    let own = package(source).or(source.parent()).unwrap_or(source);
    target.starts_with(DOCUMENTS) || package(&target).map_or(target.starts_with(own), |other| other == own)
}

/// The directory of the package that a file belongs to, if one of cargo's own directories is on the way.
fn package(path: &Path) -> Option<&Path> {
    let is_cargos = |path: &&Path| {
        path.parent().is_some_and(|parent| parent != "")
            && path.file_name().is_some_and(|name| DIRECTORIES.iter().any(|directory| name == *directory))
    };
    path.ancestors().filter(is_cargos).last()?.parent()
}

/// The path from the root, if it stays within.
fn resolve(source: &Path, named: &str) -> Option<PathBuf> {
    let mut target = source.parent()?.to_path_buf();
    for part in Path::new(named).components() {
        match part {
            Component::ParentDir => {
                if !target.pop() {
                    return None;
                }
            }
            Component::Normal(name) => target.push(name),
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(target)
}
