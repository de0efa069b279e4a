//! Every rule is seen to fail: a copy of the tree, and one planted fault for each.

use std::process::Command;

use super::*;

/// A change of the tree that breaks one rule.
struct Fault {
    /// Where the finding has to be.
    place: &'static str,
    edits: Vec<Edit>,
}

enum Edit {
    Create(&'static str, String),
    Append(&'static str, String),
    Replace(&'static str, &'static str, &'static str),
    Remove(&'static str),
}

use Edit::{Append, Create, Remove, Replace};

/// A fault that is one new file.
fn file(place: &'static str, text: impl Into<String>) -> Fault {
    Fault { place, edits: vec![Create(place, text.into())] }
}

/// A fault that is one more line of a page.
fn line(place: &'static str, text: &str) -> Fault {
    Fault { place, edits: vec![Append(place, format!("\n{text}\n"))] }
}

/// A fault that is one change of a file.
fn change(place: &'static str, from: &'static str, to: &'static str) -> Fault {
    Fault { place, edits: vec![Replace(place, from, to)] }
}

const ATTACKS: &str = "docs/attacks.md";
const COMPLIANCE: &str = "docs/compliance.md";
const REQUIREMENTS: &str = "docs/requirements/mti.md";
const ERRORS: &str = "docs/errors.md";
const REASONS: &str = "suit-manifest/src/reason.rs";
/// Leads the table's first row.
const FIRST_REASON: &str = "    0x0101 ";
/// A test that an entry may name.
const TEST: &str = "every_rule_is_seen_to_fail";

/// No arm may stand for several rules: a new rule needs a fault of its own.
fn fault(rule: Rule) -> Fault {
    match rule {
        Rule::Edge => Fault {
            place: "update-server",
            edits: vec![Replace(
                "update-server/Cargo.toml",
                "[dependencies]\n",
                "[dependencies]\nmanifest-tool = { path = \"../manifest-tool\" }\n",
            )],
        },
        Rule::UnknownPackage => Fault {
            place: "gateway",
            edits: vec![
                Replace("Cargo.toml", "members = [\n", "members = [\n    \"gateway\",\n"),
                Create(
                    "gateway/Cargo.toml",
                    "[package]\nname = \"gateway\"\nversion = \"0.1.0\"\nedition = \"2024\"\n".to_owned(),
                ),
                Create("gateway/src/lib.rs", "pub fn gateway() {}\n".to_owned()),
            ],
        },
        Rule::Inclusion => {
            file("xtask/src/planted_inclusion.rs", "#[path = \"../../trust/src/key.rs\"]\nmod key;\n")
        }
        Rule::HeapFeature => Fault {
            place: "trust",
            edits: vec![Replace(
                "trust/Cargo.toml",
                "\ncurve25519-dalek.workspace = true\n",
                "\ncurve25519-dalek = { workspace = true, features = [\"alloc\"] }\n",
            )],
        },
        Rule::HeapInDeviceCode => file("trust/src/planted_heap.rs", "use std::vec::Vec;\n"),
        Rule::Allocator => file(
            "bootloader/boards/sim/src/planted_allocator.rs",
            "#[global_allocator]\nstatic HEAP: Heap = Heap;\n",
        ),
        Rule::UnsafeOutsideBoards => file("xtask/src/planted_unsafe.rs", "fn planted() { unsafe { f() } }\n"),
        Rule::ForbidUnsafe => change("xtask/src/main.rs", "#![forbid(unsafe_code)]\n", ""),
        Rule::LibraryLint => change("can-bus/src/lib.rs", "clippy::must_use_candidate", "clippy::all"),
        Rule::EmptyCrate => file("xtask/planted/src/main.rs", "#![forbid(unsafe_code)]\nfn main() {}\n"),
        Rule::NotRust => file("xtask/src/planted_not_rust.rs", "fn planted() {\n"),
        Rule::FileLength => file("xtask/src/planted_long.rs", "const _: u8 = 0;\n".repeat(MAX_LINES + 1)),
        Rule::Unfinished => file("xtask/src/planted_unfinished.rs", "fn planted() { todo!() }\n"),
        Rule::IgnoredTest => file("tests/tests/planted_ignored.rs", "#[test]\n#[ignore]\nfn planted() {}\n"),
        Rule::GetAccessor => file("xtask/src/planted_accessor.rs", "fn get_planted() {}\n"),
        Rule::ImportOrder => file("xtask/src/planted_imports.rs", "use crate::a;\nuse std::fmt;\n"),
        Rule::ModRs => file("xtask/src/planted/mod.rs", "fn planted() {}\n"),
        Rule::ModuleName => file("xtask/src/utils.rs", "fn planted() {}\n"),
        // Put together, so that this file does not name it.
        Rule::BannedWord => file("docs/planted-word.md", format!("/{}/somebody\n", "home")),
        Rule::MarkdownWidth => file("docs/planted-width.md", "x".repeat(200)),
        Rule::WildcardOverKind => file(
            "updater-host/src/planted_wildcard.rs",
            "use trust::ErrorKind;\nfn f(k: ErrorKind) -> u8 { match k { ErrorKind::TooLong => 1, _ => 2 } }\n",
        ),
        Rule::NonExhaustiveKind => file(
            "updater-host/src/planted_kind.rs",
            "#[non_exhaustive]\npub(crate) enum PlantedError { A }\n",
        ),
        Rule::ReasonTable => Fault {
            place: REASONS,
            edits: vec![Remove(REASONS), Remove("suit-manifest/src/reason/tests.rs")],
        },
        Rule::ReasonProduced => Fault {
            place: REASONS,
            edits: vec![
                Replace(
                    REASONS,
                    FIRST_REASON,
                    "    0x0ffe PlantedIdle \"planted-idle\" 1 5 \"M.\" \"H.\";\n    0x0101 ",
                ),
                Append(ERRORS, "\n| `0ffe` | `planted-idle` | 1 | 5 | M. | H. |\n".to_owned()),
            ],
        },
        Rule::ReasonDocumented => Fault {
            place: REASONS,
            edits: vec![
                Replace(
                    REASONS,
                    FIRST_REASON,
                    "    0x0ffd PlantedQuiet \"planted-quiet\" 1 5 \"M.\" \"H.\";\n    0x0101 ",
                ),
                Create(
                    "trust/src/planted_reason.rs",
                    "fn planted() -> Reason { Reason::PlantedQuiet }\n".to_owned(),
                ),
            ],
        },
        Rule::ReasonKnown => line(ERRORS, "| `0fff` | `planted-unknown` | 1 | 5 | M. | H. |"),
        Rule::CodeDocumented => file(
            "manifest-tool/src/planted_code.rs",
            "impl Planted { fn code(&self) -> &str { \"planted-secret\" } }\n",
        ),
        Rule::CodeProduced => {
            line("docs/manifest-tool.md", "| code | exit |\n|---|---|\n| `planted-idle-code` | 2 |")
        }
        Rule::AttackLabel => {
            line(ATTACKS, &format!("- **X1** W. *Achieves:* a. *Check:* b. *Tests:* `{TEST}`"))
        }
        Rule::AttackLabelOnce => {
            line(ATTACKS, &format!("- **T1** W. *Achieves:* a. *Check:* b. *Tests:* `{TEST}`"))
        }
        Rule::AttackParts => line(ATTACKS, &format!("- **HOST99** W. *Check:* b. *Tests:* `{TEST}`")),
        Rule::AttackTested => line(ATTACKS, "- **HOST98** W. *Achieves:* a. *Check:* b. *Tests:* none"),
        Rule::AttackTestExists => {
            line(ATTACKS, "- **HOST97** W. *Achieves:* a. *Check:* b. *Tests:* `no_such_test`")
        }
        Rule::AttackTestListed => file("tests/tests/planted_attack.rs", "#[test]\nfn attack_planted() {}\n"),
        Rule::AttackLabelOfTest => file("tests/tests/planted_label.rs", "#[test]\nfn host96_planted() {}\n"),
        Rule::AttackLabelOfComment => {
            file("tests/tests/planted_comment.rs", format!("/{} HOST95 is why.\n", "/"))
        }
        Rule::ComplianceOnce => line(COMPLIANCE, &format!("- **CR 1.9** W. *Has:* a. *Tests:* `{TEST}`")),
        Rule::ComplianceParts => line(COMPLIANCE, &format!("- **CR 9.1** W. *Tests:* `{TEST}`")),
        Rule::ComplianceTested => line(COMPLIANCE, "- **CR 9.2** W. *Has:* a. *Tests:* none"),
        Rule::ComplianceTestExists => line(COMPLIANCE, "- **CR 9.3** W. *Has:* a. *Tests:* `no_such_test`"),
        Rule::RequirementLabel => line(REQUIREMENTS, "- **P 90b** (1) W. *Done:* a. *Tests:* *not done*"),
        Rule::RequirementOnce => line(REQUIREMENTS, "- **P 3** (1) W. *Done:* a. *Tests:* *not done*"),
        Rule::RequirementParts => line(REQUIREMENTS, "- **P 91** (1) W. *Tests:* *not done*"),
        Rule::RequirementTested => line(REQUIREMENTS, "- **P 92** (1) W. *Done:* a. *Tests:* none"),
        Rule::RequirementTestExists => {
            line(REQUIREMENTS, "- **P 93** (1) W. *Done:* a (`xtask/src/main.rs`). *Tests:* `no_such_test`")
        }
        Rule::RequirementFileExists => {
            change("docs/requirements/threats.md", "`trust/src/chain.rs`", "`trust/src/no_chain.rs`")
        }
        Rule::RequirementCount => {
            change("docs/requirements/threats.md", "- **Threat 4.2.12** (1)", "- **Threat 4.2.12** (2)")
        }
        Rule::RequirementTestListed => {
            file("tests/tests/planted_threat.rs", "#[test]\nfn threat_4_2_99_planted() {}\n")
        }
    }
}

/// A copy of what git sees, in a repository of its own.
fn copy_of_the_tree() -> Result<tempfile::TempDir> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let copy = tempfile::tempdir()?;
    for path in tracked_files(&root)? {
        let to = copy.path().join(&path);
        std::fs::create_dir_all(to.parent().context("a file has a folder")?)?;
        std::fs::copy(root.join(&path), to)?;
    }
    process::output(Command::new("git").args(["init", "--quiet"]).current_dir(copy.path()))?;
    Ok(copy)
}

fn plant(root: &Path, fault: &Fault) -> Result<()> {
    for edit in &fault.edits {
        match edit {
            Create(path, text) => {
                let path = root.join(path);
                ensure!(!path.exists(), "{} exists already", path.display());
                std::fs::create_dir_all(path.parent().context("a file has a folder")?)?;
                std::fs::write(path, text)?;
            }
            Append(path, text) => {
                let old = std::fs::read_to_string(root.join(path))?;
                std::fs::write(root.join(path), old + text)?;
            }
            Replace(path, from, to) => {
                let old = std::fs::read_to_string(root.join(path))?;
                ensure!(old.contains(from), "{path} has no {from:?}");
                std::fs::write(root.join(path), old.replacen(from, to, 1))?;
            }
            Remove(path) => std::fs::remove_file(root.join(path))?,
        }
    }
    Ok(())
}

/// Plants the faults and demands a finding of each, at its place, and none of another rule.
fn demand(rules: &[Rule]) -> Result<()> {
    let copy = copy_of_the_tree()?;
    let workspace = Workspace::around(copy.path())?;
    for rule in rules {
        plant(copy.path(), &fault(*rule))?;
    }
    let findings = check(&workspace)?.findings;
    for rule in rules {
        let place = fault(*rule).place;
        let found = findings.iter().any(|finding| (finding.rule, finding.place.as_str()) == (*rule, place));
        ensure!(found, "{rule:?} has no finding in {place}: {findings:#?}");
    }
    let strays: Vec<_> = findings.iter().filter(|finding| !rules.contains(&finding.rule)).collect();
    ensure!(strays.is_empty(), "findings of no planted fault: {strays:#?}");
    Ok(())
}

#[test]
fn every_rule_is_seen_to_fail() -> Result<()> {
    // Without the table no other rule of codes can be judged, and requirements name its file.
    let (alone, together): (Vec<_>, Vec<_>) = Rule::ALL
        .iter()
        .copied()
        .partition(|rule| matches!(rule, Rule::ReasonTable | Rule::RequirementFileExists));
    demand(&together)?;
    demand(&alone)
}

#[test]
fn a_checkout_that_git_does_not_see_is_an_error() -> Result<()> {
    let outer = tempfile::tempdir()?;
    let inner = outer.path().join("inner");
    std::fs::create_dir(&inner)?;
    std::fs::write(inner.join("Cargo.toml"), "")?;
    process::output(Command::new("git").args(["init", "--quiet"]).current_dir(outer.path()))?;
    assert_eq!(tracked_files(&inner)?, [PathBuf::from("Cargo.toml")]);
    std::fs::write(outer.path().join(".gitignore"), "inner/\n")?;
    assert!(tracked_files(&inner).is_err());
    Ok(())
}
