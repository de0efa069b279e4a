//! `cargo xtask size`: flash and RAM of the loader, who uses them, the C library, and whether they are within the budget.

mod c_library;
mod contributors;
mod elf;
mod panics;
mod prices;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use emulator::{Loader, Programs};
use qemu_mps2_layout::{AN385_AS_M0, AN386, LOADER_LEN, MACHINES, Machine};
use serde::Serialize;

use crate::board;
use crate::tools;
use crate::workspace::Workspace;
use contributors::Contributor;

/// Flash of the whole loader, bytes. Its region has 64 KiB (docs/decisions/0008). This is lowered with the size, and raised
/// by the price of a feature only (docs/decisions/0065).
const FLASH_BUDGET: u64 = 55 * 1024;
/// Flash of a loader that authenticates releases with a key of its device, and has no curve, bytes.
const OWN_KEY_BUDGET: u64 = 42 * 1024;
/// Flash of that loader with all that it may have: it decrypts, reports, keeps a table, and takes one file, bytes.
const TABLED_BUDGET: u64 = 58 * 1024;
/// RAM of the loader, stack included, bytes.
const RAM_BUDGET: u64 = 18 * 1024;
/// RAM of any loader: some of those that decrypt take more.
const RAM_BUDGET_OF_OTHERS: u64 = 20 * 1024;
/// Boards of chips, whose loaders have no budget: all Cortex-M4F.
const CHIPS: [(&str, &str); 2] =
    [("stm32f407", "stm32f407, symmetric"), ("stm32g474", "stm32g474, symmetric")];
/// How many contributors are printed.
const SHOWN: usize = 10;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// Add the price of each cargo feature, and the device crates on each kind of Cortex-M: more builds
    #[arg(long, conflicts_with = "elf")]
    pub(crate) prices: bool,
    /// Measure this ELF instead of building the loader; its budget is the region of a loader, 64 KiB
    #[arg(long)]
    pub(crate) elf: Option<PathBuf>,
}

#[derive(Serialize)]
struct Report {
    flash: u64,
    flash_budget: u64,
    ram: u64,
    /// Reserved for the stack by the linker script.
    stack: u64,
    ram_budget: u64,
    /// Functions of `core` that only a panic or a formatted text needs.
    panics: Vec<String>,
    flash_by_crate: Vec<Contributor>,
    flash_by_symbol: Vec<Contributor>,
    ram_by_symbol: Vec<Contributor>,
    /// The loader on the other machines and on chips; no budget.
    other_machines: Vec<Other>,
    c_library: Vec<c_library::Size>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prices: Option<prices::Prices>,
}

/// The loader on another machine, or another loader.
#[derive(Serialize)]
struct Other {
    machine: &'static str,
    core: &'static str,
    target: &'static str,
    flash: u64,
    /// At most so much, bytes; the others have none of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    flash_budget: Option<u64>,
    ram: u64,
    panics: Vec<String>,
}

/// The loader on each machine but the one whose loader has a budget, and on each chip.
fn other_machines(workspace: &Workspace) -> Result<Vec<Other>> {
    let others = MACHINES.into_iter().filter(|machine| *machine != AN386).chain([AN385_AS_M0]);
    let measured = others.map(|machine| {
        tools::provide_rust_target(workspace, machine.target)?;
        let Machine { name, core, target, .. } = machine;
        Other::measure(&Programs::new(workspace.target())?.on(machine).loader()?, (name, None), core, target)
    });
    let Machine { core, target, .. } = AN386;
    let variants = [
        (Loader::Hybrid, "an386, hybrid", None),
        (Loader::OwnKey, "an386, symmetric, plain images", Some(OWN_KEY_BUDGET)),
        (Loader::Symmetric, "an386, symmetric", None),
        (Loader::Tabled, "an386, symmetric, with a table and one file", Some(TABLED_BUDGET)),
    ];
    let variants = variants.map(|(loader, name, budget)| {
        Other::measure(
            &Programs::new(workspace.target())?.with(loader).loader()?,
            (name, budget),
            core,
            target,
        )
    });
    let chips = CHIPS.into_iter().flat_map(|(plain, symmetric)| {
        let programs = || Programs::new(workspace.target());
        let plain_loader = programs().and_then(|programs| programs.chip_loader(plain));
        let symmetric_loader =
            programs().and_then(|programs| programs.chip_loader_with(plain, "decrypting,own-key"));
        [(plain, plain_loader), (symmetric, symmetric_loader)]
    });
    let chips = chips.map(|(name, loader)| Other::measure(&loader?, (name, None), core, target));
    measured.chain(variants).chain(chips).collect()
}

impl Other {
    fn measure(
        path: &Path,
        (machine, flash_budget): (&'static str, Option<u64>),
        core: &'static str,
        target: &'static str,
    ) -> Result<Self> {
        let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let image = elf::Image::read(&bytes)?;
        let (flash, ram) = (image.flash, image.ram.saturating_add(image.stack));
        Ok(Self { machine, core, target, flash, flash_budget, ram, panics: panics::of(&image.flash_symbols) })
    }
}

pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let path = match &arguments.elf {
        Some(path) => path.clone(),
        None => board::build_loader(workspace)?,
    };
    // A program that somebody else has built is measured alone.
    let (other_machines, c_library) = match arguments.elf {
        None => (other_machines(workspace)?, c_library::measure(workspace)?),
        Some(_) => (Vec::new(), Vec::new()),
    };
    let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let image = elf::Image::read(&bytes)?;
    let report = Report {
        flash: image.flash,
        flash_budget: if arguments.elf.is_some() { LOADER_LEN.into() } else { FLASH_BUDGET },
        ram: image.ram,
        stack: image.stack,
        ram_budget: RAM_BUDGET,
        panics: panics::of(&image.flash_symbols),
        flash_by_crate: contributors::largest(
            contributors::by_crate(&image.flash_symbols, image.flash),
            SHOWN,
        ),
        flash_by_symbol: contributors::largest(contributors::by_symbol(&image.flash_symbols), SHOWN),
        ram_by_symbol: contributors::largest(contributors::by_symbol(&image.ram_symbols), SHOWN),
        other_machines,
        c_library,
        prices: arguments.prices.then(|| prices::measure(workspace)).transpose()?,
    };
    if arguments.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print(&report);
    }
    gate(&report)?;
    c_library::gate(&report.c_library)
}

/// RAM that counts: static data and the stack reserved for it.
fn ram_in_all(report: &Report) -> u64 {
    report.ram.saturating_add(report.stack)
}

fn gate(report: &Report) -> Result<()> {
    let ram = ram_in_all(report);
    let budget = report.flash_budget;
    if report.flash > budget {
        bail!("the loader takes {} bytes of flash, the budget is {budget}", report.flash);
    }
    if ram > RAM_BUDGET {
        bail!("the loader takes {ram} bytes of RAM, the budget is {RAM_BUDGET}");
    }
    for Other { machine, flash, flash_budget, ram, .. } in &report.other_machines {
        if let Some(budget) = flash_budget.filter(|budget| flash > budget) {
            bail!("the loader ({machine}) takes {flash} bytes of flash, its budget is {budget}");
        }
        if *ram > RAM_BUDGET_OF_OTHERS {
            bail!("the loader ({machine}) takes {ram} bytes of RAM, the budget is {RAM_BUDGET_OF_OTHERS}");
        }
    }
    let others = report.other_machines.iter().map(|other| (other.machine, &other.panics));
    for (machine, panics) in std::iter::once((AN386.name, &report.panics)).chain(others) {
        if let [first, ..] = panics.as_slice() {
            bail!(
                "the loader for {machine} links code that panics or formats text: {first} and {} more",
                panics.len() - 1
            );
        }
    }
    Ok(())
}

fn print(report: &Report) {
    let percent = |part: u64, whole: u64| part.saturating_mul(100) / whole.max(1);
    println!(
        "flash {:>6} of {} bytes ({} %)",
        report.flash,
        report.flash_budget,
        percent(report.flash, report.flash_budget)
    );
    let ram = ram_in_all(report);
    println!(
        "RAM   {ram:>6} of {} bytes ({} %): {} static, {} reserved for the stack",
        report.ram_budget,
        percent(ram, report.ram_budget),
        report.ram,
        report.stack
    );
    table("flash by crate", &report.flash_by_crate);
    table("flash by symbol", &report.flash_by_symbol);
    table("RAM by symbol", &report.ram_by_symbol);
    if !report.other_machines.is_empty() {
        println!("\nother machines, and other loaders");
    }
    for Other { machine, core, target, flash, flash_budget, ram, .. } in &report.other_machines {
        let of = flash_budget.map(|budget| format!(" of {budget}")).unwrap_or_default();
        println!("{flash:>7}{of} flash, {ram} RAM: {machine}, {core}, {target}");
    }
    c_library::print(&report.c_library);
    if let Some(prices) = &report.prices {
        prices::print(prices);
    }
}

fn table(title: &str, contributors: &[Contributor]) {
    println!("\n{title}");
    for contributor in contributors {
        println!("{:>7}  {}", contributor.bytes, contributor.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(flash: u64, ram: u64, stack: u64) -> Report {
        Report {
            flash,
            flash_budget: FLASH_BUDGET,
            ram,
            stack,
            ram_budget: RAM_BUDGET,
            panics: Vec::new(),
            flash_by_crate: Vec::new(),
            flash_by_symbol: Vec::new(),
            ram_by_symbol: Vec::new(),
            other_machines: Vec::new(),
            c_library: Vec::new(),
            prices: None,
        }
    }

    #[test]
    fn the_gate_closes_one_byte_above_the_budget() {
        assert!(gate(&report(FLASH_BUDGET, 1024, 8192)).is_ok());
        assert!(gate(&report(FLASH_BUDGET + 1, 1024, 8192)).is_err());
        assert!(gate(&report(1024, RAM_BUDGET - 8192, 8192)).is_ok());
        assert!(gate(&report(1024, RAM_BUDGET - 8192, 8193)).is_err());
    }

    const fn other(flash: u64, flash_budget: Option<u64>, ram: u64) -> Other {
        Other { machine: "an385", core: "", target: "", flash, flash_budget, ram, panics: Vec::new() }
    }

    #[test]
    fn the_gate_looks_at_other_loaders_too() {
        let is_open =
            |other| gate(&Report { other_machines: vec![other], ..report(1024, 1024, 1024) }).is_ok();
        assert!(is_open(other(100_000, None, 1)) && is_open(other(1024, Some(1024), RAM_BUDGET_OF_OTHERS)));
        assert!(!is_open(other(1025, Some(1024), 1)));
        assert!(!is_open(other(1, None, RAM_BUDGET_OF_OTHERS + 1)));
    }

    #[test]
    fn the_gate_closes_at_the_first_panic() {
        let panics = vec!["core::panicking::panic_fmt".to_owned()];
        let other = Other { panics: panics.clone(), ..other(1, None, 1) };
        assert!(gate(&Report { panics, ..report(1024, 1024, 1024) }).is_err());
        assert!(gate(&Report { other_machines: vec![other], ..report(1024, 1024, 1024) }).is_err());
    }
}
