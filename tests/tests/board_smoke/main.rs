//! The life of a device, on the emulated Cortex-M4 and on the simulator: provisioned, installed, updated over a power
//! cut, reverted when the new image does not confirm itself, and when it hangs, and updated although its application
//! dies after it has confirmed itself. A short life on each other core.

mod bench;
mod machines;
mod roots;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bootloader::mailbox::SILENT_RESETS_MAX;
use device_harness::factory;
use emulator::Behaviour;
use qemu_mps2_layout::{self as layout, AN386};
use suit_manifest::Reason;
use system_tests::{addresses, xtask};
use update_protocol::profile::{ImageState, Mode, did};
use update_protocol::uds::{S3_SERVER_MS, Session};

use bench::{Bench, Device, board_in, programs};

/// The whole life, but for what is measured on one kind of device only.
fn live(bench: &mut Bench) -> Result<()> {
    let started = Instant::now();
    let step = |what: &str| println!("{:6.1} s: {what}", started.elapsed().as_secs_f32());
    bench.provision()?;
    step("provisioned");
    let first = bench.release(1, Behaviour::Confirms)?;
    bench.install(&first)?;
    bench.expect_confirmed("1.0.0", 1)?;
    step("1.0.0 confirmed");

    let second = bench.release(2, Behaviour::Confirms)?;
    bench.offer(&second)?;
    // The tester falls silent: the device gives it up after S3 and goes back to work.
    std::thread::sleep(Duration::from_millis(u64::from(S3_SERVER_MS) + 1000));
    bench.expect_confirmed("1.0.0", 1)?;
    step("1.0.0 after the tester has gone");
    bench.on(async |tester| {
        tester.session(Session::Programming).await?;
        Ok(tester.session(Session::Default).await?)
    })?;
    bench.expect_confirmed("1.0.0", 1)?;
    step("1.0.0 after the tester has left the session");
    bench.install_half(&second)?;
    bench.cut_power()?;
    bench.device.restore_power()?;
    bench.expect_confirmed("1.0.0", 1)?;
    step("1.0.0 after the power cut");
    let resumed_from = bench.install(&second)?;
    ensure!(resumed_from > 0, "the transfer began anew");
    bench.expect_confirmed("2.0.0", 2)?;
    step("2.0.0 confirmed");

    let silent = bench.release(3, Behaviour::NeverConfirms)?;
    bench.install(&silent)?;
    let trial = bench.wait_for(Mode::Application)?;
    ensure!(bench.version()? == "3.0.0" && trial.image == ImageState::Trial, "{trial:?}");
    ensure!(trial.sequence_floor == 2, "the floor rose before the confirmation: {trial:?}");
    step("3.0.0 on trial");
    bench.on(async |tester| Ok(tester.hard_reset().await?))?;
    let reverted = bench.expect_confirmed("2.0.0", 2)?;
    ensure!(reverted.flags.reverted, "{reverted:?}");
    ensure!(reverted.reason == Reason::TrialNotConfirmed.code(), "{reverted:?}");
    step("2.0.0 after the revert");

    let hanging = bench.release(4, Behaviour::Hangs)?;
    bench.install(&hanging)?;
    let reverted = bench.expect_confirmed("2.0.0", 2)?;
    ensure!(reverted.flags.reverted, "the image that hangs was not reverted: {reverted:?}");
    step("2.0.0 after the watchdog");

    for (sequence, dying, cause) in [(4, Behaviour::Crashes, 4), (6, Behaviour::Stalls, 5)] {
        survive(bench, sequence, dying, cause)?;
        step(&format!("{}.0.0 in the window of an application that dies", sequence + 1));
    }
    Ok(())
}

/// An application that dies after it has confirmed itself: the loader comes to listen, and takes the next release.
/// `cause` is that of the resets (docs/mailbox.md).
fn survive(bench: &mut Bench, sequence: u64, behaviour: Behaviour, cause: u8) -> Result<()> {
    let dying = bench.release(sequence, behaviour)?;
    bench.install(&dying)?;
    let state = bench.wait_for_reason(Reason::ApplicationSilent)?;
    ensure!((state.mode, state.image) == (Mode::Loader, ImageState::Confirmed), "{state:?}");
    ensure!(state.flags.listening && state.active_sequence == sequence, "{state:?}");
    let [_, _, last, resets] = state.reason_position.to_be_bytes();
    ensure!(last == cause && resets >= SILENT_RESETS_MAX, "{resets} resets, the last by {last}");

    if behaviour == Behaviour::Crashes {
        // Nobody has needed it: it runs the application again, which dies again, and it listens again.
        let again = bench.wait_for_silence(resets + 1)?;
        ensure!(again.flags.listening, "{again:?}");
    }
    let next = bench.release(sequence + 1, Behaviour::Confirms)?;
    bench.install(&next)?;
    bench.expect_confirmed(&format!("{}.0.0", sequence + 1), sequence + 1)?;
    Ok(())
}

#[test]
fn a_device_lives_on_the_cortex_m4() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut bench = board_in(AN386, folder.path())?;
    let tag = bench.factory_tag()?;
    bench.cut_power()?;
    bench.device.restore_power()?;
    ensure!(bench.factory_tag()? == tag, "the board's unique id changed");
    live(&mut bench)?;

    // How deep the stacks were: of the application now, and of the loader after all it ever does.
    let used = bench.board()?.stack_used(layout::APP_STACK_LEN)?;
    println!("stack of the application: {used} of {} bytes", layout::APP_STACK_LEN);
    let next = bench.release(8, Behaviour::Confirms)?;
    bench.transfer(&next)?;
    bench.expect_stack_reserve()
}

/// Applications in C: installed and confirmed, updated over the bus with a power cut half-way, and reverted.
#[test]
fn a_device_with_applications_in_c_lives_on_the_cortex_m4() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut bench = board_in(AN386, folder.path())?;
    bench.provision()?;
    let first = bench.c_release(1, true)?;
    bench.install(&first)?;
    bench.expect_confirmed("1.0.0", 1)?;
    let serial = bench.on(async |tester| Ok(tester.read(did::SERIAL).await?))?;
    ensure!(serial == b"A-0001", "another serial: {serial:?}");
    let identity = bench.on(async |tester| Ok(tester.read(did::IDENTITY).await?))?;
    ensure!(identity == [factory::VENDOR, factory::CLASS, factory::DEVICE].concat(), "{identity:?}");

    let second = bench.c_release(2, true)?;
    bench.install_half(&second)?;
    bench.cut_power()?;
    bench.device.restore_power()?;
    bench.expect_confirmed("1.0.0", 1)?;
    bench.install(&second)?;
    bench.expect_confirmed("2.0.0", 2)?;

    let silent = bench.c_release(3, false)?;
    bench.install(&silent)?;
    let trial = bench.wait_for(Mode::Application)?;
    ensure!(bench.version()? == "3.0.0" && trial.image == ImageState::Trial, "{trial:?}");
    ensure!(trial.sequence_floor == 2, "the floor rose before the confirmation: {trial:?}");
    bench.on(async |tester| Ok(tester.hard_reset().await?))?;
    let reverted = bench.expect_confirmed("2.0.0", 2)?;
    ensure!(reverted.reason == Reason::TrialNotConfirmed.code(), "{reverted:?}");

    // An application in Rust takes its place, and the other way round.
    let rust = bench.release(4, Behaviour::Confirms)?;
    bench.install(&rust)?;
    bench.expect_confirmed("4.0.0", 4)?;
    let c = bench.c_release(5, true)?;
    bench.install(&c)?;
    bench.expect_confirmed("5.0.0", 5)?;

    // It says that it is alive: any number of resets, and the loader never listens.
    for _ in 0..=SILENT_RESETS_MAX {
        std::thread::sleep(Duration::from_secs(4));
        bench.on(async |tester| Ok(tester.hard_reset().await?))?;
        let state = bench.wait_for(Mode::Application)?;
        ensure!(!state.flags.listening, "{state:?}");
    }
    Ok(())
}

/// A simulated device with its flash in this folder.
fn simulator(folder: &Path) -> Result<Bench> {
    let program = xtask::build_programs()?.join("sim");
    let flash = folder.join("flash");
    let mut device = Device::Sim { program, flash, bus: addresses::bus()?, process: None };
    device.restore_power()?;
    Bench::new(device, programs()?)
}

/// A device that believes its maker's roots has a key for its reports alone.
#[test]
fn a_simulated_device_with_roots_reports() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut bench = simulator(folder.path())?;
    bench.has_a_key();
    bench.provision()?;
    let report = bench.report()?;
    ensure!(report.contains("nothing-bootable"), "{report}");
    let release = bench.release(1, Behaviour::Confirms)?;
    bench.transfer(&release)?;
    let report = bench.report()?;
    ensure!(report.contains("waits for a reset"), "{report}");
    bench.on(async |tester| Ok(tester.hard_reset().await?))?;
    bench.expect_confirmed("1.0.0", 1)?;
    let report = bench.report()?;
    ensure!(report.contains("success"), "{report}");
    Ok(())
}

#[test]
fn a_device_lives_in_the_simulator() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut bench = simulator(folder.path())?;
    let tag = bench.factory_tag()?;
    bench.cut_power()?;
    bench.device.restore_power()?;
    ensure!(bench.factory_tag()? != tag, "two processes have one tag");
    live(&mut bench)
}
