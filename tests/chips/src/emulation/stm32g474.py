"""STM32G474xE (RM0440): what its loader and an application touch. Registers and bits that no model has end the run."""

import struct

import core
from core import Device, ModelError, Plain, arm

MILLISECOND = 1_000_000
# Typical times of the data sheet (table 46): a double word, a page; and LSI's frequency.
PROGRAM_NS, ERASE_NS = 85_000, 22 * MILLISECOND
LSI_HZ = 32_000
CRYSTAL_HZ, HSI_HZ = 24_000_000, 16_000_000
PAGE, BANK = 2048, 256 * 1024
UNIQUE_ID = 0x1FFF_7590
# All that the core holds outside of an exception, without floating point.
CORE_REGISTERS = [
    *(getattr(arm, f"UC_ARM_REG_R{number}") for number in range(13)),
    arm.UC_ARM_REG_CONTROL, arm.UC_ARM_REG_MSP, arm.UC_ARM_REG_PRIMASK, arm.UC_ARM_REG_BASEPRI, arm.UC_ARM_REG_XPSR,
    arm.UC_ARM_REG_SP, arm.UC_ARM_REG_LR, arm.UC_ARM_REG_PC,
]  # fmt: skip


def bit(number):
    return 1 << number


class Rcc(Device):
    """Clocks (7): oscillators start when they are asked to; reset flags."""

    BASE = 0x4002_1000
    CR, CFGR, PLLCFGR, APB1RSTR1, AHB2ENR, APB1ENR1, APB2ENR = 0x00, 0x08, 0x0C, 0x38, 0x4C, 0x58, 0x60
    CCIPR, CSR = 0x88, 0x94
    HSI_ON, HSE_ON, PLL_ON = bit(8), bit(16), bit(24)
    FLAGS = {"power": bit(27) | bit(26), "pin": bit(26), "software": bit(28) | bit(26), "watchdog": bit(29) | bit(26)}
    FORGET = bit(23)

    def __init__(self, chip):
        super().__init__(chip)
        self.flags = 0

    def reset(self):
        self.values = {self.CR: self.HSI_ON, self.CFGR: 1, self.PLLCFGR: 0x1000, self.CCIPR: 0, self.AHB2ENR: 0, self.APB1ENR1: 0, self.APB2ENR: 0}

    def read(self, offset):
        if offset == self.CSR:
            return self.flags
        if offset not in self.values:
            raise ModelError(f"RCC has no register at {offset:#x}")
        value = self.values[offset]
        if offset == self.CR:
            # Each is ready as soon as it is on.
            ready = self.PLL_ON | (self.HSE_ON if self.chip.has_crystal else 0)
            return value | (value & ready) << 1 | (value & self.HSI_ON) << 2
        if offset == self.CFGR:
            return value & ~0b1100 | (value & 3) << 2
        return value

    def write(self, offset, value):
        if offset == self.CSR:
            if value & self.FORGET:
                self.flags = 0
            return
        if offset == self.APB1RSTR1:
            for device, mask in ((self.chip.timer, bit(0)), (self.chip.can, bit(25)), (self.chip.power, bit(28))):
                if value & mask:
                    device.reset()
            return
        if offset not in self.values:
            raise ModelError(f"RCC has no register at {offset:#x}")
        if offset == self.PLLCFGR and self.values[self.CR] & self.PLL_ON:
            raise ModelError("PLLCFGR is written while the PLL runs")
        if offset == self.CR and value & self.PLL_ON and self.values[self.PLLCFGR] & 3 == 3 and not value & self.HSE_ON:
            raise ModelError("the PLL has no source")
        if offset == self.CR and value & self.PLL_ON and self.values[self.PLLCFGR] & 3 == 3 and not self.chip.has_crystal:
            raise ModelError("the PLL's source does not run")
        if offset == self.CR and self.values[self.CFGR] & 3 == 3 and not value & self.PLL_ON:
            raise ModelError("the PLL stops while the core runs from it")
        if offset == self.CR:
            value &= self.HSI_ON | self.HSE_ON | self.PLL_ON
        self.values[offset] = value
        if offset == self.CFGR:
            self.check_speed()

    def core_hz(self):
        switch = self.values[self.CFGR] & 3
        if switch == 1:
            return HSI_HZ
        if switch == 2:
            return CRYSTAL_HZ
        value = self.values[self.PLLCFGR]
        source = {2: HSI_HZ, 3: CRYSTAL_HZ}[value & 3]
        vco_in = source / ((value >> 4 & 15) + 1)
        vco = vco_in * (value >> 8 & 127)
        if not (2_660_000 <= vco_in <= 16_000_000 and 96_000_000 <= vco <= 344_000_000):
            raise ModelError(f"the PLL's VCO at {vco} Hz, from {vco_in} Hz")
        if not (self.values[self.CR] & self.PLL_ON and value & bit(24)):
            raise ModelError("the core is switched to a PLL that is off")
        return vco / (2 * ((value >> 25 & 3) + 1))

    def bus_hz(self):
        prescaler = self.values[self.CFGR] >> 4 & 15
        return self.core_hz() / (1 if prescaler < 8 else 2 ** (prescaler - 7))

    def check_speed(self):
        """Wait states for the frequency (3.3.3), range 1 without boost; no step of more than 80 MHz (7.2.7)."""
        hz = self.bus_hz()
        states = self.chip.controller.latency
        if hz > 30_000_000 * (states + 1) or hz > 150_000_000:
            raise ModelError(f"{hz} Hz with {states} wait states")

    def has_clock(self, mask):
        return self.values[self.APB1ENR1] & mask != 0


class Flash(Device):
    """The controller of the flash (3): locks, programs, erases, errors, ECC."""

    ACTS = False
    BASE = 0x4002_2000
    ACR, KEYR, SR, CR, ECCR, OPTR, SEC1R = 0x00, 0x08, 0x10, 0x14, 0x18, 0x20, 0x70
    KEYS = (0x4567_0123, 0xCDEF_89AB)
    PROGERR, WRPERR, PGAERR, SIZERR, PGSERR, RDERR = bit(3), bit(4), bit(5), bit(6), bit(7), bit(14)
    ERRORS = 0xC3FA
    BSY = bit(16)
    PG, PER, BKER, STRT = bit(0), bit(1), bit(11), bit(16)
    SEC_PROT1, OPTLOCK, LOCK = bit(28), bit(30), bit(31)
    WRITABLE = PG | PER | 0x7F << 3 | BKER | SEC_PROT1
    ECCC, ECCD = bit(30), bit(31)
    # Instruction and data cache, and what empties them.
    CACHES, EMPTYING = (bit(9), bit(10)), (bit(11), bit(12))

    def reset(self):
        self.acr = 0x0004_0601
        self.stale = 0
        self.latency = 1
        self.locked = True
        self.keys = 0
        self.sr = 0
        self.cr = 0
        self.eccr = 0
        self.busy_until = 0
        self.first = None
        self.secured = False

    @property
    def busy(self):
        return self.chip.ns < self.busy_until

    def read(self, offset):
        if offset == self.ACR:
            return self.acr
        if offset == self.SR:
            if self.busy:
                # The program waits: time goes on to the end.
                self.chip.ns = self.busy_until
                return self.sr | self.BSY
            return self.sr
        if offset == self.CR:
            return self.cr | self.OPTLOCK | (self.LOCK if self.locked else 0)
        if offset == self.ECCR:
            return self.eccr
        if offset == self.OPTR:
            return self.chip.OPTIONS
        if offset == self.SEC1R:
            return self.chip.SECURED_PAGES
        return super().read(offset)

    def write(self, offset, value):
        if offset in (self.KEYR, self.SR, self.CR):
            self.chip.operation()
        if offset == self.ACR:
            for cache, emptying in zip(self.CACHES, self.EMPTYING):
                if value & emptying and (value | self.acr) & cache:
                    raise ModelError("a cache is emptied while it is on")
                if value & emptying:
                    self.stale &= ~cache
            if value & self.stale:
                raise ModelError("a cache goes on with what it held before the banks were exchanged")
            self.acr = value & 0x0004_670F
            self.latency = value & 15
        elif offset == self.KEYR:
            if not self.locked or value != self.KEYS[self.keys]:
                raise ModelError(f"a wrong key {value:#x}: a hard fault, and no key until the next reset")
            self.keys += 1
            if self.keys == 2:
                self.keys, self.locked = 0, False
        elif offset == self.SR:
            self.sr &= ~(value & self.ERRORS | value & 1)
        elif offset == self.CR:
            self.control(value)
        elif offset == self.ECCR:
            self.eccr &= ~(value & (self.ECCC | self.ECCD))
            if not self.eccr & (self.ECCC | self.ECCD):
                self.eccr = 0
        else:
            super().write(offset, value)

    def control(self, value):
        if self.busy:
            self.chip.ns = self.busy_until
        if self.locked:
            if value & self.LOCK:
                return
            raise ModelError(f"FLASH_CR is written {value:#x} while it is locked")
        unknown = value & ~(self.WRITABLE | self.STRT | self.LOCK)
        if unknown:
            raise ModelError(f"FLASH_CR has no model of {unknown:#x}")
        if self.secured and not value & self.SEC_PROT1:
            value |= self.SEC_PROT1
        self.cr = value & self.WRITABLE
        self.first = None
        if value & self.SEC_PROT1 and not self.secured:
            self.secured = True
            self.chip.hide(self.chip.SECURED_PAGES * PAGE)
        if value & self.STRT:
            self.erase()
        if value & self.LOCK:
            self.locked = True

    def erase(self):
        if self.sr & self.ERRORS or self.cr & self.PG or not self.cr & self.PER:
            self.sr |= self.PGSERR
            return
        page = self.cr >> 3 & 127
        start = self.chip.FLASH[0] + page * PAGE + (BANK if self.cr & self.BKER else 0)
        if self.is_protected(start):
            self.sr |= self.WRPERR
            return
        self.chip.erase(start, PAGE)
        self.stall(start, ERASE_NS)

    def stall(self, address, duration):
        """An operation goes on; a program in the same bank waits for it anyway."""
        self.busy_until = self.chip.ns + duration
        if self.chip.bank(address) == self.chip.bank(self.chip.seen(self.chip.uc.reg_read(arm.UC_ARM_REG_PC))):
            self.chip.ns = self.busy_until

    def is_protected(self, address):
        return self.secured and address < self.chip.FLASH[0] + self.chip.SECURED_PAGES * PAGE

    def program(self, address, size, value):
        if self.busy:
            self.chip.ns = self.busy_until
        if self.locked or not self.cr & self.PG or self.cr & self.PER or self.sr & self.ERRORS:
            self.sr |= self.PGSERR
            return
        if size != 4:
            self.sr |= self.SIZERR
            return
        if self.first is None:
            if address % 8:
                self.sr |= self.PGAERR
                return
            self.first = address, value
            return
        (start, low), self.first = self.first, None
        if address != start + 4:
            self.sr |= self.PGAERR
            return
        if self.is_protected(start):
            self.sr |= self.WRPERR
            return
        word = self.chip.word(start)
        data = struct.pack("<II", low, value)
        if self.chip.marks[word]:
            if any(data):
                self.sr |= self.PROGERR
                raise ModelError(f"the word at {start:#x} is programmed twice")
            raise ModelError(f"the word at {start:#x} is overwritten with zeros")
        self.chip.poke(start, data, 1)
        self.stall(start, PROGRAM_NS)

    def detected(self, address):
        """Two bad bits; whether an NMI comes (3.3.2). Of a word that a reset interrupted the register may say anything (device
        errata): here always that a word of the loader is bad."""
        self.eccr = 0x100 | self.ECCD
        return True


class Syscfg(Device):
    """SYSCFG (10): which bank lies at the first address of flash, until a reset. Page numbers and banks in the registers of
    the flash controller, and the areas of its option bytes, go with the bank and not with its address."""

    BASE = 0x4001_0000
    MEMRMP = 0x00
    FB_MODE = bit(8)

    def reset(self):
        self.mode = 0

    def clocked(self):
        if not self.chip.rcc.values[Rcc.APB2ENR] & bit(0):
            raise ModelError("SYSCFG has no clock")

    def read(self, offset):
        self.clocked()
        return self.mode if offset == self.MEMRMP else super().read(offset)

    def write(self, offset, value):
        self.clocked()
        if offset != self.MEMRMP or value & ~self.FB_MODE:
            return super().write(offset, value)
        if value != self.mode:
            self.mode = value
            self.chip.exchange(value != 0)


class Watchdog(Device):
    """IWDG (42)."""

    BASE = 0x4000_3000
    KR, PR, RLR, SR = 0x00, 0x04, 0x08, 0x0C

    def reset(self):
        self.runs = False
        self.unlocked = False
        self.prescaler, self.reload = 0, 0xFFF
        self.fed_ns = 0

    def read(self, offset):
        if offset == self.SR:
            return 0
        return {self.PR: self.prescaler, self.RLR: self.reload}[offset]

    def write(self, offset, value):
        if offset == self.KR:
            self.unlocked = value == 0x5555
            if value == 0xCCCC:
                self.runs = True
            elif value not in (0x5555, 0xAAAA):
                raise ModelError(f"IWDG_KR takes {value:#x}")
            if value != 0x5555:
                self.fed_ns = self.chip.ns
        elif not self.unlocked:
            raise ModelError("the watchdog is locked")
        elif offset == self.PR:
            self.prescaler = value & 7
        elif offset == self.RLR:
            self.reload = value & 0xFFF
        else:
            super().write(offset, value)

    def next_ns(self):
        if not self.runs:
            return None
        ticks = (self.reload + 1) * (4 << self.prescaler)
        return self.fed_ns + ticks * 1_000_000_000 // LSI_HZ

    def tick(self):
        at = self.next_ns()
        if at is not None and self.chip.ns >= at:
            self.chip.request_reset("watchdog")


class Timer(Device):
    """TIM2 (29): counts up, compares."""

    BASE = 0x4000_0000
    LINE = 28
    CR1, DIER, SR, EGR, CNT, PSC, ARR, CCR1 = 0x00, 0x0C, 0x10, 0x14, 0x24, 0x28, 0x2C, 0x34
    COMPARE = bit(1)

    def reset(self):
        self.enabled = False
        self.dier = self.sr = 0
        self.preloaded = self.prescaler = 0
        self.compare = 0
        self.base_ns, self.base = 0, 0
        self.last = 0

    def hz(self):
        if not self.chip.rcc.has_clock(bit(0)):
            raise ModelError("TIM2 has no clock")
        return self.chip.rcc.bus_hz() / (self.prescaler + 1)

    def count(self):
        if not self.enabled:
            return self.base
        return self.base + int((self.chip.ns - self.base_ns) * self.hz() / 1e9)

    def read(self, offset):
        self.tick()
        values = {self.CR1: int(self.enabled), self.DIER: self.dier, self.SR: self.sr, self.CNT: self.count() & 0xFFFF_FFFF}
        if offset not in values:
            return super().read(offset)
        return values[offset]

    def write(self, offset, value):
        self.tick()
        if offset == self.CR1:
            self.base, self.base_ns = self.count(), self.chip.ns
            self.enabled = value & 1 == 1
        elif offset == self.DIER:
            self.dier = value
        elif offset == self.SR:
            self.sr &= value
        elif offset == self.EGR:
            self.prescaler, self.base, self.base_ns, self.last = self.preloaded, 0, self.chip.ns, 0
        elif offset == self.PSC:
            self.preloaded = value & 0xFFFF
        elif offset == self.ARR:
            if value != 0xFFFF_FFFF:
                raise ModelError("TIM2 counts 32 bits here")
        elif offset == self.CCR1:
            self.compare = value
            self.last = self.count()
        else:
            super().write(offset, value)

    def until(self):
        """Ticks from the last look to the next match."""
        return (self.compare - self.last) % (1 << 32) or 1 << 32

    def tick(self):
        if self.enabled:
            now = self.count()
            if now - self.last >= self.until():
                self.sr |= self.COMPARE
            self.last = now

    def next_ns(self):
        if not (self.enabled and self.dier & self.COMPARE):
            return None
        target = self.last + self.until()
        return self.base_ns + int((target - self.base + 1) * 1e9 / self.hz())

    def interrupts(self):
        return (self.LINE,) if self.sr & self.dier & self.COMPARE else ()


class Fdcan(Device):
    """FDCAN1 (44), and the one message RAM of the three controllers."""

    BASE = 0x4000_6400
    LINE = 21
    DBTP, CCCR, NBTP, TDCR, IR, IE, ILS, ILE = 0x0C, 0x18, 0x1C, 0x48, 0x50, 0x54, 0x58, 0x5C
    RXGFC, XIDAM, RXF0S, RXF0A, TXFQS, TXBRP, TXBAR, TXBTO, TXBTIE = 0x80, 0x84, 0x90, 0x94, 0xC4, 0xC8, 0xCC, 0xD4, 0xDC
    PSR, CKDIV = 0x44, 0x100
    INIT, CCE, FDOE, BRSE = bit(0), bit(1), bit(8), bit(9)
    PROTECTED = (DBTP, NBTP, TDCR, RXGFC, XIDAM, CKDIV)
    KEPT = (DBTP, NBTP, TDCR, RXGFC, XIDAM, CKDIV, IE, ILS, ILE, TXBTIE)
    RF0N, RF0F, RF0L, TC, BO = bit(0), bit(1), bit(2), bit(7), bit(19)
    LENGTHS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64]
    FILTERS, FIFO, BUFFERS, ELEMENT = 0x70, 0xB0, 0x278, 72

    def reset(self):
        self.values = {offset: 0 for offset in self.KEPT}
        self.values[self.DBTP], self.values[self.NBTP] = 0x0A33, 0x0600_0A03
        self.cccr = self.INIT
        self.ir = 0
        self.fill = self.get = self.put = 0
        self.lost = False
        self.tx_put = self.tx_get = 0
        self.pending = []
        self.sending = None
        self.occurred = 0
        self.bus_off = False

    def clocked(self):
        if not self.chip.rcc.has_clock(bit(25)):
            raise ModelError("FDCAN has no clock")

    def read(self, offset):
        self.clocked()
        self.tick()
        if offset == self.CCCR:
            return self.cccr
        if offset == self.IR:
            return self.ir
        if offset == self.RXF0S:
            return self.fill | self.get << 8 | self.put << 16 | int(self.fill == 3) << 24 | int(self.lost) << 25
        if offset == self.TXFQS:
            free = 3 - len(self.pending)
            return free | self.tx_get << 8 | self.tx_put << 16 | int(free == 0) << 21
        if offset == self.TXBRP:
            return sum(bit(index) for index, _ in self.pending)
        if offset == self.TXBTO:
            return self.occurred
        if offset == self.PSR:
            return int(self.bus_off) << 7
        if offset in self.values:
            return self.values[offset]
        return super().read(offset)

    def write(self, offset, value):
        self.clocked()
        self.tick()
        if offset == self.CCCR:
            if value & self.CCE and not (value & self.INIT and self.cccr & self.INIT):
                raise ModelError("CCE without INIT")
            changed = (value ^ self.cccr) & (self.FDOE | self.BRSE)
            if changed and not self.cccr & self.CCE:
                raise ModelError("FDOE or BRSE without CCE")
            if not value & self.INIT:
                value &= ~self.CCE
                self.bus_off = False
            self.cccr = value
            self.transmit()
        elif offset in self.PROTECTED:
            if not self.cccr & self.CCE:
                raise ModelError(f"the register at {offset:#x} is written without CCE")
            self.values[offset] = value
        elif offset in self.values:
            self.values[offset] = value
        elif offset == self.IR:
            self.ir &= ~value
        elif offset == self.RXF0A:
            if self.fill == 0 or value != self.get:
                raise ModelError(f"element {value} is acknowledged, {self.get} is next of {self.fill}")
            self.get = (self.get + 1) % 3
            self.fill -= 1
        elif offset == self.TXBAR:
            if self.cccr & self.INIT:
                raise ModelError("a frame is to be sent off the bus")
            for index in range(3):
                if value & bit(index):
                    if index != self.tx_put or len(self.pending) == 3:
                        raise ModelError(f"buffer {index} is not the next one")
                    self.pending.append((index, self.element(index)))
                    self.tx_put = (self.tx_put + 1) % 3
            self.transmit()
        else:
            super().write(offset, value)

    def rates(self):
        """Bit rates of arbitration and data, and whether the clock permits them."""
        select = self.chip.rcc.values[Rcc.CCIPR] >> 24 & 3
        if select == 0:
            if not (self.chip.rcc.values[Rcc.CR] & Rcc.HSE_ON and self.chip.has_crystal):
                raise ModelError("FDCAN has no kernel clock")
            hz = CRYSTAL_HZ
        elif select == 1:
            value = self.chip.rcc.values[Rcc.PLLCFGR]
            if not value & bit(20):
                raise ModelError("FDCAN has no kernel clock")
            # Output R against output Q.
            hz = self.chip.rcc.core_hz() * ((value >> 25 & 3) + 1) / ((value >> 21 & 3) + 1)
        else:
            raise ModelError("no model of this kernel clock")
        divider = self.values[self.CKDIV] & 15
        hz /= 2 * divider if divider else 1
        if hz > self.chip.rcc.bus_hz():
            raise ModelError("the kernel clock is faster than the bus clock")
        nominal, data = self.values[self.NBTP], self.values[self.DBTP]
        n = hz / ((nominal >> 16 & 511) + 1) / (3 + (nominal >> 8 & 255) + (nominal & 127))
        d = hz / ((data >> 16 & 31) + 1) / (3 + (data >> 8 & 31) + (data >> 4 & 15))
        return n, d

    def on_bus(self):
        if self.cccr & self.INIT or not self.chip.pins_are_can():
            return False
        if self.rates() != (self.chip.NOMINAL, self.chip.DATA):
            raise ModelError(f"bit rates {self.rates()} on a bus of {self.chip.NOMINAL}, {self.chip.DATA}")
        return True

    def leave_bus(self):
        """Too many errors: the controller initialises itself, and stays away until it is told to come back (44.4.19)."""
        self.cccr |= self.INIT
        self.bus_off = True
        self.ir |= self.BO
        self.sending = None

    def ram(self, offset, length):
        return self.chip.message_ram.bytes[offset : offset + length]

    def element(self, index):
        start = self.BUFFERS + index * self.ELEMENT
        head, form = struct.unpack("<II", self.ram(start, 8))
        fd = form & bit(21) != 0
        if fd and not self.cccr & self.FDOE:
            fd = False
        length = self.LENGTHS[form >> 16 & 15]
        length = length if fd else min(length, 8)
        extended = head & bit(30) != 0
        return {
            "id": head & 0x1FFF_FFFF if extended else head >> 18 & 0x7FF,
            "ext": extended,
            "fd": fd,
            "brs": fd and form & bit(20) != 0 and self.cccr & self.BRSE != 0,
            "data": bytes(self.ram(start + 8, length)).hex(),
        }

    def transmit(self):
        if self.sending is None and self.pending and self.on_bus():
            index, frame = self.pending[0]
            self.sending = self.chip.bus.occupy(frame, self.chip.NOMINAL, self.chip.DATA), index, frame

    def tick(self):
        while self.sending is not None and self.chip.ns >= self.sending[0]:
            _, index, frame = self.sending
            self.sending = None
            self.pending.pop(0)
            self.tx_get = (self.tx_get + 1) % 3
            self.occurred |= bit(index)
            if self.values[self.TXBTIE] & bit(index):
                self.ir |= self.TC
            self.chip.sent.append(frame)
            self.transmit()

    def next_ns(self):
        return self.sending[0] if self.sending is not None else None

    def accepts(self, frame):
        """The filters (44.3.11, 44.3.12); those of both lists that the models know."""
        config = self.values[self.RXGFC]
        if not frame["ext"]:
            if config >> 16 & 31:
                raise ModelError("no model of filters for 11 bits")
            return config >> 4 & 3 == 0
        for index in range(config >> 24 & 15):
            first, second = struct.unpack("<II", self.ram(self.FILTERS + 8 * index, 8))
            if first >> 29 != 1 or second >> 30 != 2:
                raise ModelError("no model of this filter")
            mask = second & 0x1FFF_FFFF
            if (frame["id"] & self.values[self.XIDAM] & mask) == (first & 0x1FFF_FFFF & mask):
                return True
        return config >> 2 & 3 == 0

    def receive(self, frame):
        if not self.chip.rcc.has_clock(bit(25)) or not self.on_bus():
            return
        if frame["fd"] and not self.cccr & self.FDOE:
            return
        if not self.accepts(frame):
            return
        if self.fill == 3:
            self.lost = True
            self.ir |= self.RF0L
            self.chip.lost_frames += 1
            return
        data = bytes.fromhex(frame["data"])
        head = bit(30) | frame["id"] if frame["ext"] else frame["id"] << 18
        form = self.LENGTHS.index(len(data)) << 16 | int(frame["fd"]) << 21 | int(frame["brs"]) << 20
        start = self.FIFO + self.put * self.ELEMENT
        element = struct.pack("<II", head, form) + data
        self.chip.message_ram.bytes[start : start + len(element)] = element
        self.put = (self.put + 1) % 3
        self.fill += 1
        self.ir |= self.RF0N | (self.RF0F if self.fill == 3 else 0)

    def interrupts(self):
        return (self.LINE,) if self.values[self.ILE] & 1 and self.ir & self.values[self.IE] & ~self.values[self.ILS] else ()


class MessageRam(Device):
    """Of FDCAN1: words only."""

    ACTS = False
    BASE, LEN = 0x4000_A400, 0x350

    def __init__(self, chip):
        super().__init__(chip)
        self.bytes = bytearray(self.LEN)

    def read(self, offset):
        return struct.unpack_from("<I", self.bytes, offset)[0]

    def write(self, offset, value):
        struct.pack_into("<I", self.bytes, offset, value)


class Power(Device):
    """PWR (6): the voltage detector."""

    ACTS = False
    BASE = 0x4000_7000
    CR1, CR2, SR2 = 0x00, 0x04, 0x14

    def reset(self):
        self.values = {self.CR1: 0x200, self.CR2: 0}

    def read(self, offset):
        if not self.chip.rcc.has_clock(bit(28)):
            raise ModelError("PWR has no clock")
        if offset == self.SR2:
            # The supply is always sufficient: no test lets it sag.
            return 0
        return self.values[offset]

    def write(self, offset, value):
        if not self.chip.rcc.has_clock(bit(28)):
            raise ModelError("PWR has no clock")
        if offset not in self.values:
            return super().write(offset, value)
        self.values[offset] = value


class GpioA(Plain):
    BASE = 0x4800_0000
    RESET = {0x00: 0xABFF_FFFF, 0x0C: 0x6400_0000}


class Stm32g474(core.Chip):
    BOOT = 0x0800_0000
    FLASH = (0x0800_0000, 512 * 1024)
    WORD = 8
    # SRAM1 and SRAM2, CCM SRAM.
    RAM = [(0x2000_0000, 96 * 1024), (0x1000_0000, 32 * 1024)]
    # The page of system memory with the unique id.
    ROM = [(0x1FFF_7000, 0x1000)]
    # Two banks, watchdog started by software; the loader's pages are a securable area.
    OPTIONS = 0xFFEF_F8AA
    SECURED_PAGES = 32
    PIECE = SECURED_PAGES * PAGE

    def __init__(self, elf, seed):
        super().__init__(elf, seed)
        self.has_crystal = True
        self.is_exchanged = False
        self.rcc = Rcc(self)
        self.controller = Flash(self)
        self.timer = Timer(self)
        self.can = Fdcan(self)
        self.message_ram = MessageRam(self)
        self.power = Power(self)
        self.gpio = GpioA(self)
        self.devices += [self.controller, self.rcc, Watchdog(self), self.timer, self.can, self.message_ram, self.power, self.gpio]
        self.devices.append(Syscfg(self))

    def configure(self, has_crystal=None, bus_off=False):
        """The crystal from now on; whether the CAN controller leaves the bus now."""
        if has_crystal is not None:
            self.has_crystal = has_crystal
        if bus_off:
            self.can.leave_bus()

    def start(self):
        self.is_exchanged = False
        super().start()

    def build(self):
        super().build()
        if self.is_exchanged:
            self.uc.mem_write(self.FLASH[0], bytes(self.flash[BANK:] + self.flash[:BANK]))
        self.uc.mem_write(UNIQUE_ID, struct.pack("<III", 0x0034_0021, 0x5034_5008, 0x2037_3158))

    def powered_up(self):
        self.rcc.flags = Rcc.FLAGS["power"]
        self.message_ram.bytes = bytearray(self.random.randbytes(MessageRam.LEN))

    def was_reset(self, cause):
        self.rcc.flags |= Rcc.FLAGS[cause]

    def program(self, address, size, value):
        self.controller.program(address, size, value)

    def bad_word_was_read(self, address):
        return self.controller.detected(address)

    def bank(self, address):
        return (address - self.FLASH[0]) // BANK

    def seen(self, address):
        start, length = self.FLASH
        return address ^ BANK if self.is_exchanged and start <= address < start + length else address

    def deny(self, address, length):
        """Of flash, an application denies itself the loader, wherever that lies, and nothing else: it reads the rest."""
        start, size = self.FLASH
        if address < start + size and start < address + length and (address, length) != (self.seen(start), self.PIECE):
            raise ModelError(f"{length} bytes at {address:#x} are no longer accessible")

    def exchange(self, is_exchanged):
        """The banks change places. What the core has read of them lies in its caches yet."""
        start, length = self.FLASH
        if start <= self.uc.reg_read(arm.UC_ARM_REG_PC) < start + length:
            raise ModelError("the banks are exchanged under the program that does it")
        if self.controller.acr & sum(Flash.CACHES) or self.controller.busy:
            raise ModelError("the banks are exchanged while a cache is on, or the controller busy")
        if self.hidden:
            raise ModelError("no model of an exchange after SEC_PROT1")
        self.controller.stale = sum(Flash.CACHES)
        self.deferred = lambda: self.exchange_now(is_exchanged)
        self.uc.emu_stop()

    def exchange_now(self, is_exchanged):
        """The core goes on in a new emulation, with the flash as it lies now: unicorn keeps code that it has translated."""
        registers = [(register, self.uc.reg_read(register)) for register in CORE_REGISTERS]
        self.ram = {address: bytes(self.uc.mem_read(address, length)) for address, length in self.RAM}
        self.is_exchanged = is_exchanged
        self.build()
        for address, content in self.ram.items():
            self.uc.mem_write(address, content)
        for register, value in registers:
            self.uc.reg_write(register, value | (register == arm.UC_ARM_REG_PC))

    def hide(self, length):
        """Nothing in the securable area is there any more (3.5.4)."""
        self.hidden = True
        self.uc.mem_protect(self.seen(self.FLASH[0]), length, core.UC_PROT_NONE)
        if not self.is_exchanged:
            # After an exchange, nothing of it has been translated.
            self.uc.ctl_flush_tb()

    def pins_are_can(self):
        mode, function = self.gpio.values.get(0x00, 0), self.gpio.values.get(0x24, 0)
        return mode >> 22 & 15 == 0b1010 and function >> 12 & 0xFF == 0x99


if __name__ == "__main__":
    core.serve(Stm32g474)
