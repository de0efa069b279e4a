//! Flash that fails in an update of a table: the firmware runs whatever becomes of it, and the table is wholly the old one,
//! wholly the new one, or none where the flash has lost it.

use bootloader::authority::Roots;
use bootloader::layout::{Area, Slot};
use device_harness::device::{Boot, Device};
use device_harness::factory::{Factory, table_description};
use device_harness::part::Tabled;
use flash_model::{Cut, Decay, Fault};

type Board = Device<8, 4096, Tabled<Roots>>;

struct World {
    board: Board,
    image: Vec<u8>,
    tables: [Vec<u8>; 3],
    envelopes: [Vec<u8>; 3],
}

impl World {
    /// A device with firmware and a confirmed table.
    fn new() -> Self {
        let (mut board, factory) = (Board::new(2), Factory::new(1));
        board.provision(&factory);
        let image = board.image(3000, 1);
        board.update(&factory.envelope(1, &image), &image);
        let tables = [1, 2, 3].map(|fill| vec![fill; 4096 + 21 * usize::from(fill)]);
        let mut sequence = 0;
        let envelopes = tables.each_ref().map(|table| {
            sequence += 1;
            factory.envelope_of(&table_description(sequence, table))
        });
        board.update_table(&envelopes[0], &tables[0]);
        Self { board, image, tables, envelopes }
    }

    /// Whether the update is done. What the device refuses it says, and nothing is lost by it.
    fn update(&self, board: &mut Board, release: usize) -> bool {
        if board.install_table(&self.envelopes[release], &self.tables[release]).is_err() {
            return false;
        }
        self.runs(board);
        board.table().confirm().is_ok() && board.table_state().floor == release as u64 + 1
    }

    /// It boots its firmware. Which table it has.
    fn runs(&self, board: &mut Board) -> Option<usize> {
        assert!(matches!(board.boot(), Boot::Run(_)), "the firmware does not run");
        assert_eq!(board.running(self.image.len()), self.image);
        let found = board.found_table()?;
        let which = self.tables.iter().position(|table| *table == found);
        Some(which.expect("a torn table was handed over"))
    }
}

fn operations(world: &World) -> u64 {
    let mut clean = world.board.twin();
    let before = clean.nor.medium().operations();
    assert!(world.update(&mut clean, 1));
    clean.nor.medium().operations() - before
}

/// Every operation fails in each way: for once, or for good in its word or sector.
#[test]
fn boot91_a_fault_of_the_flash_costs_a_table_at_most_its_update() {
    let world = World::new();
    let count = operations(&world);
    let (mut done, mut lost) = (0, 0);
    // A third of them: all run the same code, and one after the other reaches every page, record and mark.
    for operation in (0..count).step_by(3) {
        for fault in [
            Fault::Error { effect: Cut::Nothing, lasts: false },
            Fault::Error { effect: Cut::Torn(operation), lasts: false },
            Fault::Error { effect: Cut::Torn(operation), lasts: true },
            Fault::Silent { lasts: false },
            Fault::Silent { lasts: true },
        ] {
            let mut board = world.board.twin();
            board.nor.medium_mut().plan_at(operation, fault);
            let is_done = world.update(&mut board, 1);
            let place = format!("{fault:?} at operation {operation}");
            board.nor.medium_mut().power_cycle();
            let found = world.runs(&mut board);
            done += u64::from(is_done);
            if is_done {
                assert_eq!(found, Some(1), "{place}: a table that was confirmed is gone");
            }
            assert!(found.is_some(), "{place}: there was a table: {:?}", board.table_state());
            let floor = board.table_state().floor;
            assert!(floor == 1 || floor == 2 && found == Some(1), "{place}: floor {floor}, {found:?}");
            // What passed is over; what lasts may keep the next one out, and loses nothing either.
            let lasts = matches!(fault, Fault::Error { lasts: true, .. } | Fault::Silent { lasts: true });
            let next = world.update(&mut board, 2);
            assert!(next || lasts, "{place}: the next one is refused: {:?}", board.table_state());
            let last = world.runs(&mut board);
            assert!(last.is_some() && (!next || last == Some(2)), "{place}: {last:?}");
            lost += u64::from(!next);
        }
    }
    println!("{count} operations, {done} updates in spite of the fault, {lost} kept out for good");
    assert!(count > 300 && done > 100);
}

/// A word of the journal or of a slot decays at rest.
#[test]
fn boot95_a_word_that_decays_costs_at_most_the_table_that_lies_there() {
    let world = World::new();
    let mut base = world.board.twin();
    assert!(world.update(&mut base, 1));
    let layout = base.table_layout();
    let active = layout.region(Area::Slot(Slot::B));
    let regions = [Area::Journal(0), Area::Journal(1), Area::Journal(2), Area::Progress, Area::Slot(Slot::B)]
        .map(|area| layout.region(area));
    let (mut words, mut none) = (0, 0);
    for region in regions {
        let len = region.len.min(2 * 4096);
        for offset in (region.start..region.start + len).step_by(8) {
            if !base.nor.medium().is_programmed(offset as usize) {
                continue;
            }
            words += 1;
            for decay in [Decay::Flip(u64::from(offset)), Decay::Fault] {
                let mut board = base.twin();
                board.nor.medium_mut().decay(offset as usize, decay);
                let found = world.runs(&mut board);
                let is_in_slot = region == active;
                assert!(
                    found == Some(1) || is_in_slot && found.is_none(),
                    "{decay:?} at {offset:#x}: {found:?}"
                );
                none += u64::from(found.is_none());
                assert_eq!(board.table_state().floor, 2, "{decay:?} at {offset:#x}");
                assert!(world.update(&mut board, 2), "{decay:?} at {offset:#x}: no table comes any more");
            }
        }
    }
    println!("{words} words, {none} times no table");
    assert!(words > 500 && none > 400);
}
