"""A microcontroller around an emulated Cortex-M4 (unicorn): memories, registers of devices, exceptions, time, a CAN bus.

A chip is a `Chip` with its memory map and its devices; `serve` runs it for a test, which speaks JSON, one object a
line, on stdin and stdout. Time is a count: each access to a register of a device takes ACCESS_NS, an operation of the
flash its typical time, and computing between two accesses none. Nothing depends on the clock of this machine, so that
every run of a test is the same; but a program that computes for HANG seconds of it without an access hangs.

What a program does that the hardware does not promise to take (an address without a device, a register that a model
does not have, a word of flash that is programmed twice) ends the run with an error: `ModelError`.

Unicorn is under the GPL. It is a tool of the tests, in this process of its own; nothing of it is part of a product.
"""

import json
import os
import random
import struct
import sys

from unicorn import (
    UC_ARCH_ARM,
    UC_HOOK_CODE,
    UC_HOOK_INTR,
    UC_HOOK_MEM_READ,
    UC_HOOK_MEM_WRITE_PROT,
    UC_MODE_MCLASS,
    UC_MODE_THUMB,
    UC_PROT_ALL,
    UC_PROT_EXEC,
    UC_PROT_NONE,
    UC_PROT_READ,
    UC_QUERY_TIMEOUT,
    Uc,
    UcError,
)
from unicorn import arm_const as arm

# Nanoseconds of an access to a register of a device, with the instructions around it.
ACCESS_NS = 500
# Seconds after which a program that accesses no device hangs; the longest computation takes one on an idle machine.
HANG = 120
# The system control space of an Armv7-M core.
SYSTEM, SYSTEM_LEN = 0xE000_E000, 0x1000
RESET_KEY = 0x05FA
EXCEPTION_EXIT = 8
THREAD_MAIN_STACK = 0xFFFF_FFF9
WFI = 0xBF30
DSB = bytes.fromhex("bff34f8f")
NMI, HARD_FAULT = 2, 3

FRAME_REGISTERS = [
    arm.UC_ARM_REG_R0, arm.UC_ARM_REG_R1, arm.UC_ARM_REG_R2, arm.UC_ARM_REG_R3,
    arm.UC_ARM_REG_R12, arm.UC_ARM_REG_LR,
]  # fmt: skip


class ModelError(Exception):
    """The program does what the part does not promise, or what its model does not have."""


class PowerCut(Exception):
    """The power goes away before the next thing that the program asks of its flash."""


def load_segments(path):
    """The (address, bytes) that a debug probe would program."""
    with open(path, "rb") as file:
        elf = file.read()
    (start,) = struct.unpack_from("<I", elf, 28)
    size, count = struct.unpack_from("<HH", elf, 42)
    for index in range(count):
        kind, offset, _, address, filled = struct.unpack_from("<5I", elf, start + index * size)
        if kind == 1 and filled:
            yield address, elf[offset : offset + filled]


class Device:
    """Registers of 32 bits. `LEN` bytes from `BASE` on; a subclass reads and writes them by their offset."""

    BASE = 0
    LEN = 0x400
    # Whether a write to it can change when something happens by itself, or an interrupt.
    ACTS = True

    def __init__(self, chip):
        self.chip = chip

    def reset(self):
        """As after a system reset."""

    def read(self, offset):
        raise ModelError(f"{type(self).__name__} has no register at {offset:#x}")

    def write(self, offset, value):
        raise ModelError(f"{type(self).__name__} has no register at {offset:#x}")

    def tick(self):
        """Time has gone by."""

    def next_ns(self):
        """When something happens in it by itself, if nothing is written to it."""
        return None

    def interrupts(self):
        """Numbers of the interrupt lines that it holds up."""
        return ()


class Plain(Device):
    """Registers that keep what is written to them: of devices whose effects no test looks at."""

    ACTS = False
    RESET = {}

    def reset(self):
        self.values = dict(self.RESET)

    def read(self, offset):
        return self.values.get(offset, 0)

    def write(self, offset, value):
        self.values[offset] = value


class System(Device):
    """System control space: reset, vector table, interrupts that are pending. The memory protection unit takes what it
    is told and protects nothing; a chip judges what is to be inaccessible."""

    BASE, LEN = SYSTEM, SYSTEM_LEN
    ISER, ICER, ISPR, ICPR = 0x100, 0x180, 0x200, 0x280
    ICSR, VTOR, AIRCR, CPACR = 0xD04, 0xD08, 0xD0C, 0xD88
    MPU_RBAR, MPU_RASR = 0xD9C, 0xDA0

    def reset(self):
        self.values = {}
        self.enabled = 0
        self.pending = 0
        self.vectors = self.chip.BOOT

    def read(self, offset):
        if offset == self.VTOR:
            return self.vectors
        for base, bits in ((self.ISER, self.enabled), (self.ISPR, self.pending)):
            if base <= offset < base + 32:
                return bits >> (offset - base) * 8 & 0xFFFF_FFFF
        return self.values.get(offset, 0)

    def write(self, offset, value):
        bank = (offset & 0x7F) * 8
        if self.ISER <= offset < self.ISER + 32:
            self.enabled |= value << bank
        elif self.ICER <= offset < self.ICER + 32:
            self.enabled &= ~(value << bank)
        elif self.ISPR <= offset < self.ISPR + 32:
            self.pending |= value << bank
        elif self.ICPR <= offset < self.ICPR + 32:
            self.pending &= ~(value << bank)
        elif offset == self.VTOR:
            self.vectors = value & ~0x7F
        elif offset == self.AIRCR:
            if value >> 16 != RESET_KEY:
                raise ModelError(f"AIRCR takes {value:#x}")
            if value & 4:
                self.chip.request_reset("software")
        else:
            self.values[offset] = value
            if offset == self.MPU_RASR and value & 1 and value >> 24 & 7 == 0:
                self.chip.deny(self.values[self.MPU_RBAR] & ~0x1F, 2 << (value >> 1 & 31))

    def tick(self):
        for device in self.chip.acting:
            for line in device.interrupts():
                self.pending |= 1 << line

    def wakes(self):
        self.tick()
        return self.enabled & self.pending != 0


class Bus:
    """A CAN bus with the chip and a tester. Frames take their time on it, one after the other; a frame for which the
    chip's controller is not on the bus is lost, as nobody acknowledges it."""

    def __init__(self, chip):
        self.chip = chip
        self.arriving = []
        self.free_ns = 0

    def reset(self):
        self.arriving.clear()
        self.free_ns = 0

    @staticmethod
    def duration_ns(frame, nominal, data_rate):
        """How long it takes at these bit rates: as many stuff bits as come on average, one in ten."""
        head = 67 if frame["ext"] else 47
        bits = len(bytes.fromhex(frame["data"])) * 8
        if frame["fd"]:
            fast = (bits + 28) * 1.1 / (data_rate if frame["brs"] else nominal)
            return int(1e9 * (head * 0.7 / nominal + fast))
        return int(1e9 * (head + bits) * 1.1 / nominal)

    def occupy(self, frame, nominal, data_rate):
        """A frame begins as soon as the bus is free; when it has ended."""
        self.free_ns = max(self.free_ns, self.chip.ns) + self.duration_ns(frame, nominal, data_rate)
        return self.free_ns

    def send(self, frames):
        """From the tester."""
        for frame in frames:
            at = self.occupy(frame, self.chip.NOMINAL, self.chip.DATA)
            self.arriving.append((at, frame))

    def tick(self):
        while self.arriving and self.arriving[0][0] <= self.chip.ns:
            _, frame = self.arriving.pop(0)
            self.chip.can.receive(frame)

    def next_ns(self):
        return self.arriving[0][0] if self.arriving else None


class Chip:
    """A chip; a subclass has its parts.

    `BOOT` is the address of the vectors after a reset; `RAM` and `ROM` list (address, length); `FLASH` is the address
    and length of the flash, `WORD` its unit of programming; `NOMINAL` and `DATA` are the bit rates of the bus."""

    BOOT = 0
    RAM = []
    ROM = []
    FLASH = (0, 0)
    WORD = 8
    # What of the flash can go away at once, if any: unicorn splits no memory while the core accesses a device.
    PIECE = None
    ERASED = 0xFF
    NOMINAL, DATA = 500_000, 2_000_000

    def __init__(self, elf, seed):
        self.random = random.Random(seed)
        self.acting = []
        self.segments = list(load_segments(elf))
        self.loader = (min(a for a, _ in self.segments), max(a + len(b) for a, b in self.segments))
        start, length = self.FLASH
        self.flash = bytearray([self.ERASED]) * length
        # Of each word: 0 erased, 1 programmed, 2 unreadable.
        self.marks = bytearray(length // self.WORD)
        for address, data in self.segments:
            at = address - start
            self.flash[at : at + len(data)] = data
            words = range(at // self.WORD, -(-(at + len(data)) // self.WORD))
            for word in words:
                self.marks[word] = 1
        self.ns = 0
        self.ram = None
        self.bus = Bus(self)
        self.system = System(self)
        self.can = None
        self.devices = [self.system]
        self.sent = []
        self.resets = []
        self.operations = 0
        self.cut_at = None
        self.wanted = set()
        self.on_wanted = self.on_torn = None
        self.hidden = False
        self.lost_frames = 0
        self.reset_cause = None
        self.is_asleep = False
        self.error = None
        self.event_ns = 0
        self.fault = None
        self.uc = None
        self.deferred = None

    # Memory and core.

    def build(self):
        uc = Uc(UC_ARCH_ARM, UC_MODE_THUMB | UC_MODE_MCLASS)
        uc.ctl_set_cpu_model(arm.UC_CPU_ARM_CORTEX_M4)
        start, length = self.FLASH
        for at in range(start, start + length, self.PIECE or length):
            uc.mem_map(at, self.PIECE or length, UC_PROT_READ | UC_PROT_EXEC)
        uc.mem_write(start, bytes(self.flash))
        for address, length in self.ROM:
            uc.mem_map(address, length, UC_PROT_READ)
        for address, length in self.RAM:
            uc.mem_map(address, length, UC_PROT_ALL)
        uc.hook_add(UC_HOOK_MEM_WRITE_PROT, self.on_flash_write)
        uc.hook_add(UC_HOOK_INTR, self.on_interrupt)
        for first, length in self.regions():
            self.map_devices(uc, first, length)
        self.uc = uc
        self.hook_barriers(uc)
        self.read_hooks = {}
        for word, mark in enumerate(self.marks):
            if mark == 2:
                self.watch(word)

    def regions(self):
        """Pages of addresses with devices in them."""
        pages = set()
        for device in self.devices:
            pages.update(range(device.BASE >> 12, (device.BASE + device.LEN + 0xFFF) >> 12))
        for page in sorted(pages):
            yield page << 12, 0x1000

    def map_devices(self, uc, first, length):
        here = [device for device in self.devices if device.BASE < first + length and first < device.BASE + device.LEN]

        def find(address):
            for device in here:
                if device.BASE <= address < device.BASE + device.LEN:
                    return device
            raise ModelError(f"no device at {address:#x}")

        def read(uc, offset, size, _):
            try:
                self.access()
                address = first + offset
                device = find(address)
                value = device.read(address - device.BASE & ~3)
                value = value >> (address & 3) * 8
                return value & ((1 << size * 8) - 1)
            except (ModelError, PowerCut) as error:
                self.stop(error)
                return 0

        def write(uc, offset, size, value, _):
            try:
                self.access()
                address = first + offset
                device = find(address)
                self.write_device(device, address - device.BASE, size, value)
                if device.ACTS:
                    self.event_ns = 0
            except (ModelError, PowerCut) as error:
                self.stop(error)

        uc.mmio_map(first, length, read, None, write, None)

    def access(self):
        """The program turns to a device: time has gone by."""
        self.ns += ACCESS_NS
        if self.ns >= self.event_ns:
            self.tick()

    def write_device(self, device, offset, size, value):
        """Registers take whole words; a chip says which take less."""
        if size != 4 and not (device is self.system and size == 1):
            raise ModelError(f"{type(device).__name__} is written {size} bytes at {offset:#x}")
        device.write(offset, value)

    def stop(self, error):
        if self.error is None:
            self.error = error
        self.uc.emu_stop()

    def poke(self, address, data, mark=None):
        """The content of flash changes; with a mark, that of its words too, and a cut within the change is kept."""
        at = address - self.FLASH[0]
        if mark is not None:
            first, last = self.word(address), self.word(address + len(data))
            if self.operations - 1 in self.wanted:
                self.on_torn(self.operations - 1, self.torn(at, data, first, last, mark))
            for word in range(first, last):
                self.forget(word)
            self.marks[first:last] = bytes([mark]) * (last - first)
        self.flash[at : at + len(data)] = data
        self.uc.mem_write(self.seen(address), bytes(data))

    def erase(self, address, length):
        """Sectors of flash are as new."""
        self.poke(address, bytes([self.ERASED]) * length, 0)

    def torn(self, at, data, first, last, mark):
        """The memory if the power goes away within this change: each word is the old one, the new one, or unreadable."""
        flash, marks = bytearray(self.flash), bytearray(self.marks)
        for word in range(first, last):
            end = self.random.choice(("old", "new", "unreadable")) if last - first > 1 else "unreadable"
            start = word * self.WORD
            if end == "new":
                flash[start : start + self.WORD] = data[start - at : start - at + self.WORD]
                marks[word] = mark
            elif end == "unreadable":
                marks[word] = 2
        return bytes(flash) + bytes(marks)

    def seen(self, address):
        """Where the core sees an address of the flash, whose bytes and words are counted as after a reset; and the other
        way round."""
        return address

    def deny(self, address, length):
        """The program makes memory inaccessible to itself."""

    def word(self, address):
        return (address - self.FLASH[0]) // self.WORD

    def watch(self, word):
        """Reads of this word are no longer quiet."""
        if word in self.read_hooks:
            return
        address = self.seen(self.FLASH[0] + word * self.WORD)
        hook = self.uc.hook_add(UC_HOOK_MEM_READ, self.on_bad_read, begin=address, end=address + self.WORD - 1)
        self.read_hooks[word] = hook

    def forget(self, word):
        if word in self.read_hooks:
            self.uc.hook_del(self.read_hooks.pop(word))

    def spoil(self, address):
        """The word at this address cannot be read any more: two of its bits have flipped."""
        word = self.word(address)
        start = word * self.WORD
        for bit in (3, 4):
            self.flash[start] ^= 1 << bit
        self.marks[word] = 2
        if self.uc is not None:
            at = self.seen(self.FLASH[0] + start)
            self.uc.mem_write(at, bytes(self.flash[start : start + self.WORD]))
            self.watch(word)

    def on_bad_read(self, uc, access, address, size, value, _):
        # Here the program counter is not exact, so the exception has to wait for the barrier after the read.
        self.bad_read = address

    def on_barrier(self, uc, address, size, _):
        """What was read before has come, and with it the exception."""
        if self.bad_read is not None:
            uc.emu_stop()

    def hook_barriers(self, uc):
        """All `dsb sy` in flash, and what looks like one."""
        at = self.flash.find(DSB)
        while at >= 0:
            address = self.seen(self.FLASH[0] + at)
            uc.hook_add(UC_HOOK_CODE, self.on_barrier, begin=address, end=address)
            at = self.flash.find(DSB, at + 2)

    def bad_word_was_read(self, address):
        """What a chip makes of it; whether an NMI comes."""
        raise ModelError("no model of unreadable words")

    def on_flash_write(self, uc, access, address, size, value, _):
        start, length = self.FLASH
        try:
            if not start <= address < start + length:
                raise ModelError(f"a write to {address:#x}, which cannot be written")
            self.operation()
            self.program(self.seen(address), size, value & ((1 << size * 8) - 1))
        except (ModelError, PowerCut) as error:
            self.stop(error)
        return True

    def program(self, address, size, value):
        """A write to an address in flash."""
        raise ModelError("no flash controller")

    def operation(self):
        """The program is about to do something to the flash or a register of its controller."""
        if self.operations == self.cut_at:
            raise PowerCut
        if self.operations in self.wanted:
            self.on_wanted(self.operations)
        self.operations += 1

    def on_interrupt(self, uc, number, _):
        self.interrupt = number
        uc.emu_stop()

    def exception(self, number):
        """The core takes an exception (Armv7-M, ExceptionEntry), without floating point state."""
        uc = self.uc
        status = uc.reg_read(arm.UC_ARM_REG_XPSR)
        if status & 0x1FF == HARD_FAULT or (number == HARD_FAULT and status & 0x1FF == NMI):
            raise Lockup(f"a fault in the handler of a fault, at {uc.reg_read(arm.UC_ARM_REG_PC):#x}")
        stack = uc.reg_read(arm.UC_ARM_REG_SP)
        padding = stack & 4
        frame = [uc.reg_read(register) for register in FRAME_REGISTERS]
        frame += [uc.reg_read(arm.UC_ARM_REG_PC), status | padding << 7]
        stack -= 32 + padding
        try:
            uc.mem_write(stack, struct.pack("<8I", *(value & 0xFFFF_FFFF for value in frame)))
        except UcError:
            # The frame has no place (a derived fault): the core takes the hard fault without one.
            if number != HARD_FAULT:
                return self.exception(HARD_FAULT)
        uc.reg_write(arm.UC_ARM_REG_SP, stack)
        uc.reg_write(arm.UC_ARM_REG_LR, THREAD_MAIN_STACK if status & 0x1FF == 0 else 0xFFFF_FFF1)
        (vector,) = struct.unpack("<I", uc.mem_read(self.system.vectors + 4 * number, 4))
        uc.reg_write(arm.UC_ARM_REG_XPSR, 0x0100_0000 | number)
        uc.reg_write(arm.UC_ARM_REG_PC, vector | 1)

    def exception_return(self):
        uc = self.uc
        stack = uc.reg_read(arm.UC_ARM_REG_SP)
        frame = struct.unpack("<8I", uc.mem_read(stack, 32))
        for register, value in zip(FRAME_REGISTERS, frame):
            uc.reg_write(register, value)
        uc.reg_write(arm.UC_ARM_REG_SP, stack + 32 + (frame[7] >> 7 & 4))
        uc.reg_write(arm.UC_ARM_REG_XPSR, frame[7] & ~0x200)
        uc.reg_write(arm.UC_ARM_REG_PC, frame[6] | 1)

    # Power and reset.

    def power_on(self):
        """RAM holds anything."""
        self.ram = {address: self.random.randbytes(length) for address, length in self.RAM}
        self.uc = None
        self.ns = 0
        self.bus.reset()
        self.sent.clear()
        self.powered_up()
        self.start()

    def powered_up(self):
        """What power-up leaves in a chip."""

    def request_reset(self, cause):
        self.reset_cause = cause
        if self.uc is not None:
            self.uc.emu_stop()

    def reset(self, cause):
        self.ram = {address: bytes(self.uc.mem_read(address, length)) for address, length in self.RAM}
        self.resets.append(cause)
        self.was_reset(cause)
        self.start()

    def was_reset(self, cause):
        """What a reset leaves in a chip."""

    def start(self):
        self.reset_cause = None
        self.acting = [device for device in self.devices if device.ACTS]
        self.is_asleep = False
        self.hidden = False
        self.bad_read = None
        self.interrupt = None
        self.deferred = None
        self.build()
        for address, content in self.ram.items():
            self.uc.mem_write(address, content)
        for device in self.devices:
            device.reset()
        stack, entry = struct.unpack("<II", self.uc.mem_read(self.BOOT, 8))
        self.uc.reg_write(arm.UC_ARM_REG_SP, stack)
        self.uc.reg_write(arm.UC_ARM_REG_PC, entry | 1)

    # Time.

    def slice(self):
        """Runs the program until it sleeps, is reset, or something happens in its core."""
        uc = self.uc
        self.interrupt = None
        try:
            uc.emu_start(uc.reg_read(arm.UC_ARM_REG_PC) | 1, 0xFFFF_FFFE, timeout=HANG * 1_000_000)
        except UcError as error:
            if self.error is None and self.reset_cause is None:
                self.fault = f"{error} at {uc.reg_read(arm.UC_ARM_REG_PC):#x}"
                self.exception(HARD_FAULT)
        if self.error is not None:
            raise self.error
        if self.deferred is not None:
            # What cannot be done to the memory within an access of the core. The block of code that made the access runs
            # again from its start.
            change, self.deferred = self.deferred, None
            return change()
        if self.bad_read is not None:
            address, self.bad_read = self.bad_read, None
            if self.bad_word_was_read(self.seen(address)):
                self.exception(NMI)
            return
        if self.interrupt == EXCEPTION_EXIT:
            self.exception_return()
            return
        if self.interrupt is not None:
            self.exception(HARD_FAULT)
            return
        if uc.query(UC_QUERY_TIMEOUT):
            raise Lockup("the program computes and computes")
        at = uc.reg_read(arm.UC_ARM_REG_PC)
        if struct.unpack("<H", uc.mem_read(at - 2, 2))[0] == WFI:
            self.is_asleep = True

    def tick(self):
        self.bus.tick()
        for device in self.acting:
            device.tick()
        at = self.next_ns()
        self.event_ns = float("inf") if at is None else at

    def run(self, until_ns):
        """Until the chip sleeps after it has sent something, or it is so late. The core stops for nothing in between."""
        while self.ns < until_ns and not self.sent:
            if self.reset_cause is not None:
                self.reset(self.reset_cause)
            self.tick()
            if self.reset_cause is not None:
                continue
            if self.is_asleep:
                if not self.system.wakes():
                    self.sleep(until_ns)
                    continue
                self.is_asleep = False
            try:
                self.slice()
            except Lockup as lockup:
                # Nothing but a watchdog ends it.
                self.fault = str(lockup)
                self.sleep(until_ns)

    def wake_us(self):
        """When something happens by itself, if the core sleeps; rounded up."""
        at = self.next_ns() if self.is_asleep else None
        return None if at is None else -(-at // 1000)

    def next_ns(self):
        """When something happens in a device or on the bus."""
        times = [self.bus.next_ns(), *(device.next_ns() for device in self.acting)]
        times = [at for at in times if at is not None and at > self.ns]
        return min(times) if times else None

    def sleep(self, until_ns):
        """Nothing but time goes on, to the next event."""
        at = self.next_ns()
        self.ns = until_ns if at is None else min(until_ns, at)

    def where(self):
        """Which program runs: that of the ELF, or another one."""
        at = self.seen(self.uc.reg_read(arm.UC_ARM_REG_PC))
        return "loader" if self.loader[0] <= at < self.loader[1] else "application"

    def memory(self):
        return bytes(self.flash) + bytes(self.marks)

    def set_memory(self, memory):
        length = self.FLASH[1]
        self.flash[:] = memory[:length]
        self.marks[:] = memory[length:]


class Lockup(Exception):
    """The core has stopped."""


def serve(chip_type):
    """Arguments: the ELF of the loader, a seed, a folder for memories. Each line on stdin is a command, each answer one
    line on stdout.

    `power`: power is off, then on; `reset`: the reset pin; `run`: at `at_us`, `frames` come, until `until_us` or an answer;
    `memory`, `restore`: flash to and from a file; `spoil`: the word at `address` becomes unreadable; `cut`: the power
    goes away before so manyth operation from now on; `want`: the memory before each of these operations goes to a file
    of its number, and one after a cut within it to another file, without ending the run; `peek`: bytes of RAM;
    `configure`: what the chip's script says."""
    elf, seed, folder = sys.argv[1:]
    chip = chip_type(elf, int(seed))

    def keep(name, memory):
        with open(os.path.join(folder, name), "wb") as file:
            file.write(memory)

    chip.on_wanted = lambda operation: keep(str(operation), chip.memory())
    chip.on_torn = lambda operation, memory: keep(f"{operation}-torn", memory)
    for line in sys.stdin:
        command = json.loads(line)
        what = command.pop("do")
        answer = {}
        if what == "power":
            chip.resets.clear()
            chip.power_on()
        elif what == "reset":
            chip.request_reset("pin")
        elif what == "run":
            try:
                chip.run(command["at_us"] * 1000)
                chip.bus.send(command["frames"])
                chip.run(command["until_us"] * 1000)
                answer["cut"] = False
            except PowerCut:
                answer["cut"] = True
                chip.cut_at = None
                chip.error = None
        elif what == "memory":
            with open(command["path"], "wb") as file:
                file.write(chip.memory())
        elif what == "restore":
            with open(command["path"], "rb") as file:
                chip.set_memory(file.read())
        elif what == "spoil":
            chip.spoil(command["address"])
        elif what == "cut":
            chip.cut_at = chip.operations + command["operation"]
        elif what == "want":
            chip.wanted = {chip.operations + operation for operation in command["operations"]}
        elif what == "configure":
            chip.configure(**command)
        elif what == "peek":
            answer["bytes"] = bytes(chip.uc.mem_read(command["address"], command["len"])).hex()
        else:
            sys.exit(f"unknown command {what}")
        if chip.uc is not None:
            answer.update(
                now_us=chip.ns // 1000,
                frames=chip.sent,
                resets=chip.resets,
                runs=chip.where(),
                asleep=chip.is_asleep,
                wake_us=chip.wake_us(),
                fault=chip.fault,
                hidden=chip.hidden,
                lost_frames=chip.lost_frames,
                operations=chip.operations,
            )
        print(json.dumps(answer), flush=True)
        chip.sent.clear()
