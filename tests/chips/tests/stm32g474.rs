//! The STM32G474 board in an emulator, with register models of the chip: its very loader, from the factory on; a power
//! cut between and within its flash operations; words of flash that have two bad bits. All of it with a swap, and with
//! banks that are exchanged (feature `bank-switch`).
//!
//! `EVERY_CUT=1 cargo test -p chips --test stm32g474 cut_between` cuts the power at every operation of an update, for hours.

use std::path::Path;
use std::sync::OnceLock;

use anyhow::{Context as _, Result, ensure};
use chips::{Bench, Chip, Memory, Model, PowerGone, Program, symmetric};
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
    /// That does not confirm itself.
    silent: Release,
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

/// With further features of loader and application.
fn live(features: &str) -> Result<Life> {
    let programs = Programs::new(target()?)?;
    let factory = Factory::new(7);
    let release = |sequence: u64, confirms: bool| -> Result<Release> {
        let elf = programs.chip_application_with(BOARD, &format!("{sequence}.0.0"), confirms, features)?;
        let image = emulator::image(&elf)?;
        Ok(Release { envelope: factory.envelope(sequence, &image), image })
    };
    let (first, second, silent) = (release(1, true)?, release(2, true)?, release(3, false)?);
    let loader = match features {
        "" => programs.chip_loader(BOARD)?,
        features => programs.chip_loader_with(BOARD, features)?,
    };
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
    Ok(Life { loader, second, silent, installed, operations, updated })
}

/// The life that the tests share.
fn life() -> &'static Life {
    static LIFE: OnceLock<Life> = OnceLock::new();
    LIFE.get_or_init(|| live("").expect("a device is provisioned and updated"))
}

/// The same where the banks are exchanged. From the factory slot A receives, so 1.0.0 lies in slot A and 2.0.0 in slot B:
/// after the update, the banks are exchanged.
fn exchanging() -> &'static Life {
    static LIFE: OnceLock<Life> = OnceLock::new();
    LIFE.get_or_init(|| live("bank-switch").expect("a device is provisioned and updated"))
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
    cut_everywhere(life())
}

/// Of the update into the bank that does not run, and of the confirmation by an application in the bank that was exchanged.
#[test]
fn a_cut_between_or_within_flash_operations_is_survived_where_banks_are_exchanged() -> Result<()> {
    cut_everywhere(exchanging())
}

fn cut_everywhere(life: &Life) -> Result<()> {
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
    spoil_the_journal(life())
}

fn spoil_the_journal(life: &Life) -> Result<()> {
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

/// An ECC fault in the bank that was exchanged: FLASH_ECCR names the bank, and not where it lies.
#[test]
fn a_word_of_an_exchanged_bank_with_two_bad_bits_is_repaired_by_its_release() -> Result<()> {
    let life = exchanging();
    let mut bench = bench(&life.loader, false)?;
    bench.turn_to(NODE);
    let slot_b = layout::FLASH_START + layout::SLOT_B_IN_BANK_2.0 + layout::HEAD_LEN;
    for word in [slot_b + 0x400, slot_b] {
        bench.power_cycle(Some(&life.updated))?;
        bench.chip().spoil(word)?;
        let state = bench.wait_for(Mode::Loader)?;
        ensure!(state.sequence_floor == 2, "{state:?}");
        nothing_went_wrong(&bench)?;
        update(&mut bench, &life.second)?;
    }
    Ok(())
}

/// The application confirms itself and reads its state in a journal whose bank lies elsewhere while it runs.
#[test]
fn a_word_of_a_journal_in_an_exchanged_bank_with_two_bad_bits_loses_nothing() -> Result<()> {
    spoil_the_journal(exchanging())
}

/// A release that does not confirm itself comes from the bank that lies first after a reset; the next reset exchanges
/// the banks again for the one before.
#[test]
fn an_image_that_does_not_confirm_itself_is_reverted_by_an_exchange() -> Result<()> {
    let life = exchanging();
    let mut bench = bench(&life.loader, false)?;
    bench.turn_to(NODE);
    bench.power_cycle(Some(&life.updated))?;
    bench.expect_confirmed("2.0.0", 2)?;
    bench.install(&life.silent.envelope, &life.silent.image)?;
    let state = bench.wait_for(Mode::Application)?;
    ensure!(state.image == ImageState::Trial && state.active_sequence == 3, "{state:?}");
    nothing_went_wrong(&bench)?;
    bench.on(async |tester| Ok(tester.hard_reset().await?))?;
    let state = bench.wait(|state| state.image == ImageState::Confirmed)?;
    ensure!((state.active_sequence, state.sequence_floor) == (2, 2), "{state:?}");
    bench.expect_confirmed("2.0.0", 2)?;
    nothing_went_wrong(&bench)
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

/// Nothing public is on the device: its loader has no curve, and decrypts. The power goes away while a release comes, which
/// goes on afterwards.
#[test]
fn a_device_lives_by_its_own_key() -> Result<()> {
    let programs = Programs::new(target()?)?;
    let mut bench = bench(&programs.chip_loader_with(BOARD, symmetric::FEATURES)?, false)?;
    bench.provision_with(&symmetric::block())?;
    let image = |sequence: u64| -> Result<Vec<u8>> {
        emulator::image(&programs.chip_application(BOARD, &format!("{sequence}.0.0"), true)?)
    };
    let (envelope, ciphertext) = symmetric::release(1, &image(1)?);
    let begin = bench.last().operations;
    bench.install(&envelope, &ciphertext)?;
    bench.expect_stack_reserve(layout::RAM_START, layout::LOADER_STACK_LEN)?;
    bench.expect_confirmed("1.0.0", 1)?;
    let operations = bench.last().operations - begin;
    nothing_went_wrong(&bench)?;

    let (forged, _) = symmetric::release_under("A-0002", 2, &image(2)?);
    ensure!(bench.install(&forged, &ciphertext).is_err(), "a release of another device was taken");
    let report = symmetric::report(&mut bench)?;
    ensure!(report.contains("key-unknown"), "{report}");

    let (envelope, ciphertext) = symmetric::release(2, &image(2)?);
    bench.power_cycle(None)?;
    bench.expect_confirmed("1.0.0", 1)?;
    bench.chip().cut_at(operations / 3)?;
    let gone = bench.install(&envelope, &ciphertext).err().context("the power stayed")?;
    ensure!(gone.root_cause().is::<PowerGone>(), "{gone:?}");
    bench.power_cycle(None)?;
    bench.expect_confirmed("1.0.0", 1)?;
    let resumed_from = bench.install(&envelope, &ciphertext)?;
    ensure!((1..ciphertext.len()).contains(&resumed_from), "byte {resumed_from} was next");
    bench.expect_confirmed("2.0.0", 2)?;
    nothing_went_wrong(&bench)?;
    let report = symmetric::report(&mut bench)?;
    ensure!(report.contains("success"), "{report}");
    Ok(())
}
