use super::*;

fn known(round_trip_us: u64, frame_us: u64) -> Pace {
    let mut pace = Pace::default();
    for _ in 0..50 {
        pace.answered(1, round_trip_us);
        pace.answered(100, frame_us * 100);
    }
    pace
}

#[test]
fn a_lost_frame_is_noticed_within_100_ms_on_a_bus_that_answers_in_time() {
    let pace = known(3_000, 270);
    assert!(pace.patience_us(0) <= 100_000);
    assert!(pace.flow_control_patience_us(147, 0) <= 100_000);
    // The answer to a long request: what it takes on the bus, and then the same.
    assert!(pace.answer_patience_us(147, 0) <= 147 * 270 * 5 / 4 + 100_000);
    assert!(pace.patience_us(3) >= 8 * 40_000, "each repeat waits longer");
}

#[test]
fn a_slow_device_and_a_slow_bus_are_not_taken_for_loss() {
    let pace = known(400_000, 3_000);
    assert!(pace.patience_us(0) >= 400_000);
    assert!(pace.answer_patience_us(586, 0) >= 586 * 3_000 + 400_000);
    assert!(pace.flow_control_patience_us(586, 0) >= 32 * 3_000 + 400_000);
    // Before anything is known the bus may have 50 kbit/s.
    assert!(Pace::default().answer_patience_us(147, 0) >= 147 * 3_200);
    // A pause now and then, for flash, is learnt too.
    let mut pace = known(3_000, 270);
    for _ in 0..20 {
        pace.answered(1, 3_000);
        pace.answered(1, 60_000);
    }
    assert!(pace.patience_us(0) > 90_000, "{}", pace.patience_us(0));
}

/// The share of blocks that are lost when each of their frames is lost with this probability.
fn settled_block_len(loss: f64) -> usize {
    let mut pace = Pace::default();
    let mut random: u64 = 1;
    let mut lengths = Vec::new();
    for _ in 0..4_000 {
        let len = pace.block_len(4093, 7, 0);
        lengths.push(len);
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        #[allow(clippy::cast_precision_loss, reason = "a few thousand")]
        let arrives = (1.0 - loss).powf(len as f64 / 7.0 + 3.0);
        #[allow(clippy::cast_precision_loss, reason = "53 bits are enough")]
        if ((random >> 11) as f64 / (1_u64 << 53) as f64) < arrives {
            pace.block_taken(len, 4093);
        } else {
            pace.block_lost(len, 5, false);
        }
    }
    let settled = &lengths[1_000..];
    settled.iter().sum::<usize>() / settled.len()
}

#[test]
fn blocks_shrink_under_loss_and_grow_again() {
    assert_eq!(settled_block_len(0.0), 4093);
    let (some, much) = (settled_block_len(0.003), settled_block_len(0.02));
    assert!((150..2500).contains(&some), "{some} bytes at 0.3 %");
    assert!((50..500).contains(&much), "{much} bytes at 2 %");
    let mut pace = Pace::default();
    for _ in 0..40 {
        pace.block_lost(pace.block_len(4093, 7, 0), 5, true);
    }
    assert_eq!(pace.block_len(4093, 7, 0), 5, "what fits a single frame is the least");
    for _ in 0..100 {
        pace.block_taken(pace.block_len(4093, 7, 0), 4093);
    }
    assert_eq!(pace.block_len(4093, 7, 0), 4093);
}

#[test]
fn a_block_for_a_device_with_long_pauses_takes_10_s() {
    let pace = Pace::default();
    assert_eq!(pace.block_len(4093, 7, 127_000), 78 * 7);
    assert_eq!(pace.block_len(4093, 63, 127_000), 4093);
    assert_eq!(pace.block_len(4093, 7, 900), 4093);
    assert_eq!(pace.block_len(0, 7, 0), 1);
}
