//! The STM32G474 board in an emulator, with register models of the chip: its very loader, from the factory on; a power
//! cut between and within its flash operations; words of flash that have two bad bits.
//!
//! `EVERY_CUT=1 cargo test -p chips --test stm32g474 cut_between` cuts the power at every operation of an update, for hours.

use std::path::Path;
use std::sync::OnceLock;

use anyhow::{Context as _, Result, ensure};
use chips::{Bench, Chip, Memory, Model, Program};
use device_harness::factory::Factory;
use emulator::Programs;
use serde_json::json;
use stm32g474_layout as layout;
use update_protocol::profile::{ImageState, Mode, did};

const MODEL: Model = Model { script: "stm32g474.py", flash: (layout::LOADER_START, 512 * 1024), word: 8 };
const BOARD: &str = "stm32g474";
/// Node of a provisioned device.
const NODE: u8 = 0x21;
/// Cuts between operations of an update; about half of them are within one as well.
const CUTS: u64 = 44;
/// Cuts whose memory is kept at once.
const WINDOW: usize = 200;
/// After one cut of so many, the update is done to its end.
const FINISHED: usize = 11;

struct Release {
    envelope: Vec<u8>,
    image: Vec<u8>,
}

/// A device that was provisioned and took two releases.
struct Life {
    loader: std::path::PathBuf,
    second: Release,
    /// With 1.0.0, confirmed.
    installed: Memory,
    /// Operations of the update to 2.0.0.
    operations: u64,
    /// With 2.0.0, confirmed.
    updated: Memory,
}

fn target() -> Result<&'static Path> {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().context("no target directory")
}

fn bench(loader: &Path, fd: bool) -> Result<Bench> {
    Bench::new(Chip::new(MODEL, target()?, loader, 1)?, fd)
}

/// Nothing hung, faulted, or came too fast for the controller.
fn nothing_went_wrong(bench: &Bench) -> Result<()> {
    let last = bench.last();
    ensure!(!last.resets.iter().any(|cause| cause == "watchdog"), "{last:?}");
    ensure!(last.fault.is_none() && last.lost_frames == 0, "{last:?}");
    ensure!(last.hidden == (last.runs == Program::Application), "{last:?}");
    Ok(())
}

fn live() -> Result<Life> {
    let programs = Programs::new(target()?)?;
    let factory = Factory::new(7);
    let release = |sequence: u64| -> Result<Release> {
        let elf = programs.chip_application(BOARD, &format!("{sequence}.0.0"), true)?;
        let image = emulator::image(&elf)?;
        Ok(Release { envelope: factory.envelope(sequence, &image), image })
    };
    let (first, second) = (release(1)?, release(2)?);
    let loader = programs.chip_loader(BOARD)?;
    let mut bench = bench(&loader, false)?;
    bench.provision(&factory)?;
    nothing_went_wrong(&bench)?;
    bench.install(&first.envelope, &first.image)?;
    bench.expect_confirmed("1.0.0", 1)?;
    nothing_went_wrong(&bench)?;
    let installed = bench.chip().memory()?;
    let began = bench.last().operations;
    update(&mut bench, &second)?;
    let operations = bench.last().operations - began;
    let updated = bench.chip().memory()?;
    Ok(Life { loader, second, installed, operations, updated })
}

/// The life that the tests share.
fn life() -> &'static Life {
    static LIFE: OnceLock<Life> = OnceLock::new();
    LIFE.get_or_init(|| live().expect("a device is provisioned and updated"))
}

/// From 1.0.0 to 2.0.0.
fn update(bench: &mut Bench, second: &Release) -> Result<()> {
    bench.install(&second.envelope, &second.image)?;
    bench.expect_confirmed("2.0.0", 2)?;
    nothing_went_wrong(bench)
}

/// From what a cut left: an image runs, the old or the new one, whole. `finish`: the update is done after it.
fn survive(bench: &mut Bench, life: &Life, memory: &Memory, finish: bool) -> Result<()> {
    bench.power_cycle(Some(memory))?;
    let state = bench.wait_for(Mode::Application)?;
    let version = bench.on(async |tester| Ok(tester.read(did::APPLICATION_VERSION).await?))?;
    let sequence = state.active_sequence;
    ensure!(version == format!("{sequence}.0.0").as_bytes() && (1..=2).contains(&sequence), "{state:?}");
    ensure!(state.image == ImageState::Confirmed && state.sequence_floor == sequence, "{state:?}");
    nothing_went_wrong(bench)?;
    if finish && sequence == 1 {
        update(bench, &life.second)?;
    }
    Ok(())
}

#[test]
fn a_device_is_provisioned_and_updated() -> Result<()> {
    let life = life();
    // A tester that sends FD frames, on a bus that the controller has been off.
    let mut bench = bench(&life.loader, true)?;
    bench.turn_to(NODE);
    bench.power_cycle(Some(&life.updated))?;
    bench.expect_confirmed("2.0.0", 2)?;
    bench.chip().configure(json!({ "bus_off": true }))?;
    bench.expect_confirmed("2.0.0", 2)?;
    nothing_went_wrong(&bench)
}

/// With the feature `fd` the loader answers with FD frames and switches the bit rate in them.
#[test]
fn a_loader_that_sends_fd_frames_is_provisioned_and_updated() -> Result<()> {
    let programs = Programs::new(target()?)?;
    let loader = programs.chip_loader_with(BOARD, "fd")?;
    let image = emulator::image(&programs.chip_application(BOARD, "1.0.0", true)?)?;
    let factory = Factory::new(7);
    let mut bench = bench(&loader, true)?;
    bench.provision(&factory)?;
    bench.install(&factory.envelope(1, &image), &image)?;
    let sent = bench.sent();
    ensure!(sent.frames > 20 && sent.fast == sent.frames && sent.longest == 64, "{sent:?}");
    bench.expect_confirmed("1.0.0", 1)?;
    nothing_went_wrong(&bench)
}

#[test]
fn a_cut_between_or_within_flash_operations_is_survived() -> Result<()> {
    let life = life();
    let wanted: Vec<u64> = if std::env::var_os("EVERY_CUT").is_some() {
        (0..life.operations).collect()
    } else {
        (0..CUTS).map(|cut| cut * life.operations / CUTS + cut % 2).collect()
    };
    let mut bench = bench(&life.loader, false)?;
    bench.turn_to(NODE);
    let (mut tried, mut torn_ones) = (0, 0);
    for window in wanted.chunks(WINDOW) {
        // The update is done anew for each window of operations, and what a cut leaves is kept on the way.
        bench.power_cycle(Some(&life.installed))?;
        bench.wait_for(Mode::Application)?;
        let began = bench.last().operations;
        bench.chip().keep_before(window)?;
        update(&mut bench, &life.second)?;
        let end = bench.last().operations;
        for cut in window.iter().filter(|cut| began + **cut < end) {
            let (before, torn) = bench.chip().kept(began + cut)?;
            torn_ones += usize::from(torn.is_some());
            // A cut within an operation is the harder one; without one, flash is as before.
            let memory = torn.as_ref().unwrap_or(&before);
            survive(&mut bench, life, memory, tried % FINISHED == 0)
                .with_context(|| format!("a cut at operation {cut}"))?;
            tried += 1;
        }
    }
    println!("{tried} cuts of {} operations, {torn_ones} of them within one", life.operations);
    ensure!(tried >= 40 && torn_ones >= 10, "{tried} cuts, {torn_ones} within an operation");
    Ok(())
}

#[test]
fn a_word_of_the_journal_with_two_bad_bits_loses_nothing() -> Result<()> {
    let life = life();
    let mut bench = bench(&life.loader, false)?;
    bench.turn_to(NODE);
    let start = layout::FLASH_START + layout::JOURNAL.0;
    let words = life.updated.programmed(MODEL, start..start + layout::JOURNAL.1);
    // Of the newest record, its copy, and the oldest one.
    let [first, .., copy, _] = *words else { anyhow::bail!("an empty journal") };
    let newest = words.len().checked_sub(30).and_then(|index| words.get(index)).context("a short journal")?;
    for word in [first, *newest, copy] {
        bench.power_cycle(Some(&life.updated))?;
        bench.chip().spoil(word)?;
        bench.expect_confirmed("2.0.0", 2).with_context(|| format!("word {word:#x}"))?;
        nothing_went_wrong(&bench)?;
    }
    Ok(())
}

#[test]
fn a_word_of_the_image_with_two_bad_bits_is_repaired_by_its_release() -> Result<()> {
    let life = life();
    let mut bench = bench(&life.loader, false)?;
    bench.turn_to(NODE);
    bench.power_cycle(Some(&life.updated))?;
    bench.chip().spoil(layout::IMAGE_START + 0x400)?;
    let state = bench.wait_for(Mode::Loader)?;
    ensure!(state.sequence_floor == 2, "{state:?}");
    nothing_went_wrong(&bench)?;
    update(&mut bench, &life.second)
}

#[test]
fn an_image_runs_without_the_crystal() -> Result<()> {
    let life = life();
    let mut bench = bench(&life.loader, false)?;
    bench.turn_to(NODE);
    bench.chip().configure(json!({ "has_crystal": false }))?;
    bench.power_cycle(Some(&life.updated))?;
    bench.expect_confirmed("2.0.0", 2)?;
    nothing_went_wrong(&bench)
}
