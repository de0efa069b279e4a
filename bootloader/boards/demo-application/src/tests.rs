extern crate std;
use std::vec;
use std::vec::Vec;

use bootloader::flash::{Flash, FlashError};
use bootloader::layout::{Layout, Region, Regions};
use embedded_storage::nor_flash::{ErrorType, NorFlashErrorKind, ReadNorFlash};
use update_protocol::profile::{DEFAULT_NODE_ADDRESS, ImageState, Mode, StateRecord};

use super::*;

const PAGE: u32 = 4096;
const LAYOUT: Layout = match Layout::new(Regions {
    base: 0,
    page: PAGE,
    stored: Region { start: 0, len: 4 * PAGE },
    journal: Region { start: 4 * PAGE, len: 3 * PAGE },
    progress: Region { start: 8 * PAGE, len: PAGE },
    slot_a: Region { start: 9 * PAGE, len: 4 * PAGE },
    slot_b: Region { start: 13 * PAGE, len: 5 * PAGE },
    ram: Region { start: 0x2000_0000, len: 0x1_0000 },
}) {
    Ok(layout) => layout,
    Err(_) => panic!("a layout"),
};

/// An erased chip that counts what is done to it.
struct Chip {
    bytes: Vec<u8>,
    operations: usize,
}

impl ErrorType for Chip {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Chip {
    const READ_SIZE: usize = 1;
    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        bytes.copy_from_slice(&self.bytes[offset as usize..][..bytes.len()]);
        Ok(())
    }
    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl NorFlash for Chip {
    const WRITE_SIZE: usize = 8;
    const ERASE_SIZE: usize = PAGE as usize;
    fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        self.operations += 1;
        self.bytes[from as usize..to as usize].fill(0xFF);
        Ok(())
    }
    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        self.operations += 1;
        self.bytes[offset as usize..][..bytes.len()].copy_from_slice(bytes);
        Ok(())
    }
}

fn application(behaviour: Behaviour) -> Application<Chip> {
    let chip = Chip { bytes: vec![0xFF; LAYOUT.flash_len() as usize], operations: 0 };
    let Ok(flash) = Flash::new(chip, LAYOUT) else { panic!("the chip fits") };
    Application::new(Device::open(flash), Descriptor::new("2.3.4", behaviour).unwrap())
}

fn read(application: &mut Application<Chip>, identifier: u16) -> Result<Vec<u8>, Nrc> {
    let mut buffer = [0; MAX_ANSWER_LEN];
    let mut answer = Answer::new(&mut buffer);
    application.read_identifier(identifier, &mut answer)?;
    let len = answer.len();
    Ok(buffer[..len].to_vec())
}

#[test]
fn it_says_what_the_protocol_asks_of_an_application() {
    let mut application = application(Behaviour::Confirms);
    assert_eq!(read(&mut application, did::APPLICATION_VERSION).unwrap(), b"2.3.4");
    assert_eq!(read(&mut application, did::SERIAL).unwrap(), b"unprovisioned");
    assert_eq!(read(&mut application, did::IDENTITY).unwrap(), [0; 48]);
    let state = StateRecord::decode(&read(&mut application, did::STATE_RECORD).unwrap()).unwrap();
    assert_eq!((state.mode, state.max_request_len), (Mode::Application, MAX_REQUEST_LEN));
    assert_eq!(state.image, ImageState::None);
    // The loader's own.
    assert_eq!(read(&mut application, did::LOADER_VERSION), Err(Nrc::REQUEST_OUT_OF_RANGE));
    assert_eq!(application.node_address(), DEFAULT_NODE_ADDRESS);
}

#[test]
fn only_the_programming_session_is_the_loaders() {
    let mut application = application(Behaviour::Confirms);
    for session in [Session::Default, Session::Extended] {
        assert_eq!(application.change_session(session), Ok(SessionChange::Enter));
        assert_eq!(application.request(), None);
    }
    assert_eq!(application.change_session(Session::Programming), Ok(SessionChange::HandOver));
    assert_eq!(application.request(), Some(Request::ProgrammingSession { answer: true }));
}

#[test]
fn no_download_is_taken_and_no_routine_run() {
    use update_protocol::uds::server::Download;
    let mut application = application(Behaviour::Confirms);
    assert!(application.open_object(Download { address: 0, size: 1 }).is_err());
    assert!(application.run_routine(0xF001, &[], &mut Answer::new(&mut [0; 8])).is_err());
}

/// An application that runs has been provisioned: it is the journal that does not read, and perhaps holds a trial.
#[test]
fn without_provisioning_nothing_is_confirmed() {
    let mut confirming = application(Behaviour::Confirms);
    assert_eq!(confirming.self_test_passed(), Err(JournalError::Flash(FlashError::Unreadable)));
    for behaviour in [Behaviour::NeverConfirms, Behaviour::Hangs] {
        assert_eq!(application(behaviour).self_test_passed(), Ok(None));
    }
}
