//! The STM32F407 board in an emulator, with register models of the chip: its very loader, from the factory on, and a
//! real application.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use can_bus::Flow;
use chips::{Bench, Chip, Memory, Model, PowerGone, Program, symmetric};
use device_harness::factory::Factory;
use emulator::{Programs, image};
use serde_json::json;
use stm32f407_layout::{FLASH_LEN, FLASH_START, LOADER_STACK_LEN, RAM_START, SLOT_B};
use update_protocol::profile::{ImageState, Mode, Object, StateRecord, did};
use update_protocol::uds::Session;

const MODEL: Model = Model { script: "stm32f407.py", flash: (FLASH_START, FLASH_LEN), word: 4 };
const BOARD: &str = "stm32f407";
/// Cuts between two writes to the flash controller or to flash, in the tests.
const CUTS: u64 = 48;
/// The same where the loader decrypts.
const DECRYPTING_CUTS: u64 = 12;
/// Memories that are kept in one run of all cuts.
const CUTS_AT_ONCE: usize = 200;
/// Error flags of the controller.
const WRPERR: u32 = 1 << 4;
const PGSERR: u32 = 1 << 7;

struct Release {
    envelope: Vec<u8>,
    image: Vec<u8>,
}

fn target() -> Result<&'static Path> {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().context("no target directory")
}

/// A release whose image is longer by so many bytes.
fn release(factory: &Factory, sequence: u64, confirms: bool, more: usize) -> Result<Release> {
    let elf = Programs::new(target()?)?.chip_application(BOARD, &format!("{sequence}.0.0"), confirms)?;
    let mut image = image(&elf)?;
    // Mostly as erased: a swap skips that, which saves the emulator its words.
    image.extend((0..more).map(|index| if index % 8192 < 256 { index.to_le_bytes()[0] } else { 0xFF }));
    Ok(Release { envelope: factory.envelope(sequence, &image), image })
}

fn bench(seed: u64) -> Result<Bench> {
    let loader = Programs::new(target()?)?.chip_loader(BOARD)?;
    Bench::new(Chip::new(MODEL, target()?, &loader, seed)?, false)
}

/// A device that runs release 1, confirmed, and what lies in its flash.
fn device(factory: &Factory, seed: u64) -> Result<(Bench, Memory)> {
    let mut bench = bench(seed)?;
    bench.provision(factory)?;
    let first = release(factory, 1, true, 0)?;
    bench.install(&first.envelope, &first.image)?;
    bench.expect_confirmed("1.0.0", 1)?;
    let memory = bench.chip().memory()?;
    Ok((bench, memory))
}

/// What runs, once an application does.
fn running(bench: &mut Bench) -> Result<(String, StateRecord)> {
    let state = bench.wait_for(Mode::Application)?;
    let version = bench.on(async |tester| Ok(tester.read(did::APPLICATION_VERSION).await?))?;
    Ok((String::from_utf8(version)?, state))
}

#[test]
fn a_device_is_provisioned_and_updated_over_can() -> Result<()> {
    let factory = Factory::new(7);
    let (mut bench, _) = device(&factory, 1)?;
    ensure!(bench.last().runs == Program::Application, "{:?}", bench.last());
    // Two pages: the swap has four steps more.
    let second = release(&factory, 2, true, 108 * 1024)?;
    bench.install(&second.envelope, &second.image)?;
    bench.expect_confirmed("2.0.0", 2)?;
    // One that does not confirm itself is tried, and gives way at the next reset.
    let third = release(&factory, 3, false, 0)?;
    bench.install(&third.envelope, &third.image)?;
    let (version, state) = running(&mut bench)?;
    ensure!(
        (version.as_str(), state.image, state.sequence_floor) == ("3.0.0", ImageState::Trial, 2),
        "{state:?}"
    );
    for _ in 0..3 {
        bench.chip().reset()?;
        bench.pass(Duration::from_secs(15))?;
    }
    bench.expect_confirmed("2.0.0", 2)?;
    let last = bench.last();
    ensure!(last.resets.iter().all(|cause| cause != "watchdog"), "{:?}", last.resets);
    ensure!(last.fault.is_none(), "{:?}", last.fault);
    println!("{last:?}");
    Ok(())
}

/// Installs release 2 once, keeps what lies in flash before each of these operations, with a cut in the operation before,
/// and looks at the device that has this flash.
fn judge_cuts(bench: &mut Bench, before: &Memory, second: &Release, cuts: &[u64]) -> Result<()> {
    bench.power_cycle(Some(before))?;
    bench.wait_for(Mode::Application)?;
    let begin = bench.last().operations;
    bench.chip().keep_before(cuts)?;
    bench.install(&second.envelope, &second.image)?;
    bench.expect_confirmed("2.0.0", 2)?;
    for (number, cut) in cuts.iter().enumerate() {
        let (memory, _torn) = bench.chip().kept(begin + cut)?;
        bench.power_cycle(Some(&memory))?;
        let judged = judge(bench, second, number.is_multiple_of(8));
        judged.with_context(|| format!("a cut before operation {cut} of the update"))?;
    }
    Ok(())
}

/// The device runs release 1 or 2, its floor is not lower, and it takes release 2 if it does not have it.
fn judge(bench: &mut Bench, second: &Release, is_updated: bool) -> Result<()> {
    let (version, state) = running(bench)?;
    ensure!(state.sequence_floor == state.active_sequence, "the floor: {state:?}");
    ensure!(state.image == ImageState::Confirmed, "{state:?}");
    match (version.as_str(), state.sequence_floor) {
        ("1.0.0", 1) if is_updated => {
            bench.install(&second.envelope, &second.image)?;
            bench.expect_confirmed("2.0.0", 2).map(drop)
        }
        ("1.0.0", 1) | ("2.0.0", 2) => Ok(()),
        _ => bail!("{version} runs: {state:?}"),
    }
}

/// With `EVERY_CUT` set at every operation, for hours; else evenly over the update.
#[test]
fn a_cut_between_two_flash_writes_leaves_a_device_that_runs() -> Result<()> {
    let factory = Factory::new(7);
    let (mut bench, before) = device(&factory, 2)?;
    let second = release(&factory, 2, true, 0)?;
    let begin = bench.last().operations;
    bench.install(&second.envelope, &second.image)?;
    bench.expect_confirmed("2.0.0", 2)?;
    let all = bench.last().operations - begin;
    let cuts: Vec<u64> = match std::env::var_os("EVERY_CUT") {
        Some(_) => (0..all).collect(),
        None => (0..CUTS).map(|cut| cut * (all - 1) / (CUTS - 1)).collect(),
    };
    println!("{} cuts in {all} operations", cuts.len());
    cuts.chunks(CUTS_AT_ONCE).try_for_each(|cuts| judge_cuts(&mut bench, &before, &second, cuts))
}

#[test]
fn the_power_goes_away_in_boot_after_boot() -> Result<()> {
    let factory = Factory::new(7);
    let (mut bench, _) = device(&factory, 3)?;
    let second = release(&factory, 2, true, 0)?;
    bench.install(&second.envelope, &second.image)?;
    let mut gone = 0;
    for cut in [3, 40, 200, 1000, 3000] {
        bench.chip().cut_at(cut)?;
        match bench.wait_for(Mode::Application) {
            Ok(_) => break,
            Err(error) if error.root_cause().is::<PowerGone>() => gone += 1,
            Err(error) => return Err(error),
        }
        bench.power_cycle(None)?;
    }
    ensure!(gone >= 3, "the power went away {gone} times");
    bench.expect_confirmed("2.0.0", 2).map(drop)
}

#[test]
fn a_sector_that_fails_is_survived() -> Result<()> {
    let factory = Factory::new(7);
    let (mut bench, before) = device(&factory, 4)?;
    let second = release(&factory, 2, true, 0)?;
    // Journal, stored objects, a page that this image does not take; slot A, where slot A goes, slot B.
    let cases = [
        (1, WRPERR, "2.0.0"),
        (2, PGSERR, "2.0.0"),
        (3, WRPERR, "2.0.0"),
        (5, WRPERR, "2.0.0"),
        (8, PGSERR, "2.0.0"),
        (7, WRPERR, "1.0.0"),
        (9, PGSERR, "1.0.0"),
        (10, WRPERR, "1.0.0"),
    ];
    for (sector, flags, expected) in cases {
        let what = || format!("sector {sector} fails");
        bench.chip().configure(json!({ "sector": sector, "flags": flags }))?;
        bench.power_cycle(Some(&before))?;
        bench.wait_for(Mode::Application)?;
        let installed = bench.install(&second.envelope, &second.image);
        ensure!(installed.is_err() == (sector == 10), "{}: {installed:?}", what());
        if installed.is_err() {
            bench.power_cycle(None)?;
        }
        let (version, state) = running(&mut bench).with_context(what)?;
        ensure!(version == expected, "{}: {version} runs, {state:?}", what());
        bench.chip().memory()?;
        // Once it works again, the device takes the release.
        bench.chip().configure(json!({ "sector": sector, "flags": 0 }))?;
        if expected == "1.0.0" {
            bench.install(&second.envelope, &second.image).with_context(what)?;
        }
        bench.expect_confirmed("2.0.0", 2).with_context(what)?;
    }
    Ok(())
}

#[test]
fn a_low_supply_erases_nothing_and_a_missing_crystal_stops_nothing() -> Result<()> {
    let factory = Factory::new(7);
    let (mut bench, before) = device(&factory, 5)?;
    let second = release(&factory, 2, true, 0)?;
    bench.chip().configure(json!({ "supply": false }))?;
    ensure!(bench.install(&second.envelope, &second.image).is_err(), "it erased");
    bench.chip().configure(json!({ "supply": true, "crystal": false }))?;
    bench.power_cycle(None)?;
    ensure!(running(&mut bench)?.0 == "1.0.0");
    let slot_b = SLOT_B.0 as usize..;
    let after = bench.chip().memory()?;
    ensure!(after.bytes(MODEL)[slot_b.clone()] == before.bytes(MODEL)[slot_b], "slot B has changed");
    bench.install(&second.envelope, &second.image)?;
    bench.expect_confirmed("2.0.0", 2).map(drop)
}

/// The deepest use is a verification; start-up code has painted the stack.
#[test]
fn the_loader_leaves_512_bytes_of_its_stack() -> Result<()> {
    let factory = Factory::new(7);
    let mut bench = bench(8)?;
    bench.provision(&factory)?;
    let Release { envelope, image } = release(&factory, 1, true, 0)?;
    bench.on(async |tester| {
        tester.session(Session::Programming).await?;
        tester.download(Object::Envelope, &envelope, |_| Flow::Continue).await?;
        tester.download(Object::Image { offset: 0 }, &image, |_| Flow::Continue).await?;
        Ok(())
    })?;
    bench.expect_stack_reserve(RAM_START, LOADER_STACK_LEN)
}

#[test]
fn a_device_comes_back_from_bus_off() -> Result<()> {
    let mut bench = bench(6)?;
    bench.wait_for(Mode::Factory)?;
    bench.chip().configure(json!({ "bus": false }))?;
    let is_lost = bench.on(async |tester| Ok(tester.read_state().await.is_err()))?;
    ensure!(is_lost, "an answer came through");
    bench.chip().configure(json!({ "bus": true }))?;
    bench.wait_for(Mode::Factory).map(drop)
}

/// Nothing public is on the device: its loader has no curve, and decrypts. A power cut during an update changes nothing of that.
#[test]
fn a_device_lives_by_its_own_key() -> Result<()> {
    let loader = Programs::new(target()?)?.chip_loader_with(BOARD, symmetric::FEATURES)?;
    let mut bench = Bench::new(Chip::new(MODEL, target()?, &loader, 9)?, false)?;
    bench.provision_with(&symmetric::block())?;
    let image = |sequence: u64| -> Result<Vec<u8>> {
        image(&Programs::new(target()?)?.chip_application(BOARD, &format!("{sequence}.0.0"), true)?)
    };
    let (first, second) = (image(1)?, image(2)?);
    let (envelope, ciphertext) = symmetric::release(1, &first);
    bench.install(&envelope, &ciphertext)?;
    bench.expect_stack_reserve(RAM_START, LOADER_STACK_LEN)?;
    bench.expect_confirmed("1.0.0", 1)?;
    let before = bench.chip().memory()?;

    let (forged, _) = symmetric::release_under("A-0002", 2, &second);
    ensure!(bench.install(&forged, &ciphertext).is_err(), "a release of another device was taken");
    let report = symmetric::report(&mut bench)?;
    ensure!(report.contains("key-unknown"), "{report}");

    bench.power_cycle(Some(&before))?;
    bench.wait_for(Mode::Application)?;
    let (envelope, image) = symmetric::release(2, &second);
    let second = Release { envelope, image };
    let begin = bench.last().operations;
    bench.install(&second.envelope, &second.image)?;
    bench.expect_confirmed("2.0.0", 2)?;
    let all = bench.last().operations - begin;
    let cuts: Vec<u64> = (0..DECRYPTING_CUTS).map(|cut| cut * (all - 1) / (DECRYPTING_CUTS - 1)).collect();
    judge_cuts(&mut bench, &before, &second, &cuts)?;
    let report = symmetric::report(&mut bench)?;
    ensure!(report.contains("success"), "{report}");
    Ok(())
}
