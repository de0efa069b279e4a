//! The demo application on an STM32F407: the drivers under `demo-application`. `APP_VERSION` is the version that it
//! reports, `APP_CONFIRM=never` makes it one that does not confirm itself; both are read at compile time.
#![no_std]
#![no_main]

use bootloader::application::Device;
use bootloader::device::{self, Drivers as _, Ended, Service};
use bootloader::flash::Flash;
use demo_application::{ALIVE_AFTER_US, Application, Behaviour, Descriptor, MAX_ANSWER_LEN, MAX_REQUEST_LEN};
use stm32f407::LAYOUT;
use stm32f407::machine::{Machine, Program};
use update_protocol::isotp::{BorrowedLink, Config};
use update_protocol::profile;
use update_protocol::uds::server::Server;

const VERSION: &str = match option_env!("APP_VERSION") {
    Some(version) => version,
    None => "0.1.0",
};
const BEHAVIOUR: Behaviour =
    if option_env!("APP_CONFIRM").is_some() { Behaviour::NeverConfirms } else { Behaviour::Confirms };
const DESCRIPTOR: Descriptor = match Descriptor::new(VERSION, BEHAVIOUR) {
    Some(descriptor) => descriptor,
    None => panic!("APP_VERSION has to be 1 to 32 printable ASCII characters"),
};
static BALLAST: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/ballast.bin"));

unsafe extern "C" {
    fn DefaultHandler();
}

/// Interrupts stay masked. cortex-m-rt requires a vector.
// SAFETY: the section of interrupt vectors, and a handler that resets.
#[unsafe(link_section = ".vector_table.interrupts")]
#[unsafe(no_mangle)]
static __INTERRUPTS: [unsafe extern "C" fn(); 1] = [DefaultHandler];

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut REQUEST: [u8; MAX_REQUEST_LEN as usize] = [0; _];
    static mut ANSWER: [u8; MAX_ANSWER_LEN] = [0; _];

    // SAFETY: the first and only start of this program.
    let mut machine = unsafe { Machine::start(Program::Application) };
    // SAFETY: taken once; what the application runs from is never written by it.
    let Ok(flash) = Flash::new(unsafe { machine.take_flash() }, LAYOUT) else { machine.reset_now() };
    let mut application = Application::new(Device::open(flash), DESCRIPTOR);
    // A journal that cannot be written leaves the trial as it is: the next reset reverts, or finds a copy that was written.
    if ballast_is_intact() {
        let _unconfirmed = application.self_test_passed();
    }
    let addressing = profile::device_addressing(application.node_address());
    let mut link = BorrowedLink::new(addressing, Config::classic(), &mut REQUEST[..], &mut ANSWER[..]);
    let mut service = Service::new(Server::new(), &mut application);
    let until_us = machine.now_us().saturating_add(ALIVE_AFTER_US);
    if device::serve(&mut machine, &mut link, &mut service, Some(until_us)) == Ended::TimeUp {
        machine.say_alive();
        // It has nothing else to do: this ends with a reset.
        let _reset = device::serve(&mut machine, &mut link, &mut service, None);
    }
    if let Some(request) = application.request() {
        machine.ask(request);
    }
    machine.reset_now()
}

/// The self-test: the image reads back from flash as it was built.
fn ballast_is_intact() -> bool {
    let mut bytes = core::hint::black_box(BALLAST).iter().zip(0u32..);
    bytes.all(|(byte, index)| *byte == index.wrapping_mul(0x9E37_79B1).to_le_bytes()[3])
}
