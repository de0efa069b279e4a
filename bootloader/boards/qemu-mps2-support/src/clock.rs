//! Time and sleep: SysTick counts microseconds and is only ever read; a CMSDK timer ends a sleep.
//!
//! Interrupts stay masked in the whole program. `wfi` returns when one is pending, masked or not, so that nothing
//! runs behind the main loop's back, and it sleeps all the same.

use cortex_m::peripheral::syst::SystClkSource;
use cortex_m::peripheral::{NVIC, SYST};
use cortex_m_board::mmio::Register;

/// SysTick counts 24 bits of the board's 1 MHz reference: it has to be read every 16 s.
const COUNT_MASK: u32 = 0x00FF_FFFF;
/// Frequency of the CMSDK timers and of the watchdog.
pub(crate) const PERIPHERAL_MHZ: u32 = 25;
/// The longest sleep. It also bounds what a lost interrupt could cost.
const SLEEP_MAX_US: u64 = 500_000;

// SAFETY: CMSDK timer 0 of this board (AN386, memory map); only `Clock` touches it.
const TIMER_CTRL: Register = unsafe { Register::at(0x4000_0000) };
// SAFETY: as above.
const TIMER_VALUE: Register = unsafe { Register::at(0x4000_0004) };
// SAFETY: as above.
const TIMER_RELOAD: Register = unsafe { Register::at(0x4000_0008) };
// SAFETY: as above.
const TIMER_INTCLEAR: Register = unsafe { Register::at(0x4000_000C) };
const TIMER_ENABLE: u32 = 1;
const TIMER_INTERRUPT: u32 = 1 << 3;

/// Interrupt lines of this board that end a sleep.
#[derive(Clone, Copy)]
#[repr(u16)]
enum Interrupt {
    UartReceive = 0,
    UartTransmit = 1,
    Timer = 8,
}

const WAKING: [Interrupt; 3] = [Interrupt::UartReceive, Interrupt::UartTransmit, Interrupt::Timer];

// SAFETY: the numbers are those of this board's interrupt lines and distinct.
unsafe impl cortex_m::interrupt::InterruptNumber for Interrupt {
    fn number(self) -> u16 {
        self as u16
    }
}

/// A monotonic microsecond clock.
pub(crate) struct Clock {
    last: u32,
    elapsed_us: u64,
}

impl Clock {
    /// Starts counting from 0.
    pub(crate) fn start(syst: &mut SYST) -> Self {
        cortex_m::interrupt::disable();
        syst.set_clock_source(SystClkSource::External);
        syst.set_reload(COUNT_MASK);
        syst.clear_current();
        syst.enable_counter();
        for interrupt in WAKING {
            // SAFETY: interrupts are masked for good; unmasking a line only lets it end a sleep.
            unsafe { NVIC::unmask(interrupt) };
        }
        Self { last: SYST::get_current(), elapsed_us: 0 }
    }

    /// Microseconds since the start.
    pub(crate) fn now_us(&mut self) -> u64 {
        let current = SYST::get_current();
        let elapsed = self.last.wrapping_sub(current) & COUNT_MASK;
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
        if left_us == 0 {
            return;
        }
        let ticks = u32::try_from(left_us).unwrap_or(u32::MAX).saturating_mul(PERIPHERAL_MHZ);
        TIMER_RELOAD.write(ticks);
        TIMER_VALUE.write(ticks);
        TIMER_CTRL.write(TIMER_ENABLE | TIMER_INTERRUPT);
        cortex_m::asm::dsb();
        cortex_m::asm::wfi();
        TIMER_CTRL.write(0);
        TIMER_INTCLEAR.write(1);
    }
}
