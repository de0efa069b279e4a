//! ARM's MPS2 boards in QEMU: a Cortex-M3, M4, M7 or M33 whose flash is emulated in PSRAM and whose CAN controller is a
//! UART that speaks slcan. A feature chooses the machine; its numbers are in the layout crate. Loader and demo
//! application share these drivers. docs/boards.md says how to run them.
//!
//! All that is unsafe in this project is in the boards; every such line says why it is sound.
#![no_std]
#![warn(missing_docs, clippy::missing_errors_doc, clippy::must_use_candidate)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

#[cfg(feature = "table")]
use bootloader::layout::TableRegions;
use bootloader::layout::{Layout, LayoutError, Region, Regions};
#[cfg(feature = "in-place")]
use bootloader::layout::{Slot, Strategy};
pub use qemu_mps2_layout as layout;

#[cfg(all(target_os = "none", feature = "loader"))]
mod board;
#[cfg(target_os = "none")]
mod can_uart;
#[cfg(target_os = "none")]
mod clock;
#[cfg(target_os = "none")]
mod fault;
#[cfg(target_os = "none")]
mod guard;
#[cfg(target_os = "none")]
pub mod machine;
#[cfg(target_os = "none")]
pub mod mailbox;
#[cfg(target_os = "none")]
pub mod psram;
#[cfg(target_os = "none")]
mod watchdog;

#[cfg(feature = "an385")]
pub use layout::AN385 as MACHINE;
#[cfg(feature = "an386")]
pub use layout::AN386 as MACHINE;
#[cfg(feature = "an500")]
pub use layout::AN500 as MACHINE;
#[cfg(feature = "an505")]
pub use layout::AN505 as MACHINE;
#[cfg(all(
    target_os = "none",
    not(any(feature = "an385", feature = "an386", feature = "an500", feature = "an505"))
))]
compile_error!("choose a machine: feature an385, an386, an500 or an505");

/// The layout of the machine, as the loader library takes it.
#[cfg(all(target_os = "none", not(feature = "in-place")))]
pub const LAYOUT: Layout = layout_of(&MACHINE);

/// The layout of the machine, as the loader library takes it.
#[cfg(all(target_os = "none", feature = "in-place"))]
pub const LAYOUT: Layout = in_place_layout_of(&MACHINE);

/// The layout of the Cortex-M4F, which the simulator shares.
pub const AN386_LAYOUT: Layout = layout_of(&layout::AN386);

/// The layout of the table of the machine.
#[cfg(all(target_os = "none", feature = "table"))]
pub const TABLE_LAYOUT: Layout = table_layout_of(&MACHINE);

/// That of the Cortex-M4F, which the simulator shares.
#[cfg(feature = "table")]
pub const AN386_TABLE_LAYOUT: Layout = table_layout_of(&layout::AN386);

/// The layout of a machine's table. For constants.
#[must_use]
#[cfg(feature = "table")]
pub const fn table_layout_of(machine: &layout::Machine) -> Layout {
    let [slot_a, slot_b] = layout::TABLE_SLOTS;
    let regions = TableRegions {
        journal: Region::of(layout::TABLE_JOURNAL),
        progress: Region::of(layout::TABLE_PROGRESS),
        slot_a: Region::of(slot_a),
        slot_b: Region::of(slot_b),
    };
    let table = checked(layout_of(machine).for_table(None, regions));
    assert!(table.flash_len() == layout::FLASH_LEN, "the flash array ends elsewhere");
    table
}

/// The layout of a machine. For constants: a wrong one does not compile.
#[must_use]
#[allow(clippy::panic, reason = "at compile time")]
pub const fn layout_of(machine: &layout::Machine) -> Layout {
    checked(Layout::new(regions_of(machine)))
}

/// The same for images that run in place.
#[must_use]
#[cfg(feature = "in-place")]
pub const fn in_place_layout_of(machine: &layout::Machine) -> Layout {
    let slot_b = Region::of(layout::SLOT_B_IN_PLACE);
    let layout = checked(Layout::of(Strategy::InPlace, None, Regions { slot_b, ..regions_of(machine) }));
    assert!(
        layout.run_address(Slot::B) == machine.second_image_start(),
        "the linker scripts have another slot B"
    );
    layout
}

const fn regions_of(machine: &layout::Machine) -> Regions {
    Regions {
        base: machine.flash_start,
        page: layout::FLASH_PAGE_LEN,
        stored: Region::of(layout::STORED),
        journal: Region::of(layout::JOURNAL),
        progress: Region::of(layout::PROGRESS),
        slot_a: Region::of(layout::SLOT_A),
        slot_b: Region::of(layout::SLOT_B),
        ram: Region { start: machine.ram_start, len: layout::APP_RAM_LEN },
    }
}

#[allow(clippy::panic, reason = "at compile time")]
const fn checked(layout: Result<Layout, LayoutError>) -> Layout {
    match layout {
        Ok(layout) => layout,
        Err(error) => panic!("{}", error.words()),
    }
}

/// The linker scripts of a machine take the same numbers.
const fn agrees(machine: &layout::Machine) -> bool {
    let checked = layout_of(machine);
    checked.image_address() == machine.image_start()
        && checked.image_capacity() == layout::IMAGE_LEN_MAX
        && checked.flash_len() <= layout::FLASH_LEN
}

const _: () = {
    let [a, b, c, d] = &layout::MACHINES;
    assert!(agrees(a) && agrees(b) && agrees(c) && agrees(d));
};
