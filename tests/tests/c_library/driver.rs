//! The program in C (driver.c) as a process, and its flash.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::LazyLock;

pub(crate) use anchorage_app::values::CResult;
use bootloader::layout::Layout;
use embedded_storage::nor_flash::{NorFlash as _, ReadNorFlash as _};
use emulator::{Programs, parent_death};
use flash_model::Nor;

/// Warnings that both compilers have, as errors.
pub(crate) const STRICT: [&str; 5] = ["-Wall", "-Wextra", "-Werror", "-pedantic", "-Wconversion"];

/// The package of the library.
pub(crate) fn library() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../anchorage-app")
}

/// Runs a compiler, which has to succeed.
pub(crate) fn compile(compiler: &mut Command) {
    let output = compiler.output().expect("the compiler is installed");
    assert!(output.status.success(), "{compiler:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The driver, compiled and linked once.
static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| program("c-driver", false));
/// The same over a library that serves layouts without a swap.
static REMAPPING: LazyLock<PathBuf> = LazyLock::new(|| program("c-driver-remap", true));

fn program(name: &str, remap: bool) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let target = folder.parent().expect("a target directory");
    let archive =
        Programs::new(target).and_then(|programs| programs.c_library(None, remap)).expect("a library");
    let unfinished = folder.join(format!("{name}-{}", std::process::id()));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c_library/driver.c");
    let mut gcc = Command::new("gcc");
    gcc.args(["-std=c11", "-O1", "-fsanitize=undefined", "-fno-sanitize-recover"]).args(STRICT);
    if remap {
        gcc.arg("-DWITH_TABLE");
    }
    gcc.arg("-I").arg(library().join("include")).arg("-o").arg(&unfinished).arg(source).arg(archive);
    compile(gcc.args(["-lpthread", "-ldl", "-lm"]));
    let program = folder.join(name);
    std::fs::rename(unfinished, &program).expect("a program");
    program
}

/// The running program.
pub(crate) struct Driver {
    process: Child,
    to: ChildStdin,
    from: ChildStdout,
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Driver {
    pub(crate) fn start() -> Self {
        Self::run(&PROGRAM)
    }

    /// With the library's feature `remap`.
    pub(crate) fn start_remapping() -> Self {
        Self::run(&REMAPPING)
    }

    fn run(program: &Path) -> Self {
        let mut process = parent_death::command(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the driver");
        let (to, from) = (process.stdin.take().expect("stdin"), process.stdout.take().expect("stdout"));
        Self { process, to, from }
    }

    /// Opens the application over this flash.
    pub(crate) fn open<const WORD: usize, const PAGE: usize>(
        &mut self,
        nor: &Nor<WORD, PAGE>,
        layout: &Layout,
    ) -> CResult {
        self.open_numbers(nor, &layout.numbers(), WORD as u32)
    }

    pub(crate) fn open_numbers<const WORD: usize, const PAGE: usize>(
        &mut self,
        nor: &Nor<WORD, PAGE>,
        numbers: &[u32],
        word: u32,
    ) -> CResult {
        let bytes: Vec<u8> = numbers.iter().chain([&word]).flat_map(|number| number.to_ne_bytes()).collect();
        self.send(&[b"o", &bytes[..]].concat());
        self.answer(nor).0
    }

    /// Opens the table of this layout, with this mailbox.
    pub(crate) fn open_table<const WORD: usize, const PAGE: usize>(
        &mut self,
        nor: &Nor<WORD, PAGE>,
        layout: &Layout,
        mailbox: &[u8],
    ) -> CResult {
        let numbers = layout.numbers();
        let word = WORD as u32;
        let bytes: Vec<u8> = numbers.iter().chain([&word]).flat_map(|number| number.to_ne_bytes()).collect();
        self.send(&[b"O", &bytes[..], mailbox].concat());
        self.answer(nor).0
    }

    /// Reads bytes of the table.
    pub(crate) fn read_table<const WORD: usize, const PAGE: usize>(
        &mut self,
        nor: &Nor<WORD, PAGE>,
        offset: u32,
        len: u32,
    ) -> (CResult, Vec<u8>) {
        self.send(&[b"B", &offset.to_ne_bytes()[..], &len.to_ne_bytes()].concat());
        self.answer(nor)
    }

    /// One command: its result and what it gave.
    pub(crate) fn call<const WORD: usize, const PAGE: usize>(
        &mut self,
        nor: &Nor<WORD, PAGE>,
        command: u8,
    ) -> (CResult, Vec<u8>) {
        self.send(&[command]);
        self.answer(nor)
    }

    /// The results of all calls with wrong pointers, and of all calls of an application that is not open.
    pub(crate) fn misuse<const WORD: usize, const PAGE: usize>(
        &mut self,
        nor: &Nor<WORD, PAGE>,
    ) -> (Vec<CResult>, Vec<CResult>) {
        self.misuse_by(nor, b'm')
    }

    /// The same of the functions for a table.
    pub(crate) fn misuse_table<const WORD: usize, const PAGE: usize>(
        &mut self,
        nor: &Nor<WORD, PAGE>,
    ) -> (Vec<CResult>, Vec<CResult>) {
        self.misuse_by(nor, b'M')
    }

    fn misuse_by<const WORD: usize, const PAGE: usize>(
        &mut self,
        nor: &Nor<WORD, PAGE>,
        command: u8,
    ) -> (Vec<CResult>, Vec<CResult>) {
        self.send(&[command]);
        let mut results = || {
            let (_, bytes) = self.raw_answer(nor);
            bytes.as_chunks::<4>().0.iter().map(|result| numbered(i32::from_ne_bytes(*result))).collect()
        };
        (results(), results())
    }

    /// The text of a result.
    pub(crate) fn text<const WORD: usize, const PAGE: usize>(
        &mut self,
        nor: &Nor<WORD, PAGE>,
        number: i32,
    ) -> String {
        self.send(&[b"t", &number.to_ne_bytes()[..]].concat());
        String::from_utf8(self.raw_answer(nor).1).expect("a text")
    }

    fn send(&mut self, bytes: &[u8]) {
        self.to.write_all(bytes).and_then(|()| self.to.flush()).expect("the driver listens");
    }

    fn receive(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.from.read_exact(&mut bytes).expect("the driver lives");
        bytes
    }

    fn number(&mut self) -> u32 {
        u32::from_ne_bytes(self.receive(4).try_into().expect("4 bytes"))
    }

    fn answer<const WORD: usize, const PAGE: usize>(&mut self, nor: &Nor<WORD, PAGE>) -> (CResult, Vec<u8>) {
        let (number, bytes) = self.raw_answer(nor);
        (numbered(number), bytes)
    }

    /// Serves the flash until the command is done.
    fn raw_answer<const WORD: usize, const PAGE: usize>(&mut self, nor: &Nor<WORD, PAGE>) -> (i32, Vec<u8>) {
        let mut nor = nor.clone();
        loop {
            let kind = self.receive(1)[0];
            let (first, len) = (self.number(), self.number());
            match kind {
                b'D' => {
                    let bytes = self.receive(len as usize);
                    return (i32::from_ne_bytes(first.to_ne_bytes()), bytes);
                }
                b'R' => {
                    // A part reads whole words; those around what is asked for.
                    let word = WORD as u32;
                    let (from, to) = (first / word * word, (first + len).next_multiple_of(word));
                    let mut words = vec![0; (to - from) as usize];
                    let failed = nor.read(from, &mut words).is_err();
                    self.send(&[u8::from(failed)]);
                    if !failed {
                        let skipped = (first - from) as usize;
                        self.send(&words[skipped..skipped + len as usize]);
                    }
                }
                b'P' => {
                    let bytes = self.receive(len as usize);
                    let failed = nor.write(first, &bytes).is_err();
                    self.send(&[u8::from(failed)]);
                }
                b'E' => {
                    let failed = nor.erase(first, first + len).is_err();
                    self.send(&[u8::from(failed)]);
                }
                kind => panic!("{kind:#04x} is not asked for"),
            }
        }
    }
}

fn numbered(number: i32) -> CResult {
    CResult::ALL.into_iter().find(|result| *result as i32 == number).expect("a result of the header")
}
