//! docs/requirements against the tree: each requirement of the documents that are followed leads to code and to tests
//! that exist, or says why not, and none is left out.
//!
//! An entry is a list item as in docs/attacks.md: `- **M 6.4a** (1) "quoted clause" ... *Done:* ... *Tests:* ...`.
//! The label is a document and a section, with a letter where the section has several; the number counts the words
//! MUST, REQUIRED and SHALL that the entry stands for. They sum up to what the page says that there are.

use std::collections::{BTreeMap, BTreeSet};

use super::attacks::{Entry, Test, entries, tests_of};
use super::tokens::Source;
use super::{Finding, Rule};

/// Where the pages are.
pub(super) const FOLDER: &str = "docs/requirements/";
/// Parts of each entry.
const PARTS: [&str; 2] = ["*Done:*", "*Tests:*"];
/// Stand in the place of tests: nothing here does it; no program can; it asks nothing of a program.
const WITHOUT_TESTS: [&str; 3] = ["*not done*", "*by the maker*", "*not for code*"];
/// Precedes the number of words of a page.
const COUNTED: &str = "*Counted:* ";
/// A test with such a name is one of these threats, so that an entry must name it.
const THREAT_TEST: &str = "threat_";

/// A page, its path relative to the root.
pub(super) struct Page {
    pub(super) path: String,
    pub(super) text: String,
}

/// All findings of the pages. `is_file` knows the files of the tree.
pub(super) fn check(pages: &[Page], sources: &[Source], is_file: impl Fn(&str) -> bool) -> Vec<Finding> {
    let tests: Vec<_> = sources.iter().flat_map(tests_of).collect();
    let names: BTreeSet<_> = tests.iter().map(|test| test.name.as_str()).collect();
    let mut findings = Vec::new();
    let mut named = BTreeSet::new();
    let mut labels = Labels::default();
    for page in pages {
        let entries = entries(&page.text);
        for entry in &entries {
            findings.extend(check_entry(page, entry, &names, &is_file));
            if let Some(finding) = labels.add(page, entry) {
                findings.push(finding);
            }
            named.extend(entry.tests.iter().copied());
        }
        findings.extend(check_count(page, &entries));
    }
    findings.extend(labels.gaps());
    findings.extend(unlisted(&tests, &named));
    if pages.is_empty() {
        findings.push(Finding::new(Rule::RequirementCount, FOLDER, 0, "has no pages"));
    }
    findings
}

fn check_entry(
    page: &Page,
    entry: &Entry<'_>,
    names: &BTreeSet<&str>,
    is_file: &impl Fn(&str) -> bool,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let label = &entry.label;
    let mut report =
        |rule, message: String| findings.push(Finding::new(rule, page.path.clone(), entry.line, message));
    for part in PARTS.iter().filter(|part| !entry.text.contains(*part)) {
        report(Rule::RequirementParts, format!("{label} has no {part}"));
    }
    let (before, after) = entry.text.split_once("*Tests:*").unwrap_or_default();
    if entry.tests.is_empty() && !WITHOUT_TESTS.iter().any(|reason| after.contains(reason)) {
        let message = format!("{label} has no test, and is neither {}", WITHOUT_TESTS.join(" nor "));
        report(Rule::RequirementTested, message);
    }
    for test in entry.tests.iter().filter(|test| !names.contains(*test)) {
        report(Rule::RequirementTestExists, format!("{label} names `{test}`, which is not a test"));
    }
    let (_, done) = before.split_once("*Done:*").unwrap_or_default();
    let files: Vec<_> = done.split('`').skip(1).step_by(2).filter(|word| word.contains('/')).collect();
    for file in files.iter().filter(|file| !is_file(file)) {
        report(Rule::RequirementFileExists, format!("{label} names `{file}`, which is not a file"));
    }
    if files.is_empty() && !entry.tests.is_empty() {
        report(Rule::RequirementFileExists, format!("{label} has a test and names no file"));
    }
    findings
}

/// The number of the page, and the sum of those of its entries.
fn check_count(page: &Page, entries: &[Entry<'_>]) -> Option<Finding> {
    let said = page.text.lines().find_map(|line| line.strip_prefix(COUNTED)?.trim().parse::<usize>().ok());
    let sum: usize = entries.iter().filter_map(words_of).sum();
    let message = match said {
        None => format!("does not say how many there are, after {COUNTED}"),
        Some(said) if said != sum => format!("counts {said}, and its entries have {sum}"),
        Some(_) => return None,
    };
    Some(Finding::new(Rule::RequirementCount, page.path.clone(), 0, message))
}

/// The number after the label.
fn words_of(entry: &Entry<'_>) -> Option<usize> {
    let (_, rest) = entry.text.split_once("** (")?;
    rest.split_once(')')?.0.parse().ok()
}

/// The labels of all pages: document and section, and the letters with the place of each.
#[derive(Default)]
struct Labels {
    sections: BTreeMap<String, BTreeMap<Option<char>, (String, usize)>>,
}

impl Labels {
    fn add(&mut self, page: &Page, entry: &Entry<'_>) -> Option<Finding> {
        let label = &entry.label;
        let place = (page.path.clone(), entry.line);
        let (rule, message) = match parse(label).filter(|_| words_of(entry).is_some_and(|words| words > 0)) {
            None => (Rule::RequirementLabel, format!("`{label}` is not a label with a number after it")),
            Some((section, letter)) => {
                let known = self.sections.entry(section.to_owned()).or_default();
                known.insert(letter, place)?;
                (Rule::RequirementOnce, format!("{label} has a second entry"))
            }
        };
        Some(Finding::new(rule, page.path.clone(), entry.line, message))
    }

    /// A section has one entry without a letter, or entries with the letters from `a` on.
    fn gaps(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (section, letters) in &self.sections {
            let expected: BTreeSet<_> = match letters.len() {
                1 => [None].into(),
                several => ('a'..='z').take(several).map(Some).collect(),
            };
            for (letter, (path, line)) in letters.iter().filter(|(letter, _)| !expected.contains(letter)) {
                let letter = letter.map(String::from).unwrap_or_default();
                let message =
                    format!("{section}{letter}: letters begin with a, go on, and stand with several");
                findings.push(Finding::new(Rule::RequirementLabel, path.clone(), *line, message));
            }
        }
        findings
    }
}

/// `M 6.4a`: what precedes the letter, and the letter. A section is of numbers, or of an appendix.
fn parse(label: &str) -> Option<(&str, Option<char>)> {
    let (document, section) = label.split_once(' ')?;
    let letter = section.chars().last().filter(char::is_ascii_lowercase);
    let number = section.trim_end_matches(|last: char| Some(last) == letter);
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_appendix = number.len() == 1 && number.bytes().all(|byte| byte.is_ascii_uppercase());
    let is_document = document.starts_with(|first: char| first.is_ascii_uppercase())
        && document.bytes().all(|byte| byte.is_ascii_alphabetic());
    let is_section = is_appendix || number.split('.').all(is_number);
    let section = label.strip_suffix(|last: char| Some(last) == letter).unwrap_or(label);
    (is_document && is_section).then_some((section, letter))
}

/// Tests with the name of a threat that no entry names.
fn unlisted(tests: &[Test], named: &BTreeSet<&str>) -> Vec<Finding> {
    let threats = tests.iter().filter(|test| test.name.starts_with(THREAT_TEST));
    let unlisted = threats.filter(|test| !named.contains(test.name.as_str()));
    unlisted
        .map(|test| {
            let message = format!("`{}` has no entry below {FOLDER}", test.name);
            Finding::new(Rule::RequirementTestListed, test.place.clone(), test.line, message)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "*Counted:* 3\n\n- **M 6.1** (2) \"MUST\". *Done:* it is (`trust/src/x.rs`).\n  \
                        *Tests:* `it_is_refused`\n- **M Aa** (1) W. *Done:* no. *Tests:* *not done*\n";

    fn found(text: &str) -> Vec<String> {
        let tests = "#[test]\nfn it_is_refused() {}\nfn no_test() {}".to_owned();
        let sources = [Source { path: "trust/src/x.rs".into(), text: tests }];
        let pages = [Page { path: "docs/requirements/x.md".into(), text: text.into() }];
        let found = check(&pages, &sources, |path| path == "trust/src/x.rs");
        found.iter().map(|finding| finding.to_string().replace("docs/requirements/x.md", "x")).collect()
    }

    #[test]
    fn a_good_page_is_left_alone() {
        assert_eq!(found(&PAGE.replace("Aa", "A")), [""; 0]);
        let two = PAGE.replace("6.1", "6.1a").replace("Aa", "6.1b");
        assert_eq!(found(&two), [""; 0]);
    }

    #[test]
    fn a_label_has_its_form_and_letters_without_a_gap() {
        assert_eq!(found(PAGE), ["x:5: M Aa: letters begin with a, go on, and stand with several"]);
        let gap = PAGE.replace("6.1", "6.1a").replace("Aa", "6.1c");
        assert_eq!(found(&gap), ["x:5: M 6.1c: letters begin with a, go on, and stand with several"]);
        let bare = PAGE.replace("Aa", "6.1a");
        assert_eq!(found(&bare), ["x:3: M 6.1: letters begin with a, go on, and stand with several"]);
        for wrong in ["M", "m 6", "M 6..1", "M 6.", "M AB", "M 6.1é", "1 6"] {
            let page = PAGE.replace("M Aa", wrong);
            assert_eq!(found(&page), [format!("x:5: `{wrong}` is not a label with a number after it")]);
        }
        let twice = PAGE.replace("Aa", "6.1");
        assert_eq!(found(&twice), ["x:5: M 6.1 has a second entry"]);
    }

    #[test]
    fn each_word_is_counted() {
        let page = PAGE.replace("Aa", "A");
        assert_eq!(found(&page.replace("(2)", "(1)")), ["x: counts 3, and its entries have 2"]);
        assert_eq!(
            found(&page.replace("(1)", "")),
            ["x:5: `M A` is not a label with a number after it", "x: counts 3, and its entries have 2"]
        );
        let without = page.replace("*Counted:* 3", "");
        assert_eq!(found(&without), ["x: does not say how many there are, after *Counted:* "]);
        assert_eq!(check(&[], &[], |_| true).len(), 1);
    }

    #[test]
    fn tests_and_files_exist_or_it_says_why_not() {
        let page = PAGE.replace("Aa", "A");
        assert_eq!(
            found(&page.replace("`it_is_refused`", "`no_test`")),
            ["x:3: M 6.1 names `no_test`, which is not a test"]
        );
        assert_eq!(
            found(&page.replace("x.rs", "y.rs")),
            ["x:3: M 6.1 names `trust/src/y.rs`, which is not a file"]
        );
        assert_eq!(
            found(&page.replace(" (`trust/src/x.rs`)", "")),
            ["x:3: M 6.1 has a test and names no file"]
        );
        let without =
            ["x:5: M A has no test, and is neither *not done* nor *by the maker* nor *not for code*"];
        assert_eq!(found(&page.replace("*not done*", "")), without);
        assert_eq!(found(&page.replace("*not done*", "").replace("Done:* no", "Done:* *not done*")), without);
        for reason in ["*by the maker*", "*not for code*"] {
            assert_eq!(found(&page.replace("*not done*", reason)), [""; 0]);
        }
        assert_eq!(found(&page.replace("*Done:* no.", "")), ["x:5: M A has no *Done:*"]);
    }

    #[test]
    fn a_test_of_a_threat_is_listed() {
        let sources = [Source {
            path: "trust/src/x.rs".into(),
            text: "#[test]\nfn threat_4_2_1_it() {}\n#[test]\nfn it_is_refused() {}".into(),
        }];
        let page = |tests: &str| Page {
            path: "docs/requirements/x.md".into(),
            text: PAGE.replace("Aa", "A").replace("`it_is_refused`", tests),
        };
        let found = |tests: &str| -> Vec<String> {
            let found = check(&[page(tests)], &sources, |_| true);
            found.iter().map(ToString::to_string).collect()
        };
        assert_eq!(
            found("`it_is_refused`"),
            ["trust/src/x.rs:2: `threat_4_2_1_it` has no entry below docs/requirements/"]
        );
        assert_eq!(found("`threat_4_2_1_it`"), [""; 0]);
    }
}
