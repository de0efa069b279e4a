//! No heap below the device crates: what cargo would really compile for the Cortex-M has no `alloc` and no `std`.
//!
//! The device builds themselves are the second proof: they link without an allocator.

use anyhow::Result;

use super::tokens::HOST_FEATURES;
use super::{Finding, Rule};
use crate::process;
use crate::workspace::{DEVICE_CRATES, DEVICE_TARGET, Workspace};

/// Features by which a crate of others asks for a heap or an operating system.
const HEAP: [&str; 2] = ["alloc", "std"];

/// Asks cargo for the packages and features of every device build.
pub(super) fn check(workspace: &Workspace) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let crates = DEVICE_CRATES.iter().map(|package| (*package, DEVICE_TARGET, ""));
    // The features of a board choose a machine of the same drivers: one build shows them all.
    let boards = workspace.boards().iter().filter_map(|board| {
        let build = board.builds.first()?;
        Some((board.package.as_str(), build.target.as_str(), build.features.as_str()))
    });
    for (package, target, features) in crates.chain(boards) {
        let mut command = workspace.cargo();
        command.args(["tree", "--package", package, "--target", target, "--features", features]);
        command.args(["--edges", "normal,no-proc-macro", "--prefix", "none", "--no-dedupe"]);
        command.args(["--format", "{p}|{f}"]);
        let tree = String::from_utf8(process::output(&mut command)?)?;
        findings.extend(heap_features(package, &tree));
    }
    Ok(findings)
}

/// Lines are `name vX.Y.Z (path)|feature,feature`.
fn heap_features(package: &str, tree: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for line in tree.lines() {
        let Some((dependency, features)) = line.split_once('|') else { continue };
        let name = dependency.split(' ').next().unwrap_or(dependency);
        for feature in
            features.split(',').filter(|feature| HEAP.contains(feature) || HOST_FEATURES.contains(feature))
        {
            let message = format!("the device build turns on `{name}/{feature}`");
            let finding = Finding::new(Rule::HeapFeature, package, 0, message);
            if !findings.contains(&finding) {
                findings.push(finding);
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_that_gains_a_heap_is_found() {
        let tree = "trust v0.1.0 (trust)|\nminicbor v2.3.1|alloc,half\nminicbor v2.3.1|alloc,half\n\
                    sha2 v0.11.1|\nsubtle v2.6.1|const-generics\nhex v0.4.3|std\n";
        let found: Vec<_> = heap_features("trust", tree).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "trust: the device build turns on `minicbor/alloc`",
                "trust: the device build turns on `hex/std`"
            ]
        );
    }

    #[test]
    fn a_feature_that_only_sounds_like_it_is_none() {
        assert_eq!(heap_features("trust", "a v1.0.0|no-alloc,stdlib-free,default\n"), []);
    }
}
