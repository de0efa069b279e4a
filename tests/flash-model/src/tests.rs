//! The model is at least as harsh as the contract.

use embedded_storage::nor_flash::{NorFlash as _, ReadNorFlash as _};

use super::*;

type Part = Nor<8, 512>;

fn read(part: &mut Part, offset: u32) -> Result<[u8; 8], ModelError> {
    let mut word = [0; 8];
    part.read(offset, &mut word).map(|()| word)
}

const WORD: [u8; 8] = [0x5A; 8];

#[test]
#[should_panic(expected = "programmed twice")]
fn a_word_is_programmed_once() {
    let mut part = Part::new(1024);
    part.write(8, &WORD).unwrap();
    let _ = part.write(8, &WORD);
}

#[test]
fn a_word_that_is_programmed_twice_faults_and_is_counted() {
    let mut part = Part::new(1024);
    part.medium_mut().count_double_programs();
    part.write(8, &WORD).unwrap();
    part.write(8, &WORD).unwrap();
    assert_eq!(read(&mut part, 8), Err(ModelError::EccFault));
    assert_eq!(part.medium().double_programs(), 1);
}

#[test]
fn an_error_is_reported_once_or_for_good() {
    for lasts in [false, true] {
        let mut part = Part::new(1024);
        part.medium_mut().plan_at(1, Fault::Error { effect: Cut::Nothing, lasts });
        part.write(0, &WORD).unwrap();
        assert_eq!(part.write(8, &WORD), Err(ModelError::Failed));
        assert_eq!(part.write(8, &WORD).is_err(), lasts);
        assert_eq!(read(&mut part, 8), Ok(if lasts { [0xFF; 8] } else { WORD }));
        part.medium_mut().plan_at(0, Fault::Error { effect: Cut::Nothing, lasts });
        assert_eq!(part.erase(0, 512), Err(ModelError::Failed));
        assert_eq!(part.erase(0, 512).is_err(), lasts);
        assert_eq!(part.erase(512, 1024), Ok(()));
    }
}

#[test]
fn a_program_that_failed_half_way_is_in_doubt() {
    let mut part = Part::new(1024);
    part.medium_mut().plan_at(0, Fault::Error { effect: Cut::Torn(3), lasts: false });
    assert_eq!(part.write(8, &WORD), Err(ModelError::Failed));
    assert_ne!(read(&mut part, 8), Ok(WORD));
    part.write(8, &WORD).unwrap();
    assert_eq!(read(&mut part, 8), Err(ModelError::EccFault));
    assert_eq!(part.medium().reprogrammed(), 1);
}

#[test]
fn what_does_not_happen_silently_is_told_as_done() {
    for lasts in [false, true] {
        let mut part = Part::new(1024);
        part.medium_mut().plan_at(0, Fault::Silent { lasts });
        part.write(8, &WORD).unwrap();
        assert_eq!(read(&mut part, 8), Ok([0xFF; 8]));
        part.write(8, &WORD).unwrap();
        assert_eq!(read(&mut part, 8), Ok(if lasts { [0xFF; 8] } else { WORD }));
        part.write(16, &WORD).unwrap();
        part.medium_mut().plan_at(0, Fault::Silent { lasts });
        part.erase(0, 512).unwrap();
        assert_eq!(read(&mut part, 16), Ok(WORD));
        // Its user was told that it is erased: the word faults, and nobody programmed twice.
        part.write(16, &WORD).unwrap();
        assert_eq!(read(&mut part, 16), Err(ModelError::EccFault));
        assert_eq!(part.medium().double_programs(), 0);
        part.erase(0, 512).unwrap();
        assert_eq!(read(&mut part, 16), if lasts { Err(ModelError::EccFault) } else { Ok([0xFF; 8]) });
    }
}

#[test]
fn a_read_fails_once_or_for_good() {
    for lasts in [false, true] {
        let mut part = Part::new(1024);
        part.medium_mut().fail_read_at(1, lasts);
        assert!(read(&mut part, 8).is_ok());
        assert_eq!(read(&mut part, 8), Err(ModelError::Failed));
        part.erase(0, 512).unwrap();
        assert_eq!(read(&mut part, 8).is_err(), lasts);
    }
}

#[test]
fn words_decay_at_rest() {
    let mut part = Part::new(1024);
    part.write(8, &WORD).unwrap();
    part.medium_mut().decay(11, Decay::Flip(7));
    let changed =
        read(&mut part, 8).unwrap().iter().zip(WORD).map(|(new, old)| (new ^ old).count_ones()).sum::<u32>();
    assert_eq!(changed, 1);
    part.medium_mut().decay(11, Decay::Fault);
    assert_eq!(read(&mut part, 8), Err(ModelError::EccFault));
    part.erase(0, 512).unwrap();
    assert_eq!(read(&mut part, 8), Ok([0xFF; 8]));
    // An erased word that decayed is none: what is programmed there faults.
    part.medium_mut().decay(8, Decay::Flip(7));
    part.write(8, &WORD).unwrap();
    assert_eq!(read(&mut part, 8), Err(ModelError::EccFault));
}

#[test]
fn a_sector_wears_out() {
    let mut part = Part::new(1024);
    part.medium_mut().endure(512, 2);
    for _ in 0..2 {
        assert!(!part.medium().is_worn());
        part.erase(512, 1024).unwrap();
    }
    assert!(part.medium().is_worn() && part.medium().has_lasting_fault(512, 512));
    assert_eq!(part.erase(512, 1024), Err(ModelError::Failed));
    assert_eq!((part.erase(0, 512), part.medium().erases()), (Ok(()), vec![1, 2]));
}

#[test]
fn a_failure_lasts_in_its_word_or_its_sector() {
    let part = Part::new(1024);
    let mut medium = part.medium_mut();
    medium.fail_to_program(520);
    assert!(medium.has_lasting_fault(520, 8) && !medium.has_lasting_fault(528, 8));
    assert!(medium.has_lasting_fault(0, 1024) && !medium.has_lasting_fault(0, 512));
    medium.fail_to_erase(512);
    assert!(medium.has_lasting_fault(528, 8) && !medium.has_lasting_fault(0, 512));
}

#[test]
fn sectors_are_uneven_and_erased_whole() {
    let chip = Chip { sectors: vec![512, 512, 2048], erased: 0, ..Chip::even(8, 512, 0) };
    let mut part = Part::with(Medium::of(&[chip]));
    assert_eq!(read(&mut part, 1024), Ok([0; 8]));
    part.write(1024, &WORD).unwrap();
    assert_eq!(part.erase(1024, 1536), Err(ModelError::Misuse));
    assert_eq!(part.erase(1536, 3072), Err(ModelError::Misuse));
    assert_eq!(read(&mut part, 1024), Ok(WORD));
    part.erase(512, 3072).unwrap();
    assert_eq!((read(&mut part, 1024), part.medium().erases()), (Ok([0; 8]), vec![0, 1, 1]));
}

#[test]
fn an_erased_word_faults_where_the_part_says_so() {
    let chip = Chip { faults_when_erased: true, ..Chip::even(8, 512, 1024) };
    let mut part = Part::with(Medium::of(&[chip]));
    assert_eq!((read(&mut part, 8), part.is_blank(8, 8)), (Err(ModelError::EccFault), Ok(true)));
    // Programmed as erased, and so to be read.
    part.write(8, &[0xFF; 8]).unwrap();
    assert_eq!((read(&mut part, 8), part.is_blank(8, 8)), (Ok([0xFF; 8]), Ok(false)));
    // A word that a cut left weak looks blank and is not.
    part.medium_mut().cut_at(0, Cut::Weak);
    assert_eq!(part.write(16, &WORD), Err(ModelError::NoPower));
    part.medium_mut().power_on();
    assert_eq!(part.is_blank(16, 8), Ok(true));
    part.write(16, &WORD).unwrap();
    assert_eq!((read(&mut part, 16), part.is_blank(16, 8)), (Err(ModelError::EccFault), Ok(false)));
}

#[test]
fn two_chips_share_one_supply_and_have_words_of_their_own() {
    let medium = Medium::of(&[Chip::even(8, 512, 512), Chip { erased: 0, ..Chip::even(1, 1024, 1024) }]);
    let shared = std::rc::Rc::new(std::cell::RefCell::new(medium));
    let (mut inner, mut outer) = (Part::window(&shared, 0, 512), Nor::<1, 1024>::window(&shared, 512, 1024));
    inner.write(0, &WORD).unwrap();
    outer.write(3, &[1, 2]).unwrap();
    assert_eq!((shared.borrow().operations(), shared.borrow().bytes()[515]), (3, 1));
    shared.borrow_mut().cut_at(1, Cut::Nothing);
    outer.write(5, &[1]).unwrap();
    assert_eq!(
        (inner.write(8, &WORD), outer.write(6, &[1])),
        (Err(ModelError::NoPower), Err(ModelError::NoPower))
    );
}

#[test]
fn a_user_that_runs_away_is_stopped() {
    let mut part = Part::new(1024);
    part.medium_mut().limit(10);
    let reads = (0..100).take_while(|_| read(&mut part, 0).is_ok()).count();
    assert_eq!((reads, part.medium().is_over_limit()), (10, true));
}

#[test]
fn every_planned_operation_is_traced() {
    let mut part = Part::new(1024);
    part.medium_mut().start_trace();
    part.medium_mut().plan_at(1, Fault::Silent { lasts: false });
    part.erase(512, 1024).unwrap();
    part.write(8, &WORD).unwrap();
    let trace = part.medium_mut().take_trace();
    let seen: Vec<_> =
        trace.iter().map(|it| (it.offset, it.is_erase, it.fault.is_some(), it.is_done)).collect();
    assert_eq!(seen, [(512, true, false, true), (8, false, true, true)]);
}
