//! Time and sleep: TIM2 (RM0440 29, RM0090 18) counts microseconds in 32 bits, and its compare channel ends a sleep.
//!
//! Interrupts stay masked in the whole program. `wfi` returns when one is pending, masked or not, so that nothing
//! runs behind the main loop's back, and it sleeps all the same.

use cortex_m::interrupt::InterruptNumber;
use cortex_m::peripheral::NVIC;
use cortex_m_board::mmio::Register;

/// The longest sleep. It also bounds what a lost interrupt could cost.
const SLEEP_MAX_US: u64 = 500_000;
/// The shortest: a deadline that has passed before the sleep begins would be waited for over an hour.
const SLEEP_MIN_US: u64 = 20;

// SAFETY: TIM2 of every STM32 with a Cortex-M4; only `Clock` touches it, once it has a clock.
const CR1: Register = unsafe { Register::at(0x4000_0000) };
// SAFETY: as above.
const DIER: Register = unsafe { Register::at(0x4000_000C) };
// SAFETY: as above.
const SR: Register = unsafe { Register::at(0x4000_0010) };
// SAFETY: as above.
const EGR: Register = unsafe { Register::at(0x4000_0014) };
// SAFETY: as above.
const CNT: Register = unsafe { Register::at(0x4000_0024) };
// SAFETY: as above.
const PSC: Register = unsafe { Register::at(0x4000_0028) };
// SAFETY: as above.
const ARR: Register = unsafe { Register::at(0x4000_002C) };
// SAFETY: as above.
const CCR1: Register = unsafe { Register::at(0x4000_0034) };

const ENABLE: u32 = 1;
const UPDATE: u32 = 1;
const COMPARE: u32 = 1 << 1;

/// Interrupt line of TIM2, on every STM32 with a Cortex-M4.
pub const TIMER_LINE: Line = Line(28);

/// An interrupt line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Line(pub u16);

// SAFETY: boards name lines of their part, which are distinct by their numbers.
unsafe impl InterruptNumber for Line {
    fn number(self) -> u16 {
        self.0
    }
}

/// A monotonic microsecond clock.
#[derive(Debug)]
pub struct Clock {
    last: u32,
    elapsed_us: u64,
    devices: &'static [Line],
}

impl Clock {
    /// Starts counting from 0. TIM2 has a clock of `timer_mhz`; `devices` are the lines, besides its own, that
    /// end a sleep.
    #[must_use]
    pub fn start(timer_mhz: u32, devices: &'static [Line]) -> Self {
        cortex_m::interrupt::disable();
        CR1.write(0);
        PSC.write(timer_mhz.saturating_sub(1));
        ARR.write(u32::MAX);
        // Takes the prescaler over.
        EGR.write(UPDATE);
        SR.write(0);
        CR1.write(ENABLE);
        for line in waking(devices) {
            // SAFETY: interrupts are masked for good; unmasking a line only lets it end a sleep.
            unsafe { NVIC::unmask(line) };
        }
        Self { last: CNT.read(), elapsed_us: 0, devices }
    }

    /// Microseconds since the start. To be asked every hour at least.
    pub fn now_us(&mut self) -> u64 {
        let current = CNT.read();
        self.elapsed_us = self.elapsed_us.saturating_add(current.wrapping_sub(self.last).into());
        self.last = current;
        self.elapsed_us
    }

    /// Forgets wake-ups that were seen. What comes after this ends the next [`sleep_until`](Self::sleep_until) at
    /// once, so first this, then the look at the devices, then the sleep.
    pub fn expect_wake_up(&mut self) {
        for line in waking(self.devices) {
            NVIC::unpend(line);
        }
    }

    /// Sleeps until a device has something or `deadline_us` is there.
    pub fn sleep_until(&mut self, deadline_us: Option<u64>) {
        let now_us = self.now_us();
        let left_us = deadline_us.map_or(SLEEP_MAX_US, |at| at.saturating_sub(now_us)).min(SLEEP_MAX_US);
        if left_us < SLEEP_MIN_US {
            return;
        }
        CCR1.write(self.last.wrapping_add(u32::try_from(left_us).unwrap_or(u32::MAX)));
        SR.write(!COMPARE);
        DIER.write(COMPARE);
        cortex_m::asm::dsb();
        cortex_m::asm::wfi();
        DIER.write(0);
        SR.write(!COMPARE);
    }
}

/// All lines that end a sleep.
fn waking(devices: &'static [Line]) -> impl Iterator<Item = Line> {
    devices.iter().copied().chain([TIMER_LINE])
}
