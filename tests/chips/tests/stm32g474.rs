//! The STM32G474 board in an emulator, with register models of the chip: its very loader, from the factory on.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use chips::{Bench, Chip, Model, Program};
use device_harness::factory::Factory;
use emulator::Programs;
use stm32g474_layout as layout;

const MODEL: Model = Model { script: "stm32g474.py", flash: (layout::LOADER_START, 512 * 1024), word: 8 };
const BOARD: &str = "stm32g474";

struct Release {
    envelope: Vec<u8>,
    image: Vec<u8>,
}

fn target() -> Result<&'static Path> {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().context("no target directory")
}

fn release(programs: &Programs, factory: &Factory, sequence: u64, confirms: bool) -> Result<Release> {
    let elf = programs.chip_application(BOARD, &format!("{sequence}.0.0"), confirms)?;
    let image = emulator::image(&elf)?;
    Ok(Release { envelope: factory.envelope(sequence, &image), image })
}

fn bench(programs: &Programs, fd: bool) -> Result<Bench> {
    Bench::new(Chip::new(MODEL, target()?, &programs.chip_loader(BOARD)?, 1)?, fd)
}

#[test]
fn a_device_is_provisioned_and_updated() -> Result<()> {
    let programs = Programs::new(target()?)?;
    let factory = Factory::new(7);
    let mut bench = bench(&programs, false)?;
    bench.provision(&factory)?;
    let first = release(&programs, &factory, 1, true)?;
    bench.install(&first.envelope, &first.image)?;
    bench.expect_confirmed("1.0.0", 1)?;
    ensure!(bench.last().runs == Program::Application, "{:?}", bench.last());
    let second = release(&programs, &factory, 2, true)?;
    bench.install(&second.envelope, &second.image)?;
    bench.expect_confirmed("2.0.0", 2)?;
    Ok(())
}
