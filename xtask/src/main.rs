//! The commands of the workspace: `cargo xtask demo`, `test`, `size`, `tidy`, `vm` and the rest.
//!
//! Everything here drives cargo, QEMU and the project's own programs from the outside, through their command
//! lines: no product is linked in, so what a person types and what is tested are the same thing.
#![forbid(unsafe_code)]

mod authoring;
mod bench;
mod board;
mod c_library;
mod demo;
mod fuzz;
mod image;
mod new_board;
mod process;
mod program;
mod prove;
mod qemu;
mod size;
mod skip;
mod suite;
mod tidy;
mod tools;
mod vm;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "Build, test and measure Anchorage")]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run the whole pipeline from nothing: keys, release, update, refusals, power cut, revert
    Demo(demo::Arguments),
    /// Build, test and check everything, as CI does
    Test(suite::Arguments),
    /// Update devices through the Linux CAN stack in a virtual machine: vcan and slcan
    Vm(vm::Arguments),
    /// Show flash and RAM of the loader with its largest contributors; fail above the budget and at a panic
    Size(size::Arguments),
    /// Check the rules of the code base: edges, unsafe, heap, names, attacks, codes, imports
    Tidy(tidy::Arguments),
    /// Build loader and application and write their ELF and flat images
    Image(image::Arguments),
    /// Write the C library for applications: header, an archive for each core, and how to link them
    CLibrary(c_library::Arguments),
    /// Make the packages of a new board, with its drivers left to write
    NewBoard(new_board::Arguments),
    /// Start the Cortex-M4 board in QEMU and print its bus address
    Qemu(qemu::Arguments),
    /// Skip each instruction of the loader once, in an emulator: nothing forged may boot
    Skip(program::Options),
    /// Run the fuzz targets under libFuzzer
    Fuzz(fuzz::Arguments),
    /// Try every fault of the flash at every operation of a device's life
    Prove(program::Options),
    /// Measure chain verification, transfer rate, or a boot
    Bench(bench::Arguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = Workspace::locate().and_then(|workspace| {
        // All but tidy build for the device.
        if !matches!(arguments.command, Task::Tidy(_)) {
            tools::provide_toolchain(&workspace)?;
        }
        perform(&workspace, &arguments.command)
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn perform(workspace: &Workspace, task: &Task) -> anyhow::Result<()> {
    match task {
        Task::Demo(demo) => demo::run(workspace, demo),
        Task::Test(test) => suite::run(workspace, test),
        Task::Vm(vm) => vm::run(workspace, vm),
        Task::Size(size) => size::run(workspace, size),
        Task::Tidy(tidy) => tidy::run(workspace, tidy),
        Task::Image(image) => image::run(workspace, image),
        Task::CLibrary(c_library) => c_library::run(workspace, c_library),
        Task::NewBoard(new_board) => new_board::run(workspace, new_board),
        Task::Qemu(qemu) => qemu::run(workspace, qemu),
        Task::Skip(skip) => skip::run(workspace, skip),
        Task::Fuzz(fuzz) => fuzz::run(workspace, fuzz),
        Task::Prove(prove) => prove::run(workspace, prove),
        Task::Bench(bench) => bench::run(workspace, bench),
    }
}
