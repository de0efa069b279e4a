//! Rules about any tracked file: its name, and words that must be in none.

use std::path::Path;

use super::{Finding, Rule};

/// Names that say nothing about what is inside.
const BANNED_MODULES: [&str; 8] =
    ["utils", "util", "common", "helpers", "helper", "manager", "misc", "shared_code"];

/// A line of Markdown is shorter than this, in characters: long lines make poor diffs.
const MARKDOWN_LINE: usize = 200;

/// Holds lock data of cargo's own; its lines are not ours.
const LOCK_FILE: &str = "Cargo.lock";

/// The file's own name.
pub(super) fn check_name(path: &Path) -> Vec<Finding> {
    let place = path.display().to_string();
    let mut findings = Vec::new();
    if path.file_name().is_some_and(|name| name == "mod.rs") {
        findings.push(Finding::new(
            Rule::ModRs,
            &place,
            0,
            "is a mod.rs; the module file lies beside its directory",
        ));
    }
    let is_rust = path.extension().is_some_and(|extension| extension == "rs");
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    if is_rust && BANNED_MODULES.contains(&stem) {
        findings.push(Finding::new(
            Rule::ModuleName,
            &place,
            0,
            format!("`{stem}` does not say what is inside"),
        ));
    }
    findings
}

/// Words that tie the project to one machine, one workplace or one registry.
pub(super) fn check_text(path: &Path, text: &str, root: &Path) -> Vec<Finding> {
    let place = path.display().to_string();
    if place == LOCK_FILE {
        return Vec::new();
    }
    let words = banned_words(root);
    let mut findings = Vec::new();
    let markdown = path.extension().is_some_and(|extension| extension == "md");
    for (index, line) in text.lines().enumerate() {
        let length = line.chars().count();
        if markdown && length >= MARKDOWN_LINE {
            let message = format!("{length} characters, fewer than {MARKDOWN_LINE} are allowed");
            findings.push(Finding::new(Rule::MarkdownWidth, &place, index + 1, message));
        }
        for (word, why) in &words {
            if line.contains(word.as_str()) {
                let message = format!("names `{word}`: {why}");
                findings.push(Finding::new(Rule::BannedWord, &place, index + 1, message));
            }
        }
    }
    findings
}

/// Put together from parts, so that this file does not hold them.
fn banned_words(root: &Path) -> Vec<(String, &'static str)> {
    const OUTSIDE: &str = "a file outside the repository";
    const HOST: &str = "where packages come from is the machine's configuration";
    const MACHINE: &str = "a path of one machine";
    let mut words = vec![(["..", "shared"].join("/"), OUTSIDE)];
    for (first, second) in [
        ("index.crates", "io"),
        ("static.crates", "io"),
        ("deb.debian", "org"),
        ("security.debian", "org"),
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("registry.npmjs", "org"),
    ] {
        words.push((format!("{first}.{second}"), HOST));
    }
    for directory in ["home", "root", "Users"] {
        words.push((format!("/{directory}/"), MACHINE));
    }
    // A checkout right below `/` has a name too short to be told from other words.
    if root.components().count() > 2 {
        words.push((root.display().to_string(), MACHINE));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn banned_names_are_found() {
        assert_eq!(check_name(Path::new("trust/src/cose/mod.rs")).len(), 1);
        assert_eq!(check_name(Path::new("trust/src/utils.rs")).len(), 1);
        assert_eq!(check_name(Path::new("trust/src/cose.rs")), []);
        assert_eq!(check_name(Path::new("docs/common.md")), []);
    }

    #[test]
    fn every_banned_word_is_found() {
        let root = Path::new("/srv/checkout");
        for (word, why) in banned_words(root) {
            let text = format!("first line\nsee {word}x for more\n");
            let found = check_text(Path::new("README.md"), &text, root);
            assert_eq!(
                found,
                [Finding::new(Rule::BannedWord, "README.md", 2, format!("names `{word}`: {why}"))]
            );
        }
    }

    #[test]
    fn a_long_line_of_markdown_is_found() {
        let root = Path::new("/srv/checkout");
        let line = |length: usize| format!("first\n{}\n", "\u{e9}".repeat(length));
        let found = check_text(Path::new("docs/a.md"), &line(200), root);
        assert_eq!(
            found,
            [Finding::new(Rule::MarkdownWidth, "docs/a.md", 2, "200 characters, fewer than 200 are allowed")]
        );
        assert_eq!(check_text(Path::new("docs/a.md"), &line(199), root), []);
        assert_eq!(check_text(Path::new("docs/a.svg"), &line(200), root), []);
    }

    #[test]
    fn the_lock_file_is_cargos_own() {
        let root = Path::new("/srv/checkout");
        assert_eq!(check_text(Path::new("Cargo.lock"), "/srv/checkout", root), []);
    }
}
