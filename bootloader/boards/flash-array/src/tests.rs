extern crate std;
use std::vec;
use std::vec::Vec;

use super::*;

const CAPACITY: u32 = 3 * PAGE_LEN;

#[derive(Debug, Clone)]
struct Memory {
    bytes: Vec<u8>,
    writes_left: usize,
}

impl Memory {
    fn untouched() -> Self {
        Self { bytes: vec![0; store_len(CAPACITY) as usize], writes_left: usize::MAX }
    }
}

impl Store for Memory {
    type Error = ();

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), ()> {
        let offset = offset as usize;
        bytes.copy_from_slice(self.bytes.get(offset..offset + bytes.len()).ok_or(())?);
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), ()> {
        self.writes_left = self.writes_left.checked_sub(1).ok_or(())?;
        let offset = offset as usize;
        self.bytes.get_mut(offset..offset + bytes.len()).ok_or(())?.copy_from_slice(bytes);
        Ok(())
    }
}

impl Store for &mut Memory {
    type Error = ();

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), ()> {
        (**self).read(offset, bytes)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), ()> {
        (**self).write(offset, bytes)
    }
}

fn new_chip() -> FlashArray<Memory> {
    FlashArray::power_up(Memory::untouched(), CAPACITY).unwrap()
}

fn contents(array: &mut FlashArray<Memory>) -> Vec<u8> {
    let mut bytes = vec![0; CAPACITY as usize];
    array.read(0, &mut bytes).unwrap();
    bytes
}

#[test]
fn untouched_memory_becomes_an_erased_chip() {
    assert!(contents(&mut new_chip()).iter().all(|byte| *byte == 0xFF));
}

#[test]
fn contents_and_marks_survive_a_power_cycle() {
    let mut array = new_chip();
    array.write(8, &[0x5A; 16]).unwrap();
    let before = contents(&mut array);
    let mut array = FlashArray::power_up(array.store, CAPACITY).unwrap();
    assert_eq!(contents(&mut array), before);
    assert_eq!(array.write(16, &[0; 8]), Err(Error::AlreadyProgrammed { offset: 16 }));
}

#[test]
fn a_cut_while_a_new_chip_is_set_up_starts_over() {
    let mut untouched = Memory::untouched();
    FlashArray::power_up(&mut untouched, CAPACITY).unwrap();
    let writes = usize::MAX - untouched.writes_left;
    for writes_left in 0..writes {
        let mut memory = Memory { writes_left, ..Memory::untouched() };
        assert!(FlashArray::power_up(&mut memory, CAPACITY).is_err(), "{writes_left}");
        memory.writes_left = usize::MAX;
        let mut array = FlashArray::power_up(memory, CAPACITY).unwrap();
        assert!(contents(&mut array).iter().all(|byte| *byte == 0xFF));
        array.write(0, &vec![0x5A; CAPACITY as usize]).unwrap();
    }
}

#[test]
fn memory_of_another_array_is_left_alone() {
    let array = new_chip();
    let mut memory = array.store;
    let header = header_offset(CAPACITY) as usize;
    memory.bytes[header + 7] = 9;
    let before = memory.bytes.clone();
    let error = FlashArray::power_up(memory.clone(), CAPACITY).unwrap_err();
    assert_eq!(error, Error::ForeignArray);
    assert_eq!(memory.bytes, before);
}

#[test]
fn a_word_is_programmed_once_between_erases() {
    let mut array = new_chip();
    array.write(PAGE_LEN + 24, &[1; 8]).unwrap();
    // A run that meets a programmed word anywhere writes nothing at all.
    let before = contents(&mut array);
    for (start, len) in [(24, 8), (0, 32), (16, 64), (24, 256)] {
        assert_eq!(
            array.write(PAGE_LEN + start, &vec![0; len]),
            Err(Error::AlreadyProgrammed { offset: PAGE_LEN + 24 }),
            "{start} {len}"
        );
    }
    assert_eq!(contents(&mut array), before);
    // Even programming what is there already, and a word of ones.
    assert!(array.write(PAGE_LEN + 24, &[1; 8]).is_err());
    array.write(PAGE_LEN + 32, &[0xFF; 8]).unwrap();
    assert!(array.write(PAGE_LEN + 32, &[0; 8]).is_err());
    // The neighbours are free.
    array.write(PAGE_LEN + 16, &[2; 8]).unwrap();
    array.write(PAGE_LEN + 40, &[3; 24]).unwrap();
    array.erase(PAGE_LEN, 2 * PAGE_LEN).unwrap();
    array.write(PAGE_LEN, &[4; PAGE_LEN as usize]).unwrap();
    assert!(array.write(PAGE_LEN + 4088, &[0; 8]).is_err());
}

#[test]
fn an_erase_touches_its_pages_only() {
    let mut array = new_chip();
    array.write(0, &vec![7; CAPACITY as usize]).unwrap();
    array.erase(PAGE_LEN, 2 * PAGE_LEN).unwrap();
    let bytes = contents(&mut array);
    let page = PAGE_LEN as usize;
    assert!(bytes[..page].iter().chain(&bytes[2 * page..]).all(|byte| *byte == 7));
    assert!(bytes[page..2 * page].iter().all(|byte| *byte == 0xFF));
    assert!(array.write(PAGE_LEN - 8, &[0; 8]).is_err());
    assert!(array.write(2 * PAGE_LEN, &[0; 8]).is_err());
    array.write(PAGE_LEN, &[0; 8]).unwrap();
}

#[test]
fn misaligned_and_outlying_accesses_are_refused() {
    let mut array = new_chip();
    let before = contents(&mut array);
    assert_eq!(array.write(4, &[0; 8]), Err(Error::NotAligned));
    assert_eq!(array.write(8, &[0; 7]), Err(Error::NotAligned));
    assert_eq!(array.write(CAPACITY - 8, &[0; 16]), Err(Error::OutOfBounds));
    assert_eq!(array.write(u32::MAX - 7, &[0; 16]), Err(Error::OutOfBounds));
    assert_eq!(array.erase(0, PAGE_LEN - 8), Err(Error::NotAligned));
    assert_eq!(array.erase(0, CAPACITY + PAGE_LEN), Err(Error::OutOfBounds));
    assert_eq!(array.erase(PAGE_LEN, 0), Err(Error::OutOfBounds));
    assert_eq!(array.read(CAPACITY - 1, &mut [0; 2]), Err(Error::OutOfBounds));
    assert_eq!(array.read(u32::MAX, &mut [0; 2]), Err(Error::OutOfBounds));
    assert_eq!(contents(&mut array), before);
}

#[test]
fn every_alignment_of_a_program_marks_exactly_its_words() {
    for first in 0..20_u32 {
        for words in 1..20_u32 {
            let mut array = new_chip();
            array.write(first * WORD_LEN, &vec![0; (words * WORD_LEN) as usize]).unwrap();
            for word in 0..48 {
                let inside = (first..first + words).contains(&word);
                let outcome = array.write(word * WORD_LEN, &[1; 8]);
                assert_eq!(outcome.is_err(), inside, "{first} {words} {word}");
            }
        }
    }
}
