//! docs/compliance.md against the tree: a requirement leads to tests that exist, or says why it has none.
//!
//! An entry is a list item as in docs/attacks.md, with *Has:* and *Tests:*.

use std::collections::{BTreeMap, BTreeSet};

use super::attacks::{entries, tests_of};
use super::tokens::Source;
use super::{Finding, Rule};

/// Where the entries are.
pub(super) const DOCUMENT: &str = "docs/compliance.md";
/// Parts of each entry.
const PARTS: [&str; 2] = ["*Has:*", "*Tests:*"];
/// Stand in the place of tests: nothing here does it; no software can.
const WITHOUT_TESTS: [&str; 2] = ["*not done*", "*by the maker*"];

/// All findings of the document.
pub(super) fn check(document: &str, sources: &[Source]) -> Vec<Finding> {
    let tests: Vec<_> = sources.iter().flat_map(tests_of).collect();
    let names: BTreeSet<_> = tests.iter().map(|test| test.name.as_str()).collect();
    let mut findings = Vec::new();
    let mut labels = BTreeMap::new();
    for entry in entries(document) {
        let label = &entry.label;
        let mut report =
            |rule, message: String| findings.push(Finding::new(rule, DOCUMENT, entry.line, message));
        if labels.insert(label.clone(), entry.line).is_some() {
            report(Rule::ComplianceOnce, format!("{label} has a second entry"));
        }
        for part in PARTS.iter().filter(|part| !entry.text.contains(*part)) {
            report(Rule::ComplianceParts, format!("{label} has no {part}"));
        }
        let (_, after) = entry.text.split_once("*Tests:*").unwrap_or_default();
        if entry.tests.is_empty() && !WITHOUT_TESTS.iter().any(|reason| after.contains(reason)) {
            report(
                Rule::ComplianceTested,
                format!("{label} has no test, and is neither {}", WITHOUT_TESTS.join(" nor ")),
            );
        }
        for test in entry.tests.iter().filter(|test| !names.contains(*test)) {
            report(Rule::ComplianceTestExists, format!("{label} names `{test}`, which is not a test"));
        }
    }
    if labels.is_empty() {
        findings.push(Finding::new(Rule::ComplianceParts, DOCUMENT, 0, "has no entries"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: &str = "- **CR 1.2** Words. *Has:* a feature with `code`.\n  *Tests:* `it_is_refused`\n";

    fn found(document: &str) -> Vec<String> {
        let text = "#[test]\nfn it_is_refused() {}\nfn no_test() {}".to_owned();
        let sources = [Source { path: "trust/src/x.rs".into(), text }];
        check(document, &sources).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_entry_with_a_test_is_good() {
        assert_eq!(found(ENTRY), [""; 0]);
    }

    #[test]
    fn a_test_that_does_not_exist_is_found() {
        let expected = ["docs/compliance.md:1: CR 1.2 names `no_test`, which is not a test"];
        assert_eq!(found(&ENTRY.replace("it_is_refused", "no_test")), expected);
    }

    #[test]
    fn an_entry_without_a_test_says_why() {
        let without = |reason| ENTRY.replace("`it_is_refused`", reason);
        let expected =
            ["docs/compliance.md:1: CR 1.2 has no test, and is neither *not done* nor *by the maker*"];
        assert_eq!(found(&without("")), expected);
        assert_eq!(found(&without("").replace("a feature", "*not done*")), expected);
        assert_eq!(found(&without("*not done*")), [""; 0]);
        assert_eq!(found(&without("*by the maker*")), [""; 0]);
    }

    #[test]
    fn an_entry_has_all_parts_and_there_is_one_a_requirement() {
        let short = ENTRY.replace("*Has:*", "");
        assert_eq!(found(&short), ["docs/compliance.md:1: CR 1.2 has no *Has:*"]);
        let twice = ENTRY.to_owned() + ENTRY;
        assert_eq!(found(&twice), ["docs/compliance.md:3: CR 1.2 has a second entry"]);
        assert_eq!(found("no list"), ["docs/compliance.md: has no entries"]);
    }
}
