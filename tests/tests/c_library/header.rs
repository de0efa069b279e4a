//! The header as C11 and C++17 take it, and its numbers against those of the library.

use std::fmt::Write as _;
use std::mem::{align_of, offset_of, size_of};
use std::process::Command;

use anchorage_app::board::{CFlash, CLayout};
use anchorage_app::calls::{APP_LEN, App};
use anchorage_app::header::Board;
use anchorage_app::table::{CFound, TABLE_LEN};
use anchorage_app::values::{CIdentity, CResult, CState, SERIAL_LEN};
use bootloader::mailbox::MAILBOX_LEN;
use qemu_mps2_support::{AN386_LAYOUT as LAYOUT, AN386_TABLE_LAYOUT};
use update_protocol::profile::{ImageState, STATE_RECORD_LEN};

use crate::driver::{STRICT, compile, library};

const CPP: &str = "g++";

/// What has to be true of the header, as C.
fn assertions() -> String {
    let mut text = String::from(
        "#include \"anchorage_app.h\"\n#include \"anchorage_table.h\"\n#include \"anchorage_layout.h\"\n#include <stddef.h>\n\
         #ifdef __cplusplus\n#define HOLDS(x) static_assert(x, #x)\n#else\n#define HOLDS(x) _Static_assert(x, #x)\n#endif\n",
    );
    let mut hold = |condition: String| writeln!(text, "HOLDS({condition});").unwrap();
    let results = [
        ("OK", CResult::Ok),
        ("ALREADY_CONFIRMED", CResult::AlreadyConfirmed),
        ("POINTER", CResult::Pointer),
        ("LAYOUT_WRONG", CResult::Layout),
        ("NOT_OPEN", CResult::NotOpen),
        ("NOT_PROVISIONED", CResult::NotProvisioned),
        ("FLASH", CResult::Flash),
        ("NOT_HANDED_OVER", CResult::NotHandedOver),
        ("NO_TABLE", CResult::NoTable),
        ("OUTSIDE", CResult::Outside),
        ("WITH_FIRMWARE", CResult::WithFirmware),
    ];
    assert_eq!(results.map(|(_, result)| result), CResult::ALL);
    for (name, result) in results {
        hold(format!("ANCHORAGE_{name} == {}", result as i32));
    }
    let images = [
        ("NONE", ImageState::None),
        ("CONFIRMED", ImageState::Confirmed),
        ("TRIAL", ImageState::Trial),
        ("PENDING", ImageState::Pending),
        ("REVERTING", ImageState::Reverting),
    ];
    for (name, image) in images {
        hold(format!("ANCHORAGE_IMAGE_{name} == {}", image as u8));
    }
    hold(format!("sizeof(anchorage_result) == {}", size_of::<CResult>()));
    hold(format!("sizeof(struct anchorage_app) == {APP_LEN}"));
    hold(format!("sizeof(struct anchorage_layout) == {}", size_of::<CLayout>()));
    hold(format!("offsetof(struct anchorage_layout, word) == {}", offset_of!(CLayout, word)));
    // A context and three callbacks, whatever the size of a pointer is.
    assert_eq!(size_of::<CFlash>(), 4 * size_of::<usize>());
    let erase = offset_of!(CFlash, erase) / size_of::<usize>();
    hold("sizeof(struct anchorage_flash) == 4 * sizeof(void *)".to_owned());
    hold(format!("offsetof(struct anchorage_flash, erase) == {erase} * sizeof(void *)"));
    hold(format!("sizeof(struct anchorage_state) == {}", size_of::<CState>()));
    hold(format!("offsetof(struct anchorage_state, floor) == {}", offset_of!(CState, floor)));
    hold(format!("offsetof(struct anchorage_state, digest) == {}", offset_of!(CState, digest)));
    hold(format!("offsetof(struct anchorage_state, reason) == {}", offset_of!(CState, reason)));
    hold(format!("offsetof(struct anchorage_state, image) == {}", offset_of!(CState, image)));
    hold(format!("sizeof(struct anchorage_identity) == {}", size_of::<CIdentity>()));
    hold(format!("offsetof(struct anchorage_identity, serial) == {}", offset_of!(CIdentity, serial)));
    let address = offset_of!(CIdentity, node_address);
    hold(format!("offsetof(struct anchorage_identity, node_address) == {address}"));
    hold(format!("sizeof(struct anchorage_table) == {TABLE_LEN}"));
    hold(format!("sizeof(struct anchorage_table_found) == {}", size_of::<CFound>()));
    hold(format!("offsetof(struct anchorage_table_found, address) == {}", offset_of!(CFound, address)));
    hold(format!("offsetof(struct anchorage_table_found, length) == {}", offset_of!(CFound, length)));
    hold(format!("offsetof(struct anchorage_table_found, on_trial) == {}", offset_of!(CFound, is_on_trial)));
    hold(format!("ANCHORAGE_SERIAL_LENGTH == {SERIAL_LEN}"));
    hold(format!("ANCHORAGE_STATE_RECORD_LENGTH == {STATE_RECORD_LEN}"));
    hold(format!("ANCHORAGE_MAILBOX_LENGTH == {MAILBOX_LEN}"));
    hold(format!("ANCHORAGE_IMAGE_START == {:#x}u", LAYOUT.image_address()));
    hold(format!("ANCHORAGE_IMAGE_LENGTH_MAX == {:#x}u", LAYOUT.image_capacity()));
    text += "extern const struct anchorage_layout layout, table_layout;\n\
             const struct anchorage_layout layout = ANCHORAGE_LAYOUT;\n\
             const struct anchorage_layout table_layout = ANCHORAGE_TABLE_LAYOUT;\n\
             extern const char *text;\nconst char *text = anchorage_result_text(ANCHORAGE_OK)";
    text
}

#[test]
fn the_header_is_c11_and_cpp17_and_has_the_numbers_of_the_library() {
    assert!(size_of::<App>() <= APP_LEN && align_of::<App>() <= 8);
    let folder = tempfile::tempdir().unwrap();
    let board = Board { layout: &LAYOUT, table: Some(&AN386_TABLE_LAYOUT), word: 8, mailbox: 0x2000_FFC0 };
    std::fs::write(folder.path().join("anchorage_layout.h"), board.layout_h()).unwrap();
    let text = assertions();
    // An initial value is a constant in C.
    let c = text.replace(
        "= anchorage_result_text(ANCHORAGE_OK)",
        "= \"\";\nint main(void) { text = anchorage_result_text(0); return 0; }\n",
    );
    for (compiler, options, name, text) in [
        ("gcc", &["-std=c11"][..], "check.c", &c),
        ("arm-none-eabi-gcc", &["-std=c11", "-mcpu=cortex-m4", "-mthumb", "-ffreestanding"], "check.c", &c),
        ("arm-none-eabi-gcc", &["-std=c11", "-mcpu=cortex-m0", "-mthumb", "-ffreestanding"], "check.c", &c),
        (CPP, &["-std=c++17"], "check.cpp", &format!("{text};\n")),
    ] {
        let source = folder.path().join(name);
        std::fs::write(&source, text).unwrap();
        let mut command = Command::new(compiler);
        command.args(options).args(STRICT).arg("-I").arg(library().join("include"));
        compile(command.args(["-fsyntax-only", "-I"]).arg(folder.path()).arg(source));
    }
}

/// The same in a header that differs in one number: the check above can fail.
#[test]
fn a_header_with_another_number_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let board = Board { layout: &LAYOUT, table: Some(&AN386_TABLE_LAYOUT), word: 8, mailbox: 0x2000_FFC0 };
    std::fs::write(folder.path().join("anchorage_layout.h"), board.layout_h()).unwrap();
    let header = std::fs::read_to_string(library().join("include/anchorage_app.h")).unwrap();
    for (from, to) in [
        ("ANCHORAGE_FLASH = 6", "ANCHORAGE_FLASH = 10"),
        ("uint8_t image; ", "uint32_t image; "),
        ("uint64_t opaque[", "uint64_t opaque[1 + "),
    ] {
        assert!(header.contains(from), "{from}");
        std::fs::write(folder.path().join("anchorage_app.h"), header.replace(from, to)).unwrap();
        let source = folder.path().join("check.cpp");
        std::fs::write(&source, format!("{};\n", assertions())).unwrap();
        let mut command = Command::new(CPP);
        command.args(["-std=c++17", "-fsyntax-only", "-I"]).arg(folder.path()).arg(source);
        assert!(!command.output().unwrap().status.success(), "{to} is not noticed");
    }
}

#[test]
fn the_generated_layout_is_the_documented_text() {
    let board = Board { layout: &LAYOUT, table: Some(&AN386_TABLE_LAYOUT), word: 8, mailbox: 0x2000_FFC0 };
    let header = board.layout_h();
    for part in [
        "#define ANCHORAGE_LAYOUT",
        "#define ANCHORAGE_MAILBOX 0x2000ffc0u",
        "/* slot B */",
        "8u /* seal, word */",
    ] {
        assert!(header.contains(part), "{part}: {header}");
    }
}
