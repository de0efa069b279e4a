//! Cases of a loader with a table and one file: the firmware is good, or stays as it is; what was forged is a table, or half
//! of a release.

use anyhow::{Context as _, Result, ensure};
use bootloader::layout::Slot;
use bootloader::state::Status;
use device_harness::factory::{
    authenticated, authentication_key, description, in_one_file, one_file, table_description, with_table,
};
use qemu_mps2_support::AN386_TABLE_LAYOUT;
use suit_manifest::author::UpdateDescription;
use update_protocol::profile::Component;

use super::own_key::mac_of;
use super::{History, IMAGE_LEN, MAC_LEN, Prepared, SERIAL, record};
use crate::subject::Subject;

fn table(number: u8) -> Vec<u8> {
    vec![0x40 | number; IMAGE_LEN]
}

fn authentic(update: &UpdateDescription) -> Vec<u8> {
    authenticated(update, &authentication_key(SERIAL))
}

/// A release of a table that goes by its number.
fn release(number: u8) -> (Vec<u8>, Vec<u8>) {
    let table = table(number);
    (authentic(&table_description(number.into(), &table)), table)
}

/// It runs release 2 and has table 2, both confirmed; table 1 is in the spare slot.
fn device(history: &History) -> Result<Subject> {
    let subject = history.device()?;
    for number in [1, 2] {
        let (envelope, table) = release(number);
        subject.update_table(&envelope, &table)?;
    }
    Ok(subject)
}

/// The slot of the table that the journal calls active, and the other one.
fn slots(subject: &Subject) -> Result<[Slot; 2]> {
    Ok(match subject.table_state()?.spare_slot(&AN386_TABLE_LAYOUT) {
        Slot::B => [Slot::A, Slot::B],
        _ => [Slot::B, Slot::A],
    })
}

/// Release 2 goes on, with this table.
fn firmware_runs(history: &History, subject: Subject, table: Option<Vec<u8>>) -> Prepared {
    let allowed = Some((Slot::A, history.second().to_vec()));
    Prepared { allowed_table: table, ..Prepared::new(subject, allowed) }
}

/// A device whose active table is this one.
fn with_active(history: &History, envelope: &[u8], table: &[u8], sequence: u64) -> Result<Prepared> {
    let subject = device(history)?;
    let [active, _] = slots(&subject)?;
    subject.place_in(AN386_TABLE_LAYOUT, active, envelope, table)?;
    let record = record(envelope, table, sequence)?;
    subject.forge_in(AN386_TABLE_LAYOUT, |state| state.active = Some(record))?;
    Ok(firmware_runs(history, subject, None))
}

pub(super) fn forged_mac(history: &History) -> Result<Prepared> {
    let subject = device(history)?;
    let [active, _] = slots(&subject)?;
    let at = mac_of(&release(2).0)?;
    subject.flip_in(AN386_TABLE_LAYOUT, active, u32::try_from(at)?, 0);
    Ok(firmware_runs(history, subject, None))
}

pub(super) fn forged_head(history: &History) -> Result<Prepared> {
    let (genuine, _) = release(2);
    let table = table(3);
    let mut envelope = authentic(&table_description(2, &table));
    let (to, from) = (mac_of(&envelope)?, mac_of(&genuine)?);
    envelope[to..to + MAC_LEN].copy_from_slice(&genuine[from..from + MAC_LEN]);
    with_active(history, &envelope, &table, 2)
}

pub(super) fn lower_active(history: &History) -> Result<Prepared> {
    let (envelope, table) = release(1);
    with_active(history, &envelope, &table, 1)
}

pub(super) fn lower_pending(history: &History) -> Result<Prepared> {
    let subject = device(history)?;
    let [_, spare] = slots(&subject)?;
    let (envelope, bytes) = release(1);
    subject.place_in(AN386_TABLE_LAYOUT, spare, &envelope, &bytes)?;
    let record = record(&envelope, &bytes, 1)?;
    subject.forge_in(AN386_TABLE_LAYOUT, |state| {
        state.status = Status::Pending;
        state.spare = Some(record);
    })?;
    Ok(firmware_runs(history, subject, Some(table(2))))
}

pub(super) fn another_class(history: &History) -> Result<Prepared> {
    let table = table(3);
    let mut update = table_description(2, &table);
    update.class[0] ^= 1;
    with_active(history, &authentic(&update), &table, 2)
}

/// Flips a bit of what waits in a spare slot.
fn flip_pending(subject: &Subject, component: Component) -> Result<()> {
    let (layout, state) = match component {
        Component::Firmware => (subject.layout, subject.state()?),
        Component::Table => (AN386_TABLE_LAYOUT, subject.table_state()?),
    };
    ensure!(state.status == Status::Pending, "the {component:?} is not pending: {:?}", state.status);
    subject.flip_in(layout, state.spare_slot(&layout), layout.head_len() + 100, 3);
    Ok(())
}

pub(super) fn flipped_file(history: &History) -> Result<Prepared> {
    let subject = device(history)?;
    let envelope = authentic(&in_one_file(&description(3, history.third())));
    subject.send_file(Component::Firmware, &one_file(&envelope, history.third()))?;
    flip_pending(&subject, Component::Firmware)?;
    Ok(firmware_runs(history, subject, Some(table(2))))
}

/// Release 3 of both waits, and a bit of one half was flipped.
fn flipped_half(history: &History, half: Component) -> Result<Prepared> {
    let subject = device(history)?;
    let table_3 = table(3);
    let update = with_table(&description(3, history.third()), &table_description(3, &table_3));
    let envelope = authentic(&update);
    subject.install(Component::Table, &envelope, &table_3).context("the table")?;
    subject.install(Component::Firmware, &envelope, history.third()).context("the firmware")?;
    flip_pending(&subject, half)?;
    Ok(firmware_runs(history, subject, Some(table(2))))
}

pub(super) fn flipped_table_of_both(history: &History) -> Result<Prepared> {
    flipped_half(history, Component::Table)
}

pub(super) fn flipped_firmware_of_both(history: &History) -> Result<Prepared> {
    flipped_half(history, Component::Firmware)
}
