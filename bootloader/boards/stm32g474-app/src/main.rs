//! The demo application on an STM32G474: the drivers under `demo-application`. `APP_VERSION` is the version that it
//! reports, `APP_CONFIRM=never` makes it one that does not confirm itself; both are read at compile time.
#![no_std]
#![no_main]

use bootloader::application::Device;
use bootloader::flash::Flash;
use cortex_m_board::Program;
use demo_application::{
    Application, Behaviour, Descriptor, MAX_ANSWER_LEN, MAX_REQUEST_LEN, ballast_is_intact,
};
use stm32g474::LAYOUT;
use stm32g474::machine::Machine;

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

cortex_m_board::masked_interrupts!();

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut REQUEST: [u8; MAX_REQUEST_LEN as usize] = [0; _];
    static mut ANSWER: [u8; MAX_ANSWER_LEN] = [0; _];

    // SAFETY: the first and only start of this program.
    let mut machine = unsafe { Machine::start(Program::Application) };
    // SAFETY: taken once; what the application runs from is never written by it.
    let Some(controller) = (unsafe { machine.take_flash() }) else { machine.halt_now() };
    let Ok(flash) = Flash::new(controller, LAYOUT) else { machine.halt_now() };
    let mut application = Application::new(Device::open(flash), DESCRIPTOR);
    // A journal that cannot be written leaves the trial as it is: the next reset reverts, or finds a copy that was written.
    if machine.can().is_up() && ballast_is_intact(BALLAST) {
        let _unconfirmed = application.self_test_passed();
    }
    let request = demo_application::serve(&mut machine, application, REQUEST, ANSWER, Machine::say_alive);
    if let Some(request) = request {
        machine.ask(request);
    }
    machine.reset_now()
}
