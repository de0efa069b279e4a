//! The same loader on the other cores: from a new chip to a confirmed update, over the bus.

use anyhow::{Result, ensure};
use emulator::{Behaviour, Loader};
use qemu_mps2_layout::{AN385, AN386, AN500, AN505, Machine};
use suit_manifest::Reason;
use system_tests::plain;
use update_protocol::profile::{Component, ImageState, Mode, Object};

use super::bench::{Bench, Release, board_in, board_of, programs};

/// Provisioned, installed and confirmed; then what an update meets.
fn live_briefly(machine: Machine) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut bench = board_in(machine, folder.path())?;
    bench.provision()?;
    let first = bench.release(1, Behaviour::Confirms)?;
    bench.install(&first)?;
    bench.expect_confirmed("1.0.0", 1)?;

    survive(&mut bench, 1, Bench::release)
}

/// On a device that runs this release: one that does not confirm is reverted, one over a power cut is confirmed, and one
/// that hangs is reverted by the watchdog.
fn survive<R: Fn(&Bench, u64, Behaviour) -> Result<Release>>(
    bench: &mut Bench,
    running: u64,
    release: R,
) -> Result<()> {
    let version = |sequence| format!("{sequence}.0.0");
    let silent = release(bench, running + 1, Behaviour::NeverConfirms)?;
    bench.install(&silent)?;
    let trial = bench.wait_for(Mode::Application)?;
    ensure!(bench.version()? == version(running + 1) && trial.image == ImageState::Trial, "{trial:?}");
    ensure!(trial.sequence_floor == running, "the floor rose before the confirmation: {trial:?}");
    bench.on(async |tester| Ok(tester.hard_reset().await?))?;
    let reverted = bench.expect_confirmed(&version(running), running)?;
    ensure!(reverted.reason == Reason::TrialNotConfirmed.code(), "{reverted:?}");

    let next = release(bench, running + 2, Behaviour::Confirms)?;
    bench.install_half(&next)?;
    bench.cut_power()?;
    bench.device.restore_power()?;
    bench.expect_confirmed(&version(running), running)?;
    ensure!(bench.transfer(&next)? > 0, "the transfer began anew");
    bench.expect_stack_reserve()?;
    bench.on(async |tester| Ok(tester.hard_reset().await?))?;
    bench.expect_confirmed(&version(running + 2), running + 2)?;

    // The watchdog ends an application that hangs, and nothing else does.
    let hanging = release(bench, running + 3, Behaviour::Hangs)?;
    bench.install(&hanging)?;
    let reverted = bench.expect_confirmed(&version(running + 2), running + 2)?;
    ensure!(reverted.flags.reverted, "{reverted:?}");
    Ok(())
}

#[test]
fn a_device_lives_briefly_on_the_cortex_m3() -> Result<()> {
    live_briefly(AN385)
}

#[test]
fn a_device_lives_briefly_on_the_cortex_m7() -> Result<()> {
    live_briefly(AN500)
}

#[test]
fn a_device_lives_briefly_on_the_cortex_m33() -> Result<()> {
    live_briefly(AN505)
}

/// Images that only the device can read: its loader decrypts them while they come, and goes on after a power cut.
#[test]
fn boot84_a_device_lives_encrypted_on_the_cortex_m4() -> Result<()> {
    live_with(Loader::Hybrid, Bench::encrypts)
}

/// Nothing public is on the device: its loader has no curve.
#[test]
fn boot86_a_device_lives_by_its_own_key_on_the_cortex_m4() -> Result<()> {
    live_with(Loader::Symmetric, Bench::believes_itself)
}

/// The same without decryption, the least that authenticates a release: images come as they are.
#[test]
fn a_device_lives_by_its_own_key_with_plain_images_on_the_cortex_m4() -> Result<()> {
    live_with(Loader::OwnKey, |bench| {
        bench.believes_itself();
        bench.takes_plain_images();
    })
}

/// The loader makes its report on the core that it is for, beside an envelope that waits.
#[test]
fn boot90_a_device_reports_from_the_cortex_m4() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut bench = board_of(programs()?.on(AN386).with(Loader::Symmetric), folder.path())?;
    bench.believes_itself();
    bench.provision()?;
    let expect = |bench: &mut Bench, words: &str| {
        let report = bench.report()?;
        ensure!(report.contains(words), "not {words}: {report}");
        Ok(())
    };
    expect(&mut bench, "nothing-bootable")?;
    let first = bench.release(1, Behaviour::Confirms)?;
    bench.install(&first)?;
    bench.expect_confirmed("1.0.0", 1)?;
    expect(&mut bench, "success")?;

    let mut forged = first.envelope.clone();
    forged[20] ^= 1;
    ensure!(bench.send(Object::Envelope, &forged).is_err(), "a forged envelope was taken");
    expect(&mut bench, "at byte")?;
    let other = bench.release_for_another(2)?;
    bench.expect_refusal(Object::Envelope, &other, Reason::DeviceMismatch)?;
    expect(&mut bench, "in the shared sequence (3)")?;

    let next = bench.release(2, Behaviour::Confirms)?;
    bench.offer(&next)?;
    expect(&mut bench, "still to come")?;
    bench.transfer(&next)?;
    expect(&mut bench, "waits for a reset")?;
    bench.expect_stack_reserve()?;
    bench.on(async |tester| Ok(tester.hard_reset().await?))?;
    bench.expect_confirmed("2.0.0", 2)?;
    Ok(())
}

/// A table comes, is cut, goes on, is tried and confirmed, goes back where the application does not want it; and the firmware
/// beside it lives as it would without.
#[test]
fn boot91_a_table_lives_on_the_cortex_m4() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut bench = board_of(programs()?.on(AN386).with(Loader::Tabled), folder.path())?;
    bench.believes_itself();
    bench.provision()?;
    let first = bench.release(1, Behaviour::Confirms)?;
    bench.install(&first)?;
    bench.expect_confirmed("1.0.0", 1)?;
    ensure!(bench.table_state()?.image == ImageState::None, "a table out of nothing");

    let table = bench.table(7, &[0x42; 10_000])?;
    bench.send_table(&table, Some(9000))?;
    bench.cut_power()?;
    bench.device.restore_power()?;
    bench.expect_confirmed("1.0.0", 1)?;
    ensure!(bench.send_table(&table, None)? == 8192, "the transfer began anew");
    bench.expect_stack_reserve()?;
    let reset = |bench: &mut Bench| {
        bench.on(async |tester| Ok(tester.hard_reset().await?))?;
        bench.expect_confirmed("1.0.0", 1)?;
        bench.table_state()
    };
    let confirmed = reset(&mut bench)?;
    let numbers = (confirmed.image, confirmed.active_sequence, confirmed.sequence_floor);
    ensure!(numbers == (ImageState::Confirmed, 7, 7), "{confirmed:?}");

    let unwanted = bench.table(8, b"reject this, and be seen to go back")?;
    bench.send_table(&unwanted, None)?;
    let trial = reset(&mut bench)?;
    ensure!((trial.image, trial.sequence_floor) == (ImageState::Trial, 7), "{trial:?}");
    let reverted = reset(&mut bench)?;
    let numbers = (reverted.image, reverted.active_sequence, reverted.reason);
    ensure!(numbers == (ImageState::Confirmed, 7, Reason::TrialNotConfirmed.code()), "{reverted:?}");

    let older = bench.table(6, &[0x41; 100])?;
    ensure!(bench.send_table(&older, None).is_err(), "an older table was taken");
    let refused = bench.table_state()?;
    ensure!(refused.reason == Reason::SequenceRollback.code(), "{refused:?}");
    bench.on(async |tester| Ok(tester.hard_reset().await?))?;
    bench.expect_confirmed("1.0.0", 1)?;

    survive(&mut bench, 1, Bench::release)?;
    let kept = bench.table_state()?;
    ensure!((kept.image, kept.active_sequence) == (ImageState::Confirmed, 7), "{kept:?}");
    Ok(())
}

/// Firmware and a table come as one file each, from a tool that knows nothing of ours, over a power cut.
#[test]
fn one_file_lives_on_the_cortex_m4() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut bench = board_of(programs()?.on(AN386).with(Loader::Tabled), folder.path())?;
    bench.believes_itself();
    bench.provision()?;
    let reset = |bench: &mut Bench| bench.on(async |tester| Ok(tester.hard_reset().await?));
    let first = bench.file(1, Behaviour::Confirms)?;
    bench.send_file(Component::Firmware, &first, first.len())?;
    bench.expect_stack_reserve()?;
    reset(&mut bench)?;
    bench.expect_confirmed("1.0.0", 1)?;

    let second = bench.file(2, Behaviour::Confirms)?;
    bench.send_file(Component::Firmware, &second, 12_000)?;
    bench.cut_power()?;
    bench.device.restore_power()?;
    bench.expect_confirmed("1.0.0", 1)?;
    let mut forged = second.clone();
    forged[40] ^= 1;
    let refused = bench.send_file(Component::Firmware, &forged, forged.len());
    ensure!(plain::refusal(&refused).is_some(), "a forged head was taken: {refused:?}");
    bench.send_file(Component::Firmware, &second, second.len())?;
    bench.expect_stack_reserve()?;
    reset(&mut bench)?;
    bench.expect_confirmed("2.0.0", 2)?;

    let table = bench.table_file(7, &[0x42; 10_000])?;
    bench.send_file(Component::Table, &table, table.len())?;
    reset(&mut bench)?;
    bench.expect_confirmed("2.0.0", 2)?;
    let table = bench.table_state()?;
    ensure!((table.image, table.active_sequence) == (ImageState::Confirmed, 7), "{table:?}");
    Ok(())
}

fn live_with(loader: Loader, prepare: fn(&mut Bench)) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut bench = board_of(programs()?.on(AN386).with(loader), folder.path())?;
    prepare(&mut bench);
    bench.provision()?;
    let first = bench.release(1, Behaviour::Confirms)?;
    bench.install(&first)?;
    bench.expect_confirmed("1.0.0", 1)?;
    survive(&mut bench, 1, Bench::release)
}

/// Images that run where they lie, from one slot and from the other: each release is linked for both.
#[test]
fn a_device_lives_in_place_on_the_cortex_m4() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut bench = board_of(programs()?.on(AN386).in_place(), folder.path())?;
    bench.provision()?;
    for (sequence, next_is_second) in [(1, true), (2, false), (3, true)] {
        let release = bench.release_for_slots(sequence, Behaviour::Confirms)?;
        bench.install(&release)?;
        let state = bench.expect_confirmed(&format!("{sequence}.0.0"), sequence)?;
        ensure!(state.flags.second_slot == next_is_second, "{state:?}");
    }

    // The image of slot A would run in slot B.
    let wrong = bench.release(4, Behaviour::Confirms)?;
    ensure!(bench.transfer(&wrong).is_err(), "an image for the other slot was taken");
    let state = bench.wait_for_reason(Reason::ImageNotForSlot)?;
    ensure!(state.image == ImageState::Confirmed && state.active_sequence == 3, "{state:?}");

    survive(&mut bench, 3, Bench::release_for_slots)
}
