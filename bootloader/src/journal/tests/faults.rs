//! Faults within recovery, events that do not belong, and states that take something back.

use super::*;

/// A driver whose read with this number answers with an erased word, or not at all.
struct Glitch {
    nor: Nor<8, 4096>,
    reads: u64,
    at: u64,
    is_error: bool,
}

impl ErrorType for Glitch {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Glitch {
    const READ_SIZE: usize = 8;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.reads += 1;
        self.nor.read(offset, bytes).map_err(|_| NorFlashErrorKind::Other)?;
        match (self.reads == self.at, self.is_error) {
            (true, true) => Err(NorFlashErrorKind::Other),
            (true, false) => {
                bytes.fill(0xFF);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn capacity(&self) -> usize {
        self.nor.capacity()
    }
}

impl NorFlash for Glitch {
    const WRITE_SIZE: usize = 8;
    const ERASE_SIZE: usize = 4096;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        self.nor.erase(from, to).map_err(|_| NorFlashErrorKind::Other)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        self.nor.write(offset, bytes).map_err(|_| NorFlashErrorKind::Other)
    }
}

/// Whatever goes wrong once within recovery, it finds the newest record, and where the next one goes.
#[test]
fn t14_a_fault_within_recovery_downgrades_nothing() {
    let nor = Nor::<8, 4096>::new(FLASH_LEN);
    let mut device = flash_of(&nor, 3);
    let mut journal = Journal::open(&mut device);
    for number in 1..=30 {
        journal.record(&mut device, list(number)).unwrap();
    }
    journal = Journal::open(&mut device);
    let glitch = |at, is_error| {
        let driver = Glitch { nor: nor.clone(), reads: 0, at, is_error };
        let mut device = Flash::new(driver, layout(4096, 3)).unwrap();
        let found = Journal::open(&mut device);
        (found, device.release().reads)
    };
    let (_, reads) = glitch(0, false);
    for at in 1..=reads {
        for is_error in [false, true] {
            let (found, _) = glitch(at, is_error);
            assert_eq!(sequence(&found), 30, "read {at}");
            assert!(found.is_same(&journal), "read {at}");
        }
    }
    assert!(!journal.is_same(&Journal::recover(&mut flash_of(&Nor::<8, 4096>::new(FLASH_LEN), 3), 0)));
}

/// A state that a fault made of the one before takes back nothing: neither floor nor provisioning nor a list.
#[test]
fn t14_a_record_that_takes_something_back_is_not_written() {
    let numbers = |list_sequence| DomainNumbers { recovery_epoch: 1, succession_sequence: 2, list_sequence };
    let held =
        BootState { floor: 7, provisioned: true, domains: [numbers(5), numbers(0)], ..BootState::FACTORY };
    let nor = Nor::<8, 4096>::new(FLASH_LEN);
    let mut device = flash(&nor);
    let mut journal = Journal::open(&mut device);
    journal.newest.state = held;
    journal.append(&mut device, &held).unwrap();
    let root = |recovery_epoch, succession_sequence| {
        let numbers = DomainNumbers { recovery_epoch, succession_sequence, list_sequence: 9 };
        BootState { domains: [numbers; 2], ..held }
    };
    for wrong in [
        BootState::FACTORY,
        BootState { floor: 6, ..held },
        BootState { provisioned: false, ..held },
        BootState { domains: [numbers(4), numbers(0)], ..held },
        BootState { domains: [numbers(5), DomainNumbers::default()], ..held },
        root(1, 1),
        root(0, 3),
    ] {
        let before = nor.medium().bytes().to_vec();
        assert_eq!(journal.append(&mut device, &wrong), Err(FlashError::NotProgrammed), "{wrong:?}");
        assert!(before == nor.medium().bytes(), "something of it was written");
        assert_eq!(Journal::open(&mut device).state(), &held);
    }
    for right in [root(1, 3), root(2, 0), BootState { floor: 8, ..held }] {
        let twin = Nor::<8, 4096>::with(nor.medium().clone());
        let mut device = flash(&twin);
        let mut journal = Journal::open(&mut device);
        journal.append(&mut device, &right).unwrap();
        assert_eq!(Journal::open(&mut device).state(), &right);
    }
}

#[test]
fn an_event_that_does_not_belong_is_not_written() {
    let nor = Nor::<8, 4096>::new(FLASH_LEN);
    let mut device = flash(&nor);
    let mut journal = Journal::open(&mut device);
    let illegal = journal.record(&mut device, Event::Confirmed);
    assert!(matches!(illegal, Err(JournalError::Illegal(_))));
    assert_eq!(nor.medium().operations(), 0);
}

#[test]
fn a_sequence_of_lists_that_falls_is_not_written() {
    let nor = Nor::<8, 4096>::new(FLASH_LEN);
    let mut device = flash(&nor);
    let mut journal = Journal::open(&mut device);
    journal.record(&mut device, list(5)).unwrap();
    assert!(matches!(journal.record(&mut device, list(4)), Err(JournalError::Illegal(_))));
    assert_eq!(sequence(&Journal::open(&mut device)), 5);
}

/// An outage of any length at any read of the recovery: the newest record counts, or none does in this boot.
#[test]
fn boot66_an_outage_within_recovery_brings_no_older_record_back() {
    let mut were_lost = [0, 0];
    for parts in [2, 3] {
        let nor = Nor::<8, 512>::new(FLASH_LEN);
        let mut device = flash_of(&nor, parts);
        let mut journal = Journal::open(&mut device);
        for number in 1..=7 {
            journal.record(&mut device, list(number)).unwrap();
            // A cut in the erase of the part that comes next: it holds nothing, and stays so until the next record.
            for next in [None, Some((journal.part + 1) % parts as u8)] {
                let (other, start) = (Nor::<8, 512>::with(nor.medium().clone()), 0x1_0000);
                let mut twin = flash_of(&other, parts);
                if let Some(next) = next {
                    let start = start + usize::from(next) * 1024;
                    (start..start + 1024).for_each(|byte| other.medium_mut().break_word(byte));
                }
                let before = other.medium().reads();
                let clean = Journal::open(&mut twin);
                let reads = other.medium().reads() - before;
                assert_eq!(sequence(&clean), sequence(&journal));
                let newest = sequence(&clean);
                for from in 0..reads {
                    for len in 1..=2 * reads - from {
                        let mut medium = other.medium_mut();
                        medium.power_on();
                        (from..from + len).for_each(|read| medium.fail_read_at(read, false));
                        drop(medium);
                        let found = Journal::open(&mut twin);
                        let is_lost = found.recovery() == Recovery::Lost
                            || (found.recovery() == Recovery::Blank && found.newest.sequence == 0);
                        were_lost[usize::from(is_lost)] += 1;
                        assert!(
                            is_lost || sequence(&found) == newest,
                            "{parts} parts, record {number}, {next:?}: reads {from}..{} bring {} back",
                            from + len,
                            sequence(&found)
                        );
                    }
                }
            }
        }
    }
    assert!(were_lost.iter().all(|&count| count > 1000), "{were_lost:?}");
}
