//! Who may depend on whom. Products never depend on each other: they meet in bytes.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;

use super::{Finding, Rule};

/// May depend on anything in the workspace: the harness and the commands that drive all products.
const UNBOUND: [&str; 3] = ["system-tests", "fuzz-targets", "xtask"];

/// What each package may name, as a normal, build or development dependency.
const ALLOWED: &[(&str, &[&str])] = &[
    ("trust", &[]),
    ("firmware-image", &[]),
    ("suit-manifest", &["trust"]),
    ("update-protocol", &[]),
    ("can-bus", &["update-protocol"]),
    ("server-client", &["trust"]),
    // The loader and its boards are one product.
    (
        "bootloader",
        &["trust", "firmware-image", "suit-manifest", "update-protocol", "device-harness", "flash-model"],
    ),
    ("anchorage-app", &["bootloader", "update-protocol"]),
    ("flash-model", &[]),
    ("device-harness", &["bootloader", "flash-model", "suit-manifest", "trust", "update-protocol"]),
    (
        "prove",
        &[
            "bootloader",
            "can-bus",
            "device-harness",
            "emulator",
            "flash-model",
            "qemu-mps2-layout",
            "suit-manifest",
            "update-protocol",
        ],
    ),
    ("device-linker", &[]),
    ("emulator", &["anchorage-app", "device-linker", "qemu-mps2-layout", "qemu-mps2-support"]),
    (
        "fault-injection",
        &[
            "bootloader",
            "device-harness",
            "emulator",
            "flash-array",
            "qemu-mps2-support",
            "suit-manifest",
            "trust",
            "update-protocol",
        ],
    ),
    (
        "chips",
        &[
            "can-bus",
            "device-harness",
            "emulator",
            "stm32f407-layout",
            "stm32g474-layout",
            "suit-manifest",
            "update-protocol",
        ],
    ),
    ("flash-array", &[]),
    ("demo-application", &["bootloader", "update-protocol"]),
    ("cortex-m-board", &["bootloader"]),
    ("linker-scripts", &[]),
    ("qemu-mps2-layout", &["linker-scripts"]),
    (
        "qemu-mps2-support",
        &["qemu-mps2-layout", "cortex-m-board", "bootloader", "update-protocol", "flash-array"],
    ),
    (
        "qemu-mps2",
        &[
            "qemu-mps2-layout",
            "cortex-m-board",
            "qemu-mps2-support",
            "bootloader",
            "update-protocol",
            "flash-array",
        ],
    ),
    (
        "qemu-mps2-app",
        &[
            "cortex-m-board",
            "qemu-mps2-layout",
            "qemu-mps2-support",
            "demo-application",
            "bootloader",
            "update-protocol",
            "flash-array",
        ],
    ),
    ("stm32-support", &["cortex-m-board"]),
    (
        "sim",
        &[
            "qemu-mps2-support",
            "demo-application",
            "bootloader",
            "update-protocol",
            "flash-array",
            "can-bus",
            "trust",
        ],
    ),
    ("ledger", &["trust"]),
    ("device-lists", &["trust"]),
    (
        "manifest-tool",
        &["trust", "firmware-image", "suit-manifest", "server-client", "ledger", "device-lists"],
    ),
    (
        "updater-host",
        &["trust", "suit-manifest", "update-protocol", "can-bus", "server-client", "device-lists"],
    ),
    ("update-server", &["trust", "suit-manifest", "device-lists"]),
];

/// What the packages of a board may name beside each other, if the table does not say more: `NAME` and `NAME-app`, which have
/// `[package.metadata.board]`.
const BOARD: [&str; 7] = [
    "bootloader",
    "cortex-m-board",
    "demo-application",
    "flash-array",
    "linker-scripts",
    "stm32-support",
    "update-protocol",
];
/// The end of the name of a board's memory map.
const LAYOUT: &str = "-layout";

/// A member of the workspace and the members it names.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) names: Vec<String>,
    /// It says that it is a program of a board.
    is_board: bool,
}

/// The packages that a board may name which the table does not have.
fn of_a_board(member: &Member, members: &[Member]) -> Option<Vec<String>> {
    if let Some(board) = member.name.strip_suffix(LAYOUT) {
        return members.iter().any(|other| other.is_board && other.name == board).then(Vec::new);
    }
    let board = member.name.strip_suffix("-app").unwrap_or(&member.name);
    let mut own = vec![board.to_owned(), format!("{board}{LAYOUT}")];
    own.extend(BOARD.map(str::to_owned));
    member.is_board.then_some(own)
}

/// Reads the members and the edges between them out of `cargo metadata`.
pub(super) fn members(metadata: &Value) -> Result<Vec<Member>> {
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let name = |value: &Value| value["name"].as_str().unwrap_or_default().to_owned();
    let known: Vec<String> = packages.iter().map(name).collect();
    let members = packages.iter().map(|package| {
        let own = name(package);
        let dependencies = package["dependencies"].as_array().map(Vec::as_slice).unwrap_or_default();
        // A package that names itself only chooses its own features for its tests.
        let others = |dependency: &String| *dependency != own && known.contains(dependency);
        let names = dependencies.iter().map(name).filter(others).collect();
        Member { name: own, names, is_board: !package["metadata"]["board"].is_null() }
    });
    Ok(members.collect())
}

/// Every edge that the table does not allow, and every package it does not know.
pub(super) fn check(members: &[Member]) -> Vec<Finding> {
    let allowed: BTreeMap<_, _> = ALLOWED.iter().copied().collect();
    let mut findings = Vec::new();
    for member in members {
        if UNBOUND.contains(&member.name.as_str()) {
            continue;
        }
        let listed = allowed.get(member.name.as_str());
        let listed = listed.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        let Some(allowed) = listed.or_else(|| of_a_board(member, members)) else {
            findings.push(Finding::new(
                Rule::UnknownPackage,
                &member.name,
                0,
                "is not in tidy's table of dependency edges",
            ));
            continue;
        };
        for name in member.names.iter().filter(|name| !allowed.contains(name)) {
            findings.push(Finding::new(Rule::Edge, &member.name, 0, format!("may not depend on `{name}`")));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn findings(name: &str, dependency: &str) -> Vec<String> {
        let metadata = json!({"packages": [
            {"name": name, "dependencies": [{"name": dependency, "kind": "dev"}, {"name": "serde"}]},
            {"name": dependency, "dependencies": []},
        ]});
        let members = members(&metadata).expect("well-formed");
        check(&members).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_product_that_names_another_product_is_found() {
        let products = ["bootloader", "manifest-tool", "updater-host", "update-server"];
        for (name, other) in products.iter().flat_map(|a| products.iter().map(move |b| (*a, *b))) {
            if name != other {
                assert_eq!(findings(name, other), [format!("{name}: may not depend on `{other}`")]);
            }
        }
    }

    #[test]
    fn shared_crates_stay_at_the_bottom() {
        assert_eq!(findings("trust", "suit-manifest"), ["trust: may not depend on `suit-manifest`"]);
        assert_eq!(findings("update-protocol", "trust"), ["update-protocol: may not depend on `trust`"]);
        assert_eq!(findings("can-bus", "trust"), ["can-bus: may not depend on `trust`"]);
        assert_eq!(findings("manifest-tool", "can-bus"), ["manifest-tool: may not depend on `can-bus`"]);
        assert_eq!(findings("suit-manifest", "trust"), Vec::<String>::new());
    }

    #[test]
    fn an_unknown_package_is_found() {
        assert_eq!(findings("gateway", "trust"), ["gateway: is not in tidy's table of dependency edges"]);
    }

    #[test]
    fn a_board_that_says_so_may_name_what_boards_need() {
        let board = |dependency: &str| {
            let metadata = json!({"packages": [
                {"name": "gizmo", "metadata": {"board": {}}, "dependencies": [{"name": "gizmo-layout"}, {"name": dependency}]},
                {"name": "gizmo-layout", "dependencies": []},
                {"name": dependency, "dependencies": []},
            ]});
            let members = members(&metadata).expect("well-formed");
            check(&members).into_iter().filter(|finding| finding.to_string().starts_with("gizmo")).count()
        };
        assert_eq!(board("bootloader"), 0);
        assert_eq!(board("cortex-m-board"), 0);
        assert_eq!(board("trust"), 1);
        assert_eq!(board("manifest-tool"), 1);
        // Without a board, a layout is a package that nobody knows.
        assert_eq!(findings("gizmo-layout", "trust").len(), 1);
    }

    #[test]
    fn the_harness_may_name_all() {
        assert_eq!(findings("system-tests", "bootloader"), Vec::<String>::new());
    }
}
