//! The library as it is handed to those who write applications: each link line of its README.md links.

use std::path::Path;
use std::process::Command;

use emulator::Programs;
use emulator::c_programs::{CORES, Core, GCC_ARM};

use crate::driver::{compile, library};

/// The cores whose targets this project builds for anyway.
fn cores() -> Vec<Core> {
    CORES.into_iter().filter(|core| core.target != "thumbv7em-none-eabi").collect()
}

fn programs() -> Programs {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("a target directory");
    Programs::new(target).expect("a folder")
}

/// An application that needs all of the library, without a C library and without start-up code.
fn application() -> String {
    let header = std::fs::read_to_string(library().join("include/anchorage_app.h")).expect("the header");
    let functions = header.lines().filter_map(|line| line.strip_prefix("anchorage_result "));
    let functions: Vec<_> = functions.filter_map(|line| Some(line.split_once('(')?.0)).collect();
    assert!(functions.len() > 5, "{functions:?}");
    let uses: String = functions.iter().map(|name| format!("(void *){name}, ")).collect();
    format!(
        "#include \"anchorage_app.h\"\nvoid *volatile uses[] = {{ {uses}}};\n\
         int main(void) {{ return uses[0] != uses[1]; }}\n"
    )
}

#[test]
fn each_link_line_of_an_export_links() {
    let folder = tempfile::tempdir().expect("a folder");
    let export = folder.path().join("anchorage-c");
    let cores = cores();
    // Twice: an earlier export is replaced.
    for _ in 0..2 {
        programs().export_c_library(&export, &cores, false).expect("an export");
    }
    let memory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bootloader/boards/qemu-mps2-c-app/memory.c");
    std::fs::write(export.join("app.c"), application()).expect("a source");
    let readme = std::fs::read_to_string(export.join("README.md")).expect("README.md");
    let lines: Vec<_> = readme.lines().filter_map(|line| line.strip_prefix("arm-none-eabi-gcc ")).collect();
    assert_eq!(lines.len(), cores.len(), "{readme}");
    for (line, core) in lines.iter().zip(cores) {
        let mut gcc = Command::new(GCC_ARM);
        gcc.current_dir(&export).args(line.split(' '));
        // What a project of its own would bring: start-up code, and memory functions.
        gcc.args(["-ffreestanding", "-fno-tree-loop-distribute-patterns", "-nostdlib", "-Wl,-e,main"]);
        gcc.args(["-Wall", "-Wextra", "-Werror"]).arg(&memory).arg("-lgcc");
        compile(&mut gcc);
        assert!(export.join("app.elf").is_file(), "{}", core.target);
        std::fs::remove_file(export.join("app.elf")).expect("it is there");
    }
}

#[test]
fn a_folder_with_other_content_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("thesis.tex"), "years of work").expect("a file");
    let error = programs().export_c_library(folder.path(), &cores(), false).expect_err("it is refused");
    assert!(error.to_string().contains("neither an empty folder nor an earlier export"), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1);
}
