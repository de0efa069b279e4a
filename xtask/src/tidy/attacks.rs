//! docs/attacks.md against the tree: labels, entries and tests lead to each other.
//!
//! An entry is a list item that begins with `- **LABEL**`. It has *Achieves:*, *Check:* and *Tests:*; after the last
//! stand names of test functions in backticks, names of files with `compile_fail` doctests, or *not yet built*.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};

use super::tokens::{Source, attribute_at, is_ident, mentions};
use super::{Finding, Rule};

/// Where the entries are.
pub(super) const DOCUMENT: &str = "docs/attacks.md";
/// What a label begins with; a number follows.
const PREFIXES: [&str; 10] = ["T", "BOOT", "BUS", "SUIT", "SYM", "KEY", "TOOL", "DESK", "SRV", "HOST"];
/// Marks an entry whose check does not exist yet.
const NOT_BUILT: &str = "*not yet built*";
/// Parts of each entry.
const PARTS: [&str; 3] = ["*Achieves:*", "*Check:*", "*Tests:*"];
/// A test with such a name holds an attack, so that an entry must name it.
const ATTACK_TEST: &str = "attack_";

/// One entry of the document.
pub(super) struct Entry<'a> {
    /// 1-based.
    pub(super) line: usize,
    pub(super) label: String,
    /// Without line breaks.
    pub(super) text: String,
    /// What stands in backticks after *Tests:*.
    pub(super) tests: Vec<&'a str>,
}

/// A test function and where it is.
pub(super) struct Test {
    pub(super) name: String,
    pub(super) place: String,
    pub(super) line: usize,
}

/// All findings of the document and of the labels and tests in `sources`.
pub(super) fn check(document: &str, sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let entries = entries(document);
    let tests: Vec<_> = sources.iter().flat_map(tests_of).collect();
    let names: BTreeSet<_> = tests.iter().map(|test| test.name.as_str()).collect();

    let mut labels = BTreeMap::new();
    for entry in &entries {
        let mut report =
            |rule, message: String| findings.push(Finding::new(rule, DOCUMENT, entry.line, message));
        let Some(label) = label(&entry.label) else {
            report(Rule::AttackLabel, format!("`{}` is not a label", entry.label));
            continue;
        };
        if labels.insert(label, entry.line).is_some() {
            report(Rule::AttackLabelOnce, format!("{} has a second entry", entry.label));
        }
        for part in PARTS.iter().filter(|part| !entry.text.contains(*part)) {
            report(Rule::AttackParts, format!("{} has no {part}", entry.label));
        }
        if entry.tests.is_empty() && !entry.text.contains(NOT_BUILT) {
            report(Rule::AttackTested, format!("{} has no test and is not marked {NOT_BUILT}", entry.label));
        }
        for test in &entry.tests {
            let file = sources.iter().find(|source| source.path.to_str() == Some(*test));
            let held = file.map_or(names.contains(test), |file| file.text.contains("compile_fail"));
            if !held {
                report(
                    Rule::AttackTestExists,
                    format!("{} names `{test}`, which is not a test", entry.label),
                );
            }
        }
    }

    let named: BTreeSet<_> = entries.iter().flat_map(|entry| entry.tests.iter().copied()).collect();
    for test in &tests {
        let first = test.name.split('_').next().unwrap_or_default();
        let unknown = label(&first.to_uppercase()).filter(|label| !labels.contains_key(label));
        let (rule, message) = if unknown.is_some() {
            (Rule::AttackLabelOfTest, format!("`{}` bears a label without an entry in {DOCUMENT}", test.name))
        } else if test.name.starts_with(ATTACK_TEST) && !named.contains(test.name.as_str()) {
            (Rule::AttackTestListed, format!("`{}` has no entry in {DOCUMENT}", test.name))
        } else {
            continue;
        };
        findings.push(Finding::new(rule, &test.place, test.line, message));
    }
    for source in sources {
        findings.extend(labels_of_comments(source, &labels));
    }
    findings
}

/// The list items of a document that begin with a label.
pub(super) fn entries(document: &str) -> Vec<Entry<'_>> {
    let mut entries: Vec<Entry<'_>> = Vec::new();
    let mut open = false;
    let mut in_tests = false;
    for (index, line) in document.lines().enumerate() {
        if let Some((label, _)) = line.strip_prefix("- **").and_then(|rest| rest.split_once("**")) {
            let (label, text) = (label.to_owned(), String::new());
            entries.push(Entry { line: index + 1, label, text, tests: Vec::new() });
            (open, in_tests) = (true, false);
        } else if !line.starts_with("  ") {
            open = false;
        }
        let Some(entry) = entries.last_mut().filter(|_| open) else { continue };
        entry.text.push_str(line);
        let listed = match line.split_once("*Tests:*") {
            Some((_, rest)) => rest,
            None if in_tests => line,
            None => continue,
        };
        in_tests = true;
        entry.tests.extend(listed.split('`').skip(1).step_by(2));
    }
    entries
}

/// A prefix and a number, without leading zeros, if that is what the word is.
fn label(word: &str) -> Option<(&'static str, u16)> {
    let digits = word.find(|character: char| character.is_ascii_digit())?;
    let (prefix, number) = word.split_at(digits);
    let prefix = PREFIXES.into_iter().find(|known| *known == prefix)?;
    if number.len() > 2 || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((prefix, number.parse().ok()?))
}

/// The functions with an attribute that says test, within macros too.
pub(super) fn tests_of(source: &Source) -> Vec<Test> {
    let mut found = Vec::new();
    if let Ok(tokens) = source.text.parse::<TokenStream>() {
        collect_tests(source, tokens, &mut found);
    }
    found
}

fn collect_tests(source: &Source, tokens: TokenStream, found: &mut Vec<Test>) {
    let trees: Vec<_> = tokens.into_iter().collect();
    let mut marked = false;
    let mut index = 0;
    while let Some(tree) = trees.get(index) {
        if let Some((attribute, next)) = attribute_at(&trees, index) {
            let is_cfg = attribute.stream().into_iter().next().is_some_and(|word| is_ident(&word, "cfg"));
            marked |= !is_cfg && mentions(attribute, "test");
            index = next;
            continue;
        }
        match (tree, trees.get(index + 1)) {
            (TokenTree::Group(group), _) => {
                collect_tests(source, group.stream(), found);
                marked = false;
            }
            (word, Some(TokenTree::Ident(name))) if is_ident(word, "fn") => {
                if marked {
                    let line = name.span().start().line;
                    found.push(Test { name: name.to_string(), place: source.place(), line });
                }
                marked = false;
            }
            _ => {}
        }
        index += 1;
    }
}

/// Labels in comments that have no entry.
fn labels_of_comments(source: &Source, labels: &BTreeMap<(&'static str, u16), usize>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        let Some((_, comment)) = line.split_once("//") else { continue };
        for word in comment.split(|character: char| !character.is_ascii_alphanumeric() && character != '_') {
            if label(word).is_some_and(|label| !labels.contains_key(&label)) {
                let message = format!("{word} has no entry in {DOCUMENT}");
                findings.push(Finding::new(Rule::AttackLabelOfComment, source.place(), index + 1, message));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: &str =
        "- **T1** Words. *Achieves:* much. *Check:* one.\n  *Tests:* `t01_it_is_refused`,\n  `another`\n";

    fn source(text: &str) -> Source {
        Source { path: "trust/src/x.rs".into(), text: text.into() }
    }

    fn found(document: &str, text: &str) -> Vec<String> {
        check(document, &[source(text)]).iter().map(ToString::to_string).collect()
    }

    fn tests(names: &[&str]) -> String {
        names.iter().map(|name| format!("#[test]\nfn {name}() {{}}\n")).collect()
    }

    #[test]
    fn entries_and_tests_that_agree_are_left_alone() {
        let text =
            tests(&["t01_it_is_refused", "another", "unlisted"]) + "// T1: why. A T800, 12T1, BUS and F1.\n";
        assert_eq!(found(ENTRY, &text), [""; 0]);
    }

    #[test]
    fn tests_are_found_in_modules_macros_and_behind_other_attributes() {
        let text = "mod a { proptest! { #[test]\nfn t01_it_is_refused(x in 0..1) {} } }\n\
                    #[tokio::test(flavor = \"x\")]\n#[cfg(unix)]\nasync fn another() {}";
        assert_eq!(found(ENTRY, text), [""; 0]);
    }

    #[test]
    fn a_named_test_that_does_not_exist_is_found() {
        let missing = "docs/attacks.md:1: T1 names `another`, which is not a test";
        assert_eq!(found(ENTRY, &tests(&["t01_it_is_refused"])), [missing]);
        let no_test = tests(&["t01_it_is_refused"]) + "#[cfg(test)]\nfn another() {}\n// fn another()";
        assert_eq!(found(ENTRY, &no_test), [missing]);
    }

    #[test]
    fn a_doctest_that_must_not_compile_is_a_test() {
        let document = "- **T1** W. *Achieves:* m. *Check:* o. *Tests:* `trust/src/x.rs`";
        assert_eq!(found(document, "/// ```compile_fail\n/// forge();\n/// ```\nfn f() {}"), [""; 0]);
        assert_eq!(found(document, "fn f() {}").len(), 1);
    }

    #[test]
    fn an_entry_without_a_test_is_found_unless_it_is_marked() {
        let entry =
            |tests: &str| format!("- **T1** Words. *Achieves:* much. *Check:* one.\n  *Tests:* {tests}\n");
        assert_eq!(
            found(&entry(""), ""),
            ["docs/attacks.md:1: T1 has no test and is not marked *not yet built*"]
        );
        assert_eq!(found(&entry(NOT_BUILT), ""), [""; 0]);
        let after = entry("") + "\nA paragraph with `another`.\n";
        assert_eq!(found(&after, &tests(&["another"])).len(), 1);
    }

    #[test]
    fn an_entry_has_all_parts_and_a_label_of_its_own() {
        let short = "- **T1** Words. *Tests:* `another`\n";
        let expected = ["docs/attacks.md:1: T1 has no *Achieves:*", "docs/attacks.md:1: T1 has no *Check:*"];
        assert_eq!(found(short, &tests(&["another"])), expected);
        let twice = ENTRY.to_owned() + ENTRY;
        let names = tests(&["t01_it_is_refused", "another"]);
        assert_eq!(found(&twice, &names), ["docs/attacks.md:4: T1 has a second entry"]);
        let other = ENTRY.replace("T1", "X1");
        assert_eq!(found(&other, &tests(&["another"]))[0], "docs/attacks.md:1: `X1` is not a label");
    }

    #[test]
    fn a_label_without_an_entry_is_found_in_names_and_comments() {
        let text = tests(&["t01_it_is_refused", "another", "bus07_x"]) + "//! See T2, t3 and SRV12.";
        assert_eq!(
            found(ENTRY, &text),
            [
                "trust/src/x.rs:6: `bus07_x` bears a label without an entry in docs/attacks.md",
                "trust/src/x.rs:7: T2 has no entry in docs/attacks.md",
                "trust/src/x.rs:7: SRV12 has no entry in docs/attacks.md",
            ]
        );
    }

    #[test]
    fn an_attack_test_without_an_entry_is_found() {
        let text = tests(&["t01_it_is_refused", "another", "attack_x"]);
        assert_eq!(found(ENTRY, &text), ["trust/src/x.rs:6: `attack_x` has no entry in docs/attacks.md"]);
    }
}
