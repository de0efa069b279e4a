use std::time::Duration;

use update_protocol::can::{Frame, Id};

use super::Pacer;

fn frame() -> Frame {
    Frame::new(Id::Extended(0x18DA_10F1), &[0; 8]).unwrap()
}

/// Whatever an adapter says and loses, in whatever order: the window stays open, and a frame may go some time.
#[test]
fn no_order_of_answers_and_losses_closes_the_window() {
    for seed in 0..200_u64 {
        let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut pacer =
            Pacer::new([10_000, 125_000, 500_000, 1_000_000][usize::try_from(seed % 4).unwrap()], None);
        let mut now = Duration::ZERO;
        for _ in 0..2_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let frames = u32::try_from(random >> 32).unwrap() % 700;
            match (random >> 60) % 8 {
                0 => pacer.accepted(),
                1 => drop(pacer.refused(now)),
                2 => pacer.message(false, frames % 28),
                3 => pacer.message(false, frames),
                4 if frames < 20 => pacer.answer_lost(),
                5 => pacer.written(&frame(), now),
                _ => pacer.message(true, frames),
            }
            now += Duration::from_micros(random >> 52);
            let _ = pacer.gate(&frame(), now);
            assert!(pacer.window >= 1 && pacer.window <= pacer.widest, "{pacer:?}");
        }
    }
}
