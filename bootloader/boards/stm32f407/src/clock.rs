//! Time and sleep: TIM2 counts microseconds in 32 bits, and its compare channel ends a sleep (RM0090, 18).
//!
//! Interrupts stay masked in the whole program. `wfi` returns when one is pending, masked or not, so that nothing
//! runs behind the main loop's back, and it sleeps all the same.

use cortex_m::interrupt::InterruptNumber;
use cortex_m::peripheral::NVIC;
use cortex_m_board::mmio::Register;

use crate::registers::TIM2;

const CR1: Register = TIM2.register(0x00);
const COUNTER_ON: u32 = 1;
const DIER: Register = TIM2.register(0x0C);
const SR: Register = TIM2.register(0x10);
/// In both.
const COMPARE_1: u32 = 1 << 1;
const EGR: Register = TIM2.register(0x14);
const UPDATE: u32 = 1;
const CNT: Register = TIM2.register(0x24);
const PSC: Register = TIM2.register(0x28);
/// Of 84 MHz.
const TO_MICROSECONDS: u32 = 84 - 1;
const CCR1: Register = TIM2.register(0x34);
/// The longest sleep. It also bounds what a lost interrupt could cost.
const SLEEP_MAX_US: u64 = 500_000;

/// Interrupt lines that end a sleep (12.2, table 61).
#[derive(Clone, Copy)]
#[repr(u16)]
enum Interrupt {
    CanTransmit = 19,
    CanReceive = 20,
    Timer = 28,
}

const WAKING: [Interrupt; 3] = [Interrupt::CanTransmit, Interrupt::CanReceive, Interrupt::Timer];

// SAFETY: the numbers are those of this part's interrupt lines and distinct.
unsafe impl InterruptNumber for Interrupt {
    fn number(self) -> u16 {
        self as u16
    }
}

/// A monotonic microsecond clock. It has to be read once an hour.
pub(crate) struct Clock {
    last: u32,
    elapsed_us: u64,
}

impl Clock {
    /// Starts counting from 0.
    pub(crate) fn start() -> Self {
        cortex_m::interrupt::disable();
        PSC.write(TO_MICROSECONDS);
        // The divider counts from the next update on.
        EGR.write(UPDATE);
        SR.write(0);
        CR1.write(COUNTER_ON);
        for interrupt in WAKING {
            // SAFETY: interrupts are masked for good; unmasking a line only lets it end a sleep.
            unsafe { NVIC::unmask(interrupt) };
        }
        Self { last: CNT.read(), elapsed_us: 0 }
    }

    /// Microseconds since the start.
    pub(crate) fn now_us(&mut self) -> u64 {
        let current = CNT.read();
        let elapsed = current.wrapping_sub(self.last);
        self.last = current;
        self.elapsed_us = self.elapsed_us.saturating_add(elapsed.into());
        self.elapsed_us
    }

    /// Forgets wake-ups that were seen. What comes after this ends the next [`sleep_until`](Self::sleep_until) at
    /// once, so first this, then the look at the devices, then the sleep.
    pub(crate) fn expect_wake_up(&mut self) {
        for interrupt in WAKING {
            NVIC::unpend(interrupt);
        }
    }

    /// Sleeps until a device has something or `deadline_us` is there.
    pub(crate) fn sleep_until(&mut self, deadline_us: Option<u64>) {
        let now_us = self.now_us();
        let left_us = deadline_us.map_or(SLEEP_MAX_US, |at| at.saturating_sub(now_us)).min(SLEEP_MAX_US);
        let Ok(left_us @ 1..) = u32::try_from(left_us) else { return };
        CCR1.write(self.last.wrapping_add(left_us));
        SR.write(!COMPARE_1);
        DIER.write(COMPARE_1);
        cortex_m::asm::dsb();
        // A time that passed before it was written would be met again after an hour.
        if CNT.read().wrapping_sub(self.last) < left_us {
            cortex_m::asm::wfi();
        }
        DIER.write(0);
        SR.write(!COMPARE_1);
    }
}
