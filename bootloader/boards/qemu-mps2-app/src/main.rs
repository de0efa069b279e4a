//! The demo application on the emulated board: the drivers under `demo-application`.
#![no_std]
#![no_main]

use bootloader::application::Device;
use bootloader::flash::Flash;
use cortex_m_board::Program;
use demo_application::descriptor::DESCRIPTOR_LEN;
use demo_application::{Application, Behaviour, Descriptor, MAX_ANSWER_LEN, MAX_REQUEST_LEN};
use flash_array::FlashArray;
use qemu_mps2_support::LAYOUT;
use qemu_mps2_support::layout::{APP_VECTORS, FLASH_LEN};
use qemu_mps2_support::machine::Machine;
use qemu_mps2_support::mailbox::MAILBOX;
use qemu_mps2_support::psram::Psram;

include!(concat!(env!("OUT_DIR"), "/build.rs"));

const DESCRIPTOR: Descriptor = match Descriptor::new(VERSION, BEHAVIOUR) {
    Some(descriptor) => descriptor,
    None => panic!("APP_VERSION has to be 1 to 32 printable ASCII characters"),
};

// SAFETY: the section is the descriptor's own (build.rs), nothing else is placed in it.
#[unsafe(link_section = ".app_descriptor")]
#[used]
static DESCRIPTOR_BYTES: [u8; DESCRIPTOR_LEN] = DESCRIPTOR.encode();

/// Vectors of the core.
const EXCEPTIONS: usize = 16;

// Each core has as many, so that the descriptor lies at one place.
cortex_m_board::masked_interrupts!(APP_VECTORS as usize - EXCEPTIONS);

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut REQUEST: [u8; MAX_REQUEST_LEN as usize] = [0; _];
    static mut ANSWER: [u8; MAX_ANSWER_LEN] = [0; _];

    // SAFETY: the first and only start of this program.
    let mut machine = unsafe { Machine::start(Program::Application) };
    if DESCRIPTOR.behaviour == Behaviour::Hangs {
        machine.halt();
    }
    // SAFETY: taken once; what the application runs from is never written by it.
    let psram = unsafe { Psram::take() };
    let Ok(array) = FlashArray::power_up(psram, FLASH_LEN) else { machine.halt() };
    #[cfg(feature = "table")]
    let (array, taken) = {
        let Ok(flash) = Flash::new(array, qemu_mps2_support::TABLE_LAYOUT) else { machine.halt() };
        let mut table = bootloader::application::Table::open(flash, &MAILBOX.get());
        let taken = demo_application::take_table(&mut table, DESCRIPTOR.behaviour);
        (table.release(), taken)
    };
    let Ok(flash) = Flash::new(array, LAYOUT) else { machine.halt() };

    let application = Application::new(Device::open(flash), DESCRIPTOR);
    #[cfg(feature = "table")]
    let application = application.with_table(taken);
    let mut application = application;
    // A journal that cannot be written leaves the trial as it is: the next reset reverts, or finds a copy that was written.
    if machine.can().is_up() && ballast_is_intact() {
        let _unconfirmed = application.self_test_passed();
    }
    match DESCRIPTOR.behaviour {
        Behaviour::Confirms | Behaviour::NeverConfirms => {}
        Behaviour::Crashes => machine.reset(),
        Behaviour::Hangs | Behaviour::Stalls => machine.halt(),
    }

    let request =
        demo_application::serve(&mut machine, application, REQUEST, ANSWER, |_| MAILBOX.say_alive());
    if let Some(request) = request {
        MAILBOX.ask(request);
    }
    machine.reset()
}

/// The self-test: the image reads back from flash as it was built.
fn ballast_is_intact() -> bool {
    let ballast = core::hint::black_box(&BALLAST);
    let checksum =
        ballast.iter().fold(0x811C_9DC5, |sum: u32, byte| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    checksum == BALLAST_CHECKSUM
}
