"""An STM32F407xG, from RM0090 (revision 19): flash controller, bxCAN, reset and clocks, supply detector, timer 2, independent
watchdog, unique id. Each register behaves as its section says; what the manual forbids ends the run with an error.

`configure` takes: `sector` and `flags`, the error flags that each operation in a sector ends with from now on, without
any effect; `supply`, whether it is sufficient; `crystal`, whether there is one; `bus`, whether the bus lets anything
through: if not, the controller goes bus-off.
"""

import struct

from core import Bus, Chip, Device, ModelError, Plain, serve

KIB = 1024
FLASH, FLASH_LEN = 0x0800_0000, 1024 * KIB
SECTORS = [16 * KIB] * 4 + [64 * KIB] + [128 * KIB] * 7
UNIQUE_ID = 0x1FFF_7A10
MASK = 0xFFFF_FFFF


class Clocked(Device):
    """A peripheral whose registers answer only while its clock is on."""

    # Register of RCC and bit in it.
    ENABLE = (0, 0)

    def need_clock(self):
        register, bit = self.ENABLE
        if not self.chip.rcc.values.get(register, 0) >> bit & 1:
            raise ModelError(f"{type(self).__name__} is accessed without its clock")

    def read(self, offset):
        self.need_clock()
        return self.load(offset)

    def write(self, offset, value):
        self.need_clock()
        self.store(offset, value)

    def load(self, offset):
        return super().read(offset)

    def store(self, offset, value):
        super().write(offset, value)


class Rcc(Plain):
    """Reset and clock control (7)."""

    BASE = 0x4002_3800
    CR, PLLCFGR, CFGR, AHB1RSTR, APB1RSTR, AHB1ENR, APB1ENR, CSR = 0x00, 0x04, 0x08, 0x10, 0x20, 0x30, 0x40, 0x74
    RESET = {CR: 0x83, PLLCFGR: 0x2400_3010, AHB1ENR: 1 << 20}
    FLAGS = {"power": 0b1110 << 24, "pin": 1 << 26, "software": 1 << 28 | 1 << 26, "watchdog": 1 << 29 | 1 << 26}

    def __init__(self, chip):
        super().__init__(chip)
        self.flags = 0
        self.has_crystal = True

    def read(self, offset):
        if offset == self.CSR:
            return self.flags
        value = super().read(offset)
        if offset == self.CR:
            value |= (value & 1) << 1 | (value & 1 << 24) << 1
            value |= (value & 1 << 16) << 1 if self.has_crystal else 0
        elif offset == self.CFGR:
            value |= (value & 3) << 2
        return value

    def write(self, offset, value):
        if offset == self.CSR:
            if value >> 24 & 1:
                self.flags = 0
            return
        if offset == self.PLLCFGR and self.values[self.CR] >> 24 & 1:
            raise ModelError("PLLCFGR is written while the PLL runs")
        # What says that a clock is ready cannot be written.
        read_only = {self.CR: 1 << 25 | 1 << 17 | 1 << 1, self.CFGR: 3 << 2}
        super().write(offset, value & ~read_only.get(offset, 0))
        if offset == self.CFGR and value & 3 == 2:
            if not self.values[self.CR] >> 24 & 1:
                raise ModelError("the core is switched to a PLL that does not run")
            if self.vco_hz() != 336_000_000 or self.values[self.PLLCFGR] >> 16 & 3 != 0:
                raise ModelError("the PLL does not give 168 MHz")
            if self.chip.controller.latency < 5:
                raise ModelError("the core is faster than its flash")
        if offset == self.APB1RSTR:
            for bit, device in ((0, self.chip.timer), (25, self.chip.can), (28, self.chip.supply)):
                if value >> bit & 1:
                    device.reset()
        if offset == self.AHB1RSTR and value >> 3 & 1:
            self.chip.pins.reset()

    def vco_hz(self):
        value = self.values[self.PLLCFGR]
        source = 8_000_000 if value >> 22 & 1 else 16_000_000
        if value >> 22 & 1 and not self.has_crystal:
            raise ModelError("the PLL runs on a crystal that does not")
        return source // (value & 0x3F) * (value >> 6 & 0x1FF)

    def is_fast(self):
        return self.values.get(self.CFGR, 0) & 3 == 2

    def apb1_hz(self):
        """With its divider; timers get twice as much if it divides."""
        divider = self.values.get(self.CFGR, 0) >> 10 & 7
        return (168_000_000 if self.is_fast() else 16_000_000) // (1 if divider < 4 else 2 << divider - 4)

    def timer_hz(self):
        divides = self.values.get(self.CFGR, 0) >> 12 & 1
        return self.apb1_hz() * (2 if divides else 1)


class Pins(Clocked, Plain):
    """Port D (8)."""

    BASE = 0x4002_0C00
    ENABLE = (Rcc.AHB1ENR, 3)

    def are_for_can(self):
        return self.values.get(0x00, 0) & 0xF == 0b1010 and self.values.get(0x20, 0) & 0xFF == 0x99


class Supply(Clocked, Plain):
    """Power control (5): the supply detector."""

    BASE = 0x4000_7000
    ENABLE = (Rcc.APB1ENR, 28)
    RESET = {0x00: 1 << 14}

    def __init__(self, chip):
        super().__init__(chip)
        self.is_sufficient = True

    def load(self, offset):
        if offset == 0x04:
            watches = self.values[0x00] >> 4 & 1 and self.values[0x00] >> 5 & 7 >= 5
            return 1 << 2 if watches and not self.is_sufficient else 0
        return super().load(offset)


class Controller(Device):
    """The flash controller (3). The core stands still while it is busy; each operation is over when the next is asked for,
    unless the power goes before."""

    BASE = 0x4002_3C00
    ACR, KEYR, SR, CR, OPTCR = 0x00, 0x04, 0x0C, 0x10, 0x14
    KEYS = (0x4567_0123, 0xCDEF_89AB)
    PG, SER, STRT, LOCK = 1, 1 << 1, 1 << 16, 1 << 31
    EOP, WRPERR, PGSERR, BSY = 1, 1 << 4, 1 << 7, 1 << 16
    ERRORS = 0b1111_0010
    # Typical, with 32 bits at once (data sheet, table 40).
    WORD_NS = 16_000
    ERASE_NS = {16 * KIB: 250_000_000, 64 * KIB: 550_000_000, 128 * KIB: 1_000_000_000}

    def __init__(self, chip):
        super().__init__(chip)
        self.failing = {}

    def reset(self):
        self.latency = 0
        self.control = self.LOCK
        self.status = 0
        self.options = 0x0FFF_AAED
        self.keys = 0
        self.is_busy = False
        self.last = None

    def read(self, offset):
        if offset == self.SR:
            busy, self.is_busy = self.is_busy, False
            return self.status | (self.BSY if busy else 0)
        if offset == self.CR:
            return self.control
        if offset == self.OPTCR:
            return self.options
        if offset == self.ACR:
            return self.latency
        return super().read(offset)

    def write(self, offset, value):
        if offset == self.ACR:
            if value & 7 < 5 and self.chip.rcc.is_fast():
                raise ModelError("the flash is slower than its core")
            self.latency = value & 7
            return
        self.chip.operation()
        self.last = None
        if self.is_busy:
            raise ModelError("the controller is written while it is busy")
        if offset == self.KEYR:
            if not self.control & self.LOCK or value != self.KEYS[self.keys]:
                raise ModelError(f"the key {value:#x} locks the controller until a reset")
            self.keys += 1
            if self.keys == 2:
                self.keys, self.control = 0, self.control & ~self.LOCK
        elif offset == self.SR:
            self.status &= ~value
        elif offset == self.CR:
            self.write_control(value)
        elif offset == self.OPTCR:
            if value != self.options | 1:
                raise ModelError("the option bytes are written")
            self.options = value
        else:
            super().write(offset, value)

    def write_control(self, value):
        if self.control & self.LOCK:
            if value & ~self.LOCK:
                raise ModelError(f"CR takes {value:#x} while it is locked")
            return
        if value & (self.PG | self.SER) and value >> 8 & 3 != 2:
            raise ModelError("not 32 bits at once")
        if value & self.PG and value & self.SER:
            raise ModelError("programs and erases")
        self.control = value & ~self.STRT
        if value & self.STRT:
            if not value & self.SER:
                raise ModelError("starts nothing")
            self.erase(value >> 3 & 0xF)

    @staticmethod
    def bounds(sector):
        if sector >= len(SECTORS):
            raise ModelError(f"there is no sector {sector}")
        start = sum(SECTORS[:sector])
        return start, SECTORS[sector]

    def fails(self, sector):
        flags = self.failing.get(sector, 0)
        self.status |= flags
        return flags != 0

    def check_supply(self):
        if not self.chip.supply.is_sufficient:
            raise ModelError("erases with too low a supply")

    def erase(self, sector):
        start, length = self.bounds(sector)
        self.check_supply()
        if self.fails(sector):
            return
        self.last = ("erase", start, bytes(self.chip.flash[start : start + length]))
        self.is_busy = True
        self.chip.ns += self.ERASE_NS[length]
        self.chip.poke(FLASH + start, b"\xff" * length)
        self.chip.mark(start, length, 0)

    def program(self, address, size, value):
        if self.control & self.LOCK or not self.control & self.PG:
            raise ModelError(f"a write to {address:#x} with the controller at {self.control:#x}")
        if size != 4 or address & 3:
            raise ModelError(f"{size} bytes at {address:#x}")
        if self.is_busy:
            raise ModelError("a write while the controller is busy")
        at = address - FLASH
        sector = next(number for number in range(len(SECTORS)) if at < sum(SECTORS[: number + 1]))
        if self.chip.marks[at // 4]:
            raise ModelError(f"the word at {address:#x} is programmed twice")
        if self.fails(sector):
            return
        self.last = ("program", at, value)
        self.is_busy = True
        self.chip.ns += self.WORD_NS
        self.chip.poke(address, struct.pack("<I", value))
        self.chip.mark(at, 4, 1)

    def tear(self):
        """The power goes away within the last operation, or right after it: some bits are as they were, the others as they
        were to be. Returns what to write back to undo that."""
        random, chip = self.chip.random, self.chip
        if self.last is None or random.random() < 0.25:
            return None
        kind, at, content = self.last
        length = 4 if kind == "program" else len(content)
        before = at, bytes(chip.flash[at : at + length]), bytes(chip.marks[at // 4 : (at + length) // 4])
        if kind == "program":
            chip.poke(FLASH + at, struct.pack("<I", (content | random.getrandbits(32)) & MASK))
            return before
        done = random.randrange(3)
        if done == 0:
            chip.poke(FLASH + at, content)
        elif done == 1:
            noise = int.from_bytes(random.randbytes(length), "little")
            torn = int.from_bytes(content, "little") | noise
            chip.poke(FLASH + at, torn.to_bytes(length, "little"))
        # Whatever it reads as, nothing can be programmed there.
        chip.mark(at, length, 1)
        return before

    def mend(self, before):
        """Undoes a tear."""
        if before is not None:
            at, content, marks = before
            self.chip.poke(FLASH + at, content)
            self.chip.marks[at // 4 : at // 4 + len(marks)] = marks


class Timer(Clocked):
    """Timer 2 (18): 32 bits up, and one compare channel."""

    BASE = 0x4000_0000
    ENABLE = (Rcc.APB1ENR, 0)
    CR1, DIER, SR, EGR, CNT, PSC, ARR, CCR1 = 0x00, 0x0C, 0x10, 0x14, 0x24, 0x28, 0x2C, 0x34

    def reset(self):
        self.divider = self.prescaler = 0
        self.control = self.enabled = self.status = self.compare = 0
        self.since = 0
        self.base = 0
        self.met_at = None

    def rate(self):
        return self.chip.rcc.timer_hz() / (self.divider + 1)

    def count(self):
        if not self.control & 1:
            return self.base
        return self.base + int((self.chip.ns - self.since) * self.rate() / 1e9) & MASK

    def plan(self):
        self.met_at = None
        if self.control & 1:
            ahead = self.compare - self.count() & MASK
            self.met_at = self.chip.ns + int((ahead or 1 << 32) * 1e9 / self.rate()) + 1

    def tick(self):
        if self.met_at is not None and self.chip.ns >= self.met_at:
            self.status |= 2
            self.plan()

    def next_ns(self):
        return self.met_at if self.enabled & 2 else None

    def interrupts(self):
        return (28,) if self.enabled & self.status & 2 else ()

    def load(self, offset):
        self.tick()
        values = {self.CR1: self.control, self.DIER: self.enabled, self.SR: self.status, self.CCR1: self.compare}
        if offset == self.CNT:
            return self.count()
        if offset in values:
            return values[offset]
        return super().load(offset)

    def store(self, offset, value):
        self.tick()
        if offset == self.CR1:
            self.base, self.since = self.count(), self.chip.ns
            self.control = value
            self.plan()
        elif offset == self.DIER:
            self.enabled = value
        elif offset == self.SR:
            self.status &= value
        elif offset == self.EGR:
            self.divider, self.base, self.since = self.prescaler, 0, self.chip.ns
            self.status |= 1
            self.plan()
        elif offset == self.PSC:
            self.prescaler = value
        elif offset == self.CCR1:
            self.compare = value
            self.plan()
        elif offset == self.ARR:
            if value != MASK:
                raise ModelError("a timer of fewer than 32 bits has no model")
        else:
            super().store(offset, value)


class Watchdog(Device):
    """The independent watchdog (21), with the fastest oscillator that the data sheet allows."""

    BASE = 0x4000_3000
    KR, PR, RLR, SR = 0x00, 0x04, 0x08, 0x0C
    HZ = 47_000
    # Five cycles of its oscillator until a value has arrived.
    UPDATE_NS = 150_000

    def reset(self):
        self.runs = self.is_open = False
        self.divider, self.reload = 4, 0xFFF
        self.busy_until = 0
        self.expires = None

    def feed(self):
        if self.runs:
            self.expires = self.chip.ns + int((self.reload + 1) * self.divider * 1e9 / self.HZ)

    def read(self, offset):
        if offset == self.SR:
            return 3 if self.chip.ns < self.busy_until else 0
        return super().read(offset)

    def write(self, offset, value):
        if offset == self.KR:
            self.is_open = value == 0x5555
            if value == 0xCCCC:
                self.runs = True
            elif value not in (0x5555, 0xAAAA):
                raise ModelError(f"the watchdog has no key {value:#x}")
            if value != 0x5555:
                self.feed()
        elif offset in (self.PR, self.RLR):
            if not self.is_open:
                raise ModelError("the watchdog is written without its key")
            if offset == self.PR:
                self.divider = 4 << min(value, 6)
            else:
                self.reload = value & 0xFFF
            self.busy_until = self.chip.ns + self.UPDATE_NS
        else:
            super().write(offset, value)

    def tick(self):
        if self.expires is not None and self.chip.ns >= self.expires:
            self.expires = None
            self.chip.request_reset("watchdog")

    def next_ns(self):
        return self.expires


class Can(Clocked):
    """bxCAN (32): CAN1 with the first 14 filter banks, 3 transmit mailboxes, FIFO 0."""

    BASE = 0x4000_6400
    ENABLE = (Rcc.APB1ENR, 25)
    MCR, MSR, TSR, RF0R, IER, ESR, BTR = 0x00, 0x04, 0x08, 0x0C, 0x14, 0x18, 0x1C
    FMR, FM1R, FS1R, FFA1R, FA1R = 0x200, 0x204, 0x20C, 0x214, 0x21C
    RECOVERY_NS = 128 * 11 * 2000

    def reset(self):
        self.master, self.timing, self.enabled = 0x0001_0002, 0x0123_0000, 0
        self.transmit = [{"regs": [0, 0, 0, 0], "done": None, "frame": None, "rqcp": False} for _ in range(3)]
        self.fifo = []
        self.overrun = False
        self.filters = {self.FMR: 0x2A1C_0E01, self.FM1R: 0, self.FS1R: 0, self.FFA1R: 0, self.FA1R: 0}
        self.banks = [[0, 0] for _ in range(28)]
        self.off_until = None

    def is_initialising(self):
        return self.master & 1 == 1

    def is_on_bus(self):
        quanta = 3 + (self.timing >> 16 & 0xF) + (self.timing >> 20 & 7)
        rate = self.chip.rcc.apb1_hz() / ((self.timing & 0x3FF) + 1) / quanta
        fits = rate == self.chip.NOMINAL and not self.timing >> 30
        return self.master & 3 == 0 and fits and self.chip.pins.are_for_can() and self.off_until is None

    def passes(self, word):
        for number, (first, second) in enumerate(self.banks[:14]):
            if not self.filters[self.FA1R] >> number & 1:
                continue
            if not self.filters[self.FS1R] >> number & 1 or self.filters[self.FM1R] >> number & 1:
                raise ModelError("a filter that is no mask of 32 bits has no model")
            if self.filters[self.FFA1R] >> number & 1:
                raise ModelError("FIFO 1 has no model")
            if word & second == first & second:
                return True
        return False

    def receive(self, frame):
        if not self.is_on_bus():
            return
        if frame["fd"]:
            raise ModelError("an FD frame on a classic bus")
        word = frame["id"] << 3 | 4 if frame["ext"] else frame["id"] << 21
        if self.filters[self.FMR] & 1 or not self.passes(word):
            return
        entry = (word, bytes.fromhex(frame["data"]))
        if len(self.fifo) < 3:
            self.fifo.append(entry)
            return
        self.overrun = True
        self.chip.lost_frames += 1
        if not self.master >> 3 & 1:
            self.fifo[-1] = entry

    def tick(self):
        if self.off_until is not None and self.chip.is_bus_open and self.master >> 6 & 1:
            if self.chip.ns >= self.off_until:
                self.off_until = None
                self.plan()
        for mailbox in self.transmit:
            if mailbox["done"] is not None and self.chip.ns >= mailbox["done"]:
                if not self.chip.is_bus_open:
                    # Errors without end: the controller has left the bus before long.
                    mailbox["done"] = None
                    self.off_until = self.chip.ns + self.RECOVERY_NS
                    continue
                self.chip.sent.append(mailbox["frame"])
                mailbox.update(done=None, frame=None, rqcp=True)

    def plan(self):
        """Frames that wait go onto the bus."""
        for mailbox in self.transmit:
            if mailbox["frame"] is not None and mailbox["done"] is None and self.is_on_bus():
                nominal = self.chip.NOMINAL
                mailbox["done"] = self.chip.bus.occupy(mailbox["frame"], nominal, nominal)

    def next_ns(self):
        times = [mailbox["done"] for mailbox in self.transmit if mailbox["done"] is not None]
        if self.off_until is not None and self.chip.is_bus_open:
            times.append(self.off_until)
        return min(times) if times else None

    def interrupts(self):
        lines = []
        if self.enabled & 1 and any(mailbox["rqcp"] for mailbox in self.transmit):
            lines.append(19)
        if self.enabled & 2 and self.fifo:
            lines.append(20)
        return lines

    def load(self, offset):
        self.tick()
        if offset == self.MCR:
            return self.master
        if offset == self.MSR:
            return self.master & 1 or self.master & 2
        if offset == self.TSR:
            value, empty = 0, [number for number in range(3) if self.transmit[number]["frame"] is None]
            for number in range(3):
                value |= (3 if self.transmit[number]["rqcp"] else 0) << 8 * number
            for number in empty:
                value |= 1 << 26 + number
            return value | (empty[0] if empty else 0) << 24
        if offset == self.RF0R:
            return len(self.fifo) | (len(self.fifo) == 3) << 3 | self.overrun << 4
        if offset == self.IER:
            return self.enabled
        if offset == self.ESR:
            return (self.off_until is not None) << 2
        if offset == self.BTR:
            return self.timing
        if 0x1B0 <= offset < 0x1C0:
            if not self.fifo:
                raise ModelError("an empty FIFO is read")
            word, data = self.fifo[0]
            padded = data + bytes(8 - len(data))
            return (word, len(data), *struct.unpack("<II", padded))[offset - 0x1B0 >> 2]
        if offset in self.filters:
            return self.filters[offset]
        return super().load(offset)

    def store(self, offset, value):
        self.tick()
        if offset == self.MCR:
            if value >> 15 & 1 or value >> 7 & 1:
                raise ModelError(f"MCR takes {value:#x}")
            self.master = value
            self.plan()
        elif offset == self.TSR:
            for number in range(3):
                if value >> 8 * number & 1:
                    self.transmit[number]["rqcp"] = False
                if value >> 8 * number & 0x80:
                    raise ModelError("a transmission is aborted")
        elif offset == self.RF0R:
            if value & 1 << 4:
                self.overrun = False
            if value & 1 << 5:
                if not self.fifo:
                    raise ModelError("an empty FIFO is released")
                self.fifo.pop(0)
        elif offset == self.IER:
            self.enabled = value
        elif offset == self.BTR:
            if not self.is_initialising():
                raise ModelError("the bit timing is written outside of initialisation")
            self.timing = value
        elif 0x180 <= offset < 0x1B0:
            self.store_mailbox(self.transmit[offset - 0x180 >> 4], offset >> 2 & 3, value)
        elif offset in self.filters:
            if offset not in (self.FMR, self.FA1R) and not self.filters[self.FMR] & 1:
                raise ModelError("a filter is set while filters work")
            self.filters[offset] = value
        elif 0x240 <= offset < 0x320:
            number = offset - 0x240 >> 3
            if not self.filters[self.FMR] & 1 and self.filters[self.FA1R] >> number & 1:
                raise ModelError("a filter that works is changed")
            self.banks[number][offset >> 2 & 1] = value
        else:
            super().store(offset, value)

    def store_mailbox(self, mailbox, register, value):
        if mailbox["frame"] is not None:
            raise ModelError("a mailbox that is full is written")
        mailbox["regs"][register] = value
        if register != 0 or not value & 1:
            return
        word, length, low, high = mailbox["regs"]
        if word & 2 or length & 0xF > 8:
            raise ModelError("no data frame")
        ext = word >> 2 & 1 == 1
        mailbox["frame"] = {
            "id": word >> 3 if ext else word >> 21,
            "ext": ext,
            "fd": False,
            "brs": False,
            "data": struct.pack("<II", low, high)[: length & 0xF].hex(),
        }
        mailbox["rqcp"] = False
        self.plan()


class Stm32f407(Chip):
    BOOT = FLASH
    FLASH = (FLASH, FLASH_LEN)
    WORD = 4
    # Main memory and the one that only the core reaches.
    RAM = [(0x2000_0000, 128 * KIB), (0x1000_0000, 64 * KIB)]
    ROM = [(UNIQUE_ID & ~0xFFF, 0x1000)]
    ID = bytes.fromhex("2a00370009473431 32303534".replace(" ", ""))

    def __init__(self, elf, seed):
        super().__init__(elf, seed)
        self.rcc, self.pins, self.supply = Rcc(self), Pins(self), Supply(self)
        self.controller, self.timer, self.watchdog, self.can = Controller(self), Timer(self), Watchdog(self), Can(self)
        self.devices += [
            self.rcc, self.pins, self.supply, self.controller, self.timer, self.watchdog, self.can,
        ]  # fmt: skip
        self.is_bus_open = True

    def build(self):
        super().build()
        self.uc.mem_write(UNIQUE_ID, self.ID)

    def mark(self, start, length, mark):
        words = range(start // self.WORD, (start + length) // self.WORD)
        self.marks[words.start : words.stop] = bytes([mark]) * len(words)

    def memory(self):
        if self.uc is not None and bytes(self.uc.mem_read(FLASH, FLASH_LEN)) != bytes(self.flash):
            raise ModelError("the core sees another flash than its controller")
        return super().memory()

    def program(self, address, size, value):
        self.controller.program(address, size, value)

    def operation(self):
        """A cut before it, and a memory that is kept before it, have a cut in the operation before."""
        is_wanted = self.operations in self.wanted
        if self.operations != self.cut_at and not is_wanted:
            self.operations += 1
            return
        torn = self.controller.tear()
        super().operation()
        self.controller.mend(torn)

    def powered_up(self):
        self.rcc.flags = Rcc.FLAGS["power"]

    def was_reset(self, cause):
        self.rcc.flags |= Rcc.FLAGS[cause]

    def configure(self, sector=None, flags=0, supply=None, crystal=None, bus=None):
        if sector is not None:
            self.controller.failing[sector] = flags
        if supply is not None:
            self.supply.is_sufficient = supply
        if crystal is not None:
            self.rcc.has_crystal = crystal
        if bus is not None:
            self.is_bus_open = bus


if __name__ == "__main__":
    serve(Stm32f407)
