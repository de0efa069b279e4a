//! Time and sleep: one CMSDK timer counts and is only ever read, another one ends a sleep.
//!
//! Interrupts stay masked in the whole program. `wfi` returns when one is pending, masked or not, so that nothing
//! runs behind the main loop's back, and it sleeps all the same.

use cortex_m_board::mmio::Register;

use crate::MACHINE;

/// The clock counts from here to 0 and starts again: it has to be read every 171 s.
const COUNT_MAX: u32 = u32::MAX;
/// The longest sleep. It also bounds what a lost interrupt could cost.
const SLEEP_MAX_US: u64 = 500_000;

// SAFETY: CMSDK timer 1 of this board (its memory map); only `Clock` touches it.
const CLOCK_CTRL: Register = unsafe { Register::at(MACHINE.clock_timer as usize) };
// SAFETY: as above.
const CLOCK_VALUE: Register = unsafe { Register::at(MACHINE.clock_timer as usize + 0x04) };
// SAFETY: as above.
const CLOCK_RELOAD: Register = unsafe { Register::at(MACHINE.clock_timer as usize + 0x08) };
// SAFETY: CMSDK timer 0, likewise.
const TIMER_CTRL: Register = unsafe { Register::at(MACHINE.sleep_timer as usize) };
// SAFETY: as above.
const TIMER_VALUE: Register = unsafe { Register::at(MACHINE.sleep_timer as usize + 0x04) };
// SAFETY: as above.
const TIMER_RELOAD: Register = unsafe { Register::at(MACHINE.sleep_timer as usize + 0x08) };
// SAFETY: as above.
const TIMER_INTCLEAR: Register = unsafe { Register::at(MACHINE.sleep_timer as usize + 0x0C) };
const TIMER_ENABLE: u32 = 1;
const TIMER_INTERRUPT: u32 = 1 << 3;

// SAFETY: set-enable registers of the NVIC (ARMv7-M, B3.4.4): interrupts are masked for good, an unmasked line only ends
// a sleep.
const ENABLE: [Register; 2] = unsafe { [Register::at(0xE000_E100), Register::at(0xE000_E104)] };
// SAFETY: clear-pending registers; a line that is pending is only forgotten.
const FORGET: [Register; 2] = unsafe { [Register::at(0xE000_E280), Register::at(0xE000_E284)] };
/// The interrupt lines that end a sleep: a bit for each of the first 64.
const WAKING: u64 = {
    let [first, second] = MACHINE.uart_interrupts;
    1 << first | 1 << second | 1 << MACHINE.sleep_interrupt
};

/// Writes the bits of the waking lines into two registers of 32 bits.
#[allow(clippy::cast_possible_truncation, reason = "each half of 64 bits")]
fn write_waking([low, high]: &[Register; 2]) {
    low.write(WAKING as u32);
    if WAKING >> 32 != 0 {
        high.write((WAKING >> 32) as u32);
    }
}

/// A monotonic microsecond clock.
pub(crate) struct Clock {
    /// What the timer counted to at the last whole microsecond.
    last: u32,
    elapsed_us: u64,
}

impl Clock {
    /// Starts counting from 0.
    pub(crate) fn start() -> Self {
        cortex_m::interrupt::disable();
        CLOCK_RELOAD.write(COUNT_MAX);
        CLOCK_VALUE.write(COUNT_MAX);
        CLOCK_CTRL.write(TIMER_ENABLE);
        write_waking(&ENABLE);
        Self { last: COUNT_MAX, elapsed_us: 0 }
    }

    /// Microseconds since the start.
    pub(crate) fn now_us(&mut self) -> u64 {
        let elapsed = self.last.wrapping_sub(CLOCK_VALUE.read()) / MACHINE.peripheral_mhz;
        self.last = self.last.wrapping_sub(elapsed * MACHINE.peripheral_mhz);
        self.elapsed_us = self.elapsed_us.saturating_add(elapsed.into());
        self.elapsed_us
    }

    /// Forgets wake-ups that were seen. What comes after this ends the next [`sleep_until`](Self::sleep_until) at
    /// once, so first this, then the look at the devices, then the sleep.
    pub(crate) fn expect_wake_up(&mut self) {
        write_waking(&FORGET);
    }

    /// Sleeps until a device has something or `deadline_us` is there.
    pub(crate) fn sleep_until(&mut self, deadline_us: Option<u64>) {
        let now_us = self.now_us();
        let left_us = deadline_us.map_or(SLEEP_MAX_US, |at| at.saturating_sub(now_us)).min(SLEEP_MAX_US);
        if left_us == 0 {
            return;
        }
        let ticks = u32::try_from(left_us).unwrap_or(u32::MAX).saturating_mul(MACHINE.peripheral_mhz);
        TIMER_RELOAD.write(ticks);
        TIMER_VALUE.write(ticks);
        TIMER_CTRL.write(TIMER_ENABLE | TIMER_INTERRUPT);
        cortex_m::asm::dsb();
        cortex_m::asm::wfi();
        TIMER_CTRL.write(0);
        TIMER_INTCLEAR.write(1);
    }
}

/// Stops the clock, for a program that finds the timer as after a reset.
#[cfg(feature = "loader")]
pub(crate) fn stop() {
    CLOCK_CTRL.write(0);
}
