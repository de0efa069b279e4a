//! A loader on a real core follows its domain to another root, and has the stack for the longest chain.

use anyhow::{Result, ensure};
use device_harness::factory::Factory;
use device_harness::succession::{Dynasty, chain};
use emulator::Behaviour;
use qemu_mps2_layout::{AN386, AN505, Machine};
use suit_manifest::Reason;
use trust::{MAX_SUCCESSION_CHAIN_LEN, encode_succession_chain};
use update_protocol::profile::{Mode, Object};

use super::bench::board_in;

/// Numbers of the manufacturers whose roots follow the first one.
const ROOTS: std::ops::RangeInclusive<u8> = 8..=63;

/// The chain of as many roots as fit, and the last of them.
fn longest_chain(dynasty: &Dynasty) -> (Vec<u8>, Factory, u16) {
    let mut records = Vec::new();
    let mut root = None;
    let mut longest = None;
    for (number, sequence) in ROOTS.zip(1..) {
        let next = Factory::new(number);
        let grantor = root.as_ref().unwrap_or(dynasty.first());
        records.push(dynasty.by_root(grantor, &next, (0, sequence)));
        let parts: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
        // Its author refuses one that is too long.
        let Ok(whole) = encode_succession_chain(&parts, &next.revocation_list(1, &[])) else { break };
        longest = Some((whole, Factory::new(number), sequence));
        root = Some(next);
    }
    longest.expect("a chain of one root fits")
}

/// It is provisioned and updated, its roots are replaced, the power fails, and it runs what the last root certifies.
fn follow(machine: Machine) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut bench = board_in(machine, folder.path())?;
    let dynasty = Dynasty::new(7);
    bench.provision_with(&dynasty.anchors())?;
    let first = bench.release(1, Behaviour::Confirms)?;
    bench.install(&first)?;
    bench.expect_confirmed("1.0.0", 1)?;
    let of_the_first_root = bench.release(2, Behaviour::Confirms)?;

    let (whole, last, sequence) = longest_chain(&dynasty);
    ensure!(
        sequence > 5 && whole.len() > MAX_SUCCESSION_CHAIN_LEN - 512,
        "{sequence} roots, {} bytes",
        whole.len()
    );
    println!("a chain of {sequence} roots, {} bytes", whole.len());
    bench.send(Object::SuccessionChain, &whole)?;
    bench.cut_power()?;
    bench.device.restore_power()?;
    // What the old root certified runs on, and nothing else of it counts.
    bench.expect_confirmed("1.0.0", 1)?;
    bench.expect_refusal(Object::Envelope, &of_the_first_root.envelope, Reason::AnchorRights)?;
    bench.expect_refusal(Object::SuccessionChain, &whole, Reason::SuccessionOld)?;
    let recovered = Factory::new(64);
    bench.is_taken_over_by(last);
    let second = bench.release(2, Behaviour::Confirms)?;
    bench.install(&second)?;
    bench.expect_confirmed("2.0.0", 2)?;

    // The recovery root names one more, whose list is as long as lists are.
    let recovery = [dynasty.by_recovery(&recovered, 1)];
    bench.send(Object::SuccessionChain, &chain(&recovery, &recovered.longest_revocation_list(2)))?;
    bench.expect_refusal(Object::Envelope, &envelope_of(&recovered), Reason::KeyRevoked)?;
    bench.expect_stack_reserve()?;
    bench.on(async |tester| Ok(tester.hard_reset().await?))?;
    bench.wait_for(Mode::Application)?;
    bench.expect_confirmed("2.0.0", 2)?;
    Ok(())
}

/// A release of a manufacturer whose image nobody will ask for.
fn envelope_of(factory: &Factory) -> Vec<u8> {
    factory.envelope(9, &[0; 64])
}

#[test]
fn a_device_follows_its_roots_on_the_cortex_m4() -> Result<()> {
    follow(AN386)
}

#[test]
fn a_device_follows_its_roots_on_the_cortex_m33() -> Result<()> {
    follow(AN505)
}
