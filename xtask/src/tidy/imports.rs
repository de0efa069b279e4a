//! One order of imports: std, then other crates, then this one, with an empty line between. rustfmt sorts within a
//! group; stable rustfmt does not make the groups.
//!
//! `cargo xtask tidy --fix` puts them in this order. A `pub use` exports, and is left where it is.

use super::tokens::Source;
use super::{Finding, Rule};

/// Where imports differ from the order.
pub(super) fn check(source: &Source) -> Option<Finding> {
    let ordered = ordered(&source.text)?;
    let differs = source.text.lines().zip(ordered.lines()).position(|(is, should)| is != should);
    let line = differs.map_or(0, |index| index + 1);
    Some(Finding::new(
        Rule::ImportOrder,
        source.place(),
        line,
        "imports are not in the order std, crates, own; run cargo xtask tidy --fix",
    ))
}

/// The text with its imports in order, if they are not.
pub(super) fn ordered(text: &str) -> Option<String> {
    let lines: Vec<_> = text.split('\n').collect();
    let own = own_modules(&lines);
    let mut result: Vec<&str> = Vec::with_capacity(lines.len());
    let mut index = 0;
    while let Some(line) = lines.get(index) {
        let Some((items, end)) = block(&lines, index) else {
            result.push(line);
            index += 1;
            continue;
        };
        let mut first = true;
        for rank in 0..3 {
            let group: Vec<_> = items.iter().filter(|item| rank_of(item, &own) == rank).collect();
            if !group.is_empty() && !first {
                result.push("");
            }
            first &= group.is_empty();
            result.extend(group.into_iter().flatten());
        }
        index = end;
    }
    let result = result.join("\n");
    (result != text).then_some(result)
}

/// The modules that a file declares: `use device::...` in it means its own.
fn own_modules<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    let name = |line: &&'a str| {
        let line = line.trim_start().trim_start_matches("pub ").trim_start_matches("pub(crate) ");
        line.strip_prefix("mod ")?.split([';', ' ']).next()
    };
    lines.iter().filter_map(name).collect()
}

/// Consecutive imports from a line on, at most one empty line apart, and the line after them.
fn block<'a>(lines: &[&'a str], start: usize) -> Option<(Vec<Vec<&'a str>>, usize)> {
    let (first, mut end) = item(lines, start)?;
    let mut items = vec![first];
    loop {
        let next = if lines.get(end).is_some_and(|line| line.trim().is_empty()) { end + 1 } else { end };
        let same_depth = lines.get(next).zip(lines.get(start)).is_some_and(|(a, b)| indent(a) == indent(b));
        let Some((following, after)) = item(lines, next).filter(|_| same_depth) else { break };
        items.push(following);
        end = after;
    }
    Some((items, end))
}

/// One import with its attributes, and the line after it.
fn item<'a>(lines: &[&'a str], start: usize) -> Option<(Vec<&'a str>, usize)> {
    let mut at = start;
    while lines.get(at).is_some_and(|line| is_attribute(line)) {
        at += 1;
    }
    lines.get(at).filter(|line| line.trim_start().starts_with("use "))?;
    while !lines.get(at)?.split("//").next().unwrap_or_default().trim_end().ends_with(';') {
        at += 1;
    }
    Some((lines.get(start..=at)?.to_vec(), at + 1))
}

fn is_attribute(line: &str) -> bool {
    let line = line.trim();
    line.starts_with("#[") && line.ends_with(']')
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// 0 std, 1 another crate, 2 this crate.
fn rank_of(item: &[&str], own: &[&str]) -> usize {
    let import = item.iter().find_map(|line| line.trim_start().strip_prefix("use ")).unwrap_or_default();
    let root = import.trim_start_matches("::").split([':', ';', ' ', '{']).next().unwrap_or_default();
    match root {
        "std" | "core" | "alloc" => 0,
        "crate" | "self" | "super" => 2,
        root if own.contains(&root) => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDERED: &str = "//! Words.\n\nuse std::fmt;\n\n#[cfg(unix)]\nuse anyhow::{\n    Context,\n    Result,\n};\n\
                           use trust::Kid;\n\nuse crate::a;\nuse super::*;\n\nmod b;\n\nfn f() {}\n";

    #[test]
    fn ordered_imports_are_left_alone() {
        assert_eq!(ordered(ORDERED), None);
        assert_eq!(ordered("pub use z::Z;\nuse std::fmt;\n\nfn f() {\n    use super::b;\n}\n"), None);
        assert_eq!(ordered("use std::fmt;\n\n\nuse std::io;\n"), None);
    }

    #[test]
    fn imports_are_put_in_order() {
        let mixed = "//! Words.\n\nuse super::*;\nuse crate::a;\n\n#[cfg(unix)]\nuse anyhow::{\n    Context,\n    Result,\n};\n\
                     use std::fmt;\nuse trust::Kid;\n\nmod b;\n\nfn f() {}\n";
        let result = ordered(mixed).unwrap();
        assert_eq!(result, ORDERED.replace("use crate::a;\nuse super::*;", "use super::*;\nuse crate::a;"));
        assert_eq!(ordered(&result), None);
        let nested = "mod tests {\n    use super::*;\n    use std::io;\n}\n";
        assert_eq!(ordered(nested).unwrap(), "mod tests {\n    use std::io;\n\n    use super::*;\n}\n");
    }

    #[test]
    fn a_declared_module_is_the_crates_own() {
        assert_eq!(
            ordered("mod cli;\n\nuse cli::Cli;\nuse clap::Parser;\n").unwrap(),
            "mod cli;\n\nuse clap::Parser;\n\nuse cli::Cli;\n"
        );
    }

    #[test]
    fn imports_out_of_order_are_found_with_their_line() {
        let source =
            Source { path: "a/src/x.rs".into(), text: "//! W.\n\nuse crate::a;\nuse std::fmt;\n".into() };
        let finding = check(&source).unwrap();
        assert!(finding.to_string().starts_with("a/src/x.rs:3: imports are not in the order"), "{finding}");
    }
}
