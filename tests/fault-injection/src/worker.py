"""Runs the loader in an emulated Cortex-M4 (unicorn) and skips one of its instructions at a time.

Arguments: the ELF, the memory of the flash before the reset, a directory for the memories that attacks leave, and the
task: `trace`, `count`, `call` or `attack`. `count` answers as `trace` does, from whole blocks of instructions: faster, for
long runs, and without the order. `trace` reads a JSON object from stdin: `since`, the first instruction of a function or
null; the executions before that one is called are counted once more by themselves. `call` reads a JSON object from stdin: `address` of a function, its `arguments`, of which
those behind the fourth lie on the stack, and `read`, address and length of memory; RAM is zero before it. Patches of the code come as `ADDRESS=BYTES`, in hex. `attack` reads a JSON object from stdin:
`executed`, the addresses that `trace` gave, `attacks`, each an address and the number of its execution from 1 on, and
`joints`: first instructions of functions where a run is compared with the runs before it. What it would do from there
on is known if an earlier one was in the same state; what lies below the stack pointer does not count.
Answers are lines of JSON on stdout.

Every answer ends in one of these words:
image   an instruction in RAM or flash was about to run, with the memory protection off
stays   the loader waits for the bus
reset   the loader reset itself
fault   an access, instruction or exception that resets the device
hang    the watchdog resets the device: more processor time than any boot takes

Unicorn is under the GPL. It is a tool of the tests, in this process of its own; nothing of it is part of a product.
"""

import hashlib
import json
import os
import struct
import sys
import threading
import time

from unicorn import (
    UC_ARCH_ARM,
    UC_HOOK_BLOCK,
    UC_HOOK_CODE,
    UC_MODE_MCLASS,
    UC_MODE_THUMB,
    UC_PROT_EXEC,
    UC_PROT_READ,
    UC_PROT_WRITE,
    Uc,
    UcError,
)
from unicorn.arm_const import (
    UC_ARM_REG_LR,
    UC_ARM_REG_PC,
    UC_ARM_REG_R0,
    UC_ARM_REG_R1,
    UC_ARM_REG_R2,
    UC_ARM_REG_R3,
    UC_ARM_REG_R4,
    UC_ARM_REG_R5,
    UC_ARM_REG_R6,
    UC_ARM_REG_R7,
    UC_ARM_REG_R8,
    UC_ARM_REG_R9,
    UC_ARM_REG_R10,
    UC_ARM_REG_R11,
    UC_ARM_REG_R12,
    UC_ARM_REG_SP,
    UC_ARM_REG_XPSR,
    UC_CPU_ARM_CORTEX_M4,
)

# The memory map of the board: AN386 of the MPS2.
CODE, CODE_LEN = 0x0000_0000, 0x1_0000
RAM, RAM_LEN = 0x2000_0000, 0x1_0000
# What the loader leaves the image that it jumps to, at the end of RAM.
MAILBOX, MAILBOX_LEN = RAM + RAM_LEN - 64, 32
UNIQUE_ID = 0x2010_0000
PSRAM, PSRAM_LEN = 0x2100_0000, 0x100_0000
PERIPHERALS, PERIPHERALS_LEN = 0x4000_0000, 0x1_0000
SYSTEM, SYSTEM_LEN = 0xE000_E000, 0x1000
# The T bit of the XPSR.
THUMB = 1 << 24
# Registers of the system control space, by their offset in it.
AIRCR, MPU_CTRL = 0xD0C, 0xD94
RESET_REQUEST = 0x05FA_0004
# Where a function that is called returns to: the last instruction of the code, which is not run.
RETURN = CODE + CODE_LEN - 2
# Seconds of processor time after which a run hangs. A boot takes a tenth.
HANG = 1.0
# Each so manyth attack is tried without its skip as well: it must end as the boot without attack.
CONTROL = 97

REGISTERS = [
    UC_ARM_REG_R0, UC_ARM_REG_R1, UC_ARM_REG_R2, UC_ARM_REG_R3, UC_ARM_REG_R4, UC_ARM_REG_R5, UC_ARM_REG_R6,
    UC_ARM_REG_R7, UC_ARM_REG_R8, UC_ARM_REG_R9, UC_ARM_REG_R10, UC_ARM_REG_R11, UC_ARM_REG_R12, UC_ARM_REG_SP,
    UC_ARM_REG_LR,
]  # fmt: skip
# Those that count at the first instruction of a function: all but r12, which a call may change.
PRESERVED = [register for register in REGISTERS if register != UC_ARM_REG_R12]


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


class Code:
    """The program as instructions."""

    def __init__(self, segments, patches):
        self.bytes = bytearray(CODE_LEN)
        for address, segment in segments:
            self.bytes[address : address + len(segment)] = segment
        for address, patch in patches:
            self.bytes[address : address + len(patch)] = patch

    def half(self, address):
        return struct.unpack_from("<H", self.bytes, address)[0]

    def size(self, address):
        """Bytes of an instruction: 4 if its first five bits say so."""
        return 4 if self.half(address) >> 11 in (0b11101, 0b11110, 0b11111) else 2

    def conditions(self, executed):
        """ITSTATE before each instruction in an IT block, by address."""
        states = {}
        for address in executed:
            opcode = self.half(address)
            if opcode >> 8 == 0xBF and opcode & 0xF:
                state, at = opcode & 0xFF, address + 2
                while state:
                    states[at] = state
                    at += self.size(at)
                    state = advance(state)
        return states


def advance(state):
    """ITSTATE after one more instruction (Armv7-M, ITAdvance)."""
    return 0 if state & 7 == 0 else state & 0xE0 | state << 1 & 0x1F


class Machine:
    """The board, at its reset."""

    def __init__(self, code):
        uc = Uc(UC_ARCH_ARM, UC_MODE_THUMB | UC_MODE_MCLASS)
        uc.ctl_set_cpu_model(UC_CPU_ARM_CORTEX_M4)
        # As the memory protection unit has it: no code in RAM or flash, none of the loader's is written.
        uc.mem_map(CODE, CODE_LEN, UC_PROT_READ | UC_PROT_EXEC)
        uc.mem_map(RAM, RAM_LEN, UC_PROT_READ | UC_PROT_WRITE)
        uc.mem_map(UNIQUE_ID, 0x1000, UC_PROT_READ | UC_PROT_WRITE)
        uc.mem_map(PSRAM, PSRAM_LEN, UC_PROT_READ | UC_PROT_WRITE)
        # UART, timer and watchdog: nothing comes, everything is taken, and no time goes by.
        uc.mem_map(PERIPHERALS, PERIPHERALS_LEN, UC_PROT_READ | UC_PROT_WRITE)
        uc.mmio_map(SYSTEM, SYSTEM_LEN, self.read_system, None, self.write_system, None)
        uc.mem_write(CODE, bytes(code.bytes))
        uc.reg_write(UC_ARM_REG_SP, struct.unpack_from("<I", code.bytes, 0)[0])
        self.uc = uc
        self.start = struct.unpack_from("<I", code.bytes, 4)[0]
        self.protected = False
        self.has_reset = False
        self.known = None

    def read_system(self, uc, offset, size, data):
        return int(self.protected) if offset == MPU_CTRL else 0

    def write_system(self, uc, offset, size, value, data):
        if offset == MPU_CTRL:
            self.protected = value & 1 == 1
        elif offset == AIRCR and value == RESET_REQUEST:
            self.has_reset = True
            uc.emu_stop()

    def run(self, start, limit=None):
        """Runs to the end of the loader, or for so many seconds of processor time.

        How it ended, where, what it left in the mailbox, and the name of its flash if all this is known from an earlier
        run."""
        self.has_reset = False
        self.known = None
        done = threading.Event()
        hung = []
        began = time.process_time()

        def watch():
            while not done.wait(limit / 4):
                if time.process_time() - began > limit:
                    hung.append(True)
                    self.uc.emu_stop()
                    return

        watchdog = threading.Thread(target=watch) if limit else None
        if watchdog:
            watchdog.start()
        fault = False
        try:
            self.uc.emu_start(start | 1, 0xFFFF_FFFE)
        except UcError:
            fault = True
        done.set()
        if watchdog:
            watchdog.join()
        if self.known:
            return self.known
        at = self.uc.reg_read(UC_ARM_REG_PC)
        if self.has_reset:
            end = "reset"
        elif fault:
            outside = RAM <= at < RAM + RAM_LEN or PSRAM <= at < PSRAM + PSRAM_LEN
            # An even address clears the T bit, and the core faults (INVSTATE, Armv7-M B1.5.14).
            is_thumb = self.uc.reg_read(UC_ARM_REG_XPSR) & THUMB != 0
            end = "image" if outside and is_thumb and not self.protected else "fault"
        elif hung:
            end = "hang"
        else:
            end = "stays"
        return end, at, bytes(self.uc.mem_read(MAILBOX, MAILBOX_LEN)).hex() if end == "image" else "", None


class Snapshot:
    """Everything of a machine that its program can change."""

    def __init__(self, machine, flash_len):
        uc = machine.uc
        self.registers = [uc.reg_read(register) for register in REGISTERS]
        self.status = uc.reg_read(UC_ARM_REG_XPSR)
        self.ram = bytes(uc.mem_read(RAM, RAM_LEN))
        self.flash = bytes(uc.mem_read(PSRAM, flash_len))
        self.protected = machine.protected

    def restore(self, machine, state, known_flash):
        """Puts it into another machine, with this ITSTATE."""
        uc = machine.uc
        for register, value in zip(REGISTERS, self.registers):
            uc.reg_write(register, value)
        status = self.status & ~0x0600_FC00 | (state & 3) << 25 | (state >> 2) << 10
        uc.reg_write(UC_ARM_REG_XPSR, status)
        uc.mem_write(RAM, self.ram)
        if known_flash != self.flash:
            uc.mem_write(PSRAM, self.flash)
        machine.protected = self.protected


def say(**answer):
    print(json.dumps(answer), flush=True)


class Task:
    def __init__(self, elf, flash, folder, patches):
        self.code = Code(load_segments(elf), patches)
        with open(flash, "rb") as file:
            self.flash = file.read()
        self.folder = folder
        self.names = []

    def machine(self):
        machine = Machine(self.code)
        machine.uc.mem_write(PSRAM, self.flash)
        return machine

    def keep(self, flash):
        """The name of what lies in flash; it is kept under this name."""
        # Most attacks leave one of a few: comparing is much faster than hashing.
        for name, known in self.names:
            if known == flash:
                return name
        name = hashlib.sha256(flash).hexdigest()
        path = os.path.join(self.folder, name)
        if not os.path.exists(path):
            unfinished = f"{path}.{os.getpid()}"
            with open(unfinished, "wb") as file:
                file.write(flash)
            os.replace(unfinished, path)
        self.names = [(name, flash), *self.names[:7]]
        return name

    def state(self, machine, address):
        """Everything that decides how a call at this address goes on."""
        registers = tuple(machine.uc.reg_read(register) for register in PRESERVED)
        live = max(RAM, min(machine.uc.reg_read(UC_ARM_REG_SP), RAM + RAM_LEN))
        ram = hashlib.sha256(machine.uc.mem_read(live, RAM + RAM_LEN - live)).digest()
        flash = self.keep(bytes(machine.uc.mem_read(PSRAM, len(self.flash))))
        return address, registers, ram, flash, machine.protected

    def trace(self, since):
        """Counts the executions of each instruction, and those of them before the first call of a function."""
        machine = self.machine()
        counts = {}
        before = {}
        steps = 0

        def count(uc, address, size, data):
            nonlocal steps
            if address == since and address not in counts:
                before.update((at, counted) for at, (counted, _) in counts.items())
            steps += 1
            if address in counts:
                counts[address][0] += 1
            else:
                counts[address] = [1, steps]

        machine.uc.hook_add(UC_HOOK_CODE, count)
        end, at, _, _ = machine.run(machine.start)
        flash = bytes(machine.uc.mem_read(PSRAM, len(self.flash)))
        say(end=end, pc=at, flash=self.keep(flash), steps=steps, executed=sorted((at, *counted, before.get(at, 0)) for at, counted in counts.items()))

    def count(self):
        """Counts the executions of each instruction by those of the blocks: a block runs to its end."""
        machine = self.machine()
        blocks = {}

        def enter(uc, address, size, data):
            block = address, size
            blocks[block] = blocks.get(block, 0) + 1

        machine.uc.hook_add(UC_HOOK_BLOCK, enter)
        end, pc, _, _ = machine.run(machine.start)
        counts = {}
        for (address, size), runs in blocks.items():
            at = address
            # What runs in RAM or flash is no longer the loader.
            while at < min(address + size, CODE + CODE_LEN):
                counts[at] = counts.get(at, 0) + runs
                at += self.code.size(at)
        say(end=end, pc=pc, steps=sum(counts.values()), executed=[(at, count, 0, 0) for at, count in sorted(counts.items())])

    def call(self, address, arguments, read):
        """Counts the instructions of a function, and answers with what it left in memory."""
        machine = self.machine()
        uc = machine.uc
        rest = arguments[4:]
        top = RAM + RAM_LEN - 4 * len(rest) & ~7
        for register, value in zip(REGISTERS, arguments[:4]):
            uc.reg_write(register, value)
        for index, value in enumerate(rest):
            uc.mem_write(top + 4 * index, struct.pack("<I", value))
        uc.reg_write(UC_ARM_REG_SP, top)
        uc.reg_write(UC_ARM_REG_LR, RETURN | 1)
        steps = 0

        def count(uc, at, size, data):
            nonlocal steps
            steps += 1

        uc.hook_add(UC_HOOK_CODE, count)
        uc.emu_start(address | 1, RETURN)
        say(steps=steps, memory=bytes(uc.mem_read(*read)).hex())

    def attack(self, executed, attacks, joints):
        """Makes each attack when a run without attack comes to its place."""
        wanted = {}
        for address, number in attacks:
            wanted.setdefault(address, set()).add(number)
        states = self.code.conditions(executed)
        counts = dict.fromkeys(wanted, 0)
        controls = []
        done = 0

        ends = {}
        passed = []

        def prepared():
            """A machine that stops where another attack has gone on in the same way."""
            machine = self.machine()

            def join(uc, address, size, data):
                key = self.state(machine, address)
                if key in ends:
                    machine.known = ends[key]
                    uc.emu_stop()
                else:
                    passed.append(key)

            for address in joints:
                machine.uc.hook_add(UC_HOOK_CODE, join, begin=address, end=address)
            return machine

        runner, victim = self.machine(), prepared()
        victim_flash = self.flash

        def attempt(snapshot, start, state):
            nonlocal victim, victim_flash
            for is_again in (False, True):
                passed.clear()
                snapshot.restore(victim, state, victim_flash)
                end, at, mailbox, flash = victim.run(start, HANG)
                if is_again or (end, at) != ("fault", start):
                    break
                # A jump into RAM may leave the emulator so that it runs nothing any more: a new one says what this is.
                victim, victim_flash = prepared(), self.flash
            victim_flash = bytes(victim.uc.mem_read(PSRAM, len(self.flash)))
            result = end, at, mailbox, flash or self.keep(victim_flash)
            ends.update(dict.fromkeys(passed, result))
            return result

        def visit(uc, address, size, data):
            nonlocal done
            counts[address] += 1
            number = counts[address]
            if number not in wanted[address]:
                return
            state = states.get(address, 0)
            snapshot = Snapshot(runner, len(self.flash))
            if done % CONTROL == 0:
                controls.append((address, number, attempt(snapshot, address, state)))
            done += 1
            end, at, mailbox, flash = attempt(snapshot, address + size, advance(state))
            say(address=address, number=number, end=end, pc=at, mailbox=mailbox, flash=flash)

        for address in wanted:
            runner.uc.hook_add(UC_HOOK_CODE, visit, begin=address, end=address)
        end, at, mailbox, _ = runner.run(runner.start)
        clean = end, at, mailbox, self.keep(bytes(runner.uc.mem_read(PSRAM, len(self.flash))))
        for address, number, ended in controls:
            if ended != clean:
                sys.exit(f"without its skip, {address:#x}:{number} ends as {ended} and not as {clean}")
        if done != len(attacks):
            sys.exit(f"{len(attacks) - done} of {len(attacks)} places were not reached")
        say(controls=len(controls))


def main():
    elf, flash, folder, what, *patches = sys.argv[1:]
    patches = [patch.split("=") for patch in patches]
    task = Task(elf, flash, folder, [(int(at, 16), bytes.fromhex(patch)) for at, patch in patches])
    if what == "trace":
        task.trace(**json.load(sys.stdin))
    elif what == "count":
        task.count()
    elif what == "call":
        task.call(**json.load(sys.stdin))
    else:
        plan = json.load(sys.stdin)
        task.attack(**plan)


if __name__ == "__main__":
    main()
