//! Codes of refusals and errors: what is documented is produced, and what is produced is documented.
//!
//! A [`Reason`](../../suit-manifest/src/reason.rs) is produced where an expression names it, or names the error kind
//! that becomes it. To compare with it or to match it produces nothing. Tests and the text of the table do not count.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{
    Arm, BinOp, Expr, ExprBinary, ExprCall, ExprPath, FieldValue, File, ImplItemFn, Lit, Macro, Member, Pat,
    Path,
};

use super::kinds::is_test_cfg;
use super::tokens::{Source, is_punct};
use super::{Finding, Rule};

/// The table of all reasons, in code and for people.
const TABLE: &str = "suit-manifest/src/reason.rs";
const DOCUMENT: &str = "docs/errors.md";
/// Enums whose variants become reasons in the table's conversions.
const KINDS: [&str; 3] = ["ErrorKind", "Kind", "Condition"];
/// Macros that look at a value and make none.
const JUDGES: [&str; 7] =
    ["matches", "assert", "assert_eq", "assert_ne", "debug_assert", "debug_assert_eq", "debug_assert_ne"];

/// A program with codes of its own.
struct Program {
    sources: &'static str,
    document: &'static str,
}

const PROGRAMS: [Program; 4] = [
    Program { sources: "ledger/src", document: "docs/ledger.md" },
    Program { sources: "manifest-tool/src", document: "docs/manifest-tool.md" },
    Program { sources: "updater-host/src", document: "docs/updater-host.md" },
    Program { sources: "update-server/src", document: "docs/server-api.md" },
];

/// Findings in sources and documents; `document` gives the text of a page, if there is one.
pub(super) fn check(sources: &[Source], document: impl Fn(&str) -> Option<String>) -> Vec<Finding> {
    let files: Vec<_> = sources
        .iter()
        .filter(|source| !source.is_test())
        .filter_map(|source| Some((source, syn::parse_file(&source.text).ok()?)))
        .collect();
    let Some((table, table_file)) = files.iter().find(|(source, _)| source.path.to_str() == Some(TABLE))
    else {
        return vec![Finding::new(Rule::ReasonTable, TABLE, 0, "is missing")];
    };
    let reasons = reasons(&table.text);
    let mut findings = check_reasons(&reasons, &files, table_file);
    let slugs: BTreeSet<_> = reasons.iter().map(|reason| reason.slug.as_str()).collect();

    let documented = first_cells(&document(DOCUMENT).unwrap_or_default());
    for (slug, line) in &documented {
        if !slugs.contains(slug.as_str()) {
            findings.push(Finding::new(
                Rule::ReasonKnown,
                DOCUMENT,
                *line,
                format!("`{slug}` is not in {TABLE}"),
            ));
        }
    }
    for reason in reasons.iter().filter(|reason| !documented.contains_key(&reason.slug)) {
        let message = format!("`{}` is not in {DOCUMENT}", reason.slug);
        findings.push(Finding::new(Rule::ReasonDocumented, TABLE, reason.line, message));
    }

    for program in PROGRAMS {
        let mut literals = Literals { place: String::new(), found: BTreeMap::new() };
        for (source, file) in files.iter().filter(|(source, _)| source.path.starts_with(program.sources)) {
            literals.place = source.place();
            literals.visit_file(file);
        }
        let documented = codes_of_tables(&document(program.document).unwrap_or_default());
        for (code, (place, line)) in &literals.found {
            if !documented.contains_key(code) && !slugs.contains(code.as_str()) {
                let message = format!("`{code}` is not in {}", program.document);
                findings.push(Finding::new(Rule::CodeDocumented, place, *line, message));
            }
        }
        for (code, line) in &documented {
            if !literals.found.contains_key(code) && !slugs.contains(code.as_str()) {
                let message = format!("nothing in {} produces `{code}`", program.sources);
                findings.push(Finding::new(Rule::CodeProduced, program.document, *line, message));
            }
        }
    }
    findings
}

struct Reason {
    /// 1-based, in the table.
    line: usize,
    variant: String,
    slug: String,
}

/// Rows of the table: `0x0101 RecordMalformed "record-malformed" 1 5`.
fn reasons(table: &str) -> Vec<Reason> {
    let row = |(index, line): (usize, &str)| {
        let mut words = line.split_whitespace();
        words.next().filter(|word| word.starts_with("0x") && word.len() == 6)?;
        let variant = words.next()?.to_owned();
        let slug = words.next()?.strip_prefix('"')?.strip_suffix('"')?.to_owned();
        Some(Reason { line: index + 1, variant, slug })
    };
    table.lines().enumerate().filter_map(row).collect()
}

fn check_reasons(reasons: &[Reason], files: &[(&Source, File)], table: &File) -> Vec<Finding> {
    let mut made = Made::default();
    for (_, file) in files.iter().filter(|(source, _)| source.path.to_str() != Some(TABLE)) {
        made.visit_file(file);
    }
    let mut conversions = Conversions { made: &made.kinds, reasons: BTreeSet::new() };
    conversions.visit_file(table);
    let produced = |reason: &&Reason| {
        made.reasons.contains(&reason.variant) || conversions.reasons.contains(&reason.variant)
    };
    reasons
        .iter()
        .filter(|reason| !produced(reason))
        .map(|reason| {
            let message = format!("nothing produces `{}`", reason.slug);
            Finding::new(Rule::ReasonProduced, TABLE, reason.line, message)
        })
        .collect()
}

/// The enum and the variant that a path names.
fn variant(path: &Path) -> Option<(String, String)> {
    let mut segments = path.segments.iter().rev();
    let variant = segments.next()?.ident.to_string();
    Some((segments.next()?.ident.to_string(), variant))
}

/// Variants that expressions name.
#[derive(Default)]
struct Made {
    reasons: BTreeSet<String>,
    kinds: BTreeSet<String>,
}

impl Made {
    fn add(&mut self, name: &str, variant: String) {
        if name == "Reason" {
            self.reasons.insert(variant);
        } else if KINDS.contains(&name) {
            self.kinds.insert(variant);
        }
    }

    /// `Name::Variant` in the arguments of a macro.
    fn tokens(&mut self, tokens: TokenStream) {
        let trees: Vec<_> = tokens.into_iter().collect();
        for (index, tree) in trees.iter().enumerate() {
            match (tree, trees.get(index + 1), trees.get(index + 2), trees.get(index + 3)) {
                (TokenTree::Group(group), ..) => self.tokens(group.stream()),
                (TokenTree::Ident(name), Some(first), Some(second), Some(TokenTree::Ident(variant)))
                    if is_punct(first, ':') && is_punct(second, ':') =>
                {
                    self.add(&name.to_string(), variant.to_string());
                }
                _ => {}
            }
        }
    }
}

impl<'ast> Visit<'ast> for Made {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if let syn::Item::Mod(module) = item
            && module.attrs.iter().any(is_test_cfg)
        {
            return;
        }
        visit::visit_item(self, item);
    }

    fn visit_pat(&mut self, _: &'ast Pat) {}

    fn visit_expr_path(&mut self, path: &'ast ExprPath) {
        if let Some((name, variant)) = variant(&path.path) {
            self.add(&name, variant);
        }
    }

    fn visit_expr_binary(&mut self, binary: &'ast ExprBinary) {
        if !matches!(binary.op, BinOp::Eq(_) | BinOp::Ne(_)) {
            visit::visit_expr_binary(self, binary);
        }
    }

    fn visit_macro(&mut self, found: &'ast Macro) {
        if !JUDGES.iter().any(|judge| found.path.is_ident(judge)) {
            self.tokens(found.tokens.clone());
        }
    }
}

/// Reasons that the table's own conversions make of kinds that are made elsewhere.
struct Conversions<'a> {
    made: &'a BTreeSet<String>,
    reasons: BTreeSet<String>,
}

impl<'ast> Visit<'ast> for Conversions<'_> {
    fn visit_arm(&mut self, arm: &'ast Arm) {
        let mut kinds = Patterns { variants: Vec::new() };
        kinds.visit_pat(&arm.pat);
        if let Expr::Path(body) = &*arm.body
            && let Some((name, reason)) = variant(&body.path)
            && ["Self", "Reason"].contains(&name.as_str())
            && kinds.variants.iter().any(|kind| self.made.contains(kind))
        {
            self.reasons.insert(reason);
        }
    }
}

struct Patterns {
    variants: Vec<String>,
}

impl<'ast> Visit<'ast> for Patterns {
    fn visit_path(&mut self, path: &'ast Path) {
        self.variants.extend(variant(path).map(|(_, variant)| variant));
    }
}

/// Codes of a program: text in a function or field called `code`, in arguments of `Problem::...`, and the first of the two
/// arguments of `warn`.
struct Literals {
    place: String,
    found: BTreeMap<String, (String, usize)>,
}

impl Literals {
    fn add(&mut self, text: &str, line: usize) {
        if is_code(text) {
            self.found.entry(text.to_owned()).or_insert_with(|| (self.place.clone(), line));
        }
    }
}

impl<'ast> Visit<'ast> for Literals {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if !module.attrs.iter().any(is_test_cfg) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        if function.sig.ident == "code" {
            let mut texts = Texts(Vec::new());
            texts.visit_block(&function.block);
            for (text, line) in texts.0 {
                self.add(&text, line);
            }
        }
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_field_value(&mut self, field: &'ast FieldValue) {
        if matches!(&field.member, Member::Named(name) if name == "code") {
            let mut texts = Texts(Vec::new());
            texts.visit_expr(&field.expr);
            for (text, line) in texts.0 {
                self.add(&text, line);
            }
        }
        visit::visit_field_value(self, field);
    }

    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        if let Expr::Path(function) = &*call.func
            && let Some((name, _)) = variant(&function.path)
            && (name == "Problem" || name == "Self" && self.place.ends_with("problem.rs"))
        {
            for argument in &call.args {
                let mut texts = Texts(Vec::new());
                if let Expr::Lit(_) = argument {
                    texts.visit_expr(argument);
                }
                for (text, line) in texts.0 {
                    self.add(&text, line);
                }
            }
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        let mut arguments = call.args.iter();
        if call.method == "warn"
            && let (Some(code @ Expr::Lit(_)), Some(_)) = (arguments.next(), arguments.next())
        {
            let mut texts = Texts(Vec::new());
            texts.visit_expr(code);
            for (text, line) in texts.0 {
                self.add(&text, line);
            }
        }
        visit::visit_expr_method_call(self, call);
    }
}

struct Texts(Vec<(String, usize)>);

impl<'ast> Visit<'ast> for Texts {
    fn visit_lit(&mut self, literal: &'ast Lit) {
        if let Lit::Str(text) = literal {
            self.0.push((text.value(), text.span().start().line));
        }
    }
}

/// Lower-case words joined by `-`.
fn is_code(text: &str) -> bool {
    let word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    text.split('-').all(word)
}

/// The slug of each row `| code | slug | ...`, with its line.
fn first_cells(document: &str) -> BTreeMap<String, usize> {
    let rows = document.lines().enumerate().filter(|(_, line)| line.starts_with("| `0"));
    rows.filter_map(|(index, line)| Some((line.split('`').nth(3)?.to_owned(), index + 1))).collect()
}

/// What stands in backticks in tables that have a column of codes.
fn codes_of_tables(document: &str) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    let mut column = None;
    for (index, line) in document.lines().enumerate() {
        if !line.starts_with('|') {
            column = None;
            continue;
        }
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let titled = cells.iter().position(|cell| *cell == "code" || cell.ends_with(" code"));
        if let Some(titled) = titled {
            column = Some(titled);
        } else if let Some(cell) = column.and_then(|column| cells.get(column)) {
            for word in cell.split('`').skip(1).step_by(2).filter(|word| is_code(word)) {
                found.entry(word.to_owned()).or_insert(index + 1);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests;
