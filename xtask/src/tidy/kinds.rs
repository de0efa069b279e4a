//! No `_` arm over error kinds of our own: a new kind must be judged wherever kinds are told apart.
//!
//! An arm with a name (`Err(error) => ...`) hands the error on and is no such arm.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::{self, Visit};
use syn::{Arm, Attribute, ExprMatch, File, Item, ItemEnum, ItemImpl, ItemMod, Pat, Path, Type, UseTree};

use super::tokens::Source;
use super::{Finding, Rule};

/// An enum of this name, or whose name ends so, holds error kinds.
const SUFFIXES: [&str; 4] = ["Reason", "Error", "ErrorKind", "Failure"];

/// Findings in everything that is not a test.
pub(super) fn check(sources: &[Source], crates: &BTreeSet<String>) -> Vec<Finding> {
    let files: Vec<_> = sources
        .iter()
        .filter(|source| !source.is_test())
        .filter_map(|source| Some((source, syn::parse_file(&source.text).ok()?)))
        .collect();
    let mut kinds = Kinds { names: BTreeSet::from(["Reason".to_owned()]) };
    for (_, file) in &files {
        kinds.visit_file(file);
    }
    let mut findings = Vec::new();
    for (source, file) in &files {
        let mut imports = BTreeMap::new();
        collect_imports(file, &mut imports);
        let mut walk =
            Walk { source, kinds: &kinds.names, imports, crates, self_type: None, findings: &mut findings };
        walk.visit_file(file);
    }
    findings
}

/// Names of our enums of error kinds. The one that a macro declares is known from the start.
struct Kinds {
    names: BTreeSet<String>,
}

impl<'ast> Visit<'ast> for Kinds {
    fn visit_item_enum(&mut self, item: &'ast ItemEnum) {
        let name = item.ident.to_string();
        if SUFFIXES.iter().any(|suffix| name.ends_with(suffix)) {
            self.names.insert(name);
        }
    }
}

/// For each imported name: the name behind `as`, and the root of its path.
fn collect_imports(file: &File, imports: &mut BTreeMap<String, (String, String)>) {
    struct Uses<'a> {
        imports: &'a mut BTreeMap<String, (String, String)>,
        /// The path segment around the present tree, which `self` stands for.
        parent: String,
    }
    impl Uses<'_> {
        fn tree(&mut self, tree: &UseTree, root: Option<&str>) {
            match tree {
                UseTree::Path(path) => {
                    let first = path.ident.to_string();
                    self.parent.clone_from(&first);
                    self.tree(&path.tree, Some(root.unwrap_or(&first)));
                }
                UseTree::Group(group) => {
                    let parent = self.parent.clone();
                    for tree in &group.items {
                        self.parent.clone_from(&parent);
                        self.tree(tree, root);
                    }
                }
                UseTree::Name(name) if name.ident == "self" => {
                    self.add(self.parent.clone(), self.parent.clone(), root);
                }
                UseTree::Name(name) => self.add(name.ident.to_string(), name.ident.to_string(), root),
                UseTree::Rename(rename) => {
                    self.add(rename.rename.to_string(), rename.ident.to_string(), root)
                }
                _ => {}
            }
        }
        fn add(&mut self, name: String, original: String, root: Option<&str>) {
            let root = root.map_or_else(|| original.clone(), str::to_owned);
            self.imports.insert(name, (original, root));
        }
    }
    impl<'ast> Visit<'ast> for Uses<'_> {
        fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
            self.tree(&item.tree, None);
        }
    }
    Uses { imports, parent: String::new() }.visit_file(file);
}

struct Walk<'a> {
    source: &'a Source,
    kinds: &'a BTreeSet<String>,
    imports: BTreeMap<String, (String, String)>,
    /// Crates of the workspace, as they are written in Rust.
    crates: &'a BTreeSet<String>,
    /// What `Self` stands for.
    self_type: Option<String>,
    findings: &'a mut Vec<Finding>,
}

impl<'ast> Visit<'ast> for Walk<'_> {
    fn visit_item_enum(&mut self, item: &'ast ItemEnum) {
        let attribute = item.attrs.iter().find(|attribute| attribute.path().is_ident("non_exhaustive"));
        if let Some(attribute) = attribute.filter(|_| self.kinds.contains(&item.ident.to_string())) {
            let message = format!("`{}` is non_exhaustive, so that others need a `_` over it", item.ident);
            let line = attribute.pound_token.span.start().line;
            self.findings.push(Finding::new(Rule::NonExhaustiveKind, self.source.place(), line, message));
        }
    }

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        if !module.attrs.iter().any(is_test_cfg) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item(&mut self, item: &'ast Item) {
        let attributes = match item {
            Item::Fn(item) => item.attrs.as_slice(),
            Item::Impl(item) => item.attrs.as_slice(),
            _ => &[],
        };
        if !attributes.iter().any(is_test_cfg) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        let own = match &*item.self_ty {
            Type::Path(path) => path.path.segments.last().map(|segment| segment.ident.to_string()),
            _ => None,
        };
        let outer = std::mem::replace(&mut self.self_type, own);
        visit::visit_item_impl(self, item);
        self.self_type = outer;
    }

    fn visit_expr_match(&mut self, found: &'ast ExprMatch) {
        for arm in &found.arms {
            let Some((line, wrappers)) = wildcard(arm) else { continue };
            let other = found.arms.iter().find_map(|arm| self.kind_behind(&arm.pat, &wrappers));
            if let Some(kind) = other {
                let message = format!("`_` over {kind}: say what each kind means here");
                self.findings.push(Finding::new(Rule::WildcardOverKind, self.source.place(), line, message));
            }
        }
        visit::visit_expr_match(self, found);
    }
}

impl Walk<'_> {
    /// The name of our enum that a pattern has behind the same wrappers, if it has one.
    fn kind_behind(&self, pattern: &Pat, wrappers: &[String]) -> Option<String> {
        match pattern {
            Pat::Or(or) => or.cases.iter().find_map(|case| self.kind_behind(case, wrappers)),
            Pat::Paren(paren) => self.kind_behind(&paren.pat, wrappers),
            Pat::Reference(reference) => self.kind_behind(&reference.pat, wrappers),
            Pat::Ident(ident) => self.kind_behind(&ident.subpat.as_ref()?.1, wrappers),
            Pat::Path(path) if wrappers.is_empty() => self.own_kind(&path.path),
            Pat::Struct(item) if wrappers.is_empty() => self.own_kind(&item.path),
            Pat::TupleStruct(item) => match wrappers.split_first() {
                None => self
                    .own_kind(&item.path)
                    .or_else(|| item.elems.iter().find_map(|inner| self.kind_behind(inner, wrappers))),
                Some((first, rest)) if item.path.is_ident(first) => {
                    item.elems.iter().find_map(|inner| self.kind_behind(inner, rest))
                }
                Some(_) => None,
            },
            _ => None,
        }
    }

    /// `Enum` of `...::Enum::Variant`, if it is one of ours.
    fn own_kind(&self, path: &Path) -> Option<String> {
        let segments: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        let at = segments.len().checked_sub(2)?;
        let (written, first) = (segments.get(at)?, segments.first()?);
        let (name, root) = match self.imports.get(first) {
            Some((original, root)) if at == 0 => (original.as_str(), root.as_str()),
            Some((_, root)) => (written.as_str(), root.as_str()),
            None => (written.as_str(), first.as_str()),
        };
        let (name, root) = match &self.self_type {
            Some(own) if name == "Self" => (own.as_str(), "Self"),
            _ => (name, root),
        };
        // A name that is not imported is declared here, or comes by a glob.
        let ours = at == 0 && !self.imports.contains_key(first)
            || ["crate", "self", "super"].contains(&root)
            || self.crates.contains(root);
        (ours && self.kinds.contains(name)).then(|| name.to_owned())
    }
}

/// The line of an arm's `_`, and the variants around it: `Err(_)` is `_` within `Err`.
fn wildcard(arm: &Arm) -> Option<(usize, Vec<String>)> {
    let mut wrappers = Vec::new();
    let mut pattern = &arm.pat;
    loop {
        match pattern {
            Pat::Wild(wild) => return Some((wild.underscore_token.span.start().line, wrappers)),
            Pat::TupleStruct(item) if item.elems.len() == 1 => {
                wrappers.push(item.path.get_ident()?.to_string());
                pattern = item.elems.first()?;
            }
            Pat::Paren(paren) => pattern = &paren.pat,
            Pat::Reference(reference) => pattern = &reference.pat,
            Pat::Or(or) => pattern = or.cases.last()?,
            _ => return None,
        }
    }
}

pub(super) fn is_test_cfg(attribute: &Attribute) -> bool {
    attribute.path().is_ident("test")
        || attribute.path().is_ident("cfg")
            && attribute.parse_args::<Path>().is_ok_and(|condition| condition.is_ident("test"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: &str = "pub enum ErrorKind { A, B(u8) }\npub enum Step { A, B }\n";

    fn found(path: &str, body: &str) -> Vec<String> {
        let crates = BTreeSet::from(["trust".to_owned(), "suit_manifest".to_owned()]);
        let sources = [
            Source { path: "trust/src/error.rs".into(), text: KINDS.into() },
            Source { path: path.into(), text: body.into() },
        ];
        check(&sources, &crates).iter().map(ToString::to_string).collect()
    }

    const OURS: &str = "fn f(k: K) {\nmatch k { ErrorKind::A => 1,\n_ => 2 }; }";

    #[test]
    fn a_wildcard_over_our_kinds_is_found() {
        let message = "a/src/x.rs:3: `_` over ErrorKind: say what each kind means here";
        assert_eq!(found("a/src/x.rs", OURS), [message]);
        for (import, arms) in [
            ("use trust::ErrorKind;", "Err(ErrorKind::B(_)) => 1, Ok(_) => 3, Err(_) => 2"),
            ("use crate::ErrorKind;", "Err(ErrorKind::B(_)) => 1, _ => 2"),
            ("use trust::ErrorKind as Kind;", "Kind::A | Kind::B(1) => 1, _ => 2"),
            ("", "trust::ErrorKind::A => 1, _ => 2"),
            ("use suit_manifest::Reason;", "&Reason::A => 1, _ => 2"),
        ] {
            let text = format!("{import}\nfn f(k: K) {{ match k {{ {arms} }}; }}");
            assert_eq!(found("a/src/x.rs", &text).len(), 1, "{text}");
        }
        let own = "impl super::ErrorKind { fn f(self) { match self { Self::A => 1, _ => 2 }; } }";
        assert_eq!(found("a/src/x.rs", own).len(), 1);
    }

    #[test]
    fn kinds_that_nobody_can_match_are_found() {
        let text = "#[non_exhaustive]\npub enum FileError { A }\n#[non_exhaustive]\npub enum Other { A }";
        let message = "a/src/x.rs:1: `FileError` is non_exhaustive, so that others need a `_` over it";
        assert_eq!(found("a/src/x.rs", text), [message]);
    }

    #[test]
    fn other_matches_are_left_alone() {
        for text in [
            "use std::io::ErrorKind; fn f(k: K) { match k { ErrorKind::A => 1, _ => 2 }; }",
            "use std::io::{self, Read}; fn f(k: K) { match k { io::ErrorKind::A => 1, _ => 2 }; }",
            "fn f(k: K) { match k { std::io::ErrorKind::A => 1, _ => 2 }; }",
            "fn f(k: K) { match k { pkcs8::ErrorKind::A => 1, _ => 2 }; }",
            "impl Step { fn f(self) { match self { Self::A => 1, _ => 2 }; } }",
            "fn f(k: K) { match k { Step::A => 1, _ => 2 }; }",
            "fn f(k: K) { match k { Err(ErrorKind::A) => 1, Ok(_) => 2, Err(error) => 3 }; }",
            "#[cfg(test)] mod tests { fn f(k: K) { match k { ErrorKind::A => 1, _ => 2 }; } }",
            "fn f(k: u8) { match k { 1 => Some(ErrorKind::A), _ => None }; }",
        ] {
            assert_eq!(found("a/src/x.rs", text), [""; 0], "{text}");
        }
        assert_eq!(found("a/tests/x.rs", OURS), [""; 0]);
        assert_eq!(found("a/src/x/tests.rs", OURS), [""; 0]);
    }
}
